/* view_new_dynamo.c - a view's skeleton for DynamoDB: tables.json and item templates in place of
 * SQL. Decimals and floating-point numbers are numbers there: exact up to 38 digits, and what is
 * beyond is parked. */
#include "cli/view_new.h"

#include "core/base/quote.h"
#include "core/dynamo/dynamo_tables.h"

#include <string.h>

static const char *type_of(enum new_form form)
{
	switch (form) {
	case FORM_NUMBER:
	case FORM_DECIMAL:
	case FORM_REAL:
		return "number";
	case FORM_TEXT:
		return "string";
	case FORM_BYTES:
		return "binary";
	}
	return "string";
}

int view_new_check_dynamo(const struct new_folder *f, struct err *e)
{
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++)
		count += f->columns[i].key;
	if (count <= DYNAMO_KEY_MAX)
		return 0;
	err_config(e, "the key of %s has %zu columns, DynamoDB's have %d at most", f->table, count,
		   DYNAMO_KEY_MAX);
	return err_hint(e, "Say which one or two columns tell its rows apart: --key A,B. Or keep "
			   "the view in another store.");
}

static void add_names(const struct new_folder *f, struct buf *out)
{
	bool first = true;

	for (size_t i = 0; i < f->count; i++) {
		if (!f->columns[i].key)
			continue;
		buf_add_str(out, first ? "" : ", ");
		quote_json(out, slice_str(f->columns[i].name));
		first = false;
	}
}

void view_new_tables_json(const struct new_folder *f, struct buf *out)
{
	buf_add_str(out, "{ ");
	quote_json(out, slice_str(f->table));
	buf_add_str(out, ": {\n    \"key\": [");
	add_names(f, out);
	buf_add_str(out, "],\n    \"attributes\": {\n");
	for (size_t i = 0; i < f->count; i++) {
		buf_add_str(out, "      ");
		quote_json(out, slice_str(f->columns[i].name));
		buf_add_format(out, ": \"%s\"%s\n", type_of(f->columns[i].form),
			       i + 1 < f->count ? "," : "");
	}
	buf_add_str(out, "    } } }\n");
}

/* "a": ":a" for all columns, or the key's, a line each. */
static void add_operands(const struct new_folder *f, bool key_only, struct buf *out)
{
	bool first = true;

	for (size_t i = 0; i < f->count; i++) {
		struct buf parameter = BUF_INIT;

		if (key_only && !f->columns[i].key)
			continue;
		buf_add_str(out, first ? "\n    " : ",\n    ");
		quote_json(out, slice_str(f->columns[i].name));
		buf_add_str(out, ": ");
		view_new_parameter(f->columns[i].name, &parameter);
		quote_json(out, buf_slice(&parameter));
		buf_done(&parameter);
		first = false;
	}
}

/* One that may find the item: a row that was copied comes once more when it is reconciled. */
void view_new_put_json(const struct new_folder *f, struct buf *out)
{
	buf_add_str(out, "[ { \"put\": ");
	quote_json(out, slice_str(f->table));
	buf_add_str(out, ", \"item\": {");
	add_operands(f, false, out);
	buf_add_str(out, " } } ]\n");
}

void view_new_delete_json(const struct new_folder *f, bool all, struct buf *out)
{
	buf_add_str(out, all ? "[ { \"clear\": " : "[ { \"delete\": ");
	quote_json(out, slice_str(f->table));
	if (!all) {
		buf_add_str(out, ", \"key\": {");
		add_operands(f, true, out);
		buf_add_str(out, " }");
	}
	buf_add_str(out, " } ]\n");
}
