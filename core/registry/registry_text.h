/* registry_text.h - the texts of schemas, kept small.
 *
 * Thousands of tables have schemas of some kB each that differ in a few names. Once there is a
 * dictionary's worth of them, each further text takes a tenth of its size. */
#ifndef CORE_REGISTRY_REGISTRY_TEXT_H
#define CORE_REGISTRY_REGISTRY_TEXT_H

#include "core/base/buf.h"

struct registry_packer { /* zero: empty */
	struct buf dictionary;
	void *deflater;
};

struct registry_text {
	char *bytes;
	uint32_t size;   /* of the text */
	uint32_t packed; /* bytes; 0: it is the text itself, with its NUL */
};

void registry_packer_done(struct registry_packer *p);
/* Copies the text. At most 4 GB. */
void registry_text_keep(struct registry_packer *p, const char *text,
			struct registry_text *ret_kept);
void registry_text_done(struct registry_text *t);
/* The text; when it is packed, in `room`, valid until that changes. */
const char *registry_text_look(const struct registry_packer *p, const struct registry_text *t,
			       struct buf *room);
/* The same, for as long as `t` lasts: unpacks it for good. */
const char *registry_text_open(const struct registry_packer *p, struct registry_text *t);

#endif
