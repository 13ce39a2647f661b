/* hex.h - digits of hexadecimal text. */
#ifndef CORE_BASE_HEX_H
#define CORE_BASE_HEX_H

#include <stdint.h>

/* 0..15; -1: not a digit. In lower case only: for text that has one way to be written. */
static inline int hex_value_lower(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In either case. */
static inline int hex_value(uint8_t c)
{
	return hex_value_lower(c >= 'A' && c <= 'F' ? c | 0x20 : c);
}

#endif
