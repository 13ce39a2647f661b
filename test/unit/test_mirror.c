/* test_mirror.c - mirrored tables: what their columns are called, how two shapes of a table differ,
 * and what is refused.
 *
 * Views are read as a version is read back: from files, with the schemas that its topics had. */
#include "test/unit/unit.h"

#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "projections/apply/mirror.h"
#include "projections/apply/view.h"

#include <stdlib.h>

/* "id int!, g geometry, name varchar": '!' is of the primary key. */
static struct shape *shape_of(const char *text)
{
	static const struct {
		const char *name;
		struct column column;
	} types[] = {
		{ "int", { .type = COLUMN_LONG } },
		{ "bigint", { .type = COLUMN_LONGLONG } },
		{ "unsigned", { .type = COLUMN_LONGLONG, .is_unsigned = true } },
		{ "decimal", { .type = COLUMN_NEWDECIMAL, .precision = 10, .scale = 2 } },
		{ "date", { .type = COLUMN_DATE } },
		{ "geometry", { .type = COLUMN_GEOMETRY, .size_max = 4 } },
		{ "varchar", { .type = COLUMN_VARCHAR, .size_max = 40, .collation = 45 } },
		{ "longer", { .type = COLUMN_VARCHAR, .size_max = 400, .collation = 45 } },
		{ "varbinary",
		  { .type = COLUMN_VARCHAR,
		    .size_max = 40,
		    .collation = COLLATION_BINARY,
		    .is_binary = true } },
	};
	struct shape *made;
	struct column columns[16];
	uint16_t key[16], count = 0, keys = 0;
	char *copy = xstrdup(text), *rest = copy, *word;

	while ((word = strsep(&rest, ",")) != NULL) {
		char name[64], type[64];
		size_t i = 0;

		ck_assert_int_eq(sscanf(word, " %63s %63s", name, type), 2);
		if (type[strlen(type) - 1] == '!') {
			type[strlen(type) - 1] = '\0';
			key[keys++] = count;
		}
		while (i < sizeof(types) / sizeof(types[0]) && strcmp(types[i].name, type) != 0)
			i++;
		ck_assert_msg(i < sizeof(types) / sizeof(types[0]), "%s", type);
		columns[count] = types[i].column;
		columns[count++].name = xstrdup(name);
	}
	free(copy);
	made = shape_new("d", "t", count);
	memcpy(made->columns, columns, count * sizeof(columns[0]));
	made->key = xcalloc(keys + 1U, sizeof(*made->key));
	memcpy(made->key, key, keys * sizeof(key[0]));
	made->key_count = keys;
	return shape_pack(made);
}

/* more: lines of view.conf. NULL, with e set: refused. */
static struct view *read_view(const char *store, const char *topic, const char *columns,
			      const char *more, struct err *e)
{
	struct shape *shape = shape_of(columns);
	struct view_files files = { 0 };
	struct buf schema = BUF_INIT;
	struct view *v = NULL;
	char *name = xasprintf("shape/%s.avsc", topic);

	ck_assert_int_eq(row_schema_envelope("n", shape, &schema, e), 0);
	view_files_add(&files, name, buf_cstr(&schema));
	free(name);
	view_files_add(&files, "view.conf",
		       xasprintf("kind = mirror\nstore = %s\ninputs = %s\n%s", store, topic, more));
	shape_unref(shape);
	if (view_from_files("v", "v", &files, &v, e) < 0)
		return NULL;
	return v;
}

static struct view *mirror(const char *store, const char *columns)
{
	struct err e = ERR_INIT;
	struct view *v = read_view(store, "n.d.t", columns, "", &e);

	ck_assert_msg(v != NULL, "%s: %s", columns, e.msg);
	return v;
}

static void check_names(const char *store, const char *columns, const char *expected)
{
	struct view *v = mirror(store, columns);
	struct buf names = BUF_INIT;

	for (size_t i = 0; i < v->mirrors[0].column_count; i++)
		buf_add_format(&names, "%s%s", i > 0 ? " " : "", v->mirrors[0].columns[i].name);
	ck_assert_str_eq(buf_cstr(&names), expected);
	buf_done(&names);
	view_free(v);
}

START_TEST(test_names)
{
	check_names("sqlite", "id int!, g geometry", "id g_srid g_wkb");
	check_names("sqlite", "id int!, exact_values int", "id exact_values");
	check_names("postgresql", "id int!", "id exact_values");
	check_names("postgresql", "id int!, Exact_Values date", "id Exact_Values exact_values_");
	check_names("mariadb", "exact_values int!, exact_values_ int",
		    "exact_values exact_values_ exact_values__");
	check_names("sqlite", "id int!, g geometry, G_SRID int", "id g_srid_ g_wkb G_SRID");
	check_names("mysql", "id int!, g_wkb date, g geometry",
		    "id g_wkb g_srid g_wkb_ exact_values");
}
END_TEST

static void check_change(const char *store, const char *was, const char *now,
			 enum mirror_change expected, const char *says)
{
	struct view *v = mirror(store, was);
	struct shape *s = shape_of(now);
	struct buf why = BUF_INIT;
	enum mirror_change change = mirror_compare(v, &v->mirrors[0], s, &why);

	ck_assert_msg(change == expected && strcmp(buf_cstr(&why), says) == 0,
		      "%s: %s, now %s: %d, '%s'", store, was, now, change, buf_cstr(&why));
	buf_done(&why);
	shape_unref(s);
	view_free(v);
}

START_TEST(test_changes)
{
	check_change("sqlite", "id int!, a int", "id int!, a int", MIRROR_SAME, "");
	check_change("sqlite", "id int!, a int", "id int!, A int", MIRROR_SAME, "");
	check_change("sqlite", "id int!, a varchar", "id int!, a longer", MIRROR_SAME, "");
	check_change("sqlite", "id int!, a int", "a int, id int!", MIRROR_SAME, "");
	check_change("sqlite", "id int!, a int", "id int!, b date, a int", MIRROR_ADDED,
		     "column b is new");
	check_change("sqlite", "id int!, a int", "id int!", MIRROR_OTHER, "column a is gone");
	check_change("sqlite", "id int!, a int", "id int!, b int", MIRROR_OTHER,
		     "column b is new, column a is gone");
	check_change("sqlite", "id int!, a int", "id int!, a bigint", MIRROR_OTHER,
		     "column a has another type");
	check_change("sqlite", "id int!, a bigint", "id int!, a unsigned", MIRROR_OTHER,
		     "column a has another type");
	check_change("sqlite", "id int!, a varchar", "id int!, a varbinary", MIRROR_OTHER,
		     "column a has another type");
	check_change("sqlite", "id int!, a int", "id int!, a int!", MIRROR_OTHER,
		     "the primary key has changed");
	check_change("sqlite", "id int!, a int!", "id int, a int!", MIRROR_OTHER,
		     "the primary key has changed");
	check_change("sqlite", "id int!, a int!", "a int!, id int!", MIRROR_OTHER,
		     "the primary key has changed");
}
END_TEST

/* A column that comes with a name that the view has made for itself. */
START_TEST(test_columns_that_take_a_name)
{
	static const char says[] = "column %s is new, it has the name of one that the view makes";
	char text[200];

	snprintf(text, sizeof(text), says, "exact_values");
	check_change("postgresql", "id int!", "id int!, exact_values int", MIRROR_OTHER, text);
	check_change("sqlite", "id int!", "id int!, exact_values int", MIRROR_ADDED,
		     "column exact_values is new");
	snprintf(text, sizeof(text), says, "G_wkb");
	check_change("sqlite", "id int!, g geometry", "id int!, g geometry, G_wkb int",
		     MIRROR_OTHER, text);
	check_change("sqlite", "id int!, g geometry", "id int!, g geometry, g_wk int", MIRROR_ADDED,
		     "column g_wk is new");
}
END_TEST

static void check_added(const char *store, const char *was, const char *now, const char *expected)
{
	struct view *v = mirror(store, was);
	struct shape *s = shape_of(now);
	struct buf sql = BUF_INIT;

	mirror_add_columns_sql(v, &v->mirrors[0], s, &sql);
	ck_assert_str_eq(buf_cstr(&sql), expected);
	buf_done(&sql);
	shape_unref(s);
	view_free(v);
}

START_TEST(test_added_columns)
{
	check_added("postgresql", "id int!", "id int!, a decimal",
		    "ALTER TABLE \"t\" ADD COLUMN \"a\" numeric(10,2);\n");
	check_added("sqlite", "id int!", "id int!, g_srid int, g geometry",
		    "ALTER TABLE \"t\" ADD COLUMN \"g_srid\" INTEGER;\n"
		    "ALTER TABLE \"t\" ADD COLUMN \"g_srid_\" INTEGER;\n"
		    "ALTER TABLE \"t\" ADD COLUMN \"g_wkb\" BLOB;\n");
}
END_TEST

START_TEST(test_refused)
{
	static const struct {
		const char *store, *topic, *columns, *more, *says;
	} bad[] = {
		{ "sqlite", "n.d.t", "id int", "", "table d.t has no primary key" },
		{ "sqlite", "n.d.t", "id int!", "key.t = nosuch",
		  "view.conf:4: table d.t has no column nosuch" },
		{ "sqlite", "n.d.t", "id int!, g geometry", "key.t = g_wkb",
		  "view.conf:4: g_wkb of table d.t can't be a key" },
		{ "sqlite", "n.d.millrace_t", "id int!", "", "names like its own are the store's" },
		{ "sqlite", "n.d.SQLITE_t", "id int!", "", "names like its own are the store's" },
		{ "sqlite", "n.d.touched_x20t", "id int!", "",
		  "names like its own are the store's" },
		{ "sqlite", "UserJoined", "id int!", "",
		  "UserJoined is no topic of rows: kind = mirror reads tables" },
		{ "sqlite", "d.t", "id int!", "", "d.t is no topic of rows" },
		{ "dynamodb", "n.d.t", "id int!", "", "kind = mirror: store dynamodb has no SQL" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct view *v =
			read_view(bad[i].store, bad[i].topic, bad[i].columns, bad[i].more, &e);

		ck_assert_msg(v == NULL, "case %zu is taken", i);
		ck_assert_msg(e.kind == ERR_CONFIG && strstr(e.msg, bad[i].says) != NULL,
			      "case %zu: '%s' is not in: %s", i, bad[i].says, e.msg);
	}
}
END_TEST

START_TEST(test_two_tables_of_one_name)
{
	struct shape *shape = shape_of("id int!");
	struct view_files files = { 0 };
	struct buf schema = BUF_INIT;
	struct err e = ERR_INIT;
	struct view *v;

	ck_assert_int_eq(row_schema_envelope("n", shape, &schema, &e), 0);
	view_files_add(&files, "shape/n.d.t.avsc", xstrdup(buf_cstr(&schema)));
	view_files_add(&files, "shape/n.e.T.avsc", buf_cstr(&schema));
	view_files_add(&files, "view.conf", xstrdup("kind = mirror\ninputs = n.d.t, n.e.T\n"));
	shape_unref(shape);
	ck_assert_int_lt(view_from_files("v", "v", &files, &v, &e), 0);
	ck_assert_msg(strstr(e.msg, "tables d.t and e.T have one name") != NULL, "%s", e.msg);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mirror");

	unit_test(s, test_names);
	unit_test(s, test_changes);
	unit_test(s, test_columns_that_take_a_name);
	unit_test(s, test_added_columns);
	unit_test(s, test_refused);
	unit_test(s, test_two_tables_of_one_name);
	return unit_run(s);
}
