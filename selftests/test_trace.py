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

TRACEFS = pathlib.Path("/sys/kernel/tracing")
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


if __name__ == "__main__":
    ktap.main(setup)
