/* range.c - what --from and --to mean, and which events lie between them.
 *
 * Text tells its kind: all digits are an offset, then a time, then a place in one of the files at
 * hand, and the rest must be a position (core/base/gtid.h). An event that lies outside of any
 * transaction belongs to its file: with a place it is wanted or not by where it stands, else it is
 * wanted when nothing asks for certain transactions. */
#include "cdc/decode/range.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* ---- reading -------------------------------------------------------------------------------- */

static bool read_offset(const char *text, uint64_t *ret_offset)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*ret_offset = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

/* .123456 */
static const char *read_fraction(const char *at, int64_t *us)
{
	int64_t unit = 100000;

	if (*at != '.')
		return at;
	for (at++; isdigit((unsigned char)*at); at++, unit /= 10)
		*us += (*at - '0') * unit;
	return at;
}

/* A day alone would be a GTID, too: 2026-11-21. */
static bool looks_like_time(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00";

	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		char want = form[i];
		bool fits = want == '0'   ? isdigit((unsigned char)text[i]) != 0
			    : want == 'T' ? text[i] == 'T' || text[i] == ' '
					  : text[i] == want;

		if (!fits)
			return false;
	}
	return true;
}

static bool read_time(const char *text, int64_t *ret_us)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *at;
	int64_t us = 0;

	if (!looks_like_time(text))
		return false;
	at = strptime(text, "%Y-%m-%d", &tm);
	if (at != NULL)
		at = strptime(at + 1, "%H:%M:%S", &tm);
	if (at == NULL)
		return false;
	at = read_fraction(at, &us);
	if (*at == 'Z')
		at++;
	if (*at != '\0')
		return false;
	*ret_us = (int64_t)timegm(&tm) * 1000000 + us;
	return true;
}

const char *range_file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (strcmp(path, "-") == 0)
		return "stdin";
	return slash != NULL ? slash + 1 : path;
}

/* A place in one of the files, whatever that is called. */
static bool read_place(const char *text, char *const *files, size_t file_count, struct gtid_set *s)
{
	const char *colon = strrchr(text, ':');
	uint64_t offset;

	if (colon == NULL || !read_offset(colon + 1, &offset))
		return false;
	for (size_t i = 0; i < file_count; i++) {
		const char *name = range_file_name(files[i]);

		if (slice_is(slice_of(text, (size_t)(colon - text)), name)) {
			gtid_set_move(s, name, offset);
			return true;
		}
	}
	return false;
}

int range_end_parse(const char *text, char *const *files, size_t file_count,
		    struct range_end *ret_end, struct err *e)
{
	struct range_end end = { .kind = RANGE_GTIDS };
	struct err why = ERR_INIT;

	if (read_offset(text, &end.offset)) {
		end.kind = RANGE_OFFSET;
	} else if (read_time(text, &end.time_us)) {
		end.kind = RANGE_TIME;
	} else if (read_place(text, files, file_count, &end.gtids)) {
		end.kind = RANGE_PLACE;
	} else if (gtid_set_parse(slice_str(text), &end.gtids, &why) < 0) {
		err_config(e, "'%s' is no position and no time", text);
		err_hint(e, "0-1-5, uuid:1-5, binlog.000003:1234, 1234, or 2026-11-21T22:46:44Z.");
		return err_exit(e, EXIT_USAGE);
	} else if (gtid_set_is_place(&end.gtids)) {
		end.kind = RANGE_PLACE;
	}
	*ret_end = end;
	return 0;
}

void range_done(struct range *r)
{
	gtid_set_done(&r->from.gtids);
	gtid_set_done(&r->to.gtids);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* The place that an end is, if it is one. */
static bool place_of(const struct range_end *end, const char *default_file, const char **ret_file,
		     uint64_t *ret_offset)
{
	if (end->kind == RANGE_PLACE) {
		*ret_file = end->gtids.file;
		*ret_offset = end->gtids.offset;
	} else if (end->kind == RANGE_OFFSET) {
		*ret_file = default_file;
		*ret_offset = end->offset;
	}
	return end->kind == RANGE_PLACE || end->kind == RANGE_OFFSET;
}

uint64_t range_begin(const struct range *r, const char *file)
{
	const char *begin_file;
	uint64_t offset;
	int order;

	if (!place_of(&r->from, r->first_file, &begin_file, &offset))
		return 0;
	order = gtid_file_compare(file, begin_file);
	return order > 0 ? 0 : order < 0 ? UINT64_MAX : offset;
}

bool range_is_over(const struct range *r, const char *file, uint64_t at)
{
	const char *end_file;
	uint64_t offset;
	int order;

	if (!place_of(&r->to, r->last_file, &end_file, &offset))
		return false;
	order = gtid_file_compare(file, end_file);
	return order > 0 || (order == 0 && at >= offset);
}

/* Does the position contain the transaction? */
static int contains(const struct range_end *end, const struct walk_transaction *t, bool *ret_has,
		    struct err *e)
{
	if (end->kind == RANGE_TIME) {
		*ret_has = t->time_us < end->time_us;
		return 0;
	}
	if (t->id[0] == '\0') {
		err_data(e,
			 "the transaction from %" PRIu64 " on has no GTID, so no set of GTIDs "
			 "tells whether it is wanted",
			 t->at);
		return err_hint(e, "Give a place (binlog.000003:1234) or a time.");
	}
	*ret_has = gtid_set_has(&end->gtids, slice_str(t->id));
	return 0;
}

static bool asks_for_transactions(const struct range_end *end)
{
	return end->kind == RANGE_GTIDS || end->kind == RANGE_TIME;
}

int range_wants(const struct range *r, const char *file, const struct walk_event *ev,
		bool *ret_wanted, struct err *e)
{
	bool wanted = ev->at >= range_begin(r, file) && !range_is_over(r, file, ev->at), has;

	if (ev->transaction == NULL)
		wanted = wanted && !asks_for_transactions(&r->from) &&
			 !asks_for_transactions(&r->to);
	if (wanted && ev->transaction != NULL && asks_for_transactions(&r->from)) {
		if (contains(&r->from, ev->transaction, &has, e) < 0)
			return -1;
		wanted = !has;
	}
	if (wanted && ev->transaction != NULL && asks_for_transactions(&r->to)) {
		if (contains(&r->to, ev->transaction, &has, e) < 0)
			return -1;
		wanted = has;
	}
	*ret_wanted = wanted;
	return 0;
}
