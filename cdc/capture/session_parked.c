/* session_parked.c - `millrace parked retry` and `drop`, done between two source transactions.
 *
 * retry sends the whole record under a new seq, as a source transaction "parked:<id>"; what else it
 * says (GTID, time) stays that of the change. A row's record only while nothing newer of its key
 * was delivered, else the topic would end with an old row; its pieces stay, since the topic's
 * stand-in goes on speaking of them. A published event is the oldest of its key that is parked;
 * those behind it follow as far as they fit.
 *
 * drop takes an event out, and lets those behind it go; of a row it only stops to be told about,
 * unless forced: then its pieces go, and whoever meets the stand-in has to do without. */
#include "cdc/capture/session_priv.h"

#include "cdc/delivery/parked.h"
#include "cdc/delivery/scan.h"
#include "core/avro/decode.h"
#include "core/avro/read.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <inttypes.h>

#define LOOK_US 10000000 /* longest search for a newer record of the same key */
#define CLOCK_SLACK_MS 60000
#define SEQ_SIZE_MAX 10

static struct slice datum_of(struct slice key)
{
	return key.size > DECODE_WIRE_HEADER
		       ? slice_of(key.data + DECODE_WIRE_HEADER, key.size - DECODE_WIRE_HEADER)
		       : slice_of("", 0);
}

static bool same_key(const struct parked_record *a, const struct parked_record *b)
{
	return strcmp(a->topic, b->topic) == 0 && slice_equal(datum_of(a->key), datum_of(b->key));
}

/* ---- is it the newest? ---------------------------------------------------------------------- */

struct look {
	const struct parked_record *entry;
	int64_t until_us, newer;
};

static int look(void *context, const struct consumer_message *m, struct err *e)
{
	struct look *l = context;
	int64_t seq;

	if (clock_monotonic_us() > l->until_us) {
		err_config(e, "too much was delivered since %s was parked to look through it",
			   l->entry->id);
		return err_hint(e, "With --force it is sent whatever came after it.");
	}
	if (m->value.data == NULL || !slice_equal(datum_of(m->key), datum_of(l->entry->key)))
		return 0;
	if (decode_seq(m->value, &seq, e) < 0)
		return -1;
	l->newer = seq > l->entry->seq ? seq : 0;
	return l->newer != 0;
}

static int check_newest(struct session *s, const struct parked_record *entry, struct err *e)
{
	struct look l = { entry, clock_monotonic_us() + LOOK_US, 0 };
	struct topic_info info;

	if (entry->key.data == NULL) /* no key: nothing replaces it */
		return 0;
	if (admin_topic(s->admin, entry->topic, &info, e) < 0)
		return -1;
	/* all of them: keys move when a topic gets more */
	for (int32_t p = 0; p < info.partitions && l.newer == 0; p++) {
		struct admin_offset from = { entry->topic, p, -1 };

		if (admin_offsets_at(s->admin, entry->at_us / 1000 - CLOCK_SLACK_MS, &from, 1, e) <
		    0)
			return -1;
		if (from.offset >= 0 &&
		    scan_partition(s->settings, entry->topic, p, from.offset, look, &l, e) < 0)
			return -1;
	}
	if (l.newer == 0)
		return 0;
	err_config(e, "%s is not the newest of its key: seq %" PRId64 " was delivered after it",
		   entry->id, l.newer);
	return err_hint(e, "Nothing is missing then. With --force it is sent all the same.");
}

/* ---- sending -------------------------------------------------------------------------------- */

/* seq is the first varint behind the wire header: replaced where it stands. */
static int set_seq(struct buf *value, int64_t seq, struct err *e)
{
	struct rd in = rd_from(buf_slice(value));
	struct buf text = BUF_INIT;
	size_t rest;

	rd_skip(&in, DECODE_WIRE_HEADER);
	(void)read_long(&in);
	if (!rd_ok(&in))
		return err_data(e, "a parked record without a seq");
	rest = value->size - in.at;
	write_long(&text, seq);
	(void)buf_reserve(value, SEQ_SIZE_MAX);
	memmove(value->data + DECODE_WIRE_HEADER + text.size, value->data + in.at, rest);
	memcpy(value->data + DECODE_WIRE_HEADER, text.data, text.size);
	value->size = DECODE_WIRE_HEADER + text.size + rest;
	buf_done(&text);
	return 0;
}

/* 1: sent; 0: still too large; -1. */
static int send_whole(struct session *s, const struct parked_record *entry, struct buf *out,
		      struct err *e)
{
	struct buf value = BUF_INIT, name = BUF_INIT;
	int64_t max;
	int rc;

	if (delivery_record_max(s->delivery, entry->topic, &max, e) < 0)
		return -1;
	if (entry->size + (int64_t)entry->key.size + SEQ_SIZE_MAX > max)
		return 0;
	rc = session_apart(s, e);
	if (rc == 0)
		rc = parked_whole(s->settings, s->registry, entry, &value, e);
	if (rc == 0)
		rc = set_seq(&value, s->seq + 1, e);
	if (rc == 0)
		rc = publisher_resend(s->publisher, entry->topic, entry->partition, entry->key,
				      buf_slice(&value), s->seq + 1, e);
	buf_done(&value);
	if (rc < 0)
		return -1;
	s->seq++;
	s->part_seq = s->seq;
	buf_add_format(&name, "parked:%s", entry->id);
	commit_batch_add(&s->batch, buf_cstr(&name), 1, s->commit_us);
	buf_done(&name);
	log_info("parked", "%s is sent as seq %" PRId64, entry->id, s->seq);
	buf_add_format(out, "%s{\"id\":\"%s\",\"seq\":%" PRId64 "}",
		       out->data[out->size - 1] == '[' ? "" : ",", entry->id, s->seq);
	return parked_remove(delivery_parked(s->delivery), entry, !entry->stand_in, e) < 0 ? -1 : 1;
}

static int too_large(const struct parked_record *entry, struct err *e)
{
	err_config(e, "%s has %" PRId64 " bytes: more than topic %s takes", entry->id, entry->size,
		   entry->topic);
	return err_hint(e,
			"Raise the topic's max.message.bytes first (and kafka.message.max.bytes, "
			"beyond 16 MB).");
}

/* Events behind `entry`, oldest first, until one does not fit. */
static int send_followers(struct session *s, const struct position_stored *stored,
			  const struct parked_record *entry, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < stored->parked_count; i++) {
		const struct parked_record *p = &stored->parked[i];
		int rc;

		if (p->stand_in || p->seq < entry->seq || p == entry || !same_key(p, entry))
			continue;
		rc = send_whole(s, p, out, e);
		if (rc <= 0)
			return rc;
	}
	return 0;
}

static int check_first(const struct position_stored *stored, const struct parked_record *entry,
		       struct err *e)
{
	for (size_t i = 0; i < stored->parked_count; i++) {
		const struct parked_record *p = &stored->parked[i];

		if (p == entry)
			break;
		if (!p->stand_in && same_key(p, entry))
			return err_config(e, "%s waits behind %s, which is of the same key",
					  entry->id, p->id);
	}
	return 0;
}

static int retry(struct session *s, const struct position_stored *stored,
		 const struct parked_record *entry, bool force, struct buf *out, struct err *e)
{
	int rc = 0;

	if (!entry->stand_in)
		rc = check_first(stored, entry, e);
	else if (!force)
		rc = check_newest(s, entry, e);
	if (rc < 0)
		return -1;
	rc = send_whole(s, entry, out, e);
	if (rc == 0)
		return too_large(entry, e);
	if (rc < 0 || entry->stand_in)
		return rc < 0 ? -1 : 0;
	return send_followers(s, stored, entry, out, e);
}

static int drop(struct session *s, const struct position_stored *stored,
		const struct parked_record *entry, bool force, struct buf *out, struct err *e)
{
	if (!entry->stand_in && check_first(stored, entry, e) < 0)
		return -1;
	if (delivery_begin(s->delivery, e) < 0 ||
	    parked_remove(delivery_parked(s->delivery), entry, !entry->stand_in || force, e) < 0)
		return -1;
	log_warning("parked", "%s of topic %s is dropped", entry->id, entry->topic);
	return entry->stand_in ? 0 : send_followers(s, stored, entry, out, e);
}

int session_parked(struct session *s, const struct command *c, struct buf *out, struct err *e)
{
	const char *id = command_text(c, "id"), *action = command_text(c, "action");
	bool force = command_text(c, "force") != NULL;
	struct position_stored stored;
	const struct parked_record *entry;
	int rc = -1;

	/* the index as it is committed */
	if ((s->batch.begun_us != 0 && session_commit(s, e) < 0) ||
	    position_read(s->settings, s->registry, &stored, e) < 0)
		return -1;
	parked_sort(stored.parked, stored.parked_count);
	entry = parked_find(stored.parked, stored.parked_count, id);
	buf_add_str(out, "{\"sent\":[");
	if (entry == NULL) {
		err_config(e, "nothing is parked as %s", id);
		err_hint(e, "`millrace parked list` says what is.");
	} else if (strcmp(action, "retry") == 0) {
		rc = retry(s, &stored, entry, force, out, e);
	} else {
		rc = drop(s, &stored, entry, force, out, e);
	}
	buf_add_str(out, "]}");
	position_stored_done(&stored);
	commit_batch_move(&s->batch);
	return rc;
}
