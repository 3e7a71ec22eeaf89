#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a session looks like on the wire."""

import collections
import functools
import os
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire

ktap.usual_variants(variant.ALL)


def of_kind(packets, *kinds):
    """Captured packets of some types."""
    return [packet for packet in packets if packet.kind in kinds]


Run = collections.namedtuple("Run", "packets source receiver port tsi")


def lossy_session():
    """A transfer with repairs: all packets as the source's cable saw them."""
    return _lossy_session(variant.now())


@functools.cache
def _lossy_session(_variant):
    with net.shared(3) as lan:
        one, two, _ = lan.hosts
        with pgm.listener(two) as listening, wire.Capture(one, pgm.PORT) as capture:
            # NAKs pass; of what goes to the receiver, every tenth packet does not.
            lan.toward(two, "loss 10%")
            options = {pgm.PGM_AMBIENT_SPM: 50_000}
            source = pgm.source(
                one, window=(20_000, 1_000, 0), options=options, **pgm.multicast(ttl=7)
            )
            tsi = pgm.tsi(source)
            ktap.wait_for(lambda: pgm.stats(source)["spm"] >= 4, "the session is announced")
            receiver = pgm.Background(lambda: pgm.receive_all(pgm.accept(listening)[0]))
            sent = pgm.messages(200, (100, 5_000))
            for message in sent:
                source.send(message)
            source.close()
            pgm.same(receiver.result(), sent)
            found = capture.packets()
            ktap.wait_for(
                lambda: found.extend(capture.packets()) or wire.OPT_FIN in found[-1].options,
                "an SPM with FIN is last",
                interval=0.3,
            )
            return Run(found, one.address, two.address, pgm.PORT, tsi)


@ktap.test
def test_headers():
    """Type, ports, GSI and checksum of every packet."""
    # req: WIRE-01 WIRE-03 WIRE-06 WIRE-07 WIRE-10 WIRE-13
    run = lossy_session()
    kinds = {packet.kind for packet in run.packets}
    assert {wire.SPM, wire.ODATA, wire.RDATA, wire.NAK, wire.NCF} <= kinds, kinds
    (gsi,) = {packet.gsi for packet in run.packets}
    ktap.equal(gsi, run.tsi[:6])
    sport = int.from_bytes(run.tsi[6:], "big")
    for packet in run.packets:
        upstream = packet.kind in (wire.NAK, wire.NNAK, wire.SPMR)
        ports = (run.port, sport) if upstream else (sport, run.port)
        ktap.equal((packet.sport, packet.dport), ports, wire.NAMES[packet.kind])
        ktap.equal(packet.reserved, 0, "version and reserved bits")
        ktap.equal(wire.with_checksum(packet.data), packet.data, "checksum")


@ktap.test
def test_addresses():
    """IP addresses, TTL, Router Alert, and the addresses inside."""
    # req: ADDR-01 ADDR-03 ADDR-10 ADDR-12 ADDR-16 ADDR-19
    run = lossy_session()
    # No Router Alert value of IPv6 means PGM; no router looks for PGM in UDP.
    alert = wire.ROUTER_ALERT if variant.now() == variant.V4 else b""
    for packet in run.packets:
        kind, name = packet.kind, wire.NAMES[packet.kind]
        ktap.equal(packet.version, variant.now().version)
        ktap.equal((packet.udp or (0, 0))[1], variant.port(packet.destination), "UDP port")
        if kind == wire.NAK:
            ktap.equal((packet.source, packet.destination), (run.receiver, run.source))
        elif kind != wire.SPMR:
            where = packet.source, packet.destination, packet.ttl
            ktap.equal(where, (run.source, pgm.GROUP, 7), name)
        if kind in (wire.SPM, wire.NCF, wire.RDATA):
            ktap.equal(packet.ip_options, alert, name)
        elif kind == wire.ODATA:
            ktap.equal(packet.ip_options, b"", name)
        if kind in (wire.NAK, wire.NCF):
            ktap.equal((packet.nak_source, packet.nak_group), (run.source, pgm.GROUP), name)
        elif kind == wire.SPM:
            ktap.equal(packet.path, run.source, "Path NLA")


@ktap.test
def test_spms():
    """SPM_SQN counts, edges never go back, FIN comes at the end and stays."""
    # req: OPT-53 OPT-55 SRC-13 TXW-03 WIRE-27
    run = lossy_session()
    spms = of_kind(run.packets, wire.SPM)
    numbers = [packet.sqn for packet in spms]
    ktap.equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "SPM_SQN")
    fins = [wire.OPT_FIN in packet.options for packet in spms]
    ktap.equal(fins, sorted(fins), "FIN on every later SPM")
    assert not fins[0] and fins.count(True) > 1, fins
    last = max(packet.sqn for packet in of_kind(run.packets, wire.ODATA))
    for packet in spms[fins.index(True) :]:
        ktap.equal(packet.lead, last, "LEAD in an SPM with FIN")
    trail = 0
    for packet in of_kind(run.packets, wire.SPM, wire.ODATA, wire.RDATA):
        assert packet.trail >= trail, f"TRAIL went back from {trail} to {packet.trail}"
        trail = packet.trail


@ktap.test
def test_options():
    """Order, lengths, END and reserved bits of all options, and the two bits that speak of them."""
    # req: OPT-01 OPT-02 OPT-03 OPT-04 OPT-05 OPT-06 OPT-07 OPT-08 OPT-50 OPT-59
    seen = set()
    for packet in lossy_session().packets:
        kinds = list(packet.options)
        seen.update(kinds)
        significant = [kind in wire.SIGNIFICANT for kind in kinds[1:]]
        flags = wire.PRESENT * bool(kinds) | wire.NETWORK_SIGNIFICANT * any(significant)
        ktap.equal(packet.flags, flags, f"{packet}")
        if not kinds:
            continue
        options = list(packet.options.values())
        ktap.equal((kinds[0], len(options[0])), (wire.OPT_LENGTH, 4))
        total = sum(map(len, options))
        ktap.equal(int.from_bytes(options[0][2:], "big"), total)
        assert len(options) <= 16 and len(set(kinds)) == len(kinds), packet
        ends = [bool(option[0] & wire.OPT_END) for option in options]
        ktap.equal(ends, [False] * (len(ends) - 1) + [True], "OPT_END")
        ktap.equal(significant, sorted(significant, reverse=True), "order")
        for option in options[1:]:
            ktap.equal(option[2:4], b"\0\0", "reserved bits, F, OPX and U")
        data_only = {wire.OPT_FRAGMENT, wire.OPT_SYN} & set(kinds)
        assert not data_only or packet.kind in (wire.ODATA, wire.RDATA), packet
        assert wire.OPT_RST not in kinds
    assert {wire.OPT_FRAGMENT, wire.OPT_NAK_LIST, wire.OPT_SYN, wire.OPT_FIN} <= seen, seen


@ktap.test
def test_fragments():
    """OPT_FRAGMENT of a large message: consecutive numbers, offsets without a gap, whole length."""
    # req: OPT-20 OPT-21 OPT-22
    run = lossy_session()
    ours = {}
    for packet in run.packets:
        option = packet.options.get(wire.OPT_FRAGMENT)
        if not option:
            continue
        assert packet.kind in (wire.ODATA, wire.RDATA), packet
        assert packet.length <= 1500, "larger than the MTU"
        if packet.kind == wire.ODATA:
            first, offset, length = struct.unpack("!III", option[4:16])
            ours.setdefault((first, length), []).append((packet.sqn, offset, packet.tsdu_length))
    assert len(ours) > 50, "few messages had fragments"
    for (first, length), parts in ours.items():
        expected = 0
        for place, (sqn, offset, tsdu) in enumerate(parts):
            ktap.equal((sqn, offset), (first + place, expected))
            expected += tsdu
        ktap.equal(expected, length, "length of the message")


@ktap.test
def test_repairs():
    """RDATA repeats what ODATA said, with the TRAIL of now; only what was asked for; NCF first."""
    # req: OPT-23 SRC-17 SRC-21 SRC-22
    run = lossy_session()
    data, confirmed = {}, set()

    def said(packet):
        # The last packet gets OPT_FIN when the source closes, maybe after its ODATA (RFC 3208 §9.7):
        # then OPT_LENGTH and the place of OPT_END differ as well.
        grows = (wire.OPT_LENGTH, wire.OPT_FIN)
        options = {kind: whole[1:] for kind, whole in packet.options.items() if kind not in grows}
        return options, packet.payload

    for packet in run.packets:
        sqn = packet.sqn
        if packet.kind == wire.NCF:
            confirmed.update(packet.numbers)
        elif packet.kind == wire.ODATA:
            assert sqn not in data, f"ODATA {sqn} was sent twice"
            data[sqn] = said(packet)
        elif packet.kind == wire.RDATA:
            assert sqn in confirmed, f"RDATA {sqn} without an NCF before it"
            ktap.equal(said(packet), data[sqn], f"options and payload of RDATA {sqn}")


@ktap.test
def test_naks():
    """Lists rise, have no doubles and at most 62 numbers; each NCF repeats its NAK."""
    # req: OPT-30 OPT-31 OPT-34 SRC-16
    run = lossy_session()
    naks, ncfs = of_kind(run.packets, wire.NAK), of_kind(run.packets, wire.NCF)
    for packet in naks:
        ktap.equal(packet.numbers, sorted(set(packet.numbers)))
        assert len(packet.numbers) <= 63
    asked = {tuple(packet.numbers) for packet in naks}
    for packet in ncfs:
        assert tuple(packet.numbers) in asked, "an NCF that no NAK asked for"
    answered = {tuple(packet.numbers) for packet in ncfs}
    assert asked <= answered, "a NAK that was never confirmed"


@ktap.test
def test_first_data_have_syn():
    """OPT_SYN on the first ODATA only; numbers rise by one."""
    # req: OPT-50 SRC-01 WIRE-19 WIRE-22
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        with pgm.source(lan.hosts[0]) as source:
            for n in range(20):
                source.send(bytes(n))
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 20, "the data have left")
        data = of_kind(capture.packets(), wire.ODATA)
        ktap.equal([wire.OPT_SYN in packet.options for packet in data], [True] + [False] * 19)
        numbers = [packet.sqn for packet in data]
        ktap.equal(numbers, list(range(numbers[0], numbers[0] + 20)))
        ktap.equal([packet.tsdu_length for packet in data], list(range(20)))


@ktap.test
def test_heartbeats():
    """SPMs at once and before any data; after data they double from IHB_MIN to IHB_MAX."""
    # req: SRC-09 SRC-10 SRC-12 SRC-15
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        sock = pgm.pgm_socket(lan.hosts[0])
        heartbeat = struct.pack("=II", 100_000, 400_000)
        sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, heartbeat)
        sock.connect((pgm.GROUP, pgm.PORT))
        with sock as source:
            first = ktap.wait_for(
                lambda: of_kind(capture.packets(), wire.SPM), "an SPM at connect()"
            )
            ktap.equal(first[0].trail, (first[0].lead + 1) & 0xFFFFFFFF, "an empty window")
            source.send(b"x")
            found = []
            ktap.wait_for(lambda: found.extend(capture.packets()) or len(found) > 6, "heartbeats")
            began = of_kind(found, wire.ODATA)[0].time
            # An emulated machine may be late, but never early; and one SPM may follow at once.
            times = [
                packet.time - began
                for packet in of_kind(found, wire.SPM)
                if packet.time > began + 0.05
            ]
            for time_, planned in zip(times, (0.1, 0.3, 0.7, 1.1, 1.5)):
                assert time_ > 0.95 * planned, f"heartbeats after {times} s"
            for _ in range(30):
                source.send(b"x")
                time.sleep(0.03)
            last = 0
            for packet in capture.packets():
                if packet.kind == wire.ODATA:
                    last = packet.time
                elif last:
                    assert packet.time > last + 0.07, "a heartbeat between data"


@ktap.test
def test_ambient():
    """Ambient SPMs go on while data flow."""
    # req: SRC-08
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        with pgm.pgm_socket(lan.hosts[0]) as source:
            heartbeat = struct.pack("=II", 60_000_000, 60_000_000)
            source.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, heartbeat)
            pgm.set_int(source, pgm.PGM_AMBIENT_SPM, 100_000)
            source.connect((pgm.GROUP, pgm.PORT))
            capture.packets()
            for _ in range(50):
                source.send(b"x")
                time.sleep(0.02)
            times = [packet.time for packet in of_kind(capture.packets(), wire.SPM)]
            assert len(times) >= 3, f"{len(times)} SPMs in a second or more"
            every = (times[-1] - times[0]) / (len(times) - 1)
            assert every > 0.09, f"an SPM each {every:.3f} s"
            ktap.soon(every, 0.2, "the time between SPMs")


@ktap.test
def test_rate():
    """What leaves in a second is no more than the rate says."""
    # req: SRC-03
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        with pgm.source(lan.hosts[0], window=(2_000, 1_000, 0)) as source:
            began = time.monotonic()
            for _ in range(400):
                source.send(bytes(1_000))
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 400, "all has left")
            took = time.monotonic() - began
        sent = sum(packet.length for packet in of_kind(capture.packets(), wire.ODATA))
        rate = sent * 8 / took / 1000
        ktap.note(f"{sent} bytes in {took:.2f} s: {rate:.0f} kbit/s")
        assert rate < 2_200, "faster than 2000 kbit/s"
        assert rate > 200, "slower by far than an emulator explains"


@ktap.test
def test_window_advances_with_time():
    """TRAIL follows LEAD within the window's time when nothing is sent."""
    # req: TXW-04 TXW-12
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        options = {pgm.PGM_AMBIENT_SPM: 100_000}
        with pgm.source(lan.hosts[0], window=(20_000, 500, 0), options=options) as source:
            for _ in range(20):
                source.send(b"x")
            time.sleep(1.5)
            last = of_kind(capture.packets(), wire.SPM)[-1]
            ktap.equal(last.trail, (last.lead + 1) & 0xFFFFFFFF, "the window has closed")


@ktap.test
def test_reset_spm():
    """SO_LINGER {1,0}: an SPM with OPT_RST at once."""
    # req: OPT-60
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        source = pgm.source(lan.hosts[0])
        source.send(b"x")
        time.sleep(0.05)
        capture.packets()
        pgm.reset_close(source)
        found = ktap.wait_for(lambda: of_kind(capture.packets(), wire.SPM), "an SPM")
        assert wire.OPT_RST in found[0].options


if __name__ == "__main__":
    ktap.main(pgm.need_module)
