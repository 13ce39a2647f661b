/* fuzz_intake.c - records and commit records of many partitions into source transactions
 * (core/intake/merge*.c, position.c, parked.c), from topics that say what they like. Input: a byte
 * for each step, and what the step takes. seq never falls; a position that was written reads the
 * same. */
#include "test/fuzz/fuzz.h"

#include "core/avro/write.h"
#include "core/intake/merge.h"
#include "core/intake/parked.h"

#include <string.h>

#define PARTITIONS 2
#define STEPS_MAX 200

static const struct merge_topic topics[] = { { "a", PARTITIONS }, { "b", PARTITIONS } };

static void add_record(struct merge *m, int64_t *offsets)
{
	size_t partition = fuzz_pick(2 * PARTITIONS);
	struct buf value = BUF_INIT;
	struct err e = ERR_INIT;

	write_wire_header(&value, 1);
	write_long(&value, (int64_t)fuzz_pick(256) - 4);
	buf_add_slice(&value, slice_str("rest"));
	offsets[partition] += (int64_t)fuzz_pick(3);
	if (merge_add(m, partition, offsets[partition]++, slice_of(NULL, 0), buf_slice(&value),
		      &e) < 0)
		fuzz_check_error(&e, ERR_DATA);
	buf_done(&value);
}

static void make_commit(struct buf *wire)
{
	static const char *const gtids[] = { "0-1-1", "0-1-2", "1-1-9",
					     "3e11fa47-71ca-11e1-9e33-c80aa9429562:5", "x" };
	static const char *names[] = { "d.t", "d.u", "d.t" };
	struct commit_transaction transactions[3];
	struct commit_touched touched[4];
	struct commit_record r = { .seq = (int64_t)fuzz_pick(256),
				   .first_seq = (int64_t)fuzz_pick(256),
				   .gtid_set = gtids[fuzz_pick(5)],
				   .open = fuzz_pick(8) == 0,
				   .unchanged = fuzz_pick(2) == 0,
				   .transactions = transactions,
				   .transaction_count = fuzz_pick(4),
				   .partitions = touched,
				   .partition_count = fuzz_pick(5),
				   .copying = { names, fuzz_pick(4) },
				   .reconciling = { names + 1, fuzz_pick(3) },
				   .copied = { names, fuzz_pick(2) } };

	for (size_t i = 0; i < r.transaction_count; i++)
		transactions[i] = (struct commit_transaction){ gtids[fuzz_pick(5)],
							       (int64_t)fuzz_pick(16) - 1, 5 };
	for (size_t i = 0; i < r.partition_count; i++)
		touched[i] = (struct commit_touched){ topics[fuzz_pick(2)].name,
						      (int32_t)fuzz_pick(PARTITIONS + 1),
						      (int64_t)fuzz_pick(8) - 1,
						      (int64_t)fuzz_pick(256) };
	write_wire_header(wire, 1);
	records_write_commit(&r, wire);
}

/* A partition that the topic hasn't got: it may be new, and known after reconnecting. */
static void fuzz_check_refused(const struct err *e)
{
	fuzz_check_error(e, e->kind == ERR_RETRY ? ERR_RETRY : ERR_DATA);
}

static void add_commit(struct merge *m, int64_t *offset)
{
	struct buf wire = BUF_INIT;
	struct err e = ERR_INIT;

	if (fuzz_pick(16) == 0)
		buf_add_slice(&wire, fuzz_part());
	else
		make_commit(&wire);
	if (merge_add_commit(m, (*offset)++, buf_slice(&wire), &e) < 0)
		fuzz_check_refused(&e);
	buf_done(&wire);
}

static void check_position(const struct intake_position *p)
{
	struct intake_position back;
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;

	intake_position_write(p, &text);
	fuzz_check_json(buf_slice(&text));
	fuzz_check(intake_position_read(buf_slice(&text), &back, &e) == 0, "%s: %s", e.msg,
		   buf_cstr(&text));
	intake_position_write(&back, &again);
	fuzz_check_same(buf_slice(&text), buf_slice(&again));
	intake_position_done(&back);
	buf_done(&text);
	buf_done(&again);
}

/* False: it has failed, and stays so. */
static bool take(struct merge *m, int64_t *seq)
{
	struct intake_item item;
	struct err e = ERR_INIT;
	int rc;

	while ((rc = merge_next(m, &item, &e)) == 1) {
		if (item.kind == INTAKE_RECORD) {
			fuzz_check(item.seq >= *seq && item.seq > 0, "seq %lld after %lld",
				   (long long)item.seq, (long long)*seq);
			*seq = item.seq;
		} else {
			check_position(merge_position(m));
		}
	}
	if (rc == 0)
		return true;
	fuzz_check_refused(&e);
	fuzz_check(e.kind == ERR_RETRY || merge_next(m, &item, &e) < 0, "it failed before");
	return false;
}

static void check_texts(struct slice text)
{
	struct parked_reference where;
	struct intake_position p;
	struct err e = ERR_INIT;

	if (parked_reference_read(text, &where, &e) == 0)
		fuzz_check(where.partition >= 0 && where.offset >= 0, "%d:%lld",
			   (int)where.partition, (long long)where.offset);
	if (intake_position_read(text, &p, &e) == 0) {
		check_position(&p);
		intake_position_done(&p);
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
}

static void put_together(void)
{
	struct parked_parts parts;
	struct err e = ERR_INIT;
	int rc = 0;

	parked_begin(&parts, 7, 1000);
	while (rc == 0 && rd_left(&fuzz_input) > 0) {
		struct parked_record piece = { .seq = 5 + (int64_t)fuzz_pick(4),
					       .id = "7.0",
					       .piece = (int32_t)fuzz_pick(8) - 1,
					       .pieces = (int32_t)fuzz_pick(8) - 1,
					       .topic = "a",
					       .op = "c",
					       .transaction = "0-1-1",
					       .reason = "",
					       .size = (int64_t)fuzz_pick(2048) - 10 };

		piece.data = fuzz_part();
		rc = parked_add(&parts, &piece, &e);
	}
	if (rc == 1)
		fuzz_check((int64_t)parts.value.size == parts.size && parts.size <= 1000, "size");
	if (rc < 0)
		fuzz_check_error(&e, ERR_DATA);
	parked_done(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct merge_options o = { .commits = "c", .topics = topics, .topic_count = 2 };
	int64_t offsets[2 * PARTITIONS] = { 0 }, offset = 0, seq = 0;
	struct err e = ERR_INIT;
	struct merge *m;
	bool goes_on = true;

	fuzz_input = rd_of(data, size);
	check_texts(slice_of(data, size));
	if (fuzz_pick(8) == 0) {
		put_together();
		return 0;
	}
	o.reader = records_reader_new(NULL, NULL);
	o.bytes_max = fuzz_pick(2) == 0 ? 0 : 64;
	fuzz_check(merge_new(&o, &m, &e) == 0, "%s", e.msg);
	for (int i = 0; goes_on && i < STEPS_MAX && rd_left(&fuzz_input) > 0; i++) {
		if (fuzz_pick(3) == 0)
			add_commit(m, &offset);
		else
			add_record(m, offsets);
		goes_on = take(m, &seq);
	}
	merge_free(m);
	records_reader_free(o.reader);
	return 0;
}
