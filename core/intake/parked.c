/*
 * parked.c - finds the pieces of a parked record and puts them together.
 *
 * A consumer of its own is opened for each record: they are rare, and a consumer that waits for the
 * next one would hold memory that a view has better use for. A piece tells which it is and how many
 * there are, so one that is missing shows at once and nothing is put together wrongly.
 *
 * Refused: a reference to another topic than <name>.parked, a whole record larger than the limit
 * (before anything is reserved for it), pieces of another record, or of a size that doesn't add up.
 */
#include "core/intake/parked.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/kafka/consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FETCH_BYTES (4 * 1024 * 1024) /* of pieces on their way */
#define WAIT_MS 100

/* ---- where ----------------------------------------------------------------------------------- */

/* The number behind the last ':' of the text, which is cut there. */
static bool take_number(char *text, int64_t *ret_number)
{
	char *colon = strrchr(text, ':');
	size_t digits;

	if (colon == NULL)
		return false;
	digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 18 || colon[1 + digits] != '\0')
		return false;
	*ret_number = strtoll(colon + 1, NULL, 10);
	*colon = '\0';
	return true;
}

int parked_reference_read(struct slice text, struct parked_reference *ret_reference, struct err *e)
{
	struct parked_reference r = { .topic = "" };
	char line[sizeof(r.topic) + 48];
	int64_t partition;

	if (text.size >= sizeof(line) || memchr(text.data, 0, text.size) != NULL)
		goto bad;
	memcpy(line, text.data, text.size);
	line[text.size] = '\0';
	if (!take_number(line, &r.offset) || !take_number(line, &partition) ||
	    partition > INT32_MAX || line[0] == '\0' || strlen(line) >= sizeof(r.topic))
		goto bad;
	r.partition = (int32_t)partition;
	(void)snprintf(r.topic, sizeof(r.topic), "%s", line); /* fits */
	*ret_reference = r;
	return 0;
bad:
	return err_data(e, "not the place of a parked record: '%.*s'",
			(int)(text.size < 300 ? text.size : 300), (const char *)text.data);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

void parked_begin(struct parked_parts *parts, int64_t seq, int64_t size_max)
{
	*parts = (struct parked_parts){ .seq = seq, .size_max = size_max };
}

void parked_done(struct parked_parts *parts)
{
	buf_done(&parts->value);
	free(parts->id);
	*parts = (struct parked_parts){ 0 };
}

static int begin_with(struct parked_parts *parts, const struct parked_record *piece, struct err *e)
{
	if (piece->seq != parts->seq || piece->pieces < 1 || piece->size < 1)
		return err_data(
			e, "parked record %s of seq %" PRId64 ": the stand-in has seq %" PRId64,
			piece->id, piece->seq, parts->seq);
	if (piece->size > parts->size_max) {
		err_data(e,
			 "parked record %s has %" PRId64 " bytes, project.record_max is %" PRId64,
			 piece->id, piece->size, parts->size_max);
		return err_hint(e, "Raise project.record_max, if the machine has the memory.");
	}
	parts->id = xstrdup(piece->id);
	parts->pieces = piece->pieces;
	parts->size = piece->size;
	buf_grow(&parts->value, (size_t)piece->size);
	return 0;
}

int parked_add(struct parked_parts *parts, const struct parked_record *piece, struct err *e)
{
	if (parts->id == NULL && piece->piece == 0 && begin_with(parts, piece, e) < 0)
		return -1;
	if (parts->id == NULL || strcmp(parts->id, piece->id) != 0 || piece->piece != parts->next ||
	    piece->pieces != parts->pieces || piece->size != parts->size)
		return err_data(e,
				"parked record %s: piece %d of %d of record %s is where piece %d "
				"should be",
				parts->id != NULL ? parts->id : "?", piece->piece, piece->pieces,
				piece->id, parts->next);
	if (piece->data.size > (size_t)parts->size - parts->value.size)
		return err_data(e,
				"parked record %s: its pieces hold more than its %" PRId64 " bytes",
				parts->id, parts->size);
	buf_add_slice(&parts->value, piece->data);
	parts->next++;
	if (parts->next < parts->pieces)
		return 0;
	if (parts->value.size != (size_t)parts->size)
		return err_data(e, "parked record %s: its pieces hold %zu of its %" PRId64 " bytes",
				parts->id, parts->value.size, parts->size);
	return 1;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int take(struct records_reader *reader, const struct consumer_message *m,
		struct parked_parts *parts, struct err *e)
{
	struct parked_record piece;
	int rc;

	if (m->value.data == NULL) {
		err_data(e, "parked record: its piece was dropped");
		rc = -1;
	} else if (records_read_parked(reader, m->value, &piece, e) < 0) {
		rc = -1;
	} else {
		rc = parked_add(parts, &piece, e);
		records_done_parked(&piece);
	}
	return rc < 0 ? err_wrap(e, "%s-%d-%" PRId64, m->topic, m->partition, m->offset) : rc;
}

static int read_pieces(struct consumer *consumer, struct records_reader *reader, int64_t timeout_us,
		       struct parked_parts *parts, struct err *e)
{
	int64_t heard = clock_monotonic_us();
	const struct consumer_message *messages;
	size_t count;

	for (;;) {
		if (consumer_poll(consumer, WAIT_MS, &messages, &count, e) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			int rc = take(reader, &messages[i], parts, e);

			if (rc != 0)
				return rc < 0 ? -1 : 0;
		}
		if (count > 0)
			heard = clock_monotonic_us();
		if (clock_monotonic_us() - heard > timeout_us)
			return err_retry(
				e, "a parked record's piece %d did not come within %" PRId64 " s",
				parts->next, timeout_us / 1000000);
	}
}

int parked_fetch(const struct settings *settings, struct records_reader *reader,
		 struct slice reference, int64_t seq, int64_t size_max, struct buf *ret_value,
		 struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = FETCH_BYTES };
	char *own = xasprintf("%s.parked", settings->name);
	struct parked_reference at;
	struct parked_parts parts;
	struct consumer *consumer = NULL;
	int rc = -1;

	parked_begin(&parts, seq, size_max);
	if (parked_reference_read(reference, &at, e) < 0)
		goto out;
	if (strcmp(at.topic, own) != 0) {
		err_data(e, "a parked record lies on topic %s, not on %s", at.topic, own);
		goto out;
	}
	if (consumer_open(settings, &options, &consumer, e) < 0 ||
	    consumer_assign(consumer,
			    &(struct consumer_partition){ at.topic, at.partition, at.offset }, 1,
			    e) < 0)
		goto out;
	rc = read_pieces(consumer, reader, settings->kafka_timeout_ms * 1000, &parts, e);
	if (rc == 0) {
		*ret_value = parts.value;
		parts.value = (struct buf)BUF_INIT;
	}
out:
	consumer_close(consumer);
	parked_done(&parts);
	free(own);
	return rc < 0 ? err_wrap(e, "stand-in of seq %" PRId64, seq) : 0;
}
