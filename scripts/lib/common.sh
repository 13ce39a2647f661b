# common.sh - how the scripts here speak, fail, and try again. Sourced, not run.

self=$(basename "$0")

say()
{
	echo "$self: $*" >&2
}

# die MESSAGE [HINT...]
die()
{
	say "$1"
	shift
	for line in "$@"; do
		echo "HINT: $line" >&2
	done
	exit 1
}

# The lines of a script's opening comment that show how it is called.
usage()
{
	sed -n "2,/^#\$/s/^# \($self .*\)/\1/p" "$0" >&2
	exit 2
}

# quietly COMMAND...: its output goes to the file that $log names
quietly()
{
	echo "+ $*" >>"$log"
	"$@" >>"$log" 2>&1 9>&-
}

# tries N COMMAND...: networks hiccup
tries()
{
	local left=$1
	shift
	until quietly "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		say "that failed, once more in 5 s: $*"
		sleep 5
	done
}
