/* list.c - which versions there are, and whose.
 *
 * Versions are listed by any process while the one that has the view makes, swaps and removes them.
 * So all is asked in one snapshot: which schemas there are, where the public name leads, and what
 * each version says of itself; a swap is seen whole or not at all. A schema that was dropped behind
 * that snapshot can't be read any more: then it is all asked again, in a newer one. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/fault.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES 100 /* each because of a version that was dropped meanwhile */

/* ---- whose ----------------------------------------------------------------------------------- */

static int refuse_foreign(const char *schema, const char *capture, const char *mine, struct err *e)
{
	err_config(e, "schema %s was made by the capture '%s', and this one is '%s'", schema,
		   capture, mine);
	return err_hint(e, "Give the view another name, or postgresql.database a database of its "
			   "own.");
}

int store_postgresql_owned(const struct pg_store *f, struct pg *pg, const char *schema,
			   bool *ret_there, struct err *e)
{
	struct pg_result *r;
	struct buf sql = BUF_INIT;
	char *capture = NULL;
	bool there, ours;
	int rc;

	*ret_there = false;
	if (pg_ask(pg,
		   "SELECT c.oid FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = "
		   "n.oid AND c.relname = 'millrace_view' AND c.relkind = 'r' WHERE n.nspname = $1",
		   &schema, 1, &r, e) < 0)
		return -1;
	there = pg_rows(r) > 0;
	ours = there && pg_text(r, 0, 0) != NULL;
	pg_result_free(r);
	if (!there)
		return 0;
	if (!ours) {
		err_config(e, "schema %s is there already, and Millrace didn't make it", schema);
		return err_hint(e, "Give the view another name, or rename that schema.");
	}
	buf_add_str(&sql, "SELECT capture FROM ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, ".millrace_view");
	rc = pg_get_text(pg, buf_cstr(&sql), NULL, 0, &capture, e);
	buf_done(&sql);
	if (rc < 0 && store_postgresql_gone(pg)) { /* between the two questions */
		err_clear(e);
		return 0;
	}
	if (rc == 0 && (capture == NULL || strcmp(capture, f->settings->name) != 0))
		rc = refuse_foreign(schema, capture != NULL ? capture : "", f->settings->name, e);
	*ret_there = rc == 0;
	free(capture);
	return rc;
}

/* ---- what they are --------------------------------------------------------------------------- */

const char store_postgresql_info_columns[] =
	"v.version, v.state, v.definition, v.made_us, v.superseded_us, v.built, v.swap, p.seq, "
	"p.commit_us, p.gtid_set, v.capture";

int store_postgresql_info(const struct pg_result *r, size_t row, struct store_info *ret_info)
{
	const char *gtid_set = pg_text(r, row, 9);

	*ret_info = (struct store_info){
		.version = (int)pg_int(r, row, 0),
		.state = store_state_of(pg_slice(r, row, 1)),
		.made_us = pg_int(r, row, 3),
		.superseded_us = pg_int(r, row, 4),
		.built = pg_text(r, row, 5) != NULL && pg_text(r, row, 5)[0] == 't',
		.swap = pg_text(r, row, 6) != NULL && pg_text(r, row, 6)[0] == 't',
		.seq = pg_int(r, row, 7),
		.commit_us = pg_int(r, row, 8),
	};
	(void)snprintf(ret_info->fingerprint, sizeof(ret_info->fingerprint), "%s",
		       pg_text(r, row, 2) != NULL ? pg_text(r, row, 2) : "");
	gtid_text_cut(slice_str(gtid_set != NULL ? gtid_set : ""), ret_info->gtid_set,
		      sizeof(ret_info->gtid_set));
	return 0;
}

/* A question about all versions at once, "" when there are none. */
static int question(const struct pg_store *f, struct pg *pg, struct buf *sql, struct err *e)
{
	char *prefix = xasprintf("%s_v", f->view);
	const char *values[] = { prefix };
	struct pg_result *r;
	int rc = pg_ask(pg,
			"SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = "
			"n.oid AND c.relname = 'millrace_view' AND c.relkind = 'r' WHERE "
			"left(n.nspname, length($1)) = $1 AND substr(n.nspname, length($1) + 1) ~ "
			"'^[1-9][0-9]{0,6}$'",
			values, 1, &r, e);

	free(prefix);
	if (rc < 0)
		return -1;
	for (size_t i = 0; i < pg_rows(r); i++) {
		buf_add_format(sql, "%sSELECT %s FROM ", i > 0 ? " UNION ALL " : "",
			       store_postgresql_info_columns);
		pg_quote_name(pg_text(r, i, 0), sql);
		buf_add_str(sql, ".millrace_view v, ");
		pg_quote_name(pg_text(r, i, 0), sql);
		buf_add_str(sql, ".millrace_position p");
	}
	if (pg_rows(r) > 0)
		buf_add_str(sql, " ORDER BY 1");
	pg_result_free(r);
	return 0;
}

static int read_list(const struct pg_store *f, struct pg *pg, struct store_info **ret_infos,
		     size_t *ret_count, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct store_info *infos;
	struct pg_result *r = NULL;
	int live = 0, rc = question(f, pg, &sql, e);

	FAULT(view_listing);
	if (rc == 0)
		rc = store_postgresql_public(f, pg, &live, e);
	if (rc == 0 && sql.size > 0)
		rc = pg_ask(pg, buf_cstr(&sql), NULL, 0, &r, e);
	buf_done(&sql);
	*ret_infos = NULL;
	*ret_count = 0;
	if (rc < 0 || r == NULL)
		return rc;
	infos = xcalloc(pg_rows(r) + 1, sizeof(*infos));
	for (size_t i = 0; i < pg_rows(r) && rc == 0; i++) {
		const char *capture = pg_text(r, i, 10);

		rc = store_postgresql_info(r, i, &infos[i]);
		/* the public name was taken away by hand: it is led there again */
		if (infos[i].state == STORE_LIVE && infos[i].version != live) {
			infos[i].state = STORE_READY;
			infos[i].swap = true;
		}
		if (rc == 0 && strcmp(capture, f->settings->name) != 0) {
			char *schema = store_postgresql_schema(f, infos[i].version);

			rc = refuse_foreign(schema, capture, f->settings->name, e);
			free(schema);
		}
	}
	*ret_count = pg_rows(r);
	pg_result_free(r);
	if (rc < 0)
		free(infos);
	else
		*ret_infos = infos;
	return rc;
}

int store_postgresql_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
			  struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	struct pg *pg;
	int rc = -1;

	if (store_postgresql_connect(f, NULL, &pg, e) < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		rc = pg_run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", e);
		if (rc == 0)
			rc = read_list(f, pg, ret_infos, ret_count, e);
		if (rc == 0 || !store_postgresql_gone(pg) || i == TRIES - 1)
			break;
		err_clear(e);
		store_postgresql_undo_all(pg);
	}
	pg_close(pg); /* and with it the transaction */
	return rc < 0 ? err_wrap(e, "view %s", f->view) : 0;
}
