/* fuzz_binlog.c - a binlog file all the way to the records on topics: events, groups, table maps,
 * rows, envelopes (cdc/binlog, cdc/catalog, cdc/change, cdc/publish).
 *
 * Every record is read by the schema it was written with, and says the seq that it should. The last
 * bit of the input's first byte: each group is scanned to its end and read once more, as groups are
 * that don't fit into memory; then the outcome must be the same. The next bit: transactions are
 * called by place. */
#include "test/fuzz/packets.h"

#include "cdc/change/group.h"
#include "cdc/publish/publisher.h"
#include "core/avro/decode.h"
#include "core/base/mem.h"

#include <string.h>

#define SCHEMAS_MAX 256

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	return fuzz_packets_mutate(data, size, max_size, seed);
}

static struct {
	struct schema *schemas[SCHEMAS_MAX]; /* of values; NULL: of keys */
	struct buf names[SCHEMAS_MAX];
	size_t schema_count, topic_count;
	int64_t seq; /* of the record that comes */
	struct buf json;
} broker;

static int sink_topic(void *context, const char *name, struct publish_topic **ret_topic,
		      int32_t *ret_partitions, struct err *e)
{
	(void)context, (void)name;
	if (broker.topic_count == SCHEMAS_MAX)
		return err_retry(e, "enough");
	*ret_topic = (struct publish_topic *)&broker.names[broker.topic_count++];
	*ret_partitions = 3;
	return 0;
}

static int sink_schema(void *context, const char *subject, const char *text, int32_t *ret_id,
		       struct err *e)
{
	struct schema *s = NULL;

	(void)context;
	if (broker.schema_count == SCHEMAS_MAX)
		return err_retry(e, "enough");
	fuzz_check(schema_parse(slice_str(text), &s, e) == 0, "%s: %s: %s", subject, e->msg, text);
	broker.schemas[broker.schema_count] = s;
	*ret_id = (int32_t)broker.schema_count++;
	return 0;
}

static int sink_send(void *context, struct publish_topic *topic, int32_t partition,
		     struct slice key, struct slice value, struct err *e)
{
	int64_t seq;
	int32_t id;

	(void)context, (void)topic, (void)key;
	fuzz_check(partition >= 0 && partition < 3, "partition %d", (int)partition);
	if (value.data == NULL)
		return 0;
	fuzz_check(decode_seq(value, &seq, e) == 0, "%s", e->msg);
	fuzz_check(seq > broker.seq - 3 && seq <= broker.seq + 3, "seq %lld", (long long)seq);
	fuzz_check(decode_wire_id(value, &id, e) == 0 && (size_t)id < broker.schema_count, "id");
	buf_reset(&broker.json);
	fuzz_check(decode_json(broker.schemas[id],
			       slice_of(value.data + DECODE_WIRE_HEADER,
					value.size - DECODE_WIRE_HEADER),
			       &broker.json, e) == 0,
		   "%s", e->msg);
	fuzz_check_json(buf_slice(&broker.json));
	return 0;
}

static const struct publish_sink sink = { .topic = sink_topic,
					  .send = sink_send,
					  .schema = sink_schema };

struct run {
	struct settings settings;
	struct catalog *catalog;
	struct publisher *publisher;
	struct group *group;
	bool twice;
	size_t begun; /* packet that the group in hand begins with */
	struct slice packets[FUZZ_PACKETS_MAX];
	size_t count;
};

/* What a group gives. -1: refused. */
static int take_rows(struct run *r, int64_t *changes, struct err *e)
{
	struct group_row row;
	int rc;

	while ((rc = group_next(r->group, &row, e)) > 0) {
		if (rc == GROUP_GIVES_EFFECT) {
			fuzz_check(row.effect.db != NULL && row.effect.table != NULL &&
					   row.effect.why != NULL,
				   "an effect without names");
			continue;
		}
		fuzz_check(row.change.shape != NULL && row.change.order > 0, "no change");
		if (row.watched)
			continue;
		++*changes;
		if (publisher_change(r->publisher, &row.change, &broker.seq, e) < 0)
			return -1;
	}
	return rc;
}

static int again(struct run *r, struct err *e)
{
	int64_t changes = 0;

	group_again(r->group);
	for (size_t i = r->begun; i < r->count; i++)
		if (group_scan(r->group, r->packets[i], e) < 0 || take_rows(r, &changes, e) < 0)
			return -1;
	return 0;
}

static int take_packet(struct run *r, struct slice packet, struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;
	bool was_open = group_open(r->group);
	int64_t changes = 0;
	int rc;

	r->packets[r->count++] = packet;
	if (group_scan(r->group, packet, e) < 0)
		return -1;
	if (!was_open)
		r->begun = r->count - 1;
	if (r->twice && group_open(r->group) && !group_complete(r->group))
		group_let_go(r->group);
	if (!group_complete(r->group))
		return 0;
	fuzz_check(memchr(group_info(r->group)->gtid_text, '\0', GTID_ID_SIZE) != NULL, "id");
	rc = group_let_go_was_called(r->group) ? again(r, e) : take_rows(r, &changes, e);
	if (rc < 0)
		return -1;
	(void)group_add_to(r->group, &set, e); /* two dialects in one file */
	gtid_set_done(&set);
	group_reset(r->group);
	publisher_commit(r->publisher);
	return 0;
}

static void end(struct run *r)
{
	group_free(r->group);
	publisher_free(r->publisher);
	catalog_free(r->catalog);
	for (size_t i = 0; i < broker.schema_count; i++)
		schema_free(broker.schemas[i]);
	buf_done(&broker.json);
	memset(&broker, 0, sizeof(broker));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char everything[] = "*.*", name[] = "n", carry[] = "carry", *patterns[] = { everything };
	struct run r = { .settings = { .capture_tables = { patterns, 1 },
				       .name = name,
				       .capture_memory = 32 * 1024 * 1024,
				       .capture_on_inexact = carry } };
	struct fuzz_packets p;
	struct slice packet;
	struct err e = ERR_INIT;

	r.catalog = catalog_new(&r.settings);
	fuzz_check(publisher_new(&r.settings, &sink, &r.publisher, &e) == 0, "%s", e.msg);
	r.group = group_new(&r.settings, r.catalog);
	r.twice = size > 0 && (data[0] & 1) != 0;
	group_by_place(r.group, size > 0 && (data[0] & 2) == 0);
	fuzz_packets_begin(&p, slice_of(data, size));
	while (fuzz_packets_next(&p, &packet)) {
		if (take_packet(&r, packet, &e) == 0)
			continue;
		fuzz_check(e.kind == ERR_DATA || e.kind == ERR_CONFIG || e.kind == ERR_RETRY,
			   "kind %d: %s", (int)e.kind, e.msg);
		fuzz_check(e.msg[0] != '\0', "no message");
		break;
	}
	end(&r);
	fuzz_packets_done(&p);
	return 0;
}
