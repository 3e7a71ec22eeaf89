#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a receiver takes and what it refuses, seen by a probe that plays its source."""

import contextlib
import errno
import os
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
from probe import Probe

PARENTS = "10.77.0.201", "10.77.0.202"
RESERVED = b"\xff\xff"
UDP_SEGMENT = 103


@contextlib.contextmanager
def receiver(**options):
    """(socket, probe, source): a datagram socket and a source that it does not know yet."""
    options = {getattr(pgm, f"PGM_{name.upper()}"): value for name, value in options.items()}
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.datagram(lan.hosts[1], options=options) as sock,
    ):
        yield sock, probe, probe.source()


@contextlib.contextmanager
def session():
    """(session, probe, source): a source that sent one packet, and was accepted."""
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.listener(lan.hosts[1]) as listening,
    ):
        source = probe.source()
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        accepted, _ = pgm.accept(listening)
        with accepted:
            ktap.equal(accepted.recv(10), b"1")
            yield accepted, probe, source


def fails(sock, error):
    """The next call fails with an error."""
    try:
        got = sock.recv(100)
    except OSError as raised:
        ktap.equal(raised.errno, error)
    else:
        raise AssertionError(f"no {errno.errorcode[error]}, but {got}")


def nothing(sock):
    """Nothing can be read now."""
    try:
        got = sock.recv(100, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return
    raise AssertionError(f"received {got}")


def reads(sock, *messages):
    """These messages come next."""
    ktap.equal([sock.recv(1 << 16) for _ in messages], list(messages))


def fragment(first, offset, total):
    """OPT_FRAGMENT"""
    return wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, offset, total))


@ktap.test(variants=variant.ALL)
def test_start():
    """Reception starts with the first packet: older ones are not asked for, later ones are."""
    # req: RCV-01 RCV-02 RCV-03 OPT-41 NAK-21
    with receiver() as (sock, probe, source):
        source.odata(90_000, b"first", trail=89_900)
        reads(sock, b"first")
        source.spm(89_900, 90_000)
        source.odata(90_002, b"third", trail=89_900)
        ktap.equal(probe.wait(wire.NAK).numbers, [90_001])
        source.rdata(90_001, b"second", trail=89_900)
        reads(sock, b"second", b"third")
        probe.silence(0.2, wire.NAK)
        source.spm(90_002, 90_005)
        ktap.equal(probe.wait(wire.NAK).numbers, [90_003, 90_004, 90_005])


@ktap.test
def test_join_comes_late():
    """OPT_JOIN opens no history to a receiver that already runs."""
    # req: OPT-43
    history = wire.option(wire.OPT_JOIN, struct.pack("!I", 60))
    with receiver() as (sock, probe, source):
        source.spm(50, 100)
        source.odata(101, b"101", trail=50)
        source.spm(50, 101, history)
        source.odata(102, b"102", history, trail=50)
        reads(sock, b"101", b"102")
        probe.silence(0.2, wire.NAK)


@ktap.test
def test_order():
    """Data are delivered in order and once, and not from outside of the window."""
    # req: RCV-05 RCV-06 RCV-07 RCV-14 RCV-17
    with receiver(nak_bo_ivl=100_000) as (sock, probe, source):
        source.spm(1, 0)
        for sqn in (1, 3, 4):
            for _ in range(3):
                source.odata(sqn, b"%d" % sqn, trail=1)
        reads(sock, b"1")
        nothing(sock)
        source.odata(2, b"2", trail=1)
        reads(sock, b"2", b"3", b"4")
        for sqn in (0, -1, 5 + (1 << 31), 1):
            source.odata(sqn, b"outside", trail=1)
        source.odata(5, b"5", trail=1)
        source.odata(4, b"again", trail=1)
        source.odata(6, b"6", trail=1)
        reads(sock, b"5", b"6")
        probe.silence(0.3, wire.NAK)
        nothing(sock)


@ktap.test
def test_spm_sequence():
    """Only newer SPMs count; the latest says where NAKs go, whatever its window says."""
    # req: RCV-09 RCV-10 RCV-12 RCV-13 ADDR-09 ADDR-10
    one, two = PARENTS
    with receiver() as (sock, probe, source):
        with net.shared() as lan:
            for parent in PARENTS:
                probe.stand_in(parent, lan.hosts[1])
        source.spm(1, 0, sqn=3200, path=one)
        source.odata(1, b"1", trail=1)
        source.odata(3, b"3", trail=1)
        nak = probe.wait(wire.NAK, numbers=[2])
        ktap.equal((nak.destination, nak.nak_source), (one, source.session.address))
        source.odata(2, b"2", trail=1)
        reads(sock, b"1", b"2", b"3")
        for old in (20, 3200, 3200 + (1 << 31) + 1):
            source.spm(1, 10, sqn=old, path=two)
        probe.silence(0.2, wire.NAK, where=lambda nak: nak.sqn > 2)
        source.spm(1, 4, sqn=3201, path=two)
        ktap.equal(probe.wait(wire.NAK, numbers=[4]).destination, two)
        source.odata(4, b"4", trail=1)
        # An older window, and none at all: only the path counts.
        for sqn, (trail, lead), parent in (
            (3202, (1, 2), one),
            (3203, (0, 0x80000000), two),
        ):
            time.sleep(1.05)  # a parent is left after a second at the earliest (SEC-01)
            source.spm(trail, lead, sqn=sqn, path=parent)
            missing = 2 * (sqn - 3202) + 5
            source.odata(missing + 1, b"x", trail=1)
            # It may be late, and the first NAK may still have gone to the other.
            probe.wait(wire.NAK, numbers=[missing], destination=parent)
            source.odata(missing, b"x", trail=1)
        probe.silence(0.2, wire.NAK, where=lambda nak: nak.sqn > 8)


@ktap.test
def test_reordering():
    """Packets that only change places are not asked for; one that stays away is."""
    # req: RCV-17
    with receiver(nak_bo_ivl=10_000) as (sock, probe, source):
        source.spm(1, 0)
        for sqn in (1, 3, 2, 4, 6, 5):
            source.odata(sqn, b"%d" % sqn, trail=1)
        reads(sock, *(b"%d" % sqn for sqn in range(1, 7)))
        probe.silence(0.1, wire.NAK)
        # Nothing follows number 8: a timeout tells that 7 is lost.
        source.odata(8, b"8", trail=1)
        ktap.equal(probe.wait(wire.NAK).numbers, [7])


@ktap.each({"trail_of_spm": "spm", "trail_of_odata": "odata", "trail_of_rdata": "rdata"})
def trail(kind):
    """The trailing edge of any packet is obeyed; what it passes is lost, and reported in its place."""
    # req: RCV-18 RCV-21 RCV-22 TXW-13
    with receiver() as (sock, probe, source):
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        source.odata(5, b"5", trail=1)
        probe.wait(wire.NAK, numbers=[2, 3, 4])
        if kind == "spm":
            source.spm(4, 6)
        else:
            getattr(source, kind)(6, b"6", trail=4)
        reads(sock, b"1")
        fails(sock, errno.ENOBUFS)
        ktap.equal(pgm.loss(sock)[1:], (2, 2))
        for sqn in (4, 6):
            source.rdata(sqn, b"%d" % sqn, trail=4)
        reads(sock, b"4", b"5", b"6")


@ktap.test
def test_loss_wakes_who_waits_for_errors():
    """poll() without any event returns for a loss, which is an error."""
    with receiver() as (sock, _, source):
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        reads(sock, b"1")
        source.odata(3, b"3", trail=1)
        poller = select.poll()
        poller.register(sock, 0)
        sleeper = pgm.Background(poller.poll, 1_000_000)
        ktap.wait_for(sleeper.sleeps, "it sleeps")
        source.spm(2, 3)
        ktap.equal(sleeper.result(20), [(sock.fileno(), select.POLLERR)])


@ktap.test(variants=variant.ALL)
def test_fragments():
    """A message is delivered when it is whole, even if the window has left its first fragments."""
    # req: OPT-24 OPT-25
    with receiver() as (sock, probe, source):
        source.spm(1, 0)
        parts = {sqn: b"%d" % sqn * 100 for sqn in range(1, 6)}
        for sqn in (1, 2, 4, 5):
            source.odata(sqn, parts[sqn], fragment(1, 100 * (sqn - 1), 500), trail=1)
        probe.wait(wire.NAK, numbers=[3])
        nothing(sock)
        source.spm(3, 5)
        source.rdata(3, parts[3], fragment(1, 200, 500), trail=3)
        reads(sock, b"".join(parts.values()))


@ktap.test(variants=(variant.V4_UDP, variant.V6_UDP))
def test_merged_datagrams():
    """Datagrams that come in one buffer (UDP_SEGMENT): each is a packet of its own."""
    # attack: A-18
    with receiver() as (sock, probe, source):
        payloads = [bytes([sqn]) * 100 for sqn in range(1, 9)]
        packets = [
            source.session.data(wire.ODATA, sqn, 1, payload)
            for sqn, payload in enumerate(payloads, 1)
        ]
        with probe.host:
            plain = socket.socket(variant.now().family, socket.SOCK_DGRAM)
        with plain:
            pgm.set_options(plain, pgm.multicast(loop=0, interface=probe.host.index()))
            plain.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(packets[0]))
            plain.sendto(b"".join(packets), (pgm.GROUP, variant.MULTICAST))
        reads(sock, *payloads)


@ktap.test
def test_lost_fragment():
    """A message that lost a fragment is reported as lost and not delivered; the next one is."""
    # req: OPT-26 OPT-27 RCV-21
    # attack: A-19
    with receiver() as (sock, probe, source):
        source.spm(1, 0)
        source.odata(1, b"whole", trail=1)
        source.odata(2, bytes(100), fragment(2, 0, 300), trail=1)
        source.odata(4, bytes(100), fragment(2, 200, 300), trail=1)
        probe.wait(wire.NAK, numbers=[3])
        source.odata(5, b"next", trail=4)
        reads(sock, b"whole")
        fails(sock, errno.ENOBUFS)
        reads(sock, b"next")
        # Fragments that contradict each other: the second has another length.
        source.odata(6, bytes(100), fragment(6, 0, 200), trail=4)
        source.odata(7, bytes(100), fragment(6, 100, 300), trail=4)
        source.odata(8, b"end", trail=4)
        fails(sock, errno.ENOBUFS)
        reads(sock, b"end")


@ktap.test
def test_bad_fragment():
    """A fragment that comes damaged after others is repaired; a message without an end is lost."""
    # attack: A-02 A-19
    with session() as (sock, probe, source):
        parts = {sqn: bytes([sqn]) * 100 for sqn in range(2, 6)}
        for sqn in (2, 3, 5):
            source.odata(sqn, parts[sqn], fragment(2, 100 * (sqn - 2), 400), trail=1)
        damaged = source.session.data(wire.ODATA, 4, 1, parts[4], fragment(2, 200, 400), check=1)
        source.send(damaged, alert=False)
        # Neither a piece of something else nor one of other length takes its place.
        for option in (fragment(3, 200, 400), fragment(2, 200, 500), fragment(2, 201, 400)):
            source.rdata(4, bytes(100), option, trail=1, check=7)
        probe.wait(wire.NAK, numbers=[4])
        nothing(sock)
        source.rdata(4, parts[4], fragment(2, 200, 400), trail=1)
        reads(sock, b"".join(parts.values()))
        # The source ends in the middle of a message.
        pgm.set_int(sock, pgm.PGM_ABORT_ON_RESET, 0)
        source.odata(6, bytes(100), fragment(6, 0, 400), trail=1)
        source.odata(7, bytes(100), fragment(6, 100, 400), trail=1)
        source.spm(1, 7, wire.option(wire.OPT_FIN))
        fails(sock, errno.ENOBUFS)
        reads(sock, b"")


@ktap.test
def test_several_sources():
    """Sources with the same numbers are separate sessions, each with its own NAKs and order."""
    # req: RCV-23 WIRE-07
    with receiver() as (sock, probe, first):
        sources = [first, probe.source(sport=first.session.down[0]), probe.source()]
        for n, source in enumerate(sources):
            source.spm(1, 0)
            for sqn in (1, 3):
                source.odata(sqn, b"%d%d" % (n, sqn), trail=1)
        for n, source in enumerate(sources):
            who = (source.session.gsi, *source.session.down)
            probe.forget() if not n else None
            nak = probe.wait(wire.NAK, session=who)
            ktap.equal(nak.numbers, [2])
        for n, source in enumerate(sources):
            source.rdata(2, b"%d2" % n, trail=1)
        got = sorted(sock.recv(10) for _ in range(9))
        ktap.equal(got, [b"%d%d" % (n, sqn) for n in range(3) for sqn in (1, 2, 3)])


@ktap.test(variants=variant.ALL)
def test_ports():
    """The data-destination port selects the socket."""
    # req: RCV-24
    with (
        net.shared() as lan,
        Probe(lan.hosts[0]) as probe,
        pgm.datagram(lan.hosts[1]) as one,
        pgm.datagram(lan.hosts[1], at=(pgm.GROUP, pgm.PORT + 5_000)) as two,
    ):
        probe.source().odata(1, b"one")
        probe.source(port=pgm.PORT + 5_000).odata(1, b"two")
        probe.source(port=pgm.PORT + 5_001).odata(1, b"three")
        reads(one, b"one")
        reads(two, b"two")
        nothing(one)
        nothing(two)


@ktap.test
def test_fin():
    """After OPT_FIN a receiver still repairs; then the session ends."""
    # req: OPT-55 OPT-58
    with session() as (accepted, probe, source):
        source.spm(1, 3, wire.option(wire.OPT_FIN))
        ktap.equal(probe.wait(wire.NAK).numbers, [2, 3])
        source.rdata(2, b"2", trail=1)
        source.rdata(3, b"3", trail=1)
        reads(accepted, b"2", b"3", b"")


@ktap.each({"reset": 0x00, "reset_no_naks": 0x40})
def reset(no_naks):
    """OPT_RST ends the session with its code; nobody NAKs to a source that does not answer."""
    # req: OPT-61 OPT-63 NAK-21
    with session() as (accepted, probe, source):
        source.odata(3, b"3", trail=1)
        probe.wait(wire.NAK)
        source.spm(1, 3, wire.option(wire.OPT_RST, byte3=no_naks | 9))
        fails(accepted, errno.ECONNRESET)
        if no_naks:
            probe.forget()
            probe.silence(0.3, wire.NAK)


def damaged(session):
    """Data packets 2 that are not right."""
    right = session.data(wire.ODATA, 2, 1, b"wrong")
    yield right[:4] + bytes([0x44]) + right[5:]  # version 1
    yield right[:4] + bytes([0x14]) + right[5:]  # a reserved bit
    yield wire.with_checksum(right[:4] + bytes([0x44]) + right[5:])
    yield wire.with_checksum(right[:4] + bytes([0x14]) + right[5:])
    for kind in (3, 6, 7, 0xB, 0xE, 0xF):
        yield wire.with_checksum(right[:4] + bytes([kind]) + right[5:])
    yield right[:-1] + b"!"  # the checksum is wrong
    yield session.data(wire.ODATA, 2, 1, b"wrong", check=0)  # there is none
    yield session.data(wire.ODATA, 2, 1, b"wrong", tsdu_len=9)
    yield wire.with_checksum(right[:22])
    body = struct.pack("!II", 2, 1)

    def with_options(area):
        return wire.packet(wire.ODATA, session.down, session.gsi, body, area, b"wrong")

    unknown = wire.option(0x33)
    yield with_options(wire.option(0x33 | wire.OPT_END))  # no OPT_LENGTH
    yield with_options(wire.options(*[unknown] * 17))
    yield with_options(struct.pack("!BBHBBH", 0, 4, 8, 0x80 | wire.OPT_SYN, 0, 0))
    yield with_options(struct.pack("!BBHBBH", 0, 4, 8, 0x80 | wire.OPT_SYN, 12, 0))
    yield with_options(wire.options(wire.option(wire.OPT_FRAGMENT, bytes(8))))


@ktap.test(variants=variant.ALL)
def test_damaged_packets():
    """Packets that are not right are not delivered, not answered, and asked for like lost ones."""
    # req: WIRE-04 WIRE-05 WIRE-16 WIRE-17 WIRE-20 OPT-01 OPT-02 OPT-08 OPT-13
    # attack: A-21
    with receiver() as (sock, probe, source):
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        for data in damaged(source.session):
            source.send(data, alert=False)
        reads(sock, b"1")
        probe.silence(0.2)
        source.odata(3, b"3", trail=1)
        ktap.equal(probe.wait(wire.NAK).numbers, [2])
        source.rdata(2, b"2", trail=1)
        reads(sock, b"2", b"3")


def unusual(session):
    """Data packets from number 2 on that look strange and are right."""
    foreign = wire.option(0x33, b"body", byte2=0x02)  # OPX: discard, which is for routers
    yield session.data(wire.ODATA, 2, 1, b"2", foreign)
    yield session.data(wire.ODATA, 3, 1, b"3", *[wire.option(0x34)] * 14, foreign)
    reset = wire.option(wire.OPT_RST, byte3=0x41)
    yield session.data(wire.ODATA, 4, 1, b"4", reset)
    unreachable = wire.option(wire.OPT_NBR_UNREACH)
    yield session.data(wire.ODATA, 5, 1, b"5", unreachable)
    # Reserved bits of an option; OPT_FRAGMENT twice, of which the first counts.
    yield session.data(wire.ODATA, 6, 1, b"6", wire.option(wire.OPT_SYN, byte2=0xF8, byte3=0x7F))
    yield session.data(wire.ODATA, 7, 1, b"7", fragment(7, 0, 1), fragment(7, 0, 99))
    yield session.data(wire.ODATA, 8, 1, b"")
    # No OPT_END: the total length tells the end.
    body, endless = struct.pack("!II", 9, 1), wire.options(wire.option(wire.OPT_SYN))
    endless = endless[:4] + bytes([wire.OPT_SYN]) + endless[5:]
    yield wire.packet(wire.ODATA, session.down, session.gsi, body, endless, b"9")
    # OPT_END too early: what follows is not looked at.
    early = wire.option(wire.OPT_SYN | wire.OPT_END) + fragment(1, 2, 3)
    area = struct.pack("!BBH", 0, 4, 4 + len(early)) + early
    body = struct.pack("!II", 10, 1)
    yield wire.packet(wire.ODATA, session.down, session.gsi, body, area, b"10")


@ktap.test(variants=variant.ALL)
def test_unusual_packets():
    """Options for others, on the wrong packet or twice, and reserved bits, do not matter."""
    # req: OPT-02 OPT-11 OPT-14 OPT-15 OPT-59 WIRE-24 SEC-11
    with receiver() as (sock, probe, source):
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        for data in unusual(source.session):
            source.send(data, alert=False)
        reads(sock, *(b"%d" % n for n in range(1, 8)), b"", b"9", b"10")
        probe.silence(0.1, wire.NAK)


@ktap.test(variants=variant.ALL)
def test_unusual_spms():
    """SPMs and NCFs without a checksum, with reserved bits, or followed by bytes, still count."""
    # req: WIRE-15 WIRE-21 WIRE-24 WIRE-25
    with receiver(nak_rdata_ivl=400_000, nak_bo_ivl=20_000) as (sock, probe, source):
        mine = source.session
        source.odata(1, b"1", trail=1)
        source.send(mine.spm(1, 1, 2, check=0))
        ktap.equal(probe.wait(wire.NAK).numbers, [2])
        source.send(mine.nak(wire.NCF, 2, check=0))
        probe.silence(0.2, wire.NAK, where=lambda nak: 2 in nak.numbers)
        plain = mine.spm(2, 1, 3)
        source.send(wire.with_checksum(plain[:30] + RESERVED + plain[32:]))
        ktap.equal(probe.wait(wire.NAK, where=lambda nak: 3 in nak.numbers).sqn, 3)
        source.send(wire.with_checksum(mine.spm(3, 1, 4) + b"no data"))
        probe.wait(wire.NAK, where=lambda nak: 4 in nak.numbers)
        unknown = mine.spm(4, 1, 5)
        source.send(wire.with_checksum(unknown[:28] + b"\0\7" + unknown[30:]))
        probe.silence(0.1, wire.NAK, where=lambda nak: 5 in nak.numbers)
        reads(sock, b"1")
        nothing(sock)


@ktap.test
def test_router_alert():
    """Packets count with Router Alert, without it, and whatever its value."""
    # req: ADDR-18 SEC-10
    with receiver() as (sock, probe, source):
        mine = source.session
        source.send(mine.spm(1, 1, 1), alert=False)
        source.send(mine.data(wire.ODATA, 1, 1, b"1"), alert=True)
        source.send(mine.data(wire.RDATA, 2, 1, b"2"), alert=False)
        source.send(mine.data(wire.RDATA, 3, 1, b"3"), alert=b"\x94\x04\x00\x05")
        source.send(mine.spm(2, 1, 4), alert=b"\x94\x04\x00\x05")
        reads(sock, b"1", b"2", b"3")
        ktap.equal(probe.wait(wire.NAK).numbers, [4])


@ktap.test
def test_numbers_wrap():
    """A session whose numbers pass 2^32 - 1, with losses on both sides."""
    # req: WIRE-22 WIRE-26
    first = 0xFFFFFFF0
    with receiver() as (sock, probe, source):
        source.spm(first, first - 1)
        numbers = [(first + n) & 0xFFFFFFFF for n in range(64)]
        for n, sqn in enumerate(numbers):
            if n % 5 != 4:
                source.odata(sqn, b"%d" % n, trail=first)
        source.spm(first, numbers[-1])
        missing = set(numbers[4::5])
        while missing:
            for sqn in probe.wait(wire.NAK).numbers:
                assert sqn in numbers[4::5], f"NAK for {sqn:#x}"
                missing.discard(sqn)
                source.rdata(sqn, b"%d" % numbers.index(sqn), trail=first)
        reads(sock, *(b"%d" % n for n in range(64)))


if __name__ == "__main__":
    ktap.main(pgm.need_module)
