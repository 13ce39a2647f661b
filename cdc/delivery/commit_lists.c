/* commit_lists.c - what a reader can't know of the lists of incomplete tables.
 *
 * A list can be left out when it is the one before without some of its tables: one pass over both,
 * which keep their order. `copied` says what left `copying`, and must be all that left it. */
#include "cdc/delivery/commit_lists.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void list_done(struct commit_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct commit_list){ NULL, 0 };
}

void commit_lists_done(struct commit_lists *l)
{
	list_done(&l->copying);
	list_done(&l->reconciling);
	free(l->reconciled.items);
	*l = (struct commit_lists){ .told = false };
}

static bool names(const struct record_texts *texts, const char *table)
{
	for (size_t i = 0; i < texts->count; i++)
		if (strcmp(texts->items[i], table) == 0)
			return true;
	return false;
}

/* `now` is `before` without some tables: those are put into `left` (room for all). */
static bool only_left(const struct commit_list *before, const struct record_texts *now,
		      struct record_texts *left)
{
	size_t k = 0;

	left->count = 0;
	for (size_t i = 0; i < before->count; i++) {
		if (k < now->count && strcmp(before->items[i], now->items[k]) == 0)
			k++;
		else
			left->items[left->count++] = before->items[i];
	}
	return k == now->count;
}

/* The reader takes `copied` out of its list: exactly that must have left it. */
static bool said_by(const struct record_texts *copied, const struct record_texts *left,
		    const struct record_texts *now)
{
	for (size_t i = 0; i < left->count; i++)
		if (!names(copied, left->items[i]))
			return false;
	for (size_t i = 0; i < copied->count; i++)
		if (names(now, copied->items[i]))
			return false;
	return true;
}

void commit_lists_fill(struct commit_lists *l, struct commit_record *c)
{
	size_t most = l->copying.count > l->reconciling.count ? l->copying.count
							      : l->reconciling.count;
	bool known;

	l->now_copying = c->copying;
	l->now_reconciling = c->reconciling;
	l->reconciled.items = xrealloc(l->reconciled.items, (most + 1) * sizeof(char *));
	known = l->told && only_left(&l->copying, &c->copying, &l->reconciled) &&
		said_by(&c->copied, &l->reconciled, &c->copying) &&
		only_left(&l->reconciling, &c->reconciling, &l->reconciled);
	c->unchanged = known;
	if (!known)
		return;
	c->copying = c->reconciling = (struct record_texts){ NULL, 0 };
	c->reconciled = l->reconciled;
}

/* Tables that stay keep their copies; what isn't in `now` any more goes. */
static void adopt(struct commit_list *list, const struct record_texts *now)
{
	struct commit_list old = *list;
	size_t k = 0;

	if (old.count == 0 && now->count == 0)
		return;
	list->items = xcalloc(now->count + 1, sizeof(*list->items));
	for (size_t i = 0; i < old.count; i++) {
		if (k < now->count && strcmp(old.items[i], now->items[k]) == 0)
			list->items[k++] = old.items[i];
		else
			free(old.items[i]);
	}
	for (; k < now->count; k++)
		list->items[k] = xstrdup(now->items[k]);
	list->count = now->count;
	free(old.items);
}

void commit_lists_committed(struct commit_lists *l)
{
	adopt(&l->copying, &l->now_copying);
	adopt(&l->reconciling, &l->now_reconciling);
	l->told = true;
}
