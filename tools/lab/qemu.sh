# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# The emulator, from the same Debian release as the lab's root file system. Not
# the host's: before QEMU 8.1 (Debian 12 has 7.2) one emulated CPU can keep
# running code that another has overwritten, and a kernel with two CPUs dies of
# "Oops: int3" when it switches a static key under traffic.

qemu_dir() {
	echo "$LABS/qemu-$(sha256sum <"$LAB/qemu.sh" | cut -c1-10)"
}

# qemu_make DIR: unpacks it and its libraries there.
qemu_make() {
	mmdebstrap --mode=root --variant=extract --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--include=qemu-system-x86 --keyring="$KEYRING" \
		"$SUITE" "$1" "deb $MIRROR $SUITE main"
}

# Sets QEMU to the command that runs it where it is.
qemu_command() {
	local dir lib
	dir=$(qemu_dir)
	lib=$dir/usr/lib/x86_64-linux-gnu
	QEMU=(
		env "QEMU_MODULE_DIR=$lib/qemu"
		"$dir/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib:$lib/pulseaudio"
		"$dir/usr/bin/qemu-system-x86_64" -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios"
	)
}
