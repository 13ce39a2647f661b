/* chunk_log.c - the file: for each record five numbers and three texts; then the end.
 *
 * clang-format off
 *   record   SIZES: topic, key (-1: none), value, partition, 0   then the bytes of the three
 *   end      SIZES: transaction, 0, 0, 0, 1                      then its bytes,
 *            seq (int64), CRC-32 of all before (uint32)
 * clang-format on
 * SIZES are five int32.
 * All numbers as this machine has them: the file doesn't travel. */
#include "cdc/delivery/chunk_log.h"

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define TEXT_MAX 1024                 /* of topics and transactions */
#define RECORD_MAX (64 * 1024 * 1024) /* above kafka.message.max.bytes */

struct sizes {
	int32_t topic, key, value, partition, is_end;
};

struct chunk_log {
	FILE *file;
	char *path, *unfinished; /* unfinished: NULL when it has its name */
	uLong sum;
	int64_t count, seq;
	/* Of the record that was read last; text: its topic, or the transaction */
	struct buf text, key, value;
};

static int failed(const struct chunk_log *log, struct err *e)
{
	err_retry(e, "%s: %s", log->path, strerror(errno));
	return err_hint(e, "A chunk of a copy is kept in millrace.state until it is delivered "
			   "(capture.delivery = at-least-once): make room there.");
}

static void to_begin(struct chunk_log *log)
{
	rewind(log->file);
	log->sum = 0;
}

static struct chunk_log *make(const struct settings *settings)
{
	struct chunk_log *log = xcalloc(1, sizeof(*log));

	log->path = xasprintf("%s/%s.chunk", settings->state_dir, settings->name);
	return log;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int put(struct chunk_log *log, const void *bytes, size_t size, struct err *e)
{
	if (size > 0 && fwrite(bytes, size, 1, log->file) != 1)
		return failed(log, e);
	log->sum = crc32_z(log->sum, bytes, size);
	return 0;
}

int chunk_log_new(const struct settings *settings, struct chunk_log **ret_log, struct err *e)
{
	struct chunk_log *log = make(settings);

	log->unfinished = xasprintf("%s.new", log->path);
	if ((mkdir(settings->state_dir, 0755) < 0 && errno != EEXIST) ||
	    (log->file = fopen(log->unfinished, "w+e")) == NULL) {
		(void)failed(log, e);
		chunk_log_free(log);
		return -1;
	}
	*ret_log = log;
	return 0;
}

int chunk_log_add(struct chunk_log *log, const struct chunk_record *r, struct err *e)
{
	bool keyed = r->key.data != NULL;
	struct sizes sizes = { (int32_t)strlen(r->topic), keyed ? (int32_t)r->key.size : -1,
			       (int32_t)r->value.size, r->partition, 0 };

	if (put(log, &sizes, sizeof(sizes), e) < 0 ||
	    put(log, r->topic, (size_t)sizes.topic, e) < 0 ||
	    (keyed && put(log, r->key.data, r->key.size, e) < 0) ||
	    put(log, r->value.data, r->value.size, e) < 0)
		return -1;
	log->count++;
	return 0;
}

int64_t chunk_log_count(const struct chunk_log *log)
{
	return log->count;
}

int chunk_log_end(struct chunk_log *log, const char *transaction, int64_t seq, struct err *e)
{
	struct sizes sizes = { (int32_t)strlen(transaction), 0, 0, 0, 1 };
	uint32_t sum;

	if (put(log, &sizes, sizeof(sizes), e) < 0 ||
	    put(log, transaction, (size_t)sizes.topic, e) < 0 || put(log, &seq, sizeof(seq), e) < 0)
		return -1;
	sum = (uint32_t)log->sum;
	if (put(log, &sum, sizeof(sum), e) < 0)
		return -1;
	if (fflush(log->file) != 0 || fdatasync(fileno(log->file)) < 0 ||
	    rename(log->unfinished, log->path) < 0)
		return failed(log, e);
	free(log->unfinished);
	log->unfinished = NULL;
	to_begin(log);
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* 1, or 0: the file ends here, or cannot be read. */
static int get(struct chunk_log *log, struct buf *b, int32_t size, int32_t max)
{
	buf_reset(b);
	if (size < 0 || size > max)
		return 0;
	buf_reserve(b, (size_t)size + 1);
	if (size > 0 && fread(b->data, (size_t)size, 1, log->file) != 1)
		return 0;
	b->size = (size_t)size;
	log->sum = crc32_z(log->sum, b->data, b->size);
	(void)buf_cstr(b);
	return 1;
}

/* 1: a record; 0: the end, and the sum is right; -1: damaged. */
static int read_one(struct chunk_log *log, struct sizes *sizes)
{
	struct buf end = BUF_INIT;
	uint32_t sum, said;
	int rc = -1;

	if (fread(sizes, sizeof(*sizes), 1, log->file) != 1)
		return -1;
	log->sum = crc32_z(log->sum, (const Bytef *)sizes, sizeof(*sizes));
	if (!get(log, &log->text, sizes->topic, TEXT_MAX))
		return -1;
	if (!sizes->is_end)
		return (sizes->key < 0 || get(log, &log->key, sizes->key, RECORD_MAX)) &&
				       get(log, &log->value, sizes->value, RECORD_MAX)
			       ? 1
			       : -1;
	if (get(log, &end, sizeof(log->seq), sizeof(log->seq))) {
		memcpy(&log->seq, end.data, sizeof(log->seq));
		sum = (uint32_t)log->sum;
		if (fread(&said, sizeof(said), 1, log->file) == 1 && said == sum)
			rc = 0;
	}
	buf_done(&end);
	return rc;
}

int chunk_log_open(const struct settings *settings, struct chunk_log **ret_log, struct err *e)
{
	struct chunk_log *log = make(settings);
	struct sizes sizes;
	int rc;

	*ret_log = NULL;
	log->file = fopen(log->path, "re");
	if (log->file == NULL) {
		rc = errno == ENOENT ? 0 : failed(log, e);
		chunk_log_free(log);
		return rc;
	}
	while ((rc = read_one(log, &sizes)) > 0)
		log->count++;
	if (rc < 0) {
		log_warning("capture", "%s is damaged: it is not used", log->path);
		chunk_log_free(log);
		return 0;
	}
	to_begin(log);
	*ret_log = log;
	return 0;
}

bool chunk_log_is_of(const struct chunk_log *log, const char *transaction, int64_t seq)
{
	return log->seq == seq && slice_is(buf_slice(&log->text), transaction);
}

int chunk_log_next(struct chunk_log *log, struct chunk_record *ret_record, struct err *e)
{
	struct sizes sizes;
	int rc = read_one(log, &sizes);

	if (rc < 0)
		return err_retry(e, "%s cannot be read again", log->path);
	if (rc > 0)
		*ret_record = (struct chunk_record){
			.topic = buf_cstr(&log->text),
			.partition = sizes.partition,
			.key = sizes.key < 0 ? slice_of(NULL, 0) : buf_slice(&log->key),
			.value = buf_slice(&log->value),
		};
	return rc;
}

void chunk_log_free(struct chunk_log *log)
{
	if (log == NULL)
		return;
	if (log->file != NULL)
		(void)fclose(log->file);
	if (log->unfinished != NULL)
		(void)unlink(log->unfinished);
	free(log->unfinished);
	free(log->path);
	buf_done(&log->text);
	buf_done(&log->key);
	buf_done(&log->value);
	free(log);
}
