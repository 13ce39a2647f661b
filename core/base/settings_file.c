/* settings_file.c - the INI file as a list of entries with their line numbers, by libinih.
 *
 * libinih reports neither line numbers nor more than the first bad line, takes at most 200 bytes
 * of a line, and reads an indented line as the continuation of the one before. So the reader
 * handed to it does the rest: it counts lines; a line that is neither [section], key = value,
 * comment nor empty becomes a mistake and is passed on empty; leading blanks are taken off; and
 * a long line is handed over in pieces as continuations, which are put together again here. A
 * cut is never made beside a blank (libinih strips them) nor before a comment sign. */
#include "core/base/settings_priv.h"

#include "core/base/mem.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1024 * 1024)
#define SECTION_MAX 49 /* libinih cuts longer ones */

struct reader {
	const char *file;
	FILE *in;
	char *line;                /* the current one, without blanks around it */
	size_t capacity, size, at; /* at: what was handed over */
	size_t number, bytes;
	bool continued; /* the piece handed over last was not the first of its line */
	struct setting_entries *entries;
	struct mistakes *mistakes;
};

static void line_mistake(struct reader *r, const char *hint, const char *what)
{
	char *origin = xasprintf("%s:%zu", r->file, r->number);

	mistake_add(r->mistakes, origin, hint, "%s", what);
	free(origin);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes blanks and a " ; comment" off the line. */
static void trim(struct reader *r, size_t size)
{
	size_t start = 0;

	for (size_t i = 1; i < size; i++)
		if (r->line[i] == ';' && is_blank(r->line[i - 1]))
			size = i;
	while (start < size && is_blank(r->line[start]))
		start++;
	while (size > start && is_blank(r->line[size - 1]))
		size--;
	memmove(r->line, r->line + start, size - start);
	r->size = size - start;
	r->line[r->size] = '\0';
}

static void check_line(struct reader *r)
{
	const char *end = memchr(r->line, ']', r->size);
	const char *equals = strpbrk(r->line, "=:");
	bool good = true;

	if (r->size == 0 || r->line[0] == '#' || r->line[0] == ';') {
		r->size = 0;
		return;
	}
	if (r->line[0] == '[') {
		good = end != NULL && end == r->line + r->size - 1 && r->size - 2 <= SECTION_MAX;
		if (!good)
			line_mistake(r, "A section stands alone on its line: [kafka]",
				     "this is not a section");
	} else if (equals == NULL || equals == r->line) {
		line_mistake(r, "Every line is `key = value`, `[section]` or `# comment`.",
			     "this is not key = value");
		good = false;
	}
	if (!good)
		r->size = 0;
}

static bool next_line(struct reader *r)
{
	ssize_t n = getline(&r->line, &r->capacity, r->in);

	if (n < 0)
		return false;
	r->number++;
	r->bytes += (size_t)n;
	r->at = 0;
	if (r->bytes > FILE_BYTES_MAX) {
		line_mistake(r, NULL, "the file is longer than 1 MB: is it the right one?");
		return false;
	}
	if (r->number == 1 && n >= 3 && memcmp(r->line, "\xef\xbb\xbf", 3) == 0)
		memset(r->line, ' ', 3);
	if (memchr(r->line, '\0', (size_t)n) != NULL) {
		line_mistake(r, NULL, "a NUL byte: this is not a text file");
		n = 0;
	}
	trim(r, (size_t)n);
	check_line(r);
	return true;
}

/* How many of the next bytes go into a piece of at most `most`. */
static size_t piece(const struct reader *r, size_t most)
{
	size_t n = r->size - r->at;

	if (n <= most)
		return n;
	n = most;
	while (n > 1) {
		const char *cut = r->line + r->at + n;

		if (!is_blank(cut[-1]) && !is_blank(*cut) && strchr(";#", *cut) == NULL)
			break;
		n--;
	}
	return n;
}

/* ini_reader of libinih: the next piece into `out` (size bytes), with its line end; NULL at the
 * end. */
static char *read_piece(char *out, int size, void *stream)
{
	struct reader *r = stream;
	bool more = r->at < r->size;
	size_t n, indent = 0;

	if (size < 32 || (!more && !next_line(r)))
		return NULL;
	r->continued = more;
	if (more)
		out[indent++] = ' ';
	n = piece(r, (size_t)size - 4);
	memcpy(out + indent, r->line + r->at, n);
	r->at += n;
	memcpy(out + indent + n, "\n", 2);
	return out;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	struct setting_entries *entries = r->entries;
	struct setting_entry *entry;

	if (r->continued && entries->count != 0) {
		buf_add_str(&entries->items[entries->count - 1].value, value);
		return 1;
	}
	entries->items = xrealloc(entries->items, (entries->count + 1) * sizeof(*entries->items));
	entry = &entries->items[entries->count++];
	*entry = (struct setting_entry){ .section = xstrdup(section),
					 .key = xstrdup(name),
					 .line = r->number };
	buf_add_str(&entry->value, value);
	return 1;
}

void setting_file_read(const char *file, struct setting_entries *ret_entries, struct mistakes *m)
{
	struct reader r = { .file = file, .entries = ret_entries, .mistakes = m };

	*ret_entries = (struct setting_entries){ NULL, 0 };
	r.in = fopen(file, "re");
	if (r.in == NULL) {
		mistake_add(m, file, "-c FILE or MILLRACE_CONFIG names the configuration.",
			    "cannot read it: %s", strerror(errno));
		return;
	}
	(void)ini_parse_stream(read_piece, &r, take, &r); /* bad lines were found by check_line */
	if (ferror(r.in))
		mistake_add(m, file, NULL, "cannot read it: %s", strerror(errno));
	fclose(r.in);
	free(r.line);
}

void setting_entries_done(struct setting_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		free(entries->items[i].section);
		free(entries->items[i].key);
		buf_done(&entries->items[i].value);
	}
	free(entries->items);
	*entries = (struct setting_entries){ NULL, 0 };
}
