/* dynamo_answer.c - what an answer means: its JSON, the kind of its refusal, what may be tried
 * again.
 *
 * A refusal is {"__type": "prefix#NameException", "message": ...}; a cancelled transaction lists a
 * reason for each of its actions in their order. Types are a table: one that is not in it fails,
 * naming itself. The message is shown for requests that carry no items only.
 *
 * Answers come from outside: size (client), depth (the library's own limit of 2048) and every type
 * are checked. */
#include "core/dynamo/dynamo.h"

#include "core/base/mem.h"
#include "core/dynamo/dynamo_value.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define AGAIN 1
#define DENIED 2
#define TYPE_MAX 80

static const struct {
	const char *name;
	enum dynamo_outcome outcome;
	int what;
} types[] = {
	{ "ConditionalCheckFailedException", DYNAMO_CONDITION, 0 },
	{ "ResourceNotFoundException", DYNAMO_MISSING, 0 },
	{ "TableNotFoundException", DYNAMO_MISSING, 0 },
	{ "ResourceInUseException", DYNAMO_IN_USE, 0 },
	{ "TableAlreadyExistsException", DYNAMO_IN_USE, 0 },
	{ "ValidationException", DYNAMO_REFUSED, 0 },
	{ "SerializationException", DYNAMO_REFUSED, 0 },
	{ "ItemCollectionSizeLimitExceededException", DYNAMO_REFUSED, 0 },
	{ "ThrottlingException", DYNAMO_FAILED, AGAIN },
	{ "ProvisionedThroughputExceededException", DYNAMO_FAILED, AGAIN },
	{ "RequestLimitExceeded", DYNAMO_FAILED, AGAIN },
	{ "LimitExceededException", DYNAMO_FAILED, AGAIN },
	{ "TransactionConflictException", DYNAMO_FAILED, AGAIN },
	{ "TransactionInProgressException", DYNAMO_FAILED, AGAIN },
	{ "ReplicatedWriteConflictException", DYNAMO_FAILED, AGAIN },
	{ "InternalServerError", DYNAMO_FAILED, AGAIN },
	{ "InternalFailure", DYNAMO_FAILED, AGAIN },
	{ "ServiceUnavailable", DYNAMO_FAILED, AGAIN },
	{ "ServiceUnavailableException", DYNAMO_FAILED, AGAIN },
	{ "UnrecognizedClientException", DYNAMO_FAILED, DENIED },
	{ "InvalidSignatureException", DYNAMO_FAILED, DENIED },
	{ "IncompleteSignatureException", DYNAMO_FAILED, DENIED },
	{ "IncompleteSignature", DYNAMO_FAILED, DENIED },
	{ "InvalidClientTokenId", DYNAMO_FAILED, DENIED },
	{ "MissingAuthenticationToken", DYNAMO_FAILED, DENIED },
	{ "MissingAuthenticationTokenException", DYNAMO_FAILED, DENIED },
	{ "AccessDeniedException", DYNAMO_FAILED, DENIED },
	{ "ExpiredTokenException", DYNAMO_FAILED, DENIED },
};

/* Reasons of a cancelled transaction, the gravest first: what can never succeed is not tried
 * again because something else can. */
static const struct {
	const char *code;
	enum dynamo_outcome outcome;
	int what;
} reasons[] = {
	{ "ConditionalCheckFailed", DYNAMO_CONDITION, 0 },
	{ "ValidationError", DYNAMO_REFUSED, 0 },
	{ "ItemCollectionSizeLimitExceeded", DYNAMO_REFUSED, 0 },
	{ "AccessDenied", DYNAMO_FAILED, DENIED },
	{ "TransactionConflict", DYNAMO_FAILED, AGAIN },
	{ "ThrottlingError", DYNAMO_FAILED, AGAIN },
	{ "ProvisionedThroughputExceeded", DYNAMO_FAILED, AGAIN },
	{ "RequestLimitExceeded", DYNAMO_FAILED, AGAIN },
};

/* ---- nodes ----------------------------------------------------------------------------------- */

static json_t *handle_of(const struct dynamo_node *n)
{
	return (json_t *)(uintptr_t)n;
}

const struct dynamo_node *dynamo_get(const struct dynamo_node *n, const char *name)
{
	return (const struct dynamo_node *)json_object_get(handle_of(n), name);
}

const struct dynamo_node *dynamo_at(const struct dynamo_node *n, size_t i)
{
	return (const struct dynamo_node *)json_array_get(handle_of(n), i);
}

size_t dynamo_count(const struct dynamo_node *n)
{
	return json_array_size(handle_of(n));
}

struct slice dynamo_text(const struct dynamo_node *n)
{
	const char *text = json_string_value(handle_of(n));

	return slice_of(text, text != NULL ? json_string_length(handle_of(n)) : 0);
}

void dynamo_print(const struct dynamo_node *n, struct buf *out)
{
	char *text = json_dumps(handle_of(n), JSON_COMPACT | JSON_ENCODE_ANY);

	buf_add_str(out, text != NULL ? text : "null");
	free(text);
}

int dynamo_attribute(const struct dynamo_node *item, const char *name, struct buf *scratch,
		     struct value *ret_value, struct err *e)
{
	const struct dynamo_node *wrapped = dynamo_get(item, name);
	struct slice text;

	*ret_value = (struct value){ .kind = VALUE_NULL };
	if ((text = dynamo_text(dynamo_get(wrapped, "S"))).data != NULL ||
	    (text = dynamo_text(dynamo_get(wrapped, "N"))).data != NULL) {
		*ret_value = (struct value){ .kind = VALUE_TEXT, .bytes = text };
	} else if ((text = dynamo_text(dynamo_get(wrapped, "B"))).data != NULL) {
		size_t at = scratch->size;

		if (!dynamo_base64_read(text, scratch))
			return err_data(e, "attribute %s: its bytes can't be read", name);
		(void)buf_reserve(scratch, 0); /* no bytes are not NULL */
		*ret_value =
			(struct value){ .kind = VALUE_BYTES,
					.bytes = slice_of(scratch->data + at, scratch->size - at) };
	}
	return 0;
}

int64_t dynamo_int(const struct dynamo_node *item, const char *name)
{
	struct slice text = dynamo_text(dynamo_get(dynamo_get(item, name), "N"));
	char digits[24], *end;
	long long i;

	if (text.data == NULL || text.size >= sizeof(digits))
		return 0;
	memcpy(digits, text.data, text.size);
	digits[text.size] = '\0';
	errno = 0;
	i = strtoll(digits, &end, 10);
	return errno == 0 && *end == '\0' ? i : 0;
}

char *dynamo_string(const struct dynamo_node *item, const char *name)
{
	struct slice text = dynamo_text(dynamo_get(dynamo_get(item, name), "S"));

	return text.data != NULL ? xstrndup((const char *)text.data, text.size) : NULL;
}

void dynamo_answer_done(struct dynamo_answer *a)
{
	json_decref(handle_of(a->root));
	*a = (struct dynamo_answer){ .outcome = DYNAMO_FAILED, .action = -1 };
}

/* ---- refusals -------------------------------------------------------------------------------- */

static int denied(const char *operation, const char *type, struct err *e)
{
	err_config(e, "DynamoDB: %s: %s", operation, type);
	if (strcmp(type, "AccessDeniedException") == 0 || strcmp(type, "AccessDenied") == 0)
		return err_hint(e, "Allow dynamodb:%s on Millrace's tables to this access key.",
				operation);
	if (strcmp(type, "ExpiredTokenException") == 0)
		return err_hint(e, "Put a new session token into dynamodb.session_token_file and "
				   "start again.");
	return err_hint(e, "Check dynamodb.access_key, dynamodb.secret_key_file and "
			   "dynamodb.region, and this machine's clock.");
}

/* The service's message where it can't hold values: of requests about tables. */
static void add_message(const struct dynamo_node *root, const char *operation, struct err *e)
{
	struct slice text = dynamo_text(dynamo_get(root, "message"));

	if (text.data == NULL)
		text = dynamo_text(dynamo_get(root, "Message"));
	if (text.data == NULL || strstr(operation, "Table") == NULL)
		return;
	err_wrap(e, "%.*s", (int)(text.size > 400 ? 400 : text.size), (const char *)text.data);
}

static void fill(const char *operation, const char *type, enum dynamo_outcome outcome, int what,
		 const struct dynamo_node *root, struct err *e)
{
	if (what == AGAIN) {
		err_retry(e, "DynamoDB: %s: %s", operation, type);
		return;
	}
	if (what == DENIED) {
		(void)denied(operation, type, e); /* -1 */
		return;
	}
	switch (outcome) {
	case DYNAMO_CONDITION:
		err_retry(e, "DynamoDB: %s: a condition does not hold", operation);
		break;
	case DYNAMO_MISSING:
		err_retry(e, "DynamoDB: %s: no such table", operation);
		break;
	case DYNAMO_IN_USE:
		err_retry(e, "DynamoDB: %s: a table is being made or removed", operation);
		break;
	case DYNAMO_REFUSED:
		if (strstr(operation, "Table") != NULL) {
			err_config(e, "DynamoDB: %s: %s", operation, type);
			add_message(root, operation, e);
		} else {
			err_data(e, "DynamoDB refuses the values: %s: %s", operation, type);
		}
		break;
	case DYNAMO_OK:
	case DYNAMO_FAILED:
		err_fatal(e, "DynamoDB: %s: %s", operation, type);
		add_message(root, operation, e);
		break;
	}
}

static int read_reasons(const char *operation, struct dynamo_answer *a, bool *ret_again,
			struct err *e)
{
	const struct dynamo_node *list = dynamo_get(a->root, "CancellationReasons");

	for (size_t k = 0; k < sizeof(reasons) / sizeof(reasons[0]); k++) {
		for (size_t i = 0; i < dynamo_count(list) && i < DYNAMO_ACTIONS_MAX; i++) {
			struct slice code = dynamo_text(dynamo_get(dynamo_at(list, i), "Code"));

			if (!slice_is(code, reasons[k].code))
				continue;
			a->action = (int)i;
			a->outcome = reasons[k].outcome;
			*ret_again = reasons[k].what == AGAIN;
			fill(operation, reasons[k].code, a->outcome, reasons[k].what, a->root, e);
			return -1;
		}
	}
	return err_fatal(e, "DynamoDB: %s: cancelled for no reason that is known", operation);
}

/* "com.amazonaws.dynamodb.v20120810#Name" -> Name, as far as it is a plain word. */
static void type_of(const struct dynamo_node *root, char *ret_type)
{
	struct slice text = dynamo_text(dynamo_get(root, "__type"));
	size_t start = 0, n = 0;

	for (size_t i = 0; i < text.size; i++)
		start = text.data[i] == '#' ? i + 1 : start;
	while (start + n < text.size && n < TYPE_MAX - 1 && isalnum(text.data[start + n])) {
		ret_type[n] = (char)text.data[start + n];
		n++;
	}
	ret_type[n] = '\0';
}

static int read_refusal(const char *operation, long status, struct dynamo_answer *a,
			bool *ret_again, struct err *e)
{
	char type[TYPE_MAX];

	type_of(a->root, type);
	if (strcmp(type, "TransactionCanceledException") == 0)
		return read_reasons(operation, a, ret_again, e);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(type, types[i].name) != 0)
			continue;
		a->outcome = types[i].outcome;
		*ret_again = types[i].what == AGAIN;
		fill(operation, type, a->outcome, types[i].what, a->root, e);
		return -1;
	}
	if (status >= 500 || status == 429) {
		*ret_again = true;
		return err_retry(e, "DynamoDB: %s: status %ld", operation, status);
	}
	if (status == 413) {
		a->outcome = DYNAMO_REFUSED;
		return err_data(e, "DynamoDB refuses the values: %s: too large", operation);
	}
	err_fatal(e, "DynamoDB: %s: status %ld, %s", operation, status,
		  type[0] != '\0' ? type : "and no reason");
	return err_hint(e, "Check that dynamodb.endpoint is a DynamoDB endpoint.");
}

int dynamo_answer_read(const char *operation, long status, struct slice body,
		       struct dynamo_answer *ret_answer, bool *ret_again, struct err *e)
{
	struct dynamo_answer a = { .outcome = DYNAMO_FAILED, .action = -1 };

	*ret_again = false;
	a.root = (struct dynamo_node *)json_loadb((const char *)body.data, body.size,
						  JSON_ALLOW_NUL, NULL);
	if (a.root != NULL && !json_is_object(handle_of(a.root)))
		dynamo_answer_done(&a);
	*ret_answer = a;
	if (status == 200 && a.root != NULL) {
		ret_answer->outcome = DYNAMO_OK;
		return 0;
	}
	if (status == 200) {
		err_config(e, "DynamoDB: %s: an answer that is not DynamoDB's", operation);
		return err_hint(e, "Check dynamodb.endpoint.");
	}
	return read_refusal(operation, status, ret_answer, ret_again, e);
}
