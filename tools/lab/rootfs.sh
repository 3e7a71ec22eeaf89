# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The root file system.

rootfs_make() {
	local root=$1 packages
	packages=$(sed -e '/^#/d' -e '/^$/d' "$LAB/packages" | paste -sd,)
	mmdebstrap --mode=root --variant=apt --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="$packages" --keyring="$KEYRING" \
		"$SUITE" "$root" \
		"deb $MIRROR $SUITE main" \
		"deb $MIRROR $SUITE-backports main"
	mkdir -p "$root/src" "$root/out" "$root/run/lab"
	echo lab >"$root/etc/hostname"
	echo '127.0.0.1 localhost lab' >"$root/etc/hosts"
}
