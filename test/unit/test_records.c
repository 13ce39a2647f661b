/*
 * test_records.c - commit, position and status: written, read, printed; by avro-c, too; by an older
 * and a newer schema; and what is damaged is refused.
 */
#include "core/avro/decode.h"
#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <avro.h>

static struct commit_transaction transactions[] = { { "0-1-7", 3, 1700000000000000 },
						    { "snapshot:shop.item:3", 1, 1699999999000000 },
						    { "0-1-8", 0, 1700000000000001 } };
static struct commit_touched touched[] = { { "cap.shop.item", 2, 4, 12 }, { "events", 0, 1, 9 } };
static const char *texts[] = { "a.b", "", "c\"d" };
static const struct commit_record commit = { .seq = 12,
					     .first_seq = 9,
					     .open = true,
					     .at_us = -5,
					     .bytes_total = INT64_MAX,
					     .transactions_total = 88,
					     .gtid_set = "0-1-7",
					     .transactions = transactions,
					     .transaction_count = 3,
					     .partitions = touched,
					     .partition_count = 2,
					     .copying = { texts, 3 } };

static struct position_copy copies[] = { { "shop",
					   "item",
					   false,
					   3,
					   60000,
					   { texts, 2 },
					   "reconcile",
					   7,
					   "TRUNCATE",
					   "a = 1",
					   true,
					   { texts, 2 },
					   17 },
					 { .db = "x", .table = "y", .done = true } };
static struct position_prepared prepared[] = { { "1:ab:", "0-1-5", "0-1-4", "bin.1", 77 } };
static const struct position_record position = { .seq = 12,
						 .gtid_set = "0-1-7",
						 .source = "1@db:3306",
						 .commit_us = 17,
						 .prepared = prepared,
						 .prepared_count = 1,
						 .file = "bin.2",
						 .file_position = 1234,
						 .file_created = 99,
						 .open_gtid = "0-1-8",
						 .open_changes = 2,
						 .copies = copies,
						 .copy_count = 2,
						 .fingerprint = "abc" };

static struct status_stage head = { 1, 2, 3 };
static struct status_verified verified = { 4, "0-1-2", 5, 6 };
static struct status_share shares[] = { { "m.shop.item", 3, 11, 7, 1500, "host, process 1", "" },
					{ "m.shop.item", 4, 12, 8, 0, "", "it is stuck" } };
static struct status_version versions[] = { { 2, "live", 7, "0-1-3", 8, 9, 0.5, "def", NULL, 9,
					      "t-1", 2, 3, 4, 5, 6, NULL, 7, shares, 2 } };
static struct status_copy status_copies[] = { { "shop.item", 10, 20, 1e300, false, "reconcile", 7,
						"ALTER", true } };
static const struct status_record status = { .seq = 1,
					     .kind = "view",
					     .name = "v",
					     .state = "live",
					     .head = &head,
					     .verified = &verified,
					     .versions = versions,
					     .version_count = 1,
					     .copies = status_copies,
					     .copy_count = 1,
					     .inputs = { texts, 1 },
					     .owner = "team",
					     .parked = 3,
					     .parked_bytes = 4096 };

static const struct parked_record parked = { .seq = 4711,
					     .id = "4711.0",
					     .piece = 1,
					     .pieces = 3,
					     .topic = "m.shop.item",
					     .partition = 2,
					     .key = { (const uint8_t *)"\0\0\0\0\1k", 6 },
					     .size = 1 << 20,
					     .op = "u",
					     .stand_in = true,
					     .transaction = "0-1-2",
					     .reason = "too large",
					     .offset = -1,
					     .data = { (const uint8_t *)"a\0b", 3 } };

static void written(enum record_kind kind, struct buf *out)
{
	buf_reset(out);
	write_wire_header(out, 3);
	if (kind == RECORD_COMMIT)
		records_write_commit(&commit, out);
	else if (kind == RECORD_POSITION)
		records_write_position(&position, out);
	else if (kind == RECORD_STATUS)
		records_write_status(&status, out);
	else
		records_write_parked(&parked, out);
}

static struct slice datum_of(const struct buf *wire)
{
	return slice_of(wire->data + DECODE_WIRE_HEADER, wire->size - DECODE_WIRE_HEADER);
}

/* The schema's own walk and avro-c must both find exactly what the tables write. */
START_TEST(test_records_schema)
{
	for (int kind = 0; kind < RECORD_KINDS; kind++) {
		struct slice text = slice_str(records_schema_text((enum record_kind)kind));
		struct buf wire = BUF_INIT, json = BUF_INIT;
		struct err e = ERR_INIT;
		struct schema *s;
		avro_schema_t schema;
		avro_value_iface_t *iface;
		avro_value_t value;
		avro_reader_t in;

		written((enum record_kind)kind, &wire);
		ck_assert_msg(schema_parse(text, &s, &e) == 0, "%s", e.msg);
		ck_assert_str_eq(s->fields[0].name, "seq"); /* first, as every reader expects */
		ck_assert_msg(decode_json(s, datum_of(&wire), &json, &e) == 0, "%s", e.msg);
		ck_assert_int_eq(
			avro_schema_from_json_length((const char *)text.data, text.size, &schema),
			0);
		iface = avro_generic_class_from_schema(schema);
		ck_assert_int_eq(avro_generic_value_new(iface, &value), 0);
		in = avro_reader_memory((const char *)wire.data + 5, (int64_t)wire.size - 5);
		ck_assert_msg(avro_value_read(in, &value) == 0, "%s", avro_strerror());
		avro_reader_free(in);
		avro_value_decref(&value);
		avro_value_iface_decref(iface);
		avro_schema_decref(schema);
		schema_free(s);
		buf_done(&wire);
		buf_done(&json);
	}
}
END_TEST

/* A piece as it was written; a key that is not there stays null and differs from an empty one. */
START_TEST(test_records_parked)
{
	struct records_reader *reader = records_reader_new(NULL, NULL);
	struct parked_record bare = parked, p;
	struct buf wire = BUF_INIT, json = BUF_INIT;
	struct err e = ERR_INIT;

	written(RECORD_PARKED, &wire);
	ck_assert_msg(records_read_parked(reader, buf_slice(&wire), &p, &e) == 0, "%s", e.msg);
	ck_assert(p.seq == 4711 && p.piece == 1 && p.pieces == 3 && p.partition == 2 && p.stand_in);
	ck_assert(slice_equal(p.key, parked.key) && slice_equal(p.data, parked.data));
	ck_assert(p.size == 1 << 20 && p.offset == -1);
	ck_assert_str_eq(p.id, "4711.0");
	records_json_parked(&p, &json);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&json), "\"data\":\"610062\""));
	records_done_parked(&p);
	bare.key = slice_of(NULL, 0);
	bare.data = slice_of("", 0);
	buf_reset(&wire);
	write_wire_header(&wire, 3);
	records_write_parked(&bare, &wire);
	ck_assert_msg(records_read_parked(reader, buf_slice(&wire), &p, &e) == 0, "%s", e.msg);
	ck_assert(p.key.data == NULL && p.data.data != NULL && p.data.size == 0);
	records_done_parked(&p);
	records_reader_free(reader);
	buf_done(&wire);
	buf_done(&json);
}
END_TEST

START_TEST(test_records_commit)
{
	struct records_reader *reader = records_reader_new(NULL, NULL);
	struct buf wire = BUF_INIT, json = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;
	struct commit_record c;

	written(RECORD_COMMIT, &wire);
	ck_assert_msg(records_read_commit(reader, buf_slice(&wire), &c, &e) == 0, "%s", e.msg);
	records_reader_free(reader);
	ck_assert(c.open && c.seq == 12 && c.first_seq == 9 && c.at_us == -5 &&
		  c.bytes_total == INT64_MAX);
	ck_assert_uint_eq(c.transaction_count, 3);
	ck_assert_str_eq(c.transactions[1].gtid, "snapshot:shop.item:3");
	ck_assert_int_eq(c.transactions[1].commit_us, 1699999999000000);
	ck_assert_int_eq(c.transactions[2].commit_us, 1700000000000001);
	ck_assert_str_eq(c.partitions[1].topic, "events");
	ck_assert_uint_eq(c.copying.count, 3);
	ck_assert_str_eq(c.copying.items[2], "c\"d");
	ck_assert_uint_eq(c.held.count, 0);
	records_json_commit(&c, &json);
	ck_assert_str_eq(
		buf_cstr(&json),
		"{\"seq\":12,\"first_seq\":9,\"open\":true,\"at_us\":-5,\"bytes_total\":9223372036854775807,"
		"\"transactions_total\":88,\"gtid_set\":\"0-1-7\",\"transactions\":["
		"{\"gtid\":\"0-1-7\",\"changes\":3,\"commit_us\":1700000000000000},"
		"{\"gtid\":\"snapshot:shop.item:3\",\"changes\":1,\"commit_us\":1699999999000000},"
		"{\"gtid\":\"0-1-8\",\"changes\":0,\"commit_us\":1700000000000001}],\"partitions\":["
		"{\"topic\":\"cap.shop.item\",\"partition\":2,\"records\":4,\"last_seq\":12},"
		"{\"topic\":\"events\",\"partition\":0,\"records\":1,\"last_seq\":9}],"
		"\"held\":[],\"copied\":[],\"copying\":[\"a.b\",\"\",\"c\\\"d\"],\"reconciling\":[],"
		"\"unchanged\":false,\"reconciled\":[]}");
	write_wire_header(&again, 3);
	records_write_commit(&c, &again);
	ck_assert(slice_equal(buf_slice(&again), buf_slice(&wire)));
	records_done_commit(&c);
	buf_done(&wire);
	buf_done(&json);
	buf_done(&again);
}
END_TEST

START_TEST(test_records_others)
{
	struct records_reader *reader = records_reader_new(NULL, NULL);
	struct buf wire = BUF_INIT, json = BUF_INIT;
	struct err e = ERR_INIT;
	struct position_record p;
	struct status_record s;

	written(RECORD_POSITION, &wire);
	ck_assert_msg(records_read_position(reader, buf_slice(&wire), &p, &e) == 0, "%s", e.msg);
	records_json_position(&p, &json);
	ck_assert_str_eq(
		buf_cstr(&json),
		"{\"seq\":12,\"gtid_set\":\"0-1-7\",\"source\":\"1@db:3306\",\"commit_us\":17,\"bytes_total\":0,"
		"\"transactions_total\":0,\"open_gtid\":\"0-1-8\",\"open_changes\":2,\"copies\":["
		"{\"db\":\"shop\",\"table\":\"item\",\"done\":false,\"chunks\":3,\"rows\":60000,\"last_key\":[\"a.b\",\"\"],"
		"\"kind\":\"reconcile\",\"id\":7,\"why\":\"TRUNCATE\",\"where\":\"a = 1\",\"paused\":true,\"keys\":[\"a.b\",\"\"],\"shape\":17},"
		"{\"db\":\"x\",\"table\":\"y\",\"done\":true,\"chunks\":0,\"rows\":0,\"last_key\":[],"
		"\"kind\":\"\",\"id\":0,\"why\":\"\",\"where\":\"\",\"paused\":false,\"keys\":[],\"shape\":0}],\"fingerprint\":\"abc\","
		"\"file\":\"bin.2\",\"file_position\":1234,\"file_created\":99,\"prepared\":[{\"xid\":\"1:ab:\",\"gtid\":\"0-1-5\","
		"\"gtid_set\":\"0-1-4\",\"file\":\"bin.1\",\"file_position\":77}]}");
	records_done_position(&p);
	written(RECORD_STATUS, &wire);
	ck_assert_msg(records_read_status(reader, buf_slice(&wire), &s, &e) == 0, "%s", e.msg);
	ck_assert(s.read == NULL && s.head->us == 3 && s.verified->differences == 6);
	ck_assert(s.parked == 3 && s.parked_bytes == 4096);
	ck_assert_str_eq(s.message, ""); /* NULL was written */
	ck_assert_str_eq(s.versions[0].message, "");
	ck_assert(s.copies[0].rate == 1e300 && s.versions[0].rate == 0.5);
	records_done_status(&s);
	records_reader_free(reader);
	buf_done(&wire);
	buf_done(&json);
}
END_TEST

struct registered {
	const char *text;
	int looked_up;
};

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registered *r = context;

	r->looked_up++;
	if (id != 3)
		return err_data(e, "unknown schema id %d", id);
	*ret_text = r->text;
	return 0;
}

/* By a writer who lacks most fields, has others, in another order, and an int where we have a long.
 */
START_TEST(test_records_other_writer)
{
	struct registered r = {
		"{\"type\":\"record\",\"name\":\"Commit\",\"fields\":["
		"{\"name\":\"seq\",\"type\":\"int\"},"
		"{\"name\":\"new\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"string\"}}},"
		"{\"name\":\"gtid_set\",\"type\":[\"null\",\"string\"]},"
		"{\"name\":\"transactions\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"T\","
		"\"fields\":[{\"name\":\"changes\",\"type\":\"long\"},{\"name\":\"also_new\",\"type\":\"double\"}]}}}]}",
		0
	};
	struct records_reader *reader = records_reader_new(lookup, &r);
	struct buf wire = BUF_INIT;
	struct err e = ERR_INIT;
	struct commit_record c;
	struct position_record p;

	write_wire_header(&wire, 3);
	write_long(&wire, 5);
	write_long(&wire, 1); /* new: one block of one key */
	write_str(&wire, "k");
	write_long(&wire, 1);
	write_str(&wire, "v");
	write_long(&wire, 0);
	write_long(&wire, 0);
	write_long(&wire, 0);  /* gtid_set: null */
	write_long(&wire, -2); /* transactions: a block with its size, then another */
	write_long(&wire, 18);
	write_long(&wire, 6);
	write_double(&wire, 0.5);
	write_long(&wire, 7);
	write_double(&wire, 0.5);
	write_long(&wire, 1);
	write_long(&wire, 8);
	write_double(&wire, 0.5);
	write_long(&wire, 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(records_read_commit(reader, buf_slice(&wire), &c, &e) == 0, "%s",
			      e.msg);
		ck_assert_int_eq(c.seq, 5);
		ck_assert_str_eq(c.gtid_set, "");
		ck_assert_uint_eq(c.transaction_count, 3);
		ck_assert_int_eq(c.transactions[2].changes, 8);
		ck_assert_str_eq(c.transactions[2].gtid, "");
		ck_assert_uint_eq(c.partition_count, 0);
		records_done_commit(&c);
	}
	ck_assert_int_eq(r.looked_up, 1);
	wire.data[4] = 4;
	ck_assert_int_eq(records_read_commit(reader, buf_slice(&wire), &c, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "commit record: schema 4: unknown schema id 4"));
	records_reader_free(reader);

	r.text =
		"{\"type\":\"record\",\"name\":\"P\",\"fields\":[{\"name\":\"seq\",\"type\":\"string\"}]}";
	reader = records_reader_new(lookup, &r);
	wire.data[4] = 3;
	ck_assert_int_eq(records_read_position(reader, buf_slice(&wire), &p, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "another type for field seq"));
	records_reader_free(reader);
	buf_done(&wire);
}
END_TEST

START_TEST(test_records_damaged)
{
	struct records_reader *reader = records_reader_new(NULL, NULL);
	struct buf wire = BUF_INIT;
	struct err e = ERR_INIT;
	struct commit_record c;
	struct status_record s;

	unit_seed();
	written(RECORD_COMMIT, &wire);
	for (size_t n = 0; n < wire.size; n++) {
		ck_assert_int_eq(records_read_commit(reader, slice_of(wire.data, n), &c, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
	}
	buf_add_u8(&wire, 0);
	ck_assert_int_eq(records_read_commit(reader, buf_slice(&wire), &c, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "1 bytes left over"));
	for (int kind = 0; kind < 2; kind++) {
		written(kind == 0 ? RECORD_COMMIT : RECORD_STATUS, &wire);
		for (int i = 0; i < 100000; i++) {
			size_t at = unit_random_below(wire.size);
			uint8_t was = wire.data[at];

			wire.data[at] = (uint8_t)unit_random64();
			if (kind == 0 && records_read_commit(reader, buf_slice(&wire), &c, &e) == 0)
				records_done_commit(&c);
			if (kind == 1 && records_read_status(reader, buf_slice(&wire), &s, &e) == 0)
				records_done_status(&s);
			wire.data[at] = was;
		}
	}
	records_reader_free(reader);
	buf_done(&wire);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("records");

	unit_test(s, test_records_schema);
	unit_test(s, test_records_commit);
	unit_test(s, test_records_parked);
	unit_test(s, test_records_others);
	unit_test(s, test_records_other_writer);
	unit_test_slow(s, test_records_damaged, 20);
	return unit_run(s);
}
