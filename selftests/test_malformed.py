#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets that are wrong are dropped, never answered, and harm nobody."""

import os
import random
import select
import socket
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

# Where the address families stand; a second one is behind the first address.
AFI_AT = {wire.SPM: 28, wire.POLL: 24, wire.NAK: 20, wire.NNAK: 20, wire.NCF: 20}
TWO_ADDRESSES = (wire.NAK, wire.NNAK, wire.NCF)
OTHER_GROUPS = {4: "239.192.7.99", 6: "ff15::7:99"}
GSI = b"\x0a\x0b\x0c\x0d\x0e\x0f"


class Attacker:
    """A third host that sends hand-made packets and hears whether anybody answers."""

    def __init__(self, lan):
        self.host = lan.hosts[2]
        how = (socket.SOCK_DGRAM,) if variant.now().udp else (socket.SOCK_RAW, pgm.IPPROTO_PGM)
        with self.host:
            self.raw = socket.socket(variant.now().family, *how)
        pgm.set_options(self.raw, pgm.multicast(loop=0))
        self.capture = wire.Capture(self.host)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()
        self.capture.__exit__()

    def send(self, data, to):
        """One PGM packet."""
        self.raw.sendto(data, (to, variant.port(to)))

    def answers(self):
        """What came to this host alone, or speaks of our session."""
        return [
            packet
            for packet in self.capture.packets()
            if not packet.outgoing
            and (packet.destination == self.host.address or GSI in packet.data)
        ]


def truncations(session):
    """Every packet type cut at every length, the checksum right for what is left."""
    for whole in session.every_type().values():
        for length in range(len(whole)):
            yield wire.with_checksum(whole[:length])
            if length % 7 == 0:
                yield whole[:length]


def bad_options(session):
    """Lengths, order, count and totals of options that cannot be."""
    body = struct.pack("!II", 7, 0)

    def data(opts):
        return wire.packet(wire.ODATA, session.down, GSI, body, opts, b"payload!")

    for length in (0, 1, 2, 3, 5, 7, 9, 64, 255):
        # An option of that length at the end, and OPT_LENGTH of that length.
        yield data(struct.pack("!BBHBBBB", 0, 4, 8, 0x80 | wire.OPT_SYN, length, 0, 0))
        yield data(struct.pack("!BBHBBBB", 0, length, 8, 0x80 | wire.OPT_SYN, 4, 0, 0))
    for total in (0, 1, 3, 4, 5, 7, 9, 12, 255, 0xFFFF):
        yield data(struct.pack("!BBHBBBB", 0, 4, total, 0x80 | wire.OPT_SYN, 4, 0, 0))
    # No OPT_LENGTH first; no end; the end too early; OPT_LENGTH twice; seventeen options.
    yield data(wire.option(wire.OPT_SYN | wire.OPT_END))
    yield data(struct.pack("!BBHBBBB", 0, 4, 8, wire.OPT_SYN, 4, 0, 0))
    yield data(wire.options(*[wire.option(wire.OPT_SYN)] * 17))
    yield data(wire.options(*[wire.option(0x33, bytes(248))] * 200))
    for kind in range(0x01, 0x14):
        for length in (0, 1, 3, 4, 12, 33, 248):
            yield data(wire.options(wire.option(kind, b"\xff" * length)))
            for name in ("SPM", "NAK", "NCF"):
                plain = session.every_type()[name]
                options = wire.options(wire.option(kind, b"\xff" * length))
                yield wire.with_checksum(plain[:5] + b"\x01" + plain[6:] + options)


def bad_headers(session):
    """Versions, types, checksums, lengths and address families that cannot be."""
    for name, whole in session.every_type().items():
        for bits in (0x10, 0x20, 0x40, 0x80, 0xF0):
            yield wire.with_checksum(whole[:4] + bytes([whole[4] | bits]) + whole[5:])
        yield (
            whole[:6]
            + struct.pack("!H", (int.from_bytes(whole[6:8], "big") + 1) & 0xFFFF)
            + whole[8:]
        )
        if "DATA" in name:
            yield whole[:6] + b"\0\0" + whole[8:]  # data without a checksum
        for length in (1, 7, 9, 100, 0xFFFF):
            yield wire.with_checksum(whole[:14] + struct.pack("!H", length) + whole[16:])
        at = AFI_AT.get(whole[4])
        places = (at, at + len(wire.nla(session.address))) if whole[4] in TWO_ADDRESSES else (at,)
        for at in places if at else ():
            for family in (0, 3, 0xFFFF, 2 if variant.now().version == 4 else 1):
                yield wire.with_checksum(whole[:at] + struct.pack("!H", family) + whole[at + 2 :])
    for kind in (3, 6, 7, 0xE, 0xF):
        yield wire.packet(kind, session.down, GSI, bytes(24))


def bad_fragments(session):
    """OPT_FRAGMENT that contradicts itself or the packet."""
    for first, offset, total in (
        (7, 0, 0),
        (7, 4, 4),
        (8, 0, 100),
        (7, 0xFFFFFFFF, 0xFFFFFFFF),
        (7, 0xFFFFFFFC, 8),
        (0, 1 << 20, 1 << 21),
        (7, 0, 0xFFFFFFFF),
        # Around 2^32, in offsets and in sequence numbers.
        (7, 0xFFFFFFF8, 0xFFFFFFF0),
        (0xFFFFFFFF, 8, 24),
        (0x80000007, 8, 24),
        # Pieces of one message that overlap, and that say different things of it.
        (7, 0, 24),
        (7, 4, 24),
        (7, 12, 24),
        (7, 8, 20),
        (6, 8, 24),
        (6, 16, 4096),
    ):
        option = wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, offset, total))
        for sqn in (7, 8, 9):
            yield session.data(wire.ODATA, sqn, 7, b"payload!", option)


def strange_windows(session):
    """Well-formed packets about windows that make no sense."""
    for trail, lead in ((0, 0x7FFFFFFF), (0x80000000, 0), (1 << 31, 1 << 30), (10, 5), (0, 0)):
        yield session.spm(lead & 0xFFFF, trail, lead)
    for sqn, trail in ((0, 0x7FFFFFFF), (1 << 31, 0), (0xFFFFFFFF, 0xFFFFFFFF), (5, 6)):
        yield session.data(wire.ODATA, sqn, trail, b"x")
        yield session.data(wire.RDATA, sqn, trail, b"x")


def noise(_session):
    """Random bytes, and random bytes behind a plausible header."""
    rng = random.Random(7)
    for _ in range(300):
        yield rng.randbytes(rng.randint(0, 200))
        kind = rng.choice(list(wire.NAMES))
        head = struct.pack("!HHBB", 0x1234, pgm.PORT, kind, rng.choice((0, 1, 3, 0x80)))
        yield wire.with_checksum(head + b"\0\0" + GSI + rng.randbytes(rng.randint(0, 120)))


ATTACKS = {
    "truncations": truncations,
    "bad_options": bad_options,
    "bad_headers": bad_headers,
    "bad_fragments": bad_fragments,
    "strange_windows": strange_windows,
    "noise": noise,
}


@ktap.each(ATTACKS, timeout=90)
def attack(generate):
    """While a session runs: it is not disturbed."""
    # req: OPT-13 OPT-27 SEC-07
    # attack: A-01 A-02 A-03 A-04 A-06
    with net.shared(3) as lan, Attacker(lan) as attacker:
        one, two, _ = lan.hosts
        sent = pgm.messages(2_000, (100, 1_000))
        with pgm.listener(two, backlog=100) as listening, pgm.datagram(two) as bus:
            source = pgm.source(one, window=(4_000, 2_000, 0))
            identifier = pgm.tsi(source)

            def receive():
                others = []  # the attacker's packets may well make sessions of their own
                while True:
                    session, _ = pgm.accept(listening)
                    if pgm.tsi(session) == identifier:
                        break
                    others.append(session)
                with session:
                    return pgm.receive_all(session), pgm.stats(session)

            receiver = pgm.Background(receive)
            sender = pgm.Background(lambda: [source.send(message) for message in sent])
            # A session of the attacker's own, and packets that claim to be of the live one.
            own = wire.Session(attacker.host.address, pgm.GROUP, pgm.PORT, gsi=GSI)
            port = int.from_bytes(identifier[6:], "big")
            forged = wire.Session(one.address, pgm.GROUP, pgm.PORT, port, GSI)
            count = 0
            for session in (own, forged):
                for packet in generate(session):
                    for to in (pgm.GROUP, one.address, two.address):
                        attacker.send(packet, to)
                        count += 1
            sender.result()
            source.close()
            got, counters = receiver.result()
            pgm.same(got, sent)
            ktap.equal(counters["lost"], 0)
            ktap.note(f"{count} packets, {len(attacker.answers())} answers")
            bus.close()
            # Everything still works.
            with pgm.datagram(two) as after, pgm.source(one) as again:
                again.send(b"after")
                while after.recv(2000) != b"after":
                    pass


def discards(host):
    """How many packets a host has dropped, for whatever reason."""
    return sum(v for n, v in host.counters().items() if n.startswith("InDiscard"))


@ktap.each({"bad_headers": bad_headers, "noise": noise})
def never_answered(generate):
    """No NAK, NCF, SPM or SPMR in answer, and each is counted at both hosts."""
    # req: WIRE-04 WIRE-05 WIRE-16 WIRE-17 WIRE-20
    with net.shared(3) as lan, Attacker(lan) as attacker:
        one, two, _ = lan.hosts
        with pgm.listener(two) as listening, pgm.datagram(two) as bus, pgm.source(one) as source:
            own = wire.Session(attacker.host.address, pgm.GROUP, pgm.PORT, gsi=GSI)
            before = discards(one), discards(two)
            count = 0
            for packet in generate(own):
                for to in (pgm.GROUP, one.address, two.address):
                    attacker.send(packet, to)
                count += 1
            time.sleep(0.6)  # longer than any back-off that an answer may wait for
            found = attacker.answers()
            for packet in found[:5]:
                ktap.note(packet)
            assert not found, f"{len(found)} answers"
            grown = discards(one) - before[0], discards(two) - before[1]
            ktap.note(f"{count} packets to the group and to each host, dropped: {grown}")
            if generate is bad_headers:
                # Each host got each packet twice. The source is in no group.
                assert grown[1] >= 2 * count, "not every packet was dropped and counted"
                for sock in (listening, bus):
                    ktap.equal(select.select([sock], [], [], 0)[0], [], "something was delivered")
            source.send(b"x")
            while bus.recv(2000) != b"x":
                pass


@ktap.test
def test_many_options():
    """Header and options of 512 bytes are taken; more, up to 16 long options, is dropped and counted."""
    # attack: A-01
    with net.shared(3) as lan, Attacker(lan) as attacker:
        two = lan.hosts[1]
        own = wire.Session(attacker.host.address, pgm.GROUP, pgm.PORT, gsi=GSI)
        unknown = [wire.option(0x33, bytes(size)) for size in (248, 228)]
        with pgm.datagram(two) as bus:
            attacker.send(own.spm(0, 1, 0), pgm.GROUP)
            ktap.wait_for(lambda: two.counters()["InSpm"], "the session is known")
            attacker.send(own.data(wire.ODATA, 1, 1, b"at the bound", *unknown), pgm.GROUP)
            ktap.equal(bus.recv(100), b"at the bound")
            before = two.counters()["InDiscardOptions"]
            for count, items in enumerate(([*unknown, wire.option(0x33)], unknown[:1] * 16), 1):
                for kind in (wire.ODATA, wire.RDATA):
                    attacker.send(own.data(kind, 2, 1, b"beyond", *items), pgm.GROUP)
                dropped = before + 2 * count
                ktap.wait_for(
                    lambda wanted=dropped: two.counters()["InDiscardOptions"] == wanted, "dropped"
                )
            attacker.send(own.data(wire.ODATA, 2, 1, b"plain"), pgm.GROUP)
            ktap.equal(bus.recv(100), b"plain")


@ktap.test
def test_unicast_to_receivers():
    """What a source sends to one host alone reaches no receiver, of a session that it has or not."""
    # attack: A-06
    with net.shared(3) as lan, Attacker(lan) as attacker:
        two = lan.hosts[1]
        known, other = (
            wire.Session(attacker.host.address, pgm.GROUP, pgm.PORT, gsi=gsi)
            for gsi in (GSI, bytes(reversed(GSI)))
        )
        with pgm.datagram(two) as bus:
            for number, said in (1, b"one"), (2, b"two"):
                before = two.counters()["InDiscardNoSocket"]
                attacker.send(known.data(wire.ODATA, number, 1, said), pgm.GROUP)
                ktap.equal(bus.recv(100), said)
                forged = [
                    packet
                    for session in (known, other)
                    for packet in (
                        session.spm(7, 1, number),
                        session.spm(8, 1, number, wire.option(wire.OPT_FIN)),
                        session.data(wire.ODATA, number + 1, 1, b"forged"),
                        session.data(wire.RDATA, number + 1, 1, b"forged"),
                    )
                ]
                for packet in forged:
                    attacker.send(packet, two.address)
                ktap.wait_for(
                    lambda: two.counters()["InDiscardNoSocket"] == before + len(forged),
                    "they are dropped",
                )
                ktap.equal(select.select([bus], [], [], 0)[0], [], "something was delivered")


@ktap.test
def test_naks_of_other_sessions():
    """A source answers NAKs for its own session, source address and group only."""
    # req: SRC-16 SRC-24
    with net.shared(3) as lan, Attacker(lan) as attacker:
        one = lan.hosts[0]
        with pgm.source(one, window=(20_000, 5_000, 0)) as source:
            for _ in range(10):
                source.send(b"payload")
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 10, "the data have left")
            identifier = pgm.tsi(source)
            gsi, port = identifier[:6], int.from_bytes(identifier[6:], "big")
            right = wire.Session(one.address, pgm.GROUP, pgm.PORT, port, gsi)
            before = pgm.stats(source)
            other_group = OTHER_GROUPS[variant.now().version]
            wrong = [
                wire.Session(one.address, pgm.GROUP, pgm.PORT, port, GSI).nak(wire.NAK, 3),
                wire.Session(one.address, pgm.GROUP, pgm.PORT + 1, port, gsi).nak(wire.NAK, 3),
                wire.Session(one.address, pgm.GROUP, pgm.PORT, port ^ 1, gsi).nak(wire.NAK, 3),
                right.nak(wire.NAK, 3, source=net.address(99)),
                right.nak(wire.NAK, 3, group=other_group),
                right.nak(wire.NNAK, 3),
            ]
            for packet in wrong:
                attacker.send(packet, one.address)
            time.sleep(0.3)
            after = pgm.stats(source)
            ktap.equal((after["ncf"], after["rdata"]), (before["ncf"], before["rdata"]))
            attacker.send(right.nak(wire.NAK, 3), one.address)
            ktap.wait_for(lambda: pgm.stats(source)["rdata"] == 1, "the right one is answered")
            ktap.equal(pgm.stats(source)["ncf"], 1)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
