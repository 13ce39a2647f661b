/* fuzz_registry.c - records of a schemas topic, whoever wrote them
 * (core/registry/registry_record.c, registry_text.c). Input: parts, in turn a key and a value
 * (empty: none). What is latest has a text, is found by it and by its id; a record of ours adds up
 * to what it says. */
#include "test/fuzz/fuzz.h"

#include "core/base/log.h"
#include "core/registry/registry_priv.h"

#include <string.h>

#define RECORDS_MAX 64

static void check_entry(struct registry_store *s, const struct registry_entry *entry)
{
	struct buf room = BUF_INIT;
	struct registry_schema schema = registry_store_look(s, entry, &room);

	fuzz_check(schema.text != NULL && schema.subject != NULL && schema.version > 0, "entry");
	fuzz_check(registry_store_by_id(s, schema.id) != NULL, "id %d", (int)schema.id);
	fuzz_check(schema.id <= s->id_max, "id %d of %d", (int)schema.id, (int)s->id_max);
	buf_done(&room);
}

/* A new version, as registry_register() would write it, and read it again. */
static void add_ours(struct registry_store *s, const char *subject)
{
	static const char text[] = "{\"type\":\"fixed\",\"name\":\"Unlikely\",\"size\":77}";
	struct registry_schema schema = { .subject = subject, .text = text }, back;
	struct buf key = BUF_INIT, value = BUF_INIT;
	const struct registry_entry *latest;
	struct buf room = BUF_INIT;

	registry_store_next(s, subject, text, &schema.id, &schema.version);
	fuzz_check(schema.id > 0 && schema.version > 0, "%d, %d", schema.id, schema.version);
	registry_record(&schema, &key, &value);
	fuzz_check_json(buf_slice(&key));
	fuzz_check_json(buf_slice(&value));
	registry_store_apply(s, buf_slice(&key), buf_slice(&value), 7);
	latest = registry_store_latest(s, subject);
	fuzz_check(latest != NULL, "not there");
	back = registry_store_look(s, latest, &room);
	fuzz_check(back.id == schema.id && back.version == schema.version &&
			   strcmp(back.text, text) == 0,
		   "%d, %d: %s", back.id, back.version, back.text);
	fuzz_check(registry_store_find(s, subject, text) != NULL, "not found");
	buf_done(&room);
	buf_done(&key);
	buf_done(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct registry_store s = { 0 };

	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	fuzz_input = rd_of(data, size);
	for (int i = 0; i < RECORDS_MAX && rd_left(&fuzz_input) > 0; i++) {
		struct slice key = fuzz_part(), value = fuzz_part();

		registry_store_apply(&s, key, value.size == 0 ? slice_of(NULL, 0) : value, i);
	}
	for (size_t i = 0; i < s.count; i++)
		check_entry(&s, s.entries[i]);
	add_ours(&s, "a-value");
	registry_store_done(&s);
	return 0;
}
