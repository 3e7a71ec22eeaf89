#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""tools/libpgm: OpenPGM's interface over the kernel's sockets, for C programs."""

import ctypes
import os
import pathlib
import struct
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
import wire
from probe import Probe

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


class Receiver:
    """A receiver of the library in this process, with options of its level."""

    NORMAL, RESET, WOULD_BLOCK = 1, 2, 5  # PGM_IO_STATUS_*

    def __init__(self, host, **options):
        self.pgm = ctypes.CDLL(f"{LIBRARY}/libpgm-5.3.so.0")
        self.sock, info = ctypes.c_void_p(), ctypes.c_void_p()
        network = f"{host.address};{pgm.GROUP}".encode()
        with host:
            assert self.pgm.pgm_getaddrinfo(network, None, ctypes.byref(info), None)
            # struct pgm_addrinfo_t: ai_recv_addrs
            groups = ctypes.c_void_p.from_address(info.value + 8)
            assert self.pgm.pgm_socket(ctypes.byref(self.sock), 2, 5, pgm.IPPROTO_PGM, None)
            numbers = {"PGM_RECV_ONLY": 1, "PGM_NOBLOCK": 1} | options
            lines = map(str.split, (TOOLS / "layout.txt").read_text().splitlines())
            self.number = {line[0]: int(line[1]) for line in lines if len(line) == 2 and "." not in line[0]}
            for option, value in numbers.items():
                self.set(option, struct.pack("=i", value))
            address = struct.pack("=H8x", pgm.PORT)
            assert self.pgm.pgm_bind(self.sock, address, len(address), None)
            self.set("PGM_JOIN_GROUP", ctypes.string_at(groups.value, 136))
            self.pgm.pgm_freeaddrinfo(info)
            assert self.pgm.pgm_connect(self.sock, None)

    def set(self, option, value):
        """pgm_setsockopt()"""
        done = self.pgm.pgm_setsockopt(self.sock, pgm.IPPROTO_PGM, self.number[option], value, len(value))
        assert done & 1, option

    def next(self, size=2000):
        """What pgm_recv() gives when it gives something: a message, or that there was a loss."""
        data, got = ctypes.create_string_buffer(size), ctypes.c_size_t()
        said = self.WOULD_BLOCK

        def something():
            nonlocal said
            said = self.pgm.pgm_recv(self.sock, data, ctypes.c_size_t(size), 0, ctypes.byref(got), None)
            return said != self.WOULD_BLOCK

        ktap.wait_for(something, "pgm_recv() says something")
        return data.raw[: got.value] if said == self.NORMAL else said

    def close(self):
        """pgm_close()"""
        self.pgm.pgm_close(self.sock, False)


@ktap.test
def test_silence_is_told():
    """A session that falls silent and begins anew is not one stream: the program is told."""
    with net.shared() as lan, Probe(lan.hosts[0]) as probe:
        receiver = Receiver(lan.hosts[1], PGM_PEER_EXPIRY=200_000)
        source = probe.source()
        source.odata(0, b"zero", wire.option(wire.OPT_SYN))
        ktap.equal(receiver.next(), b"zero")
        ktap.equal(receiver.next(), Receiver.RESET)
        source.odata(7, b"seven")
        ktap.equal(receiver.next(), b"seven")
        receiver.close()


@ktap.test
def test_message_of_a_mebibyte():
    """A message is whole, or told of as lost: OpenPGM's structures hold 16 bytes less than a mebibyte."""
    largest, mebibyte = 16 * 0xFFFF, 1 << 20
    with net.shared() as lan:
        for name, value in ("msgsize_max", mebibyte), ("fragments_max", 1024):
            lan.hosts[1].sysctl(f"net/pgm/{name}", value)
        receiver = Receiver(lan.hosts[1])
        options = {pgm.PGM_MSGSIZE_MAX: mebibyte}
        with pgm.source(lan.hosts[0], window=(500_000, 0, 8 << 20), options=options) as source:
            for size in (largest, mebibyte, 1):
                source.send(bytes(size - 1) + b"x")
            whole = receiver.next(mebibyte)
            ktap.equal((len(whole), whole[-1:]), (largest, b"x"))
            lost = receiver.next(mebibyte)
            assert lost == Receiver.RESET, f"pgm_recv() gave {len(lost)} bytes"
            ktap.equal(receiver.next(mebibyte), b"x")
        receiver.close()


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
