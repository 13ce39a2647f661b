/* source_head.h - how far the source itself has come, asked on a connection of its own.
 *
 * Not thread-safe: one thread asks. A server that doesn't answer leaves the head unknown; the next
 * call connects anew. */
#ifndef CDC_CAPTURE_SOURCE_HEAD_H
#define CDC_CAPTURE_SOURCE_HEAD_H

#include "core/base/gtid.h"
#include "core/base/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

struct source_head {
	bool known;               /* else nothing below holds */
	struct gtid_set gtid_set; /* of the source's last transaction */
	int64_t behind;           /* bytes in its binlog files behind the place that was given */
	int64_t now_us;           /* the source's clock */
	int64_t moved_us;         /* when, by that clock, gtid_set was first seen */

	const struct settings *settings;
	struct db *db;
	size_t server; /* of source.host, where db leads to */
};

/* Zeroed but for settings is a beginning. server: which of source.host; file and position: the
 * place that the bytes are counted from. */
void source_head_ask(struct source_head *h, size_t server, const char *file, uint64_t position);
void source_head_done(struct source_head *h);

#endif
