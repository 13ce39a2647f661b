/* settings_priv.h - what the parts of the settings reader share: the table, values as they come
 * in, the list of mistakes. */
#ifndef CORE_BASE_SETTINGS_PRIV_H
#define CORE_BASE_SETTINGS_PRIV_H

#include "core/base/buf.h"
#include "core/base/settings.h"

enum setting_type {
	SETTING_TEXT,
	SETTING_LIST,
	SETTING_PATH,
	SETTING_SECRET,
	SETTING_INT,
	SETTING_BYTES,
	SETTING_MS,
	SETTING_BOOL,
};

struct setting_key {
	const char *section, *key;
	enum setting_type type;
	size_t offset; /* of the field in struct settings */
	const char *def;
	int64_t min, max;
	const char *help;
};

extern const struct setting_key setting_keys[];
extern const size_t setting_key_count;

struct mistakes {
	struct buf *text;
	size_t count;
};

/* "origin: what", then "  HINT: hint" on a line of its own when there is one. Text is cut to one
 * line each. */
void mistake_add(struct mistakes *m, const char *origin, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* One key as it stands somewhere. */
struct setting_entry {
	char *section, *key;
	struct buf value;
	size_t line;
};

struct setting_entries {
	struct setting_entry *items;
	size_t count;
};

/* Reads an INI file into entries; what cannot be read becomes mistakes. */
void setting_file_read(const char *file, struct setting_entries *ret_entries, struct mistakes *m);
void setting_entries_done(struct setting_entries *entries);

/* Parses `text` by the key's type into the field at `field`, replacing (and freeing) what is
 * there. `folder`: what a PATH is relative to, NULL: left as it is. Returns false after adding a
 * mistake. A SECRET keeps its text until setting_secret_load. */
bool setting_parse(const struct setting_key *key, const char *text, const char *folder,
		   const char *origin, void *field, struct mistakes *m);
/* Replaces the path in *field by the first line of the file it names, after ${NAME} expansion. */
bool setting_secret_load(const struct setting_key *key, const char *origin, char **field,
			 struct mistakes *m);
/* What values mean: names, addresses, tables, words; adds mistakes. */
void setting_meanings_check(const struct settings *s, struct mistakes *m);
void setting_value_free(const struct setting_key *key, void *field);

#endif
