# dynamodb.sh - DynamoDB Local from the jars in build/dynamodb: started with its data in a folder. Sourced, not run.

dynamodb_jars=$root/build/dynamodb/libs

# Jars and the preloaded library where the servers' user can read them.
dynamodb_files()
{
	[ -s "$root/build/dynamodb/stamp" ] || die "DynamoDB Local is not in build/dynamodb" "scripts/setup --test"
	"${as[@]}" test -r "$dynamodb_jars" && return 0
	if [ ! -d "$home/dynamodb/libs" ]; then
		cp -r "$dynamodb_jars" "$home/dynamodb/libs.part"
		mv "$home/dynamodb/libs.part" "$home/dynamodb/libs"
	fi
	dynamodb_jars=$home/dynamodb/libs
}

dynamodb_create()
{
	mkdir -p "$home/dynamodb/data"
	give "$home/dynamodb/data"
	pick_port
	echo "$port" >"$home/dynamodb/port"
}

# One database for all credentials and regions, as one account has. The serial collector and the first compiler only:
# it starts in half the time, and tests start many.
dynamodb_start()
{
	dynamodb_files
	launch dynamodb "$home/dynamodb/log" env LD_PRELOAD="$dynamodb_jars/loopback.so" \
		java "-Dmillrace.home=$home/dynamodb" -XX:+ExitOnOutOfMemoryError -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
		-Xmx512m -Djava.awt.headless=true -Djava.library.path="$dynamodb_jars" -cp "$dynamodb_jars/*" \
		com.amazonaws.services.dynamodbv2.local.main.ServerRunner -disableTelemetry -sharedDb \
		-dbPath "$home/dynamodb/data" -port "$(cat "$home/dynamodb/port")"
}

# It says nothing when it is ready.
dynamodb_ready()
{
	local port deadline=$((SECONDS + 120))
	port=$(cat "$home/dynamodb/port")
	wait_for dynamodb "$home/dynamodb/log" 'CorsParams'
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		pid_of dynamodb >/dev/null || die "dynamodb ended while starting" "All it said is in $home/dynamodb/log."
		[ $SECONDS -lt $deadline ] || die "dynamodb is not ready after 120 s" "What it said is in $home/dynamodb/log."
		sleep 0.05
	done
}
