# kafka.sh - Apache Kafka (KRaft) from the jars in build/kafka: made, configured, started. Sourced, not run.

jars=$root/build/kafka/libs
java=(java -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true)

# The jars where the servers' user can read them: a checkout below a closed folder needs copies.
kafka_jars()
{
	if [ ! -s "$root/build/kafka/stamp" ]; then
		die "Kafka's jars are not in build/kafka" "scripts/setup --demo"
	fi
	command -v java >/dev/null || die "java is not installed" "scripts/setup --demo"
	"${as[@]}" test -r "$jars" && return 0
	if [ ! -d "$home/kafka/libs" ]; then
		cp -r "$jars" "$home/kafka/libs.part"
		mv "$home/kafka/libs.part" "$home/kafka/libs"
	fi
	jars=$home/kafka/libs
}

# The number of brokers is fixed by the first start, as in any cluster with a static quorum.
kafka_create()
{
	local n port_client id
	mkdir -p "$home/kafka"
	for ((n = 1; n <= brokers; n++)); do
		pick_port && port_client=$port
		pick_port
		echo "$n $port_client $port"
	done >"$home/kafka/ports.new"
	# 16 random bytes in URL-safe base64; a leading dash would look like an option
	id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-22)
	echo "A${id:1}" >"$home/kafka/cluster.id"
	mv "$home/kafka/ports.new" "$home/kafka/ports"
}

kafka_configure()
{
	local n=$1 dir=$home/kafka/$1 voters='' replicas=0 i client controller
	while read -r i client controller; do
		voters+=${voters:+,}$i@127.0.0.1:$controller
		replicas=$((replicas < 3 ? replicas + 1 : 3))
	done <"$home/kafka/ports"
	read -r i client controller < <(grep "^$n " "$home/kafka/ports")
	mkdir -p "$dir"
	sed -e "s|@NODE@|$n|; s|@VOTERS@|$voters|; s|@PORT@|$client|g; s|@CONTROLLER@|$controller|; s|@DATA@|$dir/data|" \
		-e "s|@REPLICAS@|$replicas|; s|@INSYNC@|$((replicas > 1 ? replicas - 1 : 1))|" \
		"$root/scripts/kafka/server.properties.in" >"$dir/server.properties"
	[ ! -s "$home/kafka/options" ] || cat "$home/kafka/options" >>"$dir/server.properties"
	cp "$root/scripts/kafka/log4j2.properties" "$dir/log4j2.properties"
	chmod 644 "$dir"/*.properties
}

kafka_format()
{
	local dir=$home/kafka/$1
	[ ! -s "$dir/data/meta.properties" ] || return 0
	rm -rf "$dir/data"
	mkdir "$dir/data"
	give "$dir/data"
	"${as[@]}" "${java[@]}" -Xmx128m -XX:TieredStopAtLevel=1 -Dmillrace.level=WARN \
		-Dlog4j2.configurationFile="$dir/log4j2.properties" -cp "$jars/*" kafka.tools.StorageTool \
		format -t "$(cat "$home/kafka/cluster.id")" -c "$dir/server.properties" \
		>"$dir/format.log" 2>&1 </dev/null 9>&- || {
		tail -n 5 "$dir/format.log" >&2
		die "the data folder of Kafka broker $1 could not be made"
	}
}

# Most of a broker's start is loading and compiling classes. An archive of those that it needs, made once by a broker
# that is only started and ended, saves half; compiling less, a quarter.
kafka_quick()
{
	local archive=$root/build/kafka/broker.jsa scratch
	java+=(-XX:+UseSerialGC)
	[ "$(cat "$home/kafka/quick")" = lasting ] || java+=(-XX:TieredStopAtLevel=1)
	[ "$jars" = "$root/build/kafka/libs" ] || return 0     # it holds for these paths only
	exec 8>"$root/build/kafka/archive.lock"
	flock 8
	if [ ! -s "$archive" ]; then
		scratch=$(mktemp -d /tmp/millrace-servers.XXXXXX)
		chmod 755 "$scratch"
		SERVERS_ARCHIVE=yes "$0" start "$scratch" --kafka 8>&- 9>&-
		"$0" stop "$scratch" 8>&- 9>&-
		mv "$scratch/kafka/1/data/broker.jsa" "$archive"
		chmod 644 "$archive"
		"$0" remove "$scratch" 8>&- 9>&-
	fi
	exec 8>&-
	java+=("-XX:SharedArchiveFile=$archive")
}

kafka_start()
{
	local n=$1 dir=$home/kafka/$1 heap=512m java=("${java[@]}")
	kafka_jars
	if [ -e "$home/kafka/quick" ]; then kafka_quick; else java+=(-XX:+UseG1GC -XX:MaxGCPauseMillis=20); fi
	[ ${#kafka_options[@]} -eq 0 ] || printf '%s\n' "${kafka_options[@]}" >"$home/kafka/options"
	[ "$(wc -l <"$home/kafka/ports")" -eq 1 ] || heap=384m
	kafka_configure "$n"
	kafka_format "$n"
	[ -z "${SERVERS_ARCHIVE-}" ] || java+=("-XX:ArchiveClassesAtExit=$dir/data/broker.jsa")     # kafka_quick asks
	launch "kafka:$n" "$dir/broker.log" "${java[@]}" "-Xmx$heap" \
		-Dlog4j2.configurationFile="$dir/log4j2.properties" -cp "$jars/*" kafka.Kafka "$dir/server.properties"
}

# The broker writes this line after the controller has let it in.
kafka_ready()
{
	wait_for "kafka:$1" "$home/kafka/$1/broker.log" 'Kafka Server started'
}
