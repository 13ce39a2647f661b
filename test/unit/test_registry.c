/* test_registry.c - what records of a schemas topic add up to, ours and other registries', and
 * records that make no sense. The rest (reading a topic through mock brokers) is short here: taking
 * turns needs a broker that fences, so it is tested with one. */
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/registry/registry_priv.h"
#include "test/unit/unit.h"

#include <string.h>

static struct registry_store store;

static void apply(const char *key, const char *value)
{
	registry_store_apply(&store, slice_str(key),
			     value != NULL ? slice_str(value) : slice_of(NULL, 0), 0);
}

static void add(const char *subject, int32_t version, int32_t id, const char *text)
{
	const struct registry_schema schema = { id, version, subject, text };
	struct buf key = BUF_INIT, value = BUF_INIT;

	registry_record(&schema, &key, &value);
	registry_store_apply(&store, buf_slice(&key), buf_slice(&value), 0);
	buf_done(&key);
	buf_done(&value);
}

START_TEST(test_record_format)
{
	const struct registry_schema schema = { 7, 2, "a-value", "{\"type\":\"long\"}" };
	struct buf key = BUF_INIT, value = BUF_INIT;

	registry_record(&schema, &key, &value);
	ck_assert_str_eq(
		buf_cstr(&key),
		"{\"keytype\":\"SCHEMA\",\"subject\":\"a-value\",\"version\":2,\"magic\":1}");
	ck_assert_str_eq(buf_cstr(&value),
			 "{\"subject\":\"a-value\",\"version\":2,\"id\":7,"
			 "\"schema\":\"{\\\"type\\\":\\\"long\\\"}\",\"deleted\":false}");
	buf_done(&key);
	buf_done(&value);
}
END_TEST

START_TEST(test_ids_and_versions)
{
	int32_t id, version;

	add("a", 1, 1, "\"long\"");
	add("a", 2, 5, "{\"type\":\"int\",\"x\":1}");
	add("b", 1, 1, "\"long\"");
	ck_assert_int_eq(registry_store_latest(&store, "a")->schema.id, 5);
	ck_assert_int_eq(registry_store_latest(&store, "b")->schema.id, 1);
	ck_assert_ptr_null(registry_store_latest(&store, "c"));
	ck_assert_str_eq(registry_store_by_id(&store, 1)->schema.text, "\"long\"");
	ck_assert_ptr_null(registry_store_by_id(&store, 2));
	registry_store_next(&store, "a", "\"bytes\"", &id, &version);
	ck_assert_int_eq(id, 6);
	ck_assert_int_eq(version, 3);
	registry_store_next(&store, "c", "{ \"x\": 1, \"type\" :\"int\" }", &id,
			    &version); /* the same JSON */
	ck_assert_int_eq(id, 5);
	ck_assert_int_eq(version, 1);
	ck_assert_int_eq(
		registry_store_find(&store, "a", "{\"x\":1,\"type\":\"int\"}")->schema.version, 2);
	ck_assert_ptr_null(registry_store_find(&store, "b", "{\"x\":1,\"type\":\"int\"}"));
	ck_assert_ptr_null(registry_store_find(&store, "a", "{\"x\":2,\"type\":\"int\"}"));
	registry_store_done(&store);
}
END_TEST

START_TEST(test_the_same_again_changes_nothing)
{
	const char *text;

	add("a", 1, 1, "\"long\"");
	text = registry_store_by_id(&store, 1)->schema.text;
	add("a", 1, 1, "\"long\"");
	ck_assert_uint_eq(store.count, 1);
	ck_assert_ptr_eq(registry_store_by_id(&store, 1)->schema.text, text);
	registry_store_done(&store);
}
END_TEST

START_TEST(test_deleted)
{
	int32_t id, version;

	add("a", 1, 1, "\"long\"");
	add("a", 2, 2, "\"int\"");
	apply("{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":2,\"magic\":1}",
	      "{\"subject\":\"a\",\"version\":2,\"id\":2,\"schema\":\"\\\"int\\\"\",\"deleted\":true}");
	ck_assert_int_eq(registry_store_latest(&store, "a")->schema.version, 1);
	ck_assert_ptr_null(registry_store_find(&store, "a", "\"int\""));
	ck_assert_ptr_nonnull(registry_store_by_id(&store, 2)); /* a history may still name it */
	registry_store_next(&store, "a", "\"int\"", &id, &version);
	ck_assert_int_eq(id, 2);
	ck_assert_int_eq(version, 3);
	apply("{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":1}", NULL);
	ck_assert_ptr_null(registry_store_latest(&store, "a"));
	registry_store_done(&store);
}
END_TEST

START_TEST(test_deleted_subject)
{
	add("a", 1, 1, "\"long\"");
	add("a", 2, 2, "\"int\"");
	add("b", 1, 1, "\"long\"");
	apply("{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"a\",\"magic\":0}",
	      "{\"subject\":\"a\",\"version\":2}");
	apply("{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"never\",\"magic\":0}",
	      "{\"subject\":\"never\",\"version\":2}");
	ck_assert_ptr_null(registry_store_latest(&store, "a"));
	ck_assert_ptr_nonnull(registry_store_latest(&store, "b"));
	add("a", 3, 2, "\"int\"");
	ck_assert_int_eq(registry_store_latest(&store, "a")->schema.version, 3);
	registry_store_done(&store);
}
END_TEST

static char *many_text(int n)
{
	return xasprintf("{\"type\":\"record\",\"name\":\"Row%d\",\"namespace\":\"shop.table_%d\","
			 "\"doc\":\"One change of a row, with its images.\",\"fields\":[{\"name\":\"id\","
			 "\"type\":\"long\"},{\"name\":\"value_%d\",\"type\":[\"null\",\"string\"]}]}",
			 n, n, n * 7);
}

static void add_many(int count)
{
	for (int n = 1; n <= count; n++) {
		char *subject = xasprintf("shop.t%d-value", n), *text = many_text(n);
		struct registry_schema schema = { n, 1, subject, text };
		struct buf key = BUF_INIT, value = BUF_INIT;

		registry_record(&schema, &key, &value);
		registry_store_apply(&store, buf_slice(&key), buf_slice(&value), n);
		buf_done(&key);
		buf_done(&value);
		free(subject);
		free(text);
	}
}

START_TEST(test_many_are_kept_small)
{
	enum { MANY = 400 };
	const struct registry_entry *entry;
	size_t packed = 0, whole = 0;
	const char *open;
	int32_t id, version;

	add_many(MANY);
	for (int n = 1; n <= MANY; n++) {
		char *subject = xasprintf("shop.t%d-value", n), *text = many_text(n);
		struct buf room = BUF_INIT;

		entry = registry_store_by_id(&store, n);
		ck_assert_ptr_eq(entry, registry_store_find(&store, subject, text));
		packed += entry->text.packed;
		whole += entry->text.packed != 0 ? entry->text.size : 0;
		ck_assert_str_eq(registry_store_look(&store, entry, &room).text, text);
		ck_assert_str_eq(registry_store_look(&store, entry, &room).subject, subject);
		registry_store_next(&store, "other", text, &id, &version);
		ck_assert_int_eq(id, n);
		buf_done(&room);
		free(subject);
		free(text);
	}
	ck_assert_uint_gt(packed, 0);
	ck_assert_uint_lt(packed, whole / 4);
	entry = registry_store_by_id(&store, MANY);
	ck_assert_uint_ne(entry->text.packed, 0);
	open = registry_store_open(&store, entry).text;
	add_many(MANY); /* the same again */
	ck_assert_uint_eq(store.count, MANY);
	ck_assert_ptr_eq(registry_store_open(&store, entry).text, open);
	registry_store_done(&store);
}
END_TEST

START_TEST(test_other_registries_records)
{
	apply("{\"keytype\":\"NOOP\",\"magic\":0}", NULL);
	apply("{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}",
	      "{\"compatibilityLevel\":\"FULL\"}");
	apply("{\"keytype\":\"MODE\",\"subject\":\"a\",\"magic\":0}", "{\"mode\":\"READONLY\"}");
	apply("{\"keytype\":\"CLEAR_SUBJECT\",\"subject\":\"a\",\"magic\":0}",
	      "{\"subject\":\"a\"}");
	ck_assert_int_eq(store.skipped, 0);
	ck_assert_uint_eq(store.count, 0);
	/* schemaType left out, AVRO, or something whose id counts all the same */
	apply("{\"keytype\":\"SCHEMA\",\"subject\":\"p\",\"version\":1,\"magic\":1}",
	      "{\"subject\":\"p\",\"version\":1,\"id\":40,\"schemaType\":\"PROTOBUF\",\"schema\":\"message M {}\"}");
	ck_assert_ptr_null(registry_store_latest(&store, "p"));
	ck_assert_int_eq(store.id_max, 40);
	ck_assert(!registry_store_by_id(&store, 40)->avro);
	ck_assert_int_eq(store.skipped, 0);
	registry_store_done(&store);
}
END_TEST

static const char good_key[] =
	"{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1,\"magic\":1}";
static const char good_value[] =
	"{\"subject\":\"a\",\"version\":1,\"id\":3,\"schema\":\"\\\"long\\\"\",\"deleted\":false}";

START_TEST(test_nonsense_is_counted)
{
	static const char *const keys[] = {
		"",
		"x",
		"null",
		"[]",
		"{}",
		"{\"keytype\":7}",
		"{\"keytype\":\"SCHEMA\"}",
		"{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":0}",
		"{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":2147483647}",
		"{\"keytype\":\"SCHEMA\",\"subject\":\"a\",\"version\":1.5}",
		"\xff\xfe"
	};
	static const char *const values[] = { "",
					      "x",
					      "{}",
					      "{\"id\":1}",
					      "{\"id\":-1,\"schema\":\"\"}",
					      "{\"id\":2147483647,\"schema\":\"\"}",
					      "{\"id\":1,\"schema\":7}" };

	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		apply(keys[i], good_value);
	ck_assert_int_eq(store.skipped, sizeof(keys) / sizeof(keys[0]));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		apply(good_key, values[i]);
	ck_assert_int_eq(store.skipped, (sizeof(keys) + sizeof(values)) / sizeof(keys[0]));
	registry_store_apply(&store, slice_of(NULL, 0), slice_of(NULL, 0), 0);
	ck_assert_uint_eq(store.count, 0);
	registry_store_done(&store);
}
END_TEST

/* Cut at each byte and with each byte changed: never a crash, and what is not JSON is never taken.
 */
START_TEST(test_damaged_records)
{
	char key[sizeof(good_key)], value[sizeof(good_value)];

	unit_seed();
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	for (size_t n = 0; n < sizeof(good_value) - 1; n++)
		registry_store_apply(&store, slice_str(good_key), slice_of(good_value, n), 0);
	for (size_t n = 0; n < sizeof(good_key) - 1; n++)
		registry_store_apply(&store, slice_of(good_key, n), slice_str(good_value), 0);
	ck_assert_uint_eq(store.count, 0);
	for (int i = 0; i < 20000; i++) {
		memcpy(key, good_key, sizeof(key));
		memcpy(value, good_value, sizeof(value));
		key[unit_random_below(sizeof(key) - 1)] = (char)unit_random64();
		value[unit_random_below(sizeof(value) - 1)] = (char)unit_random64();
		registry_store_apply(&store, slice_of(key, sizeof(key) - 1),
				     slice_of(value, sizeof(value) - 1), i);
	}
	registry_store_done(&store);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("registry");

	unit_test(s, test_record_format);
	unit_test(s, test_ids_and_versions);
	unit_test(s, test_the_same_again_changes_nothing);
	unit_test(s, test_deleted);
	unit_test(s, test_deleted_subject);
	unit_test(s, test_many_are_kept_small);
	unit_test(s, test_other_registries_records);
	unit_test(s, test_nonsense_is_counted);
	unit_test_slow(s, test_damaged_records, 30);
	return unit_run(s);
}
