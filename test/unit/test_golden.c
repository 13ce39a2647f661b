/* test_golden.c - recorded binlog files against the JSON lines that were checked by eye, and every
 * way to damage them.
 *
 * Goal: the decoder sees exactly what a real server wrote (compare), and whatever else it gets it
 * answers with ERR_DATA or a line, never with a crash or a read outside (damage; run it with
 * SANITIZER=address). `make golden-update` writes the .jsonl files anew. Method of damage: truncate
 * at each byte; flip bits at each byte, once as it is, which the checksum must notice, and once
 * with the checksum made right again, so that the decoders behind it get the bytes. */
#include "unit.h"

#include "cdc/binlog/event.h"
#include "cdc/decode/dump.h"
#include "cdc/decode/event_json.h"
#include "cdc/decode/lines.h"
#include "core/base/mem.h"

#include <glob.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC_SIZE 4

static glob_t files_of(void)
{
	glob_t g;

	ck_assert_msg(glob("test/golden/*.binlog", 0, NULL, &g) == 0,
		      "no golden files: run it at the top of the tree");
	return g;
}

static struct buf read_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	struct buf b = BUF_INIT;
	size_t n;

	ck_assert_msg(in != NULL, "%s", path);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, in)) > 0)
		b.size += n;
	fclose(in);
	return b;
}

static char *expected_path(const char *binlog)
{
	return xasprintf("%.*s.jsonl", (int)(strlen(binlog) - strlen(".binlog")), binlog);
}

/* What `decode --events` prints, malloced. */
static char *decode_file(const char *path, int *ret_rc, struct err *e)
{
	char *text = NULL, *files[] = { (char *)(uintptr_t)path };
	struct dump_opts opts = { .files = files, .file_count = 1, .what = DUMP_EVENTS };
	size_t size;

	opts.out = open_memstream(&text, &size);
	*ret_rc = dump_files(&opts, NULL, e);
	fclose(opts.out);
	return text;
}

/* The same from memory. */
static char *decode(struct slice bytes, int *ret_rc, struct err *e)
{
	int fd = memfd_create("golden", MFD_CLOEXEC);
	char path[64], *text;

	ck_assert(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	text = decode_file(path, ret_rc, e);
	close(fd);
	return text;
}

/* The first line that differs, for the message. */
static void assert_same_lines(const char *path, const char *got, const char *want)
{
	int line = 1;

	while (*got != '\0' || *want != '\0') {
		size_t g = strcspn(got, "\n"), w = strcspn(want, "\n");

		ck_assert_msg(g == w && memcmp(got, want, g) == 0, "%s:%d\nwant %.*s\ngot  %.*s",
			      path, line, (int)w, want, (int)g, got);
		got += g + (got[g] == '\n');
		want += w + (want[w] == '\n');
		line++;
	}
}

START_TEST(test_compare)
{
	glob_t files = files_of();

	for (size_t i = 0; i < files.gl_pathc; i++) {
		char *path = expected_path(files.gl_pathv[i]), *got;
		struct buf want = read_file(path);
		struct err e = ERR_INIT;
		int rc;

		got = decode_file(files.gl_pathv[i], &rc, &e);
		ck_assert_msg(rc == 0, "%s", e.msg);
		assert_same_lines(path, got, buf_cstr(&want));
		free(got);
		free(path);
		buf_done(&want);
	}
	globfree(&files);
}
END_TEST

/* ---- damage ---- */

struct file {
	struct buf bytes;
	size_t *starts; /* offset of each event, and the file's end */
	size_t count;
	bool checksums;
};

static struct file open_file(const char *path)
{
	struct file f = { .bytes = read_file(path) };
	size_t at = MAGIC_SIZE;

	f.starts = xcalloc(f.bytes.size, sizeof(f.starts[0]));
	while (at < f.bytes.size) {
		struct rd size = rd_of(f.bytes.data + at + 9, 4);

		f.starts[f.count++] = at;
		at += rd_u32(&size);
	}
	f.starts[f.count] = at;
	f.checksums = f.bytes.data[f.starts[1] - EVENT_CHECKSUM_SIZE - 1] == 1;
	return f;
}

static void close_file(struct file *f)
{
	free(f->starts);
	buf_done(&f->bytes);
}

struct printers {
	struct event_json *events;
	struct lines *lines;
	struct stats *stats;
	struct buf out;
};

static int forget(void *context, struct buf *out, struct err *e)
{
	(void)context;
	(void)e;
	buf_reset(out);
	return 0;
}

/* Everything that reads an event. */
static int print(void *context, struct walk *w, const struct walk_event *ev, struct err *e)
{
	struct printers *p = context;

	buf_reset(&p->out);
	if (event_json_add(p->events, w, ev, &p->out, e) < 0)
		return -1;
	buf_reset(&p->out);
	return lines_add(p->lines, w, ev, &p->out, forget, NULL, e) < 0 ||
			       stats_add(p->stats, w, ev, e) < 0
		       ? -1
		       : 0;
}

/* All events in order, up to `until`. Exact-sized copies, so that the sanitizer sees every byte
 * read too far. */
static int decode_events(const struct file *f, size_t until, struct err *e)
{
	struct printers p = { event_json_new(), lines_new(true), stats_new(), BUF_INIT };
	struct walk *w = walk_new(NULL, 0);
	int rc = 0;

	walk_file(w, "golden");
	for (size_t i = 0; i < f->count && rc == 0 && f->starts[i] < until; i++) {
		size_t end = f->starts[i + 1] < until ? f->starts[i + 1] : until,
		       size = end - f->starts[i];
		uint8_t *copy = xmalloc(size);

		memcpy(copy, f->bytes.data + f->starts[i], size);
		rc = walk_packet(w, f->starts[i], slice_of(copy, size), print, &p, e);
		free(copy);
	}
	walk_free(w);
	event_json_free(p.events);
	lines_free(p.lines);
	stats_free(p.stats);
	buf_done(&p.out);
	return rc;
}

START_TEST(test_truncated)
{
	glob_t files = files_of();

	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct file f = open_file(files.gl_pathv[i]);
		size_t next = 0;

		for (size_t cut = MAGIC_SIZE; cut < f.bytes.size; cut++) {
			struct err e = ERR_INIT;
			bool border = cut == f.starts[next];
			int rc;

			if (border)
				next++;
			else if (cut % 11 != 0 && cut > f.starts[next - 1] + 20)
				continue;
			rc = decode_events(&f, cut, &e);
			ck_assert_msg(border ? rc == 0 : rc < 0 && e.kind == ERR_DATA,
				      "%s cut at %zu: %d %s", files.gl_pathv[i], cut, rc, e.msg);
		}
		close_file(&f);
	}
	globfree(&files);
}
END_TEST

START_TEST(test_whole_file_truncated)
{
	struct buf bytes = read_file("test/golden/types.binlog");

	for (size_t cut = 1; cut < bytes.size; cut += 7) {
		struct err e = ERR_INIT;
		uint8_t *copy = xmalloc(cut);
		int rc;

		memcpy(copy, bytes.data, cut);
		free(decode(slice_of(copy, cut), &rc, &e));
		ck_assert(rc == 0 || e.kind == ERR_DATA);
		free(copy);
	}
	buf_done(&bytes);
}
END_TEST

/* The flag of a file that is still open is not covered by the checksum. */
static bool is_in_use_flag(const struct file *f, size_t at, uint8_t mask)
{
	return at == f->starts[0] + 17 && mask == EVENT_FLAG_IN_USE;
}

START_TEST(test_flipped)
{
	glob_t files = files_of();

	unit_seed();
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct file f = open_file(files.gl_pathv[i]);

		for (size_t at = MAGIC_SIZE; at < f.bytes.size; at += 1 + unit_random_below(12)) {
			struct err e = ERR_INIT;
			uint8_t mask = (uint8_t)(1u << unit_random_below(8));
			int rc;

			f.bytes.data[at] ^= mask;
			rc = decode_events(&f, f.bytes.size, &e);
			f.bytes.data[at] ^= mask;
			ck_assert_msg(rc < 0 || !f.checksums || is_in_use_flag(&f, at, mask),
				      "%s: bit %02x of byte %zu flipped, nobody noticed",
				      files.gl_pathv[i], mask, at);
			ck_assert(rc == 0 || e.kind == ERR_DATA);
		}
		close_file(&f);
	}
	globfree(&files);
}
END_TEST

static void make_checksum(const struct file *f, size_t event)
{
	uint8_t *from = f->bytes.data + f->starts[event];
	size_t size = f->starts[event + 1] - f->starts[event] - EVENT_CHECKSUM_SIZE;
	uLong crc = crc32(0, from, (uInt)size);

	for (int i = 0; i < EVENT_CHECKSUM_SIZE; i++)
		from[size + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

/* One event of a file with one to three random bytes changed behind its header, its checksum made
 * right. */
static void damage_one(struct file *f, size_t event)
{
	size_t from = f->starts[event] + EVENT_HEADER_SIZE,
	       to = f->starts[event + 1] - EVENT_CHECKSUM_SIZE;
	struct buf saved = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	if (to <= from)
		return;
	buf_add(&saved, f->bytes.data, f->bytes.size);
	for (uint64_t n = 1 + unit_random_below(3); n > 0; n--) {
		uint8_t *byte = f->bytes.data + from + unit_random_below(to - from);

		switch (unit_random_below(4)) {
		case 0:
			*byte = (uint8_t)unit_random64();
			break;
		case 1:
			*byte = 0xff;
			break;
		case 2:
			*byte = 0;
			break;
		default:
			*byte ^= (uint8_t)(1u << unit_random_below(8));
			break;
		}
	}
	if (f->checksums)
		make_checksum(f, event);
	rc = decode_events(f, f->bytes.size, &e);
	ck_assert(rc == 0 || e.kind == ERR_DATA);
	memcpy(f->bytes.data, saved.data, saved.size);
	buf_done(&saved);
}

START_TEST(test_damaged_behind_checksum)
{
	glob_t files = files_of();
	unit_seed();
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct file f = open_file(files.gl_pathv[i]);

		for (int round = 0; round < 12; round++)
			for (size_t event = 0; event < f.count; event++)
				damage_one(&f, event);
		close_file(&f);
	}
	globfree(&files);
}
END_TEST

START_TEST(test_not_a_binlog)
{
	static const char *const bad[] = { "x", "\xfe\x62i", "PK\003\004 something else entirely" };
	int rc;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		free(decode(slice_str(bad[i]), &rc, &e));
		ck_assert_int_lt(rc, 0);
		ck_assert_int_eq(e.kind, ERR_DATA);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("golden");

	unit_test(s, test_compare);
	unit_test_slow(s, test_truncated, 120);
	unit_test_slow(s, test_whole_file_truncated, 60);
	unit_test_slow(s, test_flipped, 120);
	unit_test_slow(s, test_damaged_behind_checksum, 120);
	unit_test(s, test_not_a_binlog);
	return unit_run(s);
}
