/* dynamo.c - the client: libcurl's multi interface, one easy handle a slot, signed by
 * CURLOPT_AWS_SIGV4.
 *
 *   slot: free -> begin -> sent -> answered -> (again, after a wait -> sent)* -> done -> finish
 *
 * Whoever waits for one slot drives all of them. A slot that is tried again waits on its own; the
 * others go on.
 *
 * Of what is known to be wrong with SigV4 in curl 7.88 (Debian 12), nothing concerns these
 * requests: the path is "/" and there is no query (it does not encode them), header values hold no
 * runs of blanks (it does not fold them), and no header is switched off by an empty value (it would
 * sign it all the same): so "Expect: 100-continue" stays on for large bodies. */
#include "core/dynamo/dynamo.h"

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_FIRST_MS 25
#define RETRY_LONGEST_MS 2000
#define CONNECT_MS 5000

enum slot_state { SLOT_FREE, SLOT_SENT, SLOT_WAITING, SLOT_DONE };

struct slot {
	struct dynamo *dynamo;
	enum slot_state state;
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	const char *operation;
	struct slice request;
	struct buf body; /* of the answer */
	bool too_large;
	int64_t until_us, again_us;
	struct backoff backoff;
	struct dynamo_answer answer;
	struct err err;
	int rc;
};

struct dynamo {
	CURLM *multi;
	char *endpoint, *region, *access_key, *secret_key, *session_token;
	char *sigv4;
	int64_t timeout_ms;
	struct slot slots[DYNAMO_SLOTS];
};

/* ---- settings -------------------------------------------------------------------------------- */

/* A setting, or what customary variables of the environment say; malloced, NULL: neither. */
static char *setting(const char *value, const char *first, const char *second)
{
	const char *text = value;

	if (text == NULL || *text == '\0')
		text = getenv(first);
	if ((text == NULL || *text == '\0') && second != NULL)
		text = getenv(second);
	return text != NULL && *text != '\0' ? xstrdup(text) : NULL;
}

static int read_credentials(const struct settings *s, struct dynamo *d, struct err *e)
{
	bool own = s->dynamodb_access_key[0] != '\0';

	d->access_key = setting(s->dynamodb_access_key, "AWS_ACCESS_KEY_ID", NULL);
	if (own && s->dynamodb_secret_key[0] != '\0')
		d->secret_key = xstrdup(s->dynamodb_secret_key);
	else if (!own)
		d->secret_key = setting(NULL, "AWS_SECRET_ACCESS_KEY", NULL);
	if (own && s->dynamodb_session_token[0] != '\0')
		d->session_token = xstrdup(s->dynamodb_session_token);
	else if (!own)
		d->session_token = setting(NULL, "AWS_SESSION_TOKEN", NULL);
	if (d->access_key != NULL && d->secret_key != NULL)
		return 0;
	err_config(e, "DynamoDB: no credentials");
	return err_hint(e, "Set dynamodb.access_key and dynamodb.secret_key_file, or "
			   "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.");
}

static int read_settings(const struct settings *s, struct dynamo *d, struct err *e)
{
	d->timeout_ms = s->dynamodb_timeout_ms;
	d->region = setting(s->dynamodb_region, "AWS_REGION", "AWS_DEFAULT_REGION");
	d->endpoint =
		setting(s->dynamodb_endpoint, "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL");
	if (d->region == NULL) {
		err_config(e, "DynamoDB: no region");
		return err_hint(e, "Set dynamodb.region, for instance to eu-west-1.");
	}
	if (strspn(d->region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(d->region))
		return err_config(e, "dynamodb.region: '%s' is not a region", d->region);
	if (d->endpoint == NULL)
		d->endpoint = xasprintf("https://dynamodb.%s.amazonaws.com", d->region);
	if (strncmp(d->endpoint, "http://", 7) != 0 && strncmp(d->endpoint, "https://", 8) != 0) {
		err_config(e, "dynamodb.endpoint: '%s' is not a URL", d->endpoint);
		return err_hint(e, "Write https://HOST or http://HOST:PORT.");
	}
	d->sigv4 = xasprintf("aws:amz:%s:dynamodb", d->region);
	return read_credentials(s, d, e);
}

/* ---- handles --------------------------------------------------------------------------------- */

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct slot *s = context;

	if (s->body.size + size * count > DYNAMO_ANSWER_MAX) {
		s->too_large = true;
		return 0; /* curl gives up */
	}
	buf_add(&s->body, data, size * count);
	return size * count;
}

static void init_once(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int open_slot(struct dynamo *d, struct slot *s, struct err *e)
{
	s->dynamo = d;
	s->easy = curl_easy_init();
	if (s->easy == NULL)
		return err_fatal(e, "libcurl does not start");
	curl_easy_setopt(s->easy, CURLOPT_URL, d->endpoint);
	curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(s->easy, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(d->timeout_ms < CONNECT_MS ? d->timeout_ms : CONNECT_MS));
	curl_easy_setopt(s->easy, CURLOPT_AWS_SIGV4, d->sigv4);
	curl_easy_setopt(s->easy, CURLOPT_USERNAME, d->access_key);
	curl_easy_setopt(s->easy, CURLOPT_PASSWORD, d->secret_key);
	curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "millrace/" MILLRACE_VERSION);
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
	curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
	curl_easy_setopt(s->easy, CURLOPT_POST, 1L);
	return 0;
}

int dynamo_new(const struct settings *settings, struct dynamo **ret_dynamo, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct dynamo *d = xcalloc(1, sizeof(*d));

	pthread_once(&once, init_once);
	if (read_settings(settings, d, e) < 0) {
		dynamo_free(d);
		return -1;
	}
	d->multi = curl_multi_init();
	if (d->multi == NULL) {
		dynamo_free(d);
		return err_fatal(e, "libcurl does not start");
	}
	*ret_dynamo = d;
	return 0;
}

static void forget(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void dynamo_free(struct dynamo *d)
{
	if (d == NULL)
		return;
	dynamo_abandon(d);
	for (int i = 0; i < DYNAMO_SLOTS; i++) {
		curl_easy_cleanup(d->slots[i].easy);
		curl_slist_free_all(d->slots[i].headers);
		buf_done(&d->slots[i].body);
	}
	if (d->multi != NULL)
		curl_multi_cleanup(d->multi);
	free(d->endpoint);
	free(d->region);
	free(d->sigv4);
	free(d->access_key);
	forget(d->secret_key);
	forget(d->session_token);
	free(d);
}

const char *dynamo_endpoint(const struct dynamo *d)
{
	return d->endpoint;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void make_headers(struct dynamo *d, struct slot *s)
{
	char *text = xasprintf("X-Amz-Target: DynamoDB_20120810.%s", s->operation);

	curl_slist_free_all(s->headers);
	s->headers = curl_slist_append(NULL, "Content-Type: application/x-amz-json-1.0");
	s->headers = curl_slist_append(s->headers, text);
	free(text);
	if (d->session_token != NULL) {
		text = xasprintf("X-Amz-Security-Token: %s", d->session_token);
		s->headers = curl_slist_append(s->headers, text);
		forget(text);
	}
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
}

static void done(struct slot *s, int rc)
{
	s->state = SLOT_DONE;
	s->rc = rc;
}

static void send_slot(struct dynamo *d, struct slot *s)
{
	int64_t left_ms = (s->until_us - clock_monotonic_us()) / 1000;

	buf_reset(&s->body);
	s->too_large = false;
	s->error[0] = '\0';
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, (const char *)s->request.data);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->request.size);
	/* half of the time for one try, so that a lost answer leaves room for another */
	curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS,
			 (long)(left_ms > d->timeout_ms / 2 ? d->timeout_ms / 2
				: left_ms > 100             ? left_ms
							    : 100));
	s->state = SLOT_SENT;
	if (curl_multi_add_handle(d->multi, s->easy) != CURLM_OK) {
		err_fatal(&s->err, "libcurl refuses a request");
		done(s, -1);
	}
}

static int transport_error(const struct slot *s, CURLcode code, bool *ret_again, struct err *e)
{
	const char *text = s->error[0] != '\0' ? s->error : curl_easy_strerror(code);

	if (s->too_large)
		return err_data(e, "DynamoDB: %s: the answer is longer than %d MB", s->operation,
				DYNAMO_ANSWER_MAX >> 20);
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
	    code == CURLE_PEER_FAILED_VERIFICATION)
		return err_config(e, "%s: %s", s->dynamo->endpoint, text);
	*ret_again = true;
	err_retry(e, "%s: %s: %s", s->dynamo->endpoint, s->operation, text);
	return err_hint(e, "Check dynamodb.endpoint and the network.");
}

static void completed(struct slot *s, CURLcode code)
{
	int64_t now = clock_monotonic_us(), wait_us;
	bool again = false;
	long status = 0;
	int rc;

	curl_multi_remove_handle(s->dynamo->multi, s->easy);
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	err_clear(&s->err);
	dynamo_answer_done(&s->answer);
	if (code != CURLE_OK)
		rc = transport_error(s, code, &again, &s->err);
	else
		rc = dynamo_answer_read(s->operation, status, buf_slice(&s->body), &s->answer,
					&again, &s->err);
	wait_us = again ? backoff_next_ms(&s->backoff) * 1000 : 0;
	if (!again || now + wait_us > s->until_us) {
		done(s, rc);
		return;
	}
	s->again_us = now + wait_us;
	s->state = SLOT_WAITING;
}

/* Sends what waited long enough, takes what has come, and waits a while for more. */
static void drive(struct dynamo *d)
{
	int64_t now = clock_monotonic_us(), wait_ms = 1000;
	int running, left;
	CURLMsg *m;

	for (int i = 0; i < DYNAMO_SLOTS; i++) {
		struct slot *s = &d->slots[i];

		if (s->state != SLOT_WAITING)
			continue;
		if (s->again_us <= now)
			send_slot(d, s);
		else if ((s->again_us - now) / 1000 < wait_ms)
			wait_ms = (s->again_us - now) / 1000 + 1;
	}
	curl_multi_perform(d->multi, &running);
	while ((m = curl_multi_info_read(d->multi, &left)) != NULL) {
		struct slot *s = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
		completed(s, m->data.result);
		wait_ms = 0;
	}
	if (wait_ms > 0)
		curl_multi_poll(d->multi, NULL, 0, (int)wait_ms, NULL);
}

void dynamo_begin(struct dynamo *d, int slot, const char *operation, struct slice body)
{
	struct slot *s = &d->slots[slot];
	int running;

	s->operation = operation;
	s->request = body;
	s->until_us = clock_monotonic_us() + d->timeout_ms * 1000;
	s->backoff = (struct backoff){ .first_ms = RETRY_FIRST_MS, .longest_ms = RETRY_LONGEST_MS };
	err_clear(&s->err);
	if (s->easy == NULL && open_slot(d, s, &s->err) < 0) {
		done(s, -1);
		return;
	}
	make_headers(d, s);
	send_slot(d, s);
	curl_multi_perform(d->multi, &running); /* off it goes */
}

bool dynamo_is_busy(const struct dynamo *d, int slot)
{
	return d->slots[slot].state != SLOT_FREE;
}

int dynamo_finish(struct dynamo *d, int slot, struct dynamo_answer *ret_answer, struct err *e)
{
	struct slot *s = &d->slots[slot];

	while (s->state != SLOT_DONE)
		drive(d);
	s->state = SLOT_FREE;
	*ret_answer = s->answer;
	s->answer = (struct dynamo_answer){ .outcome = DYNAMO_FAILED, .action = -1 };
	if (s->rc < 0)
		*e = s->err;
	return s->rc;
}

int dynamo_call(struct dynamo *d, const char *operation, struct slice body,
		struct dynamo_answer *ret_answer, struct err *e)
{
	dynamo_begin(d, 0, operation, body);
	return dynamo_finish(d, 0, ret_answer, e);
}

void dynamo_abandon(struct dynamo *d)
{
	for (int i = 0; i < DYNAMO_SLOTS; i++) {
		struct slot *s = &d->slots[i];

		if (s->state == SLOT_SENT)
			curl_multi_remove_handle(d->multi, s->easy); /* closes its connection */
		dynamo_answer_done(&s->answer);
		s->state = SLOT_FREE;
	}
}
