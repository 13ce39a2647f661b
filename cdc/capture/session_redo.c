/* session_redo.c - what has to be delivered once more goes by the tables of then.
 *
 * The position of a source transaction that was cut counts its changes of captured tables, and
 * records beyond the position are told by their seq. Both would count something else when
 * capture.tables has changed since. So a session that begins with such a rest captures the tables
 * of the stored fingerprint; when the rest is delivered, it ends, and the next one begins with
 * those of the configuration. */
#include "cdc/capture/session_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define KIND "table "

static bool is_same(const struct text_list *a, const struct text_list *b)
{
	for (size_t i = 0; i < a->count; i++) {
		size_t k = 0;

		while (k < b->count && strcmp(a->items[i], b->items[k]) != 0)
			k++;
		if (k == b->count)
			return false;
	}
	return a->count == b->count;
}

static void read_tables(const char *fingerprint, struct text_list *tables)
{
	for (const char *line = fingerprint; *line != '\0'; line += strspn(line, "\n")) {
		size_t size = strcspn(line, "\n"), kind = sizeof(KIND) - 1;

		if (size > kind && memcmp(line, KIND, kind) == 0) {
			tables->items = xrealloc(tables->items,
						 (tables->count + 1) * sizeof(*tables->items));
			tables->items[tables->count++] = xstrndup(line + kind, size - kind);
		}
		line += size;
	}
}

void session_redo_open(struct session *s)
{
	const char *fingerprint = delivery_redo(s->delivery);

	if (fingerprint == NULL)
		return;
	read_tables(fingerprint, &s->redo_tables);
	if (s->redo_tables.count == 0 || is_same(&s->redo_tables, &s->configured->capture_tables)) {
		session_redo_done(s);
		return;
	}
	log_info("capture", "what was delivered in part is completed with the tables of then; "
			    "capture.tables holds from there on");
	s->chosen.capture_tables = s->redo_tables;
	cascade_free(s->cascade);
	group_free(s->group);
	catalog_free(s->catalog);
	s->catalog = catalog_new(s->settings);
	s->group = group_new(s->settings, s->catalog);
	s->cascade = cascade_new(s->catalog);
}

bool session_redo_ends(const struct session *s)
{
	return s->redo_tables.count > 0 && delivery_redone(s->delivery, s->seq);
}

void session_redo_done(struct session *s)
{
	for (size_t i = 0; i < s->redo_tables.count; i++)
		free(s->redo_tables.items[i]);
	free(s->redo_tables.items);
	s->redo_tables = (struct text_list){ NULL, 0 };
}
