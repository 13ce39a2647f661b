/* statement_priv.h - what statement.c shares with statement_alter.c and statement_calls.c. */
#ifndef CDC_BINLOG_STATEMENT_PRIV_H
#define CDC_BINLOG_STATEMENT_PRIV_H

#include "cdc/binlog/statement.h"
#include "cdc/binlog/token.h"

/* t: at TABLE or INDEX of an ALTER, CREATE or DROP, or behind REPAIR. A literal that names what may
 * change existing rows; NULL: nothing. */
const char *statement_alter(struct tokens t, bool ignore);
/* Does DML, from its verb on, call what is no built-in function? */
bool statement_calls(struct tokens t);

#endif
