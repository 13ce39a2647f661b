/* source_head.c - two questions: the server's position with its clock, and its binlog files.
 */
#include "cdc/capture/source_head.h"

#include "core/base/slice.h"
#include "core/mysql/db.h"
#include "core/mysql/db_position.h"

#include <stdlib.h>
#include <string.h>

static int64_t to_number(struct slice text)
{
	char digits[24];

	if (text.data == NULL || text.size >= sizeof(digits))
		return 0;
	memcpy(digits, text.data, text.size);
	digits[text.size] = '\0';
	return strtoll(digits, NULL, 10);
}

static int ask_position(struct source_head *h, struct gtid_set *ret_set, int64_t *ret_now_us,
			struct err *e)
{
	char *now = NULL;

	if (db_get_text(h->db, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)", &now, e) <
	    0)
		return -1;
	*ret_now_us = now != NULL ? to_number(slice_str(now)) : 0;
	free(now);
	return db_position(h->db, ret_set, e);
}

/* Bytes behind file:position. */
static int ask_bytes(struct source_head *h, const char *file, uint64_t position, int64_t *ret_bytes,
		     struct err *e)
{
	struct db_result *result = NULL;
	const struct slice *row;
	bool seen = false;
	int64_t bytes = 0;
	int rc;

	if (db_query(h->db, "SHOW BINARY LOGS", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		int64_t size = to_number(row[1]);

		if (slice_is(row[0], file)) {
			seen = true;
			bytes = size > (int64_t)position ? size - (int64_t)position : 0;
		} else if (seen) {
			bytes += size;
		}
	}
	db_result_free(result);
	if (rc == 0)
		*ret_bytes = bytes;
	return rc;
}

static void disconnect(struct source_head *h)
{
	if (h->db != NULL)
		db_close(h->db);
	h->db = NULL;
	h->known = false;
}

static int connect_to(struct source_head *h, size_t server, struct err *e)
{
	struct settings one = *h->settings;

	if (h->db != NULL && h->server == server)
		return 0;
	disconnect(h);
	one.source_hosts.items = &h->settings->source_hosts.items[server];
	one.source_hosts.count = 1;
	h->server = server;
	return db_open(&one, DB_TEXT_UTF8, &h->db, e);
}

void source_head_ask(struct source_head *h, size_t server, const char *file, uint64_t position)
{
	struct gtid_set set = GTID_SET_INIT;
	struct err e = ERR_INIT;
	int64_t now_us = 0, behind = 0;

	if (connect_to(h, server, &e) < 0 || ask_position(h, &set, &now_us, &e) < 0 ||
	    ask_bytes(h, file, position, &behind, &e) < 0) {
		disconnect(h);
		goto out;
	}
	if (!h->known || !gtid_set_equal(&set, &h->gtid_set))
		h->moved_us = now_us;
	gtid_set_copy(&h->gtid_set, &set);
	h->now_us = now_us;
	h->behind = behind;
	h->known = true;
out:
	gtid_set_done(&set);
}

void source_head_done(struct source_head *h)
{
	disconnect(h);
	gtid_set_done(&h->gtid_set);
}
