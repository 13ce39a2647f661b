/* position_store.c - reads and writes the position's parts.
 *
 * Writing must not cost what there is but what changed: the copies' structs are compared, as bytes,
 * with those of the last call; only one that differs is encoded, and sent when its text differs
 * too. (A table's progress changes its counters, so equal structs mean equal content.) */
#include "cdc/delivery/position_store.h"

#include "cdc/delivery/delivery.h"
#include "cdc/delivery/parked.h"
#include "cdc/delivery/scan.h"
#include "core/avro/schema.h"
#include "core/avro/write.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>

#define PARTS_MAX 1000000

struct position_part {
	union {
		struct position_record record; /* of copies and the fingerprint */
		struct parked_record parked;
	};
	bool is_parked;
	UT_hash_handle hh;
	char key[]; /* without the name, "/copy/..." */
};

/* ---- reading -------------------------------------------------------------------------------- */

struct reading {
	const char *name;
	struct records_reader *reader;
	struct position_stored *stored;
};

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registry_schema schema;

	if (registry_by_id(context, id, &schema, e) < 0)
		return -1;
	*ret_text = schema.text;
	return 0;
}

static void part_free(struct position_stored *stored, struct position_part *part)
{
	HASH_DEL(stored->parts, part);
	if (part->is_parked)
		records_done_parked(&part->parked);
	else
		records_done_position(&part->record);
	free(part);
}

static int take_main(struct reading *r, struct slice value, struct err *e)
{
	struct position_stored *stored = r->stored;

	if (stored->found)
		records_done_position(&stored->main);
	stored->found = false;
	if (value.data == NULL)
		return 0;
	if (records_read_position(r->reader, value, &stored->main, e) < 0)
		return -1;
	stored->found = true;
	return 0;
}

static int read_part(struct reading *r, bool is_parked, struct slice key, struct slice value,
		     struct position_part **ret_part, struct err *e)
{
	struct position_part *part = xcalloc(1, sizeof(*part) + key.size + 1);

	memcpy(part->key, key.data, key.size);
	part->is_parked = is_parked;
	if (is_parked ? records_read_parked(r->reader, value, &part->parked, e) < 0
		      : records_read_position(r->reader, value, &part->record, e) < 0) {
		free(part);
		return -1;
	}
	*ret_part = part;
	return 0;
}

static int take_part(struct reading *r, const struct consumer_message *m, struct err *e)
{
	struct position_stored *stored = r->stored;
	size_t n = strlen(r->name);
	struct slice key = slice_of(m->key.data + n, m->key.size - n);
	struct position_part *part;

	HASH_FIND(hh, stored->parts, key.data, key.size, part);
	if (part != NULL)
		part_free(stored, part);
	if (m->value.data == NULL)
		return 0;
	if (HASH_COUNT(stored->parts) >= PARTS_MAX)
		return err_data(e, "more than %d parts", PARTS_MAX);
	if (read_part(r, parked_is_index_key(r->name, m->key), key, m->value, &part, e) < 0)
		return -1;
	HASH_ADD_KEYPTR(hh, stored->parts, part->key, key.size, part);
	return 0;
}

static int take(void *context, const struct consumer_message *m, struct err *e)
{
	struct reading *r = context;
	size_t n = strlen(r->name);
	int rc = 0;

	if (m->key.data == NULL || m->key.size < n || memcmp(m->key.data, r->name, n) != 0)
		return 0;
	if (m->key.size == n)
		rc = take_main(r, m->value, e);
	else if (m->key.data[n] == '/')
		rc = take_part(r, m, e);
	return rc < 0 ? err_wrap(e, "position of %s, offset %lld", r->name, (long long)m->offset)
		      : 0;
}

static bool same_copy(const struct position_copy *a, const struct position_copy *b)
{
	return a->id == b->id && strcmp(a->db, b->db) == 0 && strcmp(a->table, b->table) == 0 &&
	       strcmp(a->kind, b->kind) == 0;
}

/* The old form's copies, where no part says something newer. */
static void add_old_copies(struct position_stored *stored, size_t *count)
{
	size_t parts = *count;

	for (size_t i = 0; i < stored->main.copy_count; i++) {
		bool newer = false;

		for (size_t k = 0; k < parts && !newer; k++)
			newer = same_copy(&stored->main.copies[i], &stored->copies[k]);
		if (!newer)
			stored->copies[(*count)++] = stored->main.copies[i];
	}
}

static bool is_copy(const struct position_part *part)
{
	return !part->is_parked && strncmp(part->key, "/copy/", 6) == 0 &&
	       part->record.copy_count == 1;
}

static void put_together(struct position_stored *stored)
{
	struct position_record *whole = &stored->position;
	struct position_part *part, *next;
	size_t all = HASH_COUNT(stored->parts), copies = 0;

	*whole = stored->main;
	if (whole->fingerprint == NULL)
		whole->fingerprint = "";
	stored->copies = xcalloc(all + whole->copy_count + 1, sizeof(*stored->copies));
	stored->parked = xcalloc(all + 1, sizeof(*stored->parked));
	HASH_ITER(hh, stored->parts, part, next)
	{
		if (part->is_parked)
			stored->parked[stored->parked_count++] = part->parked;
		else if (is_copy(part))
			stored->copies[copies++] = part->record.copies[0];
		else if (strcmp(part->key, "/fingerprint") == 0)
			whole->fingerprint = part->record.fingerprint;
	}
	add_old_copies(stored, &copies);
	whole->copies = stored->copies;
	whole->copy_count = copies;
	whole->memory = NULL; /* main's */
}

int position_read(const struct settings *settings, struct registry *registry,
		  struct position_stored *ret_stored, struct err *e)
{
	struct position_stored stored = { .found = false };
	struct reading r = { settings->name, records_reader_new(lookup, registry), &stored };
	char *topic = delivery_topic_name(settings, "position");
	int rc = scan_partition(settings, topic, 0, CONSUMER_BEGIN, take, &r, e);

	if (rc == 0)
		put_together(&stored);
	if (rc == 0)
		*ret_stored = stored;
	else
		position_stored_done(&stored);
	records_reader_free(r.reader);
	free(topic);
	return rc;
}

static const struct position_record *next_of(const struct position_stored *stored)
{
	struct position_part *part = NULL;

	HASH_FIND_STR(stored->parts, "/next", part);
	return part != NULL && !part->is_parked ? &part->record : NULL;
}

bool position_was_in_steps(const struct position_stored *stored)
{
	return next_of(stored) != NULL;
}

bool position_has_next(const struct position_stored *stored, const struct commit_record *last)
{
	const struct position_record *next = next_of(stored), *now = &stored->position;

	return next != NULL && last->gtid_set != NULL && next->seq == last->seq &&
	       next->transactions_total == last->transactions_total &&
	       next->bytes_total == last->bytes_total &&
	       strcmp(next->gtid_set, last->gtid_set) == 0 &&
	       (!stored->found || next->seq > now->seq ||
		next->transactions_total > now->transactions_total ||
		next->bytes_total > now->bytes_total);
}

void position_take_next(struct position_stored *stored)
{
	const struct position_record *next = next_of(stored);
	struct position_record *now = &stored->position;
	size_t count = now->copy_count;
	const char *fingerprint = now->fingerprint;

	stored->copies =
		xrealloc(stored->copies, (count + next->copy_count + 1) * sizeof(*stored->copies));
	for (size_t i = 0; i < next->copy_count; i++) {
		size_t k = 0;

		while (k < count && !same_copy(&stored->copies[k], &next->copies[i]))
			k++;
		stored->copies[k] = next->copies[i];
		count += k == count;
	}
	*now = *next;
	now->copies = stored->copies;
	now->copy_count = count;
	now->fingerprint = fingerprint;
	now->memory = NULL; /* the part's */
	stored->found = true;
}

void position_stored_done(struct position_stored *stored)
{
	struct position_part *part, *next;

	HASH_ITER(hh, stored->parts, part, next)
	part_free(stored, part);
	if (stored->found)
		records_done_position(&stored->main);
	free(stored->copies);
	free(stored->parked);
	*stored = (struct position_stored){ .found = false };
}

/* ---- writing -------------------------------------------------------------------------------- */

struct written {
	UT_hash_handle hh;
	uint64_t round;   /* of the last call that had it */
	uint8_t *value;   /* as it was sent, and as large: there is one for each table */
	size_t size;
	char key[];
};

struct position_writer {
	char *name;
	int32_t schema_id;
	struct written *written;
	struct position_copy *last; /* as of the last call */
	size_t last_count;
	uint64_t round;
	struct buf key, value;
};

static void encode(struct position_writer *w, const struct position_record *record, struct buf *out)
{
	buf_reset(out);
	write_wire_header(out, w->schema_id);
	records_write_position(record, out);
}

static void copy_key(struct position_writer *w, const struct position_copy *c)
{
	buf_reset(&w->key);
	buf_add_format(&w->key, "%s/copy/%s/%" PRId64 "/", w->name, c->kind, c->id);
	schema_escape_name(c->db, &w->key);
	buf_add_u8(&w->key, '.');
	schema_escape_name(c->table, &w->key);
}

static struct written *written_for(struct position_writer *w)
{
	struct written *old;

	HASH_FIND(hh, w->written, w->key.data, w->key.size, old);
	if (old == NULL) {
		old = xcalloc(1, sizeof(*old) + w->key.size + 1);
		memcpy(old->key, w->key.data, w->key.size);
		HASH_ADD_KEYPTR(hh, w->written, old->key, w->key.size, old);
	}
	return old;
}

static void remember(struct written *old, struct slice value)
{
	old->value = xrealloc(old->value, value.size);
	old->size = value.size;
	memcpy(old->value, value.data, value.size);
}

static void encode_copy(struct position_writer *w, const struct position_copy *copy)
{
	struct position_copy one = *copy;
	struct position_record record = { .copies = &one, .copy_count = 1 };

	encode(w, &record, &w->value);
}

static void know(struct position_writer *w, const struct position_stored *stored, bool exactly_once)
{
	const struct position_part *part;

	for (part = stored->parts; part != NULL; part = part->hh.next) {
		struct written *old;

		bool fingerprint = strcmp(part->key, "/fingerprint") == 0;

		if (part->is_parked || (!is_copy(part) && !fingerprint && !exactly_once))
			continue;
		buf_reset(&w->key);
		buf_add_format(&w->key, "%s%s", w->name, part->key);
		old = written_for(w);
		if (!is_copy(part) && !fingerprint)
			continue; /* known, and never written: a tombstone */
		if (!fingerprint)
			encode_copy(w, &part->record.copies[0]);
		else
			encode(w,
			       &(struct position_record){ .fingerprint = part->record.fingerprint },
			       &w->value);
		remember(old, buf_slice(&w->value));
	}
}

struct position_writer *position_writer_new(const char *name, int32_t schema_id,
					    const struct position_stored *stored, bool exactly_once)
{
	struct position_writer *w = xcalloc(1, sizeof(*w));

	w->name = xstrdup(name);
	w->schema_id = schema_id;
	know(w, stored, exactly_once);
	return w;
}

static void written_free(struct position_writer *w, struct written *old)
{
	HASH_DEL(w->written, old);
	free(old->value);
	free(old);
}

void position_writer_free(struct position_writer *w)
{
	struct written *old, *next;

	if (w == NULL)
		return;
	HASH_ITER(hh, w->written, old, next)
	written_free(w, old);
	buf_done(&w->key);
	buf_done(&w->value);
	free(w->last);
	free(w->name);
	free(w);
}

/* w->key, w->value: sent unless it is what was sent last. */
static int send_changed(struct position_writer *w, position_send_fn send, void *context,
			struct err *e)
{
	struct written *old = written_for(w);

	old->round = w->round;
	if (slice_equal(slice_of(old->value, old->size), buf_slice(&w->value)))
		return 0;
	if (send(context, buf_slice(&w->key), buf_slice(&w->value), e) < 0)
		return -1;
	remember(old, buf_slice(&w->value));
	return 0;
}

/* The same copies in the same places: only those whose struct changed. */
static bool same_places(const struct position_writer *w, const struct position_record *r)
{
	if (w->last == NULL || w->last_count != r->copy_count)
		return false;
	for (size_t i = 0; i < r->copy_count; i++)
		if (w->last[i].table != r->copies[i].table || w->last[i].id != r->copies[i].id)
			return false;
	return true;
}

static int send_copies(struct position_writer *w, const struct position_record *r, bool all,
		       position_send_fn send, void *context, struct err *e)
{
	for (size_t i = 0; i < r->copy_count; i++) {
		const struct position_copy *c = &r->copies[i];

		if (!all && memcmp(c, &w->last[i], sizeof(*c)) == 0)
			continue;
		copy_key(w, c);
		encode_copy(w, c);
		if (send_changed(w, send, context, e) < 0)
			return -1;
	}
	w->last = xrealloc(w->last, (r->copy_count + 1) * sizeof(*w->last));
	if (r->copy_count > 0)
		memcpy(w->last, r->copies, r->copy_count * sizeof(*w->last));
	w->last_count = r->copy_count;
	return 0;
}

static int send_fingerprint(struct position_writer *w, const char *fingerprint,
			    position_send_fn send, void *context, struct err *e)
{
	buf_reset(&w->key);
	buf_add_format(&w->key, "%s/fingerprint", w->name);
	encode(w, &(struct position_record){ .fingerprint = fingerprint }, &w->value);
	return send_changed(w, send, context, e);
}

/* What this round did not have is no more. */
static int send_tombstones(struct position_writer *w, position_send_fn send, void *context,
			   struct err *e)
{
	struct written *old, *next;

	HASH_ITER(hh, w->written, old, next)
	{
		if (old->round == w->round)
			continue;
		if (send(context, slice_of(old->key, old->hh.keylen), slice_of(NULL, 0), e) < 0)
			return -1;
		written_free(w, old);
	}
	return 0;
}

int position_write_next(struct position_writer *w, const struct position_record *record,
			position_send_fn send, void *context, struct err *e)
{
	struct position_record next = *record;
	bool all = !same_places(w, record);

	next.copies = xcalloc(record->copy_count + 1, sizeof(*next.copies));
	next.copy_count = 0;
	for (size_t i = 0; i < record->copy_count; i++)
		if (all || memcmp(&record->copies[i], &w->last[i], sizeof(*w->last)) != 0)
			next.copies[next.copy_count++] = record->copies[i];
	next.fingerprint = NULL;
	encode(w, &next, &w->value);
	free(next.copies);
	buf_reset(&w->key);
	buf_add_format(&w->key, "%s/next", w->name);
	return send(context, buf_slice(&w->key), buf_slice(&w->value), e);
}

int position_write(struct position_writer *w, const struct position_record *record,
		   position_send_fn send, void *context, struct err *e)
{
	struct position_record main = *record;
	bool all = !same_places(w, record);

	w->round += all;
	if (send_copies(w, record, all, send, context, e) < 0 ||
	    (all && (send_fingerprint(w, record->fingerprint, send, context, e) < 0 ||
		     send_tombstones(w, send, context, e) < 0)))
		return -1;
	main.copies = NULL;
	main.copy_count = 0;
	main.fingerprint = NULL;
	encode(w, &main, &w->value);
	return send(context, slice_str(w->name), buf_slice(&w->value), e);
}
