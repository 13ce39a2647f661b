/* query.c - QUERY, QUERY_COMPRESSED, and EXECUTE_LOAD_QUERY (a LOAD DATA written as text).
 *
 * Layout: thread id 4, execution time 4, length of the database name 1, error code 2, length of the
 * status variables 2, status variables, database name and a NUL, then the text: plain, or
 * compressed (inflate.c). EXECUTE_LOAD_QUERY has 13 bytes about its file before the status
 * variables. The status variables describe the session (sql_mode, character sets, time
 * zone); nothing here depends on them, so they are stepped over as a whole, which holds for
 * variables that later servers invent. */
#include "cdc/binlog/event.h"
#include "cdc/binlog/inflate.h"

#include <inttypes.h>

#define LOAD_HEADER_SIZE 13 /* file id 4, two places of its name in the text 4 + 4, duplicates 1 */

int event_query_read(const struct event *ev, struct buf *scratch, struct event_query *ret_query,
		     struct err *e)
{
	struct rd in = rd_from(ev->body);
	struct event_query q;
	uint16_t variables;
	uint8_t db;

	q.thread_id = rd_u32(&in);
	rd_skip(&in, 4);
	db = rd_u8(&in);
	q.error_code = rd_u16(&in);
	variables = rd_u16(&in);
	if (ev->header.type == EVENT_EXECUTE_LOAD_QUERY)
		rd_skip(&in, LOAD_HEADER_SIZE);
	rd_skip(&in, variables);
	q.db = rd_bytes(&in, db);
	if (rd_u8(&in) != 0)
		rd_fail(&in);
	q.text = rd_rest(&in);
	if (!rd_ok(&in))
		return err_data(e, "%s event ending at position %" PRIu32 ": cut short",
				event_type_name(ev->header.type), ev->header.log_pos);
	if (ev->header.type == EVENT_QUERY_COMPRESSED) {
		if (inflate_part(q.text, scratch, e) < 0)
			return err_wrap(e, "%s event ending at position %" PRIu32,
					event_type_name(ev->header.type), ev->header.log_pos);
		q.text = buf_slice(scratch);
	}
	*ret_query = q;
	return 0;
}
