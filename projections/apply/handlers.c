/* handlers.c - applies records: finds the plan, decodes, runs the statements.
 *
 *   (topic, schema id) -> plan -> [insert | update | delete | truncate] or one event action ->
 *   statements -> bind list
 *
 * Row topics are recognised by the envelope's fields (op, source.db, source.table); which table it
 * is stands in the record, and is constant for a schema.
 *
 * A table that was emptied at once is a record `t` with the same seq in every partition of its
 * topic: the first one runs the handler, the others are passed over. A view that deletes rows but
 * has no handler for `t` would keep rows that are gone, and stops instead. One that keeps what was
 * deleted keeps it here too.
 *
 * An update whose image lacks a column that the handler reads is refused: absent is not NULL, and
 * writing NULL would be a guess. */
#include "projections/apply/handlers_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

/* ---- compiling ------------------------------------------------------------------------------- */

/* "db.table" of the row that was just decoded. */
static char *row_table(const struct plan *plan)
{
	const struct value *db = &plan->values[decode_leaf_find(plan->decode, "source.db")];
	const struct value *table = &plan->values[decode_leaf_find(plan->decode, "source.table")];

	return xasprintf("%.*s.%.*s", (int)db->bytes.size, (const char *)db->bytes.data,
			 (int)table->bytes.size, (const char *)table->bytes.data);
}

static void note_ignored(struct handlers *h, const char *name)
{
	for (size_t i = 0; i < h->ignored_count; i++) {
		if (strcmp(h->ignored[i], name) == 0)
			return;
	}
	h->ignored = xrealloc(h->ignored, (h->ignored_count + 1) * sizeof(*h->ignored));
	h->ignored[h->ignored_count++] = xstrdup(name);
}

static int compile(struct handlers *h, const struct handlers_record *record, struct plan **ret_plan,
		   struct err *e)
{
	const struct handlers_options *o = &h->options;
	struct schema *schema = NULL;
	struct plan *plan = NULL;
	const char *text;
	char *name = NULL;
	int rc = -1;

	if (o->schema(o->context, record->schema_id, &text, e) < 0 ||
	    schema_parse(slice_str(text), &schema, e) < 0 ||
	    handlers_plan_new(schema, &plan, e) < 0)
		goto out;
	plan->topic = record->topic;
	plan->schema_id = record->schema_id;
	if (plan->is_row) {
		if (decode_run(plan->decode, record->value, &h->scratch, plan->values, e) < 0)
			goto out;
		name = row_table(plan);
		rc = handlers_compile_row(o->view, o->target, name, plan, e);
	} else {
		name = xstrdup(schema->name != NULL ? schema->name : "(no record)");
		rc = handlers_compile_event(o->view, o->target, name, plan, e);
	}
	if (rc < 0)
		goto out;
	if (!plan->handled)
		note_ignored(h, name);
	*ret_plan = plan;
	plan = NULL;
out:
	handlers_plan_free(plan, o->target);
	schema_free(schema);
	free(name);
	return rc;
}

static int plan_for(struct handlers *h, const struct handlers_record *record,
		    struct plan **ret_plan, struct err *e)
{
	struct plan *plan = NULL;

	for (size_t i = 0; i < h->plan_count && plan == NULL; i++) {
		if (h->plans[i]->schema_id == record->schema_id &&
		    h->plans[i]->topic == record->topic)
			plan = h->plans[i];
	}
	if (plan == NULL) {
		if (compile(h, record, &plan, e) < 0)
			return -1;
		h->plans = xrealloc(h->plans, (h->plan_count + 1) * sizeof(struct plan *));
		h->plans[h->plan_count++] = plan;
	}
	*ret_plan = plan;
	return 0;
}

/* ---- applying -------------------------------------------------------------------------------- */

int handlers_execute(const struct action *a, struct target *target, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		struct statement *s = &a->statements[i];

		if (target->ops->execute(s->handle, s->bind, e) < 0)
			return err_wrap(e, "%s", a->handler->file->name);
	}
	return 0;
}

/* True when `name` is one of the words of a comma-joined list. */
static bool list_holds(struct slice list, const char *name)
{
	size_t size = strlen(name);
	const char *at = (const char *)list.data, *end = at + list.size;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t word = (size_t)((comma != NULL ? comma : end) - at);

		if (word == size && memcmp(at, name, size) == 0)
			return true;
		at += word + 1;
	}
	return false;
}

/* A column that the image lacks must not be bound. Rare: only binlog_row_image = MINIMAL or NOBLOB
 * makes such rows. */
static int refuse_absent(const struct plan *plan, const struct action *a, struct slice absent,
			 struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		for (int p = 0; p < a->statements[i].count; p++) {
			size_t leaf = (size_t)(a->statements[i].bind[p] - plan->values);
			const char *path = decode_leaf_path(plan->decode, leaf),
				   *dot = strchr(path, '.');

			if (strncmp(path, "after.", 6) != 0 && strncmp(path, "before.", 7) != 0)
				continue;
			if (plan->values[leaf].kind != VALUE_NULL || !list_holds(absent, path))
				continue;
			err_data(e, "%s: the row image lacks column %s", a->handler->file->name,
				 dot + 1);
			return err_hint(
				e, "Set binlog_row_image = FULL in the sessions that write to %s.",
				a->handler->name);
		}
	}
	return 0;
}

static int refuse_truncate(const struct handlers *h, const struct plan *plan, struct err *e)
{
	const char *table = plan->row[ROW_DELETE].handler->name;

	err_config(e,
		 "table %s was emptied at once (TRUNCATE or DROP), and the view has no handler "
		 "for that: it would keep rows that are gone",
		 table);
	return err_hint(e,
			"Add on/%s.truncate.sql, for instance DELETE FROM ...; then run `millrace "
			"replay %s`.",
			table, h->options.view->name);
}

static int apply_truncate(struct handlers *h, struct plan *plan, struct err *e)
{
	const struct action *a = &plan->row[ROW_TRUNCATE];
	int64_t seq = plan->seq >= 0 ? plan->values[plan->seq].i : 0;

	if (seq != 0 && seq == plan->truncated_seq)
		return 0;
	if (a->handler == NULL && plan->row[ROW_DELETE].handler != NULL)
		return refuse_truncate(h, plan, e);
	plan->truncated_seq = seq;
	if (a->handler == NULL) {
		h->counts.ignored++;
		return 0;
	}
	if (h->options.truncate != NULL) {
		int rc = h->options.truncate(h->options.context, plan->topic, seq, e);

		if (rc <= 0)
			return rc;
	}
	h->counts.applied++;
	return handlers_execute(a, h->options.target, e);
}

static int apply_row(struct handlers *h, struct plan *plan, struct err *e)
{
	const struct value *op = &plan->values[plan->op];
	const struct action *a;

	if (op->kind != VALUE_TEXT || op->bytes.size != 1)
		return err_data(e, "row record without an operation");
	switch (op->bytes.data[0]) {
	case 'c':
	case 'r':
		a = &plan->row[ROW_INSERT];
		break;
	case 'u':
		a = &plan->row[ROW_UPDATE];
		break;
	case 'd':
		a = &plan->row[ROW_DELETE];
		break;
	case 't':
		return apply_truncate(h, plan, e);
	default:
		return err_data(e, "row record with operation '%c', which a view can't apply",
				op->bytes.data[0]);
	}
	if (a->handler == NULL) {
		h->counts.ignored++;
		return 0;
	}
	if (plan->exact >= 0 && plan->values[plan->exact].kind == VALUE_TEXT)
		h->counts.inexact++;
	if (plan->absent >= 0 && plan->values[plan->absent].kind == VALUE_TEXT &&
	    refuse_absent(plan, a, plan->values[plan->absent].bytes, e) < 0)
		return -1;
	h->counts.applied++;
	return handlers_execute(a, h->options.target, e);
}

static int apply(struct handlers *h, const struct handlers_record *record, bool whole,
		 struct err *e);

/* The record just decoded is a stand-in: what it stands for takes its place. A tenth of a second or
 * more each, and its memory is given back: these are rare. */
static int apply_parked(struct handlers *h, const struct handlers_record *record,
			const struct plan *plan, struct err *e)
{
	const struct value *reference = &plan->values[plan->parked];
	int64_t seq = plan->seq >= 0 ? plan->values[plan->seq].i : 0, whole_seq;
	struct handlers_record whole = { .topic = record->topic };
	struct buf value = BUF_INIT;
	int rc = -1;

	if (h->options.parked == NULL)
		return err_data(e, "a stand-in, and nobody to ask for the whole record");
	if (h->options.parked(h->options.context, reference->bytes, seq, &value, e) < 0)
		return -1;
	if (decode_wire_id(buf_slice(&value), &whole.schema_id, e) < 0 ||
	    decode_seq(buf_slice(&value), &whole_seq, e) < 0)
		goto out;
	if (whole_seq != seq) {
		err_data(e, "the stand-in has seq %lld, its parked record %lld", (long long)seq,
			 (long long)whole_seq);
		goto out;
	}
	whole.value = slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER);
	rc = apply(h, &whole, true, e);
out:
	buf_done(&value);
	return rc;
}

static int apply(struct handlers *h, const struct handlers_record *record, bool whole,
		 struct err *e)
{
	struct plan *plan = h->last;

	if (plan == NULL || plan->schema_id != record->schema_id || plan->topic != record->topic) {
		if (plan_for(h, record, &plan, e) < 0)
			return -1;
		h->last = plan;
	}
	if (!plan->handled) {
		h->counts.ignored++;
		return 0;
	}
	if (decode_run(plan->decode, record->value, &h->scratch, plan->values, e) < 0)
		return -1;
	if (plan->is_row && plan->parked >= 0 && plan->values[plan->parked].kind == VALUE_TEXT)
		return whole ? err_data(e, "a parked record that is itself a stand-in")
			     : apply_parked(h, record, plan, e);
	if (plan->is_row)
		return apply_row(h, plan, e);
	h->counts.applied++;
	return handlers_execute(&plan->event, h->options.target, e);
}

int handlers_empties(struct handlers *h, const struct handlers_record *record, struct err *e)
{
	const struct value *op;
	struct plan *plan;

	if (record->value.data == NULL)
		return 0;
	if (plan_for(h, record, &plan, e) < 0)
		return -1;
	if (!plan->handled || !plan->is_row)
		return 0;
	if (decode_run(plan->decode, record->value, &h->scratch, plan->values, e) < 0)
		return -1;
	op = &plan->values[plan->op];
	return op->kind == VALUE_TEXT && op->bytes.size == 1 && op->bytes.data[0] == 't';
}

int handlers_apply(struct handlers *h, const struct handlers_record *record, struct err *e)
{
	return record->value.data == NULL ? 0 : apply(h, record, false, e);
}

struct handlers *handlers_new(const struct handlers_options *options)
{
	struct handlers *h = xcalloc(1, sizeof(*h));

	h->options = *options;
	return h;
}

void handlers_free(struct handlers *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->plan_count; i++)
		handlers_plan_free(h->plans[i], h->options.target);
	free(h->plans);
	view_names_free(h->ignored, h->ignored_count);
	buf_done(&h->scratch);
	free(h);
}

void handlers_count(const struct handlers *h, struct handlers_counts *ret_counts)
{
	*ret_counts = h->counts;
}

const char *const *handlers_ignored(const struct handlers *h, size_t *ret_count)
{
	*ret_count = h->ignored_count;
	return (const char *const *)h->ignored;
}
