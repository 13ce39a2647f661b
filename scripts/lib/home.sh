# home.sh - the folder in which servers live, who owns it, and ports for them. Sourced, not run.
#
# Where nobody cannot reach DIR, or its path is too long for a socket, the data goes to a folder under /tmp, which
# DIR/elsewhere names. `home` is the folder where it really is.

as=()         # the words that make a command run as the unprivileged user
if [ "$(id -u)" = 0 ]; then
	as=(setpriv --reuid "$(id -u nobody)" --regid "$(id -g nobody)" --clear-groups)
fi

give()
{
	[ ${#as[@]} -eq 0 ] || chown -R "$(id -u nobody):$(id -g nobody)" "$@"
}

# Sets home: DIR itself, or the folder elsewhere that stands for it.
open_home()
{
	[ -d "$1" ] || die "there is no folder $1" "scripts/servers start $1"
	home=$(cd "$1" && pwd)
	[ ! -s "$home/elsewhere" ] || home=$(cat "$home/elsewhere")
	[ -d "$home" ] || die "the data of $1 was in $home, which is gone" "Remove $1 and start again."
}

make_home()
{
	mkdir -p "$1"
	open_home "$1"
	# sockaddr_un holds 107 characters
	if ! "${as[@]}" test -x "$home" || [ $((${#home} + 25)) -gt 107 ]; then
		home=$(mktemp -d /tmp/millrace-servers.XXXXXX)
		echo "$home" >"$1/elsewhere"
		say "the servers cannot work in $1; their data is in $home"
	fi
	chmod 755 "$home"
}

# A port nobody listens on, below the range that the kernel hands out, and which nobody who starts servers right now has
# picked: whoever makes its file first has it for half an hour.
pick_port()
{
	local taken=${TMPDIR:-/tmp}/millrace-ports.$UID
	mkdir -p "$taken" && [ -O "$taken" ] || die "$taken is not ours"
	find "$taken" -type f -mmin +30 -delete 2>/dev/null || true
	for _ in $(seq 200); do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		(set -C; : >"$taken/$port") 2>/dev/null || continue
		(: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
		return 0
	done
	die "no free port found between 20000 and 32000"
}
