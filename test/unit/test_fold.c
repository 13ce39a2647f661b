/* test_fold.c - the first copy against a model: a random table, a random stream of changes (also of
 * keys) with a reader that lags behind at random, windows opened, narrowed and given up at random,
 * each SELECT at a random point between the window's opening and the head. At every step the
 * delivered rows below the border must be the table as the reader has reached it, every row's first
 * record must be a creation, and in the end all must be equal. */
#include "cdc/copy/fold.h"
#include "test/unit/unit.h"

#include <string.h>

/* check writes a mark for every assertion, which would be most of the time spent here. */
#define MUST(condition, ...)                       \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

#define KEYS 60
#define CHANGES 4000
#define WINDOWS 4

struct model_change {
	int before, after; /* keys, -1: none */
	uint32_t before_value, value;
};

struct model {
	uint32_t head[KEYS];   /* 0: no row */
	uint32_t stream[KEYS]; /* the table where the reader is */
	uint32_t delivered[KEYS];
	struct model_change log[CHANGES];
	size_t log_count, read;
	struct fold *fold;
	int low; /* the last key copied */
	struct window {
		bool selected;
		size_t point;  /* its SELECT's place in the log */
		int low, high; /* high KEYS: open end */
		uint32_t snapshot[KEYS];
	} windows[WINDOWS]; /* open, from the first to the last */
	size_t window_count;
	int64_t creates, reads;
};

static size_t key_bytes(int key, uint8_t *out)
{
	size_t size =
		1 +
		(size_t)key %
			3; /* keys of different lengths, still in order: the first byte decides */

	memset(out, 0x55, 3);
	out[0] = (uint8_t)key;
	return size;
}

/* ---- the source ----------------------------------------------------------------------------- */

static void write_some(struct model *m)
{
	struct model_change c = { -1, -1, 0, 0 };
	int a = (int)unit_random_below(KEYS), b = (int)unit_random_below(KEYS);
	uint32_t value = 1 + (uint32_t)m->log_count;

	if (m->log_count == CHANGES)
		return;
	if (m->head[a] == 0) {
		c.after = a;
	} else if (unit_random_below(3) == 0) {
		c.before = a;
	} else {
		c.before = a;
		c.after = a == b || m->head[b] != 0 ? a : b;
	}
	if (c.before >= 0) {
		c.before_value = m->head[c.before];
		m->head[c.before] = 0;
	}
	if (c.after >= 0)
		m->head[c.after] = c.value = value;
	m->log[m->log_count++] = c;
}

/* ---- the consumer --------------------------------------------------------------------------- */

static void create(struct model *m, int key, uint32_t value)
{
	MUST(m->delivered[key] == 0, "key %d was created twice", key);
	m->delivered[key] = value;
	m->creates++;
}

static void delete (struct model *m, int key, uint32_t value)
{
	MUST(m->delivered[key] == value, "key %d: deletes %u, delivered is %u", key, value,
	     m->delivered[key]);
	m->delivered[key] = 0;
}

static int read_row(void *context, struct slice image, bool folded, void *e)
{
	struct model *m = context;
	uint32_t key_value[2];

	(void)folded;
	(void)e;
	MUST(image.size == sizeof(key_value), "an image of %zu bytes", image.size);
	memcpy(key_value, image.data, sizeof(key_value));
	create(m, (int)key_value[0], key_value[1]);
	m->reads++;
	return 0;
}

static void check_copied(const struct model *m)
{
	struct slice low;

	if (!fold_low(m->fold, &low) && !fold_done(m->fold))
		return;
	for (int k = 0; k < KEYS; k++)
		if (fold_done(m->fold) || k <= m->low)
			MUST(m->delivered[k] == m->stream[k],
			     "key %d: delivered %u, the table had %u", k, m->delivered[k],
			     m->stream[k]);
		else
			MUST(m->delivered[k] == 0, "key %d was delivered before its chunk", k);
}

/* ---- capture -------------------------------------------------------------------------------- */

static void read_change(struct model *m)
{
	const struct model_change *c = &m->log[m->read];
	uint8_t before_bytes[3], after_bytes[3];
	uint32_t image[2] = { (uint32_t)c->after, c->value };
	struct slice before = { before_bytes, 0 }, after = { after_bytes, 0 };
	enum fold_answer answer;

	if (m->read == m->log_count)
		return;
	m->read++;
	if (c->before >= 0)
		before.size = key_bytes(c->before, before_bytes);
	if (c->after >= 0)
		after.size = key_bytes(c->after, after_bytes);
	answer = fold_change(m->fold, c->before >= 0 ? &before : NULL,
			     c->after >= 0 ? &after : NULL, slice_of(image, sizeof(image)));
	if (c->before >= 0)
		m->stream[c->before] = 0;
	if (c->after >= 0)
		m->stream[c->after] = c->value;
	if (c->before >= 0 && (answer == FOLD_FLOW || answer == FOLD_AS_DELETE))
		delete (m, c->before, c->before_value);
	if (c->after >= 0 && (answer == FOLD_FLOW || answer == FOLD_AS_CREATE))
		create(m, c->after, c->value);
	check_copied(m);
}

static int edge_of(const struct model *m)
{
	return m->window_count > 0 ? m->windows[m->window_count - 1].high : m->low;
}

static void open_window(struct model *m)
{
	struct window *w = &m->windows[m->window_count];
	uint8_t bytes[3];
	struct slice high = { bytes, 0 };

	w->low = edge_of(m);
	w->high = w->low + 1 + (int)unit_random_below(15);
	if (w->high >= KEYS - 1)
		w->high = KEYS;
	else
		high.size = key_bytes(w->high, bytes);
	w->selected = false;
	(void)fold_open(m->fold, w->high == KEYS ? NULL : &high, m);
	m->window_count++;
}

/* Those behind it go first. */
static void give_up(struct model *m, size_t window)
{
	while (m->window_count > window) {
		fold_abandon_last(m->fold);
		m->window_count--;
	}
}

/* The head is between the window's opening and now; the reader may be anywhere before it. */
static void take_snapshot(struct model *m, size_t window)
{
	struct window *w = &m->windows[window];
	uint8_t bytes[3];

	memcpy(w->snapshot, m->head, sizeof(w->snapshot));
	w->point = m->log_count;
	w->selected = true;
	if (unit_random_below(4) != 0 || w->high <= w->low + 2)
		return;
	give_up(m, window + 1); /* too many bytes: a smaller chunk */
	w->high = w->low + 1 +
		  (int)unit_random_below(
			  (uint64_t)((w->high < KEYS ? w->high : KEYS - 1) - w->low - 1));
	fold_narrow(m->fold, fold_last(m->fold), slice_of(bytes, key_bytes(w->high, bytes)));
}

static void emit(struct model *m)
{
	static uint8_t keys[KEYS][3];
	static uint32_t images[KEYS][2];
	struct fold_select rows[KEYS];
	struct window *w = &m->windows[0];
	size_t count = 0;

	for (int k = w->low + 1; k <= w->high && k < KEYS; k++) {
		if (w->snapshot[k] == 0)
			continue;
		images[k][0] = (uint32_t)k;
		images[k][1] = w->snapshot[k];
		rows[count].key = slice_of(keys[k], key_bytes(k, keys[k]));
		rows[count++].image = slice_of(images[k], sizeof(images[k]));
	}
	ck_assert_int_eq(fold_merge(m->fold, rows, count, read_row, m, NULL), 0);
	m->low = w->high;
	fold_close(m->fold);
	check_copied(m);
}

/* The windows behind it stay open: the model's list moves up. */
static void take_out_first(struct model *m)
{
	emit(m);
	m->window_count--;
	memmove(m->windows, m->windows + 1, m->window_count * sizeof(m->windows[0]));
}

static void step_copy(struct model *m)
{
	size_t at;

	if (fold_done(m->fold))
		return;
	if (m->window_count < WINDOWS && edge_of(m) != KEYS && unit_random_below(2) == 0) {
		open_window(m);
		return;
	}
	if (m->window_count == 0)
		return;
	at = unit_random_below(m->window_count);
	if (!m->windows[at].selected)
		take_snapshot(m, at);
	else if (unit_random_below(10) == 0)
		give_up(m, at);
	else if (m->windows[0].selected && m->read >= m->windows[0].point)
		take_out_first(m);
}

static void run_model(void)
{
	struct model *m = calloc(1, sizeof(*m));
	uint64_t writes = 1 + unit_random_below(60), reads = 1 + unit_random_below(60),
		 copies = 1 + unit_random_below(20);

	m->fold = fold_new();
	m->low = -1;
	for (size_t i = 0; i < 100; i++)
		write_some(m);
	while (m->log_count < CHANGES || m->read < m->log_count || !fold_done(m->fold)) {
		uint64_t dice = unit_random_below(writes + reads + copies);

		if (dice < writes)
			write_some(m);
		else if (dice < writes + reads)
			read_change(m);
		else
			step_copy(m);
	}
	ck_assert_mem_eq(m->delivered, m->head, sizeof(m->head));
	fold_free(m->fold);
	free(m);
}

START_TEST(test_fold_model)
{
	unit_seed();
	for (size_t i = 0; i < 300; i++)
		run_model();
}
END_TEST

/* A key that is changed again and again must not grow the fold: dead images are packed away. */
START_TEST(test_fold_is_packed)
{
	struct fold *f = fold_new();
	struct fold_window *w = fold_open(f, NULL, NULL);
	uint8_t image[1000] = { 0 };
	struct slice key = slice_str("k");

	for (size_t i = 0; i < 10000; i++)
		ck_assert_int_eq(fold_change(f, &key, &key, slice_of(image, sizeof(image))),
				 FOLD_DROP);
	ck_assert_uint_lt(fold_bytes(w), 200000);
	fold_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fold");

	unit_test_slow(s, test_fold_model, 60);
	unit_test(s, test_fold_is_packed);
	return unit_run(s);
}
