/* fuzz_settings.c - the configuration file, the text of its values, and positions on the command
 * line (core/base/settings*.c, address.c; cdc/decode/range.c). Input: the file. What it says is
 * printed in a form that says the same. */
#include "test/fuzz/fuzz.h"

#include "cdc/decode/range.h"
#include "core/base/address.h"
#include "core/base/mem.h"
#include "core/base/settings.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct settings *read_file(int fd, struct buf *mistakes)
{
	struct settings *s = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
	(void)settings_read_all(path, NULL, 0, &s, mistakes);
	return s;
}

static char *printed(const struct settings *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	settings_print(s, out);
	(void)fclose(out);
	return text;
}

/* The file may name secrets, which are read: of devices there is no end. */
static bool reads_devices(struct slice text)
{
	return memmem(text.data, text.size, "/dev", 4) != NULL ||
	       memmem(text.data, text.size, "/proc", 5) != NULL ||
	       memmem(text.data, text.size, "/sys", 4) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf mistakes = BUF_INIT, text = BUF_INIT;
	char name[] = "/data/binlog.000003", *files[] = { name };
	struct range_end end;
	struct address address;
	struct settings *s;
	struct err e = ERR_INIT;
	char *first;
	int fd;

	if (reads_devices(slice_of(data, size)))
		return 0;
	fd = memfd_create("millrace.conf", MFD_CLOEXEC);
	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd");
	s = read_file(fd, &mistakes);
	fuzz_check((s == NULL) == (mistakes.size > 0), "'%s'", buf_cstr(&mistakes));
	if (s != NULL) {
		first = printed(s);
		fuzz_check(strlen(first) > 0, "nothing printed");
		free(first);
		settings_free(s);
	}
	(void)close(fd);
	buf_add(&text, data, size);
	(void)address_read(buf_cstr(&text), &address, &e);
	(void)address_read_default(buf_cstr(&text), 7, &address, &e);
	memset(&end, 0, sizeof(end));
	if (range_end_parse(buf_cstr(&text), files, 1, &end, &e) == 0) {
		struct range r = { .from = end };

		range_done(&r);
	}
	buf_done(&mistakes);
	buf_done(&text);
	return 0;
}
