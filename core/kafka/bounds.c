/* bounds.c - where the log of a partition begins and ends.
 *
 * rd_kafka_query_watermark_offsets is the library's call for this, but until its 2.3 it waits for a
 * leader that is down for as long as that is down, whatever time it was given. The search by time
 * keeps to its time, and the protocol has two times that stand for the two ends (ListOffsets in the
 * Kafka protocol guide). A question has room for one time for each partition. */
#include "core/base/clock.h"
#include "core/kafka/kafka_priv.h"

static rd_kafka_resp_err_t ask(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t time,
			       int64_t timeout_ms, int64_t *ret_offset)
{
	rd_kafka_resp_err_t code;

	list->elems[0].offset = time;
	list->elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR;
	code = rd_kafka_offsets_for_times(rk, list, (int)timeout_ms);
	*ret_offset = list->elems[0].offset;
	return code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : list->elems[0].err;
}

rd_kafka_resp_err_t kafka_bounds(struct kafka_client *client, const char *topic, int32_t partition,
				 int64_t timeout_ms, int64_t *ret_low, int64_t *ret_end)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t from_us = clock_monotonic_us(), left_ms;
	rd_kafka_resp_err_t code;

	(void)rd_kafka_topic_partition_list_add(list, topic, partition);
	code = ask(client->rk, list, KAFKA_TIME_OF_BEGIN, timeout_ms, ret_low);
	left_ms = timeout_ms - (clock_monotonic_us() - from_us) / 1000;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = ask(client->rk, list, KAFKA_TIME_OF_END, left_ms > 1 ? left_ms : 1, ret_end);
	rd_kafka_topic_partition_list_destroy(list);
	return code;
}
