/* http_request.c - what a handler asks of a request, and how it answers. A body is empty or one
 * JSON object; its members are turned into text once, so that handlers outside this folder need
 * no JSON library. */
#include "core/http/http_priv.h"

#include "core/base/mem.h"
#include "core/base/quote.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>

void http_request_drop_parameters(struct http_request *r)
{
	for (size_t i = 0; i < r->parameter_count; i++) {
		free(r->parameters[i].name);
		free(r->parameters[i].text);
	}
	r->parameter_count = 0;
}

bool http_request_match(struct http_request *r, const char *pattern, const char *path)
{
	while (*pattern == '/' && *path == '/') {
		size_t n = strcspn(++pattern, "/"), m = strcspn(++path, "/");

		if (n > 1 && *pattern == ':' && m > 0 && r->parameter_count < HTTP_PARAMETERS_MAX)
			r->parameters[r->parameter_count++] =
				(struct http_pair){ xstrndup(pattern + 1, n - 1),
						    xstrndup(path, m) };
		else if (n != m || memcmp(pattern, path, n) != 0)
			break;
		pattern += n;
		path += m;
		if (*pattern == '\0' && *path == '\0')
			return true;
	}
	http_request_drop_parameters(r);
	return false;
}

static char *member_text(const json_t *value)
{
	char *dumped, *text;

	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	text = xstrdup(dumped != NULL ? dumped : "");
	free(dumped);
	return text;
}

bool http_request_read_fields(struct http_request *r)
{
	json_t *root, *value;
	const char *name;

	if (r->body.size == 0)
		return true;
	root = json_loadb((const char *)r->body.data, r->body.size, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		return false;
	}
	r->fields = xcalloc(json_object_size(root), sizeof(*r->fields));
	json_object_foreach(root, name, value) r->fields[r->field_count++] =
		(struct http_pair){ xstrdup(name), member_text(value) };
	json_decref(root);
	return true;
}

void http_request_free(struct http_request *r)
{
	if (r == NULL)
		return;
	http_request_drop_parameters(r);
	for (size_t i = 0; i < r->field_count; i++) {
		free(r->fields[i].name);
		free(r->fields[i].text);
	}
	free(r->fields);
	buf_done(&r->body);
	buf_done(&r->response.body);
	free(r);
}

static const char *find(const struct http_pair *pairs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].text;
	return NULL;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_parameter(const struct http_request *r, const char *name)
{
	return find(r->parameters, r->parameter_count, name);
}

const char *http_query(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct slice http_body(const struct http_request *r)
{
	return buf_slice(&r->body);
}

const char *http_field(const struct http_request *r, const char *name)
{
	return find(r->fields, r->field_count, name);
}

bool http_stopping(const struct http_request *r)
{
	return atomic_load(r->stopping);
}

void http_fail(struct http_response *response, int status, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	response->status = status;
	response->content_type = "application/json";
	buf_reset(&response->body);
	buf_add_str(&response->body, "{\"error\":");
	quote_json(&response->body, slice_str(text));
	buf_add_str(&response->body, "}\n");
}

static int status_of(enum err_kind kind)
{
	switch (kind) {
	case ERR_CONFIG:
		return 409;
	case ERR_DATA:
		return 422;
	case ERR_RETRY:
		return 503;
	case ERR_NONE:
	case ERR_FATAL:
		return 500;
	}
	return 500;
}

void http_fail_err(struct http_response *response, const struct err *e)
{
	static const char mark[] = "\nHINT: ";
	const char *hint = strstr(e->msg, mark);
	struct buf *out = &response->body;

	response->status = status_of(e->kind);
	response->content_type = "application/json";
	buf_reset(out);
	buf_add_str(out, "{\"error\":");
	quote_json(out, slice_of(e->msg, hint != NULL ? (size_t)(hint - e->msg) : strlen(e->msg)));
	if (hint != NULL) {
		buf_add_str(out, ",\"hint\":");
		quote_json(out, slice_str(hint + sizeof(mark) - 1));
	}
	buf_add_format(out, ",\"kind\":\"%s\",\"exit_code\":%d}\n", err_kind_name(e->kind),
		       err_exit_code(e));
}

void http_text(struct http_response *response, const char *content_type, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = xstrdup("");
	va_end(args);
	response->content_type = content_type;
	buf_reset(&response->body);
	buf_add_str(&response->body, text);
	free(text);
}
