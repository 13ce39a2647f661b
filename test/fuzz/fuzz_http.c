/* fuzz_http.c - our part of a request: its path, and the JSON of its body
 * (core/http/http_request.c). The rest of HTTP is libmicrohttpd's. Input: a part with the path, a
 * part for a message, then the body. Answers are JSON, whatever the message. */
#include "test/fuzz/fuzz.h"

#include "core/base/mem.h"
#include "core/http/http_client.h"
#include "core/http/http_priv.h"

#include <string.h>

static const char *const routes[] = { "/", "/api/views/:view/hold", "/api/:a/:b/:c/:d/:e",
				      "/metrics", "/api/tables/:db/:table" };

static void check_answers(const char *message)
{
	struct http_response r = { .status = 200 };
	struct err e = ERR_INIT;
	struct buf encoded = BUF_INIT;

	http_fail(&r, 404, "%s", message);
	fuzz_check_json(buf_slice(&r.body));
	err_config(&e, "%s", message);
	err_hint(&e, "%s", message);
	http_fail_err(&r, &e);
	fuzz_check_json(buf_slice(&r.body));
	http_client_encode(&encoded, message);
	for (size_t i = 0; i < encoded.size; i++)
		fuzz_check(encoded.data[i] > ' ' && encoded.data[i] < 0x7f, "%u", encoded.data[i]);
	buf_done(&encoded);
	buf_done(&r.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request *r = xcalloc(1, sizeof(*r));
	struct buf path = BUF_INIT, message = BUF_INIT;

	fuzz_input = rd_of(data, size);
	buf_add_slice(&path, fuzz_part());
	buf_add_slice(&message, fuzz_part());
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (http_request_match(r, routes[i], buf_cstr(&path)))
			fuzz_check(r->parameter_count <= HTTP_PARAMETERS_MAX, "parameters");
		else
			fuzz_check(r->parameter_count == 0, "parameters of no match");
		http_request_drop_parameters(r);
	}
	check_answers(buf_cstr(&message));
	buf_add_slice(&r->body, rd_rest(&fuzz_input));
	if (http_request_read_fields(r)) {
		for (size_t i = 0; i < r->field_count; i++)
			fuzz_check(http_field(r, r->fields[i].name) != NULL, "'%s'",
				   r->fields[i].name);
	} else {
		fuzz_check(r->field_count == 0, "fields of no body");
	}
	http_request_free(r);
	buf_done(&path);
	buf_done(&message);
	return 0;
}
