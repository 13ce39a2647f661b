/* position_topics.h - topics that were there when the position was written must still be there.
 *
 * One that is gone took with it what had been delivered; making it anew, empty, would hide that
 * from its readers. Asked at start, before anything is made. */
#ifndef CDC_DELIVERY_POSITION_TOPICS_H
#define CDC_DELIVERY_POSITION_TOPICS_H

#include "core/base/settings.h"
#include "core/kafka/admin.h"
#include "core/registry/registry.h"

/* Where a position was written: ERR_CONFIG when the commits topic is gone, or the schemas topic is
 * not the one that the position's schema was registered in. */
int position_check_own(const struct settings *settings, struct admin *admin,
		       struct registry *registry, struct err *e);
/* ERR_CONFIG when one of `topics` is in the fingerprint and does not exist, unless capture.adopt.
 */
int position_check_data(const struct settings *settings, struct admin *admin,
			const char *fingerprint, char *const *topics, size_t count, struct err *e);

#endif
