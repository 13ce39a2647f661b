/* http_client.c - libcurl's easy interface, one handle per call: these calls are rare (a verb
 * asks a daemon), so nothing is kept. Only http and https; redirects are not followed, so a
 * token never travels to another host. */
#include "core/http/http_client.h"

#include "core/base/mem.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

struct transfer {
	struct buf *body;
	bool too_large;
};

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct transfer *t = context;

	if (t->body->size + size * count > HTTP_ANSWER_MAX) {
		t->too_large = true;
		return 0; /* curl gives up */
	}
	buf_add(t->body, data, size * count);
	return size * count;
}

static void init_once(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct curl_slist *make_headers(const struct http_call *call)
{
	struct curl_slist *headers = curl_slist_append(NULL, "X-Millrace: 1");

	if (call->body != NULL)
		headers = curl_slist_append(headers, "Content-Type: application/json");
	if (call->token != NULL && *call->token != '\0') {
		char *text = xasprintf("Authorization: Bearer %s", call->token);

		headers = curl_slist_append(headers, text);
		explicit_bzero(text, strlen(text));
		free(text);
	}
	return headers;
}

static void set_options(CURL *curl, const struct http_call *call, const char *url,
			struct transfer *t)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			 (long)(call->timeout_ms > 0 ? call->timeout_ms : 30000));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "millrace/" MILLRACE_VERSION);
	if (strcmp(call->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body != NULL ? call->body : "");
	}
}

static char *make_url(const struct http_call *call)
{
	return xasprintf("%s%s%s", strstr(call->address, "://") != NULL ? "" : "http://",
			 call->address, call->path);
}

/* One transfer; what went wrong is in *e. */
static int perform(CURL *curl, const struct http_call *call, struct transfer *t, int *ret_status,
		   struct err *e)
{
	struct curl_slist *headers = make_headers(call);
	char *url = make_url(call);
	long status = 0;
	CURLcode code;
	int rc = 0;

	set_options(curl, call, url, t);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->too_large)
		rc = err_data(e, "%s: the answer is longer than %d MB", url, HTTP_ANSWER_MAX >> 20);
	else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
		rc = err_config(e, "%s: %s", url, curl_easy_strerror(code));
	else if (code != CURLE_OK)
		rc = err_retry(e, "%s: %s", url, curl_easy_strerror(code));
	curl_slist_free_all(headers);
	free(url);
	*ret_status = (int)status;
	return rc;
}

int http_client_call(const struct http_call *call, struct http_answer *ret_answer, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct buf body = BUF_INIT;
	struct transfer t = { &body, false };
	int status = 0, rc;
	CURL *curl;

	pthread_once(&once, init_once);
	curl = curl_easy_init();
	if (curl == NULL)
		return err_fatal(e, "libcurl does not start");
	rc = perform(curl, call, &t, &status, e);
	curl_easy_cleanup(curl);
	if (rc < 0) {
		buf_done(&body);
		return -1;
	}
	buf_cstr(&body);
	*ret_answer = (struct http_answer){ status, body };
	return 0;
}

static enum err_kind kind_of(const char *name, int status)
{
	static const enum err_kind kinds[] = { ERR_RETRY, ERR_DATA, ERR_CONFIG, ERR_FATAL };

	for (size_t i = 0; name != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(err_kind_name(kinds[i]), name) == 0)
			return kinds[i];
	return status == 502 || status == 503 || status == 504 || status == 429 ? ERR_RETRY
										: ERR_CONFIG;
}

/* An answer that says no, as our own error. */
static int refused(const struct http_call *call, const struct http_answer *answer, struct err *e)
{
	json_t *root = json_loadb((const char *)answer->body.data, answer->body.size, 0, NULL);
	const char *error = json_string_value(json_object_get(root, "error"));
	const char *hint = json_string_value(json_object_get(root, "hint"));
	json_int_t code = json_integer_value(json_object_get(root, "exit_code"));

	err_config(e, "%s: %s", call->address,
		   error != NULL ? error : "an answer that is not Millrace's");
	if (error == NULL)
		err_wrap(e, "status %d of %s", answer->status, call->path);
	e->kind = kind_of(json_string_value(json_object_get(root, "kind")), answer->status);
	if (code >= EXIT_USAGE && code <= EXIT_PURGED)
		err_exit(e, (enum exit_code)code);
	if (hint != NULL)
		err_hint(e, "%s", hint);
	json_decref(root);
	return -1;
}

int http_client_ask(const struct http_call *call, struct http_answer *ret_answer, struct err *e)
{
	struct http_answer answer;

	if (http_client_call(call, &answer, e) < 0)
		return -1;
	if (answer.status < 200 || answer.status > 299) {
		refused(call, &answer, e);
		http_client_done(&answer);
		return -1;
	}
	*ret_answer = answer;
	return 0;
}

void http_client_done(struct http_answer *answer)
{
	buf_done(&answer->body);
}

void http_client_encode(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    strchr("-_.~", c) != NULL)
			buf_add_u8(out, c);
		else
			buf_add_format(out, "%%%02X", c);
	}
}
