/* test_group.c - raw events of a real server (test/golden) to row changes of whole transactions:
 * what is delivered and what is not; read in one pass and in two; what statements do to tables;
 * every way to damage the bytes. */
#include "cdc/change/cuts.h"
#include "cdc/change/group.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <string.h>
#include <zlib.h>

#define MAGIC_SIZE 4
#define FILE_MAX 65536

struct file {
	uint8_t bytes[FILE_MAX];
	size_t size;
};

static struct file read_file(const char *path)
{
	static struct file f;
	FILE *in = fopen(path, "rb");

	ck_assert_msg(in != NULL, "%s: run it at the top of the tree", path);
	f.size = fread(f.bytes, 1, sizeof(f.bytes), in);
	fclose(in);
	return f;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The event at *at, or an empty slice at the end. */
static struct slice next_event(const struct file *f, size_t *at)
{
	uint32_t size = *at + 19 <= f->size ? le32(f->bytes + *at + 9) : 0;
	struct slice s = slice_of(f->bytes + *at, size < f->size - *at ? size : f->size - *at);

	*at += s.size;
	return s;
}

static struct settings *capture(const char *tables)
{
	struct settings_flag flags[] = { { "millrace.name", "test" },
					 { "capture.tables", tables } };
	struct settings *settings = NULL;
	struct err e = ERR_INIT;

	ck_assert_msg(settings_read(NULL, flags, 2, &settings, &e) == 0, "%s", e.msg);
	return settings;
}

struct fixture {
	struct settings *settings;
	struct catalog *catalog;
	struct group *group;
	struct buf out; /* what was delivered */
	struct err e;
};

static void setup(struct fixture *f, const char *tables)
{
	*f = (struct fixture){ .settings = capture(tables) };
	f->catalog = catalog_new(f->settings);
	f->group = group_new(f->settings, f->catalog);
}

static void teardown(struct fixture *f)
{
	group_free(f->group);
	catalog_free(f->catalog);
	settings_free(f->settings);
	buf_done(&f->out);
}

static void print_cells(const struct shape *shape, const struct cell *cells, struct buf *out)
{
	for (uint16_t i = 0; cells != NULL && i < shape->column_count; i++) {
		const struct cell *c = &cells[i];

		buf_add_str(out, i == 0 ? " (" : ",");
		if (c->state != CELL_VALUE)
			buf_add_str(out, c->state == CELL_NULL ? "null" : "-");
		else if (shape->columns[i].type == COLUMN_LONG)
			buf_add_format(out, "%d", (int32_t)le32(c->data));
		else
			buf_add(out, c->data, c->size);
		buf_add_str(out, i + 1 == shape->column_count ? ")" : "");
	}
}

static void print_effect(const struct group_effect *effect, struct buf *out)
{
	static const char *const kinds[] = { "empties", "rewrites", "creates", "keeps" };

	buf_add_format(out, "#%d %s%s %s.%s: %s\n", (int)effect->order, kinds[effect->kind],
		       effect->unsure ? "?" : "", effect->db, effect->table, effect->why);
}

static int take_rows(struct fixture *f)
{
	struct group_row row;
	int rc;

	while ((rc = group_next(f->group, &row, &f->e)) > 0) {
		const struct change *c = &row.change;

		if (rc == GROUP_GIVES_EFFECT) {
			print_effect(&row.effect, &f->out);
			continue;
		}
		buf_add_format(&f->out, "%s#%d %c %s", c->transaction, (int)c->order, (char)c->op,
			       c->shape->table);
		print_cells(c->shape, c->before, &f->out);
		print_cells(c->shape, c->after, &f->out);
		buf_add_str(&f->out, "\n");
	}
	return rc;
}

static void end_group(struct fixture *f)
{
	static const char *const ends[] = { "", "prepares", "commits", "rolls back" };
	const struct group_info *info = group_info(f->group);

	if (info->xa != GROUP_XA_NONE)
		buf_add_format(&f->out, "%s %s %s\n", info->gtid_text, ends[info->xa], info->xid);
	group_reset(f->group);
}

static int feed(struct fixture *f, struct slice packet)
{
	if (group_scan(f->group, packet, &f->e) < 0)
		return -1;
	if (!group_complete(f->group))
		return 0;
	if (take_rows(f) < 0)
		return -1;
	end_group(f);
	return 0;
}

static int feed_file(struct fixture *f, const struct file *file)
{
	size_t at = MAGIC_SIZE;
	struct slice packet;

	while ((packet = next_event(file, &at)).size > 0)
		if (feed(f, packet) < 0)
			return -1;
	return 0;
}

/* The same with every group read twice: first for its outcome, its packets gone; then again. */
static int feed_twice(struct fixture *f, const struct file *file)
{
	size_t at = MAGIC_SIZE, group_at = 0;
	struct slice packet;

	while ((packet = next_event(file, &at)).size > 0) {
		uint8_t copy[8192];

		memcpy(copy, packet.data, packet.size);
		if (group_scan(f->group, slice_of(copy, packet.size), &f->e) < 0)
			return -1;
		memset(copy, 0xee, sizeof(copy));
		if (!group_open(f->group) && !group_complete(f->group))
			continue;
		if (group_is_again(f->group)) {
			ck_assert(group_let_go_was_called(f->group) == false);
			memcpy(copy, packet.data, packet.size);
			if (take_rows(f) < 0)
				return -1;
			if (group_complete(f->group))
				end_group(f);
			continue;
		}
		if (group_at == 0)
			group_at = at - packet.size;
		group_let_go(f->group);
		if (!group_complete(f->group))
			continue;
		if (group_info(f->group)->rows) {
			size_t format_at = MAGIC_SIZE;

			group_again(f->group);
			if (group_scan(f->group, next_event(file, &format_at), &f->e) < 0)
				return -1;
			at = group_at;
		} else {
			end_group(f);
		}
		group_at = 0;
	}
	return 0;
}

/* Checked by eye against test/golden/transactions.sql. */
static const char delivered[] =
	"#0 creates golden.a: CREATE TABLE\n"
	"0-1-6#1 c a (1,1)\n0-1-6#2 c a (2,2)\n0-1-6#3 u a (1,1) (1,11)\n0-1-6#4 u a (2,2) (2,12)\n"
	"0-1-6#5 d a (1,11)\n0-1-7#1 u a (2,12) (2,0)\n"
	"0-1-9#1 c a (3,3)\n0-1-9#2 c a (5,5)\n"
	"0-1-11#1 c a (6,6)\n0-1-11#2 c a (8,8)\n"
	"0-1-12#1 c a (21,1)\n"
	"0-1-15#1 c a (64,0)\n0-1-15#2 c a (66,0)\n";

static void check_delivered(const char *got)
{
	ck_assert_msg(strncmp(got, delivered, strlen(delivered)) == 0, "delivered:\n%s", got);
	/* what was prepared, and how it ended */
	ck_assert_ptr_nonnull(strstr(got, "prepares 7:6f6e65:6272616e6368\n"));
	ck_assert_ptr_nonnull(strstr(got, "c a (40,0)"));
	ck_assert_ptr_nonnull(strstr(got, "commits 7:6f6e65:6272616e6368\n"));
	ck_assert_ptr_nonnull(strstr(got, "rolls back 1:74776f:\n"));
}

START_TEST(test_group_delivers_what_committed)
{
	struct file file = read_file("test/golden/transactions.binlog");
	struct fixture f;

	setup(&f, "golden.a");
	ck_assert_msg(feed_file(&f, &file) == 0, "%s", f.e.msg);
	check_delivered(buf_cstr(&f.out));
	teardown(&f);
}
END_TEST

START_TEST(test_group_read_twice_is_the_same)
{
	struct file file = read_file("test/golden/transactions.binlog");
	struct fixture once, twice;

	setup(&once, "golden.a");
	setup(&twice, "golden.a");
	ck_assert_msg(feed_file(&once, &file) == 0, "%s", once.e.msg);
	ck_assert_msg(feed_twice(&twice, &file) == 0, "%s", twice.e.msg);
	/* order counts what is delivered of the group, so it is the same, too */
	ck_assert_str_eq(buf_cstr(&once.out), buf_cstr(&twice.out));
	teardown(&once);
	teardown(&twice);
}
END_TEST

/* Tables that the XA transactions don't touch: to the end, through both of their outcomes. */
START_TEST(test_group_to_the_end)
{
	struct file file = read_file("test/golden/transactions.binlog");
	struct fixture f;

	setup(&f, "golden.b, golden.keyless, golden.m");
	ck_assert_msg(feed_file(&f, &file) == 0, "%s", f.e.msg);
	ck_assert_str_eq(buf_cstr(&f.out),
			 "#0 creates golden.b: CREATE TABLE\n#0 creates golden.m: CREATE TABLE\n"
			 "#0 creates golden.keyless: CREATE TABLE\n"
			 "0-1-6#1 c b (1,11)\n0-1-6#2 c b (2,12)\n0-1-7#1 u b (2,12) "
			 "(2,0)\n0-1-8#1 c m (1,1)\n"
			 "0-1-10#1 c m (2,2)\n0-1-11#1 c b (9,9)\n0-1-14#1 u m (1,1) (1,99)\n"
			 "0-1-16#1 c keyless (1,same)\n0-1-16#2 c keyless (1,same)\n0-1-16#3 c "
			 "keyless (null,null)\n"
			 "0-1-17#1 d keyless (1,same)\n0-1-18#1 u keyless (1,same) (1,x)\n"
			 "0-1-18#2 u keyless (null,null) (null,x)\n"
			 "0-1-22 prepares 7:6f6e65:6272616e6368\n"
			 "0-1-23 commits 7:6f6e65:6272616e6368\n"
			 "0-1-24 prepares 1:74776f:\n0-1-25 rolls back 1:74776f:\n");
	ck_assert_int_eq(group_take_bytes(f.group), (int64_t)file.size - MAGIC_SIZE);
	teardown(&f);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

static void right_checksum(struct file *file, size_t at, size_t size)
{
	uint32_t sum = (uint32_t)crc32(0, file->bytes + at, (uInt)(size - 4));

	for (size_t i = 0; i < 4; i++)
		file->bytes[at + size - 4 + i] = (uint8_t)(sum >> 8 * i);
}

/* Whatever comes: rows, or an error of the right kind; never a crash (SANITIZER=address sees reads
 * outside). */
static void feed_damaged(const struct file *file)
{
	struct fixture f;

	setup(&f, "golden.*");
	if (feed_file(&f, file) < 0 && f.e.kind != ERR_DATA)
		ck_abort_msg("kind %d: %s", f.e.kind, f.e.msg);
	teardown(&f);
}

START_TEST(test_group_damaged)
{
	struct file file = read_file("test/golden/transactions.binlog"), damaged;
	size_t at = MAGIC_SIZE, begin;
	struct slice packet;

	while (begin = at, (packet = next_event(&file, &at)).size > 0) {
		for (size_t i = 0; i < packet.size; i += 3) {
			damaged = file;
			damaged.bytes[begin + i] ^= (uint8_t)(1u << i % 8);
			feed_damaged(&damaged);
			if (i >= 19) { /* behind the header, with a checksum that fits */
				right_checksum(&damaged, begin, packet.size);
				feed_damaged(&damaged);
			}
		}
	}
	for (size_t size = 0; size < file.size; size += 7) {
		damaged = file;
		damaged.size = size;
		feed_damaged(&damaged);
	}
}
END_TEST

START_TEST(test_group_checksum_is_verified)
{
	struct file file = read_file("test/golden/transactions.binlog");
	struct fixture f;

	file.bytes[1340] ^= 1; /* inside rows of 0-1-6 */
	setup(&f, "golden.b");
	ck_assert_int_eq(feed_file(&f, &file), -1);
	ck_assert_int_eq(f.e.kind, ERR_DATA);
	ck_assert_str_eq(buf_cstr(&f.out), "#0 creates golden.b: CREATE TABLE\n");
	teardown(&f);
}
END_TEST

/* ---- statements made by hand ---------------------------------------------------------------- */

static uint8_t query_flags; /* of the next QUERY events */

static struct slice make_event(uint8_t type, struct slice body)
{
	static uint8_t event[4096];
	uint32_t size = (uint32_t)(19 + body.size + 4), sum;

	memset(event, 0, 19);
	event[4] = type;
	if (type == EVENT_QUERY)
		event[17] = query_flags;
	for (size_t i = 0; i < 4; i++)
		event[9 + i] = (uint8_t)(size >> 8 * i);
	memcpy(event + 19, body.data, body.size);
	sum = (uint32_t)crc32(0, event, size - 4);
	for (size_t i = 0; i < 4; i++)
		event[size - 4 + i] = (uint8_t)(sum >> 8 * i);
	return slice_of(event, size);
}

static int feed_gtid(struct fixture *f, uint8_t seq, bool standalone)
{
	uint8_t body[19] = { seq, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, standalone };

	return feed(f, make_event(EVENT_GTID, slice_of(body, sizeof(body))));
}

static int feed_query(struct fixture *f, const char *text)
{
	struct buf body = BUF_INIT;
	int rc;

	buf_add(&body, "\0\0\0\0\0\0\0\0\x04\0\0\0\0shop\0", 18);
	buf_add_str(&body, text);
	rc = feed(f, make_event(EVENT_QUERY, buf_slice(&body)));
	buf_done(&body);
	return rc;
}

static void feed_format(struct fixture *f)
{
	struct file file = read_file("test/golden/transactions.binlog");
	size_t at = MAGIC_SIZE;

	ck_assert_int_eq(feed(f, next_event(&file, &at)), 0);
}

/* What a statement that stands alone does; thread: flagged as depending on its session. */
static int feed_statement(const char *text, bool thread, struct fixture *f)
{
	setup(f, "shop.item, other.*");
	feed_format(f);
	query_flags = thread ? 0x04 : 0;
	return feed_gtid(f, 7, true) < 0 ? -1 : feed_query(f, text);
}

struct told {
	const char *text, *effects;
};

static void check_effects(const struct told *told, size_t count, bool thread)
{
	for (size_t i = 0; i < count; i++) {
		struct fixture f;

		ck_assert_msg(feed_statement(told[i].text, thread, &f) == 0, "%s: %s", told[i].text,
			      f.e.msg);
		ck_assert(!group_open(f.group));
		ck_assert_msg(strcmp(buf_cstr(&f.out), told[i].effects) == 0, "%s: %s",
			      told[i].text, buf_cstr(&f.out));
		teardown(&f);
	}
}

static const struct told statements[] = {
	{ "TRUNCATE TABLE item", "#1 empties shop.item: TRUNCATE\n" },
	{ "truncate `shop`.`item`", "#1 empties shop.item: TRUNCATE\n" },
	{ "SET STATEMENT max_statement_time=5 FOR TRUNCATE item",
	  "#1 empties shop.item: TRUNCATE\n" },
	{ "DROP TABLE IF EXISTS x, item, other.y",
	  "#1 empties shop.item: DROP TABLE\n#2 empties other.y: DROP TABLE\n" },
	{ "RENAME TABLE item TO item2", "#1 empties? shop.item: RENAME away\n" },
	{ "RENAME TABLE x TO item", "#1 rewrites shop.item: RENAME of another table\n" },
	{ "RENAME TABLE item TO _item_old, _item_new TO item",
	  "#1 rewrites shop.item: RENAME of another table\n" },
	{ "RENAME TABLE item TO other.b WAIT 3", "#1 empties? shop.item: RENAME away\n"
						 "#2 rewrites other.b: RENAME of another table\n" },
	{ "RENAME TABLE item TO tmp, other.b TO item, tmp TO other.b",
	  "#1 rewrites shop.item: RENAME of another table\n"
	  "#2 rewrites other.b: RENAME of another table\n" },
	{ "RENAME TABLE item TO x, x TO item", "#0 keeps shop.item: RENAME and back\n" },
	{ "RENAME TABLE IF EXISTS a TO b, item TO c", "#1 empties? shop.item: RENAME away\n" },
	{ "INSERT INTO item VALUES (1)",
	  "#1 rewrites shop.item: DML that is written as a statement (binlog_format)\n" },
	{ "UPDATE shop.item SET a = 1",
	  "#1 rewrites shop.item: DML that is written as a statement (binlog_format)\n" },
	{ "DELETE FROM other.x",
	  "#1 rewrites other.x: DML that is written as a statement (binlog_format)\n" },
	{ "SELECT `shop`.`f`(1)",
	  "#1 rewrites .: DML that is written as a statement (binlog_format)\n" },
	{ "INSERT INTO z SELECT f(1)",
	  "#1 rewrites .: DML that is written as a statement (binlog_format)\n" },
	{ "DROP DATABASE other", "#1 empties other.: DROP DATABASE\n" },
	{ "CREATE OR REPLACE TABLE item (a INT)", "#1 empties shop.item: CREATE OR REPLACE TABLE\n"
						  "#1 creates shop.item: CREATE TABLE\n" },
	{ "CREATE TABLE item SELECT 1 AS a",
	  "#0 creates shop.item: CREATE TABLE\n"
	  "#1 rewrites shop.item: CREATE TABLE ... SELECT, written as a statement\n" },
	{ "ALTER TABLE item RENAME item2", "#1 empties? shop.item: RENAME away\n" },
	{ "ALTER TABLE x RENAME TO item", "#1 rewrites shop.item: RENAME of another table\n" },
	{ "ALTER TABLE x ADD b INT, RENAME = `shop`.`item`",
	  "#1 rewrites shop.item: RENAME of another table\n" },
	{ "ALTER TABLE item DROP PARTITION p1", "#1 rewrites shop.item: DROP PARTITION\n" },
	{ "ALTER TABLE x EXCHANGE PARTITION p1 WITH TABLE item",
	  "#1 rewrites shop.item: EXCHANGE PARTITION\n" },
	{ "ALTER TABLE item MODIFY a BIGINT", "#1 rewrites shop.item: MODIFY COLUMN\n" },
	{ "MOVE TABLE item SOMEWHERE",
	  "#1 rewrites shop.item: a statement that is not understood\n" },
	{ "TRUNCATE TABLE elsewhere", "" },
	{ "DROP TABLE x", "" },
	{ "CREATE TABLE item (a INT DEFAULT 0 COMMENT 'REPLACE')",
	  "#0 creates shop.item: CREATE TABLE\n" },
	{ "CREATE TABLE item LIKE x", "#0 creates shop.item: CREATE TABLE\n" },
	{ "CREATE TABLE IF NOT EXISTS item (a INT)", "#0 keeps shop.item: CREATE TABLE\n" },
	{ "CREATE TABLE x LIKE item", "" },
	{ "INSERT INTO x SELECT COUNT(*) FROM item", "" },
	{ "DROP DATABASE nothing", "#1 empties nothing.: DROP DATABASE\n" },
	{ "CREATE VIEW v AS SELECT * FROM item", "" },
	{ "DROP TEMPORARY TABLE item", "" },
	{ "GRANT SELECT ON item TO x", "" },
	{ "# dummy", "" },
	{ "ALTER TABLE item ADD b INT", "#0 keeps shop.item: ALTER TABLE\n" },
	{ "CREATE INDEX i ON item (a)", "#0 keeps shop.item: ALTER TABLE\n" },
	{ "ALTER TABLE x RENAME TO y", "" },
	{ "ALTER TABLE x MODIFY item INT", "" },
	{ "OPTIMIZE TABLE x, other.y, item",
	  "#0 keeps other.y: OPTIMIZE TABLE\n#0 keeps shop.item: OPTIMIZE TABLE\n" },
	{ "OPTIMIZE TABLE x", "" },
	{ "gibberish (", "" },
};
static const struct told flagged[] = {
	{ "TRUNCATE item", "#1 rewrites shop.item: TRUNCATE\n" },
	{ "DROP TABLE `item` /* generated by server */", "#1 empties shop.item: DROP TABLE\n" },
	{ "DROP TEMPORARY TABLE `item` /* generated by server */", "" },
};

START_TEST(test_group_effects)
{
	check_effects(statements, sizeof(statements) / sizeof(statements[0]), false);
	check_effects(flagged, sizeof(flagged) / sizeof(flagged[0]), true);
}
END_TEST

/* In their place, whatever the group's end; what is repeated comes once. */
START_TEST(test_group_effects_inside)
{
	struct fixture f;

	setup(&f, "shop.item, other.*");
	feed_format(&f);
	query_flags = 0;
	ck_assert_int_eq(feed_gtid(&f, 7, false), 0);
	ck_assert_int_eq(feed_query(&f, "SAVEPOINT a"), 0);
	ck_assert_int_eq(feed_query(&f, "UPDATE item SET a = 1"), 0);
	ck_assert_int_eq(feed_query(&f, "UPDATE item SET a = 2"), 0);
	ck_assert_int_eq(feed_query(&f, "ROLLBACK TO a"), 0);
	ck_assert_int_eq(feed_query(&f, "DROP TABLE IF EXISTS `item` /* generated */"), 0);
	ck_assert_str_eq(buf_cstr(&f.out), "");
	ck_assert_int_eq(feed_query(&f, "ROLLBACK"), 0);
	ck_assert_str_eq(buf_cstr(&f.out),
			 "#1 rewrites shop.item: DML that is written as a statement "
			 "(binlog_format)\n#2 empties shop.item: DROP TABLE\n");
	teardown(&f);
}
END_TEST

START_TEST(test_group_shape_of_groups)
{
	struct fixture f;

	setup(&f, "shop.item");
	feed_format(&f);
	ck_assert_int_eq(feed_query(&f, "COMMIT"), -1); /* outside of any group */
	teardown(&f);

	setup(&f, "shop.item");
	feed_format(&f);
	ck_assert_int_eq(feed_gtid(&f, 1, false), 0);
	ck_assert(group_open(f.group));
	ck_assert_int_eq(feed_gtid(&f, 2, false), -1); /* the first one has no end */
	teardown(&f);

	setup(&f, "shop.item");
	feed_format(&f);
	ck_assert_int_eq(feed_gtid(&f, 1, false), 0);
	ck_assert_int_eq(feed_query(&f, "ROLLBACK TO `x`"), -1); /* never set */
	teardown(&f);

	setup(&f, "shop.item");
	feed_format(&f);
	ck_assert_int_eq(feed_gtid(&f, 1, false), 0);
	ck_assert_int_eq(feed(&f, make_event(200, slice_str("?"))),
			 -1); /* a type that nobody knows */
	ck_assert_int_eq(f.e.kind, ERR_DATA);
	teardown(&f);
}
END_TEST

/* ---- cuts ----------------------------------------------------------------------------------- */

START_TEST(test_cuts_nested)
{
	struct cuts c = { 0 };
	struct err e = ERR_INIT;
	size_t at = 0;
	char text[11] = "";

	ck_assert_int_eq(cuts_savepoint(&c, slice_str("`A`"), 1, &e), 0);
	ck_assert_int_eq(cuts_savepoint(&c, slice_str("b"), 3, &e), 0);
	ck_assert_int_eq(cuts_rollback_to(&c, slice_str("B"), 5, &e), 0); /* 3 4 gone */
	ck_assert_int_eq(cuts_savepoint(&c, slice_str("`c``d`"), 6, &e), 0);
	ck_assert_int_eq(cuts_rollback_to(&c, slice_str("`C``D`"), 7, &e), 0); /* 6 gone */
	ck_assert_int_eq(cuts_savepoint(&c, slice_str("a"), 8, &e),
			 0); /* set anew: now behind the others */
	ck_assert_int_eq(cuts_rollback_to(&c, slice_str("b"), 9, &e), 0);  /* all since 3 */
	ck_assert_int_eq(cuts_rollback_to(&c, slice_str("a"), 9, &e), -1); /* went with b */
	for (uint64_t i = 0; i < 10; i++)
		text[i] = cuts_has(&c, i, &at) ? 'x' : '.';
	ck_assert_str_eq(text, "...xxxxxx.");
	cuts_release(&c, slice_str("b"));
	ck_assert_int_eq(cuts_rollback_to(&c, slice_str("b"), 9, &e), -1);
	cuts_done(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("group");

	unit_test(s, test_group_delivers_what_committed);
	unit_test(s, test_group_read_twice_is_the_same);
	unit_test(s, test_group_to_the_end);
	unit_test_slow(s, test_group_damaged, 60);
	unit_test(s, test_group_checksum_is_verified);
	unit_test(s, test_group_effects);
	unit_test(s, test_group_effects_inside);
	unit_test(s, test_group_shape_of_groups);
	unit_test(s, test_cuts_nested);
	return unit_run(s);
}
