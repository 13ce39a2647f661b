/* test_sweep_allocations.c - a row costs no allocation: between the records of two rows that follow
 * each other, the pipeline's thread asks for no memory.
 *
 * The whole session runs, from packets to producer_send(), against the script; malloc() and its
 * kin are counted here, in place of the C library's. What the script does for a record is left out.
 * A few rows may cost something: the first ones, and those behind a group commit. */
#include "test/unit/unit.h"

#include "core/base/err.h"
#include "test/script/script.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_feature /* clang's way to say it */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTED 0 /* the allocator is the sanitizer's */
#else
#define COUNTED 1
#endif

static _Thread_local int64_t allocations;
static int64_t mark, rows, rows_with;

#if COUNTED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	allocations++;
	return __libc_realloc(p, size);
}
#endif

static void sent(const char *topic, bool done)
{
	if (strcmp(topic, "sweep.golden.a") != 0)
		return;
	if (done) {
		mark = allocations;
		return;
	}
	rows++;
	rows_with += allocations != mark;
}

START_TEST(test_a_row_allocates_nothing)
{
	struct err e = ERR_INIT;
	void *volatile seen;

	mark = allocations;
	seen = malloc(1);
	free(seen);
	ck_assert_int_eq(allocations - mark, COUNTED);
	(void)script_run_setup(true);
	script_on_send(sent);
	ck_assert_msg(script_live(&e) == 0, "%s", e.msg);
	script_on_send(NULL);
	printf("%lld of %lld rows cost an allocation%s\n", (long long)rows_with, (long long)rows,
	       COUNTED ? "" : " (not counted under this sanitizer)");
	ck_assert_int_gt(rows, SCRIPT_BIG_ROWS);
	ck_assert_int_lt(rows_with * 50, rows);
	script_run_teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sweep_allocations");

	unit_test(s, test_a_row_allocates_nothing);
	return unit_run(s);
}
