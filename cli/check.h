/* check.h - the parts of `millrace check`: each looks at one thing, changes nothing, and adds
 * what it found. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/finding.h"
#include "core/base/settings.h"

/* Source: server, settings, grants; every captured table's shape and key; every published event
 * against its table. */
void check_source(const struct settings *settings, struct findings *f);
/* Event files alone, without the source. */
void check_event_files(const struct settings *settings, struct findings *f);
/* Brokers, the topics of this capture and what they keep, the schema registry. */
void check_kafka(const struct settings *settings, struct findings *f);
/* Every view folder: its files, its inputs, its handlers against the schemas registered for
 * them.
 */
void check_views(const struct settings *settings, struct findings *f);

#endif
