/* json_model.h - JSON documents for tests: random ones, their text, their binary form, changes.
 *
 * Written without the reader's help: text, binary writer and edits are the test's own. Doubles are
 * such whose text is plain to see (halves, quarters). */
#ifndef TEST_LIB_JSON_MODEL_H
#define TEST_LIB_JSON_MODEL_H

#include "core/base/buf.h"

enum json_kind {
	MODEL_NULL,
	MODEL_TRUE,
	MODEL_FALSE,
	MODEL_INT,
	MODEL_UINT,
	MODEL_DOUBLE,
	MODEL_STRING,
	MODEL_OPAQUE,
	MODEL_DECIMAL,
	MODEL_DATETIME,
	MODEL_ARRAY,
	MODEL_OBJECT
};

struct json_node {
	enum json_kind kind;
	int64_t i;        /* INT, UINT; DOUBLE in quarters; DECIMAL in hundredths */
	struct buf bytes; /* STRING, OPAQUE */
	struct buf key;   /* of a member of an object */
	struct json_node **members;
	size_t count;
};

typedef uint64_t (*json_random)(uint64_t below);

/* A random document, nested at most `depth` deep. */
struct json_node *json_model_random(json_random random, unsigned depth);
struct json_node *json_model_copy(const struct json_node *n);
void json_model_free(struct json_node *n);
/* As the server prints it. */
void json_model_text(const struct json_node *n, struct buf *out);
/* Type byte and value; containers in the large form where they must be, or now and then at
 * random, and with free bytes between their values. random NULL: as small as it gets. */
void json_model_binary(const struct json_node *n, json_random random, struct buf *out);

/* A random change: made to *root, and appended to `diffs` as the server writes it. False when there
 * was nothing to change (the root is a scalar). */
bool json_model_change(struct json_node *root, json_random random, struct buf *diffs);

#endif
