# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What QEMU boots: kernel, initial file system, disk image of the root.

# Not needed in the guest, and half of the size.
IMAGE_WITHOUT=(usr/src usr/lib/rustlib usr/lib/llvm-* var/cache/apt var/lib/apt/lists)

# image_make ROOT DIR: writes DIR/{kernel,initrd,image}. Runs in a mount
# namespace of its own: it hides directories of ROOT.
image_make() {
	local root=$1 dir=$2 release pattern hide
	release=$(release_in "$root")
	cp "$root/boot/vmlinuz-$release" "$dir/kernel"
	unshare --mount "$LAB/in-root" --bind "$LAB:/mnt" "$root" /mnt/make-initrd "$release" >"$dir/initrd"

	for pattern in "${IMAGE_WITHOUT[@]}"; do
		for hide in "$root"/$pattern; do
			[ ! -d "$hide" ] || mount -t tmpfs none "$hide"
		done
	done
	mke2fs -q -t ext4 -d "$root" -L lab -m 0 -O '^has_journal' \
		-E lazy_itable_init=1,nodiscard "$dir/image" 6G
}
