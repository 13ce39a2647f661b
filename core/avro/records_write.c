/*
 * records_write.c - structs into Avro or JSON, by walking their table.
 *
 * A struct's optional parts are unions with null first. Arrays are one block. Both walks are
 * recursive to the depth of the tables, which is two.
 */
#include "core/avro/records_priv.h"

#include "core/avro/write.h"
#include "core/base/quote.h"

#include <inttypes.h>
#include <math.h>

static void write_record(const struct record_type *type, const void *record, int64_t *previous,
			 struct buf *out);

static void write_text(struct buf *out, const char *text)
{
	write_str(out, text != NULL ? text : "");
}

static void write_texts(struct buf *out, const struct record_texts *texts)
{
	if (texts->count > 0)
		write_long(out, (int64_t)texts->count);
	for (size_t i = 0; i < texts->count; i++)
		write_text(out, texts->items[i]);
	write_long(out, 0);
}

static void write_records(const struct member *m, const void *record, struct buf *out)
{
	const char *item = *(const char *const *)records_in(m, record);
	size_t count = records_count_in(m, record);
	int64_t previous = 0;

	if (count > 0)
		write_long(out, (int64_t)count);
	for (size_t i = 0; i < count; i++, item += m->type->size)
		write_record(m->type, item, &previous, out);
	write_long(out, 0);
}

static void write_optional(const struct member *m, const void *record, struct buf *out)
{
	const void *part = *(const void *const *)records_in(m, record);
	int64_t previous = 0;

	write_long(out, part != NULL);
	if (part != NULL && m->kind == MEMBER_TEXT_OR_NULL)
		write_str(out, part);
	else if (part != NULL)
		write_record(m->type, part, &previous, out);
}

static void write_member(const struct member *m, const void *record, int64_t *previous,
			 struct buf *out)
{
	const void *at = records_in(m, record);
	int64_t v;

	switch (m->kind) {
	case MEMBER_LONG:
		write_long(out, *(const int64_t *)at);
		break;
	case MEMBER_DELTA:
		v = *(const int64_t *)at;
		write_long(out, (int64_t)((uint64_t)v - (uint64_t)*previous));
		*previous = v;
		break;
	case MEMBER_INT:
		write_long(out, *(const int32_t *)at);
		break;
	case MEMBER_BOOL:
		write_bool(out, *(const bool *)at);
		break;
	case MEMBER_DOUBLE:
		write_double(out, *(const double *)at);
		break;
	case MEMBER_TEXT:
		write_text(out, *(const char *const *)at);
		break;
	case MEMBER_BYTES_OR_NULL:
		write_long(out, ((const struct slice *)at)->data != NULL);
		if (((const struct slice *)at)->data == NULL)
			break;
		write_slice(out, *(const struct slice *)at);
		break;
	case MEMBER_BYTES:
		write_slice(out, *(const struct slice *)at);
		break;
	case MEMBER_TEXTS:
		write_texts(out, at);
		break;
	case MEMBER_TEXT_OR_NULL:
	case MEMBER_RECORD_OR_NULL:
		write_optional(m, record, out);
		break;
	case MEMBER_RECORDS:
		write_records(m, record, out);
		break;
	}
}

static void write_record(const struct record_type *type, const void *record, int64_t *previous,
			 struct buf *out)
{
	for (size_t i = 0; i < type->member_count; i++)
		write_member(&type->members[i], record, previous, out);
}

static void write_kind(enum record_kind kind, const void *record, struct buf *out)
{
	int64_t previous = 0;

	write_record(&records_types[kind], record, &previous, out);
}

void records_write_commit(const struct commit_record *r, struct buf *out)
{
	write_kind(RECORD_COMMIT, r, out);
}

void records_write_position(const struct position_record *r, struct buf *out)
{
	write_kind(RECORD_POSITION, r, out);
}

void records_write_parked(const struct parked_record *r, struct buf *out)
{
	write_kind(RECORD_PARKED, r, out);
}

void records_write_status(const struct status_record *r, struct buf *out)
{
	write_kind(RECORD_STATUS, r, out);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void print_record(const struct record_type *type, const void *record, struct buf *out);

static void print_text(const char *text, struct buf *out)
{
	quote_json(out, slice_str(text != NULL ? text : ""));
}

static void print_texts(const struct record_texts *texts, struct buf *out)
{
	buf_add_u8(out, '[');
	for (size_t i = 0; i < texts->count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		print_text(texts->items[i], out);
	}
	buf_add_u8(out, ']');
}

static void print_records(const struct member *m, const void *record, struct buf *out)
{
	const char *item = *(const char *const *)records_in(m, record);
	size_t count = records_count_in(m, record);

	buf_add_u8(out, '[');
	for (size_t i = 0; i < count; i++, item += m->type->size) {
		if (i > 0)
			buf_add_u8(out, ',');
		print_record(m->type, item, out);
	}
	buf_add_u8(out, ']');
}

static void print_optional(const struct member *m, const void *record, struct buf *out)
{
	const void *part = *(const void *const *)records_in(m, record);

	if (part == NULL)
		buf_add_str(out, "null");
	else if (m->kind == MEMBER_TEXT_OR_NULL)
		print_text(part, out);
	else
		print_record(m->type, part, out);
}

/* In hex. */
static void print_bytes(const struct slice *bytes, struct buf *out)
{
	if (bytes->data == NULL) {
		buf_add_str(out, "null");
		return;
	}
	buf_add_u8(out, '"');
	for (size_t i = 0; i < bytes->size; i++)
		buf_add_format(out, "%02x", bytes->data[i]);
	buf_add_u8(out, '"');
}

static void print_double(double d, struct buf *out)
{
	if (isfinite(d))
		buf_add_format(out, "%.15g", d);
	else
		buf_add_str(out, "null");
}

static void print_member(const struct member *m, const void *record, struct buf *out)
{
	const void *at = records_in(m, record);

	switch (m->kind) {
	case MEMBER_LONG:
	case MEMBER_DELTA:
		buf_add_format(out, "%" PRId64, *(const int64_t *)at);
		break;
	case MEMBER_INT:
		buf_add_format(out, "%" PRId32, *(const int32_t *)at);
		break;
	case MEMBER_BOOL:
		buf_add_str(out, *(const bool *)at ? "true" : "false");
		break;
	case MEMBER_DOUBLE:
		print_double(*(const double *)at, out);
		break;
	case MEMBER_TEXT:
		print_text(*(const char *const *)at, out);
		break;
	case MEMBER_BYTES:
	case MEMBER_BYTES_OR_NULL:
		print_bytes(at, out);
		break;
	case MEMBER_TEXTS:
		print_texts(at, out);
		break;
	case MEMBER_TEXT_OR_NULL:
	case MEMBER_RECORD_OR_NULL:
		print_optional(m, record, out);
		break;
	case MEMBER_RECORDS:
		print_records(m, record, out);
		break;
	}
}

static void print_record(const struct record_type *type, const void *record, struct buf *out)
{
	buf_add_u8(out, '{');
	for (size_t i = 0; i < type->member_count; i++) {
		const struct member *m = &type->members[i];

		quote_json_key(out, m->kind == MEMBER_DELTA ? "commit_us" : m->name);
		print_member(m, record, out);
	}
	buf_add_u8(out, '}');
}

void records_json_commit(const struct commit_record *r, struct buf *out)
{
	print_record(&records_types[RECORD_COMMIT], r, out);
}

void records_json_position(const struct position_record *r, struct buf *out)
{
	print_record(&records_types[RECORD_POSITION], r, out);
}

void records_json_status(const struct status_record *r, struct buf *out)
{
	print_record(&records_types[RECORD_STATUS], r, out);
}

void records_json_parked(const struct parked_record *r, struct buf *out)
{
	print_record(&records_types[RECORD_PARKED], r, out);
}
