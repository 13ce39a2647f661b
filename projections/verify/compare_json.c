/* compare_json.c - what a comparison found, as JSON: the form that `--json`, the diff of a replay
 * and the page's feed have. */
#include "projections/verify/compare.h"

#include "core/base/quote.h"

static void add_value(const struct value *v, struct buf *out)
{
	struct buf text = BUF_INIT;

	value_text(v, &text);
	quote_json(out, buf_slice(&text));
	buf_done(&text);
}

static void add_names_json(char *const *names, size_t count, struct buf *out)
{
	buf_add_u8(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		quote_json(out, slice_str(names[i]));
	}
	buf_add_u8(out, ']');
}

static void add_key(const struct compare_table *t, const struct row_copy *row, struct buf *out)
{
	buf_add_u8(out, '{');
	for (size_t i = 0; i < t->key_count; i++) {
		quote_json_key(out, t->columns[t->key[i]]);
		add_value(&row->values[t->key[i]], out);
	}
	buf_add_u8(out, '}');
}

static void add_row(const struct compare_table *t, const struct row_copy *row, struct buf *out)
{
	buf_add_u8(out, '{');
	for (size_t i = 0; i < t->column_count; i++) {
		quote_json_key(out, t->columns[i]);
		add_value(&row->values[i], out);
	}
	buf_add_u8(out, '}');
}

static void add_changed(const struct compare_table *t, const struct compare_sample *s,
			struct buf *out)
{
	buf_add_str(out, "{\"key\":");
	add_key(t, &s->left, out);
	buf_add_str(out, ",\"columns\":{");
	for (size_t i = 0; i < t->column_count; i++) {
		if (normal_equal(t->classes[i], &s->left.values[i], &s->right.values[i]))
			continue;
		quote_json_key(out, t->columns[i]);
		buf_add_u8(out, '[');
		add_value(&s->left.values[i], out);
		buf_add_u8(out, ',');
		add_value(&s->right.values[i], out);
		buf_add_u8(out, ']');
	}
	buf_add_str(out, "}}");
}

static void add_samples(const struct compare_table *t, enum compare_kind kind, struct buf *out)
{
	buf_add_u8(out, '[');
	for (int64_t i = 0; i < t->counts[kind] && i < COMPARE_SAMPLES_MAX; i++) {
		const struct compare_sample *s = &t->samples[kind][i];

		if (i > 0)
			buf_add_u8(out, ',');
		if (kind == COMPARE_CHANGED)
			add_changed(t, s, out);
		else
			add_row(t, kind == COMPARE_ONLY_LEFT ? &s->left : &s->right, out);
	}
	buf_add_u8(out, ']');
}

static void add_table_json(const struct compare_table *t, struct buf *out)
{
	static const char *const names[] = { "only_left", "only_right", "changed" };
	char *key[64];
	size_t keys = t->key_count < 64 ? t->key_count : 64;

	for (size_t i = 0; i < keys; i++)
		key[i] = t->columns[t->key[i]];
	buf_add_str(out, "{\"table\":");
	quote_json(out, slice_str(t->name));
	buf_add_str(out, ",\"key\":");
	add_names_json(key, keys, out);
	buf_add_str(out, ",\"columns\":");
	add_names_json(t->columns, t->column_count, out);
	if (t->note != NULL) {
		quote_json_key(out, "note");
		quote_json(out, slice_str(t->note));
	}
	buf_add_format(out, ",\"left_rows\":%lld,\"right_rows\":%lld", (long long)t->left_rows,
		       (long long)t->right_rows);
	for (int k = 0; k < 3; k++)
		buf_add_format(out, ",\"%s\":%lld", names[k], (long long)t->counts[k]);
	if (t->late > 0)
		buf_add_format(out, ",\"late\":%lld", (long long)t->late);
	buf_add_str(out, ",\"changed_columns\":{");
	for (size_t i = 0; i < t->column_count; i++) {
		if (t->column_changes[i] == 0)
			continue;
		quote_json_key(out, t->columns[i]);
		buf_add_format(out, "%lld", (long long)t->column_changes[i]);
	}
	buf_add_str(out, "},\"samples\":{");
	for (int k = 0; k < 3; k++) {
		quote_json_key(out, names[k]);
		add_samples(t, (enum compare_kind)k, out);
	}
	buf_add_str(out, "}}");
}

void compare_json(const struct compare *c, struct buf *out)
{
	buf_add_format(
		out,
		"{\"left\":\"%s\",\"right\":\"%s\",\"rows\":%lld,\"differences\":%lld,\"tables\":[",
		c->left, c->right, (long long)compare_rows(c), (long long)compare_differences(c));
	for (size_t i = 0; i < c->table_count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		add_table_json(&c->tables[i], out);
	}
	buf_add_str(out, "]}");
}
