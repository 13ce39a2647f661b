/* settings_check.c - what a well-formed value must also mean: names that can be part of a topic,
 * addresses, tables, words of a fixed set, two keys that need each other. Nothing here looks
 * outside (no server, no file): that is `millrace check`. */
#include "core/base/address.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"
#include "core/base/settings_priv.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>

#define NAME_MAX_SIZE 100 /* leaves room for db and table in a topic's 249 characters */

static size_t index_of(const char *section, const char *key)
{
	size_t i = 0;

	while (i < setting_key_count && (strcmp(setting_keys[i].section, section) != 0 ||
					 strcmp(setting_keys[i].key, key) != 0))
		i++;
	if (i == setting_key_count)
		abort(); /* a name in our own code that settings.def does not have */
	return i;
}

static const char *origin_of(const struct settings *s, const char *section, const char *key)
{
	return s->origins[index_of(section, key)];
}

static void check_name(const struct settings *s, struct mistakes *m)
{
	size_t size = strlen(s->name);
	bool good = size <= NAME_MAX_SIZE;

	for (size_t i = 0; i < size; i++)
		good = good && (isalnum((unsigned char)s->name[i]) || s->name[i] == '-' ||
				s->name[i] == '_');
	if (!good)
		mistake_add(m, origin_of(s, "millrace", "name"),
			    "Letters, digits, - and _; at most 100 of them.",
			    "millrace.name: '%s' cannot be the prefix of topics", s->name);
}

static void check_word(const struct settings *s, const char *section, const char *key,
		       const char *value, const char *const *words, size_t count,
		       struct mistakes *m)
{
	struct buf hint = BUF_INIT;
	const char *near = settings_nearest(value, words, count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], value) == 0)
			return;
	buf_add_str(&hint, "One of ");
	for (size_t i = 0; i < count; i++)
		buf_add_format(&hint, "%s%s", i > 0 ? ", " : "", words[i]);
	if (near != NULL)
		buf_add_format(&hint, "; did you mean %s?", near);
	mistake_add(m, origin_of(s, section, key), buf_cstr(&hint), "%s.%s: '%s' is not known",
		    section, key, value);
	buf_done(&hint);
}

/* Of any dialect; not empty */
static bool is_position(const char *text)
{
	struct gtid_set set = GTID_SET_INIT;
	struct err ignored = ERR_INIT;
	bool good = gtid_set_parse(slice_str(text), &set, &ignored) == 0 &&
		    !gtid_set_is_empty(&set);

	gtid_set_done(&set);
	return good;
}

static void check_start(const struct settings *s, struct mistakes *m)
{
	static const char *const words[] = { "snapshot", "now", "earliest",
					     "a GTID such as 0-1-42" };

	if (!is_position(s->source_start))
		check_word(s, "source", "start", s->source_start, words, 4, m);
}

static void check_bootstrap(const struct settings *s, struct mistakes *m)
{
	const char *origin = origin_of(s, "kafka", "bootstrap"), *text = s->kafka_bootstrap;
	struct address address;
	struct err e = ERR_INIT;

	while (*text != '\0') {
		size_t size = strcspn(text, ",");
		char *one = xstrndup(text, size);

		if (address_read(one, &address, &e) < 0 || address.port == 0)
			mistake_add(m, origin, "host:port,host:port",
				    "kafka.bootstrap: '%s' is not host:port", one);
		free(one);
		text += size + (text[size] == ',');
	}
	if (s->kafka_bootstrap[0] == '\0')
		mistake_add(m, origin, "host:port,host:port", "kafka.bootstrap is empty");
}

static void check_tables(const struct settings *s, struct mistakes *m)
{
	const char *origin = origin_of(s, "capture", "tables");

	for (size_t i = 0; i < s->capture_tables.count; i++) {
		const char *table = s->capture_tables.items[i], *dot = strchr(table, '.');

		if (dot == NULL || dot == table || dot[1] == '\0')
			mistake_add(m, origin,
				    "Tables are written db.table, or db.* for all of a database.",
				    "capture.tables: '%s' is not a table", table);
		else if (strchr(table, '*') != NULL && strcmp(dot, ".*") != 0)
			mistake_add(m, origin,
				    "The only pattern is db.* (all tables of a database).",
				    "capture.tables: '%s' is not a pattern that we know", table);
		for (size_t j = 0; j < i; j++)
			if (strcmp(s->capture_tables.items[j], table) == 0) {
				mistake_add(m, origin, NULL, "capture.tables: '%s' is there twice",
					    table);
				break;
			}
	}
}

static void check_hosts(const struct settings *s, struct mistakes *m)
{
	const char *origin = origin_of(s, "source", "host");
	struct address address;
	struct err e = ERR_INIT;

	if (s->source_hosts.count == 0)
		mistake_add(m, origin, "host, or host:port,host:port", "source.host is empty");
	for (size_t i = 0; i < s->source_hosts.count; i++) {
		if (address_read_default(s->source_hosts.items[i], (uint16_t)s->source_port,
					 &address, &e) < 0)
			mistake_add(m, origin, "host, or host:port,host:port", "source.host: %s",
				    e.msg);
		for (size_t j = 0; j < i; j++)
			if (strcmp(s->source_hosts.items[i], s->source_hosts.items[j]) == 0)
				mistake_add(m, origin, NULL, "source.host: '%s' is there twice",
					    s->source_hosts.items[i]);
	}
}

static void check_listen(const struct settings *s, struct mistakes *m)
{
	const char *origin = origin_of(s, "http", "listen");
	struct address address;
	struct err e = ERR_INIT;

	if (*s->http_listen == '\0' || strcmp(s->http_listen, "off") == 0)
		return;
	if (address_read(s->http_listen, &address, &e) < 0)
		mistake_add(m, origin, "127.0.0.1:7411, or off", "http.listen: %s", e.msg);
	else if (!address_is_loopback(address.host) && *s->http_token == '\0')
		mistake_add(
			m, origin, "Set http.token_file, or listen on 127.0.0.1.",
			"http.listen: '%s' can be reached from other machines and there is no token",
			s->http_listen);
}

static void check_tls(const struct settings *s, const char *section, const char *tls,
		      const char *tls_ca, struct mistakes *m)
{
	static const char *const words[] = { "off", "on", "verify" };
	char hint[60];

	check_word(s, section, "tls", tls, words, 3, m);
	if (strcmp(tls, "verify") != 0 || tls_ca[0] != '\0')
		return;
	snprintf(hint, sizeof(hint), "Set %s.tls_ca.", section);
	mistake_add(m, origin_of(s, section, "tls"), hint,
		    "%s.tls: verify needs certificates to trust", section);
}

void setting_meanings_check(const struct settings *s, struct mistakes *m)
{
	static const char *const losts[] = { "stop", "reconcile" };
	static const char *const levels[] = { "debug", "info", "warning", "error" };
	static const char *const cascades[] = { "reconcile", "refuse", "warn" };
	static const char *const unknowns[] = { "stop", "reconcile" };
	static const char *const inexacts[] = { "carry", "park", "stop" };
	static const char *const deliveries[] = { "exactly-once", "at-least-once" };
	static const char *const formats[] = { "logfmt", "json" };

	check_name(s, m);
	check_start(s, m);
	check_bootstrap(s, m);
	check_tables(s, m);
	check_listen(s, m);
	check_word(s, "capture", "cascades", s->capture_cascades, cascades, 3, m);
	check_word(s, "capture", "unknown_columns", s->capture_unknown_columns, unknowns, 2, m);
	check_word(s, "capture", "on_inexact", s->capture_on_inexact, inexacts, 3, m);
	check_word(s, "capture", "delivery", s->capture_delivery, deliveries, 2, m);
	check_hosts(s, m);
	check_word(s, "source", "lost", s->source_lost, losts, 2, m);
	check_tls(s, "source", s->source_tls, s->source_tls_ca, m);
	check_tls(s, "mariadb", s->mariadb_tls, s->mariadb_tls_ca, m);
	check_tls(s, "mysql", s->mysql_tls, s->mysql_tls_ca, m);
	check_tls(s, "postgresql", s->postgresql_tls, s->postgresql_tls_ca, m);
	check_word(s, "log", "level", s->log_level, levels, 4, m);
	check_word(s, "log", "format", s->log_format, formats, 2, m);
}

static bool has_value(const struct settings *s, const struct setting_key *key)
{
	const void *field = (const char *)s + key->offset;

	switch (key->type) {
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_SECRET:
		return **(char *const *)field != '\0';
	case SETTING_LIST:
		return ((const struct text_list *)field)->count != 0;
	case SETTING_INT:
	case SETTING_BYTES:
	case SETTING_MS:
	case SETTING_BOOL:
		return true;
	}
	return true;
}

int settings_require(const struct settings *s, const char *const *keys, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc = 0;

	for (; *keys != NULL; keys++) {
		const char *dot = strchr(*keys, '.');
		char *section = xstrndup(*keys, (size_t)(dot - *keys));
		const struct setting_key *key = &setting_keys[index_of(section, dot + 1)];

		if (!has_value(s, key))
			buf_add_format(&text, "%s%s%s.%s is missing (%s)",
				       s->file != NULL ? s->file : "", s->file != NULL ? ": " : "",
				       key->section, key->key, key->help);
		if (!has_value(s, key))
			buf_add_u8(&text, '\n');
		free(section);
	}
	if (text.size != 0) {
		text.size--;
		err_config(e, "%s", buf_cstr(&text));
		rc = err_hint(e, "%s",
			      s->file != NULL
				      ? "`millrace config --sample` explains every key."
				      : "No configuration file was read: give one with -c FILE.");
	}
	buf_done(&text);
	return rc;
}
