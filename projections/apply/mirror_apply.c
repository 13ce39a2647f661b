/* mirror_apply.c - records of row topics for mirrored tables: by the plan of the schema that they
 * were written with (mirror_plan.h) to changes of rows (mirror_rows.c). */
#include "projections/apply/mirror_plan.h"

#include "core/base/mem.h"

#include <stdlib.h>

static int operation(const struct value *op, enum mirror_op *ret_op, struct err *e)
{
	if (op->kind != VALUE_TEXT || op->bytes.size != 1)
		return err_data(e, "row record without an operation");
	switch (op->bytes.data[0]) {
	case 'c':
	case 'r':
		*ret_op = MIRROR_PUT;
		return 0;
	case 'u':
		*ret_op = MIRROR_CHANGE;
		return 0;
	case 'd':
		*ret_op = MIRROR_REMOVE;
		return 0;
	case 't':
		*ret_op = MIRROR_CLEAR;
		return 0;
	default:
		return err_data(e, "row record with operation '%c', which a view can't apply",
				op->bytes.data[0]);
	}
}

static int apply_decoded(struct mirror *m, struct mirror_plan *p, struct err *e)
{
	struct mirror_image before = mirror_image_of(p, p->before_image, p->before),
			    after = mirror_image_of(p, p->after_image, p->after);
	int64_t seq = p->seq >= 0 ? p->values[p->seq].i : 0;
	enum mirror_op op = MIRROR_PUT;
	int rc;

	if (operation(&p->values[p->op], &op, e) < 0)
		return -1;
	if (op == MIRROR_CLEAR && seq != 0 && seq == p->cleared_seq)
		return 0; /* the same record, in another partition */
	if (op == MIRROR_CLEAR) {
		p->cleared_seq = seq;
		if (m->options.truncate != NULL &&
		    (rc = m->options.truncate(m->options.context, p->topic, seq, e)) <= 0)
			return rc;
	}
	m->counts.applied++;
	if (op != MIRROR_CLEAR && mirror_is_special(p))
		return mirror_apply_special(m, p, op, e);
	return mirror_row(m, p->rows, op, &before, &after, e);
}

static int apply(struct mirror *m, const struct handlers_record *record, bool whole, struct err *e);

/* The record just decoded is a stand-in: what it stands for takes its place. */
static int apply_parked(struct mirror *m, const struct handlers_record *record,
			const struct mirror_plan *p, struct err *e)
{
	int64_t seq = p->seq >= 0 ? p->values[p->seq].i : 0, whole_seq;
	struct handlers_record whole = { .topic = record->topic };
	struct buf value = BUF_INIT;
	int rc = -1;

	if (m->options.parked == NULL)
		return err_data(e, "a stand-in, and nobody to ask for the whole record");
	if (m->options.parked(m->options.context, p->values[p->parked].bytes, seq, &value, e) < 0 ||
	    decode_wire_id(buf_slice(&value), &whole.schema_id, e) < 0 ||
	    decode_seq(buf_slice(&value), &whole_seq, e) < 0) {
		buf_done(&value);
		return -1;
	}
	if (whole_seq != seq) {
		err_data(e, "the stand-in has seq %lld, its parked record %lld", (long long)seq,
			 (long long)whole_seq);
	} else {
		whole.value =
			slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER);
		rc = apply(m, &whole, true, e);
		if (rc == 0) /* values point into what is freed now */
			rc = m->target->ops->flush(m->target, e);
	}
	buf_done(&value);
	return rc;
}

static int apply(struct mirror *m, const struct handlers_record *record, bool whole, struct err *e)
{
	struct mirror_plan *p;

	if (mirror_plan_for(m, record, &p, e) < 0 ||
	    decode_run(p->decode, record->value, &m->scratch, p->values, e) < 0)
		return -1;
	if (mirror_is_text(p, p->parked))
		return whole ? err_data(e, "a parked record that is itself a stand-in")
			     : apply_parked(m, record, p, e);
	return apply_decoded(m, p, e);
}

int mirror_empties(struct mirror *m, const struct handlers_record *record, struct err *e)
{
	enum mirror_op op = MIRROR_PUT;
	struct mirror_plan *p;

	if (record->value.data == NULL)
		return 0;
	if (mirror_plan_for(m, record, &p, e) < 0 ||
	    decode_run(p->decode, record->value, &m->scratch, p->values, e) < 0 ||
	    operation(&p->values[p->op], &op, e) < 0)
		return -1;
	return op == MIRROR_CLEAR;
}

int mirror_apply(struct mirror *m, const struct handlers_record *record, struct err *e)
{
	return record->value.data == NULL ? 0 : apply(m, record, false, e);
}

/* ---- life ------------------------------------------------------------------------------------ */

int mirror_built(struct mirror *m, struct err *e)
{
	m->built = true;
	mirror_plans_look_back(m);
	mirror_plans_forget(m); /* what was history is now news */
	return mirror_track(m, e);
}

int mirror_open(const struct kind_options *options, struct mirror **ret_mirror, struct err *e)
{
	struct mirror *m = xcalloc(1, sizeof(*m));

	m->options = options->handlers;
	m->view = options->handlers.view;
	m->target = options->handlers.target;
	if (mirror_prepare(m, e) < 0 || (options->built && mirror_built(m, e) < 0)) {
		mirror_close(m);
		return -1;
	}
	*ret_mirror = m;
	return 0;
}

void mirror_close(struct mirror *m)
{
	if (m == NULL)
		return;
	mirror_finalize(m);
	mirror_plans_forget(m);
	sql_close(m->json);
	buf_done(&m->scratch);
	buf_done(&m->exact);
	buf_done(&m->add_sql);
	buf_done(&m->add_file);
	buf_done(&m->add_text);
	free(m);
}
