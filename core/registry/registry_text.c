/* registry_text.c - packs texts with zlib, against the first ones as the dictionary.
 *
 * The dictionary is what came first, up to half of zlib's window, and stays as it is: what was
 * packed needs it. Who has few schemas never gets there, and nothing is packed. */
#include "core/registry/registry_text.h"

#include "core/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DICTIONARY_BYTES 16384
#define WINDOW_BITS (-15) /* without header and sum */
#define MEMORY_LEVEL 5
#define WORTH_BYTES 128 /* shorter ones are left as they are */

void registry_packer_done(struct registry_packer *p)
{
	if (p->deflater != NULL)
		(void)deflateEnd(p->deflater); /* what is in work is given up */
	free(p->deflater);
	buf_done(&p->dictionary);
	*p = (struct registry_packer){ .deflater = NULL };
}

static z_stream *deflater(struct registry_packer *p)
{
	z_stream *z = p->deflater;

	if (z == NULL) {
		z = xcalloc(1, sizeof(*z));
		if (deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
				 Z_DEFAULT_STRATEGY) != Z_OK)
			abort(); /* out of memory */
		p->deflater = z;
	}
	return z;
}

/* Bytes written to out; 0: it did not get smaller. */
static size_t pack(struct registry_packer *p, const char *text, size_t size, void *out, size_t room)
{
	z_stream *z = deflater(p);

	if (deflateReset(z) != Z_OK ||
	    deflateSetDictionary(z, p->dictionary.data, (uInt)p->dictionary.size) != Z_OK)
		return 0;
	z->next_in = (Bytef *)(uintptr_t)text; /* its parameters lack const */
	z->avail_in = (uInt)size;
	z->next_out = out;
	z->avail_out = (uInt)room;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? room - z->avail_out : 0;
}

void registry_text_keep(struct registry_packer *p, const char *text,
			struct registry_text *ret_kept)
{
	size_t size = strlen(text), packed = 0;
	char *out;

	assert(size < UINT32_MAX);
	if (p->dictionary.size < DICTIONARY_BYTES) {
		buf_add(&p->dictionary, text,
			size < DICTIONARY_BYTES ? size : DICTIONARY_BYTES);
	} else if (size >= WORTH_BYTES) {
		out = xmalloc(size);
		packed = pack(p, text, size, out, size);
		if (packed > 0) {
			*ret_kept = (struct registry_text){ xmalloc(packed), (uint32_t)size,
							    (uint32_t)packed };
			memcpy(ret_kept->bytes, out, packed);
		}
		free(out);
	}
	if (packed == 0)
		*ret_kept = (struct registry_text){ xstrndup(text, size), (uint32_t)size, 0 };
}

void registry_text_done(struct registry_text *t)
{
	free(t->bytes);
	*t = (struct registry_text){ NULL, 0, 0 };
}

static void unpack(const struct registry_packer *p, const struct registry_text *t, char *out)
{
	z_stream z = { .next_in = (Bytef *)t->bytes,
		       .avail_in = t->packed,
		       .next_out = (Bytef *)out,
		       .avail_out = t->size };
	int rc = inflateInit2(&z, WINDOW_BITS);

	if (rc == Z_OK)
		rc = inflateSetDictionary(&z, p->dictionary.data, (uInt)p->dictionary.size);
	if (rc == Z_OK)
		rc = inflate(&z, Z_FINISH);
	if (rc != Z_STREAM_END || z.avail_out != 0)
		abort(); /* out of memory: these are our own bytes */
	(void)inflateEnd(&z); /* can't fail behind the end */
	out[t->size] = '\0';
}

const char *registry_text_look(const struct registry_packer *p, const struct registry_text *t,
			       struct buf *room)
{
	if (t->packed == 0)
		return t->bytes;
	buf_reset(room);
	unpack(p, t, (char *)buf_reserve(room, t->size + 1u));
	return (const char *)room->data;
}

const char *registry_text_open(const struct registry_packer *p, struct registry_text *t)
{
	char *text;

	if (t->packed != 0) {
		text = xmalloc(t->size + 1u);
		unpack(p, t, text);
		free(t->bytes);
		t->bytes = text;
		t->packed = 0;
	}
	return t->bytes;
}
