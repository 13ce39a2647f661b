/* marks.h - a set of keys: those that the stream has changed while a window was open. Pure. */
#ifndef CDC_COPY_MARKS_H
#define CDC_COPY_MARKS_H

#include "core/base/slice.h"

struct mark;

struct marks {
	struct mark *items; /* hash */
	size_t bytes;       /* about what they take */
};

void marks_add(struct marks *m, struct slice key);
bool marks_has(const struct marks *m, struct slice key);
void marks_clear(struct marks *m); /* frees everything; zeroed memory is an empty set */

#endif
