/* event.c - header, checksum, and the bodies of all events that are not rows, table maps or
 * queries.
 *
 * Every function promises: no read outside the given bytes, a result only when the whole body made
 * sense, else ERR_DATA that names the event. Bytes left over behind what we know are accepted only
 * where the format lets servers append fields (GTID, FORMAT_DESCRIPTION); everywhere else they are
 * an error.
 *
 * Common header, 19 bytes little-endian: timestamp 4, type 1, server id 4, event size 4, end
 * position 4, flags 2. */
#include "cdc/binlog/event.h"

#include "cdc/binlog/checksum.h"

#include <inttypes.h>

/* Offsets in a FORMAT_DESCRIPTION body: binlog version 2, server version 50, created 4, header
 * length 1, then one post-header length per event type from 1 on, checksum algorithm 1. */
#define FORMAT_FIXED_SIZE 57
/* Up to HEARTBEAT: a server that writes fewer is older than checksums. */
#define FORMAT_TYPES_MIN 27
#define XID_PART_MAX 64 /* gtrid and bqual, each (X/Open XA) */

static int bad(const struct event *ev, struct err *e, const char *what)
{
	return err_data(e, "%s event ending at position %" PRIu32 ": %s",
			event_type_name(ev->header.type), ev->header.log_pos, what);
}

int event_header_read(struct slice packet, struct event_header *ret_header, struct err *e)
{
	struct rd in = rd_from(packet);
	struct event_header h;

	h.timestamp = rd_u32(&in);
	h.type = rd_u8(&in);
	h.server_id = rd_u32(&in);
	h.size = rd_u32(&in);
	h.log_pos = rd_u32(&in);
	h.flags = rd_u16(&in);
	if (!rd_ok(&in))
		return err_data(e, "event of %zu bytes is shorter than its header", packet.size);
	if (h.size != packet.size)
		return err_data(e,
				"%s event ending at position %" PRIu32 ": its header says %" PRIu32
				" bytes, the packet has %zu",
				event_type_name(h.type), h.log_pos, h.size, packet.size);
	*ret_header = h;
	return 0;
}

/* The CRC covers header and body. In a file that is open or was not closed, FORMAT_DESCRIPTION
 * carries a flag that the CRC was computed without. */
static bool checksum_holds(struct slice packet)
{
	size_t size = packet.size - EVENT_CHECKSUM_SIZE;
	struct rd tail = rd_of(packet.data + size, EVENT_CHECKSUM_SIZE);
	uint8_t head[EVENT_HEADER_SIZE];
	uint32_t crc = 0;
	size_t at = 0;

	if (packet.data[4] == EVENT_FORMAT_DESCRIPTION) {
		memcpy(head, packet.data, sizeof(head));
		head[17] &= (uint8_t)~EVENT_FLAG_IN_USE;
		crc = checksum_crc32(0, head, sizeof(head));
		at = sizeof(head);
	}
	crc = checksum_crc32(crc, packet.data + at, size - at);
	return crc == rd_u32(&tail);
}

static bool has_checksum_room(struct slice packet)
{
	return packet.size >= EVENT_HEADER_SIZE + EVENT_CHECKSUM_SIZE;
}

/* FORMAT_DESCRIPTION says itself which algorithm it uses, in the byte before its checksum. It
 * always has room for one, and a server that writes none fills it all the same. */
static int format_checksum(struct slice packet, const struct event *ev, enum event_checksum *ret,
			   struct err *e)
{
	uint8_t algorithm;

	if (packet.size <
	    EVENT_HEADER_SIZE + FORMAT_FIXED_SIZE + FORMAT_TYPES_MIN + 1 + EVENT_CHECKSUM_SIZE)
		return bad(ev, e, "cut short");
	algorithm = packet.data[packet.size - EVENT_CHECKSUM_SIZE - 1];
	if (algorithm > 1)
		return bad(ev, e, "unknown checksum algorithm");
	*ret = algorithm == 1 ? EVENT_CHECKSUM_CRC32 : EVENT_CHECKSUM_NONE;
	return 0;
}

/* Which checksum this event carries. */
static int checksum_of(struct slice packet, const struct event_format *format,
		       const struct event *ev, enum event_checksum *ret, struct err *e)
{
	if (ev->header.type == EVENT_FORMAT_DESCRIPTION)
		return format_checksum(packet, ev, ret, e);
	if (format->checksum != EVENT_CHECKSUM_UNKNOWN) {
		*ret = format->checksum;
		return 0;
	}
	if (ev->header.type != EVENT_ROTATE)
		return bad(ev, e, "comes before any Format_description event");
	*ret = has_checksum_room(packet) && checksum_holds(packet) ? EVENT_CHECKSUM_CRC32
								   : EVENT_CHECKSUM_NONE;
	return 0;
}

int event_read(struct slice packet, const struct event_format *format, struct event *ret_event,
	       struct err *e)
{
	enum event_checksum checksum = EVENT_CHECKSUM_NONE;
	struct event ev;
	size_t tail;

	if (event_header_read(packet, &ev.header, e) < 0 ||
	    checksum_of(packet, format, &ev, &checksum, e) < 0)
		return -1;
	tail = checksum == EVENT_CHECKSUM_CRC32 || ev.header.type == EVENT_FORMAT_DESCRIPTION
		       ? EVENT_CHECKSUM_SIZE
		       : 0;
	if (tail > 0 && !has_checksum_room(packet))
		return bad(&ev, e, "no room for its checksum");
	if (checksum == EVENT_CHECKSUM_CRC32 && !checksum_holds(packet)) {
		bad(&ev, e,
		    "its CRC32 does not match: the bytes were damaged on disk or on the way");
		return err_hint(
			e,
			"Look at the file with mariadb-binlog --verify-binlog-checksum on the source.");
	}
	ev.body = slice_of(packet.data + EVENT_HEADER_SIZE, packet.size - EVENT_HEADER_SIZE - tail);
	*ret_event = ev;
	return 0;
}

int event_format_read(const struct event *ev, struct event_format *ret_format, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct event_format f = EVENT_FORMAT_INIT;
	uint16_t version = rd_u16(&in);
	struct slice name = rd_bytes(&in, sizeof(f.server_version) - 1), lengths;
	uint8_t header_size, algorithm;

	f.created = rd_u32(&in);
	header_size = rd_u8(&in);
	if (!rd_ok(&in) || rd_left(&in) < FORMAT_TYPES_MIN + 1)
		return bad(ev, e, "cut short");
	lengths = rd_bytes(&in, rd_left(&in) - 1);
	algorithm = rd_u8(&in);
	if (version != 4 || header_size != EVENT_HEADER_SIZE)
		return bad(ev, e, "only binlog version 4 with headers of 19 bytes is supported");
	if (algorithm > 1)
		return bad(ev, e, "unknown checksum algorithm");
	memcpy(f.server_version, name.data, name.size);
	f.checksum = algorithm == 1 ? EVENT_CHECKSUM_CRC32 : EVENT_CHECKSUM_NONE;
	f.rows_header_size = lengths.data[EVENT_TABLE_MAP - 1];
	if (f.rows_header_size != 6 && f.rows_header_size != 8)
		return bad(ev, e, "table ids are neither 4 nor 6 bytes long");
	*ret_format = f;
	return 0;
}

/* position 8, file name: the rest. */
int event_rotate_read(const struct event *ev, struct event_rotate *ret_rotate, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct event_rotate r;

	r.position = rd_u64(&in);
	r.file = rd_rest(&in);
	if (!rd_ok(&in) || r.file.size == 0)
		return bad(ev, e, "cut short");
	*ret_rotate = r;
	return 0;
}

enum gtid_flag {
	GTID_STANDALONE = 1,
	GTID_GROUP_COMMIT_ID = 2,
	GTID_TRANSACTIONAL = 4,
	GTID_DDL = 32,
	GTID_PREPARED_XA = 64,
	GTID_COMPLETED_XA = 128,
};

/* sequence 8, domain 4, flags 1, [commit id 8], [XA: format 4, gtrid length 1, bqual length 1,
 * both], then zeros or fields of newer servers (threads, ALTER in two phases) that say nothing
 * about rows. The server is the header's. */
int event_gtid_read(const struct event *ev, struct event_gtid *ret_gtid, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct event_gtid g = { 0 };
	uint8_t flags;

	g.gtid.seq = rd_u64(&in);
	g.gtid.domain = rd_u32(&in);
	g.gtid.server = ev->header.server_id;
	flags = rd_u8(&in);
	g.standalone = (flags & GTID_STANDALONE) != 0;
	g.ddl = (flags & GTID_DDL) != 0;
	g.transactional = (flags & GTID_TRANSACTIONAL) != 0;
	g.xa_prepared = (flags & GTID_PREPARED_XA) != 0;
	g.xa_completed = (flags & GTID_COMPLETED_XA) != 0;
	g.has_commit_id = (flags & GTID_GROUP_COMMIT_ID) != 0;
	if (g.has_commit_id)
		g.commit_id = rd_u64(&in);
	if (g.xa_prepared || g.xa_completed) {
		uint8_t gtrid, bqual;

		g.xid_format = rd_u32(&in);
		gtrid = rd_u8(&in);
		bqual = rd_u8(&in);
		if (gtrid > XID_PART_MAX || bqual > XID_PART_MAX)
			return bad(ev, e, "XA id too long");
		g.xid_gtrid = rd_bytes(&in, gtrid);
		g.xid_bqual = rd_bytes(&in, bqual);
	}
	if (!rd_ok(&in))
		return bad(ev, e, "cut short");
	*ret_gtid = g;
	return 0;
}

/* count 4 (its top four bits are flags), then per GTID: domain 4, server 4, sequence 8. A domain
 * may come several times, once per server; the last one is the domain's last GTID. */
int event_gtid_list_read(const struct event *ev, struct gtid_set *set, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct gtid_set fresh = GTID_SET_INIT;
	uint32_t count = rd_u32(&in) & 0x0fffffff;

	if (!rd_ok(&in) || rd_left(&in) / 16 < count)
		return bad(ev, e, "cut short");
	for (uint32_t i = 0; i < count; i++) {
		struct gtid g;

		g.domain = rd_u32(&in);
		g.server = rd_u32(&in);
		g.seq = rd_u64(&in);
		if (gtid_set_update(&fresh, &g, e) < 0) {
			gtid_set_done(&fresh);
			return err_wrap(e, "%s event", event_type_name(ev->header.type));
		}
	}
	gtid_set_done(set);
	*set = fresh;
	return 0;
}

int event_xid_read(const struct event *ev, uint64_t *ret_xid, struct err *e)
{
	struct rd in = rd_from(ev->body);
	uint64_t xid = rd_u64(&in);

	if (!rd_end(&in))
		return bad(ev, e, "not 8 bytes long");
	*ret_xid = xid;
	return 0;
}

/* one-phase 1, format 4, gtrid length 4, bqual length 4, both. */
int event_xa_prepare_read(const struct event *ev, struct event_xa_prepare *ret_xa, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct event_xa_prepare xa;
	uint32_t gtrid, bqual;

	xa.one_phase = rd_u8(&in) != 0;
	xa.format = rd_u32(&in);
	gtrid = rd_u32(&in);
	bqual = rd_u32(&in);
	if (gtrid > XID_PART_MAX || bqual > XID_PART_MAX)
		return bad(ev, e, "XA id too long");
	xa.gtrid = rd_bytes(&in, gtrid);
	xa.bqual = rd_bytes(&in, bqual);
	if (!rd_end(&in))
		return bad(ev, e, "its length is wrong");
	*ret_xa = xa;
	return 0;
}

/* number 2, message length 1, message. */
int event_incident_read(const struct event *ev, struct event_incident *ret_incident, struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct event_incident incident;

	incident.number = rd_u16(&in);
	incident.message = rd_bytes(&in, rd_u8(&in));
	if (!rd_end(&in))
		return bad(ev, e, "its length is wrong");
	*ret_incident = incident;
	return 0;
}

struct slice event_annotate_text(const struct event *ev)
{
	return ev->body;
}

/* file name length 4, file name. */
int event_checkpoint_read(const struct event *ev, struct slice *ret_file, struct err *e)
{
	struct rd in = rd_from(ev->body);
	uint32_t size = rd_u32(&in);
	struct slice file = rd_bytes(&in, size);

	if (!rd_end(&in))
		return bad(ev, e, "its length is wrong");
	*ret_file = file;
	return 0;
}
