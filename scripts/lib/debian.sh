# debian.sh - Debian packages of any suite, unpacked into a folder instead of installed. Sourced, not run.
#
# apt runs with folders of its own and an empty list of what is installed, so that it names everything a package needs,
# down to the C library; the mirror, the keys and the proxy are those of this machine. apt checks signatures and sums.

# debian_apt FOLDER SUITE: sets APT_CONFIG for the commands that follow. The lists are good for six hours.
debian_apt()
{
	local root=$1/apt-$2 suite=$2 sites main security
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || unavailable "it comes as Debian packages, and this is no Debian"
	sites=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages')
	main=$(awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$1 == release { print $2; exit }' <<<"$sites")
	security=$(awk '$1 ~ /-security$/ { print $2; exit }' <<<"$sites")
	[ -n "$main" ] || unavailable "apt has no mirror of Debian configured"
	mkdir -p "$root"/{lists,archives,preferences}/partial
	: >"$root/status"
	{
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $main $suite main"
		[ "$suite" = sid ] || [ -z "$security" ] ||
			echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $security $suite-security main"
	} >"$root/sources.list"
	cat >"$root/apt.conf" <<-CONF
	Dir::Etc { SourceList "$root/sources.list"; SourceParts "/dev/null"; Preferences "/dev/null"; PreferencesParts "$root/preferences"; };
	Dir::State "$root";
	Dir::State::status "$root/status";
	Dir::Cache "$root";
	APT::Architecture "amd64";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	Acquire { Languages "none"; Retries "3"; };
	CONF
	export APT_CONFIG=$root/apt.conf
	[ -z "$(find "$root" -maxdepth 1 -name updated -mmin -360)" ] || return 0
	tries 2 apt-get -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false update ||
		unavailable "the package lists of $suite could not be had: $(grep -m 1 '^[EW]:' <(tail -n 20 "$log"))"
	touch "$root/updated"
}

# debian_fetch SUITE PACKAGE PLUGINS VERSION: with what PACKAGE needs, into the present folder; sets fetched (bytes).
debian_fetch()
{
	local plan list version package file
	plan=$(apt-get install --simulate "$2" 2>>"$log" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p')
	version=$(sed -n "s/^$2=//p" <<<"$plan")
	[ -n "$version" ] || unavailable "$2 cannot be installed from $1 today: $(tail -n 1 "$log")"
	[[ ${version#*:} == "$4"* ]] || unavailable "$1 has version ${version#*:} today"
	# what is no library serves the packages' own scripts
	list=$(grep -E "^(lib|$2=)" <<<"$plan" | grep -vE '^lib(perl|gdbm|db5)')
	mkdir debs
	# shellcheck disable=SC2086 # a word for each package
	(cd debs && tries 2 apt-get download $list $3) || unavailable "$1: $(grep '^E:' "$log" | tail -n 1)"
	fetched=$(cat debs/*.deb | wc -c)

	# /lib is a link to /usr/lib in newer Debian, and a folder in the packages of older
	mkdir -p usr/{bin,sbin,lib,lib64}
	for file in bin sbin lib lib64; do ln -s "usr/$file" $file; done
	for file in debs/*.deb; do
		package=${file#debs/}
		if [ "${package%%_*}" = "$3" ]; then
			dpkg-deb --fsys-tarfile "$file" | tar -x --no-same-owner ./usr/lib/mysql/plugin
		else
			dpkg-deb --fsys-tarfile "$file" | tar -x --no-same-owner --keep-directory-symlink
		fi
	done
	rm -rf debs etc var usr/share/{doc,man,locale,lintian,bug}
	find usr/bin usr/sbin -type f ! -name 'mysqld' ! -name 'mariadbd' ! -name 'mysqlbinlog' -delete
}

# debian_wrap FILE NAME: a program NAME that runs FILE with the libraries it came with, not those of this machine.
debian_wrap()
{
	local ld libs folder
	ld=$(find usr/lib -name 'ld-linux-*.so.*' | head -n 1)
	libs=$(dirname "$ld")
	cat >"$2" <<-WRAP
	#!/bin/sh
	here=\${0%/*}
	export GCONV_PATH="\$here/$libs/gconv"
	exec "\$here/$ld" --library-path "\$here/$libs$(for folder in usr/lib/mysql/private usr/lib/mysql usr/lib; do
		[ ! -d $folder ] || printf ':$here/%s' $folder
	done)" "\$here/$1" "\$@"
	WRAP
	chmod 755 "$2"
}
