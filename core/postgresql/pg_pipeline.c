/* pg_pipeline.c - statements queued in libpq's pipeline mode, and the socket under all calls.
 *
 * Queuing copies a statement's values into libpq's buffer. What is queued goes out in pieces of
 * SEND_SIZE while the server already works on the first; answers are read whenever the socket has
 * some, so that neither side ever waits for the other to read. pg_drain ends it with a sync: the
 * server leaves out everything between an error and that sync, so an error is what it would have
 * been statement by statement, only told later.
 *
 * At most QUEUE_MAX statements wait for an answer: libpq keeps a little memory for each. */
#include "core/postgresql/pg_priv.h"

#include "core/base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define SEND_SIZE 65536
#define QUEUE_MAX 4096

/* Waits until the socket can be read (or, with `write`, written). */
static bool wait_socket(struct pg *p, bool write)
{
	struct pollfd fd = { .fd = PQsocket(p->conn),
			     .events = (short)(POLLIN | (write ? POLLOUT : 0)) };

	while (poll(&fd, 1, -1) < 0)
		if (errno != EINTR)
			return false;
	return (fd.revents & POLLIN) == 0 || PQconsumeInput(p->conn) != 0;
}

int pg_push(struct pg *p, struct err *e)
{
	int rc;

	while ((rc = PQflush(p->conn)) == 1)
		if (!wait_socket(p, true))
			break;
	p->unsent = 0;
	return rc != 0 ? pg_failed(p, NULL, false, e) : 0;
}

PGresult *pg_await(struct pg *p)
{
	while (PQisBusy(p->conn) != 0) {
		int left = PQflush(p->conn);

		if (left < 0 || !wait_socket(p, left == 1))
			break; /* PQgetResult says what is wrong */
	}
	return PQgetResult(p->conn);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static int begin(struct pg *p, struct err *e)
{
	if (PQpipelineStatus(p->conn) != PQ_PIPELINE_OFF)
		return 0;
	if (pg_is_lost(p) || PQenterPipelineMode(p->conn) != 1)
		return pg_failed(p, NULL, false, e);
	return 0;
}

static void remember(struct pg *p, const char *origin, bool rows, bool sync)
{
	if (p->count == p->capacity) {
		size_t more = p->capacity != 0 ? p->capacity * 2 : 64;
		struct pg_item *items = xcalloc(more, sizeof(*items));

		for (size_t i = 0; i < p->count; i++)
			items[i] = p->items[(p->first + i) % p->capacity];
		free(p->items);
		p->items = items;
		p->first = 0;
		p->capacity = more;
	}
	p->items[(p->first + p->count) % p->capacity] =
		(struct pg_item){ .origin = origin, .rows = rows, .sync = sync };
	p->count++;
}

/* The answer to the oldest of the queue. -1: it failed, or the connection did. */
static int take(struct pg *p, struct err *e)
{
	struct pg_item item = p->items[p->first];
	PGresult *result;
	int rc = 0;

	while ((result = pg_await(p)) != NULL) {
		ExecStatusType status = PQresultStatus(result);

		if (status == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			break; /* nothing follows it */
		}
		if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
			if (rc == 0 && e->kind == ERR_NONE) {
				rc = pg_failed(p, result, item.rows, e);
				if (item.origin != NULL)
					err_wrap(e, "%s", item.origin);
			}
			rc = -1;
		} else if (status == PGRES_PIPELINE_ABORTED) {
			rc = -1;
		} else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
			p->changed = strtoll(PQcmdTuples(result), NULL, 10);
		}
		PQclear(result);
		if (pg_is_lost(p))
			break;
	}
	if (pg_is_lost(p)) {
		p->count = 0;
		return e->kind != ERR_NONE ? -1 : pg_failed(p, NULL, false, e);
	}
	p->first = (p->first + 1) % p->capacity;
	p->count--;
	return rc;
}

static int take_all(struct pg *p, struct err *e)
{
	struct err first = ERR_INIT;
	int rc = 0;

	while (p->count > 0)
		if (take(p, &first) < 0)
			rc = -1;
	if (rc < 0)
		*e = first;
	return rc;
}

int pg_drain(struct pg *p, int64_t *ret_changed, struct err *e)
{
	if (PQpipelineStatus(p->conn) == PQ_PIPELINE_OFF)
		return pg_is_lost(p) ? pg_failed(p, NULL, false, e) : 0;
	if (PQpipelineSync(p->conn) != 1)
		return pg_failed(p, NULL, false, e);
	remember(p, NULL, false, true);
	p->changed = 0;
	if (pg_push(p, e) < 0) {
		p->count = 0;
		return -1;
	}
	if (take_all(p, e) < 0)
		return -1;
	if (ret_changed != NULL)
		*ret_changed = p->changed;
	return 0;
}

int pg_settle(struct pg *p, struct err *e)
{
	int rc = p->count > 0 ? pg_drain(p, NULL, e) : 0;

	if (pg_is_lost(p))
		return rc < 0 ? -1 : pg_failed(p, NULL, false, e);
	if (PQpipelineStatus(p->conn) != PQ_PIPELINE_OFF && PQexitPipelineMode(p->conn) != 1)
		return pg_failed(p, NULL, false, e);
	return rc;
}

/* Behind each that was queued. */
static int queued(struct pg *p, size_t size, const char *origin, bool rows, struct err *e)
{
	remember(p, origin, rows, false);
	p->unsent += size + 64;
	if (p->count >= QUEUE_MAX)
		return pg_drain(p, NULL, e);
	return p->unsent >= SEND_SIZE ? pg_push(p, e) : 0;
}

int pg_queue(struct pg *p, const char *sql, struct err *e)
{
	if (begin(p, e) < 0)
		return -1;
	if (PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 0)
		return pg_failed(p, NULL, false, e);
	return queued(p, strlen(sql), NULL, false, e);
}

static int send_it(struct pg_statement *s, size_t size, struct err *e)
{
	struct pg *p = s->pg;

	if (begin(p, e) < 0)
		return -1;
	if (PQsendQueryPrepared(p->conn, s->name, s->count, s->values, s->lengths, s->formats, 1) ==
	    0)
		return pg_failed(p, NULL, true, e);
	return queued(p, size, s->origin, true, e);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* libpq takes a text up to its NUL: one inside would cut it. */
static int add_text(struct pg_statement *s, int i, const struct value *v, struct err *e)
{
	size_t from = s->bytes.size;

	if (v->kind == VALUE_INT) {
		buf_add_format(&s->bytes, "%lld", (long long)v->i);
	} else if (v->kind == VALUE_DOUBLE) {
		buf_add_format(&s->bytes, "%.17g", v->d);
	} else {
		if (v->bytes.size > 0 && memchr(v->bytes.data, 0, v->bytes.size) != NULL)
			return err_data(e, "%s: parameter %d: a text with a zero byte", s->origin,
					i + 1);
		buf_add_slice(&s->bytes, v->bytes);
	}
	s->lengths[i] = (int)(s->bytes.size - from);
	buf_add_u8(&s->bytes, 0);
	s->formats[i] = 0;
	return 0;
}

int pg_send(struct pg_statement *s, const struct value *const *values, struct err *e)
{
	buf_reset(&s->bytes);
	for (int i = 0; i < s->count; i++) {
		const struct value *v = values[i];
		size_t from = s->bytes.size;

		s->offsets[i] = from;
		s->values[i] = NULL;
		if (v->kind == VALUE_NULL || v->kind == VALUE_ABSENT)
			continue;
		s->values[i] = "";
		if (pg_encode(s->types[i], v, &s->bytes)) {
			s->lengths[i] = (int)(s->bytes.size - from);
			s->formats[i] = 1;
		} else if (add_text(s, i, v, e) < 0) {
			return -1;
		}
	}
	for (int i = 0; i < s->count; i++) /* only now does the buffer stand still */
		if (s->values[i] != NULL && s->bytes.data != NULL)
			s->values[i] = (const char *)s->bytes.data + s->offsets[i];
	return send_it(s, s->bytes.size, e);
}

int pg_send_encoded(struct pg_statement *s, const struct slice *parts, struct err *e)
{
	size_t size = 0;

	for (int i = 0; i < s->count; i++) {
		s->values[i] = (const char *)parts[i].data;
		s->lengths[i] = (int)parts[i].size;
		s->formats[i] = 1;
		size += parts[i].size;
	}
	return send_it(s, size, e);
}
