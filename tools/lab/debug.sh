# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The debug kernel: User-Mode Linux, made from the source of the lab's kernel.

# Changes when a file that decides what the debug kernel is does.
debug_recipe() {
	(cd "$LAB" && cat debug-kernel debug.config debug/*.patch) | sha256sum | cut -c1-10
}

# Sets DEBUG_DIR to a complete debug kernel, making one first if need be.
debug_setup() {
	setup
	DEBUG_DIR=$LAB_DIR/debug-$(debug_recipe)
	if [ ! -e "$DEBUG_DIR/complete" ]; then
		exec {debug_lock}>"$LABS/debug.lock"
		flock -n "$debug_lock" || {
			say "somebody else makes a debug kernel, waiting"
			flock "$debug_lock"
		}
		[ -e "$DEBUG_DIR/complete" ] || debug_make
		exec {debug_lock}>&-
	fi
	touch "$DEBUG_DIR/complete"
}

debug_make() {
	local new setup_begin=$SECONDS setup_log=$LABS/debug.log
	say "making the debug kernel in $DEBUG_DIR (once, about 15 minutes)"
	setup_remove "$LAB_DIR"/new-debug.*
	new=$(mktemp -d "$LAB_DIR/new-debug.XXXXXX")
	chmod 755 "$new"
	: >"$setup_log"
	setup_step "User-Mode Linux" "${CONTAINED[@]}" "$LAB/in-root" \
		--bind "$LAB:/mnt" --bind "$LAB_DIR:/opt" --bind "$new:/media" "$LAB_DIR/root" \
		/mnt/debug-kernel /opt/source.tar.xz /mnt/debug.config /mnt/debug /media
	touch "$new/complete"
	sync -f "$new"
	mv -T "$new" "$DEBUG_DIR"
	say "$(printf '%3d s' $((SECONDS - setup_begin))) done"
	# The two used last stay: somebody may be using the other one.
	find "$LAB_DIR" -mindepth 2 -maxdepth 2 -path '*/debug-*/complete' -printf '%T@ %h\n' |
		sort -rn | cut -d' ' -f2- | tail -n +3 | while read -r new; do
		setup_remove "$new"
	done
}

# Builds the module for the debug kernel, to build/debug of the checkout. The
# kernel's own Rust flags for User-Mode Linux ask for position-independent
# code, whose relocations its module loader does not know.
debug_build() {
	mkdir -p "$CHECKOUT/build/debug"
	debug_setup
	chroot_run --bind "$DEBUG_DIR:/media" make --no-print-directory -j"$(nproc)" -C /media \
		M=/src MO=/src/build/debug ARCH=um CC=clang \
		KCFLAGS=-Wno-null-pointer-arithmetic KRUSTFLAGS='-Crelocation-model=static -Ccode-model=large' "$@" modules
}

# As vm_boot(). The root file system is the lab's, read-only, seen through the
# kernel's own access to files of the host, and so are the shared directories.
debug_boot() {
	local -a binds=(--bind "$CHECKOUT:/src" --bind "$VM_JOB:/mnt" --bind "$DEBUG_DIR:/media"
		--bind "$DEBUG_DIR/modules/lib/modules:/usr/lib/modules")
	[ -z "$out" ] || binds+=(--bind "$(readlink -f "$out"):/out")
	local -a words
	read -ra words <<<"$append"
	touch "$VM_JOB/carrier"
	vm_carry "$console" "${CONTAINED[@]}" "$LAB/in-root" "${binds[@]}" "$LAB_DIR/root" \
		/bin/bash -c 'TMPDIR=/tmp "$@" 3>/mnt/output; exit $?' bash \
		/media/linux seccomp=on ncpus="$cpus" mem="${memory}M" root=none rootfstype=hostfs \
		rootflags=/ rw init=/src/tools/lab/guest con=null con0=null,fd:2 ssl=null ssl0=null,fd:3 \
		loglevel=7 LAB_OUTPUT=/dev/ttyS0 "${words[@]}"
}
