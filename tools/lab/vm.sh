# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2054
# The virtual machine.

vm_run() {
	local timeout=3600 memory=2048 cpus=2 out='' console='' append='' plugin='' debug='' pause='' status
	while [ $# -gt 0 ]; do
		case $1 in
		--timeout) timeout=$2 && shift 2 ;;
		--memory) memory=$2 && shift 2 ;;
		--cpus) cpus=$2 && shift 2 ;;
		--out) out=$2 && shift 2 ;;
		--console) console=$2 && shift 2 ;;
		--append) append=$2 && shift 2 ;;
		--plugin) plugin=$2 && shift 2 ;;
		--pause) pause=$2 && shift 2 ;;
		--debug) debug=yes && shift ;;
		--) shift && break ;;
		-*) die "run: unknown option $1." ;;
		*) break ;;
		esac
	done
	[ $# -gt 0 ] || die "run: which command?"
	if [ -n "$debug" ]; then
		debug_setup
	else
		setup
		qemu_command
		vm_accelerator
	fi

	VM_JOB=$(mktemp -d "${TMPDIR:-/tmp}/lab-job.XXXXXX")
	trap 'rm -rf "$VM_JOB"' EXIT
	: "${console:=$VM_JOB/console}"
	printf '%q ' "$@" >"$VM_JOB/command"
	[ -z "$out" ] || mkdir -p "$out" "$VM_JOB/out"

	local boot=vm_boot
	[ -z "$debug" ] || boot=debug_boot
	status=0
	"$boot" || status=$?
	if [ "$status" = 0 ] && [ ! -e "$VM_JOB/started" ]; then
		# Starved of time by what else this machine does, a kernel may give up.
		say "the guest did not come to its command, starting it once more"
		"$boot" || status=$?
	fi
	if [ "$status" = 124 ]; then
		say "stopped after $timeout seconds"
	elif [ "$status" -gt 128 ]; then
		say "interrupted"
	elif [ -s "$VM_JOB/status" ]; then
		status=$(<"$VM_JOB/status")
	else
		tail -qn 30 "$console" "$VM_JOB/carrier" >&2 || true
		say "the guest died before the command ended (its last words are above)"
		status=125
	fi
	return "$status"
}

# Uses the variables of vm_run. The command's output comes through a virtio
# port of its own, so kernel messages never mix with it.
vm_boot() {
	local -a args=(
		-nodefaults -no-user-config -display none -no-reboot -nic none
		-smp "$cpus" -m "$memory" "${VM_ACCELERATOR[@]}"
		-kernel "$LAB_DIR/kernel" -initrd "$LAB_DIR/initrd"
		-append "console=hvc0 panic=-1 loglevel=7 mitigations=off tsc=reliable no_timer_check $append"
		-drive "file=$LAB_DIR/image,format=raw,if=none,id=root,snapshot=on,cache=unsafe"
		-device virtio-blk-pci,drive=root
		-device virtio-serial-pci
		-chardev "file,id=console,path=$console" -device virtconsole,chardev=console
		-chardev "file,id=output,path=$VM_JOB/output" -device virtserialport,chardev=output,name=output
		-virtfs "local,path=$CHECKOUT,mount_tag=src,security_model=none,readonly=on,multidevs=remap"
		-virtfs "local,path=$VM_JOB,mount_tag=job,security_model=none"
	)
	[ -z "$out" ] || args+=(-virtfs "local,path=$out,mount_tag=out,security_model=none")
	[ -z "$plugin" ] || args+=(-plugin "$plugin")

	vm_carry "$VM_JOB/carrier" "${QEMU[@]}" "${args[@]}"
}

# vm_carry LOG CMD...: runs what carries the guest, for as long as it may run,
# and passes on what the guest's command writes to $VM_JOB/output.
vm_carry() {
	local log=$1 begin=$SECONDS
	shift
	rm -f "$VM_JOB/output"
	mkfifo "$VM_JOB/output"
	cat "$VM_JOB/output" &
	local cat=$! status=0
	setpriv --pdeathsig TERM -- timeout -k 5 "$timeout" "$@" </dev/null >"$log" 2>&1 &
	local carrier=$!
	trap 'kill "$carrier" 2>/dev/null' INT TERM
	[ -z "$pause" ] || vm_pause "${pause%,*}" "${pause#*,}" &
	wait "$carrier" || status=$?
	[ $((SECONDS - begin)) -lt "$timeout" ] || status=124
	# Unblocks cat if the carrier never opened its end.
	: <>"$VM_JOB/output"
	wait "$cat" || true
	return "$status"
}

# vm_pause RUN STOP: stops the guest after each RUN seconds for STOP seconds, once its command
# runs. Its clock goes on meanwhile.
vm_pause() {
	local guest child
	until [ -e "$VM_JOB/started" ]; do
		kill -0 "$carrier" 2>/dev/null || return 0
		sleep 0.2
	done
	# From timeout, setpriv and the like down to QEMU, or to the kernel and what it runs first.
	guest=("$carrier")
	while child=$(pgrep -o -P "${guest[-1]}"); do guest+=("$child"); done
	while sleep "$1" && kill -STOP "${guest[@]}" 2>/dev/null; do
		sleep "$2"
		kill -CONT "${guest[@]}" 2>/dev/null || true
	done
}

# KVM only where a kernel really starts on it: /dev/kvm may open and yet hang.
# The answer is kept per machine.
vm_accelerator() {
	local answer
	answer=$LABS/kvm-$({ uname -r && grep -m1 'model name' /proc/cpuinfo; } | sha256sum | cut -c1-10)
	if [ ! -s "$answer" ]; then
		if [ -w /dev/kvm ] && vm_probe; then echo yes; else echo no; fi >"$answer.$$"
		mv "$answer.$$" "$answer"
	fi
	if [ "$(<"$answer")" = yes ]; then
		VM_ACCELERATOR=(-M q35,accel=kvm -cpu host)
	else
		# Without what is slower than its absence when emulated: string
		# instructions that move single bytes, wide vectors.
		VM_ACCELERATOR=(-M q35,accel=tcg -cpu max,-erms,-fsrm,-avx,-avx2)
	fi
}

vm_probe() {
	local dir
	say "trying KVM"
	dir=$(mktemp -d "${TMPDIR:-/tmp}/lab-probe.XXXXXX")
	timeout -k 1 8 "${QEMU[@]}" -nodefaults -no-user-config -display none -no-reboot -nic none \
		-M q35,accel=kvm -cpu host -smp 2 -m 512 \
		-kernel "$LAB_DIR/kernel" -initrd "$LAB_DIR/initrd" -append 'lab.probe panic=-1' \
		-device virtio-serial-pci -chardev "file,id=output,path=$dir/output" \
		-device virtserialport,chardev=output </dev/null >/dev/null 2>&1 || true
	local result=1
	! grep -qs alive "$dir/output" || result=0
	rm -r "$dir"
	return "$result"
}
