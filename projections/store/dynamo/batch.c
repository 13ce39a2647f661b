/* batch.c - operations gathered into one change for each item.
 *
 * One of DynamoDB's transactions may touch an item once. So operations on one item become one
 * change, in their order: what comes last wins, an update goes into the put before it, and an
 * update behind a delete is a put of what it sets. Changes of different items may be carried out in
 * any order.
 *
 * A change is a row of cells, one for each attribute of its table: JSON in `data`, ready to be
 * sent. Nothing is allocated for an operation once the buffers have grown. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define KEY_MAX 2048      /* bytes of a partition key */
#define SORT_KEY_MAX 1024 /* and of a sort key */
#define ACTION_SIZE 300   /* of JSON around the values of one, about */

void batch_done(struct batch *b)
{
	buf_done(&b->data);
	free(b->cells);
	*b = (struct batch){ 0 };
}

void batch_reset(struct batch *b)
{
	buf_reset(&b->data);
	b->cell_count = 0;
	b->count = 0;
	memset(b->index, 0, sizeof(b->index));
}

static struct slice cell_text(const struct batch *b, const struct batch_cell *c)
{
	return slice_of(b->data.data + c->offset, c->size);
}

static struct batch_cell *cells_of(const struct batch *b, const struct change *c)
{
	return b->cells + c->cells;
}

static struct change *new_change(struct batch *b, const struct dynamo_table *table)
{
	struct change *c = &b->changes[b->count++];

	if (b->cell_count + table->attribute_count > b->cell_room) {
		b->cell_room = (b->cell_count + table->attribute_count) * 2;
		b->cells = xrealloc(b->cells, b->cell_room * sizeof(*b->cells));
	}
	*c = (struct change){ .table = table, .cells = b->cell_count };
	memset(b->cells + b->cell_count, 0, table->attribute_count * sizeof(*b->cells));
	b->cell_count += table->attribute_count;
	return c;
}

/* ---- one operation --------------------------------------------------------------------------- */

/* Keys, and keys of indexes: the service takes neither empty ones nor longer ones. */
static int check_key(const struct dynamo_table *t, const struct dynamo_key *key, size_t attribute,
		     size_t size, struct err *e)
{
	for (size_t i = 0; i < key->count; i++) {
		if (key->attributes[i] != attribute)
			continue;
		if (size == 0)
			return err_data(e, "table %s: attribute %s is empty, and part of a key",
					t->name, t->attributes[attribute]);
		if (size > (i == 0 ? KEY_MAX : SORT_KEY_MAX))
			return err_data(e,
					"table %s: attribute %s has %zu bytes, and is part of a key"
					" (%d at most)",
					t->name, t->attributes[attribute], size,
					i == 0 ? KEY_MAX : SORT_KEY_MAX);
	}
	return 0;
}

static int check_keys(const struct dynamo_table *t, size_t attribute, size_t size, struct err *e)
{
	if (size > 0 && size <= SORT_KEY_MAX)
		return 0;
	if (check_key(t, &t->key, attribute, size, e) < 0)
		return -1;
	for (size_t i = 0; i < t->index_count; i++) {
		if (check_key(t, &t->indexes[i].key, attribute, size, e) < 0)
			return -1;
	}
	return 0;
}

static const struct value *operand_value(const struct dynamo_operand *o,
					 const struct value *const *values)
{
	return o->kind == OPERAND_PARAMETER ? values[o->parameter] : &o->constant;
}

static int set_cell(struct batch *b, const struct dynamo_table *t, size_t attribute,
		    const struct value *v, struct batch_cell *cell, size_t *size, struct err *e)
{
	size_t at = b->data.size, bytes = 0;

	if (v->kind == VALUE_NULL || v->kind == VALUE_ABSENT) {
		cell->state = CELL_REMOVED;
		return !dynamo_key_has(t, attribute)
			       ? 0
			       : err_data(e, "table %s: attribute %s is NULL, and part of the key",
					  t->name, t->attributes[attribute]);
	}
	if (dynamo_value_write(&b->data, t->types[attribute], v, &bytes, e) < 0)
		return err_wrap(e, "table %s, attribute %s", t->name, t->attributes[attribute]);
	*cell = (struct batch_cell){ .offset = (uint32_t)at,
				     .size = (uint32_t)(b->data.size - at),
				     .state = CELL_SET };
	*size += strlen(t->attributes[attribute]) + bytes;
	return check_keys(t, attribute, bytes, e);
}

/* FNV-1a over table and key. */
static uint64_t hash_of(const struct batch *b, const struct change *c)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)c->table;

	for (size_t i = 0; i < c->table->key.count; i++) {
		struct slice text = cell_text(b, &cells_of(b, c)[c->table->key.attributes[i]]);

		for (size_t k = 0; k < text.size; k++)
			h = (h ^ text.data[k]) * UINT64_C(0x100000001b3);
	}
	return h ^ h >> 29;
}

int batch_set(struct batch *b, const struct dynamo_operation *op, const struct value *const *values,
	      struct err *e)
{
	const struct dynamo_table *t = op->table;
	struct change *c;
	size_t size = 0;

	batch_reset(b);
	c = new_change(b, t);
	c->kind = op->kind;
	for (size_t i = 0; i < t->attribute_count; i++) {
		if (op->operands[i].kind != OPERAND_NONE &&
		    set_cell(b, t, i, operand_value(&op->operands[i], values), &cells_of(b, c)[i],
			     &size, e) < 0)
			return -1;
	}
	if (size > DYNAMO_ITEM_MAX) {
		err_data(e, "table %s: an item of %zu bytes: DynamoDB keeps %d at most", t->name,
			 size, DYNAMO_ITEM_MAX);
		return err_hint(e, "Leave large attributes out of the handler, or keep the view "
				   "in another store.");
	}
	c->hash = hash_of(b, c);
	return 0;
}

/* ---- many ------------------------------------------------------------------------------------ */

static bool same_item(const struct batch *a, const struct change *x, const struct batch *b,
		      const struct change *y)
{
	if (x->hash != y->hash || x->table != y->table)
		return false;
	for (size_t i = 0; i < x->table->key.count; i++) {
		size_t at = x->table->key.attributes[i];
		struct slice p = cell_text(a, &cells_of(a, x)[at]),
			     q = cell_text(b, &cells_of(b, y)[at]);

		if (p.size != q.size || memcmp(p.data, q.data, p.size) != 0)
			return false;
	}
	return true;
}

/* The place of an item in the index: its change's, or the empty one where it would stand. */
static size_t place_of(const struct batch *b, const struct batch *from, const struct change *c)
{
	size_t i = (c->hash >> 8) % BATCH_HASH; /* the lowest bits choose a lane */

	while (b->index[i] != 0 && !same_item(b, &b->changes[b->index[i] - 1], from, c))
		i = (i + 1) % BATCH_HASH;
	return i;
}

static size_t request_size(const struct batch *b)
{
	return b->data.size + b->count * ACTION_SIZE;
}

bool batch_takes(const struct batch *b, const struct batch *from, const struct change *c)
{
	if (b->count > 0 && request_size(b) + from->data.size + ACTION_SIZE > DYNAMO_REQUEST_MAX)
		return false;
	return b->count < STORE_DYNAMO_ITEMS || b->index[place_of(b, from, c)] != 0;
}

bool batch_takes_all(const struct batch *b, const struct batch *from)
{
	size_t more = 0;

	for (size_t i = 0; i < from->count; i++)
		more += b->index[place_of(b, from, &from->changes[i])] == 0;
	return b->count == 0 || (b->count + more <= STORE_DYNAMO_ITEMS &&
				 request_size(b) + request_size(from) <= DYNAMO_REQUEST_MAX);
}

static void copy_cell(struct batch *b, struct batch_cell *to, const struct batch *from,
		      const struct batch_cell *cell)
{
	*to = *cell;
	to->offset = (uint32_t)b->data.size;
	if (cell->state == CELL_SET)
		buf_add_slice(&b->data, cell_text(from, cell));
}

/* What `c` does to an item for which there is a change already. */
static void merge(struct batch *b, struct change *old, const struct batch *from,
		  const struct change *c)
{
	struct batch_cell *to = cells_of(b, old), *cells = cells_of(from, c);

	for (size_t i = 0; i < c->table->attribute_count; i++) {
		if (dynamo_key_has(c->table, i))
			continue;
		if (c->kind != DYNAMO_UPDATE)
			to[i].state = CELL_NONE;
		if (c->kind != DYNAMO_DELETE && cells[i].state != CELL_NONE)
			copy_cell(b, &to[i], from, &cells[i]);
	}
	if (c->kind != DYNAMO_UPDATE)
		old->kind = c->kind;
	else if (old->kind == DYNAMO_DELETE)
		old->kind = DYNAMO_PUT;
}

void batch_add(struct batch *b, const struct batch *from, const struct change *c)
{
	size_t place = place_of(b, from, c);
	struct change *added;

	if (b->index[place] != 0) {
		merge(b, &b->changes[b->index[place] - 1], from, c);
		return;
	}
	added = new_change(b, c->table);
	added->kind = c->kind;
	added->hash = c->hash;
	for (size_t i = 0; i < c->table->attribute_count; i++)
		copy_cell(b, &cells_of(b, added)[i], from, &cells_of(from, c)[i]);
	b->index[place] = (uint8_t)b->count;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

/* {"name":{...},...}: of the key's attributes, or of all that are set. */
static void write_attributes(const struct batch *b, const struct change *c, bool key_only,
			     struct buf *out)
{
	const struct batch_cell *cells = cells_of(b, c);

	buf_add_u8(out, '{');
	for (size_t i = 0; i < c->table->attribute_count; i++) {
		if (cells[i].state != CELL_SET || (key_only && !dynamo_key_has(c->table, i)))
			continue;
		quote_json_key(out, c->table->attributes[i]);
		buf_add_slice(out, cell_text(b, &cells[i]));
	}
	buf_add_u8(out, '}');
}

/* SET #1 = :1, #2 = :2 REMOVE #3; names are never written into it: some are reserved words. */
static void write_expression(const struct batch *b, const struct change *c, struct buf *out)
{
	const struct batch_cell *cells = cells_of(b, c);
	size_t set = 0, removed = 0;

	buf_add_str(out, ",\"UpdateExpression\":\"");
	for (size_t i = 0; i < c->table->attribute_count; i++) {
		if (cells[i].state == CELL_SET && !dynamo_key_has(c->table, i))
			buf_add_format(out, "%s#%zu=:%zu", set++ == 0 ? "SET " : ",", i, i);
	}
	for (size_t i = 0; i < c->table->attribute_count; i++) {
		if (cells[i].state == CELL_REMOVED)
			buf_add_format(out, "%s#%zu", removed++ == 0 ? " REMOVE " : ",", i);
	}
	buf_add_str(out, "\",\"ExpressionAttributeNames\":{");
	for (size_t i = 0, n = 0; i < c->table->attribute_count; i++) {
		if (cells[i].state == CELL_NONE || dynamo_key_has(c->table, i))
			continue;
		buf_add_format(out, "%s\"#%zu\":", n++ > 0 ? "," : "", i);
		quote_json(out, slice_str(c->table->attributes[i]));
	}
	buf_add_u8(out, '}');
	if (set == 0)
		return;
	buf_add_str(out, ",\"ExpressionAttributeValues\":{");
	for (size_t i = 0, n = 0; i < c->table->attribute_count; i++) {
		if (cells[i].state != CELL_SET || dynamo_key_has(c->table, i))
			continue;
		buf_add_format(out, "%s\":%zu\":", n++ > 0 ? "," : "", i);
		buf_add_slice(out, cell_text(b, &cells[i]));
	}
	buf_add_u8(out, '}');
}

void batch_write(const struct batch *b, const struct dynamo_tables *tables, char *const *names,
		 struct buf *out)
{
	static const char *const words[] = {
		[DYNAMO_PUT] = "Put", [DYNAMO_UPDATE] = "Update", [DYNAMO_DELETE] = "Delete"
	};

	for (size_t i = 0; i < b->count; i++) {
		const struct change *c = &b->changes[i];

		buf_add_format(out, ",{\"%s\":{\"TableName\":\"%s\",\"%s\":", words[c->kind],
			       names[c->table - tables->items],
			       c->kind == DYNAMO_PUT ? "Item" : "Key");
		write_attributes(b, c, c->kind != DYNAMO_PUT, out);
		if (c->kind == DYNAMO_UPDATE)
			write_expression(b, c, out);
		buf_add_str(out, "}}");
	}
}
