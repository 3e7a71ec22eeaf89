#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""tools/libpgm: OpenPGM's interface over the kernel's sockets, for C programs."""

import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))

import exchange
import ktap
import net
import openpgm
import pgm
import variant

LIBRARY = os.environ.get("PGM_LIB", "/usr/local/lib/pgm")
TOOLS = HERE.parent / "tools/libpgm"
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")

_built = {}


def setup():
    """The module, the library, and the headers of OpenPGM."""
    pgm.need_module()
    if not os.path.exists(f"{LIBRARY}/libpgm-5.3.so.0"):
        raise ktap.Skip(f"no libpgm-5.3.so.0 in {LIBRARY}")
    if not os.path.exists("/usr/include/pgm-5.3/pgm/pgm.h"):
        raise ktap.Skip("no libpgm-dev")


def build(source):
    """A program, linked against OpenPGM's own library."""
    if source not in _built:
        directory = ktap.keep(tempfile.TemporaryDirectory())
        os.chmod(directory, 0o755)
        program = f"{directory}/{source.stem}"
        words = f"gcc -O1 -Wall -D_GNU_SOURCE -I/usr/include/pgm-5.3 -o {program} {source} -lpgm"
        done = subprocess.run(words.split(), capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        _built[source] = program
    return _built[source]


@ktap.test
def test_layout():
    """Structures and numbers are those of the header: layout.txt, which the library's own test has."""
    ktap.equal(net.run(build(TOOLS / "c/layout.c")), (TOOLS / "layout.txt").read_text())


@ktap.test(variants=(variant.V4, variant.V4_UDP))
def test_program():
    """Every function that examples of OpenPGM use, in a program of a user without privilege."""
    program = build(TOOLS / "c/program.c")
    with net.shared() as lan:
        host = lan.hosts[0]
        words = [program, host.address, pgm.GROUP, pgm.PORT] + ["udp"] * variant.now().udp
        said = host.run(*NOBODY, "env", f"LD_LIBRARY_PATH={LIBRARY}", *words)
        ktap.equal(said, "ok\n")


@ktap.test(variants=variant.ALL, timeout=90)
def test_programs_of_openpgm():
    """A source and a receiver that know OpenPGM, and a receiver of ours, with 1 % loss."""
    openpgm.need()
    os.environ["LD_LIBRARY_PATH"] = LIBRARY  # for what is started from here on
    try:
        exchange.exchange(False, 1, 1, (1,))
    finally:
        del os.environ["LD_LIBRARY_PATH"]


if __name__ == "__main__":
    ktap.main(setup)
