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

MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP = 42, 46
OTHER = "239.192.7.9"


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
    """sockaddr_storage of an IPv4 address."""
    inner = struct.pack("=H", socket.AF_INET) + bytes(2) + socket.inet_aton(address)
    return inner + bytes(128 - len(inner))


def index(host):
    """Interface number of eth0."""
    with host:
        return socket.if_nametoindex("eth0")


def bound(host, at):
    """A socket bound to an address that has joined nothing."""
    sock = pgm.pgm_socket(host)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(at)
    return sock


@ktap.test
def test_join_and_leave():
    """IP_ADD_MEMBERSHIP and IP_DROP_MEMBERSHIP work at any time."""
    with net.shared() as lan, pgm.source(lan.hosts[0]) as source:
        with bound(lan.hosts[1], ("0.0.0.0", pgm.PORT)) as sock:
            source.send(b"before")
            silent(sock)
            pgm.join(sock)
            source.send(b"joined")
            hears(sock, b"joined")
            value = socket.inet_aton(pgm.GROUP) + bytes(4)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, value)
            source.send(b"left")
            silent(sock)


@ktap.test
def test_two_groups():
    """One socket in two groups hears the sources of both."""
    with net.shared() as lan, bound(lan.hosts[1], ("0.0.0.0", pgm.PORT)) as sock:
        pgm.join(sock)
        pgm.join(sock, OTHER)
        for group in (pgm.GROUP, OTHER):
            with pgm.source(lan.hosts[0], (group, pgm.PORT)) as source:
                source.send(group.encode())
                hears(sock, group.encode())


@ktap.test
def test_join_by_interface():
    """MCAST_JOIN_GROUP with an interface number."""
    with net.shared() as lan, bound(lan.hosts[1], (pgm.GROUP, pgm.PORT)) as sock:
        request = struct.pack("=I4x", index(lan.hosts[1])) + sockaddr(pgm.GROUP)
        sock.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_GROUP, request)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            hears(sock, b"x")


@ktap.test
def test_join_one_source():
    """MCAST_JOIN_SOURCE_GROUP: only the source that was asked for."""
    with net.shared(3) as lan:
        wanted, unwanted, receiver = lan.hosts
        with bound(receiver, (pgm.GROUP, pgm.PORT)) as sock:
            request = struct.pack("=I4x", index(receiver)) + sockaddr(pgm.GROUP)
            request += sockaddr(wanted.address)
            sock.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, request)
            with pgm.source(unwanted) as other, pgm.source(wanted) as source:
                other.send(b"unwanted")
                source.send(b"wanted")
                hears(sock, b"wanted")
                silent(sock)


@ktap.test
def test_interfaces():
    """IP_MULTICAST_IF and SO_BINDTODEVICE choose the way out and the way in."""
    with net.Lan() as lan:
        one, two = lan.hosts
        # A second cable between the two, with the same group on it.
        net.run(
            "ip",
            "-n",
            one.name,
            "link",
            "add",
            "eth1",
            "type",
            "veth",
            "peer",
            "name",
            "eth1",
            "netns",
            two.name,
        )
        for number, host in enumerate(lan.hosts, 1):
            net.run("ip", "-n", host.name, "addr", "add", f"10.78.0.{number}/24", "dev", "eth1")
            net.run("ip", "-n", host.name, "link", "set", "eth1", "up")
        ktap.wait_for(lambda: "UP" in two.run("ip", "-br", "link", "show", "eth1"), "eth1 is up")
        first, second = (
            pgm.datagram(two, interface=address) for address in (two.address, "10.78.0.2")
        )
        with first, second:
            with pgm.source(one, ip_multicast_if=socket.inet_aton("10.78.0.1")) as source:
                ktap.equal(source.getsockname()[0], "10.78.0.1")
                source.send(b"eth1")
                hears(second, b"eth1")
                silent(first)
            with pgm.pgm_socket(one) as source:
                source.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
                source.connect((pgm.GROUP, pgm.PORT))
                source.send(b"bound")
                hears(second, b"bound")
                silent(first)
        listening = pgm.pgm_socket(two)
        listening.setsockopt(
            socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.78.0.2")
        )
        listening.bind((pgm.GROUP, pgm.PORT + 1))
        listening.listen()
        pgm.timeouts(listening, 5)
        where = (pgm.GROUP, pgm.PORT + 1)
        with listening, pgm.source(one, where) as eth0:
            eth0.send(b"not there")
            with pgm.source(one, where, ip_multicast_if=socket.inet_aton("10.78.0.1")) as eth1:
                eth1.send(b"there")
                session, _ = pgm.accept(listening)
                with session:
                    ktap.equal(session.recv(100), b"there")


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
    with net.shared() as lan, bound(lan.hosts[1], ("0.0.0.0", pgm.PORT)) as listening:
        pgm.join(listening)
        listening.listen()
        pgm.timeouts(listening, 5)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.getsockname(), (pgm.GROUP, pgm.PORT))
                ktap.equal(session.recv(10), b"x")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
