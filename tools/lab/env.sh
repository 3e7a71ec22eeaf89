# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Places and small helpers that every part uses.

CHECKOUT=$(cd "$LAB/../.." && pwd)
PGM_CACHE=${PGM_CACHE:-${HOME:-/root}/.cache/pgm-linux}
LABS=$PGM_CACHE/lab
MIRROR=${PGM_MIRROR:-http://deb.debian.org/debian}
SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# What is started through this dies with its starter and takes its children
# along, so that an interrupted set-up leaves neither processes nor mounts.
# Without root it works in a user namespace, as its root.
CONTAINED=(setpriv --pdeathsig KILL -- unshare --mount --pid --fork --kill-child)
[ "$(id -u)" = 0 ] || CONTAINED+=(--map-root-user --map-auto)

say() {
	echo "lab: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# Debian's kernel release (uname -r) inside a root file system.
release_in() {
	local dir
	for dir in "$1"/usr/lib/modules/*; do
		basename "$dir"
		return
	done
}
