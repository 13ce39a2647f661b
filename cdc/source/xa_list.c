/* xa_list.c - names of XA transactions as text, in no order: a list is as long as transactions are
 * prepared or just being committed at one time. */
#include "cdc/source/xa_list.h"

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/mysql/db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void xa_list_done(struct xa_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->xids[i]);
	free(l->xids);
	*l = (struct xa_list){ NULL, 0, 0 };
}

static size_t find(const struct xa_list *l, const char *xid)
{
	size_t i = 0;

	while (i < l->count && strcmp(l->xids[i], xid) != 0)
		i++;
	return i;
}

bool xa_list_has(const struct xa_list *l, const char *xid)
{
	return find(l, xid) < l->count;
}

static void append(struct xa_list *l, const char *xid)
{
	if (l->count == l->capacity) {
		l->capacity = l->capacity * 2 + 16;
		l->xids = xrealloc(l->xids, l->capacity * sizeof(char *));
	}
	l->xids[l->count++] = xstrdup(xid);
}

void xa_list_add(struct xa_list *l, const char *xid)
{
	if (!xa_list_has(l, xid))
		append(l, xid);
}

void xa_list_copy(struct xa_list *to, const struct xa_list *from)
{
	xa_list_done(to);
	for (size_t i = 0; i < from->count; i++)
		append(to, from->xids[i]);
}

void xa_list_remove(struct xa_list *l, const char *xid)
{
	size_t i = find(l, xid);

	if (i == l->count)
		return;
	free(l->xids[i]);
	l->xids[i] = l->xids[--l->count];
}

void xa_list_keep(struct xa_list *l, const struct xa_list *other)
{
	for (size_t i = l->count; i-- > 0;)
		if (!xa_list_has(other, l->xids[i]))
			xa_list_remove(l, l->xids[i]);
}

/* ---- XA RECOVER ----------------------------------------------------------------------------- */

static size_t number(struct slice text)
{
	char digits[24] = "";

	if (text.data != NULL && text.size < sizeof(digits))
		memcpy(digits, text.data, text.size);
	return (size_t)strtoull(digits, NULL, 10);
}

/* Columns: formatID, gtrid_length, bqual_length, data. */
static int add_row(struct xa_list *l, const struct slice *row, struct buf *name, struct err *e)
{
	size_t format = number(row[0]), gtrid = number(row[1]), bqual = number(row[2]);
	struct slice data = row[3];

	if (data.size != gtrid + bqual)
		return err_retry(e, "XA RECOVER: %zu bytes of an xid of %zu + %zu", data.size,
				 gtrid, bqual);
	buf_reset(name);
	buf_add_format(name, "%" PRIu32 ":", (uint32_t)format);
	for (size_t i = 0; i < data.size; i++)
		buf_add_format(name, "%s%02x", i == gtrid ? ":" : "", data.data[i]);
	if (bqual == 0)
		buf_add_u8(name, ':');
	append(l, buf_cstr(name));
	return 0;
}

int xa_list_recover(struct db *db, struct xa_list *ret_list, struct err *e)
{
	struct db_result *result = NULL;
	struct buf name = BUF_INIT;
	const struct slice *row;
	int rc;

	if (db_query(db, "XA RECOVER", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		rc = db_column_count(result) == 4
			     ? add_row(ret_list, row, &name, e)
			     : err_fatal(e, "XA RECOVER gave %zu columns for four",
					 db_column_count(result));
		if (rc < 0)
			break;
	}
	db_result_free(result);
	buf_done(&name);
	if (rc < 0)
		xa_list_done(ret_list);
	return rc;
}
