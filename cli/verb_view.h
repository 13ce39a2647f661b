/* verb_view.h - the parts of `millrace view`, each returns an exit code. */
#ifndef CLI_VERB_VIEW_H
#define CLI_VERB_VIEW_H

#include "cli/verb.h"

int verb_view_list(const struct settings *settings, bool json);
int verb_view_show(const struct settings *settings, const char *view, bool json);
/* version NULL: all of a view whose folder is gone. */
int verb_view_drop(const struct settings *settings, const char *view, const char *version);
bool verb_view_there(const char *path); /* a file or folder of that name */

struct view_new {
	const char *name, *table, *topic, *kind, *store; /* table or topic: the other is NULL */
	const char *columns, *key;                       /* comma-separated; NULL: as registered */
};
int verb_view_new(const struct settings *settings, const struct view_new *asked);

/* `millrace parked ... --view VIEW` (verb_parked_view.c): what is list, show, retry or drop; id
 * NULL: all. */
int verb_parked_view(const struct settings *settings, const char *what, const char *view,
		     const char *version, const char *id, bool json);

#endif
