/* fuzz_chunk_log.c - the file that at-least-once keeps a chunk in (cdc/delivery/chunk_log.c), as a
 * crash or a disk may leave it. Input: a byte, then the file; with the byte's last bit set its end
 * is made right, so that records are really read. A file that is taken is read to its end, twice.
 */
#include "test/fuzz/fuzz.h"

#include "cdc/delivery/chunk_log.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "test/lib/folder.h"

#include <zlib.h>

static void put_end(struct buf *file)
{
	static const int32_t sizes[5] = { 2, 0, 0, 0, 1 };
	int64_t seq = 77;
	uint32_t sum;

	buf_add(file, sizes, sizeof(sizes));
	buf_add(file, "tx", 2);
	buf_add(file, &seq, sizeof(seq));
	sum = (uint32_t)crc32_z(0, file->data, file->size);
	buf_add(file, &sum, sizeof(sum));
}

static void read_it(struct chunk_log *log)
{
	struct chunk_record r;
	struct err e = ERR_INIT;
	int64_t count = 0;
	int rc;

	while ((rc = chunk_log_next(log, &r, &e)) == 1) {
		fuzz_check(r.topic != NULL && (r.value.size == 0 || r.value.data != NULL),
			   "record");
		count++;
	}
	fuzz_check(rc == 0, "%s", e.msg);
	fuzz_check(count == chunk_log_count(log), "%lld records", (long long)count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *folder;
	struct settings settings = { 0 };
	struct buf file = BUF_INIT;
	struct chunk_log *log = NULL;
	struct err e = ERR_INIT;
	char name[] = "n";
	char *path;
	FILE *out;

	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	if (folder == NULL)
		folder = folder_new();
	settings.state_dir = (char *)(uintptr_t)folder;
	settings.name = name;
	if (size > 0)
		buf_add(&file, data + 1, size - 1);
	if (size > 0 && (data[0] & 1) != 0)
		put_end(&file);
	path = xasprintf("%s/n.chunk", folder);
	out = fopen(path, "w");
	fuzz_check(out != NULL && fwrite(file.data, 1, file.size, out) == file.size, "%s", path);
	(void)fclose(out);
	fuzz_check(chunk_log_open(&settings, &log, &e) == 0, "%s", e.msg);
	if (log != NULL) {
		(void)chunk_log_is_of(log, "tx", 77);
		read_it(log);
	}
	chunk_log_free(log);
	(void)unlink(path);
	free(path);
	buf_done(&file);
	return 0;
}
