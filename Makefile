# SPDX-License-Identifier: GPL-2.0
# Front door. The work is done by Kbuild (the module), cargo (the tool and the
# host's tests) and tools/lab (root file system and virtual machine).

PGM_CACHE ?= $(HOME)/.cache/pgm-linux
export PGM_CACHE PLANT

DESTDIR ?=
PREFIX ?= /usr/local

LAB := tools/lab/lab
CARGO := tools/lab/cargo

# The module is built against KDIR if the Rust metadata of that kernel is
# there; else in the lab, for the lab's kernel.
KDIR ?= /lib/modules/$(shell uname -r)/build
ifneq ($(wildcard $(KDIR)/rust/libkernel.rmeta),)
here := yes
else ifneq ($(origin KDIR),file)
here := missing
endif

# What Kbuild understands; it reaches a make in the lab only if passed on.
kbuild := $(foreach name,V W CLIPPY,$(if $($(name)),$(name)=$($(name))))

# Where the guest finds what was built.
guest := PGM_KO=/src/build/module/pgm.ko PGM_TOOL=/src/build/pgm PGM_LIB=/src/build/lib

modules: ## build pgm.ko for KDIR (default: the running kernel), or in the lab
ifeq ($(here),yes)
	@mkdir -p build/host
	@$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/build/host modules
	@echo "built build/host/pgm.ko for $$(cat $(KDIR)/include/config/kernel.release)"
else ifeq ($(here),missing)
	@echo "$(KDIR) has no Rust metadata: run make rust-metadata KDIR=$(KDIR) first" >&2; exit 1
else
modules: lab-modules
endif

lab-modules: ## build pgm.ko for the lab's kernel
	@$(LAB) make $(kbuild)
	@echo "built build/module/pgm.ko for $$($(LAB) path release)"

tool: ## build the user's tool
	@$(CARGO) build --quiet --release --locked --manifest-path rust/Cargo.toml --package pgm
	@mkdir -p build && install -m 755 $$($(CARGO) --where)/release/pgm build/pgm

libpgm: ## build the library that lets ZeroMQ and OpenPGM's programs use the kernel
	@$(CARGO) build --quiet --release --locked --manifest-path rust/Cargo.toml --package libpgm
	@mkdir -p build/lib && install -m 755 $$($(CARGO) --where)/release/libpgm_5_3.so build/lib/libpgm-5.3.so.0

storm: ## build the generator of hostile packets, for the selftests
	@$(CARGO) build --quiet --release --locked --manifest-path rust/Cargo.toml --package pgm-storm
	@mkdir -p build && install -m 755 $$($(CARGO) --where)/release/pgm-storm build/pgm-storm

interop: lab-modules tool libpgm interop-peer ## OpenPGM and ZeroMQ on our network, as a table
	@tools/interop

# What the demonstration takes from the command line.
demo := $(foreach name,LOSS RATE FILE FAMILY ENCAP,$(if $($(name)),$(name)=$($(name))))

# OpenPGM's side of the selftests, against the lab's libpgm: gcc takes its time in the guest.
interop-peer: ## build the program that uses OpenPGM, for the selftests
	@mkdir -p build/interop
	@$(LAB) shell-in selftests/interop/build /src/build/interop/openpgm

demo: lab-modules tool ## one source, three receivers, lossy links, in the guest
	@$(LAB) run --timeout 1200 env $(guest) $(demo) tools/demo/run

bench: lab-modules ## measure beside UDP and OpenPGM, counted in instructions; ROWS: some of it; UPDATE=1: commit it
	@tools/bench/run $(if $(UPDATE),--update) $(ROWS)

bench-profile: lab-modules ## instructions of a message by function; WHAT="--size 64 --wake"
	@tools/bench/profile/run $(WHAT)

bench-sim: ## how recovery grows with up to 100,000 receivers, in the simulation; MOST: fewer; UPDATE=1: commit it
	@mkdir -p build/bench
	@$(CARGO) run --quiet --release --locked --manifest-path rust/Cargo.toml --package pgm-sim -- \
		--bench build/bench/sim.json $(if $(MOST),--most $(MOST))
	@tools/bench/draw $(if $(UPDATE),--update) build/bench/sim.json

check: ## format, lints, tests on the host and in the guest
	@tools/check/run $(STEPS)

check-debug: ## the selftests in a debug kernel, once made for it; PLANT=all: bugs that it must find
	@tools/check/run $(if $(PLANT),plant,debug)

conformance: ## write Documentation/conformance.rst and the table of security.rst
	@tools/conformance

rust-metadata: ## rebuild the Rust metadata that KDIR lacks (as root)
	tools/lab/rust-metadata $(KDIR)

ifeq ($(here),yes)
install: modules tool libpgm ## module, header, tool, library and manual pages; DESTDIR, PREFIX
	$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/build/host \
		INSTALL_MOD_PATH=$(DESTDIR) CONFIG_MODULE_SIG_ALL= DEPMOD=true modules_install
	$(if $(DESTDIR),,depmod $$(cat $(KDIR)/include/config/kernel.release))
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include/linux include/uapi/linux/*.h
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin build/pgm
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/lib/pgm build/lib/libpgm-5.3.so.0
	for page in Documentation/man/man*/*; do \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/$$(basename $$(dirname $$page)) $$page; \
	done
else
install:
	@echo "$(KDIR) has no Rust metadata: run make rust-metadata first, to build for this kernel" >&2; exit 1
endif

clean: ## remove what was built; the lab's cache stays
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Variables: KDIR, LOSS, FAMILY=6 and ENCAP=udp (demo), STEPS (check: some of its steps), ROWS (bench), DESTDIR and PREFIX (install),"
	@echo "V=1 W=1 CLIPPY=1 (modules), MOST (bench-sim: the most receivers), PGM_CACHE ($(PGM_CACHE))."

.PHONY: modules lab-modules tool libpgm storm interop-peer interop demo bench bench-profile bench-sim check check-debug conformance rust-metadata install clean help
