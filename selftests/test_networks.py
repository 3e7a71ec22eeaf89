#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Networks that are more than a cable: VLANs, VRFs, routers, and IP fragments."""

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
import wire
from probe import Probe

WINDOW = (20_000, 20_000, 0)
MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC, VIFF_USE_IFINDEX = 200, 202, 204, 8


def ip(host, words, check=True):
    """ip -n HOST ..."""
    return net.run("ip", "-n", host.name, *words.split(), check=check)


def device(kind, host, name, words):
    """A virtual device, if this kernel has its kind."""
    try:
        ip(host, f"link add {words}")
    except RuntimeError as error:
        if "Unknown device type" in str(error) or "not supported" in str(error):
            raise ktap.Skip(f"no {kind}: {error}") from error
        raise
    ip(host, f"link set {name} up")


def exchange(source, receivers, lan, device="eth0"):
    """Messages of one and of several packets arrive, with losses on the way."""
    one = lan.hosts[0]
    source.send(b"first")
    for receiver in receivers:
        ktap.equal(receiver.recv(10), b"first")
    one.netem("loss 30%", device)
    sent = pgm.messages(30, (4, 4000))
    for message in sent:
        source.send(message)
    one.netem(None, device)
    for receiver in receivers:
        pgm.same([receiver.recv(1 << 16) for _ in sent], sent)
        assert pgm.stats(receiver)["repaired"], "nothing was lost"


def silent(sock, seconds=0.3):
    """Nothing comes."""
    pgm.timeouts(sock, seconds)
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"got {sock.recv(100)}")
    pgm.timeouts(sock)


@ktap.test
def test_vlan():
    """Over VLAN devices, chosen by interface; the untagged network hears nothing."""
    # attack: A-18
    with net.Lan() as lan, pgm.datagram(lan.hosts[1]) as untagged:
        one, two = lan.hosts
        for number, host in enumerate(lan.hosts, 1):
            device("VLAN", host, "eth0.5", "link eth0 name eth0.5 type vlan id 5")
            ip(host, f"addr add 10.79.0.{number}/24 dev eth0.5")
        where = pgm.multicast(interface=one.index("eth0.5"))
        with (
            pgm.datagram(two, interface=two.index("eth0.5")) as bus,
            pgm.source(one, None, WINDOW, **where) as source,
        ):
            ktap.equal(source.getsockname()[0], "10.79.0.1")
            exchange(source, [bus], lan)
        silent(untagged)


def enslave(host):
    """Puts eth0 of a host into a VRF."""
    device("VRF", host, "vrf0", "vrf0 type vrf table 10")
    ip(host, "link set eth0 master vrf0")
    ip(host, "route add 224.0.0.0/4 dev eth0 table 10")


@ktap.test
def test_vrf_receivers():
    """Who is bound to a VRF, or to an interface in it, hears it; others do not, as with UDP."""
    with net.Lan(arp=True) as lan:
        one, two = lan.hosts
        enslave(two)
        eth0 = two.index()
        bound = {"so_bindtodevice": b"vrf0"}
        with (
            pgm.listener(two, **bound) as listening,
            pgm.pgm_socket(two) as by_vrf,
            pgm.pgm_socket(two) as by_interface,
            pgm.pgm_socket(two) as by_nothing,
            pgm.source(one, None, WINDOW) as source,
        ):
            for sock, name in ((by_vrf, b"vrf0"), (by_interface, b"eth0"), (by_nothing, None)):
                if name:
                    pgm.set_options(sock, {"so_bindtodevice": name})
                for option, value in pgm.QUICK.items():
                    pgm.set_int(sock, option, value)
                pgm.set_options(sock, {"so_reuseaddr": 1})
                sock.bind((pgm.GROUP, pgm.PORT))
                pgm.join(sock, interface=eth0)
                pgm.timeouts(sock)
            source.send(b"hello")
            session, peer = pgm.accept(listening)
            with session:
                ktap.equal(peer[0], one.address)
                ktap.equal(session.recv(10), b"hello")
                for sock in (by_vrf, by_interface):
                    ktap.equal(sock.recv(10), b"hello")
                exchange(source, [session, by_vrf, by_interface], lan)
                silent(by_nothing)
                ip(two, "link set eth0 down")
                for sock in (session, by_vrf, by_interface):
                    try:
                        raise AssertionError(f"got {sock.recv(10)}")
                    except OSError as error:
                        ktap.equal(errno.errorcode[error.errno], "ENETDOWN")


@ktap.test
def test_vrf_sources():
    """A source in a VRF sends by its routes, and repairs."""
    with net.Lan(arp=True) as lan, pgm.datagram(lan.hosts[1]) as bus:
        one = lan.hosts[0]
        enslave(one)
        for name in (b"vrf0", b"eth0"):
            with pgm.source(one, None, WINDOW, so_bindtodevice=name) as source:
                ktap.equal(source.getsockname()[0], one.address)
                exchange(source, [bus], lan)
        with pgm.pgm_socket(one) as unbound:
            try:
                unbound.connect((pgm.GROUP, pgm.PORT))
            except OSError as error:
                ktap.equal(errno.errorcode[error.errno], "ENETUNREACH")
            else:
                raise AssertionError("a route of a VRF was used from outside")


def fragments(data, source, destination, size, ident):
    """An IPv4 packet of protocol 113 in fragments."""
    found = []
    for at in range(0, len(data), size):
        part = data[at : at + size]
        more = 0x2000 if at + size < len(data) else 0
        header = struct.pack(
            "!BBHHHBBH4s4s",
            *(0x45, 0, 20 + len(part), ident, more | at // 8, 16, 113, 0),
            socket.inet_aton(source),
            socket.inet_aton(destination),
        )
        found.append(header + part)
    return found


@ktap.test
def test_ip_fragments():
    """A TPDU that arrives in IP fragments, in any order, is one packet."""
    # attack: A-18
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        one = lan.hosts[0]
        session = wire.Session(one.address, pgm.GROUP, pgm.PORT)
        orders = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)]
        with one, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            for sqn, order in enumerate(orders):
                payload = os.urandom(1000)
                data = session.data(wire.ODATA, sqn, 0, payload)
                # Not even the PGM header is whole in a fragment.
                parts = fragments(data, one.address, pgm.GROUP, 8, 0x700 + sqn)
                quarter = len(parts) // 4 + 1
                for n in order:
                    for part in parts[n * quarter : (n + 1) * quarter]:
                        raw.sendto(part, (pgm.GROUP, 0))
                ktap.equal(bus.recv(2000), payload)


@ktap.test
def test_ttl():
    """IP_MULTICAST_TTL is that of SPM, ODATA, NCF and RDATA; also when it changes later."""
    # req: ADDR-19
    with net.shared() as lan, Probe(lan.hosts[1], pgm.PORT) as probe:
        one = lan.hosts[0]
        with pgm.source(one, None, WINDOW, **pgm.multicast(ttl=7)) as source:
            for ttl in (7, 3):
                source.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
                probe.forget()
                source.send(b"x")
                data = probe.wait(wire.ODATA)
                identifier = pgm.tsi(source)
                session = wire.Session(
                    one.address,
                    pgm.GROUP,
                    pgm.PORT,
                    int.from_bytes(identifier[6:], "big"),
                    identifier[:6],
                )
                probe.send(session.nak(wire.NAK, data.sqn), one.address)
                found = [data, *(probe.wait(kind) for kind in (wire.NCF, wire.RDATA, wire.SPM))]
                ktap.equal({packet.ttl for packet in found}, {ttl})


@contextlib.contextmanager
def routed():
    """(source, router, receiver): the router forwards multicast from eth0 to eth1."""
    with net.Lan(arp=True) as lan:
        source, router = lan.hosts
        receiver = net.Host(f"{router.name}-far", 9)
        net.run("ip", "netns", "add", receiver.name)
        try:
            ip(router, f"link add eth1 type veth peer name eth0 netns {receiver.name}")
            ip(router, "addr add 10.79.0.1/24 dev eth1")
            ip(router, "link set eth1 up")
            ip(receiver, "addr add 10.79.0.2/24 dev eth0")
            ip(receiver, "link set eth0 up")
            ip(receiver, "route add default via 10.79.0.1")
            ip(receiver, "route add 224.0.0.0/4 dev eth0")
            ip(source, "route add 10.79.0.0/24 via 10.77.0.2")
            router.sysctl("net/ipv4/ip_forward", 1)
            ktap.wait_for(lambda: "UP" in ip(router, "-br link show eth1"), "eth1 is up")
            with router:
                daemon = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
            with daemon:
                daemon.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
                for vif, name in enumerate(("eth0", "eth1")):
                    value = struct.pack("=HBBIi4x", vif, VIFF_USE_IFINDEX, 1, 0, router.index(name))
                    daemon.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF, value)
                route = struct.pack(
                    "=4s4sH32s2xIIIi",
                    socket.inet_aton(source.address),
                    socket.inet_aton(pgm.GROUP),
                    0,
                    bytes([0, 1]) + bytes(30),  # TTL thresholds
                    *(0, 0, 0, 0),
                )
                daemon.setsockopt(socket.IPPROTO_IP, MRT_ADD_MFC, route)
                yield lan, source, router, receiver
        finally:
            net.run("ip", "netns", "del", receiver.name, check=False)


@ktap.test
def test_router():
    """Through a router: not with a TTL of 1; with more, NAKs find their way back."""
    with (
        routed() as (lan, one, _, far),
        pgm.listener(far) as listening,
        pgm.source(one, None, WINDOW, **pgm.multicast(ttl=1)) as near,
        pgm.source(one, None, WINDOW, **pgm.multicast(ttl=2)) as source,
    ):
        near.send(b"near")
        source.send(b"far")
        session, peer = pgm.accept(listening)
        with session:
            ktap.equal((peer[0], session.recv(10)), (one.address, b"far"))
            exchange(source, [session], lan)
            pgm.timeouts(listening, 0.3)
            with contextlib.suppress(BlockingIOError):
                raise AssertionError(f"accepted {listening.accept()}")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
