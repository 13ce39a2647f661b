/* notify.h - tells systemd how the service does (sd_notify(3): one datagram to $NOTIFY_SOCKET).
 * All of it does nothing, at no cost, when the process was not started by systemd. Thread-safe. */
#ifndef CORE_BASE_NOTIFY_H
#define CORE_BASE_NOTIFY_H

#include <stdint.h>

void notify_ready(void); /* rows can flow; only the first call counts */
void notify_stopping(void);
/* One line that `systemctl status` shows; sent when it changed. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The loops turn. Call as often as you like: it sends once per half of the watchdog's limit. */
void notify_watchdog(void);
/* How often notify_watchdog has to be called, in microseconds (half of WATCHDOG_USEC); 0: no
 * watchdog. */
int64_t notify_watchdog_interval_us(void);

#endif
