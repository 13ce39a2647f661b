/* fold.h - one table during its first copy: which streamed changes flow, and which become part of a
 * chunk (DESIGN 4.7).
 *
 * Keys are byte strings in the server's order (cdc/change/key.h). Several windows may be open, one
 * behind the other without a gap; they are closed from the first to the last:
 *
 *        copied          |  open window  |  open window  |      ahead
 *   ------------------- low ----------- high ---------- high --------------> keys
 *     changes flow         changes are folded             changes are dropped
 *
 * What lies ahead will be read with its own chunk.
 *
 * A chunk's SELECT sees the table at some point P of the binlog. Every change to its keys since the
 * window was opened is kept here, the latest state per key, so at any point behind P the SELECT's
 * rows overlaid with the fold are the table at that point. A key that crosses the border of what is
 * copied becomes the half that lies on the copied side. Pure. */
#ifndef CDC_COPY_FOLD_H
#define CDC_COPY_FOLD_H

#include "core/base/buf.h"

struct fold;

enum fold_answer {
	FOLD_FLOW,      /* deliver the change as it is */
	FOLD_DROP,      /* nothing to deliver (it may have been folded) */
	FOLD_AS_DELETE, /* deliver the deletion of the before-image's row */
	FOLD_AS_CREATE, /* deliver the creation of the after-image's row */
};

struct fold *fold_new(void); /* nothing copied: everything lies ahead */
void fold_free(struct fold *f);
/* Goes on behind this key (from the position). */
void fold_resume(struct fold *f, struct slice low);
/* The last key copied; false: none yet. */
bool fold_low(const struct fold *f, struct slice *ret_low);
bool fold_done(const struct fold *f); /* all is copied: everything flows */

/* Nothing is copied any more: everything lies ahead again, windows are given up. */
void fold_restart(struct fold *f);

/* Opens a window behind the last one, up to high; NULL: to the end of the table. owner: whose it
 * is. Not when the last window goes to the end. */
struct fold_window *fold_open(struct fold *f, const struct slice *high, void *owner);
struct fold_window *fold_first(const struct fold *f); /* NULL: none is open */
struct fold_window *fold_last(const struct fold *f);
void *fold_owner(const struct fold_window *w);
/* The window that this key lies in, or NULL. */
struct fold_window *fold_find(const struct fold *f, struct slice key);
/* The chunk turned out smaller: what was folded beyond `high` is left to a later one. It must be
 * the last window: give up those behind it first. */
void fold_narrow(struct fold *f, struct fold_window *w, struct slice high);
/* Gives up the last window: what was folded is forgotten, its keys lie ahead again. */
void fold_abandon_last(struct fold *f);
/* Forgets what was folded: the chunk is newer. */
void fold_clear(struct fold_window *w);

/* One change; before_key is NULL for a new row, after_key for a deleted one. after_image: kept with
 * its key. */
enum fold_answer fold_change(struct fold *f, const struct slice *before_key,
			     const struct slice *after_key, struct slice after_image);
size_t fold_bytes(const struct fold_window *w);

/* The first window's rows as they are now: call with the rows of its SELECT in key order, each
 * once; `row` is called for every row that exists, in key order. */
typedef int (*fold_row_fn)(void *context, struct slice image, bool folded, void *e);
struct fold_select {
	struct slice key, image;
};
int fold_merge(struct fold *f, const struct fold_select *selected, size_t count, fold_row_fn row,
	       void *context, void *e);
/* The first window is closed, its keys count as copied. */
void fold_close(struct fold *f);

#endif
