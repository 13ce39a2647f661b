/* test_catalog.c - which tables are captured; table maps to shapes; the cache of them. Table maps
 * are made by hand here; what real servers write is in test/golden. */
#include "unit.h"

#include "cdc/catalog/catalog.h"
#include "cdc/catalog/catalog_priv.h"
#include "core/base/mem.h"

#include <string.h>

static struct catalog *catalog_of(const char *pattern)
{
	struct settings settings = { 0 };
	char *patterns[] = { xstrdup(pattern), xstrdup("other.*") };
	struct catalog *c;

	settings.capture_tables = (struct text_list){ patterns, 2 };
	c = catalog_new(&settings);
	free(patterns[0]);
	free(patterns[1]);
	return c;
}

/* One column of a table map, and what the optional metadata says of it. */
struct col {
	const char *name;
	uint8_t type;
	const char *meta; /* bytes of column metadata */
	size_t meta_size;
	int is_unsigned;   /* -1: not numeric */
	uint8_t collation; /* 0: no character column */
};

struct map {
	uint64_t id;
	const char *db, *table;
	const struct col *columns;
	uint8_t count;
	bool with_names;
};

static void add_name(struct buf *b, const char *name)
{
	buf_add_u8(b, (uint8_t)strlen(name));
	buf_add_str(b, name);
	buf_add_u8(b, 0);
}

static void add_field(struct buf *b, uint8_t kind, struct buf *value)
{
	buf_add_u8(b, kind);
	buf_add_u8(b, (uint8_t)value->size);
	buf_add_slice(b, buf_slice(value));
	buf_reset(value);
}

static void add_optional(struct buf *b, const struct map *m)
{
	struct buf field = BUF_INIT;
	int n = 0;

	for (uint8_t i = 0; i < m->count; i++) {
		if (m->columns[i].is_unsigned < 0)
			continue;
		if (n % 8 == 0)
			buf_add_u8(&field, 0);
		if (m->columns[i].is_unsigned > 0)
			field.data[n / 8] |= (uint8_t)(0x80 >> n % 8);
		n++;
	}
	if (n > 0)
		add_field(b, TABLE_MAP_SIGNEDNESS, &field);
	for (uint8_t i = 0; i < m->count; i++)
		if (m->columns[i].collation != 0)
			buf_add_u8(&field, m->columns[i].collation);
	if (field.size > 0)
		add_field(b, TABLE_MAP_COLUMN_CHARSET, &field);
	for (uint8_t i = 0; m->with_names && i < m->count; i++) {
		buf_add_u8(&field, (uint8_t)strlen(m->columns[i].name));
		buf_add_str(&field, m->columns[i].name);
	}
	if (m->with_names)
		add_field(b, TABLE_MAP_COLUMN_NAME, &field);
	buf_done(&field);
}

static struct buf body_of(const struct map *m)
{
	struct buf b = BUF_INIT, meta = BUF_INIT;

	for (int i = 0; i < 6; i++)
		buf_add_u8(&b, (uint8_t)(m->id >> (8 * i)));
	buf_add(&b, "\1\0", 2);
	add_name(&b, m->db);
	add_name(&b, m->table);
	buf_add_u8(&b, m->count);
	for (uint8_t i = 0; i < m->count; i++) {
		buf_add_u8(&b, m->columns[i].type);
		buf_add(&meta, m->columns[i].meta, m->columns[i].meta_size);
	}
	buf_add_u8(&b, (uint8_t)meta.size);
	buf_add_slice(&b, buf_slice(&meta));
	for (int i = 0; i < (m->count + 7) / 8; i++)
		buf_add_u8(&b, 0xaa);
	add_optional(&b, m);
	buf_done(&meta);
	return b;
}

static int take(struct catalog *c, const struct map *m, const struct catalog_table **ret_table,
		struct err *e)
{
	struct buf b = body_of(m);
	int rc = catalog_table_map(c, buf_slice(&b), ret_table, e);

	buf_done(&b);
	return rc;
}

static const struct col plain[] = {
	{ "id", COLUMN_LONG, "", 0, 1, 0 },
	{ "v", COLUMN_VARCHAR, "\x90\1", 2, -1, 45 },
	{ "n", COLUMN_NEWDECIMAL, "\12\2", 2, 0, 0 },
	{ "b", COLUMN_STRING, "\376\20", 2, -1, 63 },
};
static const struct map plain_map = { 7, "d", "t", plain, 4, true };

START_TEST(test_captures)
{
	struct catalog *c = catalog_of("d.t");

	ck_assert(catalog_captures(c, slice_str("d"), slice_str("t")));
	ck_assert(catalog_captures(c, slice_str("other"), slice_str("anything")));
	ck_assert(!catalog_captures(c, slice_str("d"), slice_str("T")));
	ck_assert(!catalog_captures(c, slice_str("d"), slice_str("tt")));
	ck_assert(!catalog_captures(c, slice_str("D"), slice_str("t")));
	ck_assert(!catalog_captures(c, slice_str("othe"), slice_str("t")));
	ck_assert(!catalog_captures(c, slice_str(""), slice_str("")));
	catalog_free(c);
	catalog_free(NULL);
}
END_TEST

START_TEST(test_shape)
{
	struct catalog *c = catalog_of("d.t");
	const struct catalog_table *t;
	const struct column *col;
	struct err e = ERR_INIT;

	ck_assert_msg(take(c, &plain_map, &t, &e) == 0, "%s", e.msg);
	ck_assert(t->captured && t->id == 7);
	ck_assert_str_eq(t->db, "d");
	ck_assert_uint_eq(t->shape->column_count, 4);
	col = t->shape->columns;
	ck_assert(col[0].is_unsigned && !col[0].nullable && col[1].nullable && !col[2].is_unsigned);
	ck_assert(col[1].size_max == 400 && col[1].collation == 45 && !col[1].is_binary);
	ck_assert(col[2].precision == 10 && col[2].scale == 2);
	ck_assert(col[3].type == COLUMN_STRING && col[3].size_max == 16 && col[3].is_binary);
	ck_assert(catalog_find(c, 7) == t && catalog_find(c, 8) == NULL);
	catalog_free(c);
}
END_TEST

/* More numeric columns than one byte of signs has bits; the others between them don't count. */
START_TEST(test_signs)
{
	static const uint8_t types[] = { COLUMN_TINY, COLUMN_DATE, COLUMN_YEAR, COLUMN_BIT };
	struct catalog *c = catalog_of("d.t");
	const struct catalog_table *t;
	struct col columns[24];
	struct err e = ERR_INIT;

	for (int i = 0; i < 24; i++) {
		uint8_t type = types[i % 4];

		columns[i] = (struct col){ .name = "c",
					   .type = type,
					   .meta = "\3\0",
					   .meta_size = type == COLUMN_BIT ? 2 : 0 };
		columns[i].is_unsigned = type == COLUMN_YEAR   ? 1
					 : type == COLUMN_TINY ? i % 8 == 4
							       : -1;
	}
	ck_assert_msg(take(c, &(struct map){ 1, "d", "t", columns, 24, true }, &t, &e) == 0, "%s",
		      e.msg);
	for (int i = 0; i < 24; i++)
		ck_assert_msg(t->shape->columns[i].is_unsigned == (i % 8 == 4), "column %d", i);
	catalog_free(c);
}
END_TEST

START_TEST(test_cache)
{
	struct catalog *c = catalog_of("d.t");
	const struct catalog_table *t;
	struct map m = plain_map;
	struct col changed[4];
	struct shape *first, *kept;
	struct err e = ERR_INIT;

	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	first = t->shape;
	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	ck_assert_ptr_eq(t->shape, first);
	m.id = 8; /* the table was opened again */
	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	ck_assert_ptr_eq(t->shape, first);
	ck_assert(catalog_find(c, 7) == NULL && catalog_find(c, 8) == t);
	catalog_reset(c);
	ck_assert(catalog_find(c, 8) == NULL);
	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	ck_assert_ptr_eq(t->shape, first);
	memcpy(changed, plain, sizeof(changed));
	changed[2].meta = "\13\2";
	m.columns = changed;
	kept = shape_ref(first);
	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	ck_assert_ptr_ne(t->shape, first);
	ck_assert_uint_eq(t->shape->columns[2].precision, 11);
	shape_unref(kept);
	catalog_free(c);
}
END_TEST

/* After a restart the server may use an id for another table. */
START_TEST(test_id_moves)
{
	struct catalog *c = catalog_of("d.t");
	const struct catalog_table *t, *u;
	struct map m = plain_map;
	struct err e = ERR_INIT;

	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	m.db = "other";
	ck_assert_int_eq(take(c, &m, &u, &e), 0);
	ck_assert(u != t && catalog_find(c, 7) == u);
	ck_assert_str_eq(u->db, "other");
	m = plain_map;
	ck_assert_int_eq(take(c, &m, &t, &e), 0);
	ck_assert_str_eq(catalog_find(c, 7)->db, "d");
	catalog_free(c);
}
END_TEST

START_TEST(test_not_captured)
{
	static const struct col geometry[] = { { "g", 255, "\4", 1, -1, 63 } };
	struct catalog *c = catalog_of("d.t");
	struct map m = { 9, "d", "unwanted", geometry, 1, false };
	const struct catalog_table *t;
	struct err e = ERR_INIT;

	ck_assert_int_eq(take(c, &m, &t, &e), 0); /* whatever its types are */
	ck_assert(!t->captured && t->shape == NULL && catalog_find(c, 9) == t);
	catalog_free(c);
}
END_TEST

START_TEST(test_refused)
{
	static const struct {
		struct col column;
		const char *says;
	} bad[] = {
		{ { "g", 255, "\4", 1, -1, 0 }, "collations" },
		{ { "g", 255, "\5", 1, -1, 63 }, "out of range" },
		{ { "g", 242, "\4", 1, -1, 63 }, "dimension" },
		{ { "g", 12, "", 0, -1, 0 }, "in the format of MariaDB 5.3" },
		{ { "g", 7, "", 0, -1, 0 }, "in the format of MariaDB 5.3" },
		{ { "g", 141, "\1\0", 2, -1, 45 }, "COMPRESSED" },
		{ { "g", 245, "\0", 1, -1, 0 }, "out of range" },
		{ { "g", 99, "", 0, -1, 0 }, "99" },
		{ { "g", COLUMN_VARCHAR, "\1\0", 2, -1, 17 }, "not known" },
		{ { "g", COLUMN_NEWDECIMAL, "\102\2", 2, 0, 0 }, "out of range" },
		{ { "g", COLUMN_NEWDECIMAL, "\1\2", 2, 0, 0 }, "out of range" },
		{ { "g", COLUMN_DATETIME2, "\7", 1, -1, 0 }, "out of range" },
		{ { "g", COLUMN_BIT, "\0\0", 2, -1, 0 }, "out of range" },
		{ { "g", COLUMN_BLOB, "\5", 1, -1, 45 }, "out of range" },
		{ { "g", COLUMN_LONG, "", 0, -1, 0 }, "signedness" },
		{ { "g", COLUMN_DATE, "", 0, 1, 0 }, "signedness" },
		{ { "g", COLUMN_BLOB, "\2", 1, -1, 0 }, "collations" },
		{ { "g", COLUMN_DATE, "", 0, -1, 45 }, "collations" },
		{ { "g", COLUMN_STRING, "\367\1", 2, -1, 0 }, "collations" },
		{ { "", COLUMN_DATE, "", 0, -1, 0 }, "column name" },
		{ { "\xff", COLUMN_DATE, "", 0, -1, 0 }, "column name" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct catalog *c = catalog_of("d.t");
		struct map m = { 9, "d", "t", &bad[i].column, 1, true };
		const struct catalog_table *t;
		struct err e = ERR_INIT;

		ck_assert_msg(take(c, &m, &t, &e) < 0, "%zu: %s", i, bad[i].says);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_msg(strstr(e.msg, bad[i].says) != NULL && strstr(e.msg, "d.t") != NULL,
			      "%s: %s", bad[i].says, e.msg);
		catalog_free(c);
	}
}
END_TEST

START_TEST(test_no_names)
{
	struct catalog *c = catalog_of("d.t");
	struct map m = plain_map;
	const struct catalog_table *t;
	struct err e = ERR_INIT;

	m.with_names = false;
	ck_assert_int_lt(take(c, &m, &t, &e), 0);
	ck_assert(strstr(e.msg, "SET GLOBAL binlog_row_metadata=FULL") != NULL);
	catalog_free(c);
}
END_TEST

static void hint(struct catalog *c, const char *column, const char *type, uint8_t fraction)
{
	struct catalog_hints *h = catalog_hints_of(c);

	catalog_hints_done(h);
	h->items = xcalloc(1, sizeof(h->items[0]));
	h->count = h->capacity = 1;
	h->items[0] = (struct catalog_hidden){ xstrdup("d"), xstrdup("t"), xstrdup(column),
					       xstrdup(type), fraction };
}

/* The column's type with such a hint. */
static struct column hinted(const struct col *column, const char *name, const char *type)
{
	struct catalog *c = catalog_of("d.t");
	struct map m = { 9, "d", "t", column, 1, true };
	const struct catalog_table *t;
	struct err e = ERR_INIT;
	struct column found;

	hint(c, name, type, 0);
	ck_assert_msg(take(c, &m, &t, &e) == 0, "%s", e.msg);
	found = t->shape->columns[0];
	found.name = NULL;
	catalog_free(c);
	return found;
}

/* UUID looks like BINARY(16), VECTOR like VARBINARY: only a hint tells, and one that doesn't fit is
 * of another time. */
START_TEST(test_hidden_type)
{
	static const struct col binary16 = { "b", COLUMN_STRING, "\376\20", 2, -1, 63 },
				binary4 = { "b", COLUMN_STRING, "\376\4", 2, -1, 63 },
				text16 = { "b", COLUMN_STRING, "\376\20", 2, -1, 45 },
				bytes = { "b", COLUMN_VARCHAR, "\14\0", 2, -1, 63 },
				old = { "b", COLUMN_TIME, "", 0, -1, 0 };
	struct column c = hinted(&binary16, "b", "uuid");

	ck_assert(c.type == COLUMN_UUID && c.size_max == 16 && c.collation == 0 && !c.is_binary);
	ck_assert_int_eq(hinted(&binary16, "b", "inet6").type, COLUMN_INET6);
	ck_assert_int_eq(hinted(&binary4, "b", "inet4").type, COLUMN_INET4);
	c = hinted(&bytes, "b", "vector");
	ck_assert(c.type == COLUMN_VECTOR && c.size_max == 12 && c.pack_bytes == 1);
	ck_assert_int_eq(hinted(&old, "b", "time").type, COLUMN_TIME);
	ck_assert_int_eq(hinted(&binary4, "b", "uuid").type, COLUMN_STRING);
	ck_assert_int_eq(hinted(&text16, "b", "uuid").type, COLUMN_STRING);
	ck_assert_int_eq(hinted(&binary16, "other", "uuid").type, COLUMN_STRING);
	ck_assert_int_eq(hinted(&binary16, "b", "vector").type, COLUMN_STRING);
}
END_TEST

/* No TABLE_MAP says how many digits a YEAR has, and YEAR(2) has no year zero. */
START_TEST(test_short_year)
{
	static const struct col year = { "y", COLUMN_YEAR, "", 0, 1, 0 };
	struct column two = hinted(&year, "y", "year"), four = hinted(&year, "z", "year");

	ck_assert(column_year(&two, 0) == 2000 && column_year(&two, 100) == 2000);
	ck_assert(column_year(&four, 0) == 0 && column_year(&four, 100) == 2000);
}
END_TEST

static bool is_logged(const char *version, const char *extra)
{
	struct shape *s = shape_new("d", "t", 1);
	struct slice row[CATALOG_FIELD_COUNT] = { 0 };
	struct err e = ERR_INIT;
	bool logged;

	row[CATALOG_FIELD_NAME] = slice_str("v");
	row[CATALOG_FIELD_TYPE] = slice_str("int");
	row[CATALOG_FIELD_EXTRA] = slice_str(extra);
	ck_assert_int_eq(catalog_take_column(s, &s->columns[0], version, row, &e), 0);
	logged = !s->columns[0].not_logged;
	shape_unref(s);
	return logged;
}

/* What MariaDB 10.1 and 10.2 write in the place of a virtual column is not its value. */
START_TEST(test_not_logged)
{
	ck_assert(!is_logged("5.5.5-10.1.23-MariaDB", "VIRTUAL"));
	ck_assert(!is_logged("5.5.5-10.2.11-MariaDB-log", "VIRTUAL GENERATED"));
	ck_assert(is_logged("5.5.5-10.2.11-MariaDB", "STORED GENERATED"));
	ck_assert(is_logged("5.5.5-10.11.19-MariaDB", "VIRTUAL GENERATED"));
	ck_assert(is_logged("11.8.6-MariaDB", "VIRTUAL GENERATED"));
	ck_assert(is_logged("5.7.22-log", "VIRTUAL GENERATED"));
}
END_TEST

/* The labels of a column as information_schema prints its type, joined by '|'; NULL: refused. */
static const char *labels_of(const char *full_type, uint64_t collation)
{
	static char text[100];
	struct shape *s = shape_new("d", "t", 1);
	struct slice row[CATALOG_FIELD_COUNT] = { 0 };
	struct err e = ERR_INIT;
	char id[20];
	bool taken;

	snprintf(id, sizeof(id), "%d", (int)collation);
	row[CATALOG_FIELD_NAME] = slice_str("e");
	row[CATALOG_FIELD_TYPE] = slice_str(full_type[0] == 'e' ? "enum" : "set");
	row[CATALOG_FIELD_FULL_TYPE] = slice_str(full_type);
	row[CATALOG_FIELD_COLLATION] = slice_str("some_ci");
	row[CATALOG_FIELD_COLLATION_ID] = slice_str(id);
	taken = catalog_take_column(s, &s->columns[0], "8.0.31", row, &e) == 0;
	text[0] = '\0';
	for (uint16_t i = 0; i < s->columns[0].label_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "|" : "",
			 s->columns[0].labels[i]);
	shape_unref(s);
	return taken ? text : NULL;
}

/* As the servers print them: a backslash, a newline, a return and a NUL escaped, quotes doubled. */
START_TEST(test_labels)
{
	ck_assert_str_eq(labels_of("enum('a','it''s','','a,b')", 45), "a|it's||a,b");
	ck_assert_str_eq(labels_of("enum('\\\\','\\n','\\\\n','\\r','\\\\''','\t')", 45),
			 "\\|\n|\\n|\r|\\'|\t");
	ck_assert_str_eq(labels_of("set('?','x')", 8), "?|x");
	ck_assert_str_eq(labels_of("set('?','x')", 45), "?|x"); /* asked for later */
	ck_assert_ptr_null(labels_of("enum('\\0')", 8));
}
END_TEST

/* To MariaDB a GEOMETRY has a character set, to MySQL a VECTOR has one. */
START_TEST(test_servers_differ)
{
	static const struct col mysql[] = {
		{ "j", COLUMN_JSON, "\4", 1, -1, 0 },
		{ "g", COLUMN_GEOMETRY, "\4", 1, -1, 0 },
		{ "v", COLUMN_VARCHAR, "\50\0", 2, -1, 45 },
		{ "t", COLUMN_TIMESTAMP, "", 0, -1, 0 },
	};
	static const struct col mariadb[] = {
		{ "g", COLUMN_GEOMETRY, "\4", 1, -1, 63 },
		{ "v", COLUMN_VARCHAR, "\50\0", 2, -1, 45 },
	};
	struct map on_mysql = { 9, "d", "t", mysql, 4, true },
		   on_mariadb = { 9, "d", "t", mariadb, 2, true };
	struct catalog *c = catalog_of("d.t");
	const struct catalog_table *t;
	struct err e = ERR_INIT;

	ck_assert_msg(take(c, &on_mariadb, &t, &e) == 0, "%s", e.msg);
	ck_assert_int_lt(take(c, &on_mysql, &t, &e), 0);
	catalog_server(c, "5.7.22-log");
	ck_assert_msg(take(c, &on_mysql, &t, &e) == 0, "%s", e.msg);
	ck_assert(t->shape->columns[0].type == COLUMN_JSON && t->shape->columns[0].json_5_7);
	ck_assert(t->shape->columns[1].type == COLUMN_GEOMETRY &&
		  t->shape->columns[1].size_max == 4 && t->shape->columns[1].collation == 0);
	ck_assert(t->shape->columns[2].collation == 45);
	ck_assert(t->shape->columns[3].type == COLUMN_TIMESTAMP);
	catalog_server(c, "11.8.6-MariaDB-0+deb13u1-log");
	on_mariadb.id = 10;
	ck_assert_msg(take(c, &on_mariadb, &t, &e) == 0, "%s", e.msg);
	ck_assert(t->shape->columns[0].type == COLUMN_GEOMETRY &&
		  t->shape->columns[0].collation == 0 && !t->shape->columns[0].is_binary);
	catalog_free(c);
}
END_TEST

START_TEST(test_damaged)
{
	struct buf b = body_of(&plain_map);

	unit_seed();
	for (int round = 0; round < 20000; round++) {
		struct catalog *c = catalog_of("d.t");
		size_t size = unit_random_below(4) == 0 ? unit_random_below(b.size) : b.size;
		uint8_t *copy = xmalloc(size + 1);
		const struct catalog_table *t;
		struct err e = ERR_INIT;

		memcpy(copy, b.data, size);
		copy = xrealloc(copy, size > 0 ? size : 1);
		for (uint64_t n = unit_random_below(4); n > 0 && size > 0; n--)
			copy[unit_random_below(size)] = (uint8_t)unit_random64();
		ck_assert(catalog_table_map(c, slice_of(copy, size), &t, &e) == 0 ||
			  e.kind == ERR_DATA);
		free(copy);
		catalog_free(c);
	}
	buf_done(&b);
}
END_TEST

/* Tables that come and go all day don't fill the memory; the last ones stay known. */
START_TEST(test_many_tables)
{
	struct catalog *c = catalog_of("d.t");
	const struct catalog_table *t;
	struct err e = ERR_INIT;
	char name[20];

	for (uint64_t i = 0; i < 100000; i++) {
		struct map m = { i + 1, "tmp", name, plain, 1, true };

		snprintf(name, sizeof(name), "t%d", (int)i);
		ck_assert_int_eq(take(c, &m, &t, &e), 0);
	}
	ck_assert(catalog_find(c, 100000) == t && catalog_find(c, 95000) != NULL &&
		  catalog_find(c, 1) == NULL);
	catalog_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("catalog");

	unit_test(s, test_captures);
	unit_test(s, test_shape);
	unit_test(s, test_signs);
	unit_test(s, test_cache);
	unit_test(s, test_id_moves);
	unit_test(s, test_not_captured);
	unit_test(s, test_refused);
	unit_test(s, test_no_names);
	unit_test(s, test_hidden_type);
	unit_test(s, test_short_year);
	unit_test(s, test_not_logged);
	unit_test(s, test_labels);
	unit_test(s, test_servers_differ);
	unit_test_slow(s, test_damaged, 60);
	unit_test_slow(s, test_many_tables, 60);
	return unit_run(s);
}
