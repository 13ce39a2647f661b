/* kafka_conf.h - how every client of Millrace is made: bootstrap, timeouts, pass-through
 * properties, error sorting. */
#ifndef CORE_KAFKA_KAFKA_CONF_H
#define CORE_KAFKA_KAFKA_CONF_H

#include "core/base/settings.h"

#define KAFKA_MESSAGE_MAX                                                       \
	(16 * 1024 * 1024) /* message limit of the topics that Millrace creates \
			    */

/* All kafka.<property> settings are known to the library and well-formed; ERR_CONFIG lists every
 * bad one. */
int kafka_conf_check(const struct settings *settings, struct err *e);

#endif
