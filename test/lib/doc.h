/* doc.h - JSON documents for tests: random ones, their text, their binary form, changes.
 *
 * Written without the reader's help: text, binary writer and edits are the test's own. Doubles are
 * such whose text is plain to see (halves, quarters). */
#ifndef TEST_LIB_DOC_H
#define TEST_LIB_DOC_H

#include "core/base/buf.h"

enum doc_kind {
	DOC_NULL,
	DOC_TRUE,
	DOC_FALSE,
	DOC_INT,
	DOC_UINT,
	DOC_DOUBLE,
	DOC_STRING,
	DOC_OPAQUE,
	DOC_DECIMAL,
	DOC_DATETIME,
	DOC_ARRAY,
	DOC_OBJECT
};

struct doc {
	enum doc_kind kind;
	int64_t i;        /* INT, UINT; DOUBLE in quarters; DECIMAL in hundredths */
	struct buf bytes; /* STRING, OPAQUE */
	struct buf key;   /* of a member of an object */
	struct doc **members;
	size_t count;
};

typedef uint64_t (*doc_random_fn)(uint64_t below);

/* A random document, nested at most `depth` deep. */
struct doc *doc_random(doc_random_fn random, unsigned depth);
struct doc *doc_copy(const struct doc *n);
void doc_free(struct doc *n);
/* As the server prints it. */
void doc_text(const struct doc *n, struct buf *out);
/* Type byte and value; containers in the large form where they must be, or now and then at
 * random, and with free bytes between their values. random NULL: as small as it gets. */
void doc_binary(const struct doc *n, doc_random_fn random, struct buf *out);

/* A random change: made to *root, and appended to `diffs` as the server writes it. False when there
 * was nothing to change (the root is a scalar). */
bool doc_change(struct doc *root, doc_random_fn random, struct buf *diffs);

#endif
