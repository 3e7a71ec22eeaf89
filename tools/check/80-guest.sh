#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The selftests, in two virtual machines at once: each takes the next test that
# the other has not taken, and has files guest-N.log, guest-N-console.log.
logs=build/check

# First what wants the module for itself, then what takes long, so that both
# end at about the same time.
first=(memory module interop_mix transfer interop tool malformed)

make --no-print-directory lab-modules tool libpgm storm interop-peer || exit
mapfile -t tests < <(
	printf '%s\n' "${first[@]}"
	find selftests -name 'test_*.py' -printf '%f\n' | sed 's/^test_//; s/\.py$//' | sort |
		grep -vxF "$(printf '%s\n' "${first[@]}")"
)
rm -rf "$logs"/guest-*
mkdir -p "$logs/guest-taken"

# guest N: the second has two processors, for what only several can get wrong;
# the first has one, which is less work to emulate.
guest() {
	local log=$logs/guest-$1.log status
	tools/lab/lab run --cpus "$1" --timeout 2400 --console "$logs/guest-$1-console.log" \
		--out "$logs/guest-taken" env PGM_KO=/src/build/module/pgm.ko PGM_TOOL=/src/build/pgm \
		PGM_LIB=/src/build/lib \
		selftests/run --share /out "${tests[@]}" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	[ "$status" = 0 ] || grep -q '^not ok' "$log" || echo "not ok guest $1: ended with status $status"
}

# Lets through one whole test at a time, so that the guests' words never mix.
whole_tests() {
	local line block=''
	while IFS= read -r line; do
		block+=$line$'\n'
		[[ $line != ok\ * && $line != "not ok "* ]] || print_block
	done
	print_block
}

print_block() {
	{ flock 9 && printf '%s' "$block"; } 9>"$logs/guest-lock"
	block=''
}

for n in 1 2; do
	guest $n | whole_tests &
done
wait

# What a guest had taken when it died has no result.
for name in "${tests[@]}"; do
	grep -qE "^(not )?ok [0-9]+ $name\b" "$logs"/guest-?.log || echo "not ok $name: no result"
done
