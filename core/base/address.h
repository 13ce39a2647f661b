/* address.h - host:port texts, as they stand in configuration and on command lines. */
#ifndef CORE_BASE_ADDRESS_H
#define CORE_BASE_ADDRESS_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_HOST_MAX 256

struct address {
	char host[ADDRESS_HOST_MAX]; /* name, IPv4 or IPv6 without brackets; "127.0.0.1" for ":port"
				      */
	uint16_t port;
};

/* "host:port", "[v6]:port" or ":port"; port 0 is allowed. ERR_CONFIG says what is wrong. */
int address_read(const char *text, struct address *ret_address, struct err *e);
/* The same, or a host alone ("host", "::1", "[::1]"), which gets the default port. */
int address_read_default(const char *text, uint16_t port, struct address *ret_address,
			 struct err *e);
/* 127.0.0.0/8, ::1, localhost: nobody but this machine can connect. */
bool address_is_loopback(const char *host);

#endif
