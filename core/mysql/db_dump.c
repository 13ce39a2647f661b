/* db_dump.c - the binlog as raw packets.
 *
 * The session announces itself as a replica of the newest kind (on MariaDB capability 4: GTID
 * events are sent as they are), says where to begin, registers, and sends the dump command. From
 * then on every packet is one event behind a zero byte. The library's own event reader is not used:
 * it refuses types it doesn't know. mysql_net_read_packet puts packets of 16 MB and more together.
 *
 * Where to begin: on MariaDB a session variable; on MySQL the set is part of its own command; a
 * place goes the same way on both.
 *
 * COM_REGISTER_SLAVE: server id 4; host, user, password, each length 1 and bytes; port 2; rank 4;
 * master id 4. COM_BINLOG_DUMP: position 4, flags 2, server id 4, file name to the end.
 * COM_BINLOG_DUMP_GTID: flags 2, server id 4, file name's length 4 and bytes, position 8, length 4
 * and bytes of the packed set. */
#include "core/mysql/db_priv.h"

#include "core/base/buf.h"
#include "core/base/gtid.h"
#include "core/base/le.h"
#include "core/mysql/db_position.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#define DUMP_NET_WRITE_TIMEOUT_S 3600 /* how long the source waits for us when we stop reading */
#define DUMP_FLAG_NON_BLOCK 1         /* ends at the end of the binlog */
#define DUMP_FLAG_ANNOTATE 2          /* BINLOG_SEND_ANNOTATE_ROWS_EVENT of MariaDB */
#define DUMP_FLAG_THROUGH_GTID 4
#define DUMP_FIRST_OFFSET 4 /* behind the magic number of the file */
/* MySQL's number; the library, which is MariaDB's, has no name for it. */
#define DUMP_GTID_COMMAND ((enum enum_server_command)30)
/* The library's packet_error, which it returns in an unsigned long. */
#define PACKET_FAILED ((unsigned)-1)

/* Where to begin: what the options say, taken apart. */
struct start {
	struct gtid_set set;
	const char *file; /* NULL: by GTID */
	uint64_t offset;
};

static int find_start(struct db *db, const struct db_dump_options *options, struct start *s,
		      struct err *e)
{
	bool has = true;

	s->file = options->file;
	s->offset = options->offset;
	if (s->file == NULL) {
		if (gtid_set_parse(slice_str(options->gtid), &s->set, e) < 0)
			return -1;
		if (gtid_set_is_empty(&s->set) && db_has_gtids(db, &has, e) < 0)
			return -1;
		if (gtid_set_is_place(&s->set)) {
			s->file = s->set.file;
			s->offset = s->set.offset;
		} else if (!has) { /* the oldest there is */
			s->file = "";
			s->offset = DUMP_FIRST_OFFSET;
		}
	}
	if (s->offset <= UINT32_MAX)
		return 0;
	err_config(e,
		   "source %s cannot be asked for its binlog from %s:%" PRIu64
		   " on: it takes no offset beyond 4 GB",
		   db->where, s->file, s->offset);
	return err_hint(e,
			"A transaction made the file that large. FLUSH BINARY LOGS on the source; "
			"with gtid_mode = ON there is no such limit.");
}

static int set_variables(struct db *db, const struct db_dump_options *options,
			 const struct start *start, struct err *e)
{
	struct buf sql = BUF_INIT;
	int64_t heartbeat_ns = options->heartbeat_ms * 1000000;
	int rc;

	buf_add_format(&sql,
		       "SET @master_binlog_checksum = @@global.binlog_checksum,"
		       " @master_heartbeat_period = %" PRId64 ", net_write_timeout = %d",
		       heartbeat_ns, DUMP_NET_WRITE_TIMEOUT_S);
	if (db_is_mariadb(db))
		buf_add_str(&sql, ", @mariadb_slave_capability = 4");
	else
		buf_add_format(&sql,
			       ", @source_binlog_checksum = @@global.binlog_checksum,"
			       " @source_heartbeat_period = %" PRId64,
			       heartbeat_ns);
	if (db_is_mariadb(db) && start->file == NULL) {
		buf_add_str(
			&sql,
			", @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, @slave_connect_state = ");
		db_quote(slice_str(options->gtid), &sql);
	}
	rc = db_run(db, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

static int command(struct db *db, enum enum_server_command number, struct buf *body, bool answered,
		   struct err *e)
{
	int rc = db->mysql->methods->db_command(db->mysql, number, (const char *)body->data,
						body->size, (my_bool)!answered, NULL);

	return rc != 0 ? db_failed(db, "stream from", e) : 0;
}

static int register_replica(struct db *db, uint32_t server_id, struct err *e)
{
	struct buf body = BUF_INIT;
	int rc;

	le_add(&body, server_id, 4);
	le_add(&body, 8, 1);
	buf_add_str(&body, "millrace"); /* the name in SHOW SLAVE HOSTS */
	le_add(&body, 0, 1);
	le_add(&body, 0, 1);
	le_add(&body, 0, 2);
	le_add(&body, 0, 4);
	le_add(&body, 0, 4);
	rc = command(db, COM_REGISTER_SLAVE, &body, true, e);
	buf_done(&body);
	return rc;
}

static int send_dump(struct db *db, const struct db_dump_options *options,
		     const struct start *start, struct err *e)
{
	bool annotate = options->annotate && db_is_mariadb(db);
	struct buf body = BUF_INIT;
	int rc;

	le_add(&body, start->file != NULL ? start->offset : DUMP_FIRST_OFFSET, 4);
	le_add(&body, annotate ? DUMP_FLAG_ANNOTATE : 0, 2);
	le_add(&body, options->server_id, 4);
	buf_add_str(&body, start->file != NULL ? start->file : "");
	rc = command(db, COM_BINLOG_DUMP, &body, false, e);
	buf_done(&body);
	return rc;
}

static int send_dump_gtid(struct db *db, const struct db_dump_options *options,
			  const struct start *start, struct err *e)
{
	struct buf body = BUF_INIT, set = BUF_INIT;
	int rc;

	gtid_ranges_pack(&start->set.ranges, &set);
	le_add(&body, DUMP_FLAG_THROUGH_GTID | (options->server_id == 0 ? DUMP_FLAG_NON_BLOCK : 0),
	       2);
	le_add(&body, options->server_id, 4);
	le_add(&body, 0, 4); /* no file: the server looks for the one where the set begins */
	le_add(&body, DUMP_FIRST_OFFSET, 8);
	le_add(&body, set.size, 4); /* GTID_RANGES_MAX bounds it */
	buf_add_slice(&body, buf_slice(&set));
	rc = command(db, DUMP_GTID_COMMAND, &body, false, e);
	buf_done(&body);
	buf_done(&set);
	return rc;
}

int db_dump(struct db *db, const struct db_dump_options *options, struct err *e)
{
	struct start start = { .set = GTID_SET_INIT };
	int rc = -1;

	if (db->result_open)
		return err_fatal(e,
				 "a binlog stream on a connection whose last result is still open");
	if (find_start(db, options, &start, e) == 0 && set_variables(db, options, &start, e) == 0 &&
	    (options->server_id == 0 || register_replica(db, options->server_id, e) == 0))
		rc = start.file == NULL && !db_is_mariadb(db)
			     ? send_dump_gtid(db, options, &start, e)
			     : send_dump(db, options, &start, e);
	gtid_set_done(&start.set);
	return rc;
}

int db_dump_try_next(struct db *db, struct slice *ret_event, struct err *e)
{
	unsigned long size = mysql_net_read_packet(db->mysql);
	const uint8_t *packet = db->mysql->net.read_pos;

	if (size == PACKET_FAILED)
		return db_failed(db, "stream from", e);
	if (size > 0 && packet[0] == 0) {
		*ret_event = slice_of(packet + 1, size - 1);
		return 1;
	}
	if (size > 0 && size < 9 && packet[0] == 0xfe)
		return 0;
	return err_data(e, "source %s sent a packet of %lu bytes that is no event", db->where,
			size);
}

int db_dump_next(struct db *db, struct slice *ret_event, struct err *e)
{
	int rc = db_dump_try_next(db, ret_event, e);

	if (rc == 0)
		return err_retry(
			e,
			"source %s ended the binlog stream (it shuts down, or another replica uses our server id)",
			db->where);
	return rc < 0 ? -1 : 0;
}

void db_interrupt(struct db *db)
{
	/* also wakes a blocked poll(); that the peer has already gone is fine */
	(void)shutdown(db->socket, SHUT_RDWR);
}
