/* list.c - what versions there are: the folder's files, and where the public name leads. */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION_MAX 1000000

void store_sqlite_boot(char *ret_boot, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	ret_boot[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(ret_boot, (int)size, f) != NULL)
		ret_boot[strcspn(ret_boot, "\n")] = '\0';
	fclose(f);
}

bool store_sqlite_stale(const char *boot)
{
	char now[64];

	store_sqlite_boot(now, sizeof(now));
	return strcmp(boot, now) != 0;
}

int store_sqlite_live(const struct store_files *f, int *ret_version, struct err *e)
{
	char target[4096], *end;
	ssize_t n = readlink(f->public_path, target, sizeof(target) - 1);
	const char *base;
	long version;

	*ret_version = 0;
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0) {
		err_config(e, "%s: %s", f->public_path,
			   errno == EINVAL ? "not a symlink" : strerror(errno));
		return err_hint(
			e,
			"This is the public name of view %s; move what stands there out of the "
			"way.",
			f->view);
	}
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base != NULL ? base + 1 : target;
	version = base[0] == 'v' ? strtol(base + 1, &end, 10) : 0;
	if (version < 1 || version > VERSION_MAX || strcmp(end, ".db") != 0)
		return err_config(e, "%s leads to %s, which is no version of the view",
				  f->public_path, target);
	*ret_version = (int)version;
	return 0;
}

int store_sqlite_info(struct sql_db *db, struct store_info *ret_info, struct err *e)
{
	struct sql_statement *s;
	struct value v[11];
	char boot[64];
	int rc;

	if (sql_prepare(db, "store",
			"SELECT version, state, definition, made_us, superseded_us, built, swap, "
			"boot, seq, "
			"commit_us, gtid_set FROM millrace_view, millrace_position",
			NULL, &s, e) < 0)
		return -1;
	rc = sql_step(s, e);
	if (rc == 1) {
		for (int i = 0; i < 11; i++)
			sql_column(s, i, &v[i]);
		*ret_info = (struct store_info){
			.version = (int)v[0].i,
			.state = store_state_of(v[1].bytes),
			.made_us = v[3].i,
			.superseded_us = v[4].i,
			.built = v[5].i != 0,
			.swap = v[6].i != 0,
			.seq = v[8].i,
			.commit_us = v[9].i,
		};
		snprintf(ret_info->fingerprint, sizeof(ret_info->fingerprint), "%.*s",
			 (int)v[2].bytes.size, (const char *)v[2].bytes.data);
		gtid_text_cut(v[10].bytes, ret_info->gtid_set, sizeof(ret_info->gtid_set));
		snprintf(boot, sizeof(boot), "%.*s", (int)v[7].bytes.size,
			 (const char *)v[7].bytes.data);
		ret_info->stale = !ret_info->built && store_sqlite_stale(boot);
	}
	sql_finalize(s);
	return rc < 0 ? -1 : rc == 1 ? 0 : err_data(e, "no bookkeeping in the file");
}

int store_sqlite_read_info(const struct store_files *f, int version, struct store_info *ret_info,
			   struct err *e)
{
	char *path = store_sqlite_path(f, version);
	struct sql_db *db = NULL;
	int64_t tables = 0;
	int rc = -1;

	if (sql_open_db(path, SQL_OPEN_READ, &db, e) == 0 &&
	    sql_get_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'millrace_view'",
			&tables, e) == 0) {
		if (tables == 0)
			rc = 0;
		else
			rc = store_sqlite_info(db, ret_info, e) < 0 ? -1 : 1;
	}
	sql_close(db);
	free(path);
	return rc;
}

static int version_of_name(const char *name)
{
	char *end;
	long n;

	if (name[0] != 'v' || name[1] < '1' || name[1] > '9')
		return 0;
	n = strtol(name + 1, &end, 10);
	return strcmp(end, ".db") == 0 && n <= VERSION_MAX ? (int)n : 0;
}

/* What SQLite keeps beside a version's file goes with it; a crash between leaves it alone, and
 * nobody would ever remove it. Only when its file is gone: it comes first, and goes first. */
static void sweep(const struct store_files *f, const char *name)
{
	const char *ending = strstr(name, ".db-");
	char *beside = NULL, *file = NULL;

	if (name[0] != 'v' || ending == NULL)
		return;
	beside = xasprintf("%s/%s", f->dir, name);
	file = xasprintf("%s/%.*s.db", f->dir, (int)(ending - name), name);
	if (access(file, F_OK) < 0 && errno == ENOENT)
		(void)unlink(beside); /* the next look tries again */
	free(beside);
	free(file);
}

static bool is_gone(const struct store_files *f, int version)
{
	char *path = store_sqlite_path(f, version);
	bool gone = access(path, F_OK) < 0 && errno == ENOENT;

	free(path);
	return gone;
}

/* As read_info. A version that can't be read any more must not keep the live one from being served:
 * it counts as failed, and the next replay removes it. One that was removed since the folder was
 * read is no version. */
static int read_listed(const struct store_files *f, int version, int live,
		       struct store_info *ret_info, struct err *e)
{
	int rc = store_sqlite_read_info(f, version, ret_info, e);

	if (rc < 0 && is_gone(f, version)) {
		err_clear(e);
		return 0;
	}
	if (rc >= 0 || e->kind != ERR_FATAL)
		return rc;
	if (version == live)
		return err_hint(e, "Move the file out of the way and start again: the view is "
				   "built anew from offset zero.");
	err_clear(e);
	*ret_info = (struct store_info){ .version = version, .state = STORE_FAILED };
	return 1;
}

int store_sqlite_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
		      struct err *e)
{
	const struct store_files *f = store_files_of(s);
	struct store_info *infos = NULL;
	size_t count = 0;
	const struct dirent *entry;
	DIR *folder;
	int live, rc = 0;

	if (store_sqlite_live(f, &live, e) < 0)
		return -1;
	folder = opendir(f->dir);
	if (folder == NULL)
		return err_config(e, "%s: %s", f->dir, strerror(errno));
	while (rc >= 0 && (entry = readdir(folder)) != NULL) {
		int version = version_of_name(entry->d_name);
		struct store_info info;

		sweep(f, entry->d_name);
		if (version == 0 || (rc = read_listed(f, version, live, &info, e)) != 1)
			continue;
		info.version = version;
		if (version == live && info.built)
			info.state = STORE_LIVE;
		else if (info.state == STORE_LIVE) /* a crash on either side of the rename */
			info.state = !info.built ? STORE_BUILDING
				     : info.swap ? STORE_READY
						 : STORE_SUPERSEDED;
		infos = xrealloc(infos, (count + 1) * sizeof(*infos));
		infos[count++] = info;
	}
	closedir(folder);
	if (rc < 0) {
		free(infos);
		return err_wrap(e, "view %s", f->view);
	}
	store_sort_infos(infos, count);
	*ret_infos = infos;
	*ret_count = count;
	return 0;
}
