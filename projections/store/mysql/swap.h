/* swap.h - between public.c, unpublish.c, names.c, gate.c and amend.c: the public database at work.
 */
#ifndef PROJECTIONS_STORE_MYSQL_SWAP_H
#define PROJECTIONS_STORE_MYSQL_SWAP_H

#include "projections/store/mysql/mysql_priv.h"

/* A swap at work. */
struct mydb_swap {
	struct mydb_store *store;
	struct db *db, *other, *holder;
	int version;
	char *public, *from; /* quoted names: the public database, the version's */
	char **tables;       /* that are to be public: the version's own, then two of Millrace's */
	size_t table_count;
	char **there; /* behind the gate now */
	size_t there_count;
};

/* mydb_swap_done() in any case. */
int mydb_swap_begin(struct mydb_store *m, int version, struct mydb_swap *w, struct err *e);
void mydb_swap_done(struct mydb_swap *w);

/* ---- public.c ---- */
/* Is the gate there? One that an old server's death left away is put back. ERR_CONFIG: it is
 * another Millrace's. */
int mydb_find_gate(struct mydb_swap *w, bool *ret_there, struct err *e);

/* ---- names.c ---- */
bool mydb_is_among(char *const *names, size_t count, const char *name);
/* In their order. Free with view_names_free(). */
int mydb_columns(struct mydb_swap *w, const char *database, const char *table, char ***ret_names,
		 size_t *ret_count, struct err *e);
/* Drops views that are not for readers: of a swap that was broken off, or of the one before. */
int mydb_names_sweep(struct mydb_swap *w, struct err *e);
/* `tables`: what the version has; `there`: the views behind the gate, without their '~'. */
int mydb_names_find(struct mydb_swap *w, struct err *e);
/* Makes `+t`: the version's columns, and NULL for those that only the public view has today. */
int mydb_names_next(struct mydb_swap *w, const char *table, struct err *e);
/* Behind the swap: names that are new, have other columns, or are gone. */
int mydb_names_follow(struct mydb_swap *w, struct err *e);

/* ---- gate.c ---- */
#define MYDB_GATE_MS 50   /* that readers wait for a lock that we wait for */
#define MYDB_ALTER_MS 300 /* and for a change of a table that is made without touching its rows */

/* All `tables` from `+t` to `~t`, and what is `there` out of the way, at once. ERR_RETRY: readers
 * left no moment for it within 20 s; so it is for the other two. */
int mydb_gate_rename(struct mydb_swap *w, struct err *e);
/* One DDL statement that needs one name or table only; wait_ms at a time. */
int mydb_gate_run(struct mydb_swap *w, const char *sql, int wait_ms, struct err *e);
/* The same while nobody reads what is behind the gate, nor has looked at it in a transaction that
 * is still open; within MYDB_ALTER_MS. */
int mydb_gate_hold(struct mydb_swap *w, const char *sql, struct err *e);

#endif
