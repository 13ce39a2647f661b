/* prepare.h - topics, schemas and plans of all captured tables, at start-up. */
#ifndef CDC_CAPTURE_PREPARE_H
#define CDC_CAPTURE_PREPARE_H

#include "cdc/delivery/delivery.h"
#include "cdc/publish/publisher.h"
#include "core/registry/registry.h"

struct prepare {
	const struct settings *settings;
	struct registry *registry;
	struct delivery *delivery;
	struct publisher *publisher;
};

/* What publisher_prepare does for each of them, in few requests: ten thousand tables take a minute,
 * not an hour. */
int prepare_tables(const struct prepare *p, struct shape *const *shapes, size_t count,
		   struct err *e);

#endif
