/*
 * decode.c - the decode plan: a writer schema flattened into steps, run once per record.
 *
 *   schema                                   steps                      leaves
 *   record { meta { seq long },              LONG      leaf 0           meta.seq
 *            name [null, string],            TEXT?     leaf 1           name
 *            after [null, { id int }] }      RECORD?   leaves 2..2      after.id
 *                                            LONG      leaf 2
 *
 * A record costs no step of its own unless it may be null; its null marks the leaves below ABSENT
 * and jumps over their steps. Arrays, maps and unions of several types are one step that walks the
 * subtree (decode_json.c). A run allocates nothing: values point into the datum, the plan, or
 * scratch, and are taken along when scratch grows.
 *
 * Refused: more than DECODE_LEAVES_MAX leaves (a schema of shared records can unfold without
 * bound), and any datum that isn't exactly what the schema says, with leaf and byte.
 */
#include "core/avro/decode.h"

#include "core/avro/decode_priv.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

enum step_kind {
	STEP_NULL,
	STEP_BOOLEAN,
	STEP_INT,
	STEP_LONG,
	STEP_MILLIS, /* of a time: out come microseconds */
	STEP_FLOAT,
	STEP_DOUBLE,
	STEP_TEXT,
	STEP_BYTES,
	STEP_FIXED,
	STEP_DECIMAL,
	STEP_DECIMAL_FIXED,
	STEP_ENUM,
	STEP_JOINED, /* array of string */
	STEP_JSON,   /* any other array, map, union */
	STEP_RECORD, /* only records that may be null */
};

#define NEVER_NULL 2                       /* of null_branch */
#define VISITS_MAX (4 * DECODE_LEAVES_MAX) /* shared empty records unfold, too */

struct step {
	uint8_t kind;        /* enum step_kind */
	uint8_t null_branch; /* 0 or 1: which branch of the union is null; NEVER_NULL: no union */
	uint16_t scale;      /* decimal */
	uint32_t leaf;
	uint32_t leaf_end;           /* record: leaves leaf .. leaf_end-1 are below it */
	uint32_t next;               /* record: the step behind it */
	const struct schema *schema; /* fixed: its size; enum, JSON: owned by one reference */
};

struct decode_plan {
	struct step *steps;
	size_t step_count;
	char **paths;
	size_t leaf_count;
	size_t visits; /* nodes of the unfolded schema */
};

/* ---- making a plan ------------------------------------------------------------------------- */

static int add_schema(struct decode_plan *plan, const struct schema *s, const char *path,
		      uint8_t null_branch, struct err *e);

static struct step *add_step(struct decode_plan *plan, enum step_kind kind, uint8_t null_branch)
{
	struct step *step;

	if ((plan->step_count & (plan->step_count - 1)) == 0) /* full at every power of two */
		plan->steps =
			xrealloc(plan->steps, (plan->step_count == 0 ? 1 : 2 * plan->step_count) *
						      sizeof(*plan->steps));
	step = &plan->steps[plan->step_count++];
	*step = (struct step){ .kind = (uint8_t)kind, .null_branch = null_branch };
	step->leaf = step->leaf_end = (uint32_t)plan->leaf_count;
	return step;
}

static int add_leaf(struct decode_plan *plan, enum step_kind kind, uint8_t null_branch,
		    const struct schema *s, const char *path, struct err *e)
{
	struct step *step;

	if (plan->leaf_count >= DECODE_LEAVES_MAX)
		return err_data(e, "schema: more than %d fields, nested ones counted",
				DECODE_LEAVES_MAX);
	step = add_step(plan, kind, null_branch);
	step->scale = (uint16_t)s->scale;
	step->schema = schema_ref((struct schema *)(uintptr_t)s); /* only the count changes */
	if ((plan->leaf_count & (plan->leaf_count - 1)) == 0)
		plan->paths =
			xrealloc(plan->paths, (plan->leaf_count == 0 ? 1 : 2 * plan->leaf_count) *
						      sizeof(*plan->paths));
	plan->paths[plan->leaf_count++] = xstrdup(path);
	return 0;
}

static int add_record(struct decode_plan *plan, const struct schema *s, const char *path,
		      uint8_t null_branch, struct err *e)
{
	size_t at = plan->step_count;

	if (null_branch != NEVER_NULL)
		(void)add_step(plan, STEP_RECORD, null_branch);
	for (size_t i = 0; i < s->count; i++) {
		const struct schema_field *f = &s->fields[i];
		char *inner = path[0] == '\0' ? xstrdup(f->name)
					      : xasprintf("%s.%s", path, f->name);
		int rc = add_schema(plan, f->schema, inner, NEVER_NULL, e);

		free(inner);
		if (rc < 0)
			return -1;
	}
	if (null_branch != NEVER_NULL) {
		plan->steps[at].leaf_end = (uint32_t)plan->leaf_count;
		plan->steps[at].next = (uint32_t)plan->step_count;
	}
	return 0;
}

static bool is_logical(const struct schema *s, const char *name)
{
	return s->logical != NULL && strcmp(s->logical, name) == 0;
}

static enum step_kind number_step(const struct schema *s)
{
	if (is_logical(s, "time-millis") || is_logical(s, "timestamp-millis") ||
	    is_logical(s, "local-timestamp-millis"))
		return STEP_MILLIS;
	return s->type == SCHEMA_INT ? STEP_INT : STEP_LONG;
}

static int add_union(struct decode_plan *plan, const struct schema *s, const char *path,
		     struct err *e)
{
	for (uint8_t i = 0; s->count == 2 && i < 2; i++) {
		const struct schema *other = s->branches[1 - i];

		if (s->branches[i]->type == SCHEMA_NULL && other->type != SCHEMA_UNION)
			return add_schema(plan, other, path, i, e);
	}
	return add_leaf(plan, STEP_JSON, NEVER_NULL, s, path, e);
}

static int add_schema(struct decode_plan *plan, const struct schema *s, const char *path,
		      uint8_t null_branch, struct err *e)
{
	enum step_kind kind = STEP_JSON;

	if (++plan->visits > VISITS_MAX)
		return err_data(e, "schema: unfolds to more than %d parts", VISITS_MAX);
	switch (s->type) {
	case SCHEMA_RECORD:
		return add_record(plan, s, path, null_branch, e);
	case SCHEMA_UNION:
		return add_union(plan, s, path, e);
	case SCHEMA_NULL:
		kind = STEP_NULL;
		break;
	case SCHEMA_BOOLEAN:
		kind = STEP_BOOLEAN;
		break;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		kind = number_step(s);
		break;
	case SCHEMA_FLOAT:
		kind = STEP_FLOAT;
		break;
	case SCHEMA_DOUBLE:
		kind = STEP_DOUBLE;
		break;
	case SCHEMA_BYTES:
		kind = is_logical(s, "decimal") ? STEP_DECIMAL : STEP_BYTES;
		break;
	case SCHEMA_STRING:
		kind = STEP_TEXT;
		break;
	case SCHEMA_FIXED:
		kind = is_logical(s, "decimal") ? STEP_DECIMAL_FIXED : STEP_FIXED;
		break;
	case SCHEMA_ENUM:
		kind = STEP_ENUM;
		break;
	case SCHEMA_ARRAY:
		kind = s->items->type == SCHEMA_STRING ? STEP_JOINED : STEP_JSON;
		break;
	case SCHEMA_MAP:
		break;
	}
	return add_leaf(plan, kind, null_branch, s, path, e);
}

int decode_plan_new(const struct schema *writer, struct decode_plan **ret_plan, struct err *e)
{
	struct decode_plan *plan = xcalloc(1, sizeof(*plan));

	if (add_schema(plan, writer, "", NEVER_NULL, e) < 0) {
		decode_plan_free(plan);
		return -1;
	}
	*ret_plan = plan;
	return 0;
}

void decode_plan_free(struct decode_plan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->step_count; i++)
		schema_free((struct schema *)(uintptr_t)plan->steps[i].schema);
	for (size_t i = 0; i < plan->leaf_count; i++)
		free(plan->paths[i]);
	free(plan->steps);
	free(plan->paths);
	free(plan);
}

size_t decode_leaf_count(const struct decode_plan *plan)
{
	return plan->leaf_count;
}

const char *decode_leaf_path(const struct decode_plan *plan, size_t leaf)
{
	return plan->paths[leaf];
}

int decode_leaf_find(const struct decode_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->leaf_count; i++) {
		if (strcmp(plan->paths[i], path) == 0)
			return (int)i;
	}
	return -1;
}

/* ---- running it ---------------------------------------------------------------------------- */

static void set_int(struct value *v, int64_t i)
{
	v->kind = VALUE_INT;
	v->i = i;
}

static void set_bytes(struct value *v, enum value_kind kind, struct slice bytes)
{
	v->kind = (uint8_t)kind;
	v->bytes = bytes;
}

static void run_millis(const struct step *step, struct rd *in, struct value *v)
{
	int64_t millis = step->schema->type == SCHEMA_INT ? read_int(in) : read_long(in), micros;

	if (__builtin_mul_overflow(millis, 1000, &micros))
		rd_fail(in);
	else
		set_int(v, micros);
}

static void run_enum(const struct step *step, struct rd *in, struct value *v)
{
	int64_t i = read_long(in);

	if (i < 0 || (uint64_t)i >= step->schema->count)
		rd_fail(in);
	else
		set_bytes(v, VALUE_TEXT, slice_str(step->schema->symbols[i]));
}

/* What is written to scratch: the leaves before it move with it. */
static void run_converted(const struct step *step, struct rd *in, int64_t *steps,
			  struct buf *scratch, struct value *values)
{
	uintptr_t before = (uintptr_t)scratch->data;
	size_t size = scratch->size;

	if (step->kind == STEP_JOINED) {
		decode_joined(in, steps, scratch);
	} else if (step->kind == STEP_JSON) {
		decode_json_value(step->schema, in, steps, scratch);
	} else {
		struct slice bytes = step->kind == STEP_DECIMAL ? read_bytes(in)
								: rd_bytes(in, step->schema->count);

		if (rd_ok(in) && !decode_decimal(bytes, step->scale, scratch))
			rd_fail(in);
	}
	if ((uintptr_t)scratch->data != before && size > 0)
		value_fix(values, step->leaf, before, size, scratch);
	set_bytes(&values[step->leaf], VALUE_TEXT,
		  slice_of(scratch->size > size ? scratch->data + size : (const uint8_t *)"",
			   scratch->size - size));
}

/* Every leaf but those that are written to scratch. */
static void run_plain(const struct step *step, struct rd *in, struct value *v)
{
	switch ((enum step_kind)step->kind) {
	case STEP_NULL:
		v->kind = VALUE_NULL;
		break;
	case STEP_BOOLEAN:
		set_int(v, read_bool(in));
		break;
	case STEP_INT:
		set_int(v, read_int(in));
		break;
	case STEP_LONG:
		set_int(v, read_long(in));
		break;
	case STEP_MILLIS:
		run_millis(step, in, v);
		break;
	case STEP_FLOAT:
		v->kind = VALUE_DOUBLE;
		v->d = (double)read_float(in);
		break;
	case STEP_DOUBLE:
		v->kind = VALUE_DOUBLE;
		v->d = read_double(in);
		break;
	case STEP_TEXT:
		set_bytes(v, VALUE_TEXT, read_bytes(in));
		break;
	case STEP_BYTES:
		set_bytes(v, VALUE_BYTES, read_bytes(in));
		break;
	case STEP_FIXED:
		set_bytes(v, VALUE_BYTES, rd_bytes(in, step->schema->count));
		break;
	case STEP_ENUM:
		run_enum(step, in, v);
		break;
	case STEP_DECIMAL:
	case STEP_DECIMAL_FIXED:
	case STEP_JOINED:
	case STEP_JSON:
	case STEP_RECORD:
		break;
	}
}

static bool is_converted(uint8_t kind)
{
	return kind == STEP_DECIMAL || kind == STEP_DECIMAL_FIXED || kind == STEP_JOINED ||
	       kind == STEP_JSON;
}

static int failed_at(const struct decode_plan *plan, const struct step *step, const struct rd *in,
		     struct err *e)
{
	const char *path = step->leaf < plan->leaf_count ? plan->paths[step->leaf] : "";

	return err_data(e, "record: no value of its schema at byte %zu of %zu, field %.200s",
			in->at, in->size, path);
}

int decode_run(const struct decode_plan *plan, struct slice datum, struct buf *scratch,
	       struct value *ret_values, struct err *e)
{
	const struct step *step = plan->steps, *end = step + plan->step_count;
	int64_t steps = decode_steps(datum.size);
	struct rd in = rd_from(datum);

	buf_reset(scratch);
	while (step < end) {
		if (step->null_branch != NEVER_NULL) {
			int64_t branch = read_long(&in);

			if (branch < 0 || branch > 1 || !rd_ok(&in))
				return failed_at(plan, step, &in, e);
			if (branch == step->null_branch) {
				for (size_t i = step->leaf; i < step->leaf_end; i++)
					ret_values[i].kind = VALUE_ABSENT;
				if (step->kind != STEP_RECORD)
					ret_values[step->leaf].kind = VALUE_NULL;
				step = step->kind == STEP_RECORD ? plan->steps + step->next
								 : step + 1;
				continue;
			}
		}
		if (is_converted(step->kind))
			run_converted(step, &in, &steps, scratch, ret_values);
		else
			run_plain(step, &in, &ret_values[step->leaf]);
		if (!rd_ok(&in))
			return failed_at(plan, step, &in, e);
		step++;
	}
	if (!rd_end(&in))
		return err_data(e, "record: %zu bytes left over behind its %zu", rd_left(&in),
				in.at);
	return 0;
}

/* ---- the wire header ----------------------------------------------------------------------- */

int decode_wire_id(struct slice wire, int32_t *ret_id, struct err *e)
{
	uint32_t id = 0;

	if (wire.size < DECODE_WIRE_HEADER || wire.data[0] != 0)
		return err_data(
			e,
			"record: no Confluent header (a zero byte and a schema id) in its %zu bytes",
			wire.size);
	for (size_t i = 1; i < DECODE_WIRE_HEADER; i++)
		id = id << 8 | wire.data[i];
	if (id > INT32_MAX)
		return err_data(e, "record: schema id %" PRIu32 " is out of range", id);
	*ret_id = (int32_t)id;
	return 0;
}

int decode_seq(struct slice wire, int64_t *ret_seq, struct err *e)
{
	struct rd in = rd_from(wire);
	int64_t seq;
	int32_t id;

	if (decode_wire_id(wire, &id, e) < 0)
		return -1;
	rd_skip(&in, DECODE_WIRE_HEADER);
	seq = read_long(&in);
	if (!rd_ok(&in) || seq < 0)
		return err_data(e, "record: no seq behind the header");
	*ret_seq = seq;
	return 0;
}
