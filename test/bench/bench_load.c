/*
 * bench_load.c - fills the source for scripts/bench. The same bytes on every machine: all content
 * comes from a fixed seed.
 *
 *   bench_load HOST PORT USER PASSWORD_FILE tables               the empty tables bench.t10 and
 * bench.moment bench_load ... rows COUNT                  COUNT rows of ten columns; a transaction
 * is one INSERT of 80 to 120 rows bench_load ... moments RATE SECONDS        RATE autocommitted
 * rows a second. Each carries, as text, the wall clock of the moment before its statement was sent:
 * @T and 16 digits
 *
 * Prints one JSON object about what it did. Any failure ends it with status 1 and the server's own
 * words.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <mysql.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_MAX (256 * 1024) /* 120 rows of at most 400 bytes are far below */
#define TEXT_MAX 64
#define LATE_US 20000

static MYSQL *db;
static uint64_t random_state = 20261121;
static char statement[STATEMENT_MAX];
static size_t statement_size;

/* SplitMix64 (Steele, Lea, Flood 2014) */
static uint64_t random64(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static unsigned below(unsigned n)
{
	return (unsigned)(random64() % n);
}

static void die(const char *what)
{
	fprintf(stderr, "bench_load: %s: %s\n", what, mysql_error(db));
	exit(EXIT_FAILURE);
}

static void __attribute__((format(printf, 1, 2))) add(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(statement + statement_size, STATEMENT_MAX - statement_size, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= STATEMENT_MAX - statement_size) {
		fputs("bench_load: statement too long\n", stderr);
		exit(EXIT_FAILURE);
	}
	statement_size += (size_t)n;
}

static void send_statement(void)
{
	if (mysql_real_query(db, statement, (unsigned long)statement_size) != 0)
		die("statement refused");
	statement_size = 0;
}

/* 10 to 49 characters that do not compress well; one text in sixteen holds some beyond ASCII. */
static const char *text(char *out)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyz 0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t n = 10 + below(40);
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++, bits >>= 6) {
		if (i % 10 == 0)
			bits = random64();
		out[i] = letters[bits & 63];
	}
	out[n] = '\0';
	if (below(16) == 0)
		memcpy(out + n, "\xc3\xa9\xe2\x82\xac", 6); /* with its NUL */
	return out;
}

static void add_row(int64_t id)
{
	char a[TEXT_MAX], b[TEXT_MAX], c[TEXT_MAX];
	int n = (int)below(2000000000) - 1000000000;

	add("(%" PRId64 ",%d,'%s','%s','%s',%u.%02u,", id, n, text(a), text(b), text(c),
	    below(1000000000), below(100));
	add("'2026-%02u-%02u %02u:%02u:%02u.%03u',", 1 + below(12), 1 + below(28), below(24),
	    below(60), below(60), below(1000));
	add("'2026-%02u-%02u %02u:%02u:%02u',", 1 + below(12), 1 + below(28), below(24), below(60),
	    below(60));
	add("%d,%.9g)", (int)below(256) - 128, ((double)below(2000000000) - 1e9) / 1024.0);
}

static void load_rows(int64_t count)
{
	int64_t id = 0, transactions = 0, from = clock_monotonic_us();

	while (id < count) {
		unsigned rows = 80 + below(41);

		add("INSERT INTO bench.t10 VALUES ");
		for (unsigned i = 0; i < rows && id < count; i++) {
			if (i > 0)
				add(",");
			add_row(++id);
		}
		send_statement();
		transactions++;
	}
	printf("{\"rows\": %" PRId64 ", \"transactions\": %" PRId64 ", \"seconds\": %.2f}\n", id,
	       transactions, (double)(clock_monotonic_us() - from) / 1e6);
}

static void load_moments(int64_t rate, int64_t seconds)
{
	int64_t count = rate * seconds, from = clock_monotonic_us(), late = 0, busy = 0;

	for (int64_t i = 0; i < count; i++) {
		int64_t wait = from + i * 1000000 / rate - clock_monotonic_us(), began;
		char a[TEXT_MAX], b[TEXT_MAX];

		if (wait > 0)
			clock_sleep_us(wait);
		else if (-wait > LATE_US)
			late++;
		began = clock_monotonic_us();
		add("INSERT INTO bench.moment (mark, n, a, b) VALUES ('@T%016" PRId64
		    "',%u,'%s','%s')",
		    clock_now_us(), below(1000000), text(a), text(b));
		send_statement();
		busy += clock_monotonic_us() - began;
	}
	printf("{\"rows\": %" PRId64 ", \"statement_mean_us\": %.0f, \"late\": %" PRId64 "}\n",
	       count, (double)busy / (double)count, late);
}

static const char *const statements[] = {
	"DROP DATABASE IF EXISTS bench",
	"CREATE DATABASE bench CHARACTER SET utf8mb4",
	("CREATE TABLE bench.t10 (id BIGINT NOT NULL PRIMARY KEY, n INT NOT NULL, s1 VARCHAR(64),"
	 " s2 VARCHAR(64), s3 VARCHAR(64), amount DECIMAL(12,2), created DATETIME(3),"
	 " updated TIMESTAMP NULL DEFAULT NULL, flag TINYINT, ratio DOUBLE)"),
	("CREATE TABLE bench.moment (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
	 " mark VARCHAR(32) NOT NULL, n INT, a VARCHAR(64), b VARCHAR(64))"),
};

static void make_tables(void)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		add("%s", statements[i]);
		send_statement();
	}
	printf("{\"tables\": 2}\n");
}

/* A number above zero from the command line. */
static int64_t number(const char *word)
{
	char *end;
	long long n = strtoll(word, &end, 10);

	if (*end != '\0' || n <= 0) {
		fprintf(stderr, "bench_load: %s is no number above zero\n", word);
		exit(2);
	}
	return n;
}

static void open_source(char **words)
{
	char password[256] = "";
	FILE *file = fopen(words[3], "r");

	if (file == NULL || fgets(password, sizeof(password), file) == NULL) {
		fprintf(stderr, "bench_load: %s: cannot read the password\n", words[3]);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	password[strcspn(password, "\n")] = '\0';
	db = mysql_init(NULL);
	mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (mysql_real_connect(db, words[0], words[2], password, NULL, (unsigned)number(words[1]),
			       NULL, 0) == NULL)
		die("cannot connect");
	add("SET time_zone = '+00:00'");
	send_statement();
}

int main(int argc, char **argv)
{
	const char *what = argc > 5 ? argv[5] : "";

	if (strcmp(what, "tables") == 0 && argc == 6) {
		open_source(argv + 1);
		make_tables();
	} else if (strcmp(what, "rows") == 0 && argc == 7) {
		open_source(argv + 1);
		load_rows(number(argv[6]));
	} else if (strcmp(what, "moments") == 0 && argc == 8) {
		open_source(argv + 1);
		load_moments(number(argv[6]), number(argv[7]));
	} else {
		fputs("usage: bench_load HOST PORT USER PASSWORD_FILE tables | rows COUNT |"
		      " moments RATE SECONDS\n",
		      stderr);
		return 2;
	}
	mysql_close(db);
	return EXIT_SUCCESS;
}
