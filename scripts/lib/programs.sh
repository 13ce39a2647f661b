# programs.sh - what scripts/databases.txt says, and where the program of a database is. Sourced, not run.
#
# A database is named ENGINE:VERSION. scripts/databases puts its program into build/servers/ENGINE-VERSION: `server` is
# what to start, `usr` the tree it came with, `facts` what was found out about it.

programs=$root/build/servers

table_rows()
{
	grep -v -e '^#' -e '^$' "$root/scripts/databases.txt"
}

# table_row NAME: its line, with single spaces
table_row()
{
	local row
	row=$(table_rows | awk -v name="$1" '$1 == name { $1 = $1; print }')
	[ -n "$row" ] || die "no database is called $1" "$(table_rows | awk '{ printf "%s ", $1 }')"
	echo "$row"
}

program_folder()
{
	echo "$programs/${1/:/-}"
}

# program_version PROGRAM: such as 8.0.31
program_version()
{
	"$1" --no-defaults --version 2>/dev/null | sed -nE 's/.*Ver ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' | grep .
}

# program_of NAME: sets program, program_base (the tree it came with) and program_version, or dies.
program_of()
{
	local row is from
	row=$(table_row "$1")
	read -r _ _ is _ from _ <<<"$row"
	if [ "$from" = installed ]; then
		program=$(command -v mariadbd) || die "$1 is the one that Debian installs, and mariadbd is not installed" "scripts/setup --demo"
		program_base=/usr
		program_version=$(program_version "$program")
		[[ $program_version == "$is"* ]] || die "$1 is the one that Debian 12 installs; here mariadbd is $program_version"
		return
	fi
	program_base=$(program_folder "$1")/usr
	program=${program_base%/usr}/server
	[ -x "$program" ] || die "the program of $1 is not in build/servers" "scripts/databases fetch $1"
	program_version=$(. "${program_base%/usr}/facts" && echo "$version")
}
