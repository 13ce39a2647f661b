/* capture_http.c - copies, asked for over HTTP.
 *
 * A condition is looked at here, before the pipeline hears of it: first its form (it will stand in
 * brackets, and must not be able to leave them), then the server explains a SELECT with it, in a
 * read-only session, which is where a misspelt column shows. */
#include "cdc/capture/capture_http.h"

#include "core/base/mem.h"
#include "core/mysql/db.h"
#include "core/value/row.h"

#include <stdlib.h>

#define ASK_MS 30000

static void ask(struct capture_api *api, const char *name, const struct command_field *fields,
		size_t count, struct http_response *response)
{
	struct err e = ERR_INIT;

	if (command_ask(api->commands, name, fields, count, ASK_MS, &response->body, &e) < 0)
		http_fail_err(response, &e);
}

static void get_copies(void *context, const struct http_request *request,
		       struct http_response *response)
{
	(void)request;
	ask(context, "list copies", NULL, 0, response);
}

/* ---- conditions ----------------------------------------------------------------------------- */

/* Behind the quoted text that begins at p; NULL: it has no end. */
static const char *skip_quoted(const char *p)
{
	char quote = *p++;

	for (; *p != '\0'; p++) {
		if (*p == '\\' && quote != '`' && p[1] != '\0')
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return NULL;
}

static bool begins_comment(const char *p)
{
	return *p == '#' || (p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*');
}

int capture_check_where(const char *where, struct err *e)
{
	const char *p = where;
	int depth = 0;

	if (strlen(where) > CAPTURE_WHERE_MAX)
		return err_config(e, "a condition has at most %d bytes", CAPTURE_WHERE_MAX);
	while (*p != '\0') {
		if (*p == '\'' || *p == '"' || *p == '`') {
			p = skip_quoted(p);
			if (p == NULL)
				return err_config(e, "the condition ends inside quotes");
			continue;
		}
		if (*p == ';' || begins_comment(p))
			return err_config(e, "a condition holds neither ';' nor comments");
		depth += (*p == '(') - (*p == ')');
		if (depth < 0)
			return err_config(e,
					  "the condition closes a bracket that it has not opened");
		p++;
	}
	if (depth != 0)
		return err_config(e, "the condition does not close all its brackets");
	return 0;
}

/* Of one table, on the server. */
static int explain(struct db *db, const char *table, const char *where, struct err *e)
{
	const char *dot = strchr(table, '.');
	struct buf sql = BUF_INIT;
	char *name;
	int rc;

	if (dot == NULL)
		return err_config(e, "'%s' is not of the form db.table", table);
	name = xstrndup(table, (size_t)(dot - table));
	buf_add_str(&sql, "EXPLAIN SELECT 1 FROM ");
	row_quote_name(name, &sql);
	buf_add_u8(&sql, '.');
	row_quote_name(dot + 1, &sql);
	buf_add_format(&sql, " WHERE (%s)", where);
	rc = db_run(db, buf_cstr(&sql), e);
	if (rc < 0)
		err_wrap(e, "--where on %s", table);
	free(name);
	buf_done(&sql);
	return rc;
}

static int check_where(const struct capture_api *api, const char *tables, const char *where,
		       struct err *e)
{
	char *list = xstrdup(tables), *rest = list, *table;
	struct db *db = NULL;
	int rc = capture_check_where(where, e);

	if (rc == 0)
		rc = db_open(api->settings, DB_TEXT_UTF8, &db, e);
	while (rc == 0 && (table = strsep(&rest, ",")) != NULL)
		rc = explain(db, table, where, e);
	if (db != NULL)
		db_close(db);
	free(list);
	return rc;
}

static bool is_action(const char *text)
{
	static const char *const actions[] = { "copy", "pause", "resume", "stop" };

	for (size_t i = 0; text != NULL && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(text, actions[i]) == 0)
			return true;
	return false;
}

static void post_copies(void *context, const struct http_request *request,
			struct http_response *response)
{
	const char *tables = http_field(request, "tables"), *where = http_field(request, "where"),
		   *action = http_field(request, "action");
	struct command_field fields[] = { { "tables", tables },
					  { "where", where },
					  { "action", action } };
	struct capture_api *api = context;
	struct err e = ERR_INIT;

	if (tables == NULL || tables[0] == '\0' || !is_action(action)) {
		http_fail(response, 400,
			  "a copy needs \"tables\" (db.table, ...) and \"action\": copy, pause, "
			  "resume or stop");
		return;
	}
	if (where != NULL && where[0] != '\0' && check_where(api, tables, where, &e) < 0) {
		http_fail_err(response, &e);
		return;
	}
	ask(api, "copies", fields, 3, response);
}

static void post_parked(void *context, const struct http_request *request,
			struct http_response *response)
{
	const char *action = http_field(request, "action"), *id = http_field(request, "id");
	struct command_field fields[] = { { "id", id },
					  { "action", action },
					  { "force", http_field(request, "force") } };

	if (id == NULL || action == NULL ||
	    (strcmp(action, "retry") != 0 && strcmp(action, "drop") != 0)) {
		http_fail(response, 400,
			  "a parked record needs \"id\" and \"action\": retry or drop");
		return;
	}
	ask(context, "parked", fields, 3, response);
}

const struct http_route *capture_routes(struct capture_api *api, size_t *ret_count)
{
	static struct http_route routes[] = {
		{ "GET", "/api/copies", get_copies, NULL, false, false },
		{ "POST", "/api/copies", post_copies, NULL, false, false },
		{ "POST", "/api/parked", post_parked, NULL, false, false },
	};

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		routes[i].context = api;
	*ret_count = sizeof(routes) / sizeof(routes[0]);
	return routes;
}
