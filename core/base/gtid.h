/* gtid.h - ids of transactions, and what a position made of them contains, in all dialects.
 *
 * MariaDB:
 * A GTID is domain-server-sequence (MariaDB knowledge base, "Global Transaction ID"). A position
 * holds the last GTID of each domain: "0-1-5,1-2-7". Within a domain the order is the sequence's
 * (gtid_strict_mode keeps it rising), so a position contains every GTID of its domains up to its
 * own sequence, whichever server wrote it.
 *
 * MySQL: uuid:number or uuid:tag:number, and sets of ranges of them, core/base/gtid_ranges.h.
 *
 * A place: "binlog.000003:1234", where MySQL writes no GTIDs. The id of a transaction is the end of
 * it in the binlog files of its server; a position is such a place too, and contains what ends
 * there or before. Files are numbered: a longer name, or a greater one, is a later file.
 *
 * Text tells which it is; the empty set is all of them. A set holds one dialect: of two sets of
 * different dialects neither contains anything of the other.
 *
 * Where a transaction is named, outside of the decoders, it is by its text: gtid_set_add(),
 * gtid_set_has(). */
#ifndef CORE_BASE_GTID_H
#define CORE_BASE_GTID_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/gtid_ranges.h"

#define GTID_DOMAINS_MAX 4096
#define GTID_TEXT_SIZE 44 /* 10 + 10 + 20 digits, two dashes, NUL */
#define GTID_FILE_MAX 255 /* bytes in the name of a binlog file */
#define GTID_ID_SIZE 288  /* the text of one transaction's id in any dialect, NUL included */

struct gtid {
	uint32_t domain, server;
	uint64_t seq;
};

/* Sorted by domain, one entry each. GTID_SET_INIT or zeroed memory is the empty position. */
struct gtid_set {
	struct gtid *items;
	size_t count, capacity;
	struct gtid_ranges ranges; /* MySQL's; then there are no items */
	char *file;                /* of a place; then there is nothing else. NULL: it is none */
	uint64_t offset;
};

#define GTID_SET_INIT                               \
	{                                           \
		NULL, 0, 0, { NULL, 0, 0 }, NULL, 0 \
	}

/* "0-1-5" exactly. ERR_DATA when it is anything else. */
int gtid_parse(struct slice text, struct gtid *ret_gtid, struct err *e);
/* Writes GTID_TEXT_SIZE bytes at most. Returns out. */
char *gtid_text(const struct gtid *g, char *out);

void gtid_set_done(struct gtid_set *s);
/* "0-1-5,1-2-7", MySQL's "uuid:1-5,uuid:tag:1-3", or a place; blanks around the parts are fine, ""
 * is the empty position. ERR_DATA: malformed, a domain that comes twice, more than GTID_DOMAINS_MAX
 * or GTID_RANGES_MAX. Replaces what *s held, only on success. */
int gtid_set_parse(struct slice text, struct gtid_set *s, struct err *e);
/* Appends the text, sorted by domain. */
void gtid_set_text(const struct gtid_set *s, struct buf *out);
/* For people, terminated: a text that doesn't fit into `size` bytes (4 at least) ends with "...",
 * which no function here takes for a set. */
void gtid_text_cut(struct slice text, char *out, size_t size);
void gtid_set_copy(struct gtid_set *to, const struct gtid_set *from);
/* The domain's last GTID is now *g, whatever it was. ERR_DATA beyond GTID_DOMAINS_MAX. */
int gtid_set_update(struct gtid_set *s, const struct gtid *g, struct err *e);
/* The entry of a domain, or NULL; valid until the next update. */
const struct gtid *gtid_set_find(const struct gtid_set *s, uint32_t domain);
bool gtid_set_contains(const struct gtid_set *s, const struct gtid *g);
bool gtid_set_contains_set(const struct gtid_set *s, const struct gtid_set *part);
bool gtid_set_is_empty(const struct gtid_set *s);
bool gtid_set_is_mysql(const struct gtid_set *s); /* not empty, and MySQL's */
bool gtid_set_is_place(const struct gtid_set *s);
/* The set is this place now, whatever it was. */
void gtid_set_move(struct gtid_set *s, const char *file, uint64_t offset);

/* One transaction, by the text of its id: "0-1-5", "uuid:5", "uuid:tag:5", "binlog.000003:1234". */
bool gtid_is_id(struct slice id);
/* Contains it. false also for what is no id ("snapshot:...": copies have none). */
bool gtid_set_has(const struct gtid_set *s, struct slice id);
/* The set contains it from now on; a set of another dialect is replaced. ERR_DATA: no id, or too
 * large. */
int gtid_set_add(struct gtid_set *s, struct slice id, struct err *e);

/* Which of two binlog files is the later one: below, at or above 0. */
int gtid_file_compare(const char *a, const char *b);
/* A number that rises along the binlog of one server: the file's, and the offset in it. */
uint64_t gtid_file_ordinal(const char *file, uint64_t offset);

/* Everything that either contains. MariaDB: the later GTID of each domain. ERR_DATA: two dialects,
 * or too large; *s is then unchanged. */
int gtid_set_union(struct gtid_set *s, const struct gtid_set *other, struct err *e);
/* Appends what `want` contains and `have` doesn't, for people: "0-1-101 to 0-1-105, 3-1-7", MySQL's
 * own text, or the place. Nothing when nothing is missing. */
void gtid_set_missing(const struct gtid_set *want, const struct gtid_set *have, struct buf *out);
/* Same domains with the same sequences (the server of the last GTID does not count). */
bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b);
/* Transactions in `ahead` that `behind` lacks: the sum over domains of the difference of sequences,
 * where ahead is ahead. Saturates at UINT64_MAX. A domain that `behind` doesn't know counts from 0.
 * Between two places nobody counted: 1. */
uint64_t gtid_set_distance(const struct gtid_set *behind, const struct gtid_set *ahead);

/* Like gtid_set_parse for MariaDB, but a domain may come several times, once for each server
 * (@@gtid_binlog_state, Gtid_list events): its highest sequence counts. */
int gtid_set_parse_state(struct slice text, struct gtid_set *s, struct err *e);

/* What a MariaDB server that is to be our source knows of a position. */
enum gtid_known {
	GTID_KNOWN,    /* it has been there */
	GTID_BEHIND,   /* it has not come so far: it may still, if it replicates */
	GTID_DIVERGED, /* it has gone on without these transactions */
};

/* state: the last GTID of every server in every domain ("0-1-100,0-2-130": @@gtid_binlog_state, to
 * which @@gtid_slave_pos may be joined by a comma). A position in a domain is known when its server
 * has come so far, not when another one has: those are other transactions with higher numbers.
 * *missing gets the text of what is not known. ERR_DATA: malformed. */
int gtid_known(const struct gtid_set *position, struct slice state, enum gtid_known *ret_known,
	       struct buf *missing, struct err *e);

#endif
