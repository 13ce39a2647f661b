/* mem.c - allocation that aborts instead of failing; see mem.h for why. */
#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define LARGE_BYTES (1024 * 1024) /* a block of its own, given back when it is freed */
#define ARENAS 4

void mem_init(void)
{
#ifdef __GLIBC__
	/* setting the first one stops glibc from raising it to the size of what was freed last */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* a refused value changes nothing */
	(void)mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BYTES);
	(void)mallopt(M_ARENA_MAX, ARENAS);
#endif
}

void mem_trim(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0); /* whether there was anything doesn't matter */
#endif
}

static void *checked(void *p)
{
	if (p == NULL) {
		fputs("millrace: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xmalloc(size_t size)
{
	return checked(malloc(size != 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return checked(calloc(count != 0 ? count : 1, size != 0 ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size != 0 ? size : 1));
}

char *xstrdup(const char *s)
{
	return checked(strdup(s));
}

char *xstrndup(const char *s, size_t size)
{
	char *copy = xmalloc(size + 1);

	memcpy(copy, s, size);
	copy[size] = '\0';
	return copy;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return checked(text);
}
