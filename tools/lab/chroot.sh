# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Commands in the root file system, without booting it.

chroot_run() {
	local -a binds=()
	while [ $# -gt 0 ]; do
		case $1 in
		--bind) binds+=(--bind "$2") && shift 2 ;;
		--) shift && break ;;
		-*) die "shell-in: unknown option $1." ;;
		*) break ;;
		esac
	done
	[ $# -gt 0 ] || die "shell-in: which command?"
	setup
	LAB_CWD=/src exec "${CONTAINED[@]}" "$LAB/in-root" --bind "$CHECKOUT:/src" "${binds[@]}" \
		"$LAB_DIR/root" "$@"
}
