/* Log lines: one line each whatever is in them, levels, both formats, the priority prefix under
 * journald. */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int kept = -1;
static char path[] = "/tmp/millrace-log-XXXXXX";

static void capture(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	kept = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* What was logged since capture(). */
static char *captured(void)
{
	char *text = xcalloc(1, 1 << 20);
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(read(fd, text, (1 << 20) - 1), 0);
	close(fd);
	dup2(kept, STDERR_FILENO);
	close(kept);
	unlink(path);
	return text;
}

START_TEST(test_logfmt)
{
	capture();
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	log_debug("capture", "not shown");
	log_info("capture", "started");
	log_warning("view:x", "two words \"and\" a\nbreak");
	char *text = captured(), *second = strchr(text, '\n') + 1;

	ck_assert_ptr_nonnull(strstr(text, "Z level=info area=capture msg=started\n"));
	ck_assert_int_eq(strncmp(text, "time=20", 7), 0);
	ck_assert_ptr_nonnull(strstr(
		second, " level=warning area=view:x msg=\"two words \\\"and\\\" a\\nbreak\"\n"));
	ck_assert_ptr_null(strstr(text, "not shown"));
	ck_assert_ptr_eq(strchr(second, '\n') + 1, text + strlen(text));
	free(text);
}
END_TEST

START_TEST(test_json)
{
	struct err e = ERR_INIT;

	capture();
	log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	err_config(&e, "no \xff table");
	err_hint(&e, "GRANT it.");
	log_err(LOG_LEVEL_ERROR, "copy", "chunk 3", &e);
	char *text = captured();

	ck_assert_ptr_nonnull(strstr(
		text,
		",\"level\":\"error\",\"area\":\"copy\",\"msg\":\"chunk 3: no \xef\xbf\xbd table\","
		"\"kind\":\"config\",\"hint\":\"GRANT it.\"}\n"));
	ck_assert_int_eq(strncmp(text, "{\"time\":\"20", 11), 0);
	free(text);
}
END_TEST

START_TEST(test_error_without_hint)
{
	struct err e = ERR_INIT;

	capture();
	log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT);
	err_retry(&e, "gone");
	log_err(LOG_LEVEL_WARNING, "source", NULL, &e);
	char *text = captured();

	ck_assert_ptr_nonnull(strstr(text, "level=warning area=source msg=gone kind=retry\n"));
	free(text);
}
END_TEST

START_TEST(test_journal)
{
	char stream[64];
	struct stat st;

	capture();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT);
	log_debug("a", "d");
	log_error("a", "e");
	setenv("JOURNAL_STREAM", "1:1", 1); /* inherited, but stderr goes elsewhere */
	log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT);
	log_info("a", "i");
	char *text = captured(), *line = strchr(text, '\n') + 1;

	ck_assert_int_eq(strncmp(text, "<7>time=", 8), 0);
	ck_assert_int_eq(strncmp(line, "<3>time=", 8), 0);
	ck_assert_int_eq(strncmp(strchr(line, '\n') + 1, "time=", 5), 0);
	free(text);
}
END_TEST

START_TEST(test_long_message_is_cut)
{
	char *longest = xcalloc(1, 100001);

	memset(longest, 'x', 100000);
	capture();
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	log_info("a", "%s", longest);
	char *text = captured();

	ck_assert_uint_lt(strlen(text), 5000);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	free(text);
	free(longest);
}
END_TEST

static void *chatter(void *name)
{
	for (int i = 0; i < 500; i++)
		log_info(name, "a message of some words, number %d end", i);
	return NULL;
}

START_TEST(test_threads_do_not_mix)
{
	static char names[][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];
	size_t lines = 0;

	capture();
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, chatter, names[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	char *text = captured();

	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
		ck_assert_int_eq(strncmp(line, "time=", 5), 0);
		ck_assert_int_eq(strncmp(end - 5, " end\"", 5), 0);
	}
	ck_assert_uint_eq(lines, 2000);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");

	unit_test(s, test_logfmt);
	unit_test(s, test_json);
	unit_test(s, test_error_without_hint);
	unit_test(s, test_journal);
	unit_test(s, test_long_message_is_cut);
	unit_test_slow(s, test_threads_do_not_mix, 20);
	return unit_run(s);
}
