# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which kernel the Debian archive has now. Asked with apt, so that signatures
# are checked, but with a state of its own that knows only the backports.

archive_apt() {
	local program=$1 dir=$LABS/apt
	shift
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	echo "deb [signed-by=$KEYRING] $MIRROR $SUITE-backports main" >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-EOF
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State::lists "$dir/lists";
		Dir::State::status "/dev/null";
		Dir::Cache "$dir/cache";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		Acquire::Languages "none";
		Acquire::http::Timeout "20";
	EOF
	APT_CONFIG=$dir/apt.conf "$program" "$@"
}

# The version of linux-image-amd64 as the archive says now; fails when it
# cannot be reached.
archive_ask() {
	local version
	archive_apt apt-get -q update </dev/null >"$LABS/apt.log" 2>&1 || return 1
	version=$(archive_apt apt-cache policy linux-image-amd64 | awk '$1 == "Candidate:" { print $2 }')
	[ -n "$version" ] || return 1
	echo "$version" | tee "$LABS/archive-version"
}

# What it said, if that is less than a day ago.
archive_remembered() {
	[ -n "$(find "$LABS" -maxdepth 1 -name archive-version -size +0 -mmin -1440)" ] && cat "$LABS/archive-version"
}

# Downloads the source archive of kernel version $1 to the file $2.
archive_kernel_source() {
	local version=$1 to=$2 package dir
	package=linux-source-$(cut -d. -f1,2 <<<"$version")
	dir=$(mktemp -d -p "$(dirname "$to")")
	(cd "$dir" && archive_apt apt-get -q download "$package=$version")
	dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -xOf - --wildcards './usr/src/*.tar.xz' >"$to"
	rm -r "$dir"
}
