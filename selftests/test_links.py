#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Interfaces, addresses, routes and MTUs change below sockets that go on."""

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

WINDOW = (20_000, 20_000, 0)
# Repairs cannot wait for heartbeats of seconds: these tests look for prompt ones.
SLOW_SPM = {pgm.PGM_AMBIENT_SPM: 60_000_000}
IP_RECVERR, IP_MTU_DISCOVER, IP_MTU = 11, 10, 14
IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 0, 2
MCAST_JOIN_GROUP = 42


def ip(host, words):
    """ip -n HOST ..."""
    return net.run("ip", "-n", host.name, *words.split())


def errors_of(sock, timeout=0.5):
    """Errors of recv() until it has nothing more to say."""
    found = []
    pgm.timeouts(sock, timeout)
    while True:
        try:
            if not sock.recv(100):
                return found + ["end"]
        except BlockingIOError:
            pgm.timeouts(sock)
            return found
        except OSError as error:
            found.append(errno.errorcode[error.errno])


def error_of(call, *arguments):
    """The name of the error of one call."""
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def via(host):
    """Socket option: multicast leaves by eth0, whatever the routes say."""
    if variant.now().version == 6:
        return pgm.multicast(interface=host.index())
    return {"ip_multicast_if": socket.inet_aton(host.address)}


def join_by(sock, host, device):
    """Joins the group on one interface."""
    with host:
        index = socket.if_nametoindex(device)
    address = struct.pack("=H2x4s", socket.AF_INET, socket.inet_aton(pgm.GROUP))
    request = struct.pack("=I4x", index) + address.ljust(128, b"\0")
    sock.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_GROUP, request)


def second_cable(lan, mtu=1500):
    """eth1 at both hosts: 10.78.0.1 and 10.78.0.2."""
    one, two = lan.hosts
    ip(one, f"link add eth1 mtu {mtu} type veth peer name eth1 mtu {mtu} netns {two.name}")
    for number, host in enumerate(lan.hosts, 1):
        ip(host, f"addr add 10.78.0.{number}/24 dev eth1")
        ip(host, "link set eth1 up")
    for host in lan.hosts:
        ktap.wait_for(lambda h=host: "UP" in ip(h, "-br link show eth1"), "eth1 is up")


# --- interfaces


@ktap.test(variants=(variant.V4, variant.V6))
def test_receivers_interface_goes_down_and_up():
    """ENETDOWN once; messages of that time are repaired when the interface is there again."""
    with net.Lan() as lan, pgm.listener(lan.hosts[1]) as listening:
        one, two = lan.hosts
        two.sysctl("net/ipv6/conf/eth0/keep_addr_on_down", 1)
        with pgm.source(one, None, WINDOW, **via(one)) as source, pgm.datagram(two) as bus:
            source.send(b"before")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal((session.recv(10), bus.recv(10)), (b"before", b"before"))
                waiting = pgm.Background(error_of, session.recv, 10)
                time.sleep(0.2)
                ip(two, "link set eth0 down")
                ktap.equal(waiting.result(5), "ENETDOWN", "a call that waits")
                ktap.equal(errors_of(session), [], "session")
                ktap.equal(errors_of(bus), ["ENETDOWN"], "datagram socket")
                pgm.timeouts(listening, 0.2)
                ktap.equal(error_of(listening.accept), "ENETDOWN", "listener")
                ktap.equal(error_of(listening.accept), "EAGAIN", "listener, again")
                for n in range(3):
                    source.send(b"lost %d" % n)
                ip(two, "link set eth0 up")
                source.send(b"after")
                wanted = [b"lost 0", b"lost 1", b"lost 2", b"after"]
                for sock in (session, bus):
                    ktap.equal([sock.recv(10) for _ in wanted], wanted)
                    ktap.equal(pgm.stats(sock)["lost"], 0)
                ip(two, "link set eth0 down")
                ktap.equal(errors_of(session), ["ENETDOWN"], "the second time")


@ktap.test
def test_filter_of_a_gone_interface():
    """A filter that asks for the interface refuses a packet that waited until it was gone."""
    # attack: A-07 A-18
    with net.Lan() as lan:
        one, two = lan.hosts
        second_cable(lan)
        with pgm.pgm_socket(two) as bus, Probe(one) as by0, Probe(one, device="eth1") as by1:
            pgm.timeouts(bus)
            bus.bind((pgm.GROUP, pgm.PORT))
            for device in ("eth0", "eth1"):
                join_by(bus, two, device)
            load_interface, accept = (0x20, 0, 0, 0xFFFFF000 + 8), (0x06, 0, 0, 0xFFFF)
            pgm.attach_filter(bus, load_interface, accept)
            first = by0.source(address="10.77.0.1")
            second = by1.source(address="10.77.0.1", sport=first.session.down[0], gsi=first.session.gsi)
            first.odata(0, b"zero", wire.option(wire.OPT_SYN))
            ktap.equal(bus.recv(10), b"zero")
            second.odata(2, b"two")
            ktap.wait_for(lambda: pgm.stats(bus)["buffered"], "the second cable's packet waits")
            ip(one, "link del eth1")
            ktap.wait_for(lambda: "eth1" not in ip(two, "-br link"), "eth1 is gone")
            for sqn, payload in ((1, b"one"), (3, b"three")):
                first.odata(sqn, payload)
                ktap.equal(bus.recv(10), payload)


@ktap.test
def test_interface_goes_away():
    """ENETDOWN once; then a session is over, and datagram socket and listener live on."""
    # attack: A-07
    with net.Lan() as lan, pgm.listener(lan.hosts[1]) as listening:
        one, two = lan.hosts
        with pgm.source(one, None, WINDOW, **via(one)) as source, pgm.datagram(two) as bus:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal((session.recv(10), bus.recv(10)), (b"x", b"x"))
                poll = select.poll()
                poll.register(session, select.POLLIN | select.POLLRDHUP)
                ip(two, "link del eth0")
                (_, events), *_ = poll.poll(5000)
                assert events & select.POLLERR and events & select.POLLRDHUP, events
                ktap.equal(errors_of(session), ["ENETDOWN", "end"], "session")
                ktap.equal(errors_of(bus), ["ENETDOWN"], "datagram socket")
                pgm.timeouts(listening, 0.2)
                ktap.equal(error_of(listening.accept), "ENETDOWN", "listener")
                # Its peer went with it.
                ktap.equal(error_of(source.send, b"x"), "ENETDOWN", "source")
                ktap.equal(error_of(source.send, b"x"), "ENETUNREACH", "source, again")


@ktap.test
def test_sources_interface_goes_down_and_up():
    """send() fails; what waited or was lost is repaired as soon as the interface is there again."""
    with net.Lan() as lan, pgm.datagram(lan.hosts[1]) as bus:
        one = lan.hosts[0]
        with (
            pgm.source(one, None, WINDOW, SLOW_SPM, **via(one)) as chosen,
            pgm.source(one, None, WINDOW, SLOW_SPM) as routed,
        ):
            for source in (chosen, routed):
                source.send(b"before")
                ktap.equal(bus.recv(10), b"before")
            one.netem("loss 100%")
            for source in (chosen, routed):
                source.send(b"lost")
                ktap.wait_for(lambda s=source: pgm.stats(s)["odata"] == 2, "it was sent")
            ip(one, "link set eth0 down")
            one.mend()
            for source in (chosen, routed):
                ktap.equal(error_of(source.send, b"x"), "ENETDOWN")
                ktap.equal(error_of(source.send, b"x"), "ENETUNREACH")
            ip(one, "link set eth0 up")
            began = time.monotonic()
            ktap.equal(bus.recv(10), b"lost", "by the chosen interface")
            ip(one, "route add 224.0.0.0/4 dev eth0")
            routed.send(b"after")
            ktap.equal([bus.recv(10), bus.recv(10)], [b"lost", b"after"], "by route")
            ktap.note(f"repaired {time.monotonic() - began:.2f} s after the link was up")
            ktap.equal(pgm.stats(bus)["lost"], 0)


@ktap.test
def test_other_interface_stays():
    """A receiver that joined on two interfaces says nothing while one of them is there."""
    with net.Lan() as lan, pgm.pgm_socket(lan.hosts[1]) as bus:
        one, two = lan.hosts
        second_cable(lan)
        bus.bind(("", pgm.PORT))
        join_by(bus, two, "eth0")
        join_by(bus, two, "eth1")
        ip(two, "link set eth0 down")
        ktap.equal(errors_of(bus, 0.2), [])
        with pgm.source(one, ip_multicast_if=socket.inet_aton("10.78.0.1")) as source:
            source.send(b"x")
            ktap.equal(bus.recv(10), b"x")
        ip(two, "link set eth1 down")
        ktap.equal(errors_of(bus, 0.2), ["ENETDOWN"])


# --- path MTU


def mtu_of(source):
    """(IP_MTU, PGM_MSS)"""
    mtu = source.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return mtu, pgm.get_int(source, pgm.PGM_MSS)


def offset(packet):
    """Where an IP fragment stands."""
    return struct.unpack("!H", packet.ip[6:8])[0] & 0x1FFF


def lose(lan, source, message):
    """Sends a message that the second host does not get."""
    lan.toward(lan.hosts[1], "loss 100%")
    sent = pgm.stats(source)["odata"]
    source.send(message)
    ktap.wait_for(lambda: pgm.stats(source)["odata"] > sent, "it was sent")


@ktap.each({"want": None, "dont": IP_PMTUDISC_DONT, "do": IP_PMTUDISC_DO})
def lowered_mtu(discover):
    """New APDUs fit a smaller MTU; what the window holds is repaired in IP fragments."""
    # req: SRC-21
    # attack: A-20
    options = {} if discover is None else {IP_MTU_DISCOVER: discover}
    with net.Lan() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with pgm.source(lan.hosts[0], None, WINDOW) as source:
            for option, value in options.items():
                source.setsockopt(socket.IPPROTO_IP, option, value)
            source.send(b"first")
            ktap.equal(bus.recv(10), b"first")
            ktap.equal(mtu_of(source), (1500, 1440))
            large = os.urandom(1400)
            lose(lan, source, large)
            ip(lan.hosts[0], "link set eth0 mtu 600")
            ktap.equal(mtu_of(source), (600, 540))
            with wire.Capture(lan.hosts[1]) as capture:
                lan.hosts[0].mend()
                source.send(large[::-1])
                if discover == IP_PMTUDISC_DO:
                    # Never in fragments: this packet cannot be repaired, the source knows it only by
                    # its window's end. The next APDU waits for it.
                    ktap.wait_for(lambda: pgm.stats(source)["rdata"] >= 2, "repairs were tried")
                    found = [p for p in capture.packets() if p.kind == wire.RDATA]
                    ktap.equal(found, [])
                    return
                got = [bus.recv(2000), bus.recv(2000)]
                ktap.equal(got, [large, large[::-1]])
                packets = capture.packets()
            repairs = [p for p in packets if p.kind == wire.RDATA and not offset(p)]
            flags = {struct.unpack("!H", p.ip[6:8])[0] >> 13 for p in repairs}
            ktap.equal(flags, {1}, "more fragments, and no DF")
            data = [p for p in packets if p.kind == wire.ODATA and not offset(p)]
            ktap.equal(len(data), 3, "ODATA of the second APDU")
            assert all(len(p.ip) + len(p.data) <= 600 for p in data)
            flags = {struct.unpack("!H", p.ip[6:8])[0] >> 13 for p in data}
            ktap.equal(flags, {0 if discover == IP_PMTUDISC_DONT else 2}, "DF")


def too_big(host, to, session, mtu, group=pgm.GROUP, kind=3, code=4):
    """An ICMP error about a packet of a source, by default "fragmentation needed"."""
    odata = session.data(wire.ODATA, 0, 0, bytes(40))
    return icmp(host, to, to, group, odata, kind, code, mtu)


def icmp(host, to, inner_source, inner_destination, packet, kind, code, mtu=0):
    """Sends an ICMP error that quotes a PGM packet."""
    quoted = struct.pack(
        "!BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(packet), 0, 0x4000, 16, 113, 0),
        socket.inet_aton(inner_source),
        socket.inet_aton(inner_destination),
    )
    body = struct.pack("!BBHHH", kind, code, 0, 0, mtu) + quoted + packet
    value = wire.checksum(body)
    with host, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(body[:2] + struct.pack("!H", value) + body[4:], (to, 0))


def session_of(source, host):
    """What names a source's packets."""
    identifier = pgm.tsi(source)
    return wire.Session(
        host.address, pgm.GROUP, pgm.PORT, int.from_bytes(identifier[6:], "big"), identifier[:6]
    )


@ktap.test
def test_fragmentation_needed():
    """ICMP makes new APDUs smaller, if it quotes a packet of the source; never below 552 bytes."""
    # attack: A-20
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.source(one, None, WINDOW) as source, pgm.datagram(two) as bus:
            right = session_of(source, one)
            wrong = wire.Session(one.address, pgm.GROUP, pgm.PORT, 0x9999)
            too_big(two, one.address, wrong, 700)
            too_big(two, one.address, right, 700, group="239.1.2.3")
            too_big(two, one.address, right, 1499)
            ktap.wait_for(lambda: mtu_of(source)[0] != 1500, "the right one arrived")
            ktap.equal(mtu_of(source), (1499, 1439))
            too_big(two, one.address, right, 1000)
            ktap.wait_for(lambda: mtu_of(source) == (1000, 940), "MTU 1000")
            too_big(two, one.address, right, 100)
            ktap.wait_for(lambda: mtu_of(source) == (552, 492), "MTU 552")
            message = os.urandom(1000)
            source.send(message)
            ktap.equal(bus.recv(2000), message)
            ktap.equal(pgm.stats(source)["odata"], 3)
            source.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 4)  # IP_PMTUDISC_INTERFACE
            ktap.equal(mtu_of(source), (1500, 1440))


@ktap.test
def test_errors_for_a_closed_source():
    """A closed source that is told of its links goes on to send what waits: nothing is lost by that."""
    # attack: A-20
    with net.Lan() as lan, pgm.datagram(lan.hosts[1]) as bus:
        one, two = lan.hosts
        # What does not fit into the device's queue waits in the window.
        one.netem("rate 8mbit")
        count = 300
        with pgm.source(one, None, WINDOW) as source:
            right = session_of(source, one)
            for n in range(count):
                source.send(struct.pack("!I", n).ljust(1000))
        for _ in range(50):
            too_big(two, one.address, right, 1400)
        got = [struct.unpack_from("!I", bus.recv(2000))[0] for _ in range(count)]
        ktap.equal(got, list(range(count)))
        # Repairs would be RDATA.
        ktap.equal(pgm.stats(bus)["odata"], count, "ODATA")


@ktap.test(variants=(variant.V6,))
def test_packet_too_big():
    """ICMPv6 makes new APDUs smaller in the same way; never below 1280 bytes."""
    # attack: A-20
    with net.shared() as lan:
        one, two = lan.hosts

        def too_big6(session, mtu):
            odata = session.data(wire.ODATA, 0, 0, bytes(40))
            quoted = struct.pack("!IHBB", 6 << 28, len(odata), 113, 16)
            quoted += socket.inet_pton(socket.AF_INET6, one.address)
            quoted += socket.inet_pton(socket.AF_INET6, pgm.GROUP)
            with two, socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58) as raw:
                body = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted + odata
                raw.sendto(body, (one.address, 0))

        with pgm.source(one, None, WINDOW) as source, pgm.datagram(two) as bus:
            whole = pgm.get_int(source, pgm.PGM_MSS)
            right = session_of(source, one)
            too_big6(wire.Session(one.address, pgm.GROUP, pgm.PORT, 0x9999), 1300)
            for mtu, cut in ((1450, 50), (1400, 100), (600, 220)):
                too_big6(right, mtu)
                ktap.wait_for(
                    lambda cut=cut: pgm.get_int(source, pgm.PGM_MSS) == whole - cut, f"MTU {mtu}"
                )
            message = os.urandom(1350)
            source.send(message)
            ktap.equal(bus.recv(2000), message)
            ktap.equal(pgm.stats(source)["odata"], 2)


def queued_error(sock):
    """(errno, type, code, info) from the error queue."""
    _, ancillary, _, _ = sock.recvmsg(100, 512, socket.MSG_ERRQUEUE)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
            number, _, icmp_type, code, _, info = struct.unpack("=IBBBBI", data[:12])
            return errno.errorcode[number], icmp_type, code, info
    raise AssertionError("no error")


@contextlib.contextmanager
def acquainted():
    """(two hosts, a source on the first, a session of it on the second that has had a message)"""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], None, WINDOW) as source:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"x")
                yield *lan.hosts, source, session


@ktap.test
def test_icmp_errors():
    """ICMP errors disturb nobody, except who asked for them by IP_RECVERR."""
    # attack: A-20
    with acquainted() as (one, two, source, session):
        peer = session_of(source, one)
        nak = peer.nak(wire.NAK, 0)
        for asked in (False, True):
            if asked:
                session.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
                source.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            # The source's host knows no protocol 113.
            icmp(one, two.address, two.address, one.address, nak, 3, 2)
            # A router cannot forward what the source sends.
            too_big(two, one.address, peer, 0, kind=3, code=1)
            if not asked:
                ktap.equal(errors_of(session, 0.3), [])
                source.send(b"y")
                ktap.equal(session.recv(10), b"y")
        ktap.equal(error_of(session.recv, 10), "ENOPROTOOPT")
        ktap.equal(queued_error(session), ("ENOPROTOOPT", 3, 2, 0))
        ready = select.poll()
        ready.register(source, 0)
        ktap.equal([events for _, events in ready.poll(5000)], [select.POLLERR])
        ktap.equal(error_of(source.send, b"z"), "EHOSTUNREACH")
        ktap.equal(queued_error(source), ("EHOSTUNREACH", 3, 1, 0))
        source.send(b"z")
        ktap.equal(session.recv(10), b"z")


@ktap.test
def test_icmp_errors_wake_readers():
    """An ICMP error ends recv() also if it comes just before recv() sleeps."""
    with acquainted() as (one, two, source, session):
        session.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        found = []

        def read():
            while len(found) < 100:
                found.append(error_of(session.recv, 10))

        reader = pgm.Background(read)
        nak = session_of(source, one).nak(wire.NAK, 0)
        for count in range(100):
            icmp(one, two.address, two.address, one.address, nak, 3, 2)
            ktap.wait_for(lambda n=count: len(found) > n, "the error", 5, 0.0005)
        reader.result()
        ktap.equal(found, ["ENOPROTOOPT"] * 100)


# --- addresses and routes


@ktap.test(variants=(variant.V4, variant.V6))
def test_source_changes_its_address():
    """The session stays; SPMs announce the new address at once, and NAKs find it."""
    # req: WIRE-10
    with net.Lan() as lan, pgm.listener(lan.hosts[1]) as listening:
        one, two = lan.hosts
        one.sysctl("net/ipv4/conf/eth0/promote_secondaries", 1)
        old, new = one.address, net.address(11)
        bits = 24 if variant.now().version == 4 else 64
        with pgm.source(one, None, WINDOW, SLOW_SPM) as source, wire.Capture(two) as capture:
            source.send(b"before")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"before")
                lose(lan, source, b"lost")
                identifier = pgm.tsi(source)
                ip(one, f"addr add {new}/{bits} dev eth0")
                ip(one, f"addr del {old}/{bits} dev eth0")
                one.mend()
                # The window's packet was sent under the old address, its repair is under the new one.
                ktap.equal(session.recv(10), b"lost")
                source.send(b"after")
                ktap.equal(session.recv(10), b"after")
                packets = capture.packets()
                spm = [p for p in packets if p.kind == wire.SPM][-1]
                ktap.equal((spm.source, spm.path), (new, new))
                naks = [p.destination for p in packets if p.kind == wire.NAK]
                assert new in naks, naks
                ktap.equal({p.gsi for p in packets}, {identifier[:6]}, "GSI")
                ktap.equal(source.getsockname()[0], new)
                ktap.equal(pgm.tsi(source), identifier)


@ktap.test
def test_bound_source_keeps_its_address():
    """An address that was chosen is not left: send() fails until it is there again."""
    with net.Lan() as lan, pgm.datagram(lan.hosts[1]) as bus, pgm.pgm_socket(lan.hosts[0]) as sock:
        one = lan.hosts[0]
        ip(one, "addr add 10.77.0.11/24 dev eth0")
        sock.bind(("10.77.0.11", 0))
        sock.connect((pgm.GROUP, pgm.PORT))
        sock.send(b"x")
        ktap.equal(bus.recvfrom(10)[1][0], "10.77.0.11")
        ip(one, "addr del 10.77.0.11/24 dev eth0")
        ktap.equal(error_of(sock.send, b"y"), "ENETDOWN")
        ktap.equal(error_of(sock.send, b"y"), "ENETUNREACH")
        ip(one, "addr add 10.77.0.11/24 dev eth0")
        sock.send(b"z")
        ktap.equal(bus.recv(10), b"z")


@ktap.test
def test_route_moves():
    """Interface, source address and MTU are those of the new route; the session stays."""
    with net.Lan() as lan, pgm.pgm_socket(lan.hosts[1]) as bus:
        one, two = lan.hosts
        second_cable(lan, mtu=900)
        bus.bind(("", pgm.PORT))
        join_by(bus, two, "eth0")
        join_by(bus, two, "eth1")
        pgm.timeouts(bus)
        with pgm.source(one, None, WINDOW) as source, wire.Capture(two, device="eth1") as capture:
            message = os.urandom(1200)
            source.send(message)
            ktap.equal(bus.recv(2000), message)
            ktap.equal(mtu_of(source), (1500, 1440))
            ip(one, "route replace 224.0.0.0/4 dev eth1")
            source.send(message[::-1])
            ktap.equal(bus.recv(2000), message[::-1])
            ktap.equal(mtu_of(source), (900, 840))
            packets = capture.packets()
            spm = next(p for p in packets if p.kind == wire.SPM)
            ktap.equal((spm.source, spm.path), ("10.78.0.1", "10.78.0.1"))
            data = [p.options.get(wire.OPT_FRAGMENT) for p in packets if p.kind == wire.ODATA]
            assert len(data) == 2 and all(data), data
            ktap.equal(pgm.stats(bus)["lost"], 0)
            # Without any route send() fails as that of UDP, and nothing is lost by that.
            ip(one, "route del 224.0.0.0/4 dev eth1")
            ktap.equal(error_of(source.send, b"x"), "ENETUNREACH")
            ip(one, "route add 224.0.0.0/4 dev eth0")
            source.send(b"back")
            ktap.equal(bus.recv(10), b"back")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
