/* address.c - splits host:port at the last colon; an IPv6 address needs its brackets, because
 * its own colons would be ambiguous (RFC 3986, section 3.2.2). Names are not looked up here. */
#include "core/base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_port(const char *text, const char *digits, uint16_t *ret_port, struct err *e)
{
	size_t size = strlen(digits);
	unsigned long port;

	if (size == 0 || size > 5 || strspn(digits, "0123456789") != size)
		return err_config(e, "'%s' has no port number behind the last ':'", text);
	port = strtoul(digits, NULL, 10);
	if (port > 65535)
		return err_config(e, "'%s': ports end at 65535", text);
	*ret_port = (uint16_t)port;
	return 0;
}

int address_read(const char *text, struct address *ret_address, struct err *e)
{
	const char *colon = strrchr(text, ':'), *host = text;
	struct address a = { .port = 0 };
	size_t size;

	if (colon == NULL)
		return err_config(e, "'%s' is not host:port", text);
	size = (size_t)(colon - text);
	if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
		host++;
		size -= 2;
	} else if (memchr(text, ':', size) != NULL) {
		return err_config(e, "'%s': an IPv6 address stands in brackets, [::1]:7411", text);
	}
	if (size >= sizeof(a.host))
		return err_config(e, "'%.40s...': host names end at %d characters", text,
				  ADDRESS_HOST_MAX - 1);
	if (memchr(host, ' ', size) != NULL || memchr(host, '/', size) != NULL)
		return err_config(e, "'%s' is not host:port", text);
	memcpy(a.host, size != 0 ? host : "127.0.0.1", size != 0 ? size : strlen("127.0.0.1"));
	if (read_port(text, colon + 1, &a.port, e) < 0)
		return -1;
	*ret_address = a;
	return 0;
}

int address_read_default(const char *text, uint16_t port, struct address *ret_address,
			 struct err *e)
{
	const char *colon = strchr(text, ':');
	size_t size = strlen(text);
	bool bracketed = text[0] == '[' && size > 2 && text[size - 1] == ']';
	char whole[ADDRESS_HOST_MAX + 16];
	bool bare_v6 = text[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL;

	if (size == 0 || size >= ADDRESS_HOST_MAX)
		return err_config(e, "'%.40s' is not a host", text);
	if (colon != NULL && !bare_v6 && !bracketed)
		return address_read(text, ret_address, e);
	(void)snprintf(whole, sizeof(whole), bare_v6 ? "[%s]:%u" : "%s:%u", text,
		       (unsigned)port); /* fits: a host is shorter than ADDRESS_HOST_MAX */
	return address_read(whole, ret_address, e);
}

bool address_is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(host, "localhost") == 0;
}
