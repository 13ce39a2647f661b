/* test_state.c - the file of a row topic's last state, without the topic: images that are counted,
 * links by the columns of a foreign key. */
#include "cdc/copy/state_priv.h"
#include "cdc/source/spool.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/test_state_XXXXXX";
static struct settings settings = { .name = "x", .state_dir = folder };

/* (id int, `p``q` int null); key: id, or none */
static struct shape *shape_of(bool keyed)
{
	struct shape *s = shape_new("db", "t", 2);

	s->columns[0] = (struct column){ .name = strdup("id"), .type = COLUMN_LONG };
	s->columns[1] =
		(struct column){ .name = strdup("p`q"), .type = COLUMN_LONG, .nullable = true };
	s->key = calloc(1, sizeof(*s->key));
	s->key_count = keyed;
	return s;
}

static struct state *open_state(bool keyed, const char *topic)
{
	struct shape *shape = shape_of(keyed);
	struct state *s = NULL;
	struct err e = ERR_INIT;

	ck_assert_msg(state_open(&settings, NULL, topic, "", shape, &s, &e) == 0, "%s", e.msg);
	ck_assert_msg(state_open_file(s, &e) == 0, "%s", e.msg);
	shape_unref(shape);
	return s;
}

struct row {
	int32_t id, p;
	bool null;
};

static void cells_of(const struct row *row, struct cell *cells)
{
	cells[0] = (struct cell){ (const uint8_t *)&row->id, 4, CELL_VALUE };
	cells[1] = (struct cell){ (const uint8_t *)&row->p, 4, CELL_VALUE };
	if (row->null)
		cells[1] = (struct cell){ NULL, 0, CELL_NULL };
}

/* ---- counted -------------------------------------------------------------------------------- */

static void image_of(const struct row *row, struct buf *image)
{
	buf_reset(image);
	buf_add_u8(image, row->null ? 0xfe : 0xfc);
	buf_add(image, &row->id, 4);
	if (!row->null)
		buf_add(image, &row->p, 4);
}

static void add(struct state *s, const struct row *row, int partition, int n)
{
	struct cell cells[2];
	struct err e = ERR_INIT;

	cells_of(row, cells);
	ck_assert_msg(state_count_cells(s, partition, cells, n, &e) == 0, "%s", e.msg);
}

#define IDS 6

/* Random rows on both sides, in several partitions: what differs is what counting by hand says. */
START_TEST(test_counted)
{
	int have[IDS][3] = { { 0 } }, seen[IDS][3] = { { 0 } };
	struct state *s = open_state(false, "counted");
	struct buf image = BUF_INIT;
	struct err e = ERR_INIT;
	struct cell cells[2];
	struct slice found;
	int64_t n;

	unit_seed();
	ck_assert(spool_new(folder, &s->spool, &e) == 0);
	for (int i = 0; i < 400; i++) {
		struct row row = { (int)unit_random_below(IDS), (int)unit_random_below(2), false };
		int which = (int)unit_random_below(3),
		    sign = (int)unit_random_below(3) == 0 ? -1 : 1;

		row.null = which == 2;
		row.p = which;
		if ((int)unit_random_below(2) == 0) {
			add(s, &row, (int)unit_random_below(3), sign);
			have[row.id][which] += sign;
		} else {
			image_of(&row, &image);
			ck_assert(spool_add(s->spool, buf_slice(&image), &e) == 0);
			seen[row.id][which]++;
		}
	}
	ck_assert(spool_rewind(s->spool, &e) == 0);
	ck_assert_msg(state_count_spool(s, &e) == 0, "%s", e.msg);
	while (state_differ(s, &found, &n, &e) == 1) {
		int32_t id, p = 2;

		ck_assert(state_image_cells(s, found, cells, &e) == 0);
		memcpy(&id, cells[0].data, 4);
		if (cells[1].state == CELL_VALUE)
			memcpy(&p, cells[1].data, 4);
		ck_assert_int_eq(n, have[id][p] - seen[id][p]);
		ck_assert_int_ne(n, 0);
		have[id][p] = seen[id][p] = 0;
	}
	ck_assert_int_eq(e.kind, ERR_NONE);
	for (int i = 0; i < IDS * 3; i++)
		ck_assert_int_eq(have[i / 3][i % 3], seen[i / 3][i % 3]);
	buf_done(&image);
	state_close(s);
}
END_TEST

/* ---- links ---------------------------------------------------------------------------------- */

static void link_row(struct state *s, const struct row *row, bool gone)
{
	char key[8];
	struct cell cells[2];
	struct err e = ERR_INIT;

	(void)snprintf(key, sizeof(key), "k%d", row->id);
	cells_of(row, cells);
	ck_assert((gone ? state_unlink_row : state_link_row)(s, slice_str(key), cells, &e) == 0);
}

static size_t follow(struct state *s, int32_t p, char *last)
{
	struct shape view;
	uint16_t column = 1;
	struct buf value = BUF_INIT, after = BUF_INIT;
	struct cell cells[2];
	struct row row = { 0, p, false };
	struct err e = ERR_INIT;
	size_t count = 0;

	view = state_view(s->shape, &column, 1);
	cells_of(&row, cells);
	ck_assert(key_from_cells(&view, cells, NULL, &value, &e) == 0);
	(void)buf_reserve(&after, 1);
	while (state_linked(s, "`p``q`", buf_slice(&value),
			    slice_of(after.data != NULL ? after.data : (uint8_t *)"", after.size),
			    &after, &e) == 1)
		(void)snprintf(last, 8, "%s", (count++, buf_cstr(&after)));
	ck_assert_msg(e.kind == ERR_NONE, "%s", e.msg);
	buf_done(&value);
	buf_done(&after);
	return count;
}

START_TEST(test_links)
{
	struct state *s = open_state(true, "links");
	struct err e = ERR_INIT;
	char last[8] = "";
	uint16_t columns[KEY_PARTS_MAX];

	ck_assert_uint_eq(state_columns(s->shape, "`p``q`,`id`", columns), 2);
	ck_assert_uint_eq(columns[0], 1);
	ck_assert_uint_eq(state_columns(s->shape, "`p`", columns), 0);
	ck_assert_uint_eq(state_columns(s->shape, "p", columns), 0);
	state_want_link(s, "`p``q`");
	ck_assert_msg(state_make_link(s, &e) == 0, "%s", e.msg);
	for (int32_t i = 0; i < 30; i++)
		link_row(s, &(struct row){ i, i % 3, i % 5 == 0 }, false);
	ck_assert_uint_eq(follow(s, 1, last), 8); /* 1, 4, 7, 13, 16, 19, 22, 28: not 10, 25 */
	ck_assert_str_eq(last, "k7");             /* in the order of keys */
	link_row(s, &(struct row){ 7, 1, false }, true);
	ck_assert_uint_eq(follow(s, 1, last), 7);
	ck_assert_uint_eq(follow(s, 9, last), 0);
	state_close(s);
	s = open_state(true, "links"); /* they are kept */
	ck_assert_uint_eq(follow(s, 1, last), 7);
	state_close(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	char *path;
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	unit_test(suite, test_counted);
	unit_test(suite, test_links);
	rc = unit_run(suite);
	path = malloc(sizeof(folder) + 20);
	(void)snprintf(path, sizeof(folder) + 20, "rm -r %s", folder);
	rc |= system(path) != 0;
	free(path);
	return rc;
}
