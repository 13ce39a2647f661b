/* check.h - the parts of `millrace check`: each looks at one thing, changes nothing, and adds
 * what it found. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/finding.h"
#include "core/base/settings.h"

/* Topics that records go to, as the published events name them; collected while events are
 * bound.
 */
struct check_topics {
	char **names;
	size_t count;
};

/* Source: server, settings, grants; every captured table's shape and key; every published event
 * against its table. */
void check_source(const struct settings *settings, struct check_topics *topics, struct findings *f);
/* Brokers, the topics of this capture (and `topics`) and what they keep, the schema registry. */
void check_kafka(const struct settings *settings, const struct check_topics *topics,
		 struct findings *f);
void check_topics_done(struct check_topics *topics);
/* Every view folder: its files, its inputs, its handlers against the schemas registered for
 * them.
 */
void check_views(const struct settings *settings, struct findings *f);

#endif
