/* gtid.h - MariaDB's global transaction ids, and positions made of them.
 *
 * A GTID is domain-server-sequence (MariaDB knowledge base, "Global Transaction ID"). A position
 * holds the last GTID of each domain: "0-1-5,1-2-7". Within a domain the order is the sequence's
 * (gtid_strict_mode keeps it rising), so a position contains every GTID of its domains up to its
 * own sequence, whichever server wrote it. */
#ifndef CORE_BASE_GTID_H
#define CORE_BASE_GTID_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define GTID_DOMAINS_MAX 4096
#define GTID_TEXT_SIZE 44 /* 10 + 10 + 20 digits, two dashes, NUL */

struct gtid {
	uint32_t domain, server;
	uint64_t seq;
};

/* Sorted by domain, one entry each. GTID_SET_INIT or zeroed memory is the empty position. */
struct gtid_set {
	struct gtid *items;
	size_t count, capacity;
};

#define GTID_SET_INIT      \
	{                  \
		NULL, 0, 0 \
	}

/* "0-1-5" exactly. ERR_DATA when it is anything else. */
int gtid_parse(struct slice text, struct gtid *ret_gtid, struct err *e);
/* Writes GTID_TEXT_SIZE bytes at most. Returns out. */
char *gtid_text(const struct gtid *g, char *out);

void gtid_set_done(struct gtid_set *s);
/* "0-1-5,1-2-7"; blanks around the parts are fine, "" is the empty position. ERR_DATA: malformed, a
 * domain that comes twice, more than GTID_DOMAINS_MAX. Replaces what *s held, only on success. */
int gtid_set_parse(struct slice text, struct gtid_set *s, struct err *e);
/* Appends the text, sorted by domain. */
void gtid_set_text(const struct gtid_set *s, struct buf *out);
void gtid_set_copy(struct gtid_set *to, const struct gtid_set *from);
/* The domain's last GTID is now *g, whatever it was. ERR_DATA beyond GTID_DOMAINS_MAX. */
int gtid_set_update(struct gtid_set *s, const struct gtid *g, struct err *e);
/* The entry of a domain, or NULL; valid until the next update. */
const struct gtid *gtid_set_find(const struct gtid_set *s, uint32_t domain);
bool gtid_set_contains(const struct gtid_set *s, const struct gtid *g);
bool gtid_set_contains_set(const struct gtid_set *s, const struct gtid_set *part);
/* Same domains with the same sequences (the server of the last GTID does not count). */
bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b);
/* Transactions in `ahead` that `behind` lacks: the sum over domains of the difference of sequences,
 * where ahead is ahead. Saturates at UINT64_MAX. A domain that `behind` doesn't know counts from 0.
 */
uint64_t gtid_set_distance(const struct gtid_set *behind, const struct gtid_set *ahead);

#endif
