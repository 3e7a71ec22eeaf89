# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2054
# The machine that measures: one instruction takes one nanosecond of its time,
# and nothing in it depends on this machine or on the hour: no device but a
# serial port, no entropy, a clock that starts at a fixed date. The same initial
# file system does the same, to the last instruction.

# exact_run [--timeout SEC] [--console FILE] [--append ARGS] INITRD: boots it, and prints what it writes to its first serial port.
exact_run() {
	local timeout=600 console=/dev/null append='' status=0 job
	while [ $# -gt 0 ]; do
		case $1 in
		--timeout) timeout=$2 && shift 2 ;;
		--console) console=$2 && shift 2 ;;
		--append) append=$2 && shift 2 ;;
		-*) die "exact: unknown option $1." ;;
		*) break ;;
		esac
	done
	[ $# -gt 0 ] || die "exact: which initial file system?"
	setup
	qemu_command
	job=$(mktemp -d "${TMPDIR:-/tmp}/lab-exact.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$job'" EXIT
	local -a args=(
		-M pc-q35-7.1,usb=off,hpet=off -accel "tcg,thread=single" -icount "shift=0,sleep=off"
		-cpu "max,-erms,-fsrm,-avx,-avx2,-rdrand,-rdseed" -smp 1 -m 1024
		-rtc "base=2026-01-01T00:00:00,clock=vm"
		-nodefaults -no-user-config -display none -no-reboot -nic none
		-kernel "$LAB_DIR/kernel" -initrd "$1"
		-append "console=ttyS1 rdinit=/init panic=-1 loglevel=5 mitigations=off nokaslr norandmaps nowatchdog tsc=reliable no_timer_check $append"
		-serial "file:$job/output" -serial "file:$console"
	)
	setpriv --pdeathsig TERM -- timeout -k 5 "$timeout" "${QEMU[@]}" "${args[@]}" </dev/null >"$job/log" 2>&1 || status=$?
	cat "$job/output"
	[ "$status" != 124 ] || say "stopped after $timeout seconds"
	[ "$status" = 0 ] || cat "$job/log" >&2
	return "$status"
}
