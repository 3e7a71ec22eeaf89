#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a packet costs that waits for its reader, or behind one that is missing; and that nothing of it is lost."""

import contextlib
import os
import random
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire
from probe import Probe

SIZE = 1000
SO_TIMESTAMPNS, SO_MEMINFO = 35, 55
TRAY = 32 << 10
# What is missing stays so until the test sends it.
PATIENT = {pgm.PGM_NAK_RPT_IVL: 1_000_000, pgm.PGM_NAK_NCF_RETRIES: 50}
LOAD_HALF, EQUAL, RETURN, LINK_LAYER = 0x28, 0x15, 0x06, 0xFFE00000


def held(sock):
    """Bytes that its receive memory counts."""
    return struct.unpack("=I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4))[0]


def ask(sock):
    """For the control messages that tell of a packet."""
    ip = socket.IPPROTO_IP, (socket.IP_PKTINFO, pgm.IP_RECVTTL, 20)
    ipv6 = socket.IPPROTO_IPV6, (socket.IPV6_RECVPKTINFO, socket.IPV6_RECVHOPLIMIT, 74)
    level, options = ip if variant.now().version == 4 else ipv6
    for option in options:  # the last one is RECVORIGDSTADDR
        sock.setsockopt(level, option, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    pgm.set_int(sock, pgm.PGM_RECVRCVINFO, 1)


def receive(sock):
    """(message, (its number, its time), all else that recvmsg() tells)"""
    message, ancillary, flags, peer = sock.recvmsg(1 << 16, 512)
    told = {(level, kind): value for level, kind, value in ancillary}
    stamp = struct.unpack("@ll", told.pop((socket.SOL_SOCKET, SO_TIMESTAMPNS)))
    told.pop((pgm.IPPROTO_PGM, pgm.PGM_RCVINFO))
    return message, (pgm.rcvinfo(ancillary)[1], stamp), (told, flags, peer)


def nothing_left(sock):
    """The queue is empty, and nothing is charged."""
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"{len(sock.recv(10, socket.MSG_DONTWAIT))} bytes more")
    ktap.equal(held(sock), 0, "bytes held")


@ktap.test(variants=variant.ALL)
def test_unread():
    """1 KB that nobody reads counts less than 1.6 KB; headers, addresses and times stay with it."""
    sent = pgm.messages(1200, (SIZE, SIZE))
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=(200_000, 10_000, 0), **pgm.multicast(ttl=7)) as source:
            source.send(b"first")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"first")
                ask(session)
                for message in sent:
                    source.send(message)
                ktap.wait_for(lambda: pgm.stats(session)["odata"] == 1 + len(sent), "all have come")
                ktap.note(f"{held(session) / len(sent):.0f} bytes a message")
                assert held(session) < 1.6 * SIZE * len(sent), held(session)
                got = [receive(session) for _ in sent]
                nothing_left(session)
    pgm.same([message for message, _, _ in got], sent)
    numbers = [number for _, number, _ in got]
    ktap.equal(numbers, sorted(numbers), "numbers and times rise")
    ktap.equal(len({sqn for sqn, _ in numbers}), len(sent))
    told = got[0][2]
    ktap.equal(len(told[0]), 3)
    assert all(other == told for _, _, other in got), "one tells something else"


class Gap:
    """Messages of one, two and three packets in any order; number 2 is missing."""

    def __init__(self, probe, count):
        self.source = probe.source()
        self.source.spm(1, 0)
        self.source.odata(1, b"first")
        rng = random.Random(count)
        self.messages = pgm.messages(count, (SIZE, 3 * SIZE))
        packets = []
        for message in self.messages:
            first = 3 + len(packets)
            for at in range(0, len(message), SIZE):
                part = wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, at, len(message)))
                options = [part] if len(message) > SIZE else []
                packets.append((3 + len(packets), message[at : at + SIZE], *options))
        rng.shuffle(packets)
        for packet in packets:
            self.source.odata(*packet)
        self.count = len(packets)

    def close(self):
        """Sends what is missing. Returns what comes now."""
        self.source.rdata(2, b"2222")
        return [b"2222", *self.messages]


@contextlib.contextmanager
def receiver(options):
    """(socket, probe): the probe does not keep what it sends, which would count for both."""
    with (
        net.shared() as lan,
        Probe(lan.hosts[0]) as probe,
        pgm.datagram(lan.hosts[1], options=PATIENT | options) as sock,
    ):
        probe.capture.sock.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        yield sock, probe


@ktap.test(variants=variant.ALL)
def test_behind_a_gap():
    """Packets and parts that wait in the window count as little; a filter sees them as they came."""
    with receiver({}) as (sock, probe):
        ethertype = 0x0800 if variant.now().version == 4 else 0x86DD
        pgm.attach_filter(
            sock,
            (LOAD_HALF, 0, 0, LINK_LAYER + 12),
            (EQUAL, 0, 3, ethertype),
            (LOAD_HALF, 0, 0, 2),
            (EQUAL, 0, 1, pgm.PORT),
            (RETURN, 0, 0, 1 << 16),
            (RETURN, 0, 0, 0),
        )
        gap = Gap(probe, 150)
        ktap.equal(sock.recv(10), b"first")
        ktap.wait_for(lambda: pgm.stats(sock)["odata"] == 1 + gap.count, "all have come")
        payload = sum(map(len, gap.messages))
        ktap.note(f"{held(sock) / payload:.2f} bytes a byte")
        assert held(sock) < 2.1 * payload, held(sock)
        pgm.same([sock.recv(1 << 16) for _ in gap.close()], [b"2222", *gap.messages])
        nothing_left(sock)


@ktap.test
def test_straggler():
    """One packet that stays counts all the memory that it keeps from being freed."""
    # attack: A-14
    with receiver({}) as (sock, probe):
        gap = Gap(probe, 100)
        other = probe.source()
        other.odata(1, b"first")
        other.odata(3, bytes(SIZE))
        ktap.equal([sock.recv(10), sock.recv(10)], [b"first"] * 2)
        ktap.wait_for(lambda: pgm.stats(sock)["odata"] == 3 + gap.count, "all have come")
        pgm.same([sock.recv(1 << 16) for _ in gap.close()], [b"2222", *gap.messages])
        assert TRAY < held(sock) < TRAY + 4096, held(sock)
        other.rdata(2, bytes(SIZE))
        ktap.equal([sock.recv(2000), sock.recv(2000)], [bytes(SIZE)] * 2)
        nothing_left(sock)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
