/* test_publisher.c - changes in, records out, without a broker: the bytes are read back by avro-c
 * with the schemas as registered.
 *
 * Covers: seq and touched partitions, key changes, when/where of events, exact and absent, and what
 * is refused. */
#include "cdc/publish/publisher.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "test/unit/unit.h"

#include <avro.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SENT_MAX 64

struct sent {
	char topic[64];
	int32_t partition;
	struct buf key, value;
};

static struct {
	char *names[16];
	size_t name_count;
	char *texts[32];
	size_t text_count;
	struct sent sent[SENT_MAX];
	size_t count;
} broker;

static char folder[] = "/tmp/test_publisherXXXXXX";

static int sink_topic(void *context, const char *name, struct publish_topic **ret_topic,
		      int32_t *ret_partitions, struct err *e)
{
	(void)context, (void)e;
	broker.names[broker.name_count] = xstrdup(name);
	*ret_topic = (struct publish_topic *)broker.names[broker.name_count++];
	*ret_partitions = 3;
	return 0;
}

static int sink_send(void *context, struct publish_topic *topic, int32_t partition,
		     struct slice key, struct slice value, struct err *e)
{
	struct sent *s = &broker.sent[broker.count++];

	(void)context, (void)e;
	snprintf(s->topic, sizeof(s->topic), "%s", (const char *)topic);
	s->partition = partition;
	buf_reset(&s->key);
	buf_reset(&s->value);
	buf_add_slice(&s->key, key);
	buf_add_slice(&s->value, value);
	return 0;
}

static int sink_schema(void *context, const char *subject, const char *text, int32_t *ret_id,
		       struct err *e)
{
	(void)context, (void)e, (void)subject;
	broker.texts[broker.text_count] = xstrdup(text);
	*ret_id = (int32_t)broker.text_count++;
	return 0;
}

/* Parking: records beyond `record_max` go here; events of a parked key wait. */
static struct {
	int64_t record_max; /* 0: no limit */
	struct sent sent[SENT_MAX];
	struct publish_parked records[SENT_MAX];
	char ops[SENT_MAX];
	size_t count;
	struct buf blocked; /* the key that waits */
} park;

static int64_t sink_record_max(void *context, const struct publish_topic *topic)
{
	(void)context, (void)topic;
	return park.record_max != 0 ? park.record_max : INT64_MAX;
}

static int sink_park(void *context, const struct publish_parked *record, struct buf *ret_where,
		     struct err *e)
{
	struct sent *s = &park.sent[park.count];

	(void)context, (void)e;
	park.ops[park.count] = record->op[0];
	park.records[park.count++] = *record;
	snprintf(s->topic, sizeof(s->topic), "%s", record->topic_name);
	s->partition = record->partition;
	buf_reset(&s->value);
	buf_add_slice(&s->value, record->value);
	if (!record->stand_in) {
		buf_reset(&park.blocked);
		buf_add_slice(&park.blocked, record->key);
	}
	buf_add_format(ret_where, "cap.parked:0:%zu", park.count);
	return 0;
}

static bool sink_blocks(void *context, const struct publish_topic *topic, struct slice key)
{
	(void)context, (void)topic;
	return park.blocked.size == key.size && /* another publisher, other schema ids */
	       memcmp(key.data + 5, park.blocked.data + 5, key.size - 5) == 0;
}

static const struct publish_sink sink = { NULL,        sink_topic,      sink_send,
					  sink_schema, sink_record_max, sink_park,
					  sink_blocks };

/* ---- a table and its rows ---- */

static const char *labels[] = { "pending", "active" };

static struct shape *make_shape(void)
{
	struct shape *s = shape_new("db", "tab", 5);

	s->columns[0] =
		(struct column){ .name = xstrdup("id"), .type = COLUMN_LONG, .is_unsigned = true };
	s->columns[1] = (struct column){ .name = xstrdup("name"),
					 .type = COLUMN_VARCHAR,
					 .nullable = true,
					 .collation = 45,
					 .size_max = 80 };
	s->columns[2] = (struct column){ .name = xstrdup("status"),
					 .type = COLUMN_ENUM,
					 .collation = 45,
					 .pack_bytes = 1,
					 .label_count = 2 };
	s->columns[2].labels = xcalloc(2, sizeof(char *));
	s->columns[2].labels[0] = xstrdup(labels[0]);
	s->columns[2].labels[1] = xstrdup(labels[1]);
	s->columns[3] =
		(struct column){ .name = xstrdup("born"), .type = COLUMN_DATE, .nullable = true };
	s->columns[4] = (struct column){ .name = xstrdup("grp"), .type = COLUMN_LONG };
	s->key = xcalloc(1, sizeof(*s->key));
	s->key_count = 1;
	return s;
}

struct row {
	struct buf image;
	struct cell cells[5];
};

static const struct cell *make_row(struct row *row, const struct shape *shape,
				   const char *const *text)
{
	struct slice slices[5];
	static const uint8_t all[] = { 0x1f };
	struct err e = ERR_INIT;
	struct rd in;

	for (int i = 0; i < 5; i++)
		slices[i] = text[i] != NULL ? slice_str(text[i]) : slice_of(NULL, 0);
	buf_reset(&row->image);
	ck_assert_msg(row_image_from_text(shape, slices, &row->image, &e) == 0, "%s", e.msg);
	in = rd_from(buf_slice(&row->image));
	ck_assert_msg(row_split(&in, shape, all, row->cells, &e) == 0, "%s", e.msg);
	return row->cells;
}

/* id, name, status number, born, grp */
#define ROW(row, id, name, status, born, grp) \
	make_row(row, shape, (const char *const[]){ id, name, status, born, grp })

static void write_event(const char *name, const char *when, const char *where, const char *more)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.avsc", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"{\"type\":\"record\",\"namespace\":\"n\",\"name\":\"%s\",\"millrace\":{\"owner\":\"o\",\"topic\":\"ev\","
		"\"key\":[\"grp\"],\"from\":\"db.tab\",\"when\":\"%s\"%s%s%s},\"fields\":[{\"name\":\"grp\",\"type\":\"int\"},"
		"{\"name\":\"id\",\"type\":\"long\"}%s]}",
		name, when, where != NULL ? ",\"where\":\"" : "", where != NULL ? where : "",
		where != NULL ? "\"" : "", more);
	fclose(f);
}

static struct settings settings;
static char *tables[] = { "db.*" };
static char name[] = "cap", schemas_topic[] = "_schemas", carry[] = "carry";

static struct publisher *open_publisher(struct err *e)
{
	struct publisher *p = NULL;

	settings.name = name;
	if (settings.kafka_schemas_topic == NULL)
		settings.kafka_schemas_topic = schemas_topic;
	if (settings.capture_on_inexact == NULL)
		settings.capture_on_inexact = carry;
	settings.capture_tables.items = tables;
	settings.capture_tables.count = 1;
	settings.capture_events_dir = folder;
	return publisher_new(&settings, &sink, &p, e) == 0 ? p : NULL;
}

static void new_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* ---- reading back ---- */

static char *as_json(const struct buf *wire)
{
	int32_t id = wire->data[1] << 24 | wire->data[2] << 16 | wire->data[3] << 8 | wire->data[4];
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t value;
	avro_reader_t reader;
	char *json;

	ck_assert_uint_eq(wire->data[0], 0);
	ck_assert_msg(avro_schema_from_json_length(broker.texts[id], strlen(broker.texts[id]),
						   &schema) == 0,
		      "%s\n%s", avro_strerror(), broker.texts[id]);
	iface = avro_generic_class_from_schema(schema);
	avro_generic_value_new(iface, &value);
	reader = avro_reader_memory((const char *)wire->data + 5, (int64_t)wire->size - 5);
	ck_assert_msg(avro_value_read(reader, &value) == 0, "%s", avro_strerror());
	ck_assert_msg(avro_value_to_json(&value, 1, &json) == 0, "%s", avro_strerror());
	avro_reader_free(reader);
	avro_value_decref(&value);
	avro_value_iface_decref(iface);
	avro_schema_decref(schema);
	return json;
}

static void expect_sent(size_t i, const char *topic, const char *const *parts)
{
	char *json;

	ck_assert_uint_gt(broker.count, i);
	ck_assert_str_eq(broker.sent[i].topic, topic);
	json = as_json(&broker.sent[i].value);
	for (; *parts != NULL; parts++)
		ck_assert_msg(strstr(json, *parts) != NULL, "record %zu lacks %s: %s", i, *parts,
			      json);
	free(json);
}

#define EXPECT(i, topic, ...) expect_sent(i, topic, (const char *const[]){ __VA_ARGS__, NULL })

static int64_t change(struct publisher *p, struct shape *shape, enum change_op op,
		      const struct cell *before, const struct cell *after, int64_t *seq)
{
	const struct change c = { .op = op,
				  .shape = shape,
				  .before = before,
				  .after = after,
				  .transaction = "0-1-7",
				  .commit_us = 1000000,
				  .order = 1 };
	struct err e = ERR_INIT;

	broker.count = 0;
	ck_assert_msg(publisher_change(p, &c, seq, &e) == 0, "%s", e.msg);
	return *seq;
}

/* Three events on active rows: came, went, and changed its name. */
static struct publisher *open_lives(void)
{
	struct err e = ERR_INIT;
	struct publisher *p;

	write_event("Came", "enters", "status = 'active'", "");
	write_event("Went", "leaves", "status = 'active'", "");
	write_event("Moved", "changes", "status = 'active'",
		    ",{\"name\":\"name\",\"type\":[\"null\",\"string\"],\"default\":null}");
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	return p;
}

static void end_lives(struct publisher *p, struct shape *shape, struct row *a, struct row *b)
{
	publisher_free(p);
	shape_unref(shape);
	buf_done(&a->image);
	buf_done(&b->image);
}

START_TEST(a_row_enters_and_changes)
{
	struct shape *shape = make_shape();
	struct row a = { 0 }, b = { 0 };
	struct publisher *p = open_lives();
	int64_t seq = 40;

	/* inserted pending: only a row record */
	change(p, shape, CHANGE_CREATE, NULL, ROW(&a, "7", "ann", "1", NULL, "3"), &seq);
	ck_assert_int_eq(seq, 41);
	ck_assert_uint_eq(broker.count, 1);
	EXPECT(0, "cap.db.tab", "\"seq\": 41", "\"op\": \"c\"", "\"before\": null",
	       "\"status\": {\"string\": \"pending\"}", "\"id\": {\"long\": 7}", "\"born\": null",
	       "\"name\": \"cap\", \"db\": \"db\", \"table\": \"tab\"", "\"exact\": null",
	       "\"absent\": null", "\"parked\": null");
	ck_assert_uint_gt(broker.sent[0].key.size, 5);

	/* accepted: enters, with the row's seq */
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", "ann", "1", NULL, "3"),
	       ROW(&b, "7", "ann", "2", NULL, "3"), &seq);
	ck_assert_uint_eq(broker.count, 2);
	EXPECT(1, "ev", "\"seq\": 42", "\"gtid\": \"0-1-7\"", "\"at\": 1000000", "\"grp\": 3",
	       "\"id\": 7");

	/* nothing that the event holds changed: no event; then a name: changes */
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", "ann", "2", NULL, "3"),
	       ROW(&b, "7", "ann", "2", "2001-02-03", "3"), &seq);
	ck_assert_uint_eq(broker.count, 1);
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", "ann", "2", NULL, "3"),
	       ROW(&b, "7", "Ann", "2", NULL, "3"), &seq);
	ck_assert_uint_eq(broker.count, 2);
	EXPECT(1, "ev", "\"seq\": 44", "\"name\": {\"string\": \"Ann\"}");
	end_lives(p, shape, &a, &b);
}
END_TEST

START_TEST(a_key_changes)
{
	struct shape *shape = make_shape();
	struct row a = { 0 }, b = { 0 };
	struct publisher *p = open_lives();
	int64_t seq = 44;

	/* the event's key: leaves the old one, enters the new one, one seq */
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", "Ann", "2", NULL, "3"),
	       ROW(&b, "7", "Ann", "2", NULL, "4"), &seq);
	ck_assert_uint_eq(broker.count, 3);
	EXPECT(1, "ev", "\"seq\": 45", "\"grp\": 3");
	EXPECT(2, "ev", "\"seq\": 45", "\"grp\": 4");

	/* the row's own key: delete and create, a seq each, with their events */
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", "Ann", "2", NULL, "4"),
	       ROW(&b, "8", "Ann", "2", NULL, "4"), &seq);
	ck_assert_int_eq(seq, 47);
	ck_assert_uint_eq(broker.count, 4);
	EXPECT(0, "cap.db.tab", "\"op\": \"d\"", "\"seq\": 46", "\"after\": null",
	       "\"id\": {\"long\": 7}");
	EXPECT(1, "ev", "\"seq\": 46", "\"id\": 7");
	EXPECT(2, "cap.db.tab", "\"op\": \"c\"", "\"seq\": 47", "\"before\": null",
	       "\"id\": {\"long\": 8}");
	EXPECT(3, "ev", "\"seq\": 47", "\"id\": 8");

	/* deleted: leaves */
	change(p, shape, CHANGE_DELETE, ROW(&a, "8", "Ann", "2", NULL, "4"), NULL, &seq);
	ck_assert_uint_eq(broker.count, 2);
	EXPECT(1, "ev", "\"seq\": 48", "\"id\": 8");
	end_lives(p, shape, &a, &b);
}
END_TEST

/* A row leaves a stand-in, an event nothing; later events of its key wait, others don't. What is
 * parked is not counted as written. */
START_TEST(too_large_is_parked)
{
	static const char long_name[] =
		"a name that has about seventy bytes, which is more than fits in here..";
	struct shape *shape = make_shape();
	struct row a = { 0 }, b = { 0 };
	struct publisher *p;
	const struct publish_touched *touched;
	int64_t seq = 0, written = 0;
	size_t n;
	char *json;

	park.record_max = 210;
	p = open_lives();
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", long_name, "2", NULL, "3"),
	       ROW(&b, "7", long_name, "2", NULL, "3"), &seq);
	ck_assert_uint_eq(park.count, 1);
	ck_assert(park.records[0].stand_in && park.records[0].number == 0 &&
		  park.records[0].seq == 1);
	ck_assert_int_eq(park.ops[0], 'u');
	json = as_json(&park.sent[0].value);
	ck_assert_ptr_nonnull(strstr(json, long_name));
	ck_assert_ptr_nonnull(strstr(json, "\"parked\": null"));
	free(json);
	ck_assert_uint_eq(broker.count, 1);
	EXPECT(0, "cap.db.tab", "\"seq\": 1", "\"op\": \"u\"", "\"before\": null",
	       "\"after\": null", "\"parked\": {\"string\": \"cap.parked:0:1\"}",
	       "\"id\": \"0-1-7\"");
	ck_assert_int_eq(broker.sent[0].partition, park.sent[0].partition);
	publisher_free(p);

	park.record_max = 90; /* now events, too: only those with the name */
	park.count = 0;
	p = open_lives();
	change(p, shape, CHANGE_UPDATE, ROW(&a, "7", "ann", "2", NULL, "3"),
	       ROW(&b, "7", long_name, "2", NULL, "3"), &seq);
	ck_assert_uint_eq(park.count, 2);
	ck_assert(!park.records[1].stand_in && park.records[1].number > 0);
	ck_assert_int_eq(park.ops[1], '\0');
	ck_assert_uint_eq(broker.count, 1); /* the stand-in alone */
	park.record_max = 0;
	publisher_free(p);
	p = open_lives();
	change(p, shape, CHANGE_CREATE, NULL, ROW(&b, "8", "bob", "2", NULL, "3"), &seq);
	ck_assert_uint_eq(park.count, 3); /* small, but behind the parked one */
	ck_assert_uint_eq(broker.count, 1);
	change(p, shape, CHANGE_CREATE, NULL, ROW(&b, "9", "eve", "2", NULL, "4"), &seq);
	ck_assert_uint_eq(park.count, 3); /* another key */
	ck_assert_uint_eq(broker.count, 2);
	touched = publisher_touched(p, &n);
	for (size_t i = 0; i < n; i++)
		written += touched[i].records;
	ck_assert_int_eq(written, 3);
	end_lives(p, shape, &a, &b);
}
END_TEST

START_TEST(a_commit_says_what_was_touched)
{
	struct shape *shape = make_shape();
	struct row a = { 0 }, b = { 0 };
	struct publisher *p = open_lives();
	const struct publish_touched *touched;
	int64_t seq = 0, records = 0;
	size_t n;

	for (int i = 0; i < 3; i++)
		change(p, shape, CHANGE_CREATE, NULL, ROW(&a, "7", "ann", "2", NULL, "3"), &seq);
	touched = publisher_touched(p, &n);
	ck_assert_uint_eq(n, 2); /* one key: one partition of the rows, one of the events */
	for (size_t i = 0; i < n; i++) {
		records += touched[i].records;
		ck_assert_int_eq(touched[i].last_seq, 3);
	}
	ck_assert_int_eq(records, 6);
	ck_assert_int_gt(publisher_bytes(p), 0);
	publisher_commit(p);
	(void)publisher_touched(p, &n);
	ck_assert_uint_eq(n, 0);
	end_lives(p, shape, &a, &b);
}
END_TEST

START_TEST(inexact_and_absent_are_said)
{
	struct err e = ERR_INIT;
	struct shape *shape = make_shape();
	struct row a = { 0 };
	struct publisher *p;
	struct cell *cells;
	int64_t seq = 0;

	write_event("Came", "enters", NULL, "");
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	change(p, shape, CHANGE_READ, NULL, ROW(&a, "7", NULL, "0", "0000-00-00", "3"), &seq);
	EXPECT(0, "cap.db.tab", "\"op\": \"r\"", "\"snapshot\": true", "\"born\": null",
	       "\"status\": null", "\"after.born\": \"0000-00-00\"", "\"after.status\": \"\"");
	cells = a.cells;
	cells[1].state = CELL_ABSENT;
	change(p, shape, CHANGE_CREATE, NULL, cells, &seq);
	EXPECT(0, "cap.db.tab", "\"absent\": {\"array\": [\"after.name\"]}", "\"name\": null");
	publisher_free(p);
	shape_unref(shape);
	buf_done(&a.image);
}
END_TEST

/* A zero date in row 7: delivered, parked behind a stand-in, or refused. */
START_TEST(inexact_follows_the_policy)
{
	struct err e = ERR_INIT;
	struct shape *shape = make_shape();
	struct row a = { 0 };
	struct publisher *p;
	struct change c = {
		.op = CHANGE_CREATE, .shape = shape, .transaction = "0-1-9", .order = 1
	};
	int64_t seq = 0;
	double before;

	write_event("Came", "enters", NULL, "");
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	settings.capture_on_inexact = (char *)(uintptr_t) "park";
	change(p, shape, CHANGE_CREATE, NULL, ROW(&a, "7", "ann", "1", "0000-00-00", "3"), &seq);
	ck_assert_uint_eq(park.count, 1);
	ck_assert(park.records[0].stand_in && park.records[0].seq == 1);
	EXPECT(0, "cap.db.tab", "\"after\": null", "\"parked\": {\"string\": \"cap.parked:0:1\"}");
	settings.capture_on_inexact = (char *)(uintptr_t) "stop";
	c.after = ROW(&a, "7", "ann", "1", "0000-00-00", "3");
	ck_assert_int_eq(publisher_change(p, &c, &seq, &e), -1);
	ck_assert(e.kind == ERR_DATA && strstr(e.msg, "column born (date)") != NULL &&
		  strstr(e.msg, "0-1-9") != NULL && strstr(e.msg, "capture.on_inexact") != NULL);
	settings.capture_on_inexact = (char *)(uintptr_t) "carry";
	before = metric_value(metric_counter("millrace_capture_inexact_total", "", "table",
					     "db.tab", "column", "born", NULL));
	change(p, shape, CHANGE_CREATE, NULL, ROW(&a, "7", "ann", "1", "0000-00-00", "3"), &seq);
	ck_assert_uint_eq(park.count, 1);
	publisher_commit(p);
	ck_assert(metric_value(metric_counter("millrace_capture_inexact_total", "", "table",
					      "db.tab", "column", "born", NULL)) == before + 3);
	publisher_free(p);
	shape_unref(shape);
	buf_done(&a.image);
}
END_TEST

START_TEST(a_field_that_cannot_be_filled_stops)
{
	struct err e = ERR_INIT;
	struct shape *shape = make_shape();
	struct row a = { 0 };
	struct publisher *p;
	int64_t seq = 10;
	struct change c = {
		.op = CHANGE_CREATE, .shape = shape, .transaction = "0-1-9", .order = 1
	};

	write_event("Came", "enters", NULL, ",{\"name\":\"name\",\"type\":\"string\"}");
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	c.after = ROW(&a, "7", NULL, "1", NULL, "3");
	ck_assert_int_eq(publisher_change(p, &c, &seq, &e), -1);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_ptr_nonnull(strstr(e.msg, "n.Came"));
	ck_assert_ptr_nonnull(strstr(e.msg, "0-1-9"));
	ck_assert_ptr_nonnull(strstr(e.msg, "HINT"));
	publisher_free(p);
	shape_unref(shape);
	buf_done(&a.image);
}
END_TEST

START_TEST(an_event_never_says_null_for_a_column_that_is_not_there)
{
	struct err e = ERR_INIT;
	struct shape *shape = make_shape();
	struct row a = { 0 };
	struct publisher *p;
	int64_t seq = 10;
	struct change c = {
		.op = CHANGE_CREATE, .shape = shape, .transaction = "0-1-9", .order = 1
	};

	write_event("Came", "enters", NULL, ",{\"name\":\"name\",\"type\":[\"null\",\"string\"]}");
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	c.after = ROW(&a, "7", "Ann", "1", NULL, "3");
	a.cells[1].state = CELL_ABSENT;
	ck_assert_int_eq(publisher_change(p, &c, &seq, &e), -1);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_ptr_nonnull(strstr(e.msg, "binlog_row_image=FULL"));
	publisher_free(p);
	shape_unref(shape);
	buf_done(&a.image);
}
END_TEST

/* field added to the event, where, what the message must hold */
static const char *const unfit[][3] = {
	{ ",{\"name\":\"nosuch\",\"type\":\"int\"}", NULL, "nosuch" },
	{ ",{\"name\":\"born\",\"type\":\"string\"}", NULL, "field born" },
	{ ",{\"name\":\"born\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}",
	  NULL, "field born" },
	{ ",{\"name\":\"name\",\"type\":{\"type\":\"array\",\"items\":\"string\"}}", NULL,
	  "field name" },
	{ "", "statu = 1", "statu" },
	{ "", "id = (SELECT 1)", "where" },
	{ "", "id = ", "where" },
};

START_TEST(an_event_that_does_not_fit_the_table)
{
	struct err e = ERR_INIT;
	struct shape *shape = make_shape();
	struct publisher *p;

	write_event("Came", "enters", unfit[_i][1], unfit[_i][0]);
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	ck_assert_int_eq(publisher_prepare(p, shape, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_msg(strstr(e.msg, unfit[_i][2]) != NULL, "wanted '%s' in: %s", unfit[_i][2],
		      e.msg);
	ck_assert_ptr_nonnull(strstr(e.msg, "Came.avsc"));
	publisher_free(p);
	shape_unref(shape);
}
END_TEST

START_TEST(files_are_checked_together)
{
	struct err e = ERR_INIT;
	struct publisher *p;

	write_event("Came", "enters", NULL, "");
	write_event("Same", "enters", NULL, "");
	p = open_publisher(&e);
	ck_assert_msg(p != NULL, "%s", e.msg);
	publisher_free(p);
	tables[0] = "other.*";
	ck_assert_ptr_null(open_publisher(&e));
	tables[0] = "db.*";
	ck_assert_ptr_nonnull(strstr(e.msg, "Came.avsc: table db.tab is not captured"));
	ck_assert_ptr_nonnull(strstr(e.msg, "Same.avsc: table db.tab is not captured"));
	snprintf(schemas_topic, sizeof(schemas_topic), "ev");
	ck_assert_ptr_null(open_publisher(&e));
	ck_assert_ptr_nonnull(strstr(e.msg, "topic ev belongs to Millrace itself"));
	settings.capture_events_dir = "/nonexistent";
}
END_TEST

int main(void)
{
	Suite *s = suite_create("publisher");
	TCase *t = tcase_create("changes");

	tcase_add_checked_fixture(t, new_folder, remove_folder);
	tcase_add_test(t, a_row_enters_and_changes);
	tcase_add_test(t, a_key_changes);
	tcase_add_test(t, a_commit_says_what_was_touched);
	tcase_add_test(t, too_large_is_parked);
	tcase_add_test(t, inexact_follows_the_policy);
	tcase_add_test(t, inexact_and_absent_are_said);
	tcase_add_test(t, a_field_that_cannot_be_filled_stops);
	tcase_add_test(t, an_event_never_says_null_for_a_column_that_is_not_there);
	tcase_add_loop_test(t, an_event_that_does_not_fit_the_table, 0,
			    (int)(sizeof(unfit) / sizeof(*unfit)));
	tcase_add_test(t, files_are_checked_together);
	suite_add_tcase(s, t);
	return unit_run(s);
}
