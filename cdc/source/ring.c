/* ring.c - the byte ring between reader and pipeline.
 *
 * head and tail count bytes since the beginning and only rise; their low bits are the place in the
 * buffer. An entry is a header of 8 bytes and the packet, padded to 8:
 *
 *   | size, kind | packet ... pad | size, kind | packet ... | SKIP | (and from the start)
 *
 * SKIP says that the rest of the buffer is unused, so that packets stay contiguous. LENT holds a
 * pointer instead of bytes: the packet stays in the producer's memory, who waits for its release. A
 * packet that is copied needs at most a quarter of the ring, so with the unused rest it always fits
 * an empty ring.
 *
 * Waiting: each side announces it in `waiting`, looks again, and sleeps on a condition variable.
 * The other side looks at that flag after it has moved its cursor. Each stores, then loads what the
 * other stores: these four are sequentially consistent, else each could miss the other (the same
 * handshake as a futex lock). The fast path is one such store, no lock.
 *
 * Promises: no packet is lost, cut or seen twice; the producer never overwrites what isn't
 * released; ring_stop and ring_end always wake the other side. */
#include "cdc/source/ring.h"

#include "core/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define PAD(n) (((n) + 7) & ~(size_t)7)

enum entry_kind { ENTRY_PACKET = 1, ENTRY_LENT, ENTRY_SKIP };

struct entry {
	uint32_t size;
	uint32_t kind;
};

/* Each group of members on cache lines of its own: the two sides write different ones. */
struct ring {
	uint8_t *data;
	size_t capacity;
	pthread_mutex_t lock;
	pthread_cond_t moved; /* either cursor, or one of the flags */
	_Atomic bool producer_waiting, consumer_waiting;
	_Atomic uint64_t wanted_tail; /* what the producer waits for */
	_Atomic bool ended, stopped;

	_Alignas(64) _Atomic uint64_t head;
	uint64_t tail_seen; /* producer's last look at tail */

	_Alignas(64) _Atomic uint64_t tail;
	uint64_t head_seen; /* consumer's last look at head */
};

struct ring *ring_new(size_t bytes)
{
	size_t capacity = RING_BYTES_MIN;
	pthread_condattr_t attributes;
	struct ring *r;

	while (capacity < bytes)
		capacity *= 2;
	r = aligned_alloc(_Alignof(struct ring), sizeof(*r));
	if (r == NULL)
		abort();
	memset(r, 0, sizeof(*r));
	r->data = xmalloc(capacity);
	r->capacity = capacity;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->moved, &attributes);
	pthread_condattr_destroy(&attributes);
	return r;
}

void ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	pthread_cond_destroy(&r->moved);
	pthread_mutex_destroy(&r->lock);
	free(r->data);
	free(r);
}

/* Wakes the other side if it has announced that it waits. */
static void wake(struct ring *r, _Atomic bool *waiting)
{
	if (!atomic_load(waiting))
		return;
	pthread_mutex_lock(&r->lock);
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

static struct entry entry_at(const struct ring *r, uint64_t at)
{
	struct entry entry;

	memcpy(&entry, r->data + (at & (r->capacity - 1)), sizeof(entry));
	return entry;
}

static void entry_put(struct ring *r, uint64_t at, uint32_t size, enum entry_kind kind)
{
	struct entry entry = { size, kind };

	memcpy(r->data + (at & (r->capacity - 1)), &entry, sizeof(entry));
}

/* ---- producer ------------------------------------------------------------------------------- */

/* Waits until the tail has reached `least`. */
static bool await_tail(struct ring *r, uint64_t least)
{
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	if (r->tail_seen >= least)
		return !atomic_load(&r->stopped);
	pthread_mutex_lock(&r->lock);
	atomic_store(&r->wanted_tail, least);
	atomic_store(&r->producer_waiting, true);
	pthread_cond_broadcast(&r->moved); /* the consumer may be waiting for us to be stuck */
	for (;;) {
		r->tail_seen = atomic_load(&r->tail);
		if (r->tail_seen >= least || atomic_load(&r->stopped))
			break;
		pthread_cond_wait(&r->moved, &r->lock);
	}
	atomic_store(&r->producer_waiting, false);
	pthread_mutex_unlock(&r->lock);
	return !atomic_load(&r->stopped);
}

/* Waits until the tail has reached `least`. Whoever must wait at all does so for a quarter of the
 * ring, else both sides would wake each other for every packet. */
static bool await_room(struct ring *r, uint64_t least, uint64_t head)
{
	uint64_t better = least + r->capacity / 4;

	if (least <= r->tail_seen)
		return true;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	if (least <= r->tail_seen)
		return true;
	return await_tail(r, better < head ? better : head);
}

/* Room for `need` contiguous bytes at the head, which moves over an unused rest. */
static bool make_room(struct ring *r, uint64_t *head, size_t need)
{
	size_t rest = r->capacity - (*head & (r->capacity - 1));
	uint64_t end = *head + need + (rest < need ? rest : 0);

	if (end > r->capacity && !await_room(r, end - r->capacity, *head))
		return false;
	if (rest < need) {
		entry_put(r, *head, 0,
			  ENTRY_SKIP); /* entries are padded to 8: the header always fits */
		*head += rest;
	}
	return true;
}

bool ring_push(struct ring *r, struct slice packet)
{
	bool lent = packet.size > r->capacity / 4 - sizeof(struct entry) ||
		    packet.size > UINT32_MAX;
	size_t need = sizeof(struct entry) + (lent ? sizeof(packet) : PAD(packet.size));
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint8_t *to;

	if (atomic_load_explicit(&r->stopped, memory_order_relaxed) || !make_room(r, &head, need))
		return false;
	entry_put(r, head, lent ? 0 : (uint32_t)packet.size, lent ? ENTRY_LENT : ENTRY_PACKET);
	to = r->data + (head & (r->capacity - 1)) + sizeof(struct entry);
	memcpy(to, lent ? (const void *)&packet : (const void *)packet.data,
	       lent ? sizeof(packet) : packet.size);
	head += need;
	atomic_store(&r->head, head);
	wake(r, &r->consumer_waiting);
	return !lent || await_tail(r, head);
}

void ring_end(struct ring *r)
{
	atomic_store(&r->ended, true);
	wake(r, &r->consumer_waiting);
}

/* ---- consumer ------------------------------------------------------------------------------- */

uint64_t ring_begin(const struct ring *r)
{
	return atomic_load_explicit(&r->tail, memory_order_relaxed);
}

/* Not merely about to wake up: it waits for something that has not happened. */
static bool producer_stuck(struct ring *r)
{
	return atomic_load(&r->producer_waiting) &&
	       atomic_load(&r->tail) < atomic_load(&r->wanted_tail);
}

static struct timespec deadline_of(int timeout_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ms / 1000;
	t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Waits until there is something behind `cursor`. */
static enum ring_state await_head(struct ring *r, uint64_t cursor, int timeout_ms)
{
	struct timespec deadline = deadline_of(timeout_ms);
	enum ring_state state = RING_EVENT;
	bool late = timeout_ms == 0;

	pthread_mutex_lock(&r->lock);
	atomic_store(&r->consumer_waiting, true);
	for (;;) {
		bool ended;

		ended = atomic_load(
			&r->ended); /* before head: what came before the end must not be missed */
		r->head_seen = atomic_load(&r->head);
		if (cursor < r->head_seen)
			break;
		state = ended ? RING_END : producer_stuck(r) ? RING_FULL : RING_EMPTY;
		if (state != RING_EMPTY || late)
			break;
		late = pthread_cond_timedwait(&r->moved, &r->lock, &deadline) == ETIMEDOUT;
		state = RING_EVENT;
	}
	atomic_store(&r->consumer_waiting, false);
	pthread_mutex_unlock(&r->lock);
	return state;
}

enum ring_state ring_read(struct ring *r, uint64_t *cursor, int timeout_ms,
			  struct slice *ret_packet)
{
	struct entry entry;
	const uint8_t *data;

	if (*cursor >= r->head_seen) {
		enum ring_state state = await_head(r, *cursor, timeout_ms);

		if (state != RING_EVENT)
			return state;
	}
	entry = entry_at(r, *cursor);
	if (entry.kind == ENTRY_SKIP) { /* an entry follows: both were made visible at once */
		*cursor += r->capacity - (*cursor & (r->capacity - 1));
		entry = entry_at(r, *cursor);
	}
	data = r->data + (*cursor & (r->capacity - 1)) + sizeof(entry);
	if (entry.kind == ENTRY_LENT) {
		memcpy(ret_packet, data, sizeof(*ret_packet));
		*cursor += sizeof(entry) + sizeof(*ret_packet);
		return RING_EVENT;
	}
	assert(entry.kind == ENTRY_PACKET);
	*ret_packet = slice_of(data, entry.size);
	*cursor += sizeof(entry) + PAD(entry.size);
	return RING_EVENT;
}

void ring_release(struct ring *r, uint64_t cursor)
{
	assert(cursor >= ring_begin(r) && cursor <= atomic_load(&r->head));
	atomic_store(&r->tail, cursor);
	/* wanted_tail only rises: with an old value the producer is woken too early, never too late
	 */
	if (cursor >= atomic_load(&r->wanted_tail))
		wake(r, &r->producer_waiting);
}

void ring_stop(struct ring *r)
{
	atomic_store(&r->stopped, true);
	wake(r, &r->producer_waiting);
}
