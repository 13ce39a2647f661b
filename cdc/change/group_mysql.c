/* group_mysql.c - what MySQL writes in its own way: how a group is called, and XA.
 *
 * A group begins with a Gtid event, tagged or not, or with Anonymous_gtid; MySQL 5.6 without GTIDs
 * writes none at all, and a group begins with its first QUERY. Whether a single statement is all of
 * it, MySQL doesn't say: it is, unless BEGIN or XA START stands before it.
 *
 * By place, a group is called by where it ends in the binlog files of its server, whether it has a
 * GTID or not, so that the server may be switched from one to the other while we read. By GTID, one
 * that has none is refused: no position could hold it. */
#include "cdc/change/group_priv.h"
#include "core/base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XID_PART_MAX 64 /* bytes of gtrid and of bqual (X/Open XA) */

void group_name_place(struct group *g, uint64_t offset)
{
	(void)snprintf(g->info.gtid_text, sizeof(g->info.gtid_text), "%s:%" PRIu64, g->file,
		       offset); /* fits: GTID_FILE_MAX */
}

static int begin_at_place(struct group *g, const struct event *ev, int64_t commit_us, struct err *e)
{
	uint64_t begin = g->file_position - ev->header.size;

	if (g->file[0] == '\0')
		return err_data(e,
				"%s event before any Rotate event: in which file it stands is "
				"not known",
				event_type_name(ev->header.type));
	if (g->pass == GROUP_AGAIN && begin != g->begin)
		return err_data(e,
				"the source sent a transaction from %s:%" PRIu64
				" on where it had sent %s, from %" PRIu64 " on, before",
				g->file, begin, g->info.gtid_text, g->begin);
	g->begin = begin;
	if (group_begin(g, "", commit_us, e) < 0)
		return -1;
	if (g->pass != GROUP_AGAIN)
		group_name_place(g, begin);
	return 0;
}

static int refuse_anonymous(const struct group *g, const struct event *ev, struct err *e)
{
	err_data(e,
		 "the transaction whose %s event ends at %s position %" PRIu32
		 " has no GTID, and our position is a set of GTIDs",
		 event_type_name(ev->header.type), g->file, ev->header.log_pos);
	return err_hint(e, "SET GLOBAL gtid_mode = ON on the source, where it was switched off. To "
			   "read it by file and offset, give millrace.name another value.");
}

int group_scan_mysql_gtid(struct group *g, const struct event *ev, struct err *e)
{
	struct event_mysql_gtid gtid;
	struct buf id = BUF_INIT;
	int64_t commit_us;
	int rc;

	if (event_mysql_gtid_read(ev, &gtid, e) < 0)
		return -1;
	commit_us = gtid.commit_us != 0 ? (int64_t)gtid.commit_us
					: (int64_t)ev->header.timestamp * 1000000;
	if (g->by_place) {
		rc = begin_at_place(g, ev, commit_us, e);
	} else if (gtid.anonymous) {
		rc = refuse_anonymous(g, ev, e);
	} else {
		gtid_range_id(&gtid.id, &id);
		rc = group_begin(g, buf_cstr(&id), commit_us, e);
		buf_done(&id);
	}
	if (rc < 0)
		return -1;
	g->mysql = true;
	g->mysql_id = gtid.id;
	return 0;
}

int group_begin_bare(struct group *g, const struct event *ev, struct err *e)
{
	if (!g->by_place || g->in_payload ||
	    (ev->header.type != EVENT_QUERY && ev->header.type != EVENT_EXECUTE_LOAD_QUERY))
		return err_data(e,
				"%s event ending at %s position %" PRIu32
				" stands outside of any transaction",
				event_type_name(ev->header.type), g->file, ev->header.log_pos);
	if (begin_at_place(g, ev, (int64_t)ev->header.timestamp * 1000000, e) < 0)
		return -1;
	g->mysql = true;
	return 0;
}

/* ---- XA ------------------------------------------------------------------------------------- */

/* X'6162' from *at on, which moves behind it; its bytes into out. */
static bool read_hex(struct slice text, size_t *at, uint8_t *out, size_t *ret_size)
{
	size_t n = 0, i = *at;

	if (text.size - i < 2 || (text.data[i] | 0x20) != 'x' || text.data[i + 1] != '\'')
		return false;
	for (i += 2; i + 1 < text.size && text.data[i] != '\''; i += 2) {
		int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);

		if (high < 0 || low < 0 || n == XID_PART_MAX)
			return false;
		out[n++] = (uint8_t)(high << 4 | low);
	}
	if (i >= text.size || text.data[i] != '\'')
		return false;
	*at = i + 1;
	*ret_size = n;
	return true;
}

static bool read_comma(struct slice text, size_t *at)
{
	if (*at >= text.size || text.data[*at] != ',')
		return false;
	(*at)++;
	return true;
}

static bool read_format(struct slice text, size_t at, uint32_t *ret_format)
{
	uint64_t v = 0;
	size_t from = at;

	for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
		v = v * 10 + (uint64_t)(text.data[at] - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*ret_format = (uint32_t)v;
	return at > from;
}

int group_mysql_xid(struct group *g, struct slice text, struct err *e)
{
	const uint8_t *quote = memchr(text.data, '\'', text.size);
	size_t at = quote != NULL && quote > text.data ? (size_t)(quote - text.data) - 1
						       : text.size;
	uint8_t gtrid[XID_PART_MAX], bqual[XID_PART_MAX];
	size_t gtrid_size, bqual_size;
	uint32_t format;

	if (!read_hex(text, &at, gtrid, &gtrid_size) || !read_comma(text, &at) ||
	    !read_hex(text, &at, bqual, &bqual_size) || !read_comma(text, &at) ||
	    !read_format(text, at, &format))
		return err_data(e, "transaction %s: '%.*s' does not say which XA transaction ends",
				g->info.gtid_text, (int)(text.size < 200 ? text.size : 200),
				(const char *)text.data);
	group_name_xid(g, format, slice_of(gtrid, gtrid_size), slice_of(bqual, bqual_size));
	return 0;
}
