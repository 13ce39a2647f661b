/* script_run.c - a capture of one table, `golden.a`, from a script: its history, its settings, one
 * life of it, and what must hold of the brokers afterwards. See script.h. */
#include "test/script/script.h"

#include "cdc/binlog/event.h"
#include "cdc/capture/session.h"
#include "core/avro/records.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/stop.h"
#include "test/lib/folder.h"
#include "test/script/script_fault.h"

#include <check.h>

#define BIG_ROWS SCRIPT_BIG_ROWS
#define FILLER (400 * 1024)
#define FLAGS 10

static const struct script_answer answers[] = {
	{ "@@GLOBAL.log_bin", "1\t\n" },
	{ "@@GLOBAL.binlog_format", "ROW\t\n" },
	{ "@@GLOBAL.binlog_row_image", "FULL\t\n" },
	{ "'binlog_row_metadata'", "binlog_row_metadata\tFULL\t\n" },
	{ "@@GLOBAL.gtid_strict_mode", "1\t\n" },
	{ "@@GLOBAL.binlog_checksum", "CRC32\t\n" },
	{ "@@GLOBAL.server_id", "1\t\n" },
	{ "@@GLOBAL.log_slave_updates THEN", "logs\t\n" },
	{ "SHOW GRANTS", "GRANT SELECT, REPLICATION SLAVE ON *.* TO `m`@`%`\t\n" },
	{ "FROM information_schema.TABLES", "golden\ta\tBASE TABLE\tInnoDB\t5\t\n" },
	{ "SHOW CREATE TABLE", "a\tCREATE TABLE a\t\n" },
	{ "FULL_COLLATION_NAME'", "1\t\n" },
	{ "SELECT c.COLUMN_NAME", "id\tint\tint(11)\tNO\t\\N\t10\t0\t\\N\t\t\\N\t\\N\t\n"
				  "n\tint\tint(11)\tYES\t\\N\t10\t0\t\\N\t\t\\N\t\\N\t\n" },
	{ "information_schema.STATISTICS", "id\t\n" },
	{ "DATA_TYPE IN (", "" },
	{ "@@GLOBAL.gtid_binlog_state", "0-1-1000000\t\n" },
	{ "@@GLOBAL.gtid_binlog_pos", "\\N\t\n" },
	{ "UNIX_TIMESTAMP(NOW(6))", "1700000000000000\t\n" },
	{ "SHOW BINARY LOGS", "" },
	{ "SHOW MASTER STATUS", "binlog.000001\t4\t\n" },
	{ "XA RECOVER", "" },
};

const char *script_delivery = "exactly-once", *script_bootstrap = "none:1";
struct settings_flag script_more[SCRIPT_MORE];

static struct script_binlog binlog;
static struct settings *settings;
static struct report *report;
char script_doing[200] = "a run without a fault";
static const char *folder;
static struct records_reader *reader;
static char final_gtid[32];

/* ---- the history ----------------------------------------------------------------------------- */

static void transaction(uint64_t sequence, uint8_t type, int32_t id, int32_t rows, int32_t before,
			int32_t number)
{
	script_gtid(&binlog, sequence, 4);
	script_rows(&binlog, type, id, rows, before, number);
	script_xid(&binlog);
}

/* Larger than the ring, so it is read twice; long enough for a look at the clock inside it, which
 * cuts it in two. A part of it is taken back. */
static void big_transaction(uint64_t sequence)
{
	uint8_t *filler = xcalloc(1, FILLER);

	script_gtid(&binlog, sequence, 4);
	for (int i = 0; i < 5; i++) {
		script_rows(&binlog, EVENT_WRITE_ROWS_V1, 1000 + i * BIG_ROWS / 5, BIG_ROWS / 5, 0,
			    i);
		script_event(&binlog, EVENT_ANNOTATE_ROWS, filler, FILLER);
	}
	script_query(&binlog, "SAVEPOINT s");
	script_rows(&binlog, EVENT_WRITE_ROWS_V1, 90000, 10, 0, 7);
	script_event(&binlog, EVENT_ANNOTATE_ROWS, filler, FILLER);
	script_query(&binlog, "ROLLBACK TO s");
	script_xid(&binlog);
	free(filler);
}

static uint64_t write_history(bool big)
{
	uint64_t g = 0;

	script_binlog_init(&binlog, "test/golden/transactions.binlog", "a");
	for (int i = 0; i < 4; i++)
		transaction(++g, EVENT_WRITE_ROWS_V1, 10 * i, 4, 0, i);
	script_gtid(&binlog, ++g, 4);
	script_rows(&binlog, EVENT_UPDATE_ROWS_V1, 0, 4, 0, 50);
	script_query(&binlog, "SAVEPOINT one");
	script_rows(&binlog, EVENT_DELETE_ROWS_V1, 0, 4, 0, 50);
	script_query(&binlog, "ROLLBACK TO one");
	script_rows(&binlog, EVENT_DELETE_ROWS_V1, 1, 2, 0, 50);
	script_xid(&binlog);
	script_gtid(&binlog, ++g, 4);
	script_rows(&binlog, EVENT_WRITE_ROWS_V1, 500, 3, 0, 1);
	script_query(&binlog, "ROLLBACK");
	if (big)
		big_transaction(++g);
	for (int i = 0; i < 4; i++)
		transaction(++g, EVENT_UPDATE_ROWS_V1, 10, 4, 1 + 100 * i * (i > 0),
			    1 + 100 * (i + 1));
	transaction(++g, EVENT_DELETE_ROWS_V1, 30, 4, 0, 3);
	return g;
}

/* ---- what the brokers hold --------------------------------------------------------------------
 */

bool script_is_final(void)
{
	size_t count;
	const struct script_record *records = script_committed("sweep.position", 0, &count);
	struct position_record p;
	struct err e = ERR_INIT;
	bool is;

	/* the last record of the capture's own key: the others are parts of it */
	while (count > 0 && !slice_is(records[count - 1].key, "sweep"))
		count--;
	if (count == 0)
		return false;
	ck_assert_msg(records_read_position(reader, records[count - 1].value, &p, &e) == 0,
		      "%s: %s", script_doing, e.msg);
	is = strcmp(p.gtid_set, final_gtid) == 0;
	records_done_position(&p);
	return is;
}

static void committed(void)
{
	if (script_is_final())
		stop_request();
}

static bool is_data(const char *topic)
{
	return strcmp(topic, "sweep.commits") != 0 && strcmp(topic, "sweep.position") != 0 &&
	       strcmp(topic, "sweep.status") != 0 && topic[0] != '_';
}

/* Every committed record of the data topics, byte for byte. */
void script_take_data(struct buf *out)
{
	const char *topic;
	int32_t partitions = 0;

	for (size_t t = 0; (topic = script_topic(t, &partitions)) != NULL; t++)
		for (int32_t p = 0; is_data(topic) && p < partitions; p++) {
			size_t count;
			const struct script_record *r = script_committed(topic, p, &count);

			for (size_t i = 0; i < count; i++) {
				buf_add_format(out, "\n%s %d ", topic, p);
				buf_add_slice(out, r[i].key);
				buf_add_slice(out, r[i].value);
			}
		}
}

static size_t count_of(const char *topic, int32_t partition)
{
	size_t count;

	(void)script_committed(topic, partition, &count);
	return count;
}

/* The commit records follow each other and count what is there. */
int64_t script_check_commits(void)
{
	size_t count;
	int64_t end = 0, records = 0, there = 0;
	const struct script_record *shown = script_committed("sweep.commits", 0, &count), *r;
	const char *topic;
	int32_t partitions = 0;

	r = xcalloc(count + 1, sizeof(*r));
	memcpy((void *)(uintptr_t)r, shown, count * sizeof(*r));
	for (size_t i = 0; i < count; i++) {
		struct commit_record c;
		struct err e = ERR_INIT;
		int64_t changes = 0;

		ck_assert_msg(records_read_commit(reader, r[i].value, &c, &e) == 0, "%s: %s",
			      script_doing, e.msg);
		ck_assert_msg(c.first_seq == end + 1,
			      "%s: commit %zu begins with seq %lld behind %lld", script_doing, i,
			      (long long)c.first_seq, (long long)end);
		for (size_t t = 0; t < c.transaction_count; t++)
			changes += c.transactions[t].changes;
		ck_assert_msg(changes == c.seq - end, "%s: commit %zu", script_doing, i);
		for (size_t p = 0; p < c.partition_count; p++)
			records += c.partitions[p].records;
		end = c.seq;
		records_done_commit(&c);
	}
	free((void *)(uintptr_t)r);
	for (size_t t = 0; (topic = script_topic(t, &partitions)) != NULL; t++)
		for (int32_t p = 0; is_data(topic) && p < partitions; p++)
			there += (int64_t)count_of(topic, p);
	ck_assert_msg(records == there, "%s: commits say %lld records, %lld are there",
		      script_doing, (long long)records, (long long)there);
	return end;
}

/* ---- a life ---- */

/* One life of the capture. 0: it came to the end. */
int script_live(struct err *e)
{
	struct session *session = NULL;
	int rc;

	script_stop_take_back();
	rc = session_open(&(struct session_options){ .settings = settings, .report = report },
			  &session, e);
	if (rc == 0 && !script_is_final())
		rc = session_run(session, e);
	session_close(session);
	return rc;
}

struct script_binlog *script_run_setup(bool big)
{
	struct err e = ERR_INIT;
	struct settings_flag flags[FLAGS + SCRIPT_MORE] = {
		{ "millrace.name", "sweep" },
		{ "millrace.state", NULL },
		{ "capture.delivery", script_delivery },
		{ "capture.tables", "golden.a" },
		{ "capture.memory", "8MB" },
		{ "source.start", "earliest" },
		{ "kafka.partitions", "2" },
		{ "kafka.bootstrap", script_bootstrap },
		{ "source.user", "m" },
		{ "kafka.transaction.timeout.ms", "0" }, /* cut as soon as it can be */
	};
	size_t count = FLAGS;

	script_fault_reset();
	folder = folder_new();
	flags[1].value = folder;
	for (size_t i = 0; i < SCRIPT_MORE && script_more[i].name != NULL; i++)
		flags[count++] = script_more[i];
	ck_assert_msg(settings_read(NULL, flags, count, &settings, &e) == 0, "%s", e.msg);
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	(void)snprintf(final_gtid, sizeof(final_gtid), "0-1-%llu",
		       (unsigned long long)write_history(big)); /* fits */
	script_source(&binlog, answers, sizeof(answers) / sizeof(answers[0]));
	script_on_commit(committed);
	reader = records_reader_new(NULL, NULL);
	ck_assert(report_new(settings, &report, &e) == 0);
	return &binlog;
}

void script_run_teardown(void)
{
	report_free(report);
	records_reader_free(reader);
	script_brokers_reset();
	script_binlog_done(&binlog);
	settings_free(settings);
	folder_remove(folder);
}
