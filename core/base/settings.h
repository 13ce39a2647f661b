/* settings.h - the whole configuration as one plain struct, filled from the table in
 * settings.def.
 *
 * Order of precedence: command line (--section.key=value) > environment (MILLRACE_SECTION_KEY) >
 * file > default. The reader reports every mistake, not only the first: file:line, what is
 * wrong, the nearest known key. */
#ifndef CORE_BASE_SETTINGS_H
#define CORE_BASE_SETTINGS_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct text_list {
	char **items;
	size_t count;
};

struct property {
	char *key, *value;
};

#define SETTING_C_TEXT char *
#define SETTING_C_LIST struct text_list
#define SETTING_C_PATH char *
#define SETTING_C_SECRET char *
#define SETTING_C_INT int64_t
#define SETTING_C_BYTES int64_t
#define SETTING_C_MS int64_t
#define SETTING_C_BOOL bool

struct settings {
#define SETTING(section, key, type, field, def, min, max, help) SETTING_C_##type field;
#include "core/base/settings.def"
#undef SETTING
	struct property *kafka_properties; /* `kafka.<property> = value` lines of section [kafka],
					      passed to librdkafka as they are */
	size_t kafka_property_count;
	char *file;     /* the configuration file read, or NULL */
	char **origins; /* where each key of settings.def got its value: "default", "file:line",
			   "MILLRACE_...", "--section.key" */
};

struct settings_flag {
	const char *name; /* "section.key" */
	const char *value;
};

/* Reads `file` (NULL: none), environment and flags. On failure e->msg holds the mistakes, one a
 * line, "file:line: what\n  HINT: ...", and e->kind is ERR_CONFIG: all of them, or as many as
 * fit and how many more there are. Free with settings_free(). */
int settings_read(const char *file, const struct settings_flag *flags, size_t flag_count,
		  struct settings **ret_settings, struct err *e);
/* The same, with all mistakes in `mistakes`, however many (appended, each ended by a line end).
 * Returns their number. */
struct buf;
size_t settings_read_all(const char *file, const struct settings_flag *flags, size_t flag_count,
			 struct settings **ret_settings, struct buf *mistakes);
/* All of the named keys ("section.key", NULL-terminated list) must have a value: ERR_CONFIG
 * names every one that has none. */
int settings_require(const struct settings *s, const char *const *keys, struct err *e);
void settings_free(struct settings *s);

/* The effective configuration as an INI file with help and where each value came from; secrets
 * as "(hidden)". */
void settings_print(const struct settings *s, FILE *out);
/* The same table as a documented sample: every key commented out with its default
 * (conf/millrace.conf is made so). */
void settings_print_sample(FILE *out);
/* "10m" in milliseconds, as settings take times. False: it is none. */
bool settings_parse_ms(const char *text, int64_t *ret_ms);
/* Nearest known word to `word` (edit distance, at most a third of its length away), or NULL. */
const char *settings_nearest(const char *word, const char *const *known, size_t count);

#endif
