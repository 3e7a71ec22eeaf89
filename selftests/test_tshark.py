#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""An independent dissector finds nothing wrong with what we send."""

import collections
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import dissector
import ktap
import net
import pgm
import variant
import wire
from probe import Probe

# tshark takes long to start. What the tests of interoperation capture over all variants is decoded
# outside of the guest.
ktap.usual_variants((variant.V4, variant.V6_UDP))

LAST = b"the very last message"
WANTED = (wire.SPM, wire.ODATA, wire.RDATA, wire.NAK, wire.NCF)
OURS = b"\x02by us"  # GSI of the session made by hand


def need_tshark():
    """The module, tshark and tcpdump."""
    pgm.need_module()
    dissector.need()
    if not shutil.which("tcpdump"):
        raise ktap.Skip("no tcpdump")


def filters():
    """What the capture is about."""
    ip = "ip" if variant.now().version == 4 else "ip6"
    ports = f"udp portrange {variant.UNICAST}-{variant.MULTICAST}"
    return f"{ip} and {ports}" if variant.now().udp else f"{ip} proto {pgm.IPPROTO_PGM}"


def by_hand(lan):
    """A session that makes a receiver send what others seldom do, and one packet of each type."""
    where = pgm.GROUP, pgm.PORT + 5_000
    with Probe(lan.hosts[0]) as probe, pgm.datagram(lan.hosts[1], at=where):
        source = probe.source(port=where[1], gsi=OURS)
        source.odata(1, b"without an SPM")
        probe.wait(wire.SPMR)
        source.spm(1, 1)
        source.send(source.session.poll(1, 0, ask=(10_000, 0, 0)))
        probe.wait(wire.POLR)
        for data in source.session.every_type().values():
            probe.send(data, pgm.GROUP)
        probe.send(source.session.spmr(opts=wire.options(wire.option(wire.OPT_SYN))), pgm.GROUP)


def lossy_run(lan, file):
    """Captures a transfer with loss, fragments, FIN, and a session that is reset."""
    first, *others = lan.hosts
    capture = first.popen(
        *("tcpdump", "-i", "eth0", "-U", "-B", "16384", "-w", file, filters()),
        stderr=subprocess.PIPE,
    )
    ktap.wait_for(lambda: file.exists() and file.stat().st_size >= 24, "the capture has begun")
    sent = pgm.messages(400, (1, 5_000))
    try:
        listeners = [pgm.listener(host) for host in others]
        for host in others:
            lan.impair(host, "loss 5%")
        source = pgm.source(first, window=(20_000, 2_000, 0), options={pgm.PGM_AMBIENT_SPM: 50_000})
        ktap.wait_for(lambda: pgm.stats(source)["spm"] >= 4, "the session is announced")

        def receive(listening):
            session, _ = pgm.accept(listening)
            with session:
                return pgm.receive_all(session)

        receivers = [pgm.Background(receive, listening) for listening in listeners]
        for message in sent:
            source.send(message)
        source.shutdown(socket.SHUT_WR)
        for receiver in receivers:
            pgm.same(receiver.result(), sent)
        counters = pgm.stats(source)
        source.close()
        for host in others:
            lan.impair(host, None)
        by_hand(lan)
        broken = pgm.source(first)
        broken.send(LAST)
        ktap.wait_for(lambda: LAST in file.read_bytes(), "the capture is complete")
        pgm.reset_close(broken)
        for listening in listeners:
            listening.close()
    finally:
        capture.terminate()
        ktap.note(capture.communicate()[1].decode().strip())
    return counters


@ktap.test(timeout=120)
def test_lossy_run():
    """No malformed packet, no bad checksum, and every type is there."""
    # req: WIRE-01 WIRE-02 WIRE-13 SRC-16 SRC-19
    with net.shared(3) as lan, tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "run.pcap")
        counters = lossy_run(lan, file)
        decoded = dissector.decode(file)
    types, by_us = collections.Counter(), collections.Counter()
    bad = []
    for number, packet in enumerate(decoded, 1):
        if packet.short_spmr:
            continue
        session = by_us if packet.gsi.replace(":", "") == OURS.hex() else types
        session[packet.type] += 1
        if packet.bad:
            bad.append(f"packet {number}: {packet}")
    for session in (types, by_us):
        ktap.note({wire.NAMES.get(kind, kind): count for kind, count in sorted(session.items())})
    for line in bad[:10]:
        ktap.note(line)
    assert not bad, f"{len(bad)} bad packets"
    for kind in WANTED:
        assert types[kind] > 0, f"no {wire.NAMES[kind]}"
    assert set(types) <= {*WANTED, wire.SPMR}, "types that nobody should send"
    assert set(by_us) == set(wire.NAMES), "not every type"
    # The session that was reset had one more ODATA; nothing was lost in front of the capture.
    ktap.equal(types[wire.ODATA], counters["odata"] + 1)
    assert types[wire.RDATA] >= counters["rdata"] > 0


if __name__ == "__main__":
    ktap.main(need_tshark)
