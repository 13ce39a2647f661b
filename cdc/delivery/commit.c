/* commit.c - the group commit adapts to the load.
 *
 *   nothing more to read            at once: a quiet source is delivered without delay
 *   interval or bytes reached       at the end of the source transaction in hand
 *   10,000 transactions, 512 kB     the same: the commit record stays small
 *   the Kafka transaction ages      only then is a source transaction cut in two
 *   only the position has moved     once a second: only readers of uncaptured GTIDs wait for it
 *
 * Promise: the seqs of the transactions in a batch add up to seq - first_seq + 1; asserted. */
#include "cdc/delivery/commit.h"

#include "core/base/mem.h"

#include <assert.h>
#include <stdlib.h>

void commit_batch_init(struct commit_batch *b, const struct commit_limits *limits, int64_t seq)
{
	*b = (struct commit_batch){ .limits = *limits, .seq_before = seq };
}

void commit_batch_done(struct commit_batch *b)
{
	free(b->items);
	free(b->gtid_at);
	free(b->copied.items);
	buf_done(&b->texts);
	buf_done(&b->copied_texts);
}

void commit_batch_begin(struct commit_batch *b, int64_t now_us)
{
	if (b->begun_us == 0)
		b->begun_us = now_us;
}

void commit_batch_move(struct commit_batch *b)
{
	b->position_moved = true;
}

void commit_batch_add(struct commit_batch *b, const char *gtid, int64_t changes, int64_t commit_us)
{
	assert(changes >= 0);
	if (b->count == b->capacity) {
		b->capacity = b->capacity * 2 + 64;
		b->items = xrealloc(b->items, b->capacity * sizeof(*b->items));
		b->gtid_at = xrealloc(b->gtid_at, b->capacity * sizeof(*b->gtid_at));
	}
	b->gtid_at[b->count] = b->texts.size;
	buf_add(&b->texts, gtid, strlen(gtid) + 1);
	b->items[b->count++] =
		(struct commit_transaction){ .changes = changes, .commit_us = commit_us };
	b->position_moved = true;
}

/* Offsets first, as the buffer may move; pointers are made in commit_batch_fill(). */
void commit_batch_copied(struct commit_batch *b, const char *name)
{
	buf_add(&b->copied_texts, name, strlen(name) + 1);
	b->copied.count++;
	b->position_moved = true;
}

bool commit_batch_due(const struct commit_batch *b, int64_t now_us, int64_t bytes, bool idle)
{
	if (b->begun_us == 0)
		return b->position_moved && now_us - b->committed_us >= COMMIT_QUIET_US;
	return idle || now_us - b->begun_us >= b->limits.interval_us ||
	       bytes >= b->limits.bytes_max || b->count >= COMMIT_TRANSACTIONS_MAX ||
	       b->texts.size + b->count * 8 >= COMMIT_TEXT_MAX;
}

bool commit_batch_must_cut(const struct commit_batch *b, int64_t now_us)
{
	return b->begun_us != 0 && now_us - b->begun_us >= b->limits.transaction_us_max;
}

int64_t commit_batch_wait_us(const struct commit_batch *b, int64_t now_us)
{
	int64_t due;

	if (b->begun_us == 0 && !b->position_moved)
		return -1;
	due = b->begun_us == 0 ? b->committed_us + COMMIT_QUIET_US
			       : b->begun_us + b->limits.interval_us;
	return due > now_us ? due - now_us : 0;
}

void commit_batch_fill(struct commit_batch *b, int64_t seq, struct commit_record *r)
{
	const char *copied = (const char *)b->copied_texts.data;
	int64_t changes = 0;

	for (size_t i = 0; i < b->count; i++) {
		b->items[i].gtid = (const char *)b->texts.data + b->gtid_at[i];
		changes += b->items[i].changes;
	}
	assert(changes == seq - b->seq_before);
	b->copied.items =
		xrealloc(b->copied.items, (b->copied.count + 1) * sizeof(*b->copied.items));
	for (size_t i = 0; i < b->copied.count; i++) {
		b->copied.items[i] = copied;
		copied += strlen(copied) + 1;
	}
	r->seq = seq;
	r->first_seq = b->seq_before + 1;
	r->transactions = b->items;
	r->transaction_count = b->count;
	r->copied = b->copied;
}

void commit_batch_clear(struct commit_batch *b, int64_t seq, int64_t now_us)
{
	b->count = 0;
	b->copied.count = 0;
	buf_reset(&b->texts);
	buf_reset(&b->copied_texts);
	b->seq_before = seq;
	b->begun_us = 0;
	b->position_moved = false;
	b->committed_us = now_us;
}
