/* test_handlers.c - records into statements: parameters, row operations, what is refused; damaged
 * records. */
#include "test/unit/unit.h"

#include "core/avro/write.h"
#include "core/base/mem.h"
#include "projections/apply/handlers.h"

#define IMAGE                                                                     \
	"[\"null\", {\"type\": \"record\", \"name\": \"Value\", \"fields\": ["    \
	"{\"name\": \"id\", \"type\": [\"null\", \"long\"], \"default\": null}, " \
	"{\"name\": \"name\", \"type\": [\"null\", \"string\"], \"default\": null}]}]"

static const char *const schemas[] = {
	("{\"type\": \"record\", \"namespace\": \"shop\", \"name\": \"Put\", \"fields\": "
	 "[{\"name\": \"meta\", \"type\": {\"type\": "
	 "\"record\", \"name\": \"Meta\", \"fields\": [{\"name\": \"seq\", \"type\": \"long\"}, "
	 "{\"name\": \"gtid\", \"type\": "
	 "\"string\"}, {\"name\": \"at\", \"type\": \"long\"}]}}, {\"name\": \"id\", \"type\": "
	 "\"long\"}, {\"name\": \"name\", "
	 "\"type\": \"string\"}, {\"name\": \"seq\", \"type\": \"long\"}, {\"name\": \"at_home\", "
	 "\"type\": {\"type\": \"record\", "
	 "\"name\": \"Home\", \"fields\": [{\"name\": \"city\", \"type\": \"string\"}]}}]}"),
	("{\"type\": \"record\", \"namespace\": \"n.s.item\", \"name\": \"Envelope\", \"fields\": "
	 "[{\"name\": \"source\", \"type\": "
	 "{\"type\": \"record\", \"name\": \"Source\", \"fields\": [{\"name\": \"seq\", \"type\": "
	 "\"long\"}, {\"name\": \"gtid\", "
	 "\"type\": \"string\"}, {\"name\": \"ts_us\", \"type\": \"long\"}, {\"name\": \"db\", "
	 "\"type\": \"string\"}, {\"name\": "
	 "\"table\", \"type\": \"string\"}]}}, {\"name\": \"op\", \"type\": \"string\"}, "
	 "{\"name\": \"before\", \"type\": " IMAGE
	 "}, {\"name\": \"after\", \"type\": [\"null\", \"Value\"]}, {\"name\": \"absent\", "
	 "\"type\": [\"null\", {\"type\": "
	 "\"array\", \"items\": \"string\"}], \"default\": null}, {\"name\": \"exact\", \"type\": "
	 "[\"null\", {\"type\": \"map\", "
	 "\"values\": \"string\"}], \"default\": null}]}"),
	("{\"type\": \"record\", \"namespace\": \"n.s.item\", \"name\": \"Envelope\", \"fields\": "
	 "[{\"name\": \"source\", \"type\": {\"type\": \"record\", \"name\": \"Source\", \"fields\": "
	 "[{\"name\": \"seq\", \"type\": \"long\"}, {\"name\": \"gtid\", \"type\": \"string\"}, "
	 "{\"name\": \"db\", \"type\": \"string\"}, {\"name\": \"table\", \"type\": \"string\"}]}}, "
	 "{\"name\": \"op\", \"type\": \"string\"}, {\"name\": \"before\", \"type\": " IMAGE
	 "}, {\"name\": \"after\", \"type\": [\"null\", \"Value\"]}, {\"name\": \"parked\", \"type\": "
	 "[\"null\", \"string\"], \"default\": null}]}"),
	("{\"type\": \"record\", \"name\": \"Unknown\", \"fields\": [{\"name\": \"id\", \"type\": "
	 "\"long\"}]}"),
};

static struct sql_db *db;
static struct target_sqlite target;
static struct view *view;
static struct handlers *handlers;
static struct buf value;

static int schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	(void)context;
	if (id < 1 || id > 4)
		return err_data(e, "no schema %d", id);
	*ret_text = schemas[id - 1];
	return 0;
}

static void setup_with(const char *put)
{
	struct view_files files = { 0 };
	struct err e = ERR_INIT;
	struct handlers_options o = { .schema = schema };

	view_files_add(&files, "view.conf", xstrdup("inputs = x, y"));
	view_files_add(&files, "tables.sql",
		       xstrdup("CREATE TABLE t (id PRIMARY KEY, name, a, b, c);"));
	view_files_add(&files, "on/Put.sql", xstrdup(put));
	view_files_add(&files, "on/s.item.insert.sql",
		       xstrdup("INSERT INTO t (id, name, a) VALUES (:id, :name, :seq)"));
	view_files_add(&files, "on/s.item.update.sql",
		       xstrdup("UPDATE t SET id = :id, name = :name, b = :before_name WHERE id = "
			       ":before_id"));
	view_files_add(&files, "on/s.item.delete.sql",
		       xstrdup("DELETE FROM t WHERE id = :id; UPDATE t SET c = :gtid"));
	ck_assert_msg(view_from_files("v", "v", &files, &view, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e), 0);
	ck_assert_int_eq(sql_script(db, "t", view->create_sql, &e), 0);
	target_sqlite_init(&target, db);
	o.view = view;
	o.target = &target.target;
	handlers = handlers_new(&o);
}

static void setup(void)
{
	setup_with("INSERT INTO t VALUES (:id, :name, :seq, :value_seq, :at_home_city || :gtid || "
		   ":at)");
}

static void teardown(void)
{
	handlers_free(handlers);
	sql_close(db);
	view_free(view);
}

static int apply(int32_t id, struct slice bytes, struct err *e)
{
	return handlers_apply(handlers, &(struct handlers_record){ 0, id, bytes }, e);
}

static void encode_put(int64_t id)
{
	buf_reset(&value);
	write_long(&value, 77);
	write_str(&value, "0-1-2");
	write_long(&value, 5);
	write_long(&value, id);
	write_str(&value, "ann");
	write_long(&value, 99);
	write_str(&value, "bonn");
}

static void encode_image(int64_t id, const char *name)
{
	write_long(&value, id < 0 ? 0 : 1);
	if (id < 0)
		return;
	write_long(&value, 1);
	write_long(&value, id);
	write_long(&value, name != NULL);
	if (name != NULL)
		write_str(&value, name);
}

static void encode_row(const char *op, int64_t before, int64_t after, const char *name,
		       const char *absent)
{
	buf_reset(&value);
	write_long(&value, 8);
	write_str(&value, "0-1-3");
	write_long(&value, 6);
	write_str(&value, "s");
	write_str(&value, "item");
	write_str(&value, op);
	encode_image(before, "old");
	encode_image(after, name);
	write_long(&value, absent != NULL);
	if (absent != NULL) {
		write_long(&value, 1);
		write_str(&value, absent);
		write_long(&value, 0);
	}
	write_long(&value, 0);
}

static void expect(const char *sql, const char *text)
{
	struct err e = ERR_INIT;
	char *got;

	ck_assert_msg(sql_get_text(db, sql, &got, &e) == 0, "%s", e.msg);
	ck_assert_msg(got != NULL && strcmp(got, text) == 0, "%s: %s, not %s", sql,
		      got != NULL ? got : "NULL", text);
	free(got);
}

START_TEST(test_event)
{
	struct err e = ERR_INIT;

	setup();
	encode_put(3);
	ck_assert_msg(apply(1, buf_slice(&value), &e) == 0, "%s", e.msg);
	expect("SELECT id || name || a || '/' || b || c FROM t", "3ann77/99bonn0-1-25");
	ck_assert_int_lt(apply(1, buf_slice(&value), &e), 0); /* primary key */
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_ptr_nonnull(strstr(e.msg, "on/Put.sql"));
	teardown();
}
END_TEST

START_TEST(test_rows)
{
	struct handlers_counts counts;
	struct err e = ERR_INIT;

	setup();
	encode_row("r", -1, 1, "one", NULL);
	ck_assert_msg(apply(2, buf_slice(&value), &e) == 0, "%s", e.msg);
	encode_row("c", -1, 2, NULL, NULL);
	ck_assert_int_eq(apply(2, buf_slice(&value), &e), 0);
	encode_row("u", 1, 10, "ten", NULL);
	ck_assert_int_eq(apply(2, buf_slice(&value), &e), 0);
	expect("SELECT group_concat(id || ':' || coalesce(name, '-') || ':' || coalesce(b, '-')) "
	       "FROM t",
	       "10:ten:old,2:-:-");
	encode_row("d", 10, -1, NULL, NULL);
	ck_assert_int_eq(apply(2, buf_slice(&value), &e), 0);
	expect("SELECT group_concat(id || c) FROM t",
	       "20-1-3");                                     /* both statements of the file ran */
	ck_assert_int_eq(apply(2, slice_of(NULL, 0), &e), 0); /* tombstone */
	encode_row("t", -1, -1, NULL, NULL);
	ck_assert_int_lt(apply(2, buf_slice(&value), &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	handlers_count(handlers, &counts);
	ck_assert_int_eq(counts.applied, 4);
	teardown();
}
END_TEST

static void encode_truncate(int64_t seq)
{
	encode_row("t", -1, -1, NULL, NULL);
	ck_assert_uint_eq(value.data[0], 16); /* zigzag of 8: one byte, as the new one */
	value.data[0] = (uint8_t)(2 * seq);
}

/* With a handler it runs once for a seq, however many partitions bring it. */
START_TEST(test_truncate)
{
	struct view_files files = { 0 };
	struct handlers_options o = { .schema = schema };
	struct handlers_counts counts;
	struct err e = ERR_INIT;

	setup();
	teardown();
	view_files_add(&files, "view.conf", xstrdup("inputs = x, y"));
	view_files_add(&files, "tables.sql", xstrdup("CREATE TABLE t (id PRIMARY KEY, a);"));
	view_files_add(&files, "on/s.item.truncate.sql",
		       xstrdup("INSERT INTO t VALUES (:seq, :gtid || :at)"));
	ck_assert_msg(view_from_files("v", "v", &files, &view, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e), 0);
	ck_assert_int_eq(sql_script(db, "t", view->create_sql, &e), 0);
	target_sqlite_init(&target, db);
	o.view = view;
	o.target = &target.target;
	handlers = handlers_new(&o);
	for (int64_t seq = 8; seq < 10; seq++) {
		encode_truncate(seq);
		for (int partition = 0; partition < 3; partition++)
			ck_assert_msg(apply(2, buf_slice(&value), &e) == 0, "%s", e.msg);
	}
	expect("SELECT group_concat(id || '=' || a) FROM t", "8=0-1-36,9=0-1-36");
	encode_row("d", 1, -1, NULL, NULL); /* what was deleted before is no matter of this view */
	ck_assert_int_eq(apply(2, buf_slice(&value), &e), 0);
	handlers_count(handlers, &counts);
	ck_assert_int_eq(counts.applied, 2);
	ck_assert_int_eq(counts.ignored, 1);
	teardown();
}
END_TEST

/* A view that deletes rows stops; one that never does goes on. */
START_TEST(test_truncate_without_handler)
{
	struct view_files files = { 0 };
	struct handlers_options o = { .schema = schema };
	struct handlers_counts counts;
	struct err e = ERR_INIT;

	setup();
	encode_truncate(8);
	ck_assert_int_lt(apply(2, buf_slice(&value), &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "on/s.item.truncate.sql"));
	ck_assert_int_lt(apply(2, buf_slice(&value), &e), 0); /* nor the second time */
	teardown();
	view_files_add(&files, "view.conf", xstrdup("inputs = x, y"));
	view_files_add(&files, "tables.sql", xstrdup("CREATE TABLE t (id PRIMARY KEY);"));
	view_files_add(&files, "on/s.item.insert.sql", xstrdup("INSERT INTO t VALUES (:id)"));
	ck_assert_int_eq(view_from_files("v", "v", &files, &view, &e), 0);
	ck_assert_int_eq(sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e), 0);
	ck_assert_int_eq(sql_script(db, "t", view->create_sql, &e), 0);
	target_sqlite_init(&target, db);
	o.view = view;
	o.target = &target.target;
	handlers = handlers_new(&o);
	ck_assert_msg(apply(2, buf_slice(&value), &e) == 0, "%s", e.msg);
	handlers_count(handlers, &counts);
	ck_assert_int_eq(counts.ignored, 1);
	teardown();
}
END_TEST

/* It has no row: a column is refused, and named. */
START_TEST(test_truncate_has_no_columns)
{
	struct view_files files = { 0 };
	struct handlers_options o = { .schema = schema };
	struct err e = ERR_INIT;

	view_files_add(&files, "view.conf", xstrdup("inputs = x, y"));
	view_files_add(&files, "tables.sql", xstrdup("CREATE TABLE t (id PRIMARY KEY);"));
	view_files_add(&files, "on/s.item.truncate.sql", xstrdup("DELETE FROM t WHERE id = :id"));
	ck_assert_int_eq(view_from_files("v", "v", &files, &view, &e), 0);
	ck_assert_int_eq(sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e), 0);
	ck_assert_int_eq(sql_script(db, "t", view->create_sql, &e), 0);
	target_sqlite_init(&target, db);
	o.view = view;
	o.target = &target.target;
	handlers = handlers_new(&o);
	encode_truncate(8);
	ck_assert_int_lt(apply(2, buf_slice(&value), &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "on/s.item.truncate.sql:1: :id"));
	ck_assert_ptr_nonnull(strstr(e.msg, ":gtid"));
	teardown();
}
END_TEST

/* schema 3: with a place for parked */
static void encode_parked(struct buf *out, int64_t seq, int64_t id, const char *parked)
{
	write_long(out, seq);
	write_str(out, "0-1-4");
	write_str(out, "s");
	write_str(out, "item");
	write_str(out, "c");
	write_long(out, 0);
	write_long(out, parked == NULL);
	if (parked == NULL) {
		write_long(out, 1);
		write_long(out, id);
		write_long(out, 0);
	}
	write_long(out, parked != NULL);
	if (parked != NULL)
		write_str(out, parked);
}

static int fetch(void *context, struct slice reference, int64_t seq, struct buf *ret_value,
		 struct err *e)
{
	(void)context;
	if (slice_is(reference, "gone"))
		return err_data(e, "no piece at %lld", (long long)seq);
	write_wire_header(ret_value, 3);
	encode_parked(ret_value, slice_is(reference, "other") ? seq + 1 : seq, 5,
		      slice_is(reference, "again") ? "n.parked:0:9" : NULL);
	return 0;
}

/* The whole record is applied in the place of its stand-in. */
START_TEST(test_stand_in)
{
	static const char *const bad[] = { "gone", "other", "again" };
	struct handlers_options o = { .schema = schema, .parked = fetch };
	struct err e = ERR_INIT;

	setup();
	buf_reset(&value);
	encode_parked(&value, 8, 0, "n.parked:0:1");
	ck_assert_int_lt(apply(3, buf_slice(&value), &e), 0); /* nobody to ask */
	ck_assert_int_eq(e.kind, ERR_DATA);
	handlers_free(handlers);
	o.view = view;
	o.target = &target.target;
	handlers = handlers_new(&o);
	ck_assert_msg(apply(3, buf_slice(&value), &e) == 0, "%s", e.msg);
	expect("SELECT group_concat(id || ':' || a) FROM t", "5:8");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&value);
		encode_parked(&value, 9, 0, bad[i]);
		e = (struct err)ERR_INIT;
		ck_assert_msg(apply(3, buf_slice(&value), &e) < 0, "%s", bad[i]);
		ck_assert_int_eq(e.kind, ERR_DATA);
	}
	expect("SELECT count(*) FROM t", "1");
	teardown();
}
END_TEST

START_TEST(test_absent_is_not_null)
{
	struct err e = ERR_INIT;

	setup();
	encode_row("c", -1, 1, NULL, "other");
	ck_assert_int_eq(apply(2, buf_slice(&value), &e), 0);
	encode_row("c", -1, 3, NULL, "before.name"); /* of an image that is not read */
	ck_assert_int_eq(apply(2, buf_slice(&value), &e), 0);
	encode_row("c", -1, 2, NULL, "after.name");
	ck_assert_int_lt(apply(2, buf_slice(&value), &e), 0);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_ptr_nonnull(strstr(e.msg, "lacks column name"));
	ck_assert_ptr_nonnull(strstr(e.msg, "binlog_row_image"));
	teardown();
}
END_TEST

START_TEST(test_type_without_handler)
{
	struct handlers_counts counts;
	struct err e = ERR_INIT;
	size_t count;

	setup();
	buf_reset(&value);
	write_long(&value, 1);
	ck_assert_int_eq(apply(4, buf_slice(&value), &e), 0);
	ck_assert_int_eq(apply(4, buf_slice(&value), &e), 0);
	handlers_count(handlers, &counts);
	ck_assert_int_eq(counts.ignored, 2);
	ck_assert_str_eq(handlers_ignored(handlers, &count)[0], "Unknown");
	ck_assert_uint_eq(count, 1);
	ck_assert_int_lt(apply(9, buf_slice(&value), &e), 0); /* a schema nobody knows */
	teardown();
}
END_TEST

START_TEST(test_unknown_parameter)
{
	struct err e = ERR_INIT;

	setup_with("DELETE FROM t WHERE id = :id;\n\nDELETE FROM t WHERE name = :nmae");
	encode_put(1);
	ck_assert_int_lt(apply(1, buf_slice(&value), &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "on/Put.sql:3: :nmae"));
	ck_assert_ptr_nonnull(strstr(e.msg, "Did you mean :name?"));
	teardown();
}
END_TEST

/* Cut at each byte and with each byte changed: an error or an ordinary row, never a crash. */
START_TEST(test_damaged_records)
{
	struct err e = ERR_INIT;

	setup();
	for (int kind = 1; kind <= 2; kind++) {
		uint8_t bytes[200];
		size_t size;

		if (kind == 1)
			encode_put(3);
		else
			encode_row("u", 1, 10, "ten", "x");
		size = value.size;
		memcpy(bytes, value.data, size);
		ck_assert_int_eq(sql_run(db, "DELETE FROM t", &e), 0); /* what damaged ids left */
		ck_assert_msg(apply(kind, slice_of(bytes, size), &e) == 0, "%s", e.msg);
		for (size_t cut = 0; cut < size; cut++) {
			void *copy = xmalloc(cut + 1);

			memcpy(copy, bytes, cut);
			ck_assert_int_lt(apply(kind, slice_of(copy, cut), &e), 0);
			ck_assert_int_eq(e.kind, ERR_DATA);
			free(copy);
		}
		for (size_t i = 0; i < size * 255; i++) {
			uint8_t was = bytes[i / 255];

			bytes[i / 255] = (uint8_t)(was + 1 + i % 255);
			(void)apply(kind, slice_of(bytes, size), &e); /* either way is fine */
			bytes[i / 255] = was;
		}
	}
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handlers");

	unit_test(s, test_event);
	unit_test(s, test_rows);
	unit_test(s, test_truncate);
	unit_test(s, test_truncate_without_handler);
	unit_test(s, test_truncate_has_no_columns);
	unit_test(s, test_stand_in);
	unit_test(s, test_absent_is_not_null);
	unit_test(s, test_type_without_handler);
	unit_test(s, test_unknown_parameter);
	unit_test_slow(s, test_damaged_records, 30);
	return unit_run(s);
}
