# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the host must have.

# host_needs COMMAND PACKAGE...: installs the packages if COMMAND (a program,
# or a file if it starts with a slash) is missing. Prints what it could not do.
host_tools() {
	local -a wanted=()
	local program package
	while read -r program package; do
		case $program in
		/*) [ -e "$program" ] || wanted+=("$package") ;;
		*) command -v "$program" >/dev/null || wanted+=("$package") ;;
		esac
	done <<-EOF
		mmdebstrap mmdebstrap
		qemu-system-x86_64 qemu-system-x86
		mke2fs e2fsprogs
		setpriv util-linux
		$KEYRING debian-archive-keyring
	EOF

	[ "$(id -u)" = 0 ] || die "please run this as root (it mounts, and uses chroot)."
	[ ${#wanted[@]} = 0 ] && return
	command -v apt-get >/dev/null || die "please install ${wanted[*]}, and apt."
	say "installing ${wanted[*]} on the host"
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get -q update && apt-get -qy install --no-install-recommends "${wanted[@]}"; } \
		</dev/null >"$LABS/host.log" 2>&1; then
		tail -n 5 "$LABS/host.log" >&2
		die "could not install ${wanted[*]} (log: $LABS/host.log)."
	fi
}
