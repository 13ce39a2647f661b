/* loopback.c - preloaded into DynamoDB Local, which listens on every interface and has no option
 * for another: whatever it binds to the wildcard address is bound to 127.0.0.1. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	int (*real)(int, const struct sockaddr *, socklen_t) =
		(int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
	struct sockaddr_storage own;

	if (size > sizeof(own))
		return real(fd, address, size);
	memcpy(&own, address, size);
	if (address->sa_family == AF_INET && ((struct sockaddr_in *)&own)->sin_addr.s_addr == 0)
		((struct sockaddr_in *)&own)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (address->sa_family == AF_INET6 &&
		 IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)&own)->sin6_addr))
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &((struct sockaddr_in6 *)&own)->sin6_addr);
	return real(fd, (struct sockaddr *)&own, size);
}
