/* leader.h - which of several instances of a capture works (DESIGN 4.9).
 *
 * The instances form the consumer group <name>.leader over the position topic's one partition: who
 * has it leads, the others stand by. That says who should write; that no two of them do is the
 * fence's work (cdc/capture/session_open.c: the transactional producer comes first). */
#ifndef CDC_CAPTURE_LEADER_H
#define CDC_CAPTURE_LEADER_H

#include "core/base/settings.h"

struct leader;

/* Makes the position topic if need be, and joins. */
int leader_open(const struct settings *settings, struct leader **ret_leader, struct err *e);
void leader_close(struct leader *l); /* another instance takes over at once; NULL is fine */
/* Waits at most timeout_ms. 1: we lead; 0: another one does, or nobody yet; -1: ERR_RETRY: join
 * anew, or what keeps us out of the group. */
int leader_wait(struct leader *l, int timeout_ms, struct err *e);
/* Any thread, cheap. */
bool leader_leads(const struct leader *l);
/* To be asked before anything becomes visible: ERR_RETRY when we no longer lead. NULL leads. */
int leader_check(const struct leader *l, struct err *e);

#endif
