/* Shapes: references, equality field by field, names. */
#include "core/base/mem.h"
#include "core/value/shape.h"
#include "test/unit/unit.h"

static struct shape *sample(void)
{
	struct shape *s = shape_new("shop", "member", 3);

	s->columns[0] =
		(struct column){ .name = xstrdup("id"), .type = COLUMN_LONG, .is_unsigned = true };
	s->columns[1] = (struct column){
		.name = xstrdup("status"), .type = COLUMN_ENUM, .pack_bytes = 1, .label_count = 2
	};
	s->columns[1].labels = xcalloc(2, sizeof(char *));
	s->columns[1].labels[0] = xstrdup("active");
	s->columns[1].labels[1] = xstrdup("");
	s->columns[2] = (struct column){
		.name = xstrdup("price"), .type = COLUMN_NEWDECIMAL, .precision = 10, .scale = 2
	};
	s->key = xcalloc(1, sizeof(*s->key));
	s->key_count = 1;
	return s;
}

START_TEST(test_references)
{
	struct shape *s = sample();

	ck_assert_ptr_eq(shape_ref(s), s);
	shape_unref(s);
	ck_assert_str_eq(s->columns[1].labels[0], "active");
	shape_unref(s);
	shape_unref(NULL);
}
END_TEST

START_TEST(test_packed)
{
	struct shape *bare = shape_pack(shape_new("d", "t", 0));
	struct shape *s = sample(), *packed = shape_pack(sample());

	ck_assert(shape_equal(s, packed));
	ck_assert_str_eq(packed->db, "shop");
	ck_assert_str_eq(packed->columns[1].labels[0], "active");
	ck_assert_str_eq(packed->columns[1].labels[1], "");
	ck_assert_ptr_null(packed->columns[2].labels);
	ck_assert_int_eq(packed->key[0], 0);
	ck_assert_ptr_eq(shape_ref(packed), packed);
	shape_unref(packed);
	ck_assert_int_eq(shape_column(packed, slice_str("price")), 2);
	shape_unref(packed);
	shape_unref(s);
	ck_assert_str_eq(bare->table, "t");
	shape_unref(bare);
}
END_TEST

START_TEST(test_column)
{
	struct shape *s = sample();

	ck_assert_int_eq(shape_column(s, slice_str("price")), 2);
	ck_assert_int_eq(shape_column(s, slice_str("Price")), -1);
	ck_assert_int_eq(shape_column(s, slice_str("pric")), -1);
	ck_assert_int_eq(shape_column(s, slice_str("")), -1);
	shape_unref(s);
}
END_TEST

static void replace(char **text, const char *with)
{
	free(*text);
	*text = xstrdup(with);
}

/* Changes one thing; the same number always the same thing. */
static bool change(struct shape *s, int what)
{
	struct column *c = &s->columns[1];

	switch (what) {
	case 0:
		replace(&s->db, "shop2");
		return true;
	case 1:
		replace(&s->table, "members");
		return true;
	case 2:
		replace(&c->name, "Status");
		return true;
	case 3:
		replace(&c->labels[1], "x");
		return true;
	case 4:
		c->type = COLUMN_SET;
		return true;
	case 5:
		c->nullable = true;
		return true;
	case 6:
		s->columns[0].is_unsigned = false;
		return true;
	case 7:
		c->is_binary = true;
		return true;
	case 8:
		c->collation = 45;
		return true;
	case 9:
		c->size_max = 1;
		return true;
	case 10:
		s->columns[2].precision = 11;
		return true;
	case 11:
		s->columns[2].scale = 3;
		return true;
	case 12:
		c->fraction = 1;
		return true;
	case 13:
		c->bits = 1;
		return true;
	case 14:
		c->pack_bytes = 2;
		return true;
	case 15:
		s->key[0] = 1;
		return true;
	case 16:
		s->key_count = 0;
		return true;
	default:
		return false;
	}
}

START_TEST(test_equal)
{
	struct shape *a = sample();
	int what = 0;

	for (;; what++) {
		struct shape *b = sample();
		bool changed = change(b, what);

		ck_assert_msg(shape_equal(a, b) == !changed, "change %d", what);
		ck_assert(shape_equal(b, b));
		shape_unref(b);
		if (!changed)
			break;
	}
	ck_assert_int_eq(what, 17);
	shape_unref(a);
}
END_TEST

START_TEST(test_type_text)
{
	static const struct {
		struct column c;
		const char *text;
	} all[] = {
		{ { .type = COLUMN_LONG, .is_unsigned = true }, "int unsigned" },
		{ { .type = COLUMN_NEWDECIMAL, .precision = 10, .scale = 2 }, "decimal(10,2)" },
		{ { .type = COLUMN_VARCHAR, .size_max = 40 }, "varchar" },
		{ { .type = COLUMN_STRING, .is_binary = true }, "binary" },
		{ { .type = COLUMN_BLOB, .size_max = 3 }, "mediumtext" },
		{ { .type = COLUMN_BLOB, .size_max = 2, .is_binary = true }, "blob" },
		{ { .type = COLUMN_DATETIME2, .fraction = 3 }, "datetime(3)" },
		{ { .type = COLUMN_BIT, .bits = 9 }, "bit(9)" },
		{ { .type = 99 }, "type 99" },
	};
	char out[40];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ck_assert_str_eq(column_type_text(&all[i].c, out, sizeof(out)), all[i].text);
	ck_assert_str_eq(column_type_text(&all[0].c, out, 4), "int");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shape");

	unit_test(s, test_references);
	unit_test(s, test_packed);
	unit_test(s, test_column);
	unit_test(s, test_equal);
	unit_test(s, test_type_text);
	return unit_run(s);
}
