/* mock.h - librdkafka's own mock brokers under a whole capture session: its producer, consumer and
 * membership are the real ones, and each request that they make can be answered by an error.
 *
 * Tests named test_mock* are linked with this folder, then with test/script (source, clock), before
 * the library (Makefile). The mock brokers of 2.0.2 lack three things, which are made up for here:
 *
 * - They keep no account of transactions: what was rolled back is read like anything else, and no
 *   marker stands behind it. So every record of a transaction carries its number in a header, and
 *   consumers are shown only those whose transaction was committed (by the answer to EndTxn; where
 *   that was lost, by mock_lost()).
 * - They know no CreateTopics and no DescribeConfigs: topics are made in the cluster directly, and
 *   their configuration is as capture would have made it. Faults of those two are not swept.
 * - They answer no question for an offset by time: it is 0 where there is anything. */
#ifndef TEST_MOCK_MOCK_H
#define TEST_MOCK_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stdint.h>

#define MOCK_TOPIC_ROWS "sweep.golden.a"

enum mock_place {
	MOCK_RECORD, /* the first record of a group commit is about to be sent */
	MOCK_COMMIT, /* its commit record is */
};

/* Brokers 1 to `brokers`, no topics. Sets script_bootstrap: before script_run_setup(). */
void mock_start(int brokers);
void mock_stop(void);
rd_kafka_mock_cluster_t *mock_cluster(void);
/* Called at each place with the number of group commits that are there. NULL: nobody. */
void mock_on(void (*reached)(enum mock_place place, int64_t commits));
/* What becomes of a transaction whose commit fails: it was committed all the same. */
void mock_lost(bool committed);
/* From here on script_committed() tells what the topics hold, read by a consumer of its own; until
 * then only the last position. */
void mock_read_back(void);
/* Records of transactions that were not committed, as of mock_read_back(). */
int64_t mock_rolled_back(void);

#endif
