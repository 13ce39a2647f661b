/* xa_list.h - which XA transactions are prepared: names, and asking the source (XA RECOVER).
 *
 * MariaDB writes XA COMMIT to the binlog a moment before the engine commits, outside of the order
 * that a snapshot keeps to: a snapshot whose place is behind the XA COMMIT may not see its rows
 * yet. But it stays in XA RECOVER until the engine is done. So what the stream has seen committed
 * and XA RECOVER no longer names is seen by every snapshot that is taken afterwards. */
#ifndef CDC_SOURCE_XA_LIST_H
#define CDC_SOURCE_XA_LIST_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct db;

struct xa_list {      /* zeroed: empty */
	char **xids; /* format:hex:hex, as in struct group_info; owned */
	size_t count, capacity;
};

void xa_list_done(struct xa_list *l);
void xa_list_copy(struct xa_list *to, const struct xa_list *from);
bool xa_list_has(const struct xa_list *l, const char *xid);
void xa_list_add(struct xa_list *l, const char *xid); /* once */
void xa_list_remove(struct xa_list *l, const char *xid);
/* Leaves those that are in both. */
void xa_list_keep(struct xa_list *l, const struct xa_list *other);

/* All that are prepared on the server now; ret_list must be empty. */
int xa_list_recover(struct db *db, struct xa_list *ret_list, struct err *e);

#endif
