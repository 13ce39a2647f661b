/* clang-format off */
/* load.c - the meetup site itself: writes to the monolith's tables as its users do.
 *
 *   meetup-load [-h HOST] [-P PORT] [-u USER] [-p PASSWORD_FILE] [-s SEED] COMMAND
 *
 *   seed MEMBERS GROUPS MEMBERSHIPS   the site as it is in the morning
 *   run SECONDS RATE                  RATE actions a second (0: as fast as it goes)
 *   import MEMBERS                    one big transaction: members with three memberships each
 *
 * Actions: people join (also again), are accepted, leave, rename themselves, groups are renamed,
 * memberships are disabled as spam and sometimes enabled again, accounts are deleted together with
 * their memberships, groups are closed, and now and then something is begun and rolled back. The
 * seed decides everything, and is printed. */
/* clang-format on */
#include <mysql.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SQL_MAX (4 * 1024 * 1024)
#define ROWS_PER_STATEMENT 500

struct site {
	MYSQL *db;
	uint64_t random;
	uint64_t last_member, last_group;
	uint64_t transactions, rows, rolled_back;
	bool gave_way; /* the server chose this transaction to end a deadlock: the rest of it is
			  left out */
	char *sql;
	size_t size;
};

#define LOCK_WAIT_TIMEOUT 1205
#define DEADLOCK 1213

static const char *const first_names[] = { "Ada",    "Björk", "Chloé", "Dmitri", "Émile", "Fatima",
					   "Gustav", "Hana",  "Ines",  "Jürgen", "Keiko", "Łukasz",
					   "Mei",    "Núria", "Olu",   "Priya" };
static const char *const last_names[] = { "Lovelace", "Müller", "Tanaka", "O'Brien",
					  "Ångström", "García", "Novák",  "Okafor" };
static const char *const topics[] = { "music", "sports", "books", "tech", "food" };

static uint64_t roll(struct site *site, uint64_t sides)
{
	site->random ^= site->random << 13;
	site->random ^= site->random >> 7;
	site->random ^= site->random << 17;
	return (site->random * UINT64_C(0x2545F4914F6CDD1D) >> 16) % sides;
}

static void text(struct site *site, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends to the statement in hand. */
static void text(struct site *site, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(site->sql + site->size, SQL_MAX - site->size, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= SQL_MAX - site->size) {
		fputs("meetup-load: statement too long\n", stderr);
		exit(1);
	}
	site->size += (size_t)n;
}

static void send_statement(struct site *site)
{
	if (site->gave_way) {
		site->size = 0;
		return;
	}
	if (mysql_real_query(site->db, site->sql, (unsigned long)site->size) != 0) {
		unsigned failure = mysql_errno(site->db);

		if (failure != DEADLOCK && failure != LOCK_WAIT_TIMEOUT) {
			fprintf(stderr, "meetup-load: %s\n  in: %.200s\n", mysql_error(site->db),
				site->sql);
			exit(1);
		}
		site->gave_way = true;
		mysql_rollback(site->db);
	}
	if (mysql_affected_rows(site->db) != (my_ulonglong)-1)
		site->rows += mysql_affected_rows(site->db);
	site->size = 0;
}

static void run(struct site *site, const char *sql)
{
	text(site, "%s", sql);
	send_statement(site);
}

static uint64_t number(struct site *site, const char *sql)
{
	MYSQL_RES *result;
	MYSQL_ROW row;
	uint64_t n = 0;

	if (mysql_query(site->db, sql) != 0 || (result = mysql_store_result(site->db)) == NULL) {
		fprintf(stderr, "meetup-load: %s\n", mysql_error(site->db));
		exit(1);
	}
	row = mysql_fetch_row(result);
	if (row != NULL && row[0] != NULL)
		n = strtoull(row[0], NULL, 10);
	mysql_free_result(result);
	return n;
}

static uint64_t some_member(struct site *site)
{
	return 1 + roll(site, site->last_member);
}

static uint64_t some_group(struct site *site)
{
	uint64_t spread = roll(site, 4) == 0
				  ? site->last_group
				  : 1 + site->last_group / 8; /* a few groups are popular */

	return 1 + roll(site, spread);
}

/* ---- what happens on the site, each one transaction ---- */

static void member_values(struct site *site)
{
	const char *first = first_names[roll(site, 16)], *last = last_names[roll(site, 8)];
	char quoted[64];

	mysql_real_escape_string(site->db, quoted, last, (unsigned long)strlen(last));
	text(site, "('%s %s','m%llu@example.%s',%s,%d,%llu.%02llu)", first, quoted,
	     (unsigned long long)roll(site, 1000000000), roll(site, 2) != 0 ? "org" : "com",
	     roll(site, 5) == 0 ? "NULL" : "'1985-04-12'", (int)roll(site, 2000) - 200,
	     (unsigned long long)roll(site, 5000), (unsigned long long)roll(site, 100));
}

static void sign_up(struct site *site)
{
	text(site, "INSERT INTO member (name, email, birthday, karma, balance) VALUES ");
	member_values(site);
	send_statement(site);
	site->last_member = mysql_insert_id(site->db);
}

static void join(struct site *site)
{
	text(site,
	     "INSERT INTO group_member (group_id, member_id, status) SELECT g.id, m.id, '%s' FROM groups_ g, member m "
	     "WHERE g.id = %llu AND m.id = %llu ON DUPLICATE KEY UPDATE status = 'active', disabled_at = NULL",
	     roll(site, 5) == 0 ? "pending" : "active", (unsigned long long)some_group(site),
	     (unsigned long long)some_member(site));
	send_statement(site);
}

static void accept_pending(struct site *site)
{
	text(site,
	     "UPDATE group_member SET status = 'active' WHERE member_id = %llu AND status = 'pending'",
	     (unsigned long long)some_member(site));
	send_statement(site);
}

static void leave(struct site *site)
{
	if (roll(site, 3) == 0)
		text(site, "UPDATE group_member SET status = 'left' WHERE member_id = %llu LIMIT 1",
		     (unsigned long long)some_member(site));
	else
		text(site, "DELETE FROM group_member WHERE member_id = %llu LIMIT 1",
		     (unsigned long long)some_member(site));
	send_statement(site);
}

static void rename_someone(struct site *site)
{
	if (roll(site, 4) == 0)
		text(site,
		     "UPDATE groups_ SET name = CONCAT('Group ', id, ' v', %llu) WHERE id = %llu",
		     (unsigned long long)roll(site, 1000), (unsigned long long)some_group(site));
	else
		text(site,
		     "UPDATE member SET name = '%s Renamed', karma = karma + 1 WHERE id = %llu",
		     first_names[roll(site, 16)], (unsigned long long)some_member(site));
	send_statement(site);
}

static void ban(struct site *site)
{
	uint64_t member = some_member(site);
	bool pardon = roll(site, 4) == 0;

	run(site, "BEGIN");
	text(site, "UPDATE group_member SET disabled_at = %s WHERE member_id = %llu",
	     pardon ? "NULL" : "NOW()", (unsigned long long)member);
	send_statement(site);
	text(site, "UPDATE member SET disabled_at = %s WHERE id = %llu", pardon ? "NULL" : "NOW()",
	     (unsigned long long)member);
	send_statement(site);
	run(site, "COMMIT");
}

static void delete_account(struct site *site)
{
	uint64_t member = some_member(site);

	run(site, "BEGIN");
	text(site, "DELETE FROM group_member WHERE member_id = %llu", (unsigned long long)member);
	send_statement(site);
	text(site, "DELETE FROM member WHERE id = %llu", (unsigned long long)member);
	send_statement(site);
	run(site, "COMMIT");
}

static void open_group(struct site *site)
{
	text(site, "INSERT INTO groups_ (name, topic, about) VALUES ('Group %llu', '%s', %s)",
	     (unsigned long long)site->last_group + 1, topics[roll(site, 5)],
	     roll(site, 3) == 0 ? "NULL"
				: "'We meet on Tuesdays. Everybody is welcome \xF0\x9F\x8E\xB8'");
	send_statement(site);
	site->last_group = mysql_insert_id(site->db);
}

static void close_group(struct site *site)
{
	uint64_t group = some_group(site);

	run(site, "BEGIN");
	text(site, "DELETE FROM group_member WHERE group_id = %llu", (unsigned long long)group);
	send_statement(site);
	text(site, "DELETE FROM groups_ WHERE id = %llu", (unsigned long long)group);
	send_statement(site);
	run(site, "COMMIT");
}

static void change_of_mind(struct site *site)
{
	run(site, "BEGIN");
	join(site);
	leave(site);
	run(site, "ROLLBACK");
	site->rolled_back++;
}

static void act(struct site *site)
{
	uint64_t n = roll(site, 1000);

	site->transactions++;
	site->gave_way = false;
	if (n < 180)
		sign_up(site);
	else if (n < 600)
		join(site);
	else if (n < 680)
		accept_pending(site);
	else if (n < 780)
		leave(site);
	else if (n < 880)
		rename_someone(site);
	else if (n < 940)
		ban(site);
	else if (n < 970)
		delete_account(site);
	else if (n < 990)
		open_group(site);
	else if (n < 992)
		close_group(site);
	else
		change_of_mind(site);
}

/* ---- commands ---- */

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void insert_members(struct site *site, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (i % ROWS_PER_STATEMENT == 0)
			text(site,
			     "INSERT INTO member (name, email, birthday, karma, balance) VALUES ");
		member_values(site);
		if (i % ROWS_PER_STATEMENT == ROWS_PER_STATEMENT - 1 || i == count - 1)
			send_statement(site);
		else
			text(site, ",");
	}
	site->last_member = number(site, "SELECT MAX(id) FROM member");
}

static void insert_memberships(struct site *site, uint64_t first_member, uint64_t members,
			       uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (i % ROWS_PER_STATEMENT == 0)
			text(site,
			     "INSERT IGNORE INTO group_member (group_id, member_id, status, disabled_at) VALUES ");
		text(site, "(%llu,%llu,'%s',%s)", (unsigned long long)some_group(site),
		     (unsigned long long)(first_member + i % members),
		     roll(site, 10) == 0 ? "pending" : "active",
		     roll(site, 20) == 0 ? "NOW()" : "NULL");
		if (i % ROWS_PER_STATEMENT == ROWS_PER_STATEMENT - 1 || i == count - 1)
			send_statement(site);
		else
			text(site, ",");
	}
}

static void seed(struct site *site, uint64_t members, uint64_t groups, uint64_t memberships)
{
	run(site, "BEGIN");
	for (uint64_t i = 0; i < groups; i++)
		open_group(site);
	run(site, "COMMIT");
	insert_members(site, members);
	insert_memberships(site, 1, site->last_member, memberships);
}

static void import(struct site *site, uint64_t members)
{
	uint64_t first = site->last_member + 1;

	do {
		site->gave_way = false;
		run(site, "BEGIN");
		insert_members(site, members);
		insert_memberships(site, first, members, members * 3);
		run(site, "COMMIT");
	} while (site->gave_way);
	site->transactions++;
}

static void run_for(struct site *site, int64_t seconds, int64_t rate)
{
	int64_t begin = now_us(), actions = 0;

	while (now_us() - begin < seconds * 1000000) {
		int64_t due = rate > 0 ? begin + actions * 1000000 / rate : 0;
		int64_t wait = due - now_us();

		if (wait > 0)
			usleep((useconds_t)wait);
		act(site);
		actions++;
	}
}

static int empty(void)
{
	fputs("meetup-load: the site is empty; begin with: seed MEMBERS GROUPS MEMBERSHIPS\n",
	      stderr);
	return 1;
}

static int usage(void)
{
	fputs("usage: meetup-load [-h HOST] [-P PORT] [-u USER] [-p PASSWORD_FILE] [-s SEED]\n"
	      "                   seed MEMBERS GROUPS MEMBERSHIPS | run SECONDS RATE | import MEMBERS\n",
	      stderr);
	return 2;
}

static void read_password(const char *file, char *password, size_t size)
{
	FILE *f = fopen(file, "re");

	if (f == NULL || fgets(password, (int)size, f) == NULL) {
		fprintf(stderr, "meetup-load: cannot read %s\n", file);
		exit(1);
	}
	password[strcspn(password, "\r\n")] = '\0';
	fclose(f);
}

static void open_site(struct site *site, const char *host, unsigned port, const char *user,
		      const char *password)
{
	site->db = mysql_init(NULL);
	mysql_options(site->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (mysql_real_connect(site->db, host, user, password, "chapstick", port, NULL, 0) ==
	    NULL) {
		fprintf(stderr, "meetup-load: %s\n", mysql_error(site->db));
		exit(1);
	}
	site->sql = malloc(SQL_MAX);
	if (site->sql == NULL)
		exit(1);
	site->last_member = number(site, "SELECT COALESCE(MAX(id), 0) FROM member");
	site->last_group = number(site, "SELECT COALESCE(MAX(id), 0) FROM groups_");
}

static int command(struct site *site, int count, char **words)
{
	const char *verb = count > 0 ? words[0] : "";
	uint64_t n[3] = { 0, 0, 0 };

	for (int i = 1; i < count && i < 4; i++)
		n[i - 1] = strtoull(words[i], NULL, 10);
	if (strcmp(verb, "seed") == 0 && count == 4)
		seed(site, n[0], n[1], n[2]);
	else if (site->last_group == 0 || site->last_member == 0)
		return empty();
	else if (strcmp(verb, "run") == 0 && count == 3)
		run_for(site, (int64_t)n[0], (int64_t)n[1]);
	else if (strcmp(verb, "import") == 0 && count == 2 && n[0] > 0)
		import(site, n[0]);
	else
		return usage();
	return 0;
}

int main(int argc, char **argv)
{
	struct site site = { .random = (uint64_t)time(NULL) };
	const char *host = "127.0.0.1", *user = "site";
	char password[256] = "";
	unsigned port = 3306;
	int option, rc;

	while ((option = getopt(argc, argv, "+h:P:u:p:s:")) != -1) {
		if (option == 'h')
			host = optarg;
		else if (option == 'P')
			port = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'u')
			user = optarg;
		else if (option == 'p')
			read_password(optarg, password, sizeof(password));
		else if (option == 's')
			site.random = strtoull(optarg, NULL, 10);
		else
			return usage();
	}
	printf("seed %llu\n", (unsigned long long)site.random);
	site.random = site.random * UINT64_C(0x9E3779B97F4A7C15) + 1;
	open_site(&site, host, port, user, password);
	rc = command(&site, argc - optind, argv + optind);
	printf("%llu transactions (%llu rolled back), %llu rows touched\n",
	       (unsigned long long)site.transactions, (unsigned long long)site.rolled_back,
	       (unsigned long long)site.rows);
	mysql_close(site.db);
	free(site.sql);
	return rc;
}
