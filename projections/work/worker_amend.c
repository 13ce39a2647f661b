/* worker_amend.c - a mirrored table that changes at the source while its version is applied.
 *
 * New columns: the record that has them ends the attempt; its store transaction is rolled back.
 * With nothing open the columns are added (store's amend), the definition is read again, and the
 * next attempt comes to the same record. Added early or twice they do no harm: they are NULL until
 * then. So it is right in stores whose ALTER TABLE commits by itself, too.
 *
 * Anything else ends the version: `outgrown` tells the host, which builds a new one. */
#include "projections/work/worker_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

void worker_note_wants(struct worker *w)
{
	struct kind_shape shape;

	buf_reset(&w->add_sql);
	if (w->kind == NULL || kind_wants(w->kind) == KIND_NOTHING)
		return;
	kind_shape(w->kind, &shape);
	pthread_mutex_lock(&w->lock);
	w->status.outgrown = kind_wants(w->kind) == KIND_VERSION;
	buf_reset(&w->add_file);
	buf_reset(&w->add_text);
	buf_add_str(&w->add_sql, shape.sql);
	buf_add_str(&w->add_file, shape.file);
	buf_add_str(&w->add_text, shape.text);
	w->add_seq = shape.seq;
	pthread_mutex_unlock(&w->lock);
}

void worker_outgrown(struct worker *w, char **ret_file, char **ret_text, int64_t *ret_seq)
{
	pthread_mutex_lock(&w->lock);
	*ret_file = xstrdup(buf_cstr(&w->add_file));
	*ret_text = xstrdup(buf_cstr(&w->add_text));
	*ret_seq = w->add_seq;
	pthread_mutex_unlock(&w->lock);
}

bool worker_wants_columns(const struct worker *w)
{
	return w->add_sql.size > 0;
}

int worker_add_columns(struct worker *w, struct err *e)
{
	struct store *s = w->options.store;
	struct view *view;

	err_clear(e);
	if (s->ops->amend == NULL) {
		pthread_mutex_lock(&w->lock);
		w->status.outgrown = true;
		pthread_mutex_unlock(&w->lock);
		return err_config(e, "store %s adds no columns to a version", s->ops->name);
	}
	if (s->ops->amend(s, w->options.version, buf_cstr(&w->add_sql), buf_cstr(&w->add_file),
			  buf_cstr(&w->add_text), e) < 0 ||
	    store_view(s, w->options.view->name, w->options.version, &view, e) < 0)
		return -1;
	view_free(w->own_view);
	w->view = w->own_view = view;
	buf_reset(&w->add_sql);
	pthread_mutex_lock(&w->lock);
	w->status.amended++;
	pthread_mutex_unlock(&w->lock);
	log_info("view", "%s: version %d: columns added, as at the source (%s)", view->name,
		 w->options.version, buf_cstr(&w->add_file));
	return 0;
}
