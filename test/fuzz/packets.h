/* packets.h - a binlog file as an input: for the targets that take whole files. */
#ifndef TEST_FUZZ_PACKETS_H
#define TEST_FUZZ_PACKETS_H

#include "test/fuzz/fuzz.h"

#include "cdc/binlog/event.h"

#define FUZZ_PACKETS_MAX 512

struct fuzz_packets {
	struct slice left;
	struct event_format format;
	uint8_t *packets[FUZZ_PACKETS_MAX];
	size_t count;
};

void fuzz_packets_begin(struct fuzz_packets *p, struct slice file);
/* The next event with a right size and checksum; stays until _done. */
bool fuzz_packets_next(struct fuzz_packets *p, struct slice *ret_packet);
void fuzz_packets_done(struct fuzz_packets *p);
/* For LLVMFuzzerCustomMutator. */
size_t fuzz_packets_mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
