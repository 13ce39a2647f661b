/* db_dump.c - the binlog as raw packets.
 *
 * The session announces itself as a MariaDB replica of the newest kind (capability 4: GTID events
 * are sent as they are), says where to begin, registers, and sends COM_BINLOG_DUMP. From then on
 * every packet is one event behind a zero byte. The library's own event reader is not used: it
 * refuses types it doesn't know. mysql_net_read_packet puts packets of 16 MB and more together.
 *
 * COM_REGISTER_SLAVE: server id 4; host, user, password, each length 1 and bytes; port 2; rank 4;
 * master id 4. COM_BINLOG_DUMP: position 4, flags 2, server id 4, file name to the end. */
#include "core/mysql/db_priv.h"

#include "core/base/buf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#define DUMP_NET_WRITE_TIMEOUT_S 3600 /* how long the source waits for us when we stop reading */
#define DUMP_FLAG_ANNOTATE 2          /* BINLOG_SEND_ANNOTATE_ROWS_EVENT */
#define DUMP_FIRST_OFFSET 4           /* behind the magic number of the file */
/* The library's packet_error, which it returns in an unsigned long. */
#define PACKET_FAILED ((unsigned)-1)

static void add_le(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_add_u8(b, (uint8_t)(v >> (8 * i)));
}

static int set_variables(struct db *db, const struct db_dump_options *options, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_format(
		&sql,
		"SET @mariadb_slave_capability = 4, @master_binlog_checksum = @@global.binlog_checksum,"
		" @master_heartbeat_period = %" PRId64 ", net_write_timeout = %d",
		options->heartbeat_ms * 1000000, DUMP_NET_WRITE_TIMEOUT_S);
	if (options->file == NULL) {
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

	add_le(&body, server_id, 4);
	add_le(&body, 8, 1);
	buf_add_str(&body, "millrace"); /* the name in SHOW SLAVE HOSTS */
	add_le(&body, 0, 1);
	add_le(&body, 0, 1);
	add_le(&body, 0, 2);
	add_le(&body, 0, 4);
	add_le(&body, 0, 4);
	rc = command(db, COM_REGISTER_SLAVE, &body, true, e);
	buf_done(&body);
	return rc;
}

static int send_dump(struct db *db, const struct db_dump_options *options, struct err *e)
{
	struct buf body = BUF_INIT;
	int rc;

	add_le(&body, options->file != NULL ? options->offset : DUMP_FIRST_OFFSET, 4);
	add_le(&body, options->annotate ? DUMP_FLAG_ANNOTATE : 0, 2);
	add_le(&body, options->server_id, 4);
	buf_add_str(&body, options->file != NULL ? options->file : "");
	rc = command(db, COM_BINLOG_DUMP, &body, false, e);
	buf_done(&body);
	return rc;
}

int db_dump(struct db *db, const struct db_dump_options *options, struct err *e)
{
	if (db->result_open)
		return err_fatal(e,
				 "a binlog stream on a connection whose last result is still open");
	if (set_variables(db, options, e) < 0 ||
	    (options->server_id != 0 && register_replica(db, options->server_id, e) < 0))
		return -1;
	return send_dump(db, options, e);
}

int db_dump_next(struct db *db, struct slice *ret_event, struct err *e)
{
	unsigned long size = mysql_net_read_packet(db->mysql);
	const uint8_t *packet = db->mysql->net.read_pos;

	if (size == PACKET_FAILED)
		return db_failed(db, "stream from", e);
	if (size > 0 && packet[0] == 0) {
		*ret_event = slice_of(packet + 1, size - 1);
		return 0;
	}
	if (size > 0 && size < 9 && packet[0] == 0xfe)
		return err_retry(
			e,
			"source %s ended the binlog stream (it shuts down, or another replica uses our server id)",
			db->where);
	return err_data(e, "source %s sent a packet of %lu bytes that is no event", db->where,
			size);
}

void db_interrupt(struct db *db)
{
	/* also wakes a blocked poll(); that the peer has already gone is fine */
	(void)shutdown(db->socket, SHUT_RDWR);
}
