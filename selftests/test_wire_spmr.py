#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How receivers ask for an SPM (RFC 3208 section 13), seen by sources that send none."""

import contextlib
import os
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire
from probe import Probe

SOURCES = 20
BACK_OFF, AGAIN = 0.25, 1.0  # SPMR_BO_IVL and SPMR_SPM_IVL
LATE = 0.06  # so much later than its timer a packet may leave: the machine may be an emulated one


@contextlib.contextmanager
def receiver():
    """(host, probe): a datagram socket on a host, and a probe to be many sources."""
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.datagram(lan.hosts[1]),
    ):
        yield lan.hosts[1], probe


def requests(probe, source):
    """All SPMRs for a session, in the order of their coming."""
    session = source.session
    return probe.all(wire.SPMR, session=(session.gsi, session.down[0], pgm.PORT))


@ktap.test(variants=variant.ALL)
def test_requests():
    """Data without SPMs: after a random delay to the group, then to the source, and again later."""
    # req: SPMR-01 SPMR-02 SPMR-03 SPMR-06 SPMR-08 ADDR-14 WIRE-06 WIRE-07 WIRE-10
    with receiver() as (_, probe):
        sources = [probe.source() for _ in range(SOURCES)]
        began = [source.odata(1, b"x") for source in sources]

        def asked_twice():
            return all(len(requests(probe, source)) >= 4 for source in sources)

        ktap.wait_for(asked_twice, "every session has asked twice")
        delays, repeats = [], []
        for source, when in zip(sources, began):
            found = requests(probe, source)[:4]
            ktap.equal([p.destination for p in found], [pgm.GROUP, source.session.address] * 2)
            ktap.equal([p.ttl for p in found[::2]], [1, 1], "TTL of the copy for the group")
            assert found[1].ttl > 1, "the other copy goes further"
            for packet in found:
                ktap.equal((len(packet.data), packet.tsdu_length, packet.flags), (16, 0, 0))
                ktap.equal((packet.sport, packet.dport), source.session.up)
                ktap.equal(packet.ip_options, b"")
            delays.append(found[0].time - when)
            repeats.append(found[2].time - found[1].time)
        delays.sort()
        ktap.note(" ".join(f"{delay * 1000:.0f}" for delay in delays))
        # Some are late because the machine is: the upper bounds are for the others.
        assert 0 < delays[0]
        ktap.soon(delays[-6], BACK_OFF + LATE, "most delays")
        assert AGAIN - 0.001 <= min(repeats), f"again after {min(repeats):.3f} s"
        ktap.soon(sorted(repeats)[-6], AGAIN + BACK_OFF + LATE, "most repetitions")
        assert delays[-4] - delays[3] > BACK_OFF / 8, "the delay does not vary"


@ktap.test(variants=variant.ALL)
def test_others_ask():
    """The SPMR of another receiver during the delay replaces ours, and so does an SPM."""
    # req: SPMR-04 SPMR-05
    with receiver() as (_, probe):
        sources = [probe.source() for _ in range(SOURCES)]
        hushed = []
        for number, source in enumerate(sources):
            source.odata(1, b"x")
            if number % 2:
                when = source.spm(1, 1)
            else:
                when = source.send(
                    source.session.spmr(), alert=False, source=net.address(250), ttl=1
                )
            hushed.append((source, when))
        # The first may have asked before.
        time.sleep(LATE)
        quiet = [
            source
            for source, when in hushed
            if not [packet for packet in requests(probe, source) if packet.time <= when + LATE]
        ]
        if len(quiet) <= SOURCES / 2:
            raise ktap.Late("few delays were long enough")
        probe.silence(0.8, where=lambda p: any(p.gsi == s.session.gsi for s in quiet))
        answered = [source for source, _ in hushed[1::2]]
        waiting = [source for source, _ in hushed[::2]]
        # No SPM came in answer to the other request: ask again. Where it came: never.
        ktap.wait_for(lambda: all(requests(probe, s) for s in waiting), "they ask again")
        for source in answered:
            assert source not in quiet or not requests(probe, source), "asked in spite of the SPM"


@ktap.test(variants=variant.ALL)
def test_path_is_from_the_spm():
    """NAKs go where the solicited SPM says."""
    # req: SPMR-09 NAK-21 RCV-11
    with receiver() as (host, probe):
        source = probe.source()
        source.odata(1, b"x")
        source.odata(3, b"x")
        probe.wait(wire.SPMR, destination=source.session.address)
        probe.silence(0.1, wire.NAK)
        parent = net.address(200)
        probe.stand_in(parent, host)
        source.spm(1, 3, path=parent)
        ktap.equal(probe.wait(wire.NAK).destination, parent)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
