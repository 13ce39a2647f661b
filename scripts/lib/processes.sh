# processes.sh - servers as processes: started, found again, waited for and ended. Sourced, not run.
#
# A process is signalled only while its command line shows that it is the server of this folder.

# A server is named mariadb, mysql, dynamodb or kafka:N. Its folder, and the word of its command line that makes it ours:
folder_of()
{
	echo "$home/${1/:/\/}"
}

mark_of()
{
	case $1 in
	mariadb | mysql) echo "--defaults-file=$home/$1/$1.cnf" ;;
	dynamodb) echo "-Dmillrace.home=$home/dynamodb" ;;
	*) echo "$(folder_of "$1")/server.properties" ;;
	esac
}

# Prints the pid of a running server. A zombie has no command line, so it does not count as running.
pid_of()
{
	local pid
	pid=$(cat "$(folder_of "$1")/pid" 2>/dev/null) && [ -n "$pid" ] &&
		tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$(mark_of "$1")" && echo "$pid"
}

# The servers a word stands for: mysql, kafka:2, kafka (all brokers), or nothing (all there are).
expand()
{
	local n
	case ${1-} in
	mariadb | mysql | dynamodb | kafka:[1-9])
		[ -d "$(folder_of "$1")" ] || die "there is no $1 in $home"
		echo "$1"
		;;
	kafka)
		[ -s "$home/kafka/ports" ] || die "there is no kafka in $home"
		while read -r n _; do echo "kafka:$n"; done <"$home/kafka/ports"
		;;
	'')
		for n in mariadb mysql dynamodb; do [ ! -d "$home/$n" ] || echo $n; done
		[ ! -s "$home/kafka/ports" ] || expand kafka
		;;
	*) die "no server is called $1" "mariadb, mysql, dynamodb, kafka or kafka:N" ;;
	esac
}

# end SIGNAL SERVER...: signals all at once and waits for each; one that ignores TERM for three minutes is killed.
end()
{
	local signal=$1 server pid deadline
	shift
	for server in "$@"; do
		if pid=$(pid_of "$server"); then kill -s "$signal" "$pid" 2>/dev/null || :; fi
	done
	deadline=$((SECONDS + 180))
	for server in "$@"; do
		while pid=$(pid_of "$server"); do
			if [ $SECONDS -ge $deadline ]; then
				say "$server (pid $pid) did not end within 180 s: killing it"
				kill -s KILL "$pid" 2>/dev/null || :
				deadline=$((SECONDS + 10))
			fi
			sleep 0.05
		done
		rm -f "$(folder_of "$server")/pid"
	done
}

# launch SERVER LOG COMMAND...: in a session of its own, holding nothing of ours; the pid goes to its folder.
launch()
{
	local server=$1 log=$2
	shift 2
	[ ! -e "$log" ] || mv -f "$log" "$log.1"
	(cd "$home" && exec setsid "${as[@]}" "$@") </dev/null >"$log" 2>&1 3>&- 9>&- &
	echo $! >"$(folder_of "$server")/pid"
}

# wait_for SERVER LOG TEXT: until the log says so.
wait_for()
{
	local deadline=$((SECONDS + 300))
	until grep -qF "$3" "$2" 2>/dev/null; do
		if ! pid_of "$1" >/dev/null; then
			sleep 0.2        # it may just be on its way from bash to the server
			pid_of "$1" >/dev/null || {
				grep -E 'ERROR|FATAL|Caused by|Exception' "$2" | head -n 5 >&2 || tail -n 5 "$2" >&2
				die "$1 ended while starting" "All it said is in $2."
			}
		fi
		[ $SECONDS -lt $deadline ] || die "$1 is not ready after 300 s" "What it said is in $2."
		sleep 0.05
	done
}
