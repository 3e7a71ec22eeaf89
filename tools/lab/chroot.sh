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

# Builds the module for the lab's kernel, to build/module of the checkout; what
# clippy compiled stays apart from what is loaded.
chroot_make() {
	local out=module
	case " $* " in *" CLIPPY=1 "*) out=clippy ;; esac
	mkdir -p "$CHECKOUT/build/$out"
	setup
	chroot_run make --no-print-directory -j"$(nproc)" -C "$(lab_path kdir)" \
		M=/src MO="/src/build/$out" "$@" modules
}
