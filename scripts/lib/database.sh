# database.sh - a MariaDB or MySQL of any version: made, configured, started, given accounts. Sourced, not run.
#
# A folder of servers has one database. Its folder there is named after its engine, mariadb or mysql, and so is the server;
# `name` in it says which of scripts/databases.txt it is.

default_database=mariadb:10.11        # Debian's own

# Sets engine and database_name to what is here; fails where there is none.
database_here()
{
	for engine in mariadb mysql; do
		[ -d "$home/$engine" ] || continue
		database_name=$(cat "$home/$engine/name")
		return 0
	done
	return 1
}

# Sets engine, database_name, and what program_of sets; the program is one that the servers' user can read.
database_choose()
{
	database_name=$1 engine=${1%%:*}
	program_of "$database_name"
	"${as[@]}" test -x "$program" && return 0
	if [ ! -d "$home/$engine.program" ]; then       # the checkout lies below a closed folder
		cp -r "$(dirname "$program")" "$home/$engine.program.part"
		mv "$home/$engine.program.part" "$home/$engine.program"
	fi
	program=$home/$engine.program/server program_base=$home/$engine.program/usr
}

# Is it ENGINE, of that version or later? at_least mysql 5 7
at_least()
{
	local major minor
	[ "$engine" = "$1" ] || return 1
	IFS=. read -r major minor _ <<<"$program_version"
	[ $((major * 100 + minor)) -ge $(($2 * 100 + $3)) ]
}

# The account with all rights is root, by the socket alone, whose folder is closed to others.
sql()
{
	mariadb --no-defaults --batch -S "$home/$engine/run/sql.sock" -u root "$@"
}

# What the server reads at its first start, as its own installer gives it; users without a name, and those of other
# hosts, are not wanted.
system_tables()
{
	local share part file users=mysql.user
	for share in "$program_base"/share/mariadb "$program_base"/share/mysql "$program_base"/share; do
		[ ! -e "$share/mariadb_system_tables.sql" ] && [ ! -e "$share/mysql_system_tables.sql" ] || break
	done
	printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;' 'SET @auth_root_socket = NULL;'      # a statement a line
	for part in system_tables performance_tables system_tables_data sys_schema; do
		for file in "$share/mariadb_$part.sql" "$share/mysql_$part.sql"; do
			[ ! -e "$file" ] || cat "$file"
		done
		echo
	done
	[ "$engine" = mysql ] || cat "$share/maria_add_gis_sp_bootstrap.sql"
	at_least mariadb 10 4 && users=mysql.global_priv
	echo "DELETE FROM $users WHERE User = '' OR Host <> 'localhost';"
	echo "DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';"
}

database_initialise()
{
	local quiet=(--skip-log-bin)
	[ "$engine" = mariadb ] || quiet+=(--gtid-mode=OFF --enforce-gtid-consistency=OFF)
	if at_least mysql 5 7; then
		"${as[@]}" "$program" --defaults-file="$1" --initialize-insecure "${quiet[@]}"
	else
		system_tables | "${as[@]}" "$program" --defaults-file="$1" --bootstrap --max-allowed-packet=8M "${quiet[@]}"
	fi
}

database_configure()
{
	local dir=$1 plugins
	for plugins in "$program_base"/lib/mysql/plugin "$program_base"/lib/plugin; do
		[ ! -d "$plugins" ] || break
	done
	sed "s|@HOME@|$dir|; s|@PORT@|$(cat "$home/$engine.port")|; s|@BASE@|$program_base|; s|@PLUGINS@|$plugins|" \
		"$root/scripts/lib/$engine.cnf.in" >"$dir/$engine.cnf"
}

database_create()
{
	local dir=$home/$engine log=$home/$engine.install.log
	command -v mariadb >/dev/null || die "the client mariadb is not installed" "scripts/setup --demo"
	rm -rf "$dir" "$dir.new" && mkdir -p "$dir.new"/{data,tmp,run}
	[ -s "$dir.port" ] || { pick_port && echo "$port" >"$dir.port"; }
	echo "$database_name" >"$dir.new/name"
	chmod 700 "$dir.new/run"
	give "$dir.new"/{data,tmp,run}
	# a tmpdir of its own: a server that starts deletes all temporary tables that it finds in its folder
	database_configure "$dir.new"
	database_initialise "$dir.new/$engine.cnf" >"$log" 2>&1 </dev/null 9>&- || {
		grep -E 'ERROR|rror:|atal|signal' "$log" >&2 || tail -n 5 "$log" >&2
		rm -rf "$dir.new"
		die "the data folder of $database_name could not be made" "All it said is in $log."
	}
	mv "$dir.new" "$dir"
}

# user_sql NAME SECRET GRANTS: makes the user or gives it that password
user_sql()
{
	if at_least mysql 5 7; then
		echo "CREATE USER IF NOT EXISTS $1@'%'; ALTER USER $1@'%' IDENTIFIED BY '$2'; GRANT $3 ON *.* TO $1@'%'"
	else
		echo "GRANT USAGE ON *.* TO $1@'%' IDENTIFIED BY '$2'; GRANT $3 ON *.* TO $1@'%'"
	fi
	[ "$1" != site ] || echo "WITH GRANT OPTION"
}

# Outside the binlog: Millrace under test sees the application's statements only. The password files are made
# last and each under its final name, so that a start that was interrupted does this again.
database_accounts()
{
	local user secret grants monitor='REPLICATION CLIENT'
	at_least mariadb 10 5 && monitor='BINLOG MONITOR'
	at_least mysql 8 0 && monitor+=', XA_RECOVER_ADMIN'
	for user in millrace site; do
		[ ! -s "$home/$user.password" ] || continue
		case $user in
		millrace) grants="SELECT, REPLICATION SLAVE, $monitor" ;;
		site) grants="ALL PRIVILEGES" ;;
		esac
		secret=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
		sql -e "SET sql_log_bin=0; $(user_sql $user "$secret" "$grants")"
		(umask 077 && echo "$secret" >"$home/$user.password.new")
		mv "$home/$user.password.new" "$home/$user.password"
	done
}

database_start()
{
	local dir=$home/$engine always options=()
	[ -d "$dir/data/mysql" ] || database_create
	database_configure "$dir"
	echo "$program_version" >"$dir/version"
	[ ${#database_options[@]} -eq 0 ] || printf '%s\n' "${database_options[@]}" >"$dir/options"
	[ ! -s "$dir/options" ] || mapfile -t options <"$dir/options"
	read -r _ _ _ _ _ _ _ always <<<"$(table_row "$database_name")"
	# a killed server's lock file names a pid, which by now may be anyone's
	rm -f "$dir"/run/*
	# shellcheck disable=SC2086 # a word for each option
	launch "$engine" "$dir/error.log" "$program" --defaults-file="$dir/$engine.cnf" $always "${options[@]}"
}

database_ready()
{
	wait_for "$engine" "$home/$engine/error.log" 'ready for connections'
	database_accounts
}

database_env()
{
	local dir=$home/$engine
	cat <<-ENV
	DATABASE_NAME=$database_name
	DATABASE_ENGINE=$engine
	DATABASE_VERSION=$(cat "$dir/version")
	DATABASE_HOST=127.0.0.1
	DATABASE_PORT=$(cat "$dir.port")
	DATABASE_SOCKET=$dir/run/sql.sock
	DATABASE_ADMIN_USER=root
	DATABASE_USER=millrace
	DATABASE_PASSWORD_FILE=$home/millrace.password
	DATABASE_SITE_USER=site
	DATABASE_SITE_PASSWORD=$(cat "$home/site.password")
	DATABASE_DATADIR=$dir/data
	DATABASE_LOG=$dir/error.log
	ENV
}
