#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a packet costs that waits for its reader, or behind one that is missing; and that nothing of it is lost."""

import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
from waiting import SIZE, Gap, held, nothing_left, receiver

SO_TIMESTAMPNS = 35
TRAY = 32 << 10
LOAD_HALF, EQUAL, RETURN, LINK_LAYER = 0x28, 0x15, 0x06, 0xFFE00000


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


@ktap.test(variants=variant.ALL)
def test_behind_a_gap():
    """Packets and parts that wait in the window count as little; a filter sees them as they came."""
    with receiver() as (sock, probe):
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
    with receiver() as (sock, probe):
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
