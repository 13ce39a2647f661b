/* mem.h - allocation that does not fail.
 *
 * Out of memory aborts the process: a daemon restarts from its position, which is safer than a
 * thousand half-tested recovery paths. So every size that comes from outside is checked against
 * a named limit first. */
#ifndef CORE_BASE_MEM_H
#define CORE_BASE_MEM_H

#include <stddef.h>

/* Once, before any thread: the allocator gives back what large rows took. Left alone it keeps ever
 * larger blocks for later, in an arena for each thread. */
void mem_init(void);

/* Gives back what lies free, behind work that took more than is needed from then on. Takes some
 * milliseconds. */
void mem_trim(void);

void *xmalloc(size_t size);               /* never NULL; caller frees with free() */
void *xcalloc(size_t count, size_t size); /* zeroed; aborts on overflow of count * size */
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t size); /* always NUL-terminated */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
