#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The options of Windows' wsrm.h, in the order of its samples."""

import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm


def address(host):
    """An interface as these options want it."""
    return socket.inet_aton(host.address)


def option(sock, number, value):
    """A value of bytes, or one number."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    sock.setsockopt(pgm.IPPROTO_PGM, number, value)


def lan_with_decoy():
    """Two hosts whose multicast route leads to another interface than the one between them."""
    lan = net.Lan()

    def divert():
        for host in lan.hosts:
            for words in (
                "link add decoy0 type dummy",
                "addr add 10.78.0.1/24 dev decoy0",
                "link set decoy0 multicast on up",
                "route replace 224.0.0.0/4 dev decoy0",
            ):
                net.run("ip", "-n", host.name, *words.split())

    return lan, divert


def joined(host, device):
    """Does anybody on the host have the group on the device?"""
    with host, open("/proc/thread-self/net/igmp", encoding="ascii") as table:
        devices = table.read().split(" :")
    group = socket.inet_aton(pgm.GROUP)[::-1].hex().upper()
    # A line of the device ends before the colon, those of its groups follow.
    for line, groups in zip(devices, devices[1:]):
        if line.split()[-1] == device:
            return group in groups.split()
    return False


def sender(host):
    """The sender's sample: the interface and the window after bind(), then connect()."""
    sock = pgm.timeouts(pgm.pgm_socket(host))
    sock.bind(("0.0.0.0", 0))
    option(sock, pgm.RM_HIGH_SPEED_INTRANET_OPT, 1)
    option(sock, pgm.RM_SET_SEND_IF, address(host))
    option(sock, pgm.RM_RATE_WINDOW_SIZE, struct.pack("=III", 20_000, 2_000, 0))
    option(sock, pgm.RM_SET_MCAST_TTL, 7)
    sock.connect((pgm.GROUP, pgm.PORT))
    return sock


def receiver(host):
    """The receiver's sample: bind() to the group, the interface, listen()."""
    sock = pgm.timeouts(pgm.pgm_socket(host))
    sock.bind((pgm.GROUP, pgm.PORT))
    option(sock, pgm.RM_HIGH_SPEED_INTRANET_OPT, 1)
    option(sock, pgm.RM_ADD_RECEIVE_IF, address(host))
    sock.listen(10)
    return sock


@ktap.test
def test_samples():
    """Interfaces are obeyed although routes lead elsewhere; the TTL is on the wire; both counters."""
    lan, divert = lan_with_decoy()
    with lan:
        divert()
        first, second = lan.hosts
        with receiver(second) as listening, sender(first) as source:
            source.sendall(b"x" * 100)
            session, _ = pgm.accept(listening)
            with session:
                session.setsockopt(socket.IPPROTO_IP, pgm.IP_RECVTTL, 1)
                source.sendall(b"y" * 50)
                ktap.equal(session.recv(1000), b"x" * 100)
                data, ancillary, _, _ = session.recvmsg(1000, 100)
                ktap.equal(data, b"y" * 50)
                ttl = [value for level, _, value in ancillary if level == socket.IPPROTO_IP]
                ktap.equal(ttl, [struct.pack("=i", 7)])

                sent = source.getsockopt(pgm.IPPROTO_PGM, pgm.RM_SENDER_STATISTICS, 13 * 8)
                sent = struct.unpack("=13Q", sent)
                ktap.equal((sent[0], sent[12]), (150, 2), "data bytes and ODATA packets")
                assert sent[1] > sent[0], "all bytes"
                got = session.getsockopt(pgm.IPPROTO_PGM, pgm.RM_RECEIVER_STATISTICS, 18 * 8)
                got = struct.unpack("=18Q", got)
                ktap.equal((got[0] + got[1], got[3]), (2, 150), "data packets and bytes")
                ktap.equal(got[8], sent[9], "leading edge")
                ktap.equal(got[15], 0, "buffered")


@ktap.test
def test_another_interface():
    """A listener takes interfaces on, and off again, at any time."""
    lan, divert = lan_with_decoy()
    with lan:
        divert()
        first, second = lan.hosts
        with pgm.timeouts(pgm.pgm_socket(second)) as listening, sender(first) as source:
            listening.bind((pgm.GROUP, pgm.PORT))
            listening.listen(10)

            option(listening, pgm.RM_ADD_RECEIVE_IF, address(second))
            assert joined(second, "eth0")
            source.sendall(b"x")
            session, _ = pgm.accept(listening)
            ktap.equal(session.recv(10), b"x")
            session.close()
            option(listening, pgm.RM_DEL_RECEIVE_IF, address(second))
            assert not joined(second, "eth0")


@ktap.test
def test_names():
    """The names that mean an option of ours."""
    with pgm.pgm_socket() as sock:
        option(sock, pgm.RM_RATE_WINDOW_SIZE, struct.pack("=III", 8_000, 0, 1_000_000))
        for number in (pgm.PGM_SEND_WINDOW, pgm.RM_RATE_WINDOW_SIZE):
            value = sock.getsockopt(pgm.IPPROTO_PGM, number, 12)
            ktap.equal(value, struct.pack("=III", 8_000, 1_000, 1_000_000))
        for name, ours, value in (
            (pgm.RM_LATEJOIN, pgm.PGM_LATEJOIN, 75),
            (pgm.RM_SEND_WINDOW_ADV_RATE, pgm.PGM_WINDOW_ADV_RATE, 50),
            (pgm.RM_SENDER_WINDOW_ADVANCE_METHOD, pgm.PGM_WINDOW_ADV_METHOD, 3),
        ):
            option(sock, name, value)
            ktap.equal((pgm.get_int(sock, name), pgm.get_int(sock, ours)), (value, value))
        option(sock, pgm.RM_SET_MCAST_TTL, 255)
        ktap.equal(sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL), 255)
        ktap.equal(sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF), 0)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
