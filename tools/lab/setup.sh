# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The cache: one directory per kernel version and recipe, made beside its place
# and renamed when it is complete, so that a half-made one is never used.

# Changes when a file that decides what is in the cache does.
recipe() {
	(cd "$LAB" && cat packages rootfs.sh rust-metadata image.sh make-initrd init) |
		sha256sum | cut -c1-10
}

# Sets LAB_DIR to a complete lab, making one first if need be.
setup() {
	local version
	[ -z "${LAB_DIR:-}" ] || return 0
	mkdir -p "$LABS"
	exec {lab_use}>"$LABS/use.lock"
	flock -s "$lab_use"

	if version=$(archive_remembered) && [ -e "$LABS/$version-$(recipe)/complete" ] && [ -e "$(qemu_dir)" ]; then
		LAB_DIR=$LABS/$version-$(recipe)
	else
		setup_locked
	fi
	touch "$LAB_DIR/complete"
}

setup_locked() {
	local version
	exec {lab_make}>"$LABS/make.lock"
	flock -n "$lab_make" || {
		say "another set-up is running, waiting for it"
		flock "$lab_make"
	}
	host_tools
	if version=$(archive_ask); then
		LAB_DIR=$LABS/$version-$(recipe)
		[ -e "$LAB_DIR/complete" ] || setup_make "$version"
		[ -e "$(qemu_dir)" ] || setup_qemu
	else
		LAB_DIR=$(setup_finished | head -n 1)
		if [ -z "$LAB_DIR" ] || [ ! -e "$(qemu_dir)" ]; then
			tail -n 3 "$LABS/apt.log" >&2
			die "no lab yet, and the Debian archive $MIRROR cannot be reached."
		fi
		say "the Debian archive cannot be reached: using the lab of $(<"$LAB_DIR/complete")"
	fi
	exec {lab_make}>&-
}

# Finished labs, last used first.
setup_finished() {
	find "$LABS" -mindepth 2 -maxdepth 2 -name complete -printf '%T@ %h\n' |
		sort -rn | cut -d' ' -f2-
}

# One step of the set-up, its output in a log.
setup_step() {
	local what=$1
	shift
	say "$(printf '%3d s' $((SECONDS - setup_begin))) $what"
	"$@" >>"$setup_log" 2>&1 </dev/null || {
		tail -n 20 "$setup_log" >&2
		die "failed: $what (log: $setup_log)."
	}
}

setup_make() {
	local version=$1 new root release setup_begin=$SECONDS setup_log=$LABS/setup.log
	say "making the lab for Linux $version in $LAB_DIR (once, about 5 minutes, 5 GB)"
	setup_remove "$LABS"/new.*
	new=$(mktemp -d "$LABS/new.XXXXXX")
	chmod 755 "$new"
	root=$new/root
	: >"$setup_log"

	setup_step "root file system" setup_contained rootfs_make "$root"
	release=$(release_in "$root")
	grep -A9 -x 'Package: linux-image-amd64' "$root/var/lib/dpkg/status" | grep -qx "Version: $version" ||
		die "the archive changed meanwhile, please run this again."
	setup_step "kernel source" archive_kernel_source "$version" "$new/source.tar.xz"
	mkdir "$new/work"
	setup_step "Rust metadata of the kernel" "${CONTAINED[@]}" "$LAB/in-root" --writable \
		--bind "$LAB:/mnt" --bind "$new:/media" "$root" \
		env TMPDIR=/media/work /mnt/rust-metadata "/usr/src/linux-headers-$release" /media/source.tar.xz
	rm -r "$new/work"
	setup_step "disk image" setup_contained image_make "$root" "$new"

	echo "Linux $version, $(date -u +%F)" >"$new/complete"
	sync -f "$new"
	setup_remove "$LAB_DIR"
	mv -T "$new" "$LAB_DIR"
	say "$(printf '%3d s' $((SECONDS - setup_begin))) done"
	setup_tidy
}

setup_qemu() {
	local new setup_begin=$SECONDS setup_log=$LABS/setup.log
	setup_remove "$LABS"/qemu-*
	new=$(mktemp -d "$LABS/new.XXXXXX")
	chmod 755 "$new"
	setup_step "emulator" setup_contained qemu_make "$new"
	mv -T "$new" "$(qemu_dir)"
}

# Runs a function of these scripts contained.
setup_contained() {
	"${CONTAINED[@]}" /bin/bash -euo pipefail -c \
		'LAB=$1; for part in env rootfs image qemu; do . "$LAB/$part.sh"; done; shift; "$@"' \
		bash "$LAB" "$@"
}

setup_remove() {
	"${CONTAINED[@]}" rm -rf --one-file-system "$@"
}

# Keeps the two labs used last, unless somebody is using one.
setup_tidy() {
	local old
	if flock -n -x "$lab_use"; then
		setup_finished | tail -n +3 | while read -r old; do
			setup_remove "$old"
		done
	fi
	flock -s "$lab_use"
}

lab_path() {
	local release
	release=$(release_in "$LAB_DIR/root")
	case ${1:-} in
	'') echo "$LAB_DIR" ;;
	root | image | kernel | initrd) echo "$LAB_DIR/$1" ;;
	source) echo "$LAB_DIR/source.tar.xz" ;;
	release) echo "$release" ;;
	kdir) echo "/usr/src/linux-headers-$release" ;;
	*) die "path of what? one of root, image, kernel, initrd, source, kdir, release." ;;
	esac
}
