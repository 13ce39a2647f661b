/* settings.c - default < file < environment < command line, over the table of settings.def.
 *
 * Each layer is parsed and checked in full, also where a stronger one replaces a value, so that
 * a mistake never hides behind an override; secrets alone are read last, from the place that
 * won. Then come the checks that need to know what a text means (names, addresses, tables).
 * Every mistake goes into one list, with where it stands and the nearest known word.
 *
 * Section [kafka] also takes properties of librdkafka: a key with a dot in it, or any behind
 * "kafka."; they are looked at by core/kafka. Environment variables that begin with
 * MILLRACE_<section>_ must be known ones; others are not ours. */
#include "core/base/settings.h"

#include "core/base/mem.h"
#include "core/base/settings_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define WORD_MAX 64

const struct setting_key setting_keys[] = {
#define SETTING(section, key, type, field, def, min, max, help) \
	{ #section, #key, SETTING_##type, offsetof(struct settings, field), def, min, max, help },
#include "core/base/settings.def"
#undef SETTING
};
const size_t setting_key_count = sizeof(setting_keys) / sizeof(setting_keys[0]);

/* One layer while it is applied. */
struct layer {
	struct settings *settings;
	const char *folder; /* what paths are relative to, or NULL */
	struct mistakes *mistakes;
};

void mistake_add(struct mistakes *m, const char *origin, const char *hint, const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	for (char *p = what; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = '?';
	buf_add_format(m->text, "%s: %s\n", origin, what);
	if (hint != NULL)
		buf_add_format(m->text, "  HINT: %s\n", hint);
	m->count++;
}

/* ---- near words ----------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b, case apart. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], an = strlen(a), bn = strlen(b);
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	if (an > WORD_MAX || bn > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= bn; j++)
		above[j] = j;
	for (size_t i = 1; i <= an; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= bn; j++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);

			row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[bn];
}

const char *settings_nearest(const char *word, const char *const *known, size_t count)
{
	size_t limit = strlen(word) / 3 > 1 ? strlen(word) / 3 : 1, best = limit + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t d = distance(word, known[i]);

		if (d < best) {
			best = d;
			nearest = known[i];
		}
	}
	return nearest;
}

static bool is_section(const char *section)
{
	for (size_t i = 0; i < setting_key_count; i++)
		if (strcmp(setting_keys[i].section, section) == 0)
			return true;
	return false;
}

/* Adds the mistake of a section or key that does not exist, with the nearest one that does. */
static void unknown(const char *section, const char *key, const char *origin, struct mistakes *m)
{
	const char **words = xcalloc(setting_key_count, sizeof(*words)), *near, *elsewhere = NULL;
	bool known = is_section(section);
	char hint[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < setting_key_count; i++) {
		if (!known || strcmp(setting_keys[i].section, section) == 0)
			words[n++] = known ? setting_keys[i].key : setting_keys[i].section;
		else if (strcmp(setting_keys[i].key, key) == 0)
			elsewhere = setting_keys[i].section;
	}
	near = settings_nearest(known ? key : section, words, n);
	if (near != NULL)
		snprintf(hint, sizeof(hint), "Did you mean %s%s%s?", known ? section : "section [",
			 known ? "." : "", near);
	else if (elsewhere != NULL)
		snprintf(hint, sizeof(hint), "It belongs to section [%s].", elsewhere);
	else if (known && strcmp(section, "kafka") == 0)
		snprintf(hint, sizeof(hint),
			 "A property of librdkafka without a dot is written kafka.%.40s.", key);
	if (near != NULL && !known)
		snprintf(hint, sizeof(hint), "Did you mean section [%s]?", near);
	if (known)
		mistake_add(m, origin,
			    *hint != '\0' ? hint : "`millrace config --sample` prints all keys.",
			    "%s.%s is not a known key", section, key);
	else
		mistake_add(m, origin,
			    *hint != '\0' ? hint
					  : "`millrace config --sample` prints all sections.",
			    "%s%s%s", *section != '\0' ? section : key,
			    *section != '\0' ? " is not a known section"
					     : " stands before the first [section]",
			    "");
	free(words);
}

/* ---- applying ------------------------------------------------------------------------------- */

static bool add_property(struct settings *s, const char *section, const char *key,
			 const char *value)
{
	const char *name = strncmp(key, "kafka.", 6) == 0 ? key + 6
			   : strchr(key, '.') != NULL     ? key
							  : NULL;

	if (strcmp(section, "kafka") != 0 || name == NULL || *name == '\0')
		return false;
	for (size_t i = 0; i < s->kafka_property_count; i++)
		if (strcmp(s->kafka_properties[i].key, name) == 0) {
			free(s->kafka_properties[i].value);
			s->kafka_properties[i].value = xstrdup(value);
			return true;
		}
	s->kafka_properties = xrealloc(s->kafka_properties, (s->kafka_property_count + 1) *
								    sizeof(*s->kafka_properties));
	s->kafka_properties[s->kafka_property_count++] =
		(struct property){ xstrdup(name), xstrdup(value) };
	return true;
}

static void apply_key(const struct layer *layer, size_t i, const char *value, const char *origin)
{
	struct settings *s = layer->settings;

	if (setting_parse(&setting_keys[i], value, layer->folder, origin,
			  (char *)s + setting_keys[i].offset, layer->mistakes)) {
		free(s->origins[i]);
		s->origins[i] = xstrdup(origin);
	}
}

static void apply(const struct layer *layer, const char *section, const char *key,
		  const char *value, const char *origin)
{
	for (size_t i = 0; i < setting_key_count; i++)
		if (strcmp(setting_keys[i].section, section) == 0 &&
		    strcmp(setting_keys[i].key, key) == 0) {
			apply_key(layer, i, value, origin);
			return;
		}
	if (!add_property(layer->settings, section, key, value))
		unknown(section, key, origin, layer->mistakes);
}

/* The line on which an earlier entry has the same key, or 0. */
static size_t given_before(const struct setting_entries *entries, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(entries->items[i].section, entries->items[at].section) == 0 &&
		    strcmp(entries->items[i].key, entries->items[at].key) == 0)
			return entries->items[i].line;
	return 0;
}

static void apply_file(const struct layer *layer, const char *file)
{
	struct setting_entries entries;

	setting_file_read(file, &entries, layer->mistakes);
	for (size_t i = 0; i < entries.count; i++) {
		const struct setting_entry *entry = &entries.items[i];
		char *origin = xasprintf("%s:%zu", file, entry->line);
		size_t before = given_before(&entries, i);

		if (before != 0)
			mistake_add(layer->mistakes, origin, NULL,
				    "%s.%s is given twice, first on line %zu", entry->section,
				    entry->key, before);
		else
			apply(layer, entry->section, entry->key, buf_cstr(&entries.items[i].value),
			      origin);
		free(origin);
	}
	setting_entries_done(&entries);
}

/* "MILLRACE_KAFKA_TIMEOUT" -> section "kafka", key "timeout"; false when it does not begin with
 * a section of ours. */
static bool split_variable(const char *name, char *section, char *key)
{
	size_t n = 0;

	for (; name[n] != '\0' && name[n] != '_' && n < WORD_MAX - 1; n++)
		section[n] = (char)tolower((unsigned char)name[n]);
	section[n] = '\0';
	if (name[n] != '_' || !is_section(section))
		return false;
	name += n + 1;
	for (n = 0; name[n] != '\0' && n < WORD_MAX - 1; n++)
		key[n] = (char)tolower((unsigned char)name[n]);
	key[n] = '\0';
	return true;
}

static void apply_environment(const struct layer *layer)
{
	static const char prefix[] = "MILLRACE_";
	char section[WORD_MAX], key[WORD_MAX];

	for (char **p = environ; *p != NULL; p++) {
		const char *equals = strchr(*p, '=');
		char *name;

		if (strncmp(*p, prefix, sizeof(prefix) - 1) != 0 || equals == NULL)
			continue;
		name = xstrndup(*p, (size_t)(equals - *p));
		if (split_variable(name + sizeof(prefix) - 1, section, key))
			apply(layer, section, key, equals + 1, name);
		free(name);
	}
}

static void apply_flag(const struct layer *layer, const struct settings_flag *flag)
{
	const char *dot = strchr(flag->name, '.');
	char *origin = xasprintf("--%s", flag->name);
	char *section =
		xstrndup(flag->name, dot != NULL ? (size_t)(dot - flag->name) : strlen(flag->name));

	if (dot == NULL)
		mistake_add(layer->mistakes, origin, "Keys are given as --section.key=value.",
			    "there is no section in it");
	else if (flag->value == NULL)
		mistake_add(layer->mistakes, origin, "Keys are given as --section.key=value.",
			    "it has no value");
	else
		apply(layer, section, dot + 1, flag->value, origin);
	free(section);
	free(origin);
}

static void apply_defaults(const struct layer *layer)
{
	struct settings *s = layer->settings;
	struct mistakes none = { layer->mistakes->text, 0 };

	for (size_t i = 0; i < setting_key_count; i++) {
		setting_parse(&setting_keys[i], setting_keys[i].def, layer->folder, "default",
			      (char *)s + setting_keys[i].offset, &none);
		s->origins[i] = xstrdup("default");
	}
	if (none.count != 0)
		abort(); /* settings.def has a default that its own type refuses */
}

static void load_secrets(struct settings *s, struct mistakes *m)
{
	for (size_t i = 0; i < setting_key_count; i++)
		if (setting_keys[i].type == SETTING_SECRET)
			setting_secret_load(&setting_keys[i], s->origins[i],
					    (char **)((char *)s + setting_keys[i].offset), m);
}

size_t settings_read_all(const char *file, const struct settings_flag *flags, size_t flag_count,
			 struct settings **ret_settings, struct buf *mistakes)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	struct mistakes m = { mistakes, 0 };
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	char *folder = slash == file   ? NULL
		       : slash != NULL ? xstrndup(file, (size_t)(slash - file))
				       : NULL;
	struct layer layer = { s, folder != NULL ? folder : slash != NULL ? "" : NULL, &m };

	s->file = file != NULL ? xstrdup(file) : NULL;
	s->origins = xcalloc(setting_key_count, sizeof(*s->origins));
	apply_defaults(&layer);
	if (file != NULL)
		apply_file(&layer, file);
	layer.folder = NULL;
	apply_environment(&layer);
	for (size_t i = 0; i < flag_count; i++)
		apply_flag(&layer, &flags[i]);
	load_secrets(s, &m);
	setting_meanings_check(s, &m);
	free(folder);
	if (m.count == 0)
		*ret_settings = s;
	else
		settings_free(s);
	return m.count;
}

/* As many whole mistakes as fit into e->msg, then how many more there are. */
static int fit(struct buf *text, size_t count, struct err *e)
{
	const size_t room = sizeof(e->msg) - 64;
	char *all = buf_cstr(text), *at = all, *end = all;
	size_t shown = 0;

	while (*at != '\0') {
		at = strchr(at, '\n') + 1;
		if (strncmp(at, "  HINT:", 7) == 0)
			continue;
		if ((size_t)(at - all) > room)
			break;
		end = at;
		shown++;
	}
	if (shown == count)
		return err_config(e, "%.*s", (int)(end - all) - 1, all);
	return err_config(e, "%.*s... and %zu more mistakes", (int)(end - all), all, count - shown);
}

int settings_read(const char *file, const struct settings_flag *flags, size_t flag_count,
		  struct settings **ret_settings, struct err *e)
{
	struct buf mistakes = BUF_INIT;
	size_t count = settings_read_all(file, flags, flag_count, ret_settings, &mistakes);
	int rc = count != 0 ? fit(&mistakes, count, e) : 0;

	buf_done(&mistakes);
	return rc;
}

void settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < setting_key_count; i++) {
		setting_value_free(&setting_keys[i], (char *)s + setting_keys[i].offset);
		free(s->origins[i]);
	}
	for (size_t i = 0; i < s->kafka_property_count; i++) {
		free(s->kafka_properties[i].key);
		free(s->kafka_properties[i].value);
	}
	free(s->kafka_properties);
	free(s->origins);
	free(s->file);
	free(s);
}
