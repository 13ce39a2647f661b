/* marks.c - the set behind marks.h: a hash of copies. Only keys of a table that is being compared
 * come here, and only while a chunk is open, so an allocation each is cheap enough. */
#include "cdc/copy/marks.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <uthash.h>

#define OVERHEAD 96 /* of an entry in the hash */

struct mark {
	UT_hash_handle hh;
	uint8_t key[];
};

void marks_add(struct marks *m, struct slice key)
{
	struct mark *mark;

	if (marks_has(m, key))
		return;
	mark = xmalloc(sizeof(*mark) + key.size);
	memcpy(mark->key, key.data, key.size);
	HASH_ADD_KEYPTR(hh, m->items, mark->key, key.size, mark);
	m->bytes += OVERHEAD + key.size;
}

bool marks_has(const struct marks *m, struct slice key)
{
	struct mark *mark;

	HASH_FIND(hh, m->items, key.data, key.size, mark);
	return mark != NULL;
}

void marks_clear(struct marks *m)
{
	struct mark *mark, *next;

	HASH_ITER(hh, m->items, mark, next)
	{
		HASH_DEL(m->items, mark);
		free(mark);
	}
	m->items = NULL;
	m->bytes = 0;
}
