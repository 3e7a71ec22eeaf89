#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Groups are joined, left and filtered as with UDP."""

import contextlib
import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP = 42, 46
OTHERS = {4: "239.192.7.9", 6: "ff15::7:9"}
SECOND = {4: "10.78.0.{}", 6: "fd78::{}"}  # addresses on the second cable


def hears(sock, message, timeout=5):
    """The next message is this one."""
    pgm.timeouts(sock, timeout)
    ktap.equal(sock.recv(100), message)


def silent(sock, timeout=0.3):
    """Nothing comes."""
    pgm.timeouts(sock, timeout)
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"got {sock.recv(100)}")


def sockaddr(address):
    """sockaddr_storage of an address of the family of the case that runs."""
    family = variant.now().family
    before = 2 if family == socket.AF_INET else 6  # port; flow label
    inner = struct.pack("=H", family) + bytes(before) + socket.inet_pton(family, address)
    return inner + bytes(128 - len(inner))


def level():
    """Of the MCAST_ options."""
    return socket.IPPROTO_IP if variant.now().version == 4 else socket.IPPROTO_IPV6


def other_group():
    """One more group than pgm.GROUP."""
    return OTHERS[variant.now().version]


def bound(host, at):
    """A socket bound to an address that has joined nothing."""
    sock = pgm.pgm_socket(host)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(at)
    return sock


@ktap.test
def test_join_and_leave():
    """IP_ADD_MEMBERSHIP and IP_DROP_MEMBERSHIP, or IPV6_JOIN_GROUP and so on, at any time."""
    with net.shared() as lan, pgm.source(lan.hosts[0]) as source:
        with bound(lan.hosts[1], (pgm.ANY, pgm.PORT)) as sock:
            source.send(b"before")
            silent(sock)
            pgm.join(sock)
            source.send(b"joined")
            hears(sock, b"joined")
            pgm.join(sock, leave=True)
            source.send(b"left")
            silent(sock)


@ktap.test
def test_two_groups():
    """One socket in two groups hears the sources of both."""
    with net.shared() as lan, bound(lan.hosts[1], (pgm.ANY, pgm.PORT)) as sock:
        pgm.join(sock)
        pgm.join(sock, other_group())
        for group in (pgm.GROUP, other_group()):
            with pgm.source(lan.hosts[0], (group, pgm.PORT)) as source:
                source.send(group.encode())
                hears(sock, group.encode())


@ktap.test
def test_join_by_interface():
    """MCAST_JOIN_GROUP with an interface number."""
    with net.shared() as lan, bound(lan.hosts[1], (pgm.GROUP, pgm.PORT)) as sock:
        request = struct.pack("=I4x", lan.hosts[1].index()) + sockaddr(pgm.GROUP)
        sock.setsockopt(level(), MCAST_JOIN_GROUP, request)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            hears(sock, b"x")


@ktap.test
def test_join_one_source():
    """MCAST_JOIN_SOURCE_GROUP: only the source that was asked for."""
    with net.shared(3) as lan:
        wanted, unwanted, receiver = lan.hosts
        with bound(receiver, (pgm.GROUP, pgm.PORT)) as sock:
            request = struct.pack("=I4x", receiver.index()) + sockaddr(pgm.GROUP)
            request += sockaddr(wanted.address)
            sock.setsockopt(level(), MCAST_JOIN_SOURCE_GROUP, request)
            with pgm.source(unwanted) as other, pgm.source(wanted) as source:
                other.send(b"unwanted")
                source.send(b"wanted")
                hears(sock, b"wanted")
                silent(sock)


@contextlib.contextmanager
def two_cables():
    """Two hosts with a second cable between them: (lan, eth1's address at the first host)."""
    second = SECOND[variant.now().version]
    bits, *plain = (24,) if variant.now().version == 4 else (64, "nodad")
    with net.Lan() as lan:
        one, two = lan.hosts
        cable = "link add eth1 type veth peer name eth1 netns"
        net.run("ip", "-n", one.name, *cable.split(), two.name)
        for number, host in enumerate(lan.hosts, 1):
            address = f"{second.format(number)}/{bits}"
            net.run("ip", "-n", host.name, "addr", "add", address, "dev", "eth1", *plain)
            net.run("ip", "-n", host.name, "link", "set", "eth1", "up")
        ktap.wait_for(lambda: "UP" in two.run("ip", "-br", "link", "show", "eth1"), "eth1 is up")
        yield lan, second.format(1)


@ktap.test
def test_interfaces():
    """IP_MULTICAST_IF (IPV6_MULTICAST_IF) and SO_BINDTODEVICE choose the way out and in."""
    with two_cables() as (lan, address):
        one, two = lan.hosts
        by_eth1 = pgm.multicast(interface=one.index("eth1"))
        first, second = (
            pgm.datagram(two, interface=two.index(device)) for device in ("eth0", "eth1")
        )
        with first, second:
            with pgm.source(one, **by_eth1) as source:
                ktap.equal(source.getsockname()[0], address)
                source.send(b"eth1")
                hears(second, b"eth1")
                silent(first)
            with pgm.pgm_socket(one) as source:
                source.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
                source.connect((pgm.GROUP, pgm.PORT))
                source.send(b"bound")
                hears(second, b"bound")
                silent(first)
        where = (pgm.GROUP, pgm.PORT + 1)
        inward = pgm.multicast(interface=two.index("eth1"))
        with pgm.listener(two, where, **inward) as listening, pgm.source(one, where) as eth0:
            eth0.send(b"not there")
            with pgm.source(one, where, **by_eth1) as eth1:
                eth1.send(b"there")
                session, _ = pgm.accept(listening)
                with session:
                    ktap.equal(session.recv(100), b"there")


@ktap.test(variants=(variant.V4,))  # IPv6 names interfaces by number only
def test_interfaces_by_address():
    """IP_MULTICAST_IF and IP_ADD_MEMBERSHIP with the address of an interface."""
    with two_cables() as (lan, address):
        one, two = lan.hosts
        there = socket.inet_aton(SECOND[4].format(2))
        with bound(two, (pgm.GROUP, pgm.PORT)) as sock:
            value = socket.inet_aton(pgm.GROUP) + there
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, value)
            with pgm.source(one) as source:
                source.send(b"eth0")
                silent(sock)
            with pgm.source(one, ip_multicast_if=socket.inet_aton(address)) as source:
                source.send(b"eth1")
                hears(sock, b"eth1")


@ktap.test
def test_reuse_port():
    """SO_REUSEPORT: every receiver gets every message."""
    with net.shared() as lan:
        sockets = []
        for _ in range(3):
            sock = pgm.timeouts(pgm.pgm_socket(lan.hosts[1]))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((pgm.GROUP, pgm.PORT))
            pgm.join(sock)
            sockets.append(sock)
        with pgm.source(lan.hosts[0]) as source:
            for message in (b"one", b"two"):
                source.send(message)
                for sock in sockets:
                    hears(sock, message)
        for sock in sockets:
            sock.close()


@ktap.test
def test_listener_without_group():
    """A listener bound to any address hears the groups that it joined itself."""
    with net.shared() as lan, bound(lan.hosts[1], (pgm.ANY, pgm.PORT)) as listening:
        pgm.join(listening)
        listening.listen()
        pgm.timeouts(listening, 5)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.getsockname()[:2], (pgm.GROUP, pgm.PORT))
                ktap.equal(session.recv(10), b"x")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
