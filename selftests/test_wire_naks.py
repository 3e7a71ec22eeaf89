#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The NAK state machine of a receiver (RFC 3208 section 6.3), seen by its source."""

import contextlib
import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire
from probe import Probe


@contextlib.contextmanager
def session(**intervals):
    """A datagram socket that hears the session of a probe."""
    options = {getattr(pgm, f"PGM_{name.upper()}"): value for name, value in intervals.items()}
    with net.shared() as lan, Probe(lan.hosts[0], pgm.PORT) as probe:
        with pgm.datagram(lan.hosts[1], options=options) as sock:
            yield sock, probe, probe.source()


@ktap.test
def test_gap():
    """A gap makes one NAK for all of it; repairs end the recovery, the rest is asked for again."""
    # req: NAK-02 NAK-09 RCV-14 OPT-32
    with session() as (sock, probe, source):
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        source.odata(7, b"7", trail=1)
        nak = probe.wait(wire.NAK)
        ktap.equal(nak.numbers, [2, 3, 4, 5, 6])
        ktap.equal(nak.destination, source.session.address)
        source.ncf(2, 3, 4, 5, 6)
        for sqn in (2, 4, 5):
            source.rdata(sqn, b"%d" % sqn, trail=1)
        ktap.equal(probe.wait(wire.NAK).numbers, [3, 6])
        source.ncf(3, 6)
        for sqn in (3, 6):
            source.rdata(sqn, b"%d" % sqn, trail=1)
        ktap.equal([sock.recv(9) for _ in range(7)], [b"%d" % n for n in range(1, 8)])
        probe.silence(0.3, wire.NAK)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
