/* kind.c - the kinds behind one face. */
#include "projections/apply/kind_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

struct kind {
	struct handlers *handlers; /* kind sql */
	struct mirror *mirror;     /* the others */
	struct handlers_options options;
};

int kind_open(const struct kind_options *options, struct kind **ret_kind, struct err *e)
{
	struct kind *k = xcalloc(1, sizeof(*k));

	k->options = options->handlers;
	if (options->handlers.view->kind == VIEW_SQL) {
		k->handlers = handlers_new(&options->handlers);
	} else if (mirror_open(options, &k->mirror, e) < 0) {
		free(k);
		return -1;
	}
	*ret_kind = k;
	return 0;
}

void kind_close(struct kind *k)
{
	if (k == NULL)
		return;
	handlers_free(k->handlers);
	mirror_close(k->mirror);
	free(k);
}

int kind_apply(struct kind *k, const struct handlers_record *record, struct err *e)
{
	return k->mirror != NULL ? mirror_apply(k->mirror, record, e)
				 : handlers_apply(k->handlers, record, e);
}

int kind_empties(struct kind *k, const struct handlers_record *record, struct err *e)
{
	return k->mirror != NULL ? mirror_empties(k->mirror, record, e)
				 : handlers_empties(k->handlers, record, e);
}

enum kind_wants kind_wants(const struct kind *k)
{
	return k->mirror != NULL ? k->mirror->wants : KIND_NOTHING;
}

void kind_shape(const struct kind *k, struct kind_shape *ret_shape)
{
	*ret_shape = (struct kind_shape){ .sql = buf_cstr(&k->mirror->add_sql),
					  .file = buf_cstr(&k->mirror->add_file),
					  .text = buf_cstr(&k->mirror->add_text),
					  .seq = k->mirror->add_seq };
}

int kind_settle(struct kind *k, struct err *e)
{
	return k->mirror != NULL ? mirror_settle(k->mirror, e) : 0;
}

int kind_built(struct kind *k, struct err *e)
{
	return k->mirror != NULL ? mirror_built(k->mirror, e) : 0;
}

void kind_count(const struct kind *k, struct handlers_counts *ret_counts)
{
	if (k->mirror != NULL)
		*ret_counts = k->mirror->counts;
	else
		handlers_count(k->handlers, ret_counts);
}

const char *const *kind_ignored(const struct kind *k, size_t *ret_count)
{
	*ret_count = 0;
	return k->handlers != NULL ? handlers_ignored(k->handlers, ret_count) : NULL;
}

int kind_run_fields(struct kind *k, enum view_on on, const char *name,
		    const struct handlers_field *fields, size_t count, bool *ret_found,
		    struct err *e)
{
	if (k->mirror != NULL)
		return mirror_run_fields(k->mirror, on, name, fields, count, ret_found, e);
	return handlers_run_fields(k->options.view, k->options.target, on, name, fields, count,
				   ret_found, e);
}
