/* fuzz.h - what every fuzz target needs.
 *
 * A target is test/fuzz/fuzz_<name>.c with one function, LLVMFuzzerTestOneInput(). `make fuzz`
 * links it with libFuzzer under ASan and UBSan; `make check` links it with replay.c and runs the
 * inputs of test/fuzz/corpus/<name>. Besides not crashing it must state what holds for every input:
 * fuzz_check().
 *
 * A target keeps nothing from one input to the next that could change what the next one does. */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/rd.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target that knows the frame around what it fuzzes keeps it whole while bytes change. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

#define fuzz_check(true_always, ...)                                                            \
	do {                                                                                    \
		if (!(true_always)) {                                                           \
			(void)fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #true_always); \
			(void)fprintf(stderr, __VA_ARGS__);                                     \
			(void)fputc('\n', stderr);                                              \
			abort();                                                                \
		}                                                                               \
	} while (0)

/* An error says what is wrong, with the right kind. */
static inline void fuzz_check_error(const struct err *e, enum err_kind kind)
{
	fuzz_check(e->kind == kind && e->msg[0] != '\0', "kind %d: %s", (int)e->kind, e->msg);
}

static inline void fuzz_check_same(struct slice a, struct slice b)
{
	fuzz_check(slice_equal(a, b), "%zu bytes and %zu bytes: '%.*s' and '%.*s'", a.size, b.size,
		   (int)a.size, a.data, (int)b.size, b.data);
}

/* Choices that the input makes, from its first bytes on; 0 when it has no more. The functions that
 * make random tables and rows (test/lib) take fuzz_pick for their random numbers. */
extern struct rd fuzz_input;

static inline uint64_t fuzz_pick(uint64_t below)
{
	return rd_le(&fuzz_input, below <= 256 ? 1 : below <= 65536 ? 2 : 4) % below;
}

/* A part of the input with its size (two bytes) before it; shorter when the input ends. */
static inline struct slice fuzz_part(void)
{
	size_t n = (size_t)fuzz_pick(65536), left = rd_left(&fuzz_input);

	return rd_bytes(&fuzz_input, n < left ? n : left);
}

/* ---- json.c: what is said to be JSON is read by jansson --------------------------------- */
void fuzz_check_json(struct slice text);

/* ---- table.c --------------------------------------------------------------------------- */
struct shape;
struct shape *fuzz_table(unsigned columns_max); /* 1 .. columns_max columns, as the input chooses */

#endif
