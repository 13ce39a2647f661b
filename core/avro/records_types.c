/*
 * records_types.c - which member of a struct is which field of schemas/<kind>.avsc.
 *
 * The order of a table is the order of its schema's fields. The schemas' texts come from the
 * Makefile as a header, so the binary carries the files as they are.
 */
#include "core/avro/records_priv.h"

#include "schemas.gen.h"

#include <stdlib.h>

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
/* clang-format off */
#define FIELD(record, kind, field) \
	{ #field, MEMBER_##kind, offsetof(struct record, field), 0, NULL }
#define ONE(record, field, sub) \
	{ #field, MEMBER_RECORD_OR_NULL, offsetof(struct record, field), 0, &sub##_type }
#define MANY(record, field, count, sub) \
	{ #field, MEMBER_RECORDS, offsetof(struct record, field), offsetof(struct record, count), \
	  &sub##_type }
#define TYPE(record) \
	static const struct record_type record##_type = { sizeof(struct record), record##_members, \
		COUNT(record##_members) }
/* clang-format on */

static const struct member commit_transaction_members[] = {
	FIELD(commit_transaction, TEXT, gtid),
	FIELD(commit_transaction, LONG, changes),
	{ "commit_us_delta", MEMBER_DELTA, offsetof(struct commit_transaction, commit_us), 0,
	  NULL },
};
TYPE(commit_transaction);

static const struct member commit_touched_members[] = {
	FIELD(commit_touched, TEXT, topic),
	FIELD(commit_touched, INT, partition),
	FIELD(commit_touched, LONG, records),
	FIELD(commit_touched, LONG, last_seq),
};
TYPE(commit_touched);

static const struct member commit_members[] = {
	FIELD(commit_record, LONG, seq),
	FIELD(commit_record, LONG, first_seq),
	FIELD(commit_record, BOOL, open),
	FIELD(commit_record, LONG, at_us),
	FIELD(commit_record, LONG, bytes_total),
	FIELD(commit_record, LONG, transactions_total),
	FIELD(commit_record, TEXT, gtid_set),
	MANY(commit_record, transactions, transaction_count, commit_transaction),
	MANY(commit_record, partitions, partition_count, commit_touched),
	FIELD(commit_record, TEXTS, held),
	FIELD(commit_record, TEXTS, copied),
	FIELD(commit_record, TEXTS, copying),
	FIELD(commit_record, TEXTS, reconciling),
	FIELD(commit_record, BOOL, unchanged),
	FIELD(commit_record, TEXTS, reconciled),
};

static const struct member position_copy_members[] = {
	FIELD(position_copy, TEXT, db),     FIELD(position_copy, TEXT, table),
	FIELD(position_copy, BOOL, done),   FIELD(position_copy, LONG, chunks),
	FIELD(position_copy, LONG, rows),   FIELD(position_copy, TEXTS, last_key),
	FIELD(position_copy, TEXT, kind),   FIELD(position_copy, LONG, id),
	FIELD(position_copy, TEXT, why),    FIELD(position_copy, TEXT, where),
	FIELD(position_copy, BOOL, paused), FIELD(position_copy, TEXTS, keys),
	FIELD(position_copy, LONG, shape),
};
TYPE(position_copy);

static const struct member position_prepared_members[] = {
	FIELD(position_prepared, TEXT, xid),           FIELD(position_prepared, TEXT, gtid),
	FIELD(position_prepared, TEXT, gtid_set),      FIELD(position_prepared, TEXT, file),
	FIELD(position_prepared, LONG, file_position),
};
TYPE(position_prepared);

static const struct member position_members[] = {
	FIELD(position_record, LONG, seq),
	FIELD(position_record, TEXT, gtid_set),
	FIELD(position_record, TEXT, source),
	FIELD(position_record, LONG, commit_us),
	FIELD(position_record, LONG, bytes_total),
	FIELD(position_record, LONG, transactions_total),
	FIELD(position_record, TEXT_OR_NULL, open_gtid),
	FIELD(position_record, LONG, open_changes),
	MANY(position_record, copies, copy_count, position_copy),
	FIELD(position_record, TEXT, fingerprint),
	FIELD(position_record, TEXT, file),
	FIELD(position_record, LONG, file_position),
	FIELD(position_record, LONG, file_created),
	MANY(position_record, prepared, prepared_count, position_prepared),
};

static const struct member status_stage_members[] = {
	FIELD(status_stage, LONG, transactions),
	FIELD(status_stage, LONG, bytes),
	FIELD(status_stage, LONG, us),
};
TYPE(status_stage);

static const struct member status_copy_members[] = {
	FIELD(status_copy, TEXT, table),
	FIELD(status_copy, LONG, rows),
	FIELD(status_copy, LONG, rows_estimate),
	FIELD(status_copy, DOUBLE, rate),
	FIELD(status_copy, BOOL, done),
	FIELD(status_copy, TEXT, kind),
	FIELD(status_copy, LONG, id),
	FIELD(status_copy, TEXT, why),
	FIELD(status_copy, BOOL, paused),
};
TYPE(status_copy);

static const struct member status_share_members[] = {
	FIELD(status_share, TEXT, topic),  FIELD(status_share, INT, partition),
	FIELD(status_share, LONG, offset), FIELD(status_share, LONG, seq),
	FIELD(status_share, LONG, lag_us), FIELD(status_share, TEXT, member),
	FIELD(status_share, TEXT, trouble),
};
TYPE(status_share);

static const struct member status_version_members[] = {
	FIELD(status_version, INT, version),  FIELD(status_version, TEXT, state),
	FIELD(status_version, LONG, seq),     FIELD(status_version, TEXT, gtid_set),
	FIELD(status_version, LONG, records), FIELD(status_version, LONG, records_total),
	FIELD(status_version, DOUBLE, rate),  FIELD(status_version, TEXT, definition),
	FIELD(status_version, TEXT, message), FIELD(status_version, LONG, left_us),
	FIELD(status_version, TEXT, slowest), FIELD(status_version, LONG, slowest_left),
	FIELD(status_version, LONG, parked),  FIELD(status_version, LONG, differing),
	FIELD(status_version, LONG, compared_us),
	FIELD(status_version, LONG, differs_since_us),
	FIELD(status_version, TEXT, as_of),   FIELD(status_version, INT, share),
	MANY(status_version, shares, share_count, status_share),
};
TYPE(status_version);

static const struct member status_verified_members[] = {
	FIELD(status_verified, LONG, at_us),
	FIELD(status_verified, TEXT, gtid_set),
	FIELD(status_verified, LONG, rows),
	FIELD(status_verified, LONG, differences),
};
TYPE(status_verified);

static const struct member status_members[] = {
	FIELD(status_record, LONG, seq),
	FIELD(status_record, TEXT, kind),
	FIELD(status_record, TEXT, name),
	FIELD(status_record, TEXT, state),
	FIELD(status_record, TEXT, message),
	FIELD(status_record, LONG, at_us),
	FIELD(status_record, LONG, started_us),
	FIELD(status_record, TEXT, http),
	FIELD(status_record, TEXT, gtid_set),
	FIELD(status_record, LONG, commit_us),
	FIELD(status_record, LONG, source_now_us),
	ONE(status_record, head, status_stage),
	ONE(status_record, read, status_stage),
	ONE(status_record, delivered, status_stage),
	ONE(status_record, applied, status_stage),
	MANY(status_record, copies, copy_count, status_copy),
	MANY(status_record, versions, version_count, status_version),
	ONE(status_record, verified, status_verified),
	FIELD(status_record, TEXTS, inputs),
	FIELD(status_record, TEXT, owner),
	FIELD(status_record, LONG, parked),
	FIELD(status_record, LONG, parked_bytes),
	FIELD(status_record, LONG, copies_total),
	FIELD(status_record, LONG, copies_done),
	FIELD(status_record, TEXT, store),
	FIELD(status_record, TEXT, view_kind),
};

static const struct member parked_members[] = {
	FIELD(parked_record, LONG, seq),          FIELD(parked_record, TEXT, id),
	FIELD(parked_record, INT, piece),         FIELD(parked_record, INT, pieces),
	FIELD(parked_record, TEXT, topic),        FIELD(parked_record, INT, partition),
	FIELD(parked_record, BYTES_OR_NULL, key), FIELD(parked_record, LONG, size),
	FIELD(parked_record, TEXT, op),           FIELD(parked_record, BOOL, stand_in),
	FIELD(parked_record, TEXT, transaction),  FIELD(parked_record, LONG, commit_us),
	FIELD(parked_record, LONG, at_us),        FIELD(parked_record, TEXT, reason),
	FIELD(parked_record, LONG, offset),       FIELD(parked_record, BYTES, data),
};

const struct record_type records_types[RECORD_KINDS] = {
	[RECORD_COMMIT] = { sizeof(struct commit_record), commit_members, COUNT(commit_members) },
	[RECORD_POSITION] = { sizeof(struct position_record), position_members,
			      COUNT(position_members) },
	[RECORD_STATUS] = { sizeof(struct status_record), status_members, COUNT(status_members) },
	[RECORD_PARKED] = { sizeof(struct parked_record), parked_members, COUNT(parked_members) },
};

const char *records_schema_text(enum record_kind kind)
{
	static const char *const names[RECORD_KINDS] = {
		[RECORD_COMMIT] = "commit.avsc",
		[RECORD_POSITION] = "position.avsc",
		[RECORD_STATUS] = "status.avsc",
		[RECORD_PARKED] = "parked.avsc",
	};

	for (size_t i = 0; i < COUNT(schemas_files); i++) {
		if (strcmp(schemas_files[i].name, names[kind]) == 0)
			return schemas_files[i].data;
	}
	abort(); /* the build forgot a file */
}
