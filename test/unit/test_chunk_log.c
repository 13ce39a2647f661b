/* test_chunk_log.c - a chunk that is kept comes back record for record; a file that lacks anything,
 * or has one bit changed, is not used. */
#include "core/base/mem.h"
#include "cdc/delivery/chunk_log.h"
#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS 40

static char folder[] = "/tmp/millrace-chunk-XXXXXX";
static struct settings settings;
static struct err e;

static char *path_of(const char *end)
{
	return xasprintf("%s/log.chunk%s", folder, end);
}

static void start(void)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	memset(&settings, 0, sizeof(settings));
	settings.state_dir = folder;
	settings.name = (char *)(uintptr_t) "log";
	err_clear(&e);
}

static void stop(void)
{
	char *path = path_of("");

	(void)unlink(path);
	free(path);
	ck_assert_int_eq(rmdir(folder), 0); /* nothing else is left behind */
}

/* Record n: lengths and bytes follow from n; every fifth has no key, every seventh an empty value.
 */
static struct chunk_record record(int n, char *bytes)
{
	struct chunk_record r = { n % 3 == 0 ? "rows" : "events", n % 4, slice_of(NULL, 0),
				  slice_of(bytes, n % 7 == 0 ? 0 : (size_t)n * 13) };

	memset(bytes, n, (size_t)n * 13);
	if (n % 5 != 0)
		r.key = slice_of(bytes, (size_t)n % 11);
	return r;
}

static void write_log(void)
{
	struct chunk_log *log;
	char bytes[RECORDS * 13];

	ck_assert_msg(chunk_log_new(&settings, &log, &e) == 0, "%s", e.msg);
	for (int n = 1; n <= RECORDS; n++) {
		struct chunk_record r = record(n, bytes);

		ck_assert_int_eq(chunk_log_add(log, &r, &e), 0);
	}
	ck_assert_int_eq(chunk_log_count(log), RECORDS);
	ck_assert_msg(chunk_log_end(log, "snapshot:db.t:7", 1234, &e) == 0, "%s", e.msg);
	chunk_log_free(log);
}

static void check_log(struct chunk_log *log)
{
	struct chunk_record r;
	char bytes[RECORDS * 13];

	for (int n = 1; n <= RECORDS; n++) {
		struct chunk_record want = record(n, bytes);

		ck_assert_int_eq(chunk_log_next(log, &r, &e), 1);
		ck_assert_str_eq(r.topic, want.topic);
		ck_assert_int_eq(r.partition, want.partition);
		ck_assert_int_eq(r.key.data == NULL, want.key.data == NULL);
		ck_assert(r.key.data == NULL || slice_equal(r.key, want.key));
		ck_assert(slice_equal(r.value, want.value));
	}
	ck_assert_int_eq(chunk_log_next(log, &r, &e), 0);
}

START_TEST(test_comes_back)
{
	struct chunk_log *log;

	start();
	ck_assert_int_eq(chunk_log_open(&settings, &log, &e), 0);
	ck_assert_ptr_null(log); /* there is none yet */
	write_log();
	ck_assert_msg(chunk_log_open(&settings, &log, &e) == 0, "%s", e.msg);
	ck_assert_ptr_nonnull(log);
	ck_assert(chunk_log_is_of(log, "snapshot:db.t:7", 1234));
	ck_assert(!chunk_log_is_of(log, "snapshot:db.t:7", 1235));
	ck_assert(!chunk_log_is_of(log, "snapshot:db.t:8", 1234));
	check_log(log);
	chunk_log_free(log);
	stop();
}
END_TEST

/* What was begun and not ended has no name, and doesn't replace what has. */
START_TEST(test_not_ended)
{
	struct chunk_log *log;
	char bytes[RECORDS * 13], *path;
	struct chunk_record r = record(3, bytes);

	start();
	path = path_of(".new");
	write_log();
	ck_assert_int_eq(chunk_log_new(&settings, &log, &e), 0);
	ck_assert_int_eq(chunk_log_add(log, &r, &e), 0);
	chunk_log_free(log);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(chunk_log_open(&settings, &log, &e), 0);
	check_log(log);
	chunk_log_free(log);
	free(path);
	stop();
}
END_TEST

static void put_file(const uint8_t *bytes, size_t size)
{
	char *path = path_of("");
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert(size == 0 || fwrite(bytes, size, 1, f) == 1);
	ck_assert_int_eq(fclose(f), 0);
	free(path);
}

static void check_refused(const uint8_t *bytes, size_t size)
{
	struct chunk_log *log;

	put_file(bytes, size);
	ck_assert_msg(chunk_log_open(&settings, &log, &e) == 0, "%s", e.msg);
	ck_assert_ptr_null(log);
}

START_TEST(test_damaged)
{
	uint8_t bytes[64 * 1024];
	size_t size;
	char *path;
	FILE *f;

	start();
	write_log();
	path = path_of("");
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	size = fread(bytes, 1, sizeof(bytes), f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_uint_lt(size, sizeof(bytes));
	free(path);
	for (size_t cut = 0; cut < size; cut += 97)
		check_refused(bytes, cut);
	for (size_t at = 0; at < size; at += 31) {
		bytes[at] ^= (uint8_t)(1u << at % 8);
		check_refused(bytes, size);
		bytes[at] ^= (uint8_t)(1u << at % 8);
	}
	stop();
}
END_TEST

START_TEST(test_no_room)
{
	struct chunk_log *log;

	start();
	settings.state_dir = (char *)(uintptr_t) "/proc/none";
	ck_assert_int_eq(chunk_log_new(&settings, &log, &e), -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_ptr_nonnull(strstr(e.msg, "/proc/none/log.chunk"));
	settings.state_dir = folder;
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chunk_log");

	unit_test(s, test_comes_back);
	unit_test(s, test_not_ended);
	unit_test_slow(s, test_damaged, 60);
	unit_test(s, test_no_room);
	return unit_run(s);
}
