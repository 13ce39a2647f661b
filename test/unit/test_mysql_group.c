/* test_mysql_group.c - MySQL's transactions, from an independent writer: how each kind begins, ends
 * and is called; payloads against the same events uncompressed; all of it read in one pass and in
 * two. */
#include "cdc/change/group.h"
#include "core/base/mem.h"
#include "test/lib/mysql_writer.h"
#include "test/unit/unit.h"

#include <string.h>

#define UUID "3e11fa47-71ca-11e1-9e33-c80aa9429562"

struct fixture {
	struct settings *settings;
	struct catalog *catalog;
	struct group *group;
	struct writer w;
	bool by_place;
	size_t head;    /* of `w`: what stands in no file */
	struct buf out; /* what was delivered */
	struct gtid_set set;
	struct err e;
};

static struct settings *capture(const char *tables)
{
	struct settings_flag flags[] = { { "millrace.name", "test" },
					 { "capture.tables", tables } };
	struct settings *settings = NULL;
	struct err e = ERR_INIT;

	ck_assert_msg(settings_read(NULL, flags, 2, &settings, &e) == 0, "%s", e.msg);
	return settings;
}

static struct slice packet_at(const struct fixture *f, size_t *at)
{
	const uint8_t *p = f->w.out.data + *at;
	size_t size = (size_t)p[9] | (size_t)p[10] << 8 | (size_t)p[11] << 16 | (size_t)p[12] << 24;

	*at += size;
	return slice_of(p, size);
}

static struct fixture make(const char *tables, bool checksums)
{
	struct fixture f = { .settings = capture(tables) };

	f.catalog = catalog_new(f.settings);
	f.group = group_new(f.settings, f.catalog);
	writer_begin(&f.w, "binlog.000003", 4, checksums);
	(void)packet_at(&f, &f.head); /* ROTATE */
	return f;
}

static void done(struct fixture *f)
{
	group_free(f->group);
	catalog_free(f->catalog);
	settings_free(f->settings);
	writer_done(&f->w);
	buf_done(&f->out);
	gtid_set_done(&f->set);
}

static struct gtid_range id_of(uint64_t number, const char *tag)
{
	struct gtid_ranges s = { NULL, 0, 0 };
	struct gtid_range id;
	struct err e = ERR_INIT;

	ck_assert_int_eq(gtid_ranges_parse(slice_str(UUID ":1"), &s, &e), 0);
	id = s.items[0];
	id.first = id.last = number;
	ck_assert(gtid_tag_read(slice_str(tag), id.tag));
	gtid_ranges_done(&s);
	return id;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void print_cells(const struct cell *cells, struct buf *out)
{
	for (int i = 0; cells != NULL && i < 2; i++) {
		const uint8_t *p = cells[i].data;

		if (cells[i].state != CELL_VALUE || cells[i].size != 4) { /* damaged */
			buf_add_str(out, "?");
			continue;
		}
		buf_add_format(out, "%s%d", i == 0 ? " (" : ",",
			       (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 |
					 (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24));
	}
	buf_add_str(out, cells != NULL ? ")" : "");
}

static int take_rows(struct fixture *f)
{
	static const char *const kinds[] = { "empties", "rewrites", "creates", "keeps" };
	struct group_row row;
	int rc;

	while ((rc = group_next(f->group, &row, &f->e)) > 0) {
		const struct change *c = &row.change;

		if (rc == GROUP_GIVES_EFFECT) {
			buf_add_format(&f->out, " %s %s.%s", kinds[row.effect.kind], row.effect.db,
				       row.effect.table);
			continue;
		}
		ck_assert_str_eq(c->transaction, group_info(f->group)->gtid_text);
		buf_add_format(&f->out, " %d%c %s", (int)c->order, (char)c->op, c->shape->table);
		print_cells(c->before, &f->out);
		print_cells(c->after, &f->out);
	}
	return rc;
}

static int end_group(struct fixture *f)
{
	static const char *const ends[] = { "", " prepared", " XA committed", " XA rolled back" };
	const struct group_info *info = group_info(f->group);

	buf_add_str(&f->out, ends[info->xa]);
	if (info->xid != NULL)
		buf_add_format(&f->out, " %s", info->xid);
	buf_add_str(&f->out, "\n");
	ck_assert(info->commit_us == 1700000000123456 || info->commit_us == 1700000000000000);
	if (group_add_to(f->group, &f->set, &f->e) < 0)
		return -1;
	ck_assert(gtid_set_has(&f->set, slice_str(info->gtid_text)));
	group_reset(f->group);
	return 0;
}

/* Each group in one pass, its packets kept. */
static int read_once(struct fixture *f)
{
	for (size_t at = 0; at < f->w.out.size;) {
		if (group_scan(f->group, packet_at(f, &at), &f->e) < 0)
			return -1;
		if (!group_complete(f->group))
			continue;
		buf_add_str(&f->out, group_info(f->group)->gtid_text);
		if (take_rows(f) < 0 || end_group(f) < 0)
			return -1;
	}
	return 0;
}

/* One packet from memory that is gone behind it. */
static int scan_lost(struct fixture *f, size_t *at, bool rows)
{
	struct slice packet = packet_at(f, at);
	uint8_t *copy = xmalloc(packet.size);
	int rc;

	memcpy(copy, packet.data, packet.size);
	rc = group_scan(f->group, slice_of(copy, packet.size), &f->e);
	if (rc == 0 && rows)
		rc = take_rows(f);
	if (rc == 0 && !rows && group_open(f->group))
		group_let_go(f->group);
	memset(copy, 0xee, packet.size);
	free(copy);
	return rc;
}

static int send_head(struct fixture *f, uint64_t position)
{
	struct fixture head = { .group = NULL };
	size_t at = 0;
	int rc = 0;

	writer_begin(&head.w, "binlog.000003", position, !f->w.bare);
	while (at < head.w.out.size && rc == 0)
		rc = group_scan(f->group, packet_at(&head, &at), &f->e);
	writer_done(&head.w);
	return rc;
}

static int read_twice(struct fixture *f)
{
	size_t at = 0, begin = 0;

	while (at < f->w.out.size) {
		bool was_open = group_open(f->group);
		size_t from = at;

		if (scan_lost(f, &at, false) < 0)
			return -1;
		if (!was_open)
			begin = from;
		if (!group_complete(f->group))
			continue;
		buf_add_str(&f->out, group_info(f->group)->gtid_text);
		if (group_info(f->group)->rows) {
			group_again(f->group);
			if (send_head(f, begin - f->head + 4) < 0)
				return -1;
			at = begin;
			while (!group_complete(f->group))
				if (scan_lost(f, &at, true) < 0)
					return -1;
		}
		if (end_group(f) < 0)
			return -1;
	}
	return 0;
}

/* The same events give the same, however they are read and whether they have checksums. */
static char *read_all(struct fixture *f)
{
	struct fixture twice = *f;
	bool by_place = f->by_place;

	ck_assert_msg(read_once(f) == 0, "%s", f->e.msg);
	twice.group = group_new(f->settings, f->catalog);
	twice.out = (struct buf)BUF_INIT;
	twice.set = (struct gtid_set)GTID_SET_INIT;
	group_by_place(twice.group, by_place);
	catalog_reset(f->catalog);
	ck_assert_msg(read_twice(&twice) == 0, "%s", twice.e.msg);
	ck_assert_str_eq(buf_cstr(&f->out), buf_cstr(&twice.out));
	ck_assert(gtid_set_equal(&f->set, &twice.set));
	group_free(twice.group);
	buf_done(&twice.out);
	gtid_set_done(&twice.set);
	return buf_cstr(&f->out);
}

/* ---- transactions --------------------------------------------------------------------------- */

static void rows(struct writer *w, uint64_t table_id, int32_t id)
{
	writer_table_map(w, table_id, "a");
	writer_row(w, EVENT_WRITE_ROWS, table_id, id, id, 0, 0);
	writer_row(w, EVENT_UPDATE_ROWS, table_id, id, id, id + 1, 9);
}

START_TEST(test_by_gtid)
{
	const uint64_t large = UINT64_C(0x123456789abc); /* a table id of six bytes */
	struct fixture f = make("t.a", true);
	struct gtid_range id = id_of(1, "");

	writer_gtid(&f.w, &id);
	writer_query(&f.w, "", "CREATE TABLE t.a (id INT PRIMARY KEY, v INT)");
	id = id_of(2, "tag");
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	rows(&f.w, large, 5);
	writer_xid(&f.w);
	id = id_of(3, "");
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	writer_event(&f.w, EVENT_ROWS_QUERY, EVENT_FLAG_IGNORABLE, slice_str("\4SQL"));
	rows(&f.w, 7, 8);
	writer_query(&f.w, "t", "COMMIT"); /* a table that knows no transactions */
	id = id_of(4, "");
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	writer_event(&f.w, EVENT_VIEW_CHANGE, 0, slice_str("members"));
	writer_query(&f.w, "t", "COMMIT");
	id = id_of(5, "");
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "TRUNCATE TABLE a");
	id = id_of(6, "");
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	writer_query(&f.w, "t", "INSERT INTO a VALUES (1, 2)");
	writer_xid(&f.w);
	ck_assert_str_eq(read_all(&f),
			 UUID ":1 creates t.a\n" UUID ":tag:2 1c a (5,5) 2u a (5,5) (5,6)\n" UUID
			      ":3 1c a (8,8) 2u a (8,8) (8,9)\n" UUID ":4\n" UUID
			      ":5 empties t.a\n" UUID ":6 rewrites t.a\n");
	ck_assert(gtid_set_is_mysql(&f.set));
	done(&f);
}
END_TEST

START_TEST(test_atomic_create_select)
{
	struct fixture f = make("t.a", true);
	struct gtid_range id = id_of(1, "");

	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	writer_query(&f.w, "t",
		     "CREATE TABLE `a` (\n `id` int NOT NULL,\n `v` int\n) START TRANSACTION");
	rows(&f.w, 7, 1);
	writer_xid(&f.w);
	ck_assert_str_eq(read_all(&f), UUID ":1 creates t.a 1c a (1,1) 2u a (1,1) (1,2)\n");
	done(&f);
}
END_TEST

START_TEST(test_savepoints)
{
	struct fixture f = make("t.a", true);
	struct gtid_range id = id_of(1, "");

	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	rows(&f.w, 7, 1);
	writer_query(&f.w, "t", "SAVEPOINT `one`");
	rows(&f.w, 7, 2);
	writer_query(&f.w, "t", "ROLLBACK TO `one`");
	rows(&f.w, 7, 3);
	writer_xid(&f.w);
	id = id_of(2, "");
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "t", "BEGIN");
	rows(&f.w, 7, 4);
	writer_query(&f.w, "t", "ROLLBACK");
	ck_assert_str_eq(read_all(&f), UUID ":1 1c a (1,1) 2u a (1,1) (1,2) 3c a (3,3) 4u a (3,3) "
					    "(3,4)\n" UUID ":2\n");
	done(&f);
}
END_TEST

static void xa(struct writer *w, uint64_t number, const char *text)
{
	struct gtid_range id = id_of(number, "");

	writer_gtid(w, &id);
	writer_query(w, "t", text);
}

START_TEST(test_xa)
{
	struct fixture f = make("t.a", true);

	xa(&f.w, 1, "XA START X'6731',X'6231',1");
	rows(&f.w, 7, 1);
	writer_query(&f.w, "t", "XA END X'6731',X'6231',1");
	writer_xa_prepare(&f.w, false, "g1", "b1");
	xa(&f.w, 2, "XA COMMIT X'6731',X'6231',1");
	xa(&f.w, 3, "XA START X'67',X'',1");
	rows(&f.w, 7, 2);
	writer_query(&f.w, "t", "XA END X'67',X'',1");
	writer_xa_prepare(&f.w, true, "g", "");
	xa(&f.w, 4, "XA ROLLBACK X'AbcD',X'',4294967295");
	ck_assert_str_eq(read_all(&f),
			 UUID ":1 1c a (1,1) 2u a (1,1) (1,2) prepared 1:6731:6231\n" UUID
			      ":2 XA committed 1:6731:6231\n" UUID
			      ":3 1c a (2,2) 2u a (2,2) (2,3) 1:67:\n" UUID
			      ":4 XA rolled back 4294967295:abcd:\n");
	done(&f);
}
END_TEST

START_TEST(test_xa_refused)
{
	static const char *const bad[] = {
		"XA COMMIT 'g1'",
		"XA COMMIT X'6731'",
		"XA COMMIT X'6731',X'',",
		"XA COMMIT X'673',X'',1",
		"XA COMMIT X'67',X'',x",
		"XA COMMIT X'67,X'',1",
		"XA COMMIT X'67',X'',99999999999",
		"XA ROLLBACK",
		"XA COMMIT '",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fixture f = make("t.a", true);

		xa(&f.w, 1, bad[i]);
		ck_assert_msg(read_once(&f) < 0, "%s", bad[i]);
		ck_assert_int_eq(f.e.kind, ERR_DATA);
		done(&f);
	}
}
END_TEST

/* ---- by place ------------------------------------------------------------------------------- */

/* MySQL 5.7 and later without GTIDs, and with them; and 5.6, which writes no GTID events. */
START_TEST(test_by_place)
{
	struct fixture f = make("t.a", true);
	struct gtid_range id = id_of(1, "");
	struct buf want = BUF_INIT;
	uint64_t ends[4];

	f.by_place = true;
	group_by_place(f.group, true);
	writer_gtid(&f.w, NULL);
	writer_query(&f.w, "", "BEGIN");
	rows(&f.w, 7, 1);
	writer_xid(&f.w);
	ends[0] = f.w.position;
	writer_gtid(&f.w, &id);
	writer_query(&f.w, "", "BEGIN");
	rows(&f.w, 7, 2);
	writer_xid(&f.w);
	ends[1] = f.w.position;
	writer_query(&f.w, "", "BEGIN");
	rows(&f.w, 7, 3);
	writer_xid(&f.w);
	ends[2] = f.w.position;
	writer_event(&f.w, EVENT_INTVAR, 0, slice_str("123456789"));
	writer_query(&f.w, "t", "DELETE FROM a");
	ends[3] = f.w.position;
	for (int i = 0; i < 3; i++)
		buf_add_format(&want,
			       "binlog.000003:%" PRIu64 " 1c a (%d,%d) 2u a (%d,%d) (%d,%d)\n",
			       ends[i], i + 1, i + 1, i + 1, i + 1, i + 1, i + 2);
	buf_add_format(&want, "binlog.000003:%" PRIu64 " rewrites t.a\n", ends[3]);
	ck_assert_str_eq(read_all(&f), buf_cstr(&want));
	ck_assert(gtid_set_is_place(&f.set));
	ck_assert_uint_eq(f.set.offset, ends[3]);
	buf_done(&want);
	done(&f);
}
END_TEST

START_TEST(test_anonymous_refused)
{
	struct fixture f = make("t.a", true), bare = make("t.a", true);

	writer_gtid(&f.w, NULL);
	ck_assert_int_lt(read_once(&f), 0);
	ck_assert_ptr_nonnull(strstr(f.e.msg, "HINT: SET GLOBAL gtid_mode = ON"));
	writer_query(&bare.w, "t", "BEGIN");
	ck_assert_int_lt(read_once(&bare), 0);
	ck_assert_ptr_nonnull(strstr(bare.e.msg, "outside of any transaction"));
	done(&f);
	done(&bare);
}
END_TEST

/* Headers count 32 bits; files may be longer, by one transaction. */
START_TEST(test_beyond_4_gb)
{
	struct fixture f = { .settings = capture("t.a"), .by_place = true };
	uint64_t end;

	f.catalog = catalog_new(f.settings);
	f.group = group_new(f.settings, f.catalog);
	writer_begin(&f.w, "binlog.000003", (UINT64_C(1) << 32) - 100, true);
	group_by_place(f.group, true);
	for (int i = 0; i < 2; i++) {
		writer_gtid(&f.w, NULL);
		writer_query(&f.w, "t", "BEGIN");
		rows(&f.w, 7, i);
		writer_xid(&f.w);
	}
	end = f.w.position;
	ck_assert_uint_gt(end, UINT64_C(1) << 32);
	ck_assert_msg(read_once(&f) == 0, "%s", f.e.msg);
	ck_assert_uint_eq(group_file_position(f.group), end);
	ck_assert_uint_eq(f.set.offset, end);
	done(&f);
}
END_TEST

/* ---- payloads ------------------------------------------------------------------------------- */

/* A random transaction, as it stands behind its GTID. */
static void random_transaction(struct writer *w, uint64_t seed)
{
	uint64_t before = unit_random_state;

	unit_random_state = seed;
	writer_query(w, "t", "BEGIN");
	for (uint64_t n = unit_random_below(12); n > 0; n--) {
		uint64_t table = unit_random_below(3);
		static const char *const names[] = { "a", "b", "other" };
		static const uint8_t types[] = { EVENT_WRITE_ROWS, EVENT_UPDATE_ROWS,
						 EVENT_DELETE_ROWS };

		switch (unit_random_below(6)) {
		case 0:
			writer_query(w, "t", "SAVEPOINT s");
			break;
		case 1:
			writer_query(w, "t", "SAVEPOINT s");
			writer_table_map(w, 10 + table, names[table]);
			writer_row(w, EVENT_WRITE_ROWS, 10 + table, 1, 2, 3, 0);
			writer_query(w, "t", "ROLLBACK TO s");
			break;
		case 2:
			writer_query(w, "t", "UPDATE b SET v = 1");
			break;
		default:
			writer_table_map(w, 10 + table, names[table]);
			for (uint64_t k = 1 + unit_random_below(4); k > 0; k--)
				writer_row(w, types[unit_random_below(3)], 10 + table,
					   (int32_t)unit_random_below(100), 5, 6,
					   (size_t)unit_random_below(4));
		}
	}
	if (unit_random_below(8) == 0)
		writer_query(w, "t", "ROLLBACK");
	else
		writer_xid(w);
	unit_random_state = before;
}

START_TEST(test_payload_is_its_events)
{
	unit_seed();
	for (int i = 0; i < 150; i++) {
		struct fixture plain = make("t.a, t.b", i % 2 == 0),
			       packed = make("t.a, t.b", true);

		for (uint64_t n = 1; n <= 4; n++) {
			struct gtid_range id = id_of(n, n == 3 ? "tag" : "");
			uint64_t seed = unit_random64();
			struct writer inner = { .bare = true };

			writer_gtid(&plain.w, &id);
			random_transaction(&plain.w, seed);
			writer_gtid(&packed.w, &id);
			random_transaction(&inner, seed);
			if (unit_random_below(4) == 0)
				random_transaction(&packed.w, seed);
			else
				writer_payload(&packed.w, buf_slice(&inner.out),
					       (int)unit_random_below(3));
			writer_done(&inner);
		}
		ck_assert_str_eq(read_all(&plain), read_all(&packed));
		done(&plain);
		done(&packed);
	}
}
END_TEST

START_TEST(test_payload_damaged)
{
	struct writer inner = { .bare = true };

	unit_seed();
	random_transaction(&inner, 4711);
	for (int i = 0; i < 3000; i++) {
		struct fixture f = make("t.a, t.b", false);
		struct gtid_range id = id_of(1, "");
		struct buf copy = BUF_INIT;

		buf_add_slice(&copy, buf_slice(&inner.out));
		copy.data[unit_random_below(copy.size)] ^= (uint8_t)(1 + unit_random_below(255));
		writer_gtid(&f.w, &id);
		writer_payload(&f.w, buf_slice(&copy), 0);
		if (read_once(&f) < 0)
			ck_assert_msg(f.e.kind == ERR_DATA, "%s", f.e.msg);
		done(&f);
		buf_done(&copy);
	}
	writer_done(&inner);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mysql_group");

	unit_test(s, test_by_gtid);
	unit_test(s, test_atomic_create_select);
	unit_test(s, test_savepoints);
	unit_test(s, test_xa);
	unit_test(s, test_xa_refused);
	unit_test(s, test_by_place);
	unit_test(s, test_anonymous_refused);
	unit_test(s, test_beyond_4_gb);
	unit_test_slow(s, test_payload_is_its_events, 60);
	unit_test_slow(s, test_payload_damaged, 60);
	return unit_run(s);
}
