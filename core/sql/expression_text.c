/*
 * expression_text.c - text that compares as it does in the source.
 *
 * A collation of the source is a large table. What can be said without it: binary collations
 * compare bytes; in all others that are accepted here ASCII letters, digits and punctuation differ
 * from each other unless case is folded. When the first difference of two texts lies between two
 * such characters they are different, whatever follows. When it lies beside another character, that
 * one may be an accented form of the first (equal in most _ci collations), be ignored altogether (a
 * soft hyphen, a combining accent), or stand for something else entirely: only the last is certain
 * for letters of other scripts and for Latin letters of another base. All else is *undecided*, and
 * said so.
 */
#include "core/sql/expression_priv.h"

#include "core/value/charset.h"
#include "core/value/temporal.h"

struct collation_rule {
	uint16_t id;
	uint8_t rule;
};

/* Collations whose ASCII part is plain. From 2048 on: see text_rule_of(). */
static const struct collation_rule rules[] = {
	{ 5, TEXT_FOLDED_PAD },   { 8, TEXT_FOLDED_PAD },   { 11, TEXT_FOLDED_PAD },
	{ 33, TEXT_FOLDED_PAD },  { 35, TEXT_FOLDED_PAD },  { 45, TEXT_FOLDED_PAD },
	{ 46, TEXT_EXACT_PAD },   { 47, TEXT_EXACT_PAD },   { 48, TEXT_FOLDED_PAD },
	{ 49, TEXT_CASED_PAD },   { 54, TEXT_FOLDED_PAD },  { 55, TEXT_EXACT_PAD },
	{ 56, TEXT_FOLDED_PAD },  { 60, TEXT_FOLDED_PAD },  { 61, TEXT_EXACT_PAD },
	{ 62, TEXT_EXACT_PAD },   { 63, TEXT_EXACT },       { 65, TEXT_EXACT_PAD },
	{ 83, TEXT_EXACT_PAD },   { 90, TEXT_EXACT_PAD },   { 101, TEXT_FOLDED_PAD },
	{ 123, TEXT_FOLDED_PAD }, { 128, TEXT_FOLDED_PAD }, { 150, TEXT_FOLDED_PAD },
	{ 159, TEXT_FOLDED_PAD }, { 160, TEXT_FOLDED_PAD }, { 182, TEXT_FOLDED_PAD },
	{ 192, TEXT_FOLDED_PAD }, { 214, TEXT_FOLDED_PAD }, { 223, TEXT_FOLDED_PAD },
	{ 224, TEXT_FOLDED_PAD }, { 246, TEXT_FOLDED_PAD }, { 1032, TEXT_FOLDED },
	{ 1035, TEXT_FOLDED },    { 1057, TEXT_FOLDED },    { 1059, TEXT_FOLDED },
	{ 1069, TEXT_FOLDED },    { 1070, TEXT_EXACT },     { 1071, TEXT_EXACT },
	{ 1078, TEXT_FOLDED },    { 1079, TEXT_EXACT },     { 1080, TEXT_FOLDED },
	{ 1084, TEXT_FOLDED },    { 1085, TEXT_EXACT },     { 1086, TEXT_EXACT },
	{ 1089, TEXT_EXACT },     { 1107, TEXT_EXACT },     { 1114, TEXT_EXACT },
	{ 1125, TEXT_FOLDED },    { 1147, TEXT_FOLDED },    { 1152, TEXT_FOLDED },
	{ 1174, TEXT_FOLDED },    { 1184, TEXT_FOLDED },    { 1206, TEXT_FOLDED },
	{ 1216, TEXT_FOLDED },    { 1238, TEXT_FOLDED },    { 1248, TEXT_FOLDED },
	{ 1270, TEXT_FOLDED },
	/* utf8mb4_0900_ai_ci, as_cs, as_ci, bin: MySQL 8's own default is the first */
	{ 255, TEXT_FOLDED },     { 278, TEXT_CASED },      { 305, TEXT_FOLDED },
	{ 309, TEXT_EXACT },
};

/* At most 18 characters: EXPLAIN shows no more, and expression.c looks for them there. */
static const char *const rule_names[TEXT_RULES + 1] = {
	"source_exact",  "source_exact_pad",  "source_cased",   "source_cased_pad",
	"source_folded", "source_folded_pad", "source_unknown",
};

/* UCA 14: 256 ids per character set; language * 8 + (no padding) 4 + (accents) 2 + (case) 1.
 * Language 0 is the root. */
enum text_rule text_rule_of(uint16_t collation)
{
	if (collation >= 2048 && collation < 3328 && collation % 256 < 8) {
		bool pad = (collation & 4) == 0;

		if (collation & 1)
			return pad ? TEXT_CASED_PAD : TEXT_CASED;
		return pad ? TEXT_FOLDED_PAD : TEXT_FOLDED;
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].id == collation)
			return (enum text_rule)rules[i].rule;
	}
	return TEXT_UNKNOWN;
}

const char *text_rule_name(enum text_rule rule)
{
	return rule_names[rule];
}

bool text_rule_soft(enum text_rule rule)
{
	return rule >= TEXT_CASED && rule < TEXT_RULES;
}

static bool pads(enum text_rule rule)
{
	return rule == TEXT_EXACT_PAD || rule == TEXT_CASED_PAD || rule == TEXT_FOLDED_PAD;
}

static uint32_t fold(uint32_t c, enum text_rule rule)
{
	return rule >= TEXT_FOLDED && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static bool plain(uint32_t c)
{
	return c >= 0x20 && c < 0x7f;
}

/* The next character of valid UTF-8; of anything else, a byte as it is, which is not plain. */
static uint32_t next_character(const uint8_t **p, const uint8_t *end)
{
	uint32_t c = *(*p)++;
	unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	if (more == 0 || (size_t)(end - *p) < more)
		return c;
	c &= 0x3fu >> more;
	for (; more > 0; more--)
		c = c << 6 | (*(*p)++ & 0x3f);
	return c;
}

/* Base letters of U+00C0 .. U+017F; '?' where an expansion or a letter of its own leaves doubt. */
static const char latin_base[] =
	"AAAAAA?CEEEEIIII?NOOOOO?\?UUUUY?\?aaaaaa?ceeeeiiii?nooooo?\?uuuuy?y"
	"AaAaAaCcCcCcCcDd?\?EeEeEeEeEeGgGgGgGgHh?\?IiIiIiIiI?\?\?JjKk?LlLlLl?"
	"?\?\?NnNnNn?\?\?OoOoOo?\?RrRrRrSsSsSsSsTtTt?\?UuUuUuUuUuUuWwYyYZzZzZz?";

_Static_assert(sizeof(latin_base) - 1 == 192, "one letter for each of U+00C0 .. U+017F");

/* Letters of scripts that no collation here holds equal to an ASCII character. */
static bool foreign_letter(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} letters[] = {
		{ 0x391, 0x3c9 },     { 0x401, 0x45f },     { 0x561, 0x586 },   { 0x5d0, 0x5ea },
		{ 0x621, 0x63a },     { 0x641, 0x64a },     { 0x905, 0x939 },   { 0xe01, 0xe30 },
		{ 0x3041, 0x3096 },   { 0x30a1, 0x30fa },   { 0x4e00, 0x9fff }, { 0xac00, 0xd7a3 },
		{ 0x1f300, 0x1f5ff }, { 0x1f600, 0x1f64f },
	};

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		if (c >= letters[i].first && c <= letters[i].last)
			return true;
	}
	return false;
}

/* The base letter of an accented Latin one, folded; 0: it has none, or there is doubt. */
static uint32_t base_letter(uint32_t c)
{
	if (c < 0xc0 || c >= 0xc0 + sizeof(latin_base) - 1 || latin_base[c - 0xc0] == '?')
		return 0;
	return fold((uint8_t)latin_base[c - 0xc0], TEXT_FOLDED);
}

/* Whether two characters that differ after folding, at least one of them not plain, might be held
 * equal. */
static bool may_equal(uint32_t a, uint32_t b)
{
	uint32_t other = plain(a) ? b : a, ascii = plain(a) ? a : b;

	if (!plain(ascii))
		return true;
	if (foreign_letter(other))
		return false;
	return base_letter(other) == 0 || base_letter(other) == fold(ascii, TEXT_FOLDED);
}

/* Order of two characters that differ. An accented letter lies beside its base: a search in a
 * sorted list (IN) must come to the one that it may be equal to. */
static int order_of(enum text_rule rule, uint32_t c, uint32_t d)
{
	if (text_rule_soft(rule)) {
		uint32_t a = base_letter(c) != 0 ? base_letter(c) : fold(c, TEXT_FOLDED);
		uint32_t b = base_letter(d) != 0 ? base_letter(d) : fold(d, TEXT_FOLDED);

		if (a != b)
			return a < b ? -1 : 1;
	}
	return c < d ? -1 : 1;
}

/* What is left of the longer text: +1 when it makes a difference. */
static int compare_rest(struct text_context *context, enum text_rule rule, const uint8_t *p,
			const uint8_t *end)
{
	bool doubt = false;

	while (p < end) {
		uint32_t c = next_character(&p, end);

		if (pads(rule) && c == ' ')
			continue;
		if (!text_rule_soft(rule))
			return pads(rule) && c < ' ' ? -1 : 1;
		if (plain(c) || foreign_letter(c))
			return 1;
		doubt = true;
	}
	context->undecided = context->undecided || doubt;
	return doubt;
}

static int compare(struct text_context *context, enum text_rule rule, struct slice a,
		   struct slice b)
{
	const uint8_t *p = a.data, *q = b.data, *p_end = a.data + a.size, *q_end = b.data + b.size;

	while (p < p_end && q < q_end) {
		uint32_t c = fold(next_character(&p, p_end), rule),
			 d = fold(next_character(&q, q_end), rule);

		if (c == d)
			continue;
		if (text_rule_soft(rule) && !(plain(c) && plain(d)) && may_equal(c, d))
			context->undecided = true;
		return order_of(rule, c, d);
	}
	if (p < p_end)
		return compare_rest(context, rule, p, p_end);
	return -compare_rest(context, rule, q, q_end);
}

struct rule_context {
	struct text_context *text;
	enum text_rule rule;
};

static int collate(void *arg, int a_size, const void *a, int b_size, const void *b)
{
	struct rule_context *c = arg;

	return compare(c->text, c->rule, slice_of(a, (size_t)a_size), slice_of(b, (size_t)b_size));
}

/* LIKE. `lenient`: a character that may be equal is taken to be. */
struct like {
	enum text_rule rule;
	bool lenient;
	uint32_t escape; /* 0: none */
};

static bool like_character(const struct like *like, uint32_t wanted, uint32_t c)
{
	wanted = fold(wanted, like->rule);
	c = fold(c, like->rule);
	return wanted == c ||
	       (like->lenient && !(plain(wanted) && plain(c)) && may_equal(wanted, c));
}

/* Greedy with one step back: a later '%' makes earlier ones final, so the time is bounded by
 * pattern * text. */
static bool like_match(const struct like *like, struct slice pattern, struct slice text)
{
	const uint8_t *p = pattern.data, *p_end = p + pattern.size, *t = text.data,
		      *t_end = t + text.size;
	const uint8_t *back_p = NULL, *back_t = NULL;

	while (t < t_end || p < p_end) {
		if (p < p_end) {
			const uint8_t *at = p, *text_at = t;
			uint32_t c = next_character(&at, p_end);
			bool literal = like->escape != 0 && c == like->escape && at < p_end;

			if (literal)
				c = next_character(&at, p_end);
			if (c == '%' && !literal) {
				back_p = p = at;
				back_t = t;
				continue;
			}
			if (t < t_end) {
				uint32_t d = next_character(&text_at, t_end);

				if ((c == '_' && !literal) || like_character(like, c, d)) {
					p = at;
					t = text_at;
					continue;
				}
			}
		}
		if (back_p == NULL || back_t >= t_end)
			return false;
		(void)next_character(&back_t, t_end);
		p = back_p;
		t = back_t;
	}
	return true;
}

static struct slice text_of(sqlite3_value *v)
{
	const void *text = sqlite3_value_text(v);

	return text == NULL ? slice_of("", 0) : slice_of(text, (size_t)sqlite3_value_bytes(v));
}

static bool any_null(int argc, sqlite3_value **argv)
{
	for (int i = 0; i < argc; i++) {
		if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
			return true;
	}
	return false;
}

/* like(PATTERN, TEXT [, ESCAPE]) */
static void run_like(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct text_context *text = sqlite3_user_data(context);
	struct like like = { text->like_rule, false, 0 };
	bool strict;

	if (any_null(argc, argv))
		return;
	if (argc == 3) {
		struct slice escape = text_of(argv[2]);

		if (escape.size != 1 || escape.data[0] >= 0x80) {
			sqlite3_result_error(context, "ESCAPE takes one ASCII character", -1);
			return;
		}
		like.escape = escape.data[0];
	}
	strict = like_match(&like, text_of(argv[0]), text_of(argv[1]));
	like.lenient = text_rule_soft(like.rule);
	if (like.lenient && like_match(&like, text_of(argv[0]), text_of(argv[1])) != strict)
		text->undecided = true;
	sqlite3_result_int(context, strict);
}

static void run_length(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	if (!any_null(argc, argv)) {
		(void)sqlite3_value_blob(argv[0]); /* numbers become text, as there */
		sqlite3_result_int64(context, sqlite3_value_bytes(argv[0]));
	}
}

static void run_char_length(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct slice text;
	sqlite3_int64 n = 0;

	if (any_null(argc, argv))
		return;
	text = text_of(argv[0]);
	for (size_t i = 0; i < text.size; i++)
		n += (text.data[i] & 0xc0) != 0x80;
	sqlite3_result_int64(context, n);
}

static void run_concat(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct buf all = BUF_INIT;

	if (any_null(argc, argv))
		return;
	for (int i = 0; i < argc; i++)
		buf_add_slice(&all, text_of(argv[i]));
	sqlite3_result_text64(context, all.size > 0 ? (const char *)all.data : "", all.size,
			      SQLITE_TRANSIENT, SQLITE_UTF8);
	buf_done(&all);
}

/* days('2024-01-31'), micros('2024-01-31 12:00:00.5'): a date as the number that columns have. */
static void run_date(sqlite3_context *context, sqlite3_value **argv, uint8_t type)
{
	struct temporal t;
	int64_t number;

	if (any_null(1, argv))
		return;
	if (sqlite3_value_type(argv[0]) != SQLITE_TEXT ||
	    (!temporal_parse(type, text_of(argv[0]), &t) &&
	     (type == COLUMN_DATE ||
	      (!temporal_parse(COLUMN_DATE, text_of(argv[0]), &t) &&
	       !temporal_parse(type = COLUMN_TIME2, text_of(argv[0]), &t)))) ||
	    !temporal_number(type, &t, &number)) {
		sqlite3_result_error(context,
				     "days() takes 'YYYY-MM-DD'; micros() takes that, "
				     "'YYYY-MM-DD HH:MM:SS' or 'HH:MM:SS'",
				     -1);
		return;
	}
	sqlite3_result_int64(context, number);
}

static void run_days(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	run_date(context, argv, COLUMN_DATE);
}

static void run_micros(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	run_date(context, argv, COLUMN_DATETIME2);
}

static const struct {
	const char *name;
	int arguments;
	void (*run)(sqlite3_context *, int, sqlite3_value **); /* NULL: SQLite's own */
} functions[] = {
	{ "abs", 1, NULL },
	{ "char", -1, NULL },
	{ "char_length", 1, run_char_length },
	{ "character_length", 1, run_char_length },
	{ "coalesce", -1, NULL },
	{ "concat", -1, run_concat },
	{ "days", 1, run_days },
	{ "ifnull", 2, NULL },
	{ "iif", 3, NULL },
	{ "length", 1, run_length },
	{ "like", 2, run_like },
	{ "like", 3, run_like },
	{ "ltrim", 1, NULL },
	{ "micros", 1, run_micros },
	{ "nullif", 2, NULL },
	{ "octet_length", 1, run_length },
	{ "replace", 3, NULL },
	{ "round", -1, NULL },
	{ "rtrim", 1, NULL },
	{ "substr", -1, NULL },
	{ "substring", -1, NULL },
	{ "trim", 1, NULL },
};

#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

bool text_function_allowed(const char *name)
{
	for (size_t i = 0; i < FUNCTIONS; i++) {
		if (sqlite3_stricmp(functions[i].name, name) == 0)
			return true;
	}
	return false;
}

int text_register(sqlite3 *db, struct text_context *context)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, rc = SQLITE_OK;

	for (size_t i = 0; i < FUNCTIONS && rc == SQLITE_OK; i++) {
		if (functions[i].run != NULL)
			rc = sqlite3_create_function_v2(db, functions[i].name,
							functions[i].arguments, flags, context,
							functions[i].run, NULL, NULL, NULL);
	}
	for (int rule = 0; rule <= TEXT_UNKNOWN && rc == SQLITE_OK; rule++) {
		struct rule_context *c = sqlite3_malloc(sizeof(*c));

		if (c == NULL)
			return SQLITE_NOMEM;
		*c = (struct rule_context){ context, (enum text_rule)rule };
		rc = sqlite3_create_collation_v2(db, rule_names[rule], SQLITE_UTF8, c, collate,
						 sqlite3_free);
		if (rc != SQLITE_OK)
			sqlite3_free(c);
	}
	return rc;
}
