/* catalog_map.c - a TABLE_MAP becomes a shape.
 *
 * With FULL metadata it says everything. Otherwise a shape that is known from elsewhere (catalog
 * mode) fills in what it doesn't say, and only that: what comes out equals that shape if the
 * TABLE_MAP is one of it.
 *
 * Fields of optional metadata run over a part of the columns, in their order: signedness over the
 * numeric ones (YEAR is one, always unsigned; BIT is none), character sets over the character ones
 * (to MariaDB GEOMETRY is one, to MySQL VECTOR), labels over ENUM and over SET. A field that is too
 * short or too long for its columns is refused, so that one wrong count can never shift what
 * follows.
 *
 * Layouts: signedness: a bit per column from the highest bit of each byte on. DEFAULT_CHARSET:
 * collation, then pairs (number among the character columns, collation); COLUMN_CHARSET: a
 * collation each. Names: length and bytes each. Labels: per column their count, then length and
 * bytes each, in the column's character set. Primary key: column numbers, or pairs (column number,
 * prefix). All numbers are length-encoded. */
#include "cdc/catalog/catalog_priv.h"

#include "core/base/mem.h"
#include "core/value/charset.h"
#include "core/value/encode.h"

#include <inttypes.h>
#include <stdlib.h>

#define NAME_MAX_BYTES 256 /* 64 characters */
#define LABELS_MAX 65535   /* of an ENUM */
#define VECTOR_MAX 16383   /* floats, of either server */

struct builder {
	const struct table_map *map;
	const struct catalog_server *server;
	const struct shape *known; /* or NULL; as many columns */
	struct shape *shape;
	uint8_t *wire; /* wire type of each column, ENUM and SET unpacked */
	bool captured; /* else its columns are compared, and never shown */
};

static int bad(const struct builder *b, const char *what, struct err *e)
{
	return err_data(e, "table %s.%s: Table_map event: %s", b->shape->db, b->shape->table, what);
}

static int refuse_type(const struct builder *b, uint32_t column, const char *type, struct err *e)
{
	err_data(e, "table %s.%s, column %s: %s is not supported yet", b->shape->db,
		 b->shape->table, b->shape->columns[column].name, type);
	return err_hint(e, CATALOG_HINT);
}

static const struct catalog_hidden *find_hint(const struct builder *b, uint32_t column)
{
	for (size_t i = 0; i < b->server->hints->count; i++) {
		const struct catalog_hidden *h = &b->server->hints->items[i];

		if (strcmp(h->column, b->shape->columns[column].name) == 0 &&
		    strcmp(h->table, b->shape->table) == 0 && strcmp(h->db, b->shape->db) == 0)
			return h;
	}
	return NULL;
}

/* Wire types that no shape holds, by name; NULL for the others. */
static const char *unsupported_type(uint8_t type)
{
	switch (type) {
	case 0:
		return "DECIMAL of MySQL 4";
	case 6:
		return "type NULL";
	case 14:
		return "type NEWDATE";
	case 140:
		return "a COMPRESSED column (BLOB or TEXT)";
	case 141:
		return "a COMPRESSED column (VARCHAR or VARBINARY)";
	case 249:
	case 250:
	case 251:
	case 253:
		return "a column type of MySQL 4";
	default:
		return NULL;
	}
}

/* The old forms of dates and times. MySQL's never have a fraction; MariaDB's may, and then have
 * more bytes, but only a hint tells. */
static bool is_old_temporal(uint8_t type)
{
	return type == COLUMN_TIMESTAMP || type == COLUMN_TIME || type == COLUMN_DATETIME;
}

static bool has_hidden_fraction(const struct builder *b, uint32_t column, uint8_t type)
{
	const struct catalog_hidden *h;

	if (!is_old_temporal(type) || b->server->mysql)
		return false;
	if (b->known != NULL) /* one with a fraction has no shape */
		return b->known->columns[column].type != type;
	h = find_hint(b, column);
	return h == NULL || h->fraction > 0;
}

/* A type that takes as many bytes in a row as one that no shape holds: to step over it. */
static uint8_t same_size(uint8_t type)
{
	if (type == 141)
		return COLUMN_VARCHAR;
	return type == 140 ? COLUMN_BLOB : 0;
}

static bool is_numeric(uint8_t type)
{
	return type == COLUMN_TINY || type == COLUMN_SHORT || type == COLUMN_INT24 ||
	       type == COLUMN_LONG || type == COLUMN_LONGLONG || type == COLUMN_FLOAT ||
	       type == COLUMN_DOUBLE || type == COLUMN_NEWDECIMAL || type == COLUMN_YEAR;
}

static bool is_character(const struct builder *b, uint8_t type)
{
	return type == COLUMN_STRING || type == COLUMN_VARCHAR || type == COLUMN_BLOB ||
	       type == COLUMN_VECTOR || (type == COLUMN_GEOMETRY && !b->server->mysql) ||
	       type == 140 || type == 141 || (type >= 249 && type <= 253);
}

static bool is_labelled(const struct builder *b, uint8_t type)
{
	(void)b;
	return type == COLUMN_ENUM || type == COLUMN_SET;
}

/* known: this column, as the known shape has it, or NULL. */
static void set_type(const struct builder *b, struct column *c, const struct column *known,
		     uint8_t type, uint16_t meta)
{
	c->type = type;
	if (type == COLUMN_JSON)
		c->json_5_7 = known != NULL ? known->json_5_7
					    : b->server != NULL && b->server->json_5_7;
	if (type == COLUMN_VARCHAR || type == COLUMN_STRING || type == COLUMN_BLOB ||
	    type == COLUMN_JSON || type == COLUMN_GEOMETRY)
		c->size_max = meta;
	else if (is_labelled(b, type) || type == COLUMN_VECTOR)
		c->pack_bytes = (uint8_t)meta;
	else if (type == COLUMN_BIT)
		c->bits = meta;
	else if (type == COLUMN_TIMESTAMP2 || type == COLUMN_DATETIME2 || type == COLUMN_TIME2)
		c->fraction = (uint8_t)meta;
	if (type == COLUMN_NEWDECIMAL) {
		c->precision = (uint8_t)(meta >> 8);
		c->scale = (uint8_t)meta;
	}
}

/* Ranges that decoders rely on. */
static bool type_is_sane(const struct column *c, uint16_t meta)
{
	switch (c->type) {
	case COLUMN_NEWDECIMAL:
		return c->precision >= 1 && c->precision <= 65 && c->scale <= 38 &&
		       c->scale <= c->precision;
	case COLUMN_BIT:
		return c->bits >= 1 && c->bits <= 64;
	case COLUMN_ENUM:
		return meta == 1 || meta == 2;
	case COLUMN_SET:
		return meta >= 1 && meta <= 8;
	case COLUMN_BLOB:
	case COLUMN_JSON:
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
		return meta >= 1 && meta <= 4;
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
	case COLUMN_TIME2:
		return meta <= 6;
	case COLUMN_FLOAT:
		return meta == 4;
	case COLUMN_DOUBLE:
		return meta == 8;
	default:
		return true;
	}
}

static int read_types(struct builder *b, struct err *e)
{
	struct rd metadata = rd_from(b->map->metadata);

	for (uint32_t i = 0; i < b->map->column_count; i++) {
		struct column *c = &b->shape->columns[i];
		struct table_map_column wire;

		if (table_map_column(b->map->types[i], &metadata, &wire, e) < 0)
			return err_wrap(e, "table %s.%s, column %s", b->shape->db, b->shape->table,
					c->name);
		b->wire[i] = wire.type;
		if (unsupported_type(wire.type) != NULL) {
			if (b->captured || same_size(wire.type) == 0)
				return refuse_type(b, i, unsupported_type(wire.type), e);
			wire.type = same_size(wire.type);
		}
		if (b->captured && has_hidden_fraction(b, i, wire.type))
			return refuse_type(
				b, i,
				"a date or time with a fraction in the format of MariaDB 5.3 (ALTER TABLE ... FORCE converts it)",
				e);
		set_type(b, c, b->known != NULL ? &b->known->columns[i] : NULL, wire.type,
			 wire.meta);
		c->nullable = (b->map->nullable[i / 8] >> (i % 8) & 1) != 0;
		if (!type_is_sane(c, wire.meta))
			return bad(b, "column metadata out of range", e);
	}
	return rd_end(&metadata) ? 0 : bad(b, "more column metadata than columns", e);
}

/* True when gaps are taken: then it is one. */
static bool is_gap(struct builder *b, enum shape_unknown what)
{
	if (b->server->gaps)
		b->shape->unknown |= (uint8_t)what;
	return b->server->gaps;
}

static void number_columns(struct builder *b)
{
	for (uint32_t i = 0; i < b->map->column_count; i++)
		b->shape->columns[i].name = xasprintf("@%" PRIu32, i + 1);
}

static int take_names(struct builder *b)
{
	for (uint32_t i = 0; i < b->map->column_count; i++)
		b->shape->columns[i].name = xstrdup(b->known->columns[i].name);
	return 0;
}

static int read_names(struct builder *b, struct err *e)
{
	struct rd in = rd_from(b->map->fields[TABLE_MAP_COLUMN_NAME]);

	if (b->known != NULL)
		return take_names(b);
	if (!b->map->has[TABLE_MAP_COLUMN_NAME] && is_gap(b, SHAPE_UNKNOWN_NAMES)) {
		number_columns(b);
		return 0;
	}
	if (!b->map->has[TABLE_MAP_COLUMN_NAME]) {
		err_data(e, "table %s.%s: the binlog does not say what its columns are called",
			 b->shape->db, b->shape->table);
		return err_hint(
			e,
			"SET GLOBAL binlog_row_metadata=FULL on the source. It holds for what is written from then on.");
	}
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		struct slice name = rd_lenenc_bytes(&in);

		if (!rd_ok(&in) || name.size == 0 || name.size > NAME_MAX_BYTES ||
		    memchr(name.data, 0, name.size) != NULL ||
		    !charset_utf8_valid(name.data, name.size, false))
			return bad(b, "no valid column name", e);
		b->shape->columns[i].name = xstrndup((const char *)name.data, name.size);
	}
	return rd_end(&in) ? 0 : bad(b, "more names than columns", e);
}

/* What this part of the metadata would say comes from the known shape. */
static bool is_left_out(const struct builder *b, enum table_map_field field)
{
	return b->known != NULL && !b->map->has[field];
}

static int take_signs(struct builder *b)
{
	for (uint32_t i = 0; i < b->map->column_count; i++)
		if (is_numeric(b->wire[i]))
			b->shape->columns[i].is_unsigned = b->known->columns[i].is_unsigned;
	return 0;
}

static int read_signs(struct builder *b, struct err *e)
{
	struct slice bits = b->map->fields[TABLE_MAP_SIGNEDNESS];
	size_t n = 0;

	if (is_left_out(b, TABLE_MAP_SIGNEDNESS))
		return take_signs(b);
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		struct column *c = &b->shape->columns[i];

		if (!is_numeric(b->wire[i]))
			continue;
		if (bits.size == 0 && is_gap(b, SHAPE_UNKNOWN_SIGNS))
			return 0;
		if (n / 8 >= bits.size)
			return bad(b, "signedness of columns is missing", e);
		c->is_unsigned = (bits.data[n / 8] >> (7 - n % 8) & 1) != 0 &&
				 c->type != COLUMN_YEAR;
		n++;
	}
	return (n + 7) / 8 == bits.size ? 0
					: bad(b, "signedness of more columns than there are", e);
}

static int set_collation(struct builder *b, uint32_t column, uint64_t collation, struct err *e)
{
	if (collation == 0 || collation > UINT16_MAX)
		return bad(b, "no valid collation id", e);
	b->shape->columns[column].collation = (uint16_t)collation;
	return 0;
}

/* Pairs of (number among these columns, collation); numbers rise. */
static int read_exceptions(struct builder *b, struct rd *in,
			   bool (*concerns)(const struct builder *, uint8_t), struct err *e)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < b->map->column_count && rd_left(in) > 0; i++) {
		struct rd back = *in;

		if (!concerns(b, b->wire[i]))
			continue;
		if (rd_lenenc(in) != at++) {
			if (rd_ok(in))
				*in = back;
			continue;
		}
		if (set_collation(b, i, rd_lenenc(in), e) < 0)
			return -1;
	}
	return rd_end(in) ? 0 : bad(b, "collations of columns that do not exist", e);
}

static int take_collations(struct builder *b, bool (*concerns)(const struct builder *, uint8_t))
{
	for (uint32_t i = 0; i < b->map->column_count; i++)
		if (concerns(b, b->wire[i]))
			b->shape->columns[i].collation = b->known->columns[i].collation;
	return 0;
}

/* The collations of the columns that `concerns` picks. */
static int read_collations(struct builder *b, enum table_map_field by_default,
			   enum table_map_field each, enum shape_unknown gap,
			   bool (*concerns)(const struct builder *, uint8_t), struct err *e)
{
	bool has_default = b->map->has[by_default];
	struct rd in = rd_from(b->map->fields[has_default ? by_default : each]);
	uint64_t collation = has_default ? rd_lenenc(&in) : 0;

	if (is_left_out(b, by_default) && is_left_out(b, each))
		return take_collations(b, concerns);
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		if (!concerns(b, b->wire[i]))
			continue;
		if (!has_default && !b->map->has[each] && is_gap(b, gap))
			return 0;
		if (!has_default)
			collation = rd_lenenc(&in);
		if (!rd_ok(&in))
			return bad(b, "collations of columns are missing", e);
		if (set_collation(b, i, collation, e) < 0)
			return -1;
	}
	return read_exceptions(b, &in, concerns, e);
}

/* Labels of one column, made UTF-8. */
static int read_label_list(struct builder *b, struct column *c, struct rd *in, struct err *e)
{
	uint64_t count = rd_lenenc(in);
	struct buf text = BUF_INIT;
	bool good = rd_ok(in) && count > 0 && count <= LABELS_MAX && count <= rd_left(in) &&
		    (c->type != COLUMN_SET || count <= 64);

	if (good)
		c->labels = xcalloc((size_t)count, sizeof(c->labels[0]));
	for (uint64_t i = 0; good && i < count; i++) {
		struct slice label = rd_lenenc_bytes(in);

		buf_reset(&text);
		good = rd_ok(in) && charset_to_utf8(charset_of(c->collation), label, &text) &&
		       (text.size == 0 || memchr(text.data, 0, text.size) == NULL);
		if (good)
			c->labels[c->label_count++] = xstrdup(buf_cstr(&text));
	}
	buf_done(&text);
	return good ? 0 : bad(b, "no valid list of ENUM or SET labels", e);
}

static int take_labels(struct builder *b, uint8_t type)
{
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		const struct column *from = &b->known->columns[i];
		struct column *c = &b->shape->columns[i];

		if (b->wire[i] != type || from->label_count == 0)
			continue;
		c->labels = xcalloc(from->label_count, sizeof(c->labels[0]));
		for (uint16_t k = 0; k < from->label_count; k++)
			c->labels[c->label_count++] = xstrdup(from->labels[k]);
	}
	return 0;
}

static int read_labels(struct builder *b, uint8_t type, enum table_map_field field, struct err *e)
{
	struct rd in = rd_from(b->map->fields[field]);

	if (is_left_out(b, field))
		return take_labels(b, type);
	if (!b->captured)
		return 0;
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		if (b->wire[i] != type)
			continue;
		if (!b->map->has[field] && is_gap(b, SHAPE_UNKNOWN_LABELS))
			return 0;
		if (read_label_list(b, &b->shape->columns[i], &in, e) < 0)
			return -1;
	}
	return rd_end(&in) ? 0 : bad(b, "labels of more columns than there are", e);
}

static int take_key(struct builder *b)
{
	struct shape *s = b->shape;

	if (b->known->key_count == 0)
		return 0;
	s->key = xcalloc(s->column_count, sizeof(s->key[0]));
	memcpy(s->key, b->known->key, b->known->key_count * sizeof(s->key[0]));
	s->key_count = b->known->key_count;
	return 0;
}

static int read_key(struct builder *b, struct err *e)
{
	bool prefixed = b->map->has[TABLE_MAP_PRIMARY_KEY_PREFIX];
	struct slice field =
		b->map->fields[prefixed ? TABLE_MAP_PRIMARY_KEY_PREFIX : TABLE_MAP_PRIMARY_KEY];
	struct shape *s = b->shape;
	struct rd in = rd_from(field);

	if (b->known != NULL)
		return take_key(b);
	if (field.size == 0)
		return 0;
	s->key = xcalloc(s->column_count, sizeof(s->key[0]));
	while (rd_left(&in) > 0) {
		uint64_t column = rd_lenenc(&in);

		if (prefixed)
			(void)rd_lenenc(&in); /* a prefix is unique, so the whole column is */
		if (!rd_ok(&in) || column >= s->column_count || s->key_count == s->column_count)
			return bad(b, "no valid primary key", e);
		s->key[s->key_count++] = (uint16_t)column;
	}
	return 0;
}

const char *catalog_column_refused(const struct column *c)
{
	if (c->collation == 0)
		return NULL;
	return encode_collation_refused(c->collation);
}

static int take_dimensions(struct builder *b)
{
	for (uint32_t i = 0; i < b->map->column_count; i++)
		if (b->wire[i] == COLUMN_VECTOR)
			b->shape->columns[i].size_max = b->known->columns[i].size_max;
	return 0;
}

/* The number of floats of each VECTOR. */
static int read_dimensions(struct builder *b, struct err *e)
{
	struct rd in = rd_from(b->map->fields[TABLE_MAP_VECTOR_DIMENSIONALITY]);

	if (is_left_out(b, TABLE_MAP_VECTOR_DIMENSIONALITY))
		return take_dimensions(b);
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		uint64_t n;

		if (b->wire[i] != COLUMN_VECTOR)
			continue;
		n = rd_lenenc(&in);
		if (!rd_ok(&in) || n == 0 || n > VECTOR_MAX)
			return bad(b, "no valid dimension of a VECTOR", e);
		b->shape->columns[i].size_max = (uint32_t)n * 4;
	}
	return rd_end(&in) ? 0 : bad(b, "dimensions of more VECTORs than there are", e);
}

static uint8_t type_in_force(const struct builder *b, uint32_t column)
{
	const struct shape *s = b->server->in_force;
	int at = s != NULL ? shape_column(s, slice_str(b->shape->columns[column].name)) : -1;

	return at >= 0 ? s->columns[at].type : 0;
}

/* COLUMN_UUID, ...; 0: nothing is hidden. */
static uint8_t hidden_type(const struct builder *b, uint32_t column)
{
	static const struct {
		const char *name;
		uint8_t type;
	} types[] = { { "vector", COLUMN_VECTOR },
		      { "uuid", COLUMN_UUID },
		      { "inet4", COLUMN_INET4 },
		      { "inet6", COLUMN_INET6 } };
	const struct catalog_hidden *h;

	if (b->known != NULL)
		return b->known->columns[column].type;
	if (!b->captured)
		return 0;
	if (b->server->hints_are_late)
		return type_in_force(b, column);
	h = find_hint(b, column);
	for (size_t i = 0; h != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(h->type, types[i].name) == 0)
			return types[i].type;
	return 0;
}

/* 2: it is a YEAR(2). */
static uint8_t short_year(const struct builder *b, uint32_t column)
{
	const struct catalog_hidden *h;

	if (b->known != NULL)
		return b->known->columns[column].precision;
	h = b->captured ? find_hint(b, column) : NULL;
	return h != NULL && strcmp(h->type, "year") == 0 ? 2 : 0;
}

/* What the column really is. A hint that doesn't fit is of another time: the column is plain. */
static void take_hint(struct builder *b, uint32_t column)
{
	struct column *c = &b->shape->columns[column];
	uint8_t hidden = hidden_type(b, column);

	if (c->type == COLUMN_YEAR)
		c->precision = short_year(b, column);
	c->not_logged = b->known != NULL && b->known->columns[column].not_logged;
	/* where the binlog doesn't say, the known shape has no collation for these types */
	if (c->collation != COLLATION_BINARY && (b->known == NULL || c->collation != 0))
		return;
	if (c->type == COLUMN_VARCHAR && hidden == COLUMN_VECTOR) {
		c->type = COLUMN_VECTOR;
		c->pack_bytes = c->size_max > 255 ? 2 : 1;
	} else if (c->type == COLUMN_STRING &&
		   ((c->size_max == 16 && (hidden == COLUMN_UUID || hidden == COLUMN_INET6)) ||
		    (c->size_max == 4 && hidden == COLUMN_INET4))) {
		c->type = hidden;
	}
}

static int check_columns(struct builder *b, struct err *e)
{
	for (uint32_t i = 0; i < b->map->column_count; i++) {
		struct column *c = &b->shape->columns[i];
		const char *refused;

		take_hint(b, i);
		if (!column_is_character(c) && !is_labelled(b, c->type))
			c->collation = 0;
		c->is_binary = c->collation == COLLATION_BINARY && !is_labelled(b, c->type);
		refused = catalog_column_refused(c);
		if (refused == NULL || !b->captured)
			continue;
		err_data(e, "table %s.%s, column %s: %s", b->shape->db, b->shape->table, c->name,
			 refused);
		return err_hint(e, CATALOG_HINT);
	}
	return 0;
}

static int build(struct builder *b, struct err *e)
{
	if (read_names(b, e) < 0 || read_types(b, e) < 0 || read_signs(b, e) < 0 ||
	    read_dimensions(b, e) < 0)
		return -1;
	if (read_collations(b, TABLE_MAP_DEFAULT_CHARSET, TABLE_MAP_COLUMN_CHARSET,
			    SHAPE_UNKNOWN_CHARSETS, is_character, e) < 0 ||
	    read_collations(b, TABLE_MAP_ENUM_SET_DEFAULT_CHARSET,
			    TABLE_MAP_ENUM_SET_COLUMN_CHARSET, SHAPE_UNKNOWN_LABELS, is_labelled,
			    e) < 0)
		return -1;
	if (check_columns(b, e) < 0)
		return -1;
	if (read_labels(b, COLUMN_ENUM, TABLE_MAP_ENUM_LABELS, e) < 0 ||
	    read_labels(b, COLUMN_SET, TABLE_MAP_SET_LABELS, e) < 0)
		return -1;
	return read_key(b, e);
}

static int build_shape(const struct table_map *map, const struct catalog_server *server,
		       const struct shape *known, bool captured, struct shape **ret_shape,
		       struct err *e)
{
	char *db = xstrndup((const char *)map->db.data, map->db.size);
	char *table = xstrndup((const char *)map->table.data, map->table.size);
	struct builder b = { .map = map,
			     .server = server,
			     .known = known,
			     .captured = captured,
			     .shape = shape_new(db, table, (uint16_t)map->column_count) };
	int rc;

	b.wire = xcalloc(map->column_count, 1);
	rc = build(&b, e);
	free(b.wire);
	free(db);
	free(table);
	if (rc < 0) {
		shape_unref(b.shape);
		return -1;
	}
	*ret_shape = shape_pack(b.shape);
	return 0;
}

int catalog_map_shape(const struct table_map *map, const struct catalog_server *server,
		      bool captured, struct shape **ret_shape, struct err *e)
{
	return build_shape(map, server, NULL, captured, ret_shape, e);
}

bool catalog_map_is_of(const struct table_map *map, const struct catalog_server *server,
		       bool captured, const struct shape *known)
{
	struct err ignored = ERR_INIT; /* what can't be built is not of this shape */
	struct shape *built = NULL;
	bool is;

	if (map->column_count != known->column_count ||
	    build_shape(map, server, known, captured, &built, &ignored) < 0)
		return false;
	is = shape_equal(built, known);
	shape_unref(built);
	return is;
}

void catalog_map_text(const struct table_map *map, struct buf *out)
{
	struct rd metadata = rd_from(map->metadata);
	struct builder b = { .map = map };

	for (uint32_t i = 0; i < map->column_count; i++) {
		struct column c = { .name = NULL };
		struct table_map_column wire;
		struct err ignored = ERR_INIT;

		buf_add_str(out, i > 0 ? ", " : "");
		if (table_map_column(map->types[i], &metadata, &wire, &ignored) < 0)
			return;
		set_type(&b, &c, NULL, wire.type, wire.meta);
		c.nullable = (map->nullable[i / 8] >> (i % 8) & 1) != 0;
		catalog_column_text(&c, out);
	}
}
