/* fuzz_records.c - Millrace's own records: commit, position, status, parked (core/avro/records*.c;
 * cdc/delivery/commit_lists.c). Input: a byte for the kind, then the datum. What was read is
 * written to the bytes that read the same again, and as JSON. */
#include "test/fuzz/fuzz.h"

#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/http/status_state.h"

/* One function for each kind: they differ in nothing but names. */
#define CHECK(kind, more)                                                                        \
	static void check_##kind(struct records_reader *reader, struct slice wire)               \
	{                                                                                        \
		struct buf again = BUF_INIT, json = BUF_INIT, second = BUF_INIT;                 \
		struct kind##_record r, back;                                                    \
		struct err e = ERR_INIT;                                                         \
		if (records_read_##kind(reader, wire, &r, &e) < 0) {                             \
			fuzz_check_error(&e, ERR_DATA);                                          \
			return;                                                                  \
		}                                                                                \
		records_json_##kind(&r, &json);                                                  \
		fuzz_check_json(buf_slice(&json));                                               \
		write_wire_header(&again, 1);                                                    \
		records_write_##kind(&r, &again);                                                \
		fuzz_check(records_read_##kind(reader, buf_slice(&again), &back, &e) == 0, "%s", \
			   e.msg);                                                               \
		records_json_##kind(&back, &second);                                             \
		fuzz_check_same(buf_slice(&json), buf_slice(&second));                           \
		more;                                                                            \
		records_done_##kind(&r);                                                         \
		records_done_##kind(&back);                                                      \
		buf_done(&again);                                                                \
		buf_done(&json);                                                                 \
		buf_done(&second);                                                               \
	}

/* A status goes on to the dashboard. */
static void check_dashboard(struct slice json)
{
	struct status_state *s = status_state_new("n");
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)status_state_take(s, "capture", json, &e);
	(void)status_state_take(s, "view:v", json, &e);
	(void)status_state_take(s, "view:v", json, &e);
	status_state_write(s, 1700000000000000, 900000000, &out);
	fuzz_check_json(buf_slice(&out));
	status_state_free(s);
	buf_done(&out);
}

CHECK(commit, (void)0)
CHECK(position, (void)0)
CHECK(status, check_dashboard(buf_slice(&json)))
CHECK(parked, (void)0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records_reader *reader = records_reader_new(NULL, NULL);
	struct buf wire = BUF_INIT;
	uint64_t kind;

	fuzz_input = rd_of(data, size);
	kind = fuzz_pick(5);
	if (kind < 4)
		write_wire_header(&wire, 1);
	buf_add_slice(&wire, rd_rest(&fuzz_input));
	buf_trim(&wire);
	if (kind == 0)
		check_commit(reader, buf_slice(&wire));
	else if (kind == 1)
		check_position(reader, buf_slice(&wire));
	else if (kind == 2)
		check_status(reader, buf_slice(&wire));
	else if (kind == 3)
		check_parked(reader, buf_slice(&wire));
	else
		check_dashboard(buf_slice(&wire)); /* any JSON, or none */
	records_reader_free(reader);
	buf_done(&wire);
	return 0;
}
