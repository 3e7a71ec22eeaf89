# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the host must have.

# Installs what is missing, or says what to install.
host_tools() {
	local -a wanted=()
	local program package
	while read -r program package; do
		case $program in
		'') ;;
		/*) [ -e "$program" ] || wanted+=("$package") ;;
		*) command -v "$program" >/dev/null || wanted+=("$package") ;;
		esac
	done <<-EOF
		mmdebstrap mmdebstrap
		mke2fs e2fsprogs
		setpriv util-linux
		$KEYRING debian-archive-keyring
		$([ "$(id -u)" = 0 ] || echo newuidmap uidmap)
	EOF
	[ ${#wanted[@]} != 0 ] || return 0

	{ [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || die "please install ${wanted[*]}."
	say "installing ${wanted[*]} on the host"
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get -q update && apt-get -qy install --no-install-recommends "${wanted[@]}"; } \
		</dev/null >"$LABS/host.log" 2>&1; then
		tail -n 5 "$LABS/host.log" >&2
		die "could not install ${wanted[*]} (log: $LABS/host.log)."
	fi
}
