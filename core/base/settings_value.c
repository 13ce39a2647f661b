/* settings_value.c - text of a setting -> its typed value, and back to nothing. One function per
 * type; numbers take exactly the units that the hint names, and nothing is rounded or clamped:
 * out of range is a mistake. */
#include "core/base/settings_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_ITEMS_MAX 20000
#define SECRET_BYTES_MAX 4096

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit byte_units[] = {
	{ "", 1 },
	{ "b", 1 },
	{ "k", 1024 },
	{ "kb", 1024 },
	{ "kib", 1024 },
	{ "m", 1024 * 1024 },
	{ "mb", 1024 * 1024 },
	{ "mib", 1024 * 1024 },
	{ "g", 1024 * 1024 * 1024 },
	{ "gb", 1024 * 1024 * 1024 },
	{ "gib", 1024 * 1024 * 1024 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "ms", 1 },          { "s", 1000 },         { "m", 60 * 1000 }, { "min", 60 * 1000 },
	{ "h", 3600 * 1000 }, { "d", 86400 * 1000 }, { NULL, 0 },
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

/* digits, blanks, unit */
static bool parse_amount(const char *text, const struct unit *units, int64_t *ret_amount)
{
	char *end;
	long long n;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	while (*end == ' ')
		end++;
	if (n == 0 && *end == '\0') { /* nothing needs no unit */
		*ret_amount = 0;
		return true;
	}
	for (; units->name != NULL; units++)
		if (strcasecmp(end, units->name) == 0)
			return !__builtin_mul_overflow((int64_t)n, units->factor, ret_amount);
	return false;
}

bool settings_parse_ms(const char *text, int64_t *ret_ms)
{
	return parse_amount(text, time_units, ret_ms);
}

static void range_text(const struct setting_key *key, char *out, size_t size)
{
	snprintf(out, size,
		 key->type == SETTING_MS ? "From %lldms to %lldms." : "From %lld to %lld.",
		 (long long)key->min, (long long)key->max);
}

static bool parse_number(const struct setting_key *key, const char *text, const char *origin,
			 int64_t *field, struct mistakes *m)
{
	const struct unit *units = key->type == SETTING_BYTES ? byte_units
				   : key->type == SETTING_MS  ? time_units
							      : no_units;
	const char *hint = key->type == SETTING_BYTES
				   ? "A number with k, MB or GB (powers of 1024): 8MB"
			   : key->type == SETTING_MS
				   ? "A number with ms, s, m, h or d: 250ms, 30s, 5m, 1h"
				   : "A whole number.";
	char range[96];
	int64_t n;

	if (!parse_amount(text, units, &n)) {
		mistake_add(m, origin, hint, "%s.%s: '%s' is not %s", key->section, key->key, text,
			    key->type == SETTING_BYTES ? "a size"
			    : key->type == SETTING_MS  ? "a time"
						       : "a number");
		return false;
	}
	if (n < key->min || n > key->max) {
		range_text(key, range, sizeof(range));
		mistake_add(m, origin, range, "%s.%s: '%s' is out of range", key->section, key->key,
			    text);
		return false;
	}
	*field = n;
	return true;
}

static bool parse_bool(const struct setting_key *key, const char *text, const char *origin,
		       bool *field, struct mistakes *m)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*field = i % 2 == 1;
			return true;
		}
	mistake_add(m, origin, "Write on or off.", "%s.%s: '%s' is neither on nor off",
		    key->section, key->key, text);
	return false;
}

static void list_free(struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct text_list){ NULL, 0 };
}

static bool parse_list(const struct setting_key *key, const char *text, const char *origin,
		       struct text_list *field, struct mistakes *m)
{
	struct text_list list = { NULL, 0 };

	while (*text != '\0') {
		size_t size = strcspn(text, ","), start = strspn(text, " \t"), end = size;

		while (end > start && isblank((unsigned char)text[end - 1]))
			end--;
		if (end > start && list.count < LIST_ITEMS_MAX) {
			list.items = xrealloc(list.items, (list.count + 1) * sizeof(*list.items));
			list.items[list.count++] = xstrndup(text + start, end - start);
		}
		text += size + (text[size] == ',');
	}
	if (list.count == LIST_ITEMS_MAX) {
		mistake_add(m, origin, NULL, "%s.%s: more than %d items", key->section, key->key,
			    LIST_ITEMS_MAX);
		list_free(&list);
		return false;
	}
	list_free(field);
	*field = list;
	return true;
}

bool setting_parse(const struct setting_key *key, const char *text, const char *folder,
		   const char *origin, void *field, struct mistakes *m)
{
	char **string = field;

	switch (key->type) {
	case SETTING_INT:
	case SETTING_BYTES:
	case SETTING_MS:
		return parse_number(key, text, origin, field, m);
	case SETTING_BOOL:
		return parse_bool(key, text, origin, field, m);
	case SETTING_LIST:
		return parse_list(key, text, origin, field, m);
	case SETTING_PATH:
	case SETTING_SECRET:
		free(*string);
		*string = folder != NULL && *text != '\0' && *text != '/' && *text != '$'
				  ? xasprintf("%s/%s", folder, text)
				  : xstrdup(text);
		return true;
	case SETTING_TEXT:
		free(*string);
		*string = xstrdup(text);
		return true;
	}
	return false;
}

/* ${NAME} -> the environment's value. */
static bool expand(const struct setting_key *key, const char *origin, const char *text,
		   struct buf *out, struct mistakes *m)
{
	for (const char *end; *text != '\0'; text = end) {
		const char *value;
		char *name;

		end = text + 1;
		if (text[0] != '$' || text[1] != '{') {
			buf_add_u8(out, (uint8_t)*text);
			continue;
		}
		end = strchr(text, '}');
		if (end == NULL) {
			mistake_add(m, origin, NULL, "%s.%s: '${' without '}'", key->section,
				    key->key);
			return false;
		}
		name = xstrndup(text + 2, (size_t)(end - text) - 2);
		value = getenv(name);
		if (value == NULL)
			mistake_add(
				m, origin,
				"systemd sets CREDENTIALS_DIRECTORY where the unit has LoadCredential=.",
				"%s.%s: the environment has no %s", key->section, key->key, name);
		else
			buf_add_str(out, value);
		free(name);
		end++;
		if (value == NULL)
			return false;
	}
	return true;
}

/* A secret that everybody on this machine can read is none; it works, so it is only said. */
static void warn_if_open(int fd, const struct setting_key *key, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0)
		log_warning("settings", "%s.%s: every user of this machine can read %s (chmod 600)",
			    key->section, key->key, path);
}

static bool read_secret(const struct setting_key *key, const char *origin, const char *path,
			char **ret_secret, struct mistakes *m)
{
	char text[SECRET_BYTES_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	int failed = errno;

	if (fd >= 0) {
		warn_if_open(fd, key, path);
		close(fd);
	}
	if (n < 0) {
		mistake_add(m, origin, NULL, "%s.%s: cannot read %s: %s", key->section, key->key,
			    path, strerror(failed));
		return false;
	}
	text[n] = '\0';
	if (n == SECRET_BYTES_MAX && strpbrk(text, "\r\n") == NULL) {
		mistake_add(m, origin, NULL, "%s.%s: the first line of %s is longer than %d bytes",
			    key->section, key->key, path, SECRET_BYTES_MAX - 1);
		return false;
	}
	text[strcspn(text, "\r\n")] = '\0';
	if (*text == '\0') {
		mistake_add(m, origin, NULL, "%s.%s: the first line of %s is empty", key->section,
			    key->key, path);
		return false;
	}
	*ret_secret = xstrdup(text);
	explicit_bzero(text, sizeof(text));
	return true;
}

bool setting_secret_load(const struct setting_key *key, const char *origin, char **field,
			 struct mistakes *m)
{
	struct buf path = BUF_INIT;
	char *secret = NULL;
	bool good = true;

	if (**field != '\0') {
		good = expand(key, origin, *field, &path, m) &&
		       read_secret(key, origin, buf_cstr(&path), &secret, m);
		if (good) {
			free(*field);
			*field = secret;
		}
	}
	buf_done(&path);
	return good;
}

void setting_value_free(const struct setting_key *key, void *field)
{
	char **string = field;

	switch (key->type) {
	case SETTING_LIST:
		list_free(field);
		break;
	case SETTING_SECRET:
		if (*string != NULL)
			explicit_bzero(*string, strlen(*string));
		free(*string);
		break;
	case SETTING_TEXT:
	case SETTING_PATH:
		free(*string);
		break;
	case SETTING_INT:
	case SETTING_BYTES:
	case SETTING_MS:
	case SETTING_BOOL:
		break;
	}
}
