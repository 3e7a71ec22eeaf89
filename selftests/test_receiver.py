#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a receiver does, seen by a probe that plays its source."""

import os
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire
from probe import Probe


def join(sqn):
    """OPT_JOIN"""
    return wire.option(wire.OPT_JOIN, struct.pack("!I", sqn))


@ktap.test
def test_late_join():
    """An SPM with OPT_JOIN opens history: the session is accepted and asks for it."""
    # req: OPT-40 OPT-42
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, pgm.listener(lan.hosts[1]) as listening:
        source = probe.source()
        source.spm(95, 99, join(90))
        session, _ = pgm.accept(listening)
        probe.wait(wire.NAK, numbers=[95, 96, 97, 98, 99])
        source.odata(100, b"100", join(97), trail=95)
        for sqn in range(95, 100):
            source.rdata(sqn, b"%d" % sqn, trail=95)
        for sqn in range(95, 101):
            ktap.equal(session.recv(100), b"%d" % sqn)


@ktap.test
def test_late_join_by_repair():
    """RDATA starts a session if OPT_JOIN is on it, and only then."""
    # req: OPT-40 OPT-41 RCV-04
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, pgm.listener(lan.hosts[1]) as listening:
        closed, opened = probe.source(), probe.source()
        closed.rdata(7, b"no")
        opened.rdata(7, b"yes", join(7))
        session, (_, port) = pgm.accept(listening)
        ktap.equal(port, opened.session.down[0])
        ktap.equal(session.recv(100), b"yes")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
