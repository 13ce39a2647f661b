/* row_back.c - takes envelopes and keys apart, along their writer schema.
 *
 * Fields are found by name, so that older and newer envelopes read alike; what is not asked for is
 * walked over. Each field of a row is matched with a column of the shape by the column's escaped
 * name. The image is built as the binlog would hold it and split again, so cells are made in one
 * place only (row.c). */
#include "cdc/publish/row_back.h"

#include "core/avro/read.h"
#include "core/avro/row_schema.h"
#include "core/avro/schema.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define NO_COLUMN UINT16_MAX

struct field {
	const struct schema *schema; /* the value's, behind the union */
	uint8_t null_branch;         /* 0 or 1; 2: no union */
	uint16_t column;             /* of the shape; NO_COLUMN: dropped since */
	bool other;                  /* the column has another type by now */
};

struct row_back {
	struct schema *writer;
	const struct schema *value; /* the record of columns */
	struct shape *shape;
	struct field *fields; /* of value */
	uint8_t *present;     /* bitmap of all columns */
	uint8_t *states;      /* enum cell_state per column, of the image in hand */
	bool converted;       /* row_back_converted() */
	struct buf scratch, values;
	size_t *at, *size; /* per column, in values */
};

/* ---- schemas -------------------------------------------------------------------------------- */

static const struct schema_field *find_field(const struct schema *record, const char *name)
{
	for (size_t i = 0; i < record->count; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return &record->fields[i];
	return NULL;
}

/* The branch of a union with null that is not null. */
static const struct schema *other_branch(const struct schema *s, uint8_t *ret_null_branch)
{
	*ret_null_branch = 2;
	if (s->type != SCHEMA_UNION)
		return s;
	for (uint8_t i = 0; s->count == 2 && i < 2; i++) {
		if (s->branches[i]->type == SCHEMA_NULL) {
			*ret_null_branch = i;
			return s->branches[1 - i];
		}
	}
	return NULL;
}

static uint16_t find_column(const struct shape *shape, const char *field)
{
	struct buf name = BUF_INIT;
	uint16_t found = NO_COLUMN;

	for (uint16_t i = 0; i < shape->column_count && found == NO_COLUMN; i++) {
		buf_reset(&name);
		schema_escape_name(shape->columns[i].name, &name);
		if (slice_is(buf_slice(&name), field))
			found = i;
	}
	buf_done(&name);
	return found;
}

/* The record whose fields are columns: of an envelope that of `before`, else the schema itself. */
static const struct schema *value_record(const struct schema *writer)
{
	const struct schema_field *before;
	const struct schema *value;
	uint8_t unused;

	if (writer->type != SCHEMA_RECORD)
		return NULL;
	before = find_field(writer, "before");
	if (before == NULL || find_field(writer, "source") == NULL)
		return writer;
	value = other_branch(before->schema, &unused);
	return value != NULL && value->type == SCHEMA_RECORD ? value : NULL;
}

static int match_fields(struct row_back *b, struct err *e)
{
	b->fields = xcalloc(b->value->count + 1, sizeof(*b->fields));
	for (size_t i = 0; i < b->value->count; i++) {
		const struct schema_field *f = &b->value->fields[i];

		b->fields[i].schema = other_branch(f->schema, &b->fields[i].null_branch);
		b->fields[i].column = find_column(b->shape, f->name);
		if (b->fields[i].schema == NULL)
			return err_data(e, "schema of rows of %s.%s: field %s is no column",
					b->shape->db, b->shape->table, f->name);
		b->fields[i].other = b->fields[i].column != NO_COLUMN &&
				     !row_schema_holds(&b->shape->columns[b->fields[i].column],
						       b->fields[i].schema);
	}
	return 0;
}

int row_back_new(struct slice writer, struct shape *shape, struct row_back **ret_back,
		 struct err *e)
{
	struct row_back *b = xcalloc(1, sizeof(*b));
	size_t columns = shape->column_count;

	b->shape = shape_ref(shape);
	b->present = xmalloc(columns / 8 + 1);
	memset(b->present, 0xff, columns / 8 + 1);
	b->states = xcalloc(columns, sizeof(*b->states));
	b->at = xcalloc(columns, sizeof(*b->at));
	b->size = xcalloc(columns, sizeof(*b->size));
	if (schema_parse(writer, &b->writer, e) < 0)
		goto failed;
	b->value = value_record(b->writer);
	if (b->value == NULL) {
		err_data(e, "the schema of a record of %s.%s is none of rows", shape->db,
			 shape->table);
		goto failed;
	}
	if (match_fields(b, e) < 0)
		goto failed;
	*ret_back = b;
	return 0;
failed:
	row_back_free(b);
	return -1;
}

void row_back_free(struct row_back *b)
{
	if (b == NULL)
		return;
	schema_free(b->writer);
	shape_unref(b->shape);
	free(b->fields);
	free(b->present);
	free(b->states);
	free(b->at);
	free(b->size);
	buf_done(&b->scratch);
	buf_done(&b->values);
	free(b);
}

/* ---- an envelope ---------------------------------------------------------------------------- */

static void take_field(struct row_back_record *r, const struct schema_field *f, struct slice datum,
		       struct rd *in)
{
	struct rd value = rd_from(datum);
	struct slice op;

	if (strcmp(f->name, "source") == 0) {
		r->seq = read_long(&value); /* its first field */
	} else if (strcmp(f->name, "op") == 0) {
		op = read_bytes(&value);
		if (op.size == 1)
			r->op = (char)op.data[0];
		else
			rd_fail(in);
	} else if (strcmp(f->name, "before") == 0) {
		r->before = datum;
		r->has_before = read_long(&value) == 1;
	} else if (strcmp(f->name, "after") == 0) {
		r->after = datum;
		r->has_after = read_long(&value) == 1;
	} else if (strcmp(f->name, "absent") == 0) {
		r->absent = datum;
	} else if (strcmp(f->name, "exact") == 0) {
		r->exact = datum;
	} else if (strcmp(f->name, "parked") == 0) {
		r->parked = read_long(&value) == 1;
		if (r->parked)
			r->parked_at = read_bytes(&value);
	}
}

int row_back_read(const struct row_back *b, struct slice datum, struct row_back_record *ret_record,
		  struct err *e)
{
	struct row_back_record r = { 0 };
	struct rd in = rd_from(datum);

	for (size_t i = 0; i < b->writer->count && rd_ok(&in); i++) {
		size_t from = in.at;

		row_back_skip(b->writer->fields[i].schema, &in);
		if (rd_ok(&in))
			take_field(&r, &b->writer->fields[i],
				   slice_of(datum.data + from, in.at - from), &in);
	}
	if (!rd_end(&in) || r.op == 0)
		return err_data(e, "a record of %s.%s is none of its schema (byte %zu of %zu)",
				b->shape->db, b->shape->table, in.at, datum.size);
	*ret_record = r;
	return 0;
}

/* ---- an image ------------------------------------------------------------------------------- */

static void add_absent(struct row_back *b, struct slice name)
{
	int column = shape_column(b->shape, name);

	if (column >= 0 && b->states[column] == CELL_NULL)
		b->states[column] = CELL_ABSENT;
}

static void take_absent(struct row_back *b, struct slice absent, const char *image)
{
	size_t prefix = strlen(image);
	struct rd in = rd_from(absent);

	if (absent.size == 0 || read_long(&in) != 1)
		return;
	for (int64_t n = read_block(&in); n > 0 && rd_ok(&in); n = read_block(&in)) {
		for (int64_t i = 0; i < n && rd_ok(&in); i++) {
			struct slice name = read_bytes(&in);

			if (rd_ok(&in) && name.size > prefix &&
			    memcmp(name.data, image, prefix) == 0)
				add_absent(b, slice_of(name.data + prefix, name.size - prefix));
		}
	}
}

static void add_exact(struct row_back *b, struct slice name, struct slice text)
{
	int column = shape_column(b->shape, name);
	size_t at = b->values.size;

	if (column < 0 || b->states[column] == CELL_VALUE)
		return;
	if (!row_back_exact(&b->shape->columns[column], text, &b->scratch, &b->values))
		return; /* its type has changed since: NULL stays */
	b->states[column] = CELL_VALUE;
	b->at[column] = at;
	b->size[column] = b->values.size - at;
}

static void take_exact(struct row_back *b, struct slice exact, const char *image)
{
	size_t prefix = strlen(image);
	struct rd in = rd_from(exact);

	if (exact.size == 0 || read_long(&in) != 1)
		return;
	for (int64_t n = read_block(&in); n > 0 && rd_ok(&in); n = read_block(&in)) {
		for (int64_t i = 0; i < n && rd_ok(&in); i++) {
			struct slice name = read_bytes(&in), text = read_bytes(&in);

			if (rd_ok(&in) && name.size > prefix &&
			    memcmp(name.data, image, prefix) == 0)
				add_exact(b, slice_of(name.data + prefix, name.size - prefix),
					  text);
		}
	}
}

/* The record's columns into values; columns that it lacks stay `missing`. */
static int read_columns(struct row_back *b, struct rd *in, enum cell_state missing, struct err *e)
{
	buf_reset(&b->values);
	b->converted = false;
	memset(b->states, (int)missing, b->shape->column_count);
	for (size_t i = 0; i < b->value->count && rd_ok(in); i++) {
		const struct field *f = &b->fields[i];
		size_t at = b->values.size;
		int rc;

		if (f->null_branch != 2 && read_long(in) == f->null_branch) {
			if (f->column != NO_COLUMN)
				b->states[f->column] = CELL_NULL;
			continue;
		}
		if (f->column == NO_COLUMN) {
			row_back_skip(f->schema, in);
			continue;
		}
		b->converted |= f->other;
		rc = row_back_value(f->schema, &b->shape->columns[f->column], in, &b->scratch,
				    &b->values);
		b->states[f->column] = rc == 1 ? CELL_VALUE : CELL_NULL;
		b->at[f->column] = at;
		b->size[f->column] = b->values.size - at;
	}
	if (rd_end(in))
		return 0;
	return err_data(e, "a row of %s.%s is none of its schema (byte %zu of %zu)", b->shape->db,
			b->shape->table, in->at, in->size);
}

/* The row image of what read_columns() and the two above have put together; absent columns are NULL
 * in it and marked afterwards. */
static int make_cells(struct row_back *b, struct buf *bytes, struct cell *ret_cells, struct err *e)
{
	size_t nulls = (b->shape->column_count + 7u) / 8;
	struct rd in;

	buf_reset(bytes);
	memset(buf_reserve(bytes, nulls), 0xff, nulls);
	bytes->size = nulls;
	for (uint16_t c = 0; c < b->shape->column_count; c++) {
		if (b->states[c] != CELL_VALUE)
			continue;
		buf_add(bytes, b->values.data + b->at[c], b->size[c]);
		bytes->data[c / 8] &= (uint8_t) ~(1u << c % 8);
	}
	in = rd_from(buf_slice(bytes));
	if (row_split(&in, b->shape, b->present, ret_cells, e) < 0)
		return -1;
	for (uint16_t c = 0; c < b->shape->column_count; c++)
		if (b->states[c] == CELL_ABSENT)
			ret_cells[c].state = CELL_ABSENT;
	return 0;
}

int row_back_cells(struct row_back *b, const struct row_back_record *record,
		   enum row_back_image image, struct buf *bytes, struct cell *ret_cells,
		   struct err *e)
{
	struct rd in = rd_from(image == ROW_BACK_BEFORE ? record->before : record->after);
	const char *prefix = image == ROW_BACK_BEFORE ? "before." : "after.";

	if (read_long(&in) != 1)
		return err_data(e, "a record of %s.%s lacks the image that was asked for",
				b->shape->db, b->shape->table);
	if (read_columns(b, &in, CELL_NULL, e) < 0)
		return -1;
	take_exact(b, record->exact, prefix);
	take_absent(b, record->absent, prefix);
	return make_cells(b, bytes, ret_cells, e);
}

bool row_back_converted(const struct row_back *b)
{
	return b->converted;
}

int row_back_key(struct row_back *b, struct slice datum, struct buf *bytes, struct cell *ret_cells,
		 bool *ret_whole, struct err *e)
{
	struct rd in = rd_from(datum);
	bool whole = true;

	if (read_columns(b, &in, CELL_ABSENT, e) < 0 || make_cells(b, bytes, ret_cells, e) < 0)
		return -1;
	for (uint16_t k = 0; k < b->shape->key_count; k++)
		whole = whole && ret_cells[b->shape->key[k]].state == CELL_VALUE;
	*ret_whole = whole;
	return 0;
}
