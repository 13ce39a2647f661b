/* test_event_schema.c - reading published events: what a good file gives, and that a bad one names
 * every mistake. */
#include "core/avro/event_schema.h"
#include "core/base/buf.h"
#include "test/unit/unit.h"

#define BINDING \
	"\"owner\":\"o\",\"topic\":\"m.t\",\"key\":[\"id\"],\"from\":\"db.tab\",\"when\":\"enters\""
#define FIELDS \
	"{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"n\",\"type\":[\"null\",\"string\"],\"millrace\":\"upper(name)\"}"

static struct event_schema *read_text(const char *text, struct err *e)
{
	struct event_schema *event = NULL;

	if (event_schema_read("x.avsc", slice_str(text), &event, e) < 0)
		return NULL;
	return event;
}

static char *event_text(const char *binding, const char *fields)
{
	static struct buf text;

	buf_reset(&text);
	buf_add_format(
		&text,
		"{\"type\":\"record\",\"namespace\":\"a.b\",\"name\":\"E\",\"millrace\":{%s},\"fields\":[%s]}",
		binding, fields);
	return buf_cstr(&text);
}

START_TEST(a_good_file)
{
	struct err e = ERR_INIT;
	struct event_schema *event = read_text(event_text(BINDING, FIELDS), &e);

	ck_assert_msg(event != NULL, "%s", e.msg);
	ck_assert_str_eq(event->name, "E");
	ck_assert_str_eq(event->full_name, "a.b.E");
	ck_assert_str_eq(event->db, "db");
	ck_assert_str_eq(event->table, "tab");
	ck_assert_int_eq(event->when, EVENT_ENTERS);
	ck_assert_ptr_null(event->where);
	ck_assert_uint_eq(event->field_count, 2);
	ck_assert_str_eq(event->fields[0].expression, "id");
	ck_assert(event->fields[0].is_key && !event->fields[0].nullable);
	ck_assert_str_eq(event->fields[1].expression, "upper(name)");
	ck_assert(event->fields[1].nullable && !event->fields[1].null_second);
	/* meta comes first in what is registered, the declared fields follow */
	ck_assert_ptr_nonnull(strstr(event->registered, "\"fields\":[{\"name\":\"meta\""));
	ck_assert_ptr_nonnull(strstr(event->registered, "{\"name\":\"id\",\"type\":\"long\"}"));
	ck_assert_str_eq(
		event->key_text,
		"{\"type\":\"record\",\"namespace\":\"m_x2et\",\"name\":\"Key\",\"fields\":"
		"[{\"name\":\"id\",\"type\":\"long\"}]}");
	event_schema_free(event);
}
END_TEST

/* binding, fields, what the message must hold */
static const char *const bad[][3] = {
	{ "\"owner\":\"o\"", FIELDS, "\"millrace\" lacks topic" },
	{ "\"owner\":\"o\"", FIELDS, "\"millrace\" lacks from" },
	{ "\"owner\":\"o\"", FIELDS, "\"millrace\" lacks when" },
	{ BINDING ",\"were\":\"x\"", FIELDS, "Did you mean \"where\"?" },
	{ "\"owner\":\"o\",\"topic\":\"t\",\"key\":[\"no\"],\"from\":\"db.t\",\"when\":\"enters\"",
	  FIELDS, "key names no field: no" },
	{ "\"owner\":\"o\",\"topic\":\"t\",\"key\":[\"n\"],\"from\":\"db.t\",\"when\":\"enters\"",
	  FIELDS, "can't be null: n" },
	{ "\"owner\":\"o\",\"topic\":\"t\",\"key\":[],\"from\":\"db.t\",\"when\":\"enters\"",
	  FIELDS, "lacks key" },
	{ "\"owner\":\"o\",\"topic\":\"t\",\"key\":[\"id\"],\"from\":\"dbt\",\"when\":\"enters\"",
	  FIELDS, "is no table: dbt" },
	{ "\"owner\":\"o\",\"topic\":\"t\",\"key\":[\"id\"],\"from\":\"db.t\",\"when\":\"arrives\"",
	  FIELDS, "\"when\": arrives" },
	{ BINDING, "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"meta\",\"type\":\"long\"}",
	  "name is taken: meta" },
	{ BINDING,
	  "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"n\",\"type\":[\"int\",\"string\"]}",
	  "[\"null\", type]: n" },
	{ BINDING, "{\"name\":\"id\",\"type\":\"long\",\"millrace\":7}", "SQL expression: id" },
	{ BINDING,
	  "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"n\",\"type\":{\"type\":\"record\","
	  "\"name\":\"Meta\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}}",
	  "defined twice" },
	{ "\"owner\":\"o\",\"topic\":\"t\",\"key\":[\"id\"],\"from\":\"db.t\",\"when\":\"enters\"",
	  "{\"name\":\"n\",\"type\":{\"type\":\"enum\",\"name\":\"T\",\"symbols\":[\"A\"]}},"
	  "{\"name\":\"id\",\"type\":\"T\"}",
	  "defines its type itself" },
};

START_TEST(a_bad_file)
{
	struct err e = ERR_INIT;

	ck_assert_ptr_null(read_text(event_text(bad[_i][0], bad[_i][1]), &e));
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_msg(strstr(e.msg, bad[_i][2]) != NULL, "wanted '%s' in: %s", bad[_i][2], e.msg);
	ck_assert_msg(strstr(e.msg, "x.avsc") != NULL, "%s", e.msg);
}
END_TEST

START_TEST(every_mistake_is_named_at_once)
{
	struct err e = ERR_INIT;

	ck_assert_ptr_null(read_text(event_text("\"when\":\"x\",\"key\":[\"q\"]",
						"{\"name\":\"meta\",\"type\":\"long\"}"),
				     &e));
	ck_assert_ptr_nonnull(strstr(e.msg, "lacks owner"));
	ck_assert_ptr_nonnull(strstr(e.msg, "lacks from"));
	ck_assert_ptr_nonnull(strstr(e.msg, "unknown \"when\": x"));
	ck_assert_ptr_nonnull(strstr(e.msg, "key names no field: q"));
	ck_assert_ptr_nonnull(strstr(e.msg, "name is taken"));
}
END_TEST

START_TEST(a_file_cut_short_or_damaged_never_crashes)
{
	char text[1024];
	size_t size;

	snprintf(text, sizeof(text), "%s", event_text(BINDING, FIELDS));
	size = strlen(text);
	for (size_t n = 0; n < size; n++) {
		struct err e = ERR_INIT;
		struct event_schema *event = NULL;

		ck_assert_int_eq(event_schema_read("x.avsc", slice_of(text, n), &event, &e), -1);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
	}
	for (size_t n = 0; n < size; n++) {
		struct err e = ERR_INIT;
		struct event_schema *event = NULL;
		char kept = text[n];

		text[n] = (char)(unit_random64() & 0x7f);
		if (event_schema_read("x.avsc", slice_of(text, size), &event, &e) == 0)
			event_schema_free(event);
		text[n] = kept;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event_schema");
	TCase *t = tcase_create("read");

	unit_seed();
	tcase_add_test(t, a_good_file);
	tcase_add_loop_test(t, a_bad_file, 0, (int)(sizeof(bad) / sizeof(*bad)));
	tcase_add_test(t, every_mistake_is_named_at_once);
	tcase_add_test(t, a_file_cut_short_or_damaged_never_crashes);
	suite_add_tcase(s, t);
	return unit_run(s);
}
