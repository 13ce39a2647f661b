/*
 * bench_producer.c - how fast records of given sizes get into Kafka when nothing has to be made:
 * the ceiling of capture.
 *
 *   bench_producer BOOTSTRAP TOPIC COUNT SAMPLE producer   through core/kafka/producer.h, with
 * Millrace's queue limit, and a commit for each COMMIT_BYTES, as the group commit does
 *   bench_producer ... library     librdkafka alone: the same settings, a queue of 256 MB, one
 * commit bench_producer ... producer|library PROPERTY=VALUE...          with properties of
 * librdkafka, to try others
 *
 * Both: transactions, idempotence, acks=all, lz4. SAMPLE is a file of records, each: size of key
 * and of value (4 bytes each, little-endian), key, value. They are sent round and round, so sizes
 * and compressibility are those of real records when it was filled from a real topic. TOPIC has one
 * partition. Prints one JSON object; the clock runs from the first begin to the end of the last
 * commit.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/kafka/producer.h"

#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define SAMPLE_RECORDS_MAX 1000000
#define SAMPLE_BYTES_MAX (512 * 1024 * 1024)
#define COMMIT_BYTES (32 * 1024 * 1024) /* default of capture.commit_bytes */
#define QUEUE_BYTES (8 * 1024 * 1024)   /* a quarter of capture.memory, as delivery.c has it */
#define TRANSACTIONAL_ID "bench-producer"

struct record {
	struct slice key, value;
};

static struct record *records;
static size_t record_count;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_producer: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void must(int rc, const struct err *e)
{
	if (rc != 0)
		die("Kafka", e->msg);
}

/* ---- the sample ---- */

static uint32_t little_endian(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0 ||
	    size > SAMPLE_BYTES_MAX)
		die(path, "cannot be read, is empty, or larger than 512 MB");
	rewind(file);
	data = xmalloc((size_t)size);
	if (fread(data, 1, (size_t)size, file) != (size_t)size)
		die(path, "cannot be read");
	fclose(file);
	*ret_size = (size_t)size;
	return data;
}

/* The records point into memory that lives as long as the program. */
static void read_sample(const char *path)
{
	size_t size, at = 0;
	const uint8_t *data = read_file(path, &size);

	records = xcalloc(SAMPLE_RECORDS_MAX, sizeof(*records));
	while (size - at >= 8 && record_count < SAMPLE_RECORDS_MAX) {
		size_t key = little_endian(data + at), value = little_endian(data + at + 4);

		if (key > size - at - 8 || value > size - at - 8 - key)
			die(path, "a record is cut off");
		records[record_count].key = slice_of(data + at + 8, key);
		records[record_count++].value = slice_of(data + at + 8 + key, value);
		at += 8 + key + value;
	}
	if (record_count == 0)
		die(path, "holds no record");
}

/* ---- Millrace's producer ---- */

static int64_t send_ours(const struct settings *settings, const char *name, int64_t count)
{
	struct producer_options options = { .transactional_id = TRANSACTIONAL_ID,
					    .queue_bytes_max = QUEUE_BYTES,
					    .linger_ms = 5 };
	struct producer_topic *topic;
	int64_t from, took, bytes = 0;
	struct err e = ERR_INIT;
	struct producer *p;

	must(producer_open(settings, &options, &p, &e), &e);
	topic = producer_topic(p, name);
	from = clock_monotonic_us();
	must(producer_begin(p, &e), &e);
	for (int64_t i = 0; i < count; i++) {
		const struct record *r = &records[(size_t)i % record_count];

		must(producer_send(p, topic, 0, r->key, r->value, &e), &e);
		bytes += (int64_t)(r->key.size + r->value.size);
		if (bytes >= COMMIT_BYTES) {
			must(producer_commit(p, &e), &e);
			must(producer_begin(p, &e), &e);
			bytes = 0;
		}
	}
	must(producer_commit(p, &e), &e);
	took = clock_monotonic_us() - from;
	producer_close(p);
	return took;
}

/* ---- librdkafka alone ---- */

static int64_t delivered, failed;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		delivered++;
	else
		failed++;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[256];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		die(name, text);
}

static void expect(rd_kafka_error_t *error)
{
	if (error != NULL)
		die("librdkafka", rd_kafka_error_string(error));
}

static rd_kafka_t *open_library(const struct settings *settings)
{
	static const char *const same[][2] = {
		/* as in core/kafka/producer.c */
		{ "enable.idempotence", "true" },
		{ "acks", "all" },
		{ "compression.type", "lz4" },
		{ "linger.ms", "5" },
		{ "batch.size", "1000000" },
		{ "batch.num.messages", "100000" },
		{ "message.max.bytes", "16777216" },
		{ "transactional.id", TRANSACTIONAL_ID },
		/* its own */
		{ "queue.buffering.max.messages", "1000000" },
		{ "queue.buffering.max.kbytes", "262144" },
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		set(conf, same[i][0], same[i][1]);
	set(conf, "bootstrap.servers", settings->kafka_bootstrap);
	for (size_t i = 0; i < settings->kafka_property_count; i++)
		set(conf, settings->kafka_properties[i].key, settings->kafka_properties[i].value);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (rk == NULL)
		die("librdkafka", text);
	expect(rd_kafka_init_transactions(rk, 30000));
	return rk;
}

static int64_t send_library(const struct settings *settings, const char *name, int64_t count)
{
	rd_kafka_t *rk = open_library(settings);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
	int64_t from = clock_monotonic_us(), took;

	expect(rd_kafka_begin_transaction(rk));
	for (int64_t i = 0; i < count; i++) {
		const struct record *r = &records[(size_t)i % record_count];

		while (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY,
					(void *)(uintptr_t)r->value.data, r->value.size,
					r->key.data, r->key.size, NULL) != 0) {
			if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				die("produce", rd_kafka_err2str(rd_kafka_last_error()));
			rd_kafka_poll(rk, 10);
		}
		if (i % 256 == 0)
			rd_kafka_poll(rk, 0);
	}
	rd_kafka_flush(rk, 60000);
	expect(rd_kafka_commit_transaction(rk, 60000));
	took = clock_monotonic_us() - from;
	if (failed != 0 || delivered != count)
		die(name, "not everything was delivered");
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return took;
}

/* ---- main ---- */

static void report(int64_t count, int64_t took_us)
{
	struct rusage usage;
	double cpu;

	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"records\": %" PRId64
	       ", \"seconds\": %.3f, \"rate\": %.0f, \"cpu\": %.2f, \"cpu_us\": %.3f,"
	       " \"rss_mb\": %.1f}\n",
	       count, (double)took_us / 1e6, (double)count * 1e6 / (double)took_us, cpu,
	       cpu * 1e6 / (double)count, (double)usage.ru_maxrss / 1024.0);
}

/* Bootstrap, and the PROPERTY=VALUE words. */
static struct settings *read_settings(const char *bootstrap, char **words, size_t count)
{
	struct settings_flag *flags = xcalloc(count + 1, sizeof(*flags));
	struct err e = ERR_INIT;
	struct settings *settings;

	flags[0] = (struct settings_flag){ "kafka.bootstrap", bootstrap };
	for (size_t i = 0; i < count; i++) {
		char *equals = strchr(words[i], '=');

		if (equals == NULL)
			die(words[i], "is not PROPERTY=VALUE");
		*equals = '\0';
		flags[i + 1] =
			(struct settings_flag){ xasprintf("kafka.kafka.%s", words[i]), equals + 1 };
	}
	must(settings_read(NULL, flags, count + 1, &settings, &e), &e);
	return settings; /* the names live as long as the program */
}

int main(int argc, char **argv)
{
	struct settings *settings;
	int64_t count, took;

	if (argc < 6 || (count = strtoll(argv[3], NULL, 10)) <= 0 ||
	    (strcmp(argv[5], "producer") != 0 && strcmp(argv[5], "library") != 0)) {
		fputs("usage: bench_producer BOOTSTRAP TOPIC COUNT SAMPLE producer|library"
		      " [PROPERTY=VALUE...]\n",
		      stderr);
		return 2;
	}
	read_sample(argv[4]);
	settings = read_settings(argv[1], argv + 6, (size_t)(argc - 6));
	took = strcmp(argv[5], "library") == 0 ? send_library(settings, argv[2], count)
					       : send_ours(settings, argv[2], count);
	report(count, took);
	settings_free(settings);
	return EXIT_SUCCESS;
}
