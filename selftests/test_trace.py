#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Trace points: events/pgm of tracefs tell what happens to a session."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

TRACEFS = pathlib.Path("/sys/kernel/tracing")
SO_TIMESTAMPNS, SO_RXQ_OVFL, SO_MEMINFO = 35, 40, 55
LINE = re.compile(r"(pgm_\w+): (.*)")


def setup():
    """Needs tracefs."""
    pgm.need_module()
    if not (TRACEFS / "events").exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], check=False)
    if not (TRACEFS / "events/pgm").exists():
        raise ktap.Skip("no tracefs")


def text(tsi):
    """A TSI as people read it."""
    return f"{tsi[:6].hex()}.{int.from_bytes(tsi[6:], 'big')}"


@contextlib.contextmanager
def traced():
    """Traces everything; yields a function that returns the events so far."""
    (TRACEFS / "trace").write_text("", encoding="ascii")
    enable = TRACEFS / "events/pgm/enable"
    enable.write_text("1", encoding="ascii")

    def events():
        lines = (TRACEFS / "trace").read_text(encoding="ascii").splitlines()
        found = [LINE.search(line) for line in lines if not line.startswith("#")]
        return [(match[1], match[2]) for match in found if match]

    try:
        yield events
    finally:
        enable.write_text("0", encoding="ascii")


@ktap.test
def test_recovery():
    """A packet is lost, asked for, confirmed and repaired; windows and the rate are told too."""
    with net.shared() as lan, traced() as events:
        here, there = lan.hosts
        with pgm.listener(there) as listening, pgm.source(here) as source:
            source.send(b"first")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"first")
                lan.toward(there, "loss 100%")
                source.send(b"lost")
                tsi = f"tsi={text(pgm.tsi(source))}"
                gone = ("pgm_window", f"{tsi} window=TXW trail=0 lead=1")
                ktap.wait_for(lambda: gone in events(), "the packet is gone")
                lan.toward(there, None)
                source.send(b"third")
                ktap.equal([session.recv(10) for _ in range(2)], [b"lost", b"third"])
                told = events()
                states = [what for name, what in told if name == "pgm_nak"]
                steps = ("BACK-OFF", "WAIT-NCF", "WAIT-DATA", "REPAIRED")
                ktap.equal(states, [f"{tsi} sqn=1 state={step}" for step in steps])
                assert ("pgm_rate", f"{tsi} rate_kbit=20000") in told, told
                for kind, size in (("SPM", 0), ("ODATA", 5), ("RDATA", 4), ("NCF", 0)):
                    line = ("pgm_receive", f"{tsi} port={pgm.PORT} type={kind} len={size}")
                    assert line in told, (line, told)
                ktap.equal(
                    [what for name, what in told if name == "pgm_window" and "RXW" in what][-1],
                    f"{tsi} window=RXW trail=0 lead=2",
                )


@ktap.test
def test_discard():
    """A packet that is dropped, with its reason."""
    with net.shared() as lan, traced() as events:
        here, there = lan.hosts
        with here, socket.socket(socket.AF_INET, socket.SOCK_RAW, pgm.IPPROTO_PGM) as raw:
            raw.sendto(b"\0" * 10, (there.address, 0))
        dropped = ("pgm_discard", "reason=Truncated")
        ktap.wait_for(lambda: dropped in events(), "the discard is traced")


@ktap.test
def test_off():
    """What nobody asked for is not traced."""
    with net.shared() as lan:
        with traced() as events:
            pass
        with pgm.datagram(lan.hosts[1]) as receiver, pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            ktap.equal(receiver.recv(10), b"x")
        ktap.equal(events(), [])


@contextlib.contextmanager
def windows_traced(on):
    """Traces windows, or not."""
    enable = TRACEFS / "events/pgm/pgm_window/enable"
    enable.write_text(str(int(on)), encoding="ascii")
    try:
        yield
    finally:
        enable.write_text("0", encoding="ascii")


def told(session, found):
    """Notes a message and all that comes with it, but for what is another each time."""
    data, ancillary, flags, sender = session.recvmsg(20_000, 1000)
    notes = []
    for level, kind, value in ancillary:
        if (level, kind) == (pgm.IPPROTO_PGM, pgm.PGM_RCVINFO):
            value = value[8:]
        elif (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            value = b""
        notes.append((level, kind, value))
    if flags & pgm.MSG_NOTIFICATION:
        data = data[:8] + data[16:]
    found.append((data, flags, notes, sender and sender[0]))
    return data


# All but one kind of message: bytes of the packet, header and all.
LOAD_LENGTH, JUMP_EQUAL, RETURN = 0x80, 0x15, 0x06
REFUSED = 77
NOT_REFUSED = (
    (LOAD_LENGTH, 0, 0, 0),
    (JUMP_EQUAL, 0, 1, 24 + REFUSED),
    (RETURN, 0, 0, 0),
    (RETURN, 0, 0, 0xFFFF),
)
# Of a session's counters what does not depend on times and SPMs.
STEADY = (
    *("odata", "rdata", "duplicates", "data_bytes", "window_sqns_avg", "window_sqns_min"),
    *("window_sqns_max", "naks", "missing", "lost", "nak_sqns", "apdus", "buffered", "trail", "lead"),
)
UNSTEADY = ("InSpm", "InPkts", "InDiscardNoSocket")


def life(lan, on):
    """All that can be seen of a session's life, with windows traced or not."""
    here, there = lan.hosts
    options = {pgm.PGM_RECVRCVINFO: 1, pgm.PGM_EVENTS: 31}
    found, before = [], there.counters()
    with windows_traced(on), pgm.listener(there, options=options) as listening:
        with pgm.source(here, None, (100_000, 10_000, 0)) as source:
            source.send(b"first")
            session, _ = pgm.accept(listening)
            with session:
                session.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                session.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
                pgm.attach_filter(session, *NOT_REFUSED)
                while told(session, found) != b"first":
                    pass
                # One by one, then as fast as they leave: alone, in parts, in one buffer with others.
                for size in (0, 1, 1400, REFUSED, 5_000, REFUSED, 0, 17_000, 2):
                    source.send(bytes([size % 256]) * size)
                    if size != REFUSED:
                        told(session, found)
                sizes = [0, 9, 9, REFUSED, 1_000, 3_000, 9, 1, 1, 10_000] * 5
                for size in sizes:
                    source.send(bytes([size % 256]) * size)
                ktap.wait_for(
                    lambda: pgm.stats(session)["apdus"] == 10 + len(sizes), "all of it came"
                )
                ktap.equal(session.recv(10, socket.MSG_PEEK), b"")
                for size in sizes:
                    if size != REFUSED:
                        told(session, found)
                counters = pgm.stats(session)
                memory = session.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)
                source.shutdown(socket.SHUT_WR)
                told(session, found)
                ktap.equal(session.recv(10), b"", "the end")
                after = there.counters()
    # How many SPMs come, and that of sources that linger nobody takes any, depends on times.
    counted = {name: after[name] - before[name] for name in after if name not in UNSTEADY}
    return found, {name: counters[name] for name in STEADY}, memory, counted


@ktap.test(variants=(variant.V4, variant.V6_UDP))
def test_traced_sessions_are_the_same():
    """While windows are traced no packet takes the short way to its reader: all else is as it was."""
    with net.shared() as lan:
        for plain, traced in zip(life(lan, False), life(lan, True)):
            ktap.equal(plain, traced)


if __name__ == "__main__":
    ktap.main(setup)
