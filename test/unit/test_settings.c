/* The configuration: types, precedence, and every mistake at once with where it stands. */
#include "core/base/address.h"
#include "core/base/mem.h"
#include "core/base/settings.h"
#include "core/base/settings_priv.h"
#include "test/lib/folder.h"
#include "test/unit/unit.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/millrace-settings-XXXXXX";

static char *write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *out = fopen(path, "we");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_ge(fputs(text, out), 0);
	fclose(out);
	return path;
}

static void remove_folder(void)
{
	folder_remove(folder);
}

static void make_folder(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(atexit(remove_folder), 0); /* each test is a process of its own */
}

static struct settings *read_good(const char *file, const struct settings_flag *flags, size_t count)
{
	struct settings *s = NULL;
	struct err e = ERR_INIT;

	if (settings_read(file, flags, count, &s, &e) < 0)
		ck_abort_msg("%s", e.msg);
	return s;
}

/* The mistakes of a file with this text; valid until the next call. */
static char *mistakes_of(const char *text, const struct settings_flag *flags, size_t count,
			 size_t *ret_count)
{
	static struct buf out;
	char *file = write_file("bad.conf", text);
	struct settings *s = NULL;

	buf_reset(&out);
	*ret_count = settings_read_all(file, flags, count, &s, &out);
	ck_assert_ptr_null(s);
	free(file);
	return buf_cstr(&out);
}

START_TEST(test_defaults)
{
	struct settings *s = read_good(NULL, NULL, 0);

	ck_assert_str_eq(s->name, "");
	ck_assert_uint_eq(s->source_hosts.count, 1);
	ck_assert_str_eq(s->source_hosts.items[0], "127.0.0.1");
	ck_assert_int_eq(s->source_port, 3306);
	ck_assert_int_eq(s->capture_commit_ms, 250);
	ck_assert_int_eq(s->capture_memory, 32 << 20);
	ck_assert_int_eq(s->project_keep_applied_ms, 3600000);
	ck_assert(s->capture_history);
	ck_assert_uint_eq(s->capture_tables.count, 0);
	ck_assert_str_eq(s->state_dir, "state");
	settings_free(s);
}
END_TEST

START_TEST(test_file)
{
	make_folder();
	char *file = write_file(
		"m.conf",
		"\xef\xbb\xbf# comment\n[millrace]\n name = shop ; trailing\n; c\n\n[source]\nport=3307\n"
		"[capture]\ntables = a.b,  c.* , ,d.e\nevents = ev\ncommit_bytes = 1 MB\nhistory = No\n"
		"commit_interval = 1s\n[kafka]\nkafka.debug = broker\nsasl.username = x\n"
		"[project]\nviews = /abs/views\nkeep_applied = 0\n");
	char *events = xasprintf("%s/ev", folder), *state = xasprintf("%s/state", folder);
	struct settings *s = read_good(file, NULL, 0);

	ck_assert_str_eq(s->name, "shop");
	ck_assert_int_eq(s->source_port, 3307);
	ck_assert_uint_eq(s->capture_tables.count, 3);
	ck_assert_str_eq(s->capture_tables.items[1], "c.*");
	ck_assert_str_eq(s->capture_events_dir, events);
	ck_assert_str_eq(s->state_dir, state);
	ck_assert_str_eq(s->project_views_dir, "/abs/views");
	ck_assert_int_eq(s->capture_commit_bytes, 1 << 20);
	ck_assert_int_eq(s->capture_commit_ms, 1000);
	ck_assert_int_eq(s->project_keep_applied_ms, 0);
	ck_assert(!s->capture_history);
	ck_assert_uint_eq(s->kafka_property_count, 2);
	ck_assert_str_eq(s->kafka_properties[0].key, "debug");
	ck_assert_str_eq(s->kafka_properties[1].key, "sasl.username");
	settings_free(s);
	free(events);
	free(state);
	free(file);
}
END_TEST

START_TEST(test_precedence)
{
	const struct settings_flag flags[] = { { "source.port", "3" }, { "kafka.acks.x", "9" } };

	make_folder();
	char *file = write_file(
		"m.conf",
		"[source]\nport = 1\nuser = file\nhost = file\n[capture]\nevents = rel\n");
	setenv("MILLRACE_SOURCE_PORT", "2", 1);
	setenv("MILLRACE_SOURCE_USER", "environment", 1);
	setenv("MILLRACE_CAPTURE_EVENTS", "here", 1);
	setenv("MILLRACE_CONFIG", "ignored", 1);
	struct settings *s = read_good(file, flags, 2);

	ck_assert_int_eq(s->source_port, 3);
	ck_assert_str_eq(s->source_user, "environment");
	ck_assert_str_eq(s->source_hosts.items[0], "file");
	ck_assert_str_eq(s->capture_events_dir, "here");
	ck_assert_str_eq(s->kafka_properties[0].key, "acks.x");
	settings_free(s);
	free(file);
}
END_TEST

START_TEST(test_long_line)
{
	struct buf text = BUF_INIT, wanted = BUF_INIT;
	uint64_t seed = unit_seed();

	(void)seed; /* printed */
	make_folder();
	buf_add_str(&text, "[capture]\ntables = ");
	for (int i = 0; i < 500; i++) {
		char name[64];

		snprintf(name, sizeof(name), "db%d.t%0*d", i, (int)unit_random_below(40) + 1, i);
		buf_add_format(&text, "%s%s%s", i > 0 ? "," : "",
			       unit_random_below(2) != 0 ? " " : "", name);
		buf_add_format(&wanted, "%s;", name);
	}
	buf_add_str(&text, "\n[kafka]\npartitions = 7\n");
	char *file = write_file("m.conf", buf_cstr(&text));
	struct settings *s = read_good(file, NULL, 0);

	ck_assert_uint_eq(s->capture_tables.count, 500);
	buf_reset(&text);
	for (size_t i = 0; i < s->capture_tables.count; i++)
		buf_add_format(&text, "%s;", s->capture_tables.items[i]);
	ck_assert_str_eq(buf_cstr(&text), buf_cstr(&wanted));
	ck_assert_int_eq(s->kafka_partitions, 7);
	settings_free(s);
	buf_done(&text);
	buf_done(&wanted);
	free(file);
}
END_TEST

/* A long value keeps its blanks and comes back byte by byte, wherever it was cut. */
START_TEST(test_long_value)
{
	static const char letters[] = "ab#.  \t[=";
	char value[1000];

	unit_seed();
	make_folder();
	for (int round = 0; round < 300; round++) {
		size_t n = 300 + unit_random_below(600);

		for (size_t i = 0; i < n; i++)
			value[i] = letters[unit_random_below(sizeof(letters) - 1)];
		value[0] = value[n - 1] = 'x';
		value[n] = '\0';
		char *text = xasprintf("[source]\nuser = %s\nport = 77\n", value);
		char *file = write_file("m.conf", text);
		struct settings *s = read_good(file, NULL, 0);

		ck_assert_str_eq(s->source_user, value);
		ck_assert_int_eq(s->source_port, 77);
		settings_free(s);
		free(text);
		free(file);
	}
}
END_TEST

START_TEST(test_secret)
{
	const struct settings_flag flag = { "source.password_file",
					    "${MILLRACE_TEST_FOLDER}/secret" };
	size_t count;

	make_folder();
	char *secret = write_file("secret", "s3cret\nsecond line\n"),
	     *file = write_file("m.conf", "[source]\npassword_file = secret\n");
	struct settings *s = read_good(file, NULL, 0);

	ck_assert_str_eq(s->source_password, "s3cret");
	settings_free(s);
	setenv("MILLRACE_TEST_FOLDER", folder, 1);
	s = read_good(NULL, &flag, 1);
	ck_assert_str_eq(s->source_password, "s3cret");
	settings_free(s);
	unsetenv("MILLRACE_TEST_FOLDER");
	char *text = mistakes_of("[millrace]\nname = x\n", &flag, 1, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_nonnull(strstr(text, "MILLRACE_TEST_FOLDER"));
	text = mistakes_of("[source]\npassword_file = nosuch\n", NULL, 0, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_nonnull(strstr(text, "bad.conf:2: source.password_file: cannot read"));
	free(write_file("empty", "\n"));
	text = mistakes_of("[source]\npassword_file = empty\n", NULL, 0, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_nonnull(strstr(text, "is empty"));
	free(secret);
	free(file);
}
END_TEST

static const char bad_text[] = "name = early\n" /* 1 before a section */
			       "[millrace]\n"
			       "name = a b\n"      /* 3 bad name */
			       "this is nothing\n" /* 4 not key = value */
			       "[sorce]\n"         /* unknown section, reported with its key */
			       "port = 1\n"        /* 6 */
			       "[source]\n"
			       "prot = 3306\n"          /* 8 nearest: port */
			       "port = 99999999\n"      /* 9 range */
			       "port = 3306\n"          /* 10 twice */
			       "connect_timeout = 10\n" /* 11 no unit */
			       "start = snapshto\n"     /* 12 word */
			       "[kafka\n"               /* 13 not a section */
			       "[kafka]\n"
			       "bootstrap = nohost\n" /* 15 */
			       "tables = a.b\n"       /* 16 of another section */
			       "[capture]\n"
			       "tabels = a.b\n"         /* 18 nearest: tables */
			       "tables = nodot, a*.b\n" /* 19 two */
			       "memory = lots\n"        /* 20 */
			       "history = maybe\n"      /* 21 */
			       "[http]\n"
			       "listen = 0.0.0.0:7411\n" /* 23 no token */
			       "[log]\n"
			       "level = loud\n"   /* 25 */
			       "format = jsno\n"; /* 26 */

START_TEST(test_all_mistakes_at_once)
{
	static const char *const wanted[] = {
		"bad.conf:1: name stands before",
		"bad.conf:3: millrace.name: 'a b'",
		"bad.conf:4: this is not key = value",
		"bad.conf:6: sorce is not a known section",
		"Did you mean section [source]?",
		"bad.conf:8: source.prot is not a known key",
		"Did you mean source.port?",
		"bad.conf:9: source.port: '99999999' is out of range",
		"From 1 to 65535.",
		"bad.conf:10: source.port is given twice, first on line 9",
		"bad.conf:11: source.connect_timeout: '10' is not a time",
		"bad.conf:12: source.start: 'snapshto'",
		"did you mean snapshot?",
		"bad.conf:13: this is not a section",
		"bad.conf:15: kafka.bootstrap: 'nohost' is not host:port",
		"bad.conf:16: kafka.tables is not a known key",
		"It belongs to section [capture].",
		"bad.conf:18: capture.tabels",
		"Did you mean capture.tables?",
		"bad.conf:19: capture.tables: 'nodot'",
		"bad.conf:19: capture.tables: 'a*.b'",
		"bad.conf:20: capture.memory: 'lots' is not a size",
		"bad.conf:21: capture.history: 'maybe'",
		"bad.conf:23: http.listen: '0.0.0.0:7411' can be reached",
		"bad.conf:25: log.level: 'loud'",
		"bad.conf:26: log.format: 'jsno'",
		"did you mean json?",
		"--source.hots: source.hots is not a known key",
		"Did you mean source.host?",
		"--nodot: there is no section",
		"--kafka.timeout: it has no value",
		"MILLRACE_KAFKA_TIMEOT: kafka.timeot",
		"Did you mean kafka.timeout?",
	};
	const struct settings_flag flags[] = { { "source.hots", "x" },
					       { "nodot", "x" },
					       { "kafka.timeout", NULL } };
	struct settings *s = NULL;
	struct err e = ERR_INIT;
	size_t count;

	make_folder();
	setenv("MILLRACE_KAFKA_TIMEOT", "1s", 1);
	char *text = mistakes_of(bad_text, flags, 3, &count);

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strstr(text, wanted[i]) == NULL)
			ck_abort_msg("missing: %s\nin:\n%s", wanted[i], text);
	ck_assert_uint_eq(count, 24);
	char *file = xasprintf("%s/bad.conf", folder);
	ck_assert_int_eq(settings_read(file, flags, 3, &s, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "bad.conf:1:"));
	ck_assert_ptr_nonnull(
		strstr(e.msg, "more mistakes")); /* they do not all fit, and it says so */
	free(file);
}
END_TEST

START_TEST(test_bad_values)
{
	static const char *const bad[] = {
		"[source]\nport = -1\n",
		"[source]\nport = 0x10\n",
		"[source]\nport =\n",
		"[source]\nport = 1 2\n",
		"[source]\nport = 99999999999999999999999\n",
		"[capture]\nmemory = 9223372036854775807GB\n",
		"[capture]\nmemory = 1TB\n",
		"[capture]\nmemory = MB\n",
		"[capture]\ncommit_interval = 1.5s\n",
		"[capture]\ncommit_interval = 2h\n",
		"[source]\nstart = 0-1\n",
		"[source]\nstart = 0-1-2,\n",
		"[source]\nstart = 0-1-x\n",
		"[http]\nlisten = 127.0.0.1\n",
		"[http]\nlisten = ::1:80\n",
		"[http]\nlisten = [::]:80\n",
		"[http]\nlisten = 127.0.0.1:70000\n",
		"[capture]\ntables = a.b, a.b\n",
		"[capture]\ntables = .b\n",
		"[kafka]\nbootstrap = a:1,,b:2\n",
		"[kafka]\nbootstrap =\n",
		"[kafka]\nkafka. = 1\n",
		"[kafka]\nacks = 1\n",
		"[ source ]\nport = 1\n",
		"= 5\n",
		"[millrace]\nname = \xc3\xa4\n",
	};
	size_t count;

	make_folder();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = mistakes_of(bad[i], NULL, 0, &count);

		if (count != 1 || strstr(text, "bad.conf:") == NULL)
			ck_abort_msg("%zu mistakes for:\n%s\n%s", count, bad[i], text);
	}
}
END_TEST

START_TEST(test_good_starts)
{
	static const char *const good[] = { "snapshot", "now", "earliest", "0-1-42",
					    "0-1-42,3-12-18446744073709551615" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct settings_flag flag = { "source.start", good[i] };

		settings_free(read_good(NULL, &flag, 1));
	}
}
END_TEST

/* Any bytes: it answers, and never with a crash. */
START_TEST(test_random_files)
{
	static const char pieces[] = "[]=:;#\n\n  \tabcsource.kafkaport\\\"\r\xff,*";
	char text[600];
	size_t count;

	unit_seed();
	make_folder();
	for (int i = 0; i < 2000; i++) {
		size_t n = unit_random_below(sizeof(text) - 1);
		struct settings *s = NULL;
		struct buf out = BUF_INIT;

		for (size_t j = 0; j < n; j++)
			text[j] = unit_random_below(4) == 0
					  ? bad_text[unit_random_below(sizeof(bad_text) - 1)]
					  : pieces[unit_random_below(sizeof(pieces) - 1)];
		text[n] = '\0';
		char *file = write_file("r.conf", text);
		count = settings_read_all(file, NULL, 0, &s, &out);
		ck_assert((count == 0) == (s != NULL));
		settings_free(s);
		buf_done(&out);
		free(file);
	}
}
END_TEST

START_TEST(test_unreadable_files)
{
	struct settings *s = NULL;
	struct buf out = BUF_INIT;

	make_folder();
	ck_assert_uint_ge(settings_read_all("/nonexistent/x.conf", NULL, 0, &s, &out), 1);
	ck_assert_uint_ge(settings_read_all(folder, NULL, 0, &s, &out), 1);
	char *path = xasprintf("%s/nul.conf", folder);
	FILE *f = fopen(path, "we");
	fwrite("[source]\nport = 1\0 2\n", 1, 20, f);
	fclose(f);
	buf_reset(&out);
	ck_assert_uint_eq(settings_read_all(path, NULL, 0, &s, &out), 1);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&out), "NUL"));
	buf_done(&out);
	free(path);
}
END_TEST

static char *printed(void (*print)(const struct settings *s, FILE *out), const struct settings *s)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	print(s, out);
	fclose(out);
	return text;
}

static void print_sample(const struct settings *s, FILE *out)
{
	(void)s;
	settings_print_sample(out);
}

START_TEST(test_print_reads_back)
{
	make_folder();
	char *secret = write_file("secret", "s3cret\n");
	char *file = write_file(
		"m.conf",
		"[millrace]\nname = shop\n[source]\npassword_file = secret\n[capture]\ntables = a.b, c.*\n"
		"[kafka]\nkafka.debug = broker\nsasl.password = pssst\nssl.ca.location = /ca\n");
	struct settings *s = read_good(file, NULL, 0);
	char *first = printed(settings_print, s);

	ck_assert_ptr_null(strstr(first, "s3cret"));
	ck_assert_ptr_null(strstr(first, "pssst"));
	ck_assert_ptr_nonnull(strstr(first, "password_file = (hidden)"));
	ck_assert_ptr_nonnull(strstr(first, "kafka.ssl.ca.location = /ca"));
	ck_assert_ptr_nonnull(strstr(first, "m.conf:2"));
	settings_free(s);
	free(write_file("(hidden)",
			"x\n")); /* so that what is printed for a secret can be read back */
	char *again = write_file("again.conf", first);
	s = read_good(again, NULL, 0);
	ck_assert_str_eq(s->name, "shop");
	ck_assert_uint_eq(s->capture_tables.count, 2);
	ck_assert_int_eq(s->capture_memory, 32 << 20);
	settings_free(s);
	free(first);
	free(again);
	free(secret);
	free(file);
}
END_TEST

START_TEST(test_sample_is_whole_and_fresh)
{
	make_folder();
	char *sample = printed(print_sample, NULL), *kept = NULL;
	char *file = write_file("sample.conf", sample);
	struct settings *s = read_good(file, NULL, 0);
	size_t size = 0;
	FILE *in = fopen("conf/millrace.conf", "re");

	ck_assert_str_eq(s->name, "chapstick");
	settings_free(s);
	for (size_t i = 0; i < setting_key_count; i++)
		ck_assert_ptr_nonnull(strstr(sample, setting_keys[i].help));
	if (in == NULL)
		ck_abort_msg(
			"conf/millrace.conf is missing: build/millrace config --sample > conf/millrace.conf");
	if (getdelim(&kept, &size, '\0', in) < 0)
		ck_abort_msg("conf/millrace.conf is empty");
	if (strcmp(kept, sample) != 0)
		ck_abort_msg(
			"conf/millrace.conf is stale: build/millrace config --sample > conf/millrace.conf");
	fclose(in);
	free(kept);
	free(sample);
	free(file);
}
END_TEST

START_TEST(test_nearest)
{
	static const char *const known[] = { "tables", "timeout", "port", "partitions" };

	ck_assert_str_eq(settings_nearest("tabels", known, 4), "tables");
	ck_assert_str_eq(settings_nearest("prot", known, 4), "port");
	ck_assert_str_eq(settings_nearest("PORT", known, 4), "port");
	ck_assert_str_eq(settings_nearest("partition", known, 4), "partitions");
	ck_assert_ptr_null(settings_nearest("zebra", known, 4));
	ck_assert_ptr_null(settings_nearest("", known, 4));
	char longest[500];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_ptr_null(settings_nearest(longest, known, 4));
}
END_TEST

START_TEST(test_require)
{
	static const char *const keys[] = { "millrace.name", "capture.tables", "source.port",
					    NULL };
	struct settings *s = read_good(NULL, NULL, 0);
	struct err e = ERR_INIT;

	ck_assert_int_eq(settings_require(s, keys, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "millrace.name is missing"));
	ck_assert_ptr_nonnull(strstr(e.msg, "capture.tables is missing"));
	ck_assert_ptr_null(strstr(e.msg, "source.port"));
	ck_assert_ptr_nonnull(strstr(e.msg, "HINT"));
	settings_free(s);
}
END_TEST

START_TEST(test_addresses)
{
	struct address a;
	struct err e = ERR_INIT;

	ck_assert_int_eq(address_read("[::1]:7411", &a, &e), 0);
	ck_assert_str_eq(a.host, "::1");
	ck_assert_int_eq(a.port, 7411);
	ck_assert_int_eq(address_read(":0", &a, &e), 0);
	ck_assert_str_eq(a.host, "127.0.0.1");
	ck_assert(address_is_loopback("127.9.9.9") && address_is_loopback("::1") &&
		  address_is_loopback("LocalHost"));
	ck_assert(!address_is_loopback("0.0.0.0") && !address_is_loopback("::") &&
		  !address_is_loopback("localhost.evil"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("settings");

	unit_test(s, test_defaults);
	unit_test(s, test_file);
	unit_test(s, test_precedence);
	unit_test(s, test_long_line);
	unit_test_slow(s, test_long_value, 20);
	unit_test(s, test_secret);
	unit_test(s, test_all_mistakes_at_once);
	unit_test(s, test_bad_values);
	unit_test(s, test_good_starts);
	unit_test_slow(s, test_random_files, 20);
	unit_test(s, test_unreadable_files);
	unit_test(s, test_print_reads_back);
	unit_test(s, test_sample_is_whole_and_fresh);
	unit_test(s, test_nearest);
	unit_test(s, test_require);
	unit_test(s, test_addresses);
	return unit_run(s);
}
