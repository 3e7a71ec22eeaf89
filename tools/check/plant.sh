#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Bugs put into the module on purpose, each of which the debug kernel must find:
# all of planted/, or $PLANT. A patch says what provokes the bug, and the words
# by which the kernel tells of it.
logs=build/check
planted=tools/check/planted

if [ "${PLANT:-all}" = all ]; then
	patches=("$planted"/*.patch)
else
	patches=("$planted/$PLANT.patch")
fi

make --no-print-directory tool || exit
for patch in "${patches[@]}"; do
	name=$(basename "$patch" .patch)
	dir=build/planted/$name console=$logs/planted-$name-console.log log=$logs/planted-$name.log
	rm -rf "$dir" "$console"
	mkdir -p "$dir/module"
	cp -r Kbuild rust include "$dir"
	patch -d "$dir" -p0 --no-backup-if-mismatch <"$patch" &&
		tools/lab/lab debug-make M="/src/$dir" MO="/src/$dir/module" || {
		echo "not ok planted $name: does not build"
		continue
	}
	tools/lab/lab run --debug --timeout 300 --console "$console" \
		env PGM_KO="/src/$dir/module/pgm.ko" PGM_TOOL=/src/build/pgm \
		bash -c "$(sed -n 's/^run: //p' "$patch")" >"$log" 2>&1 # what fails there is no result of ours
	words=$(sed -n 's/^caught by: //p' "$patch")
	if found=$(grep -hm 1 -F "$words" "$console" "$log"); then
		echo "ok planted $name: ${found##*kernel: }"
	else
		echo "not ok planted $name: no '$words' in $console"
	fi
done
