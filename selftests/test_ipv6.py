#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What only IPv6 sockets have."""

import contextlib
import errno
import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire

LINK = "ff12::7:1"  # a group of one link
V4_GROUP = "239.192.7.1"


def test(function):
    """A case over IPv6 alone."""
    return ktap.test(variants=(variant.V6,))(function)


def on_link(lan):
    """The hosts, each with an address of the link."""
    for number, host in enumerate(lan.hosts, 1):
        net.run("ip", "-n", host.name, "addr", "replace", f"fe80::{number}/64", "dev", "eth0", "nodad")
    return lan.hosts


def errno_of(call, *args):
    """The errno of a call that must fail."""
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    raise AssertionError("it worked")


def hears_nothing(sock):
    """No message comes."""
    pgm.timeouts(sock, 0.3)
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"got {sock.recv(100)}")


@test
def test_scope_of_a_failure():
    """connect() that fails ties the socket to no interface."""
    # attack: A-06
    with net.shared() as lan:
        one, _ = on_link(lan)
        with pgm.pgm_socket(one) as sock:
            nowhere = 9999
            assert errno_of(sock.connect, (LINK, pgm.PORT, 0, nowhere)) != "EINVAL"
            sock.connect((LINK, pgm.PORT, 0, one.index()))
            ktap.equal(sock.getpeername()[3], one.index())


@test
def test_scope():
    """Groups of a link need an interface, from the address or from an option."""
    with net.shared() as lan:
        one, two = on_link(lan)
        for call in (socket.socket.connect, lambda sock, name: sock.sendto(b"x", name)):
            with pgm.pgm_socket(one) as sock:
                ktap.equal(errno_of(call, sock, (LINK, pgm.PORT)), "EINVAL")
        with pgm.pgm_socket(two) as sock:
            ktap.equal(errno_of(sock.bind, (LINK, pgm.PORT)), "EINVAL")
        with pgm.pgm_socket(one) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            name = (LINK, pgm.PORT, 0, one.index())
            ktap.equal(errno_of(sock.connect, name), "EINVAL")
        listening = pgm.listener(two, (LINK, pgm.PORT, 0, two.index()))
        with listening:
            ktap.equal(listening.getsockname(), (LINK, pgm.PORT, 0, two.index()))
            by_name = pgm.source(one, (LINK, pgm.PORT, 0, one.index()))
            by_option = pgm.source(one, (LINK, pgm.PORT), ipv6_multicast_if=one.index())
            by_device = pgm.source(one, (LINK, pgm.PORT), so_bindtodevice=b"eth0")
            for source in (by_name, by_option, by_device):
                with source:
                    source.send(b"x")
                    ktap.equal(source.getpeername(), (LINK, pgm.PORT, 0, one.index()))
                    address, port, _, scope = source.getsockname()
                    assert address.startswith("fe80::"), address
                    ktap.equal(scope, one.index())
                    session, peer = pgm.accept(listening)
                    with session:
                        ktap.equal(session.recv(10), b"x")
                        ktap.equal(peer, (address, port, 0, two.index()))
                        ktap.equal(session.getpeername(), peer)


@ktap.each(
    {"session_on_link": pgm.listener, "datagram_on_link": None},
    variants=(variant.V6, variant.V6_UDP),
)
def repaired_on_link(listener):
    """NAKs find a source that has an address of the link only."""
    # req: WIRE-21
    with net.shared() as lan, contextlib.ExitStack() as stack:
        one, two = on_link(lan)
        at = (LINK, pgm.PORT, 0, two.index())
        sock = listener(two, at) if listener else pgm.datagram(two, at, interface=two.index())
        stack.enter_context(sock)
        often = {pgm.PGM_AMBIENT_SPM: 50_000}
        source = pgm.source(one, (LINK, pgm.PORT, 0, one.index()), options=often)
        stack.enter_context(source)
        ktap.wait_for(lambda: pgm.stats(source)["spm"] > 3, "the session is announced")
        source.send(b"first")
        if listener:
            sock = stack.enter_context(pgm.accept(sock)[0])
        data, name = sock.recvfrom(10)
        ktap.equal((data, name[0], name[3]), (b"first", "fe80::1", two.index()))
        lan.toward(two, "loss 100%")
        source.send(b"lost")
        one.netem(None)
        source.send(b"next")
        ktap.equal([sock.recv(10), sock.recv(10)], [b"lost", b"next"])
        assert pgm.stats(source)["naks"], "no NAK arrived"


@test
def test_families_apart():
    """An IPv4 and an IPv6 socket share a port and hear nothing of each other."""
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.datagram(two, (pgm.ANY, pgm.PORT)) as bus6, pgm.source(one) as source6:
            variant.enter(variant.V4)
            with contextlib.ExitStack() as stack:
                bus4 = stack.enter_context(pgm.pgm_socket(two))
                bus4.bind(("0.0.0.0", pgm.PORT))
                pgm.join(bus4, V4_GROUP)
                source4 = stack.enter_context(pgm.source(one, (V4_GROUP, pgm.PORT)))
                for source, message in ((source4, b"v4"), (source6, b"v6")):
                    source.send(message)
                pgm.timeouts(bus4)
                ktap.equal(bus4.recv(10), b"v4")
                ktap.equal(bus6.recv(10), b"v6")
                hears_nothing(bus4)
                hears_nothing(bus6)


@test
def test_no_ipv4():
    """An IPv6 socket has nothing to do with IPv4, mapped addresses included."""
    with net.shared() as lan:
        with pgm.pgm_socket(lan.hosts[0]) as sock:
            mapped = (f"::ffff:{V4_GROUP}", pgm.PORT)
            ktap.equal(errno_of(sock.connect, mapped), "EADDRNOTAVAIL")
            ktap.equal(errno_of(sock.sendto, b"x", mapped), "EADDRNOTAVAIL")
            ktap.equal(errno_of(sock.bind, mapped), "EADDRNOTAVAIL")
            ktap.equal(errno_of(sock.connect, ("fd77::2", pgm.PORT)), "EADDRNOTAVAIL")
            option = (socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 3)
            ktap.equal(errno_of(sock.setsockopt, *option), "ENOPROTOOPT")
            windows = (pgm.IPPROTO_PGM, 1007, socket.inet_aton(lan.hosts[0].addresses[4]))
            ktap.equal(errno_of(sock.setsockopt, *windows), "ENOPROTOOPT")


@test
def test_router_alert():
    """No Router Alert unless a value is set; then on SPMs and not on data."""
    with net.shared() as lan:
        one, two = lan.hosts
        seen = {}
        for value in (0, 77):
            with wire.Capture(one, pgm.PORT) as capture, pgm.datagram(two) as bus:
                options = {pgm.PGM_ROUTER_ALERT: value} if value else {}
                with pgm.source(one, options=options) as source:
                    ktap.equal(pgm.get_int(source, pgm.PGM_ROUTER_ALERT), value)
                    ktap.equal(pgm.get_int(source, pgm.PGM_MSS), 1500 - 40 - (value and 8) - 36)
                    source.send(b"x")
                    ktap.equal(bus.recv(10), b"x")
                    tsi = pgm.tsi(source)
                    pgm.reset_close(source)
                # The source before may still say that it is over.
                seen[value] = {
                    (p.kind, bytes(p.ip_options))
                    for p in capture.packets()
                    if p.gsi + p.sport.to_bytes(2, "big") == tsi
                }
        ktap.equal(seen[0], {(wire.SPM, b""), (wire.ODATA, b"")})
        # Next header 113, one unit, Router Alert of two bytes, PadN (RFC 2711, RFC 8200).
        alert = bytes((113, 0, 5, 2, 0, 77, 1, 0))
        ktap.equal(seen[77], {(wire.SPM, alert), (wire.ODATA, b"")})
        with pgm.pgm_socket(one) as sock:
            for value in (-1, 1 << 16):
                option = (pgm.IPPROTO_PGM, pgm.PGM_ROUTER_ALERT, struct.pack("=i", value))
                ktap.equal(errno_of(sock.setsockopt, *option), "EINVAL")


@test
def test_control_messages():
    """IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS and what they describe."""
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.datagram(two) as bus:
            for option in ("RECVPKTINFO", "RECVHOPLIMIT", "RECVTCLASS"):
                bus.setsockopt(socket.IPPROTO_IPV6, getattr(socket, f"IPV6_{option}"), 1)
            how = {"ipv6_tclass": 0x48, "ipv6_multicast_hops": 9}
            with pgm.source(one, **how) as source:
                source.send(b"x")
                _, ancillary, _, _ = bus.recvmsg(10, 200)
        found = {kind: data for level, kind, data in ancillary if level == socket.IPPROTO_IPV6}
        info = socket.inet_pton(socket.AF_INET6, pgm.GROUP) + struct.pack("=I", two.index())
        ktap.equal(found[socket.IPV6_PKTINFO], info)
        ktap.equal(found[socket.IPV6_HOPLIMIT], struct.pack("=i", 9))
        ktap.equal(found[socket.IPV6_TCLASS], struct.pack("=i", 0x48))


if __name__ == "__main__":
    ktap.main(pgm.need_module)
