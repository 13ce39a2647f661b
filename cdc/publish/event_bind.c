/* event_bind.c - binds an event to a shape and decides, row by row, whether it happened.
 *
 * Each field becomes a source: a column copied by its encode function, a column by way of a value,
 * or an expression. The condition is evaluated by SQLite on only the columns it reads. Buffers are
 * kept between rows, so a warm bind allocates nothing. Refused at bind time, all at once: unknown
 * columns, types that don't fit, conditions that don't compile. */
#include "cdc/publish/event_bind.h"

#include "cdc/publish/field_write.h"
#include "core/avro/row_schema.h"
#include "core/avro/write.h"
#include "core/base/mem.h"
#include "core/sql/expression.h"
#include "core/value/encode.h"
#include "core/value/value.h"

#include <stdlib.h>

enum source_kind { SOURCE_COPY, SOURCE_COLUMN, SOURCE_EXPRESSION };

struct source {
	enum source_kind kind;
	uint16_t column;  /* COPY, COLUMN */
	encode_fn encode; /* COPY */
	struct expression *expression;
};

struct event_bind {
	const struct event_schema *event;
	struct shape *shape;
	struct source *sources;   /* one per field */
	struct expression *where; /* NULL: always true */
	struct value *values;     /* one per column, filled where an expression reads it */
	struct buf *scratch;      /* one per column: converted text of values */
	struct buf one, other;    /* two encodings to compare */
};

static struct schema *column_schema(const struct column *column, struct err *e)
{
	struct buf text = BUF_INIT;
	struct schema *schema = NULL;

	row_schema_column(column, &text);
	(void)schema_parse(buf_slice(&text), &schema, e); /* the caller sees NULL */
	buf_done(&text);
	return schema;
}

static bool same_logical(const char *column, const char *field)
{
	static const char *const instants[] = { "timestamp-micros", "local-timestamp-micros" };
	int known = 0;

	if (field == NULL)
		return column == NULL || strcmp(column, "decimal") != 0;
	if (column == NULL)
		return false;
	for (size_t i = 0; i < 2; i++)
		known += (strcmp(column, instants[i]) == 0) + (strcmp(field, instants[i]) == 0);
	return strcmp(column, field) == 0 || known == 2;
}

/* May the bytes of the column's type be read as the field's type? */
static bool copies(const struct schema *column, const struct schema *field)
{
	if (column->type != field->type &&
	    !(column->type == SCHEMA_INT && field->type == SCHEMA_LONG))
		return false;
	if (field->type == SCHEMA_ARRAY)
		return copies(column->items, field->items);
	if (!same_logical(column->logical, field->logical))
		return false;
	return field->logical == NULL || strcmp(field->logical, "decimal") != 0 ||
	       (column->scale == field->scale && column->precision <= field->precision);
}

static bool is_time(const char *logical, const char *unit)
{
	return logical != NULL && strstr(logical, "timestamp") != NULL &&
	       strstr(logical, unit) != NULL;
}

/* May a value of the column's type be converted? Times only to milliseconds, decimals only to text:
 * a bare number or text would lose what it means. */
static bool converts(const struct schema *column, const struct schema *field)
{
	if (!field_write_accepts(field))
		return false;
	if (field->logical != NULL)
		return is_time(field->logical, "-millis") && is_time(column->logical, "-micros");
	if (column->logical != NULL)
		return field->type == SCHEMA_STRING && strcmp(column->logical, "decimal") == 0;
	return true;
}

static int bind_column(const struct event_field *field, const struct column *column,
		       struct source *source, struct err *e)
{
	struct schema *schema = column_schema(column, e);
	bool copy = schema != NULL && copies(schema, field->type);
	bool fits = schema != NULL && converts(schema, field->type);
	char type[64];

	schema_free(schema);
	if (copy) {
		source->kind = SOURCE_COPY;
		source->encode = encode_for(column);
		return 0;
	}
	source->kind = SOURCE_COLUMN;
	if (fits)
		return 0;
	err_config(e, "field %s: column %s is %s, which does not fit the declared type",
		   field->name, column->name, column_type_text(column, type, sizeof(type)));
	return err_hint(
		e,
		"schemas/mapping.md says what each column type becomes, and which fields it fits.");
}

static int bind_field(struct event_bind *bind, size_t i, struct err *e)
{
	const struct event_field *field = &bind->event->fields[i];
	int column = shape_column(bind->shape, slice_str(field->expression));
	struct source *source = &bind->sources[i];
	char *origin;
	int rc;

	if (column >= 0) {
		source->column = (uint16_t)column;
		return bind_column(field, &bind->shape->columns[column], source, e);
	}
	source->kind = SOURCE_EXPRESSION;
	if (!field_write_accepts(field->type))
		return err_config(e, "field %s: an expression can't fill its type; name a column",
				  field->name);
	origin = xasprintf("field %s", field->name);
	rc = expression_new(origin, field->expression, bind->shape, &source->expression, e);
	free(origin);
	return rc;
}

static void add_mistake(struct buf *mistakes, const struct event_schema *event,
			const struct err *one)
{
	buf_add_format(mistakes, "%s%s: %s: %s", mistakes->size != 0 ? "\n" : "", event->file,
		       event->name, one->msg);
}

static int bind_all(struct event_bind *bind, struct err *e)
{
	struct buf mistakes = BUF_INIT;
	struct err one = ERR_INIT;
	int rc = 0;

	for (size_t i = 0; i < bind->event->field_count; i++) {
		if (bind_field(bind, i, &one) < 0)
			add_mistake(&mistakes, bind->event, &one);
	}
	if (bind->event->where != NULL &&
	    expression_new("where", bind->event->where, bind->shape, &bind->where, &one) < 0)
		add_mistake(&mistakes, bind->event, &one);
	if (mistakes.size != 0)
		rc = err_config(e, "%s", buf_cstr(&mistakes));
	buf_done(&mistakes);
	return rc;
}

int event_bind_new(const struct event_schema *event, struct shape *shape,
		   struct event_bind **ret_bind, struct err *e)
{
	struct event_bind *bind = xcalloc(1, sizeof(*bind));

	bind->event = event;
	bind->shape = shape_ref(shape);
	bind->sources = xcalloc(event->field_count, sizeof(*bind->sources));
	bind->values = xcalloc(shape->column_count, sizeof(*bind->values));
	bind->scratch = xcalloc(shape->column_count, sizeof(*bind->scratch));
	if (bind_all(bind, e) < 0) {
		event_bind_free(bind);
		return -1;
	}
	*ret_bind = bind;
	return 0;
}

void event_bind_free(struct event_bind *bind)
{
	if (bind == NULL)
		return;
	for (size_t i = 0; i < bind->event->field_count; i++)
		expression_free(bind->sources[i].expression);
	for (uint16_t c = 0; c < bind->shape->column_count; c++)
		buf_done(&bind->scratch[c]);
	expression_free(bind->where);
	buf_done(&bind->one);
	buf_done(&bind->other);
	free(bind->sources);
	free(bind->values);
	free(bind->scratch);
	shape_unref(bind->shape);
	free(bind);
}

const struct event_schema *event_bind_event(const struct event_bind *bind)
{
	return bind->event;
}

static void load_value(struct event_bind *bind, const struct cell *row, uint16_t column)
{
	buf_reset(&bind->scratch[column]);
	(void)value_from_cell(&bind->shape->columns[column], &row[column], &bind->scratch[column],
			      &bind->values[column]); /* inexact: the exact text is the value */
}

static void load_used(struct event_bind *bind, const struct expression *x, const struct cell *row)
{
	for (uint16_t c = 0; c < bind->shape->column_count; c++) {
		if (expression_uses(x, c))
			load_value(bind, row, c);
	}
}

static int holds(struct event_bind *bind, const struct cell *row, bool *ret_holds, struct err *e)
{
	*ret_holds = row != NULL;
	if (row == NULL || bind->where == NULL)
		return 0;
	load_used(bind, bind->where, row);
	if (expression_test(bind->where, bind->values, ret_holds, e) < 0)
		return err_wrap(e, "%s: where", bind->event->file);
	return 0;
}

static void write_branch(const struct event_field *field, bool null, struct buf *out)
{
	if (field->nullable)
		write_long(out, null == field->null_second ? 1 : 0);
}

static int no_value(const struct event_bind *bind, const struct event_field *field, const char *why,
		    struct err *e)
{
	err_data(e, "event %s: field %s %s", bind->event->full_name, field->name, why);
	return err_hint(
		e, "Give the field a type with null, or leave such rows out with \"where\" (%s).",
		bind->event->file);
}

/* Null would say that the column is empty, where it is only unknown. */
static int absent(const struct event_bind *bind, const struct event_field *field, struct err *e)
{
	err_data(e, "event %s: field %s: the row image lacks its column", bind->event->full_name,
		 field->name);
	return err_hint(e, "Set binlog_row_image=FULL in the session that writes this table.");
}

static int write_copy(struct event_bind *bind, const struct event_field *field,
		      const struct source *source, const struct cell *row, struct buf *out,
		      struct err *e)
{
	const struct cell *cell = &row[source->column];
	size_t start = out->size;

	if (cell->state == CELL_ABSENT)
		return absent(bind, field, e);
	if (cell->state == CELL_VALUE) {
		write_branch(field, false, out);
		if (source->encode(&bind->shape->columns[source->column], cell, out) == ENCODE_OK)
			return 0;
		out->size = start;
	}
	if (!field->nullable)
		return no_value(bind, field,
				cell->state == CELL_VALUE ? "has a value that its type can't hold"
							  : "can't be null, but the column is",
				e);
	write_branch(field, true, out);
	return 0;
}

static int write_value(struct event_bind *bind, const struct event_field *field,
		       const struct value *v, struct buf *out, struct err *e)
{
	if (v->kind == VALUE_ABSENT)
		return absent(bind, field, e);
	if (v->kind == VALUE_NULL) {
		if (!field->nullable)
			return no_value(bind, field, "can't be null, but the value is", e);
		write_branch(field, true, out);
		return 0;
	}
	write_branch(field, false, out);
	if (field_write(field->type, v, out) < 0)
		return no_value(bind, field, "has a value that its type can't hold", e);
	return 0;
}

static int write_field(struct event_bind *bind, size_t i, const struct cell *row, struct buf *out,
		       struct err *e)
{
	const struct event_field *field = &bind->event->fields[i];
	const struct source *source = &bind->sources[i];
	struct value v;

	switch (source->kind) {
	case SOURCE_COPY:
		return write_copy(bind, field, source, row, out, e);
	case SOURCE_COLUMN:
		load_value(bind, row, source->column);
		return write_value(bind, field, &bind->values[source->column], out, e);
	case SOURCE_EXPRESSION:
		load_used(bind, source->expression, row);
		if (expression_value(source->expression, bind->values, &v, e) < 0)
			return err_wrap(e, "%s: field %s", bind->event->file, field->name);
		return write_value(bind, field, &v, out, e);
	}
	return -1;
}

int event_bind_fields(struct event_bind *bind, const struct cell *row, struct buf *out,
		      struct err *e)
{
	for (size_t i = 0; i < bind->event->field_count; i++) {
		if (write_field(bind, i, row, out, e) < 0)
			return -1;
	}
	return 0;
}

int event_bind_key(struct event_bind *bind, const struct cell *row, struct buf *out, struct err *e)
{
	for (size_t k = 0; k < bind->event->key_count; k++) {
		for (size_t i = 0; i < bind->event->field_count; i++) {
			if (strcmp(bind->event->fields[i].name, bind->event->key[k]) == 0 &&
			    write_field(bind, i, row, out, e) < 0)
				return -1;
		}
	}
	return 0;
}

typedef int (*write_fn)(struct event_bind *bind, const struct cell *row, struct buf *out,
			struct err *e);

/* Do both rows give the same bytes? */
static int differs(struct event_bind *bind, write_fn fn, const struct cell *before,
		   const struct cell *after, bool *ret_differs, struct err *e)
{
	buf_reset(&bind->one);
	buf_reset(&bind->other);
	if (fn(bind, before, &bind->one, e) < 0 || fn(bind, after, &bind->other, e) < 0)
		return -1;
	*ret_differs = !slice_equal(buf_slice(&bind->one), buf_slice(&bind->other));
	return 0;
}

int event_bind_decide(struct event_bind *bind, const struct cell *before, const struct cell *after,
		      enum event_image *ret_image, struct err *e)
{
	bool was, is, moved = false, changed = false;

	*ret_image = EVENT_FROM_NONE;
	if (holds(bind, before, &was, e) < 0 || holds(bind, after, &is, e) < 0)
		return -1;
	if (was && is && differs(bind, event_bind_key, before, after, &moved, e) < 0)
		return -1;
	switch (bind->event->when) {
	case EVENT_ENTERS:
		if (is && (!was || moved))
			*ret_image = EVENT_FROM_AFTER;
		return 0;
	case EVENT_LEAVES:
		if (was && (!is || moved))
			*ret_image = EVENT_FROM_BEFORE;
		return 0;
	case EVENT_CHANGES:
		if (was && is && !moved &&
		    differs(bind, event_bind_fields, before, after, &changed, e) < 0)
			return -1;
		if (changed)
			*ret_image = EVENT_FROM_AFTER;
		return 0;
	case EVENT_ALWAYS:
		if (is)
			*ret_image = EVENT_FROM_AFTER;
		else if (was && after == NULL)
			*ret_image = EVENT_FROM_BEFORE;
		return 0;
	}
	return 0;
}
