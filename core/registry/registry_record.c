/* registry_record.c - the records of a schemas topic, and what they add up to.
 *
 * Format (Confluent Schema Registry, "Kafka backend"; JSON, keys in this order because compaction
 * compares bytes): key    {"keytype":"SCHEMA","subject":S,"version":V,"magic":1} value
 * {"subject":S,"version":V,"id":I,"schema":TEXT,"deleted":false}, null: gone for good key
 * {"keytype":"DELETE_SUBJECT","subject":S,"magic":0} value  {"subject":S,"version":V}: versions up
 * to V are deleted NOOP, CONFIG, MODE, CLEAR_SUBJECT and kinds yet to come say nothing about ids
 * and are passed over.
 *
 * A deleted version keeps its id and text: records in a history still name it. It is no longer the
 * latest, is not found by its text, and its version number is not used again.
 *
 * Two texts are the same schema when they are the same bytes or the same JSON (order of members and
 * white space aside). */
#include "core/registry/registry_priv.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <jansson.h>
#include <stdlib.h>

#define SUBJECT_MAX 1024 /* bytes of a subject's name */
#define VERSION_MAX 1000000000

/* ---- memory
 * ------------------------------------------------------------------------------------------------
 */

void registry_store_done(struct registry_store *s)
{
	struct registry_subject *subject, *next_subject;

	free(s->ids.slots);
	free(s->sums.slots);
	registry_packer_done(&s->packer);
	HASH_ITER(hh, s->subjects, subject, next_subject)
	{
		HASH_DEL(s->subjects, subject);
		free(subject);
	}
	for (size_t i = 0; i < s->count; i++) {
		registry_text_done(&s->entries[i]->text);
		free(s->entries[i]);
	}
	free(s->entries);
	memset(s, 0, sizeof(*s));
}

static struct registry_subject *find_subject(const struct registry_store *s, const char *name)
{
	struct registry_subject *subject;

	HASH_FIND_STR(s->subjects, name, subject);
	return subject;
}

static struct registry_subject *make_subject(struct registry_store *s, const char *name)
{
	struct registry_subject *subject = find_subject(s, name);
	size_t size = strlen(name);

	if (subject != NULL)
		return subject;
	subject = xcalloc(1, sizeof(*subject) + size + 1);
	memcpy(subject->name, name, size);
	HASH_ADD_KEYPTR(hh, s->subjects, subject->name, size, subject);
	return subject;
}

static struct registry_entry *find_version(const struct registry_subject *subject, int32_t version)
{
	struct registry_entry *entry;

	for (entry = subject->newest; entry != NULL; entry = entry->older)
		if (entry->schema.version == version)
			return entry;
	return NULL;
}

/* ---- two indexes ---------------------------------------------------------------------------- */

static uint64_t id_of(const struct registry_entry *entry)
{
	return (uint64_t)entry->schema.id;
}

static uint64_t sum_in(const struct registry_entry *entry)
{
	return entry->sum;
}

/* Where the entry with this number is, or would be. The table has free slots. */
static size_t slot_of(const struct registry_index *x, uint64_t number,
		      uint64_t (*of)(const struct registry_entry *))
{
	size_t at = (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (x->size - 1);

	while (x->slots[at] != NULL && of(x->slots[at]) != number)
		at = (at + 1) & (x->size - 1);
	return at;
}

static struct registry_entry *index_find(const struct registry_index *x, uint64_t number,
					 uint64_t (*of)(const struct registry_entry *))
{
	return x->size != 0 ? x->slots[slot_of(x, number, of)] : NULL;
}

/* NULL, or the entry that has this number already. */
static struct registry_entry *index_add(struct registry_index *x, struct registry_entry *entry,
					uint64_t (*of)(const struct registry_entry *))
{
	struct registry_index old = *x;
	size_t at;

	if (x->used >= x->size / 2) {
		x->size = x->size != 0 ? x->size * 2 : 64;
		x->slots = xcalloc(x->size, sizeof(struct registry_entry *));
		for (size_t i = 0; i < old.size; i++)
			if (old.slots[i] != NULL)
				x->slots[slot_of(x, of(old.slots[i]), of)] = old.slots[i];
		free(old.slots);
	}
	at = slot_of(x, of(entry), of);
	if (x->slots[at] != NULL)
		return x->slots[at];
	x->slots[at] = entry;
	x->used++;
	return NULL;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits, over the text with its members sorted and blanks taken out:
 * texts that say the same have the same sum. */
static uint64_t sum_of(const char *text, const json_t *parsed)
{
	char *sorted = parsed != NULL
			       ? json_dumps(parsed, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)
			       : NULL;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (const char *p = sorted != NULL ? sorted : text; *p != '\0'; p++)
		sum = (sum ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	free(sorted);
	return sum;
}

static void remember_sum(struct registry_store *s, struct registry_entry *entry, const char *text)
{
	json_t *parsed = json_loads(text, JSON_DECODE_ANY, NULL);
	struct registry_entry *first;

	entry->sum = sum_of(text, parsed);
	json_decref(parsed);
	first = index_add(&s->sums, entry, sum_in);
	if (first == NULL) {
		entry->alike_last = entry;
		return;
	}
	first->alike_last->alike = entry;
	first->alike_last = entry;
}

static void add_entry(struct registry_store *s, struct registry_subject *subject, int32_t version,
		      int32_t id, const char *text, bool avro, bool deleted)
{
	struct registry_entry *entry = xcalloc(1, sizeof(*entry));

	if (s->count == s->capacity) {
		s->capacity = s->capacity != 0 ? s->capacity * 2 : 64;
		s->entries = xrealloc(s->entries, s->capacity * sizeof(struct registry_entry *));
	}
	entry->schema = (struct registry_schema){ id, version, subject->name, NULL };
	registry_text_keep(&s->packer, text, &entry->text);
	if (entry->text.packed == 0)
		entry->schema.text = entry->text.bytes;
	entry->avro = avro;
	entry->deleted = deleted;
	entry->older = subject->newest;
	subject->newest = entry;
	if (version > subject->version_max)
		subject->version_max = version;
	s->entries[s->count++] = entry;
	(void)index_add(&s->ids, entry, id_of); /* one that has the id came first: it stays */
	if (id > s->id_max)
		s->id_max = id;
	remember_sum(s, entry, text);
}

/* ---- reading
 * -----------------------------------------------------------------------------------------------
 */

static bool number_of(const json_t *object, const char *name, int32_t least, int32_t *ret_number)
{
	const json_t *n = json_object_get(object, name);
	json_int_t v = json_integer_value(n);

	if (!json_is_integer(n) || v < least || v > INT32_MAX - 1)
		return false;
	*ret_number = (int32_t)v;
	return true;
}

static bool same_text(const struct registry_store *s, const struct registry_entry *entry,
		      const char *text)
{
	struct buf room = BUF_INIT;
	bool same = strcmp(registry_store_look(s, entry, &room).text, text) == 0;

	buf_done(&room);
	return same;
}

/* Same version, other text: the registry that wrote it allowed a version to be replaced. The old
 * one stays for its id. */
static bool apply_schema(struct registry_store *s, const char *name, int32_t version,
			 const json_t *value)
{
	const char *text = json_string_value(json_object_get(value, "schema"));
	const char *type = json_string_value(json_object_get(value, "schemaType"));
	bool deleted = json_is_true(json_object_get(value, "deleted"));
	struct registry_subject *subject = make_subject(s, name);
	struct registry_entry *entry = find_version(subject, version);
	int32_t id;

	if (!number_of(value, "id", 0, &id) || text == NULL)
		return false;
	if (entry != NULL && entry->schema.id == id && same_text(s, entry, text)) {
		entry->deleted = deleted;
		return true;
	}
	if (entry != NULL)
		entry->deleted = true;
	add_entry(s, subject, version, id, text, type == NULL || strcmp(type, "AVRO") == 0,
		  deleted);
	return true;
}

static void delete_versions(struct registry_store *s, const char *name, int32_t from, int32_t to)
{
	struct registry_subject *subject = find_subject(s, name);

	for (struct registry_entry *entry = subject != NULL ? subject->newest : NULL; entry != NULL;
	     entry = entry->older)
		if (entry->schema.version >= from && entry->schema.version <= to)
			entry->deleted = true;
}

static bool apply_json(struct registry_store *s, const json_t *key, const json_t *value)
{
	const char *type = json_string_value(json_object_get(key, "keytype"));
	const char *subject = json_string_value(json_object_get(key, "subject"));
	int32_t version;

	if (type == NULL)
		return false;
	if (strcmp(type, "SCHEMA") != 0 && strcmp(type, "DELETE_SUBJECT") != 0)
		return true;
	if (subject == NULL || strlen(subject) > SUBJECT_MAX)
		return false;
	if (strcmp(type, "SCHEMA") == 0) {
		if (!number_of(key, "version", 1, &version) || version > VERSION_MAX)
			return false;
		if (value != NULL)
			return apply_schema(s, subject, version, value);
		delete_versions(s, subject, version, version);
		return true;
	}
	if (value == NULL)
		return true;
	if (!number_of(value, "version", 0, &version))
		return false;
	delete_versions(s, subject, 0, version);
	return true;
}

void registry_store_apply(struct registry_store *s, struct slice key, struct slice value,
			  int64_t offset)
{
	json_t *k = key.data != NULL ? json_loadb((const char *)key.data, key.size, 0, NULL) : NULL;
	json_t *v = value.data != NULL ? json_loadb((const char *)value.data, value.size, 0, NULL)
				       : NULL;

	if (k == NULL || (v == NULL && value.data != NULL) || !apply_json(s, k, v)) {
		s->skipped++;
		log_warning(
			"registry",
			"record at offset %lld of the schemas topic cannot be read; its schema stays unknown",
			(long long)offset);
	}
	json_decref(k);
	json_decref(v);
}

/* ---- asking
 * ------------------------------------------------------------------------------------------------
 */

struct registry_schema registry_store_open(const struct registry_store *s,
					   const struct registry_entry *entry)
{
	/* what it says does not change, only how it is kept */
	struct registry_entry *e = (struct registry_entry *)(uintptr_t)entry;

	e->schema.text = registry_text_open(&s->packer, &e->text);
	return e->schema;
}

struct registry_schema registry_store_look(const struct registry_store *s,
					   const struct registry_entry *entry, struct buf *room)
{
	struct registry_schema schema = entry->schema;

	schema.text = registry_text_look(&s->packer, &entry->text, room);
	return schema;
}

const struct registry_entry *registry_store_by_id(const struct registry_store *s, int32_t id)
{
	return id >= 0 ? index_find(&s->ids, (uint64_t)id, id_of) : NULL;
}

const struct registry_entry *registry_store_latest(const struct registry_store *s,
						   const char *subject)
{
	const struct registry_subject *found = find_subject(s, subject);
	const struct registry_entry *best = NULL;

	for (const struct registry_entry *entry = found != NULL ? found->newest : NULL;
	     entry != NULL; entry = entry->older)
		if (!entry->deleted && entry->avro &&
		    (best == NULL || entry->schema.version > best->schema.version))
			best = entry;
	return best;
}

struct search {
	const struct registry_store *store;
	const char *text;
	json_t *parsed;
	uint64_t sum;
	struct buf room;
};

static struct search search_for(const struct registry_store *s, const char *text)
{
	json_t *parsed = json_loads(text, JSON_DECODE_ANY, NULL);

	return (struct search){ s, text, parsed, sum_of(text, parsed), BUF_INIT };
}

static void search_done(struct search *q)
{
	json_decref(q->parsed);
	buf_done(&q->room);
}

/* What is compared with stays text, since searches are rare and memory is not. */
static bool is_sought(struct search *q, const struct registry_entry *entry)
{
	const char *other;
	json_t *p;
	bool same;

	if (!entry->avro || entry->sum != q->sum)
		return false;
	other = registry_store_look(q->store, entry, &q->room).text;
	if (strcmp(q->text, other) == 0)
		return true;
	if (q->parsed == NULL)
		return false;
	p = json_loads(other, JSON_DECODE_ANY, NULL);
	same = p != NULL && json_equal(q->parsed, p);
	json_decref(p);
	return same;
}

const struct registry_entry *registry_store_find(const struct registry_store *s,
						 const char *subject, const char *text)
{
	const struct registry_subject *found = find_subject(s, subject);
	const struct registry_entry *entry = found != NULL ? found->newest : NULL;
	struct search q;

	if (entry == NULL)
		return NULL;
	q = search_for(s, text);
	while (entry != NULL && (entry->deleted || !is_sought(&q, entry)))
		entry = entry->older;
	search_done(&q);
	return entry;
}

void registry_store_next(const struct registry_store *s, const char *subject, const char *text,
			 int32_t *ret_id, int32_t *ret_version)
{
	const struct registry_subject *found = find_subject(s, subject);
	struct search q = search_for(s, text);
	const struct registry_entry *entry = index_find(&s->sums, q.sum, sum_in);

	*ret_id = s->id_max + 1;
	*ret_version = found != NULL ? found->version_max + 1 : 1;
	while (entry != NULL && !is_sought(&q, entry))
		entry = entry->alike;
	if (entry != NULL)
		*ret_id = entry->schema.id;
	search_done(&q);
}

/* ---- writing
 * -----------------------------------------------------------------------------------------------
 */

static void add_json(struct buf *out, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;

	if (text == NULL)
		abort(); /* out of memory, or text that is not UTF-8, which registry_register has
			    refused */
	buf_add_str(out, text);
	free(text);
	json_decref(object);
}

void registry_record(const struct registry_schema *schema, struct buf *key, struct buf *value)
{
	add_json(key, json_pack("{s:s, s:s, s:i, s:i}", "keytype", "SCHEMA", "subject",
				schema->subject, "version", (int)schema->version, "magic", 1));
	add_json(value, json_pack("{s:s, s:i, s:i, s:s, s:b}", "subject", schema->subject,
				  "version", (int)schema->version, "id", (int)schema->id, "schema",
				  schema->text, "deleted", 0));
}
