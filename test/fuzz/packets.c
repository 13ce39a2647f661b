/* packets.c - the events of a binlog file that a fuzzer has been at.
 *
 * No checksum and no size would hold after a change, and little behind them would ever be reached.
 * So sizes and CRC32 are made right again, in the mutator and when packets are taken: the bytes are
 * hostile, the frames are not. (Broken frames: test_golden, test_event.) */
#include "test/fuzz/packets.h"

#include "cdc/binlog/event.h"

#include <string.h>
#include <zlib.h>

#define MAGIC_SIZE 4
#define SIZE_AT 9

static void put_le(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

static void seal(uint8_t *event, size_t size)
{
	uint8_t head[EVENT_HEADER_SIZE];
	uLong crc;

	if (size < EVENT_HEADER_SIZE + EVENT_CHECKSUM_SIZE)
		return;
	memcpy(head, event, sizeof(head));
	if (head[4] == EVENT_FORMAT_DESCRIPTION)
		head[17] &= (uint8_t)~EVENT_FLAG_IN_USE;
	crc = crc32(0, head, sizeof(head));
	crc = crc32_z(crc, event + sizeof(head), size - sizeof(head) - EVENT_CHECKSUM_SIZE);
	put_le(event + size - EVENT_CHECKSUM_SIZE, (uint32_t)crc);
}

/* Bytes of the event at the beginning of `left`: what its header says, if there is so much. */
static size_t size_of(struct slice left)
{
	struct rd in = rd_from(left);
	size_t size;

	rd_skip(&in, SIZE_AT);
	size = rd_u32(&in);
	return !rd_ok(&in) || size < EVENT_HEADER_SIZE || size > left.size ? left.size : size;
}

void fuzz_packets_begin(struct fuzz_packets *p, struct slice file)
{
	*p = (struct fuzz_packets){ .format = EVENT_FORMAT_INIT };
	p->left = file.size < MAGIC_SIZE ? slice_of("", 0)
					 : slice_of(file.data + MAGIC_SIZE, file.size - MAGIC_SIZE);
}

bool fuzz_packets_next(struct fuzz_packets *p, struct slice *ret_packet)
{
	size_t size = size_of(p->left);
	struct err e = ERR_INIT;
	struct event ev;
	uint8_t *packet;

	if (p->left.size == 0 || p->count == FUZZ_PACKETS_MAX)
		return false;
	packet = malloc(size); /* exact, so that a byte read too far is seen */
	if (packet == NULL)
		abort();
	memcpy(packet, p->left.data, size);
	p->left = slice_of(p->left.data + size, p->left.size - size);
	p->packets[p->count++] = packet;
	if (size >= EVENT_HEADER_SIZE) {
		put_le(packet + SIZE_AT, (uint32_t)size);
		if (p->format.checksum == EVENT_CHECKSUM_CRC32 ||
		    (packet[4] == EVENT_FORMAT_DESCRIPTION && size > EVENT_HEADER_SIZE + 4 &&
		     packet[size - 5] == 1))
			seal(packet, size);
		if (packet[4] == EVENT_FORMAT_DESCRIPTION &&
		    event_read(slice_of(packet, size), &p->format, &ev, &e) == 0)
			(void)event_format_read(&ev, &p->format, &e); /* else as it was */
	}
	*ret_packet = slice_of(packet, size);
	return true;
}

void fuzz_packets_done(struct fuzz_packets *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->packets[i]);
}

/* One event's body changes, or an event goes, comes twice, or changes places with the next. */
size_t fuzz_packets_mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size_t at[FUZZ_PACKETS_MAX + 1], count = 0, from = MAGIC_SIZE, i, head, tail, grown;

	while (from < size && count < FUZZ_PACKETS_MAX) {
		at[count++] = from;
		from += size_of(slice_of(data + from, size - from));
	}
	if (count == 0 || seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	at[count] = from;
	i = (seed >> 4) % count;
	head = at[i + 1] - at[i];
	tail = size - at[i + 1];
	if (seed % 16 == 1 && count > 1) {
		memmove(data + at[i], data + at[i + 1], tail);
		return size - head;
	}
	if (seed % 16 == 2 && size + head <= max_size) {
		memmove(data + at[i + 1] + head, data + at[i + 1], tail);
		memcpy(data + at[i + 1], data + at[i], head);
		return size + head;
	}
	if (head <= EVENT_HEADER_SIZE || max_size <= size)
		return LLVMFuzzerMutate(data, size, max_size);
	grown = head + (max_size - size < 1024 ? max_size - size : 1024);
	memmove(data + at[i] + grown, data + at[i + 1], tail);
	grown -= EVENT_HEADER_SIZE; /* room for the body */
	from = at[i] + EVENT_HEADER_SIZE +
	       LLVMFuzzerMutate(data + at[i] + EVENT_HEADER_SIZE, head - EVENT_HEADER_SIZE, grown);
	memmove(data + from, data + at[i] + EVENT_HEADER_SIZE + grown, tail);
	put_le(data + at[i] + SIZE_AT, (uint32_t)(from - at[i]));
	return from + tail;
}
