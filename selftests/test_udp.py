#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PGM inside UDP (PGM_UDP_ENCAP)."""

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

USUAL = (3055, 3056)


def options(*ports):
    """PGM_UDP_ENCAP among the options of a socket."""
    return {pgm.PGM_UDP_ENCAP: pgm.encap(*ports)}


class Tap:
    """UDP datagrams that pass eth0 of a host."""

    def __init__(self, host):
        with host:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        self.sock.bind(("eth0", 3))
        self.sock.setblocking(False)

    def datagrams(self):
        """(IP header, UDP header as numbers, PGM packet)"""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, protocol, *_) = self.sock.recvfrom(65536)
                if protocol != 0x0800 or data[9] != socket.IPPROTO_UDP:
                    continue
                header = (data[0] & 15) * 4
                udp = struct.unpack("!HHHH", data[header : header + 8])
                if pgm.PORT not in struct.unpack("!HH", data[header + 8 : header + 12]):
                    continue  # a source of another test that still repairs
                yield data[:header], udp, wire.Packet(data[header + 8 :])


def user_socket(host, port, *reuse):
    """A UDP socket of user space in the group."""
    with host:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in reuse:
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind(("0.0.0.0", port))
    except OSError:
        sock.close()
        raise
    pgm.join(sock)
    sock.settimeout(5)
    return sock


def hears_nothing(sock):
    """No message comes."""
    pgm.timeouts(sock, 0.3)
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"got {sock.recv(100)}")


@ktap.each({"transfer_equal_ports": (3055, 3055), "transfer_two_ports": USUAL})
def test_transfer(ports):
    """Everything arrives, with repairs; the receiver's NAKs find the source."""
    with net.shared() as lan:
        one, two = lan.hosts
        listening = pgm.listener(two, options=options(*ports))
        with listening:
            lan.toward(two, "loss 5%")
            how = {pgm.PGM_AMBIENT_SPM: 50_000} | options(*ports)
            with pgm.source(one, options=how) as source:
                ktap.wait_for(lambda: pgm.stats(source)["spm"] >= 4, "the session is announced")
                receiver = pgm.Background(lambda: pgm.receive_all(pgm.accept(listening)[0]))
                sent = pgm.messages(200, (1, 5_000))
                for message in sent:
                    source.send(message)
                source.shutdown(socket.SHUT_WR)
                pgm.same(receiver.result(), sent)
                assert pgm.stats(source)["naks"], "no NAK arrived"


@ktap.test
def test_other_ports_after_a_failure():
    """bind() that failed has taken no ports that a later one would keep."""
    # attack: A-06
    other = (4055, 4056)
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.pgm_socket(two) as first, pgm.pgm_socket(two) as second:
            for sock in (first, second):
                pgm.set_int(sock, pgm.PGM_UDP_ENCAP, pgm.encap(*USUAL))
            first.bind((pgm.GROUP, pgm.PORT))
            try:
                second.bind((pgm.GROUP, pgm.PORT))
            except OSError as error:
                ktap.equal(errno.errorcode[error.errno], "EADDRINUSE")
            else:
                raise AssertionError("two sockets without SO_REUSEADDR share a port")
            pgm.set_int(second, pgm.PGM_UDP_ENCAP, pgm.encap(*other))
            second.bind((pgm.GROUP, pgm.PORT))
            pgm.join(second)
            pgm.timeouts(second)
            with pgm.source(one, options=options(*other)) as source:
                source.send(b"by the other ports")
                ktap.equal(second.recv(100), b"by the other ports")


@ktap.test
def test_wire():
    """Ports, checksum and Router Alert of what is on the wire."""
    with net.shared() as lan:
        one, two = lan.hosts
        tap = Tap(one)
        with tap.sock, pgm.datagram(two, options=options(*USUAL)) as bus:
            alert = options(*USUAL) | {pgm.PGM_ROUTER_ALERT: 1}
            with pgm.source(one, options=options(*USUAL)) as source:
                ktap.equal(pgm.get_int(source, pgm.PGM_ROUTER_ALERT), 0)
                ktap.equal(pgm.get_int(source, pgm.PGM_MSS), 1500 - 20 - 8 - 36)
                source.send(b"one")
                ktap.equal(bus.recv(100), b"one")
                lan.toward(two, "loss 100%")
                source.send(b"two")
                one.netem(None)
                source.send(b"three")
                ktap.equal(bus.recv(100), b"two")
                ktap.equal(bus.recv(100), b"three")
            with pgm.source(one, options=alert) as source:
                ktap.equal(pgm.get_int(source, pgm.PGM_ROUTER_ALERT), 1)
                ktap.equal(pgm.get_int(source, pgm.PGM_MSS), 1500 - 24 - 8 - 36)
            seen = list(tap.datagrams())
        kinds = set()
        for header, (sport, dport, length, checksum), packet in seen:
            kinds.add(packet.kind)
            group = header[16] & 0xF0 == 0xE0
            ktap.equal((sport, dport), (3055, 3056 if group else 3055), repr(packet))
            assert length > 8 and checksum, packet
            ktap.equal(group, packet.kind != wire.NAK, repr(packet))
        assert {wire.SPM, wire.ODATA, wire.RDATA, wire.NAK, wire.NCF} <= kinds, kinds
        with_alert = {packet.kind for header, _, packet in seen if len(header) > 20}
        ktap.equal(with_alert, {wire.SPM})


@ktap.test
def test_apart():
    """Native and encapsulated sockets, and other ports, do not hear each other."""
    with net.shared() as lan:
        one, two = lan.hosts
        kinds = [{}, options(3055, 3055), options(3057, 3057)]
        with contextlib.ExitStack() as stack:
            buses = [stack.enter_context(pgm.datagram(two, options=how)) for how in kinds]
            for number, how in enumerate(kinds):
                source = stack.enter_context(pgm.source(one, options=how))
                source.send(b"%d" % number)
                ktap.equal(buses[number].recv(100), b"%d" % number)
            for bus in buses:
                hears_nothing(bus)


@ktap.test
def test_same_host():
    """Sources and receivers of one host, by lo and by its Ethernet."""
    with net.shared() as lan:
        host = lan.hosts[0]
        for device in ("lo", "eth0"):
            index = host.index(device)
            with contextlib.ExitStack() as stack:
                buses = [
                    stack.enter_context(
                        pgm.datagram(host, interface=index, options=options(*USUAL))
                    )
                    for _ in range(2)
                ]
                way = pgm.multicast(interface=index)
                source = pgm.source(host, options=options(*USUAL), **way)
                stack.enter_context(source)
                for number in range(20):
                    source.send(b"%d" % number)
                for bus in buses:
                    for number in range(20):
                        ktap.equal(bus.recv(100), b"%d" % number)


@ktap.test
def test_shared_port():
    """The UDP port is shared with user space if that shares it, and given back at the end."""
    with net.shared() as lan:
        one, two = lan.hosts
        with user_socket(two, 3055), pgm.pgm_socket(two) as sock:
            pgm.set_int(sock, *next(iter(options(3055, 3055).items())))
            try:
                sock.bind((pgm.GROUP, pgm.PORT))
                raise AssertionError("bound")
            except OSError as error:
                ktap.equal(error.errno, errno.EADDRINUSE)
            try:
                sock.connect((pgm.GROUP, pgm.PORT))
                raise AssertionError("connected")
            except OSError as error:
                ktap.equal(error.errno, errno.EADDRINUSE)
        for reuse in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            with user_socket(two, 3055, reuse) as plain:
                with pgm.datagram(two, options=options(3055, 3055)) as bus:
                    with pgm.source(one, options=options(3055, 3055)) as source:
                        source.send(b"both")
                        ktap.equal(bus.recv(100), b"both")
                        kinds = set()
                        while wire.ODATA not in kinds:
                            kinds.add(wire.Packet(plain.recv(2000)).kind)

        def free():
            with contextlib.suppress(OSError):
                user_socket(two, 3055).close()
                return True
            return False

        ktap.wait_for(free, "the port is free again")


@ktap.test
def test_source_lingers():
    """A closed source keeps its UDP port until its repairs end."""
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.datagram(two, options=options(3058, 3058)) as bus:
            with pgm.source(one, window=(20_000, 1_500, 0), options=options(3058, 3058)) as source:
                source.send(b"one")
                ktap.equal(bus.recv(100), b"one")
                lan.toward(two, "loss 100%")
                source.send(b"two")
            one.netem(None)
            ktap.equal(bus.recv(100), b"two")

        def free():
            with contextlib.suppress(OSError):
                user_socket(one, 3058).close()
                return True
            return False

        assert not free(), "the port is free while the source repairs"
        ktap.wait_for(free, "the port is free again")


@ktap.test
def test_malformed():
    """Empty and short datagrams are dropped and counted."""
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.datagram(two, options=options(3055, 3055)) as bus:
            before = two.counters()["InDiscardTruncated"]
            with user_socket(one, 0) as plain:
                for length in range(16):
                    plain.sendto(bytes(length), (pgm.GROUP, 3055))
                    plain.sendto(bytes(length), (two.address, 3055))
            ktap.wait_for(lambda: two.counters()["InDiscardTruncated"] - before == 32, "32 packets too short")
            with pgm.source(one, options=options(3055, 3055)) as source:
                source.send(b"still")
                ktap.equal(bus.recv(100), b"still")


@ktap.test
def test_options():
    """When the ports may be set, and to what."""
    with net.shared() as lan:
        one, two = lan.hosts

        def fails(sock, value, wanted):
            try:
                pgm.set_int(sock, pgm.PGM_UDP_ENCAP, value)
                raise AssertionError("set")
            except OSError as error:
                ktap.equal(error.errno, wanted)

        with pgm.pgm_socket(one) as sock:
            ktap.equal(pgm.get_int(sock, pgm.PGM_UDP_ENCAP), 0)
            fails(sock, pgm.encap(3055, 0), errno.EINVAL)
            fails(sock, pgm.encap(0, 3055), errno.EINVAL)
            for ports in (USUAL, (0, 0), (7500, 7500)):
                pgm.set_int(sock, pgm.PGM_UDP_ENCAP, pgm.encap(*ports))
                ktap.equal(pgm.get_int(sock, pgm.PGM_UDP_ENCAP), pgm.encap(*ports))
            sock.connect((pgm.GROUP, pgm.PORT))
            fails(sock, pgm.encap(*USUAL), errno.EISCONN)
        with pgm.listener(two, options=options(*USUAL)) as listening:
            fails(listening, 0, errno.EBUSY)
            with pgm.source(one, options=options(*USUAL)) as source:
                source.send(b"x")
                session, _ = pgm.accept(listening)
                with session:
                    fails(session, 0, errno.EBUSY)
                    ktap.equal(pgm.get_int(session, pgm.PGM_UDP_ENCAP), pgm.encap(*USUAL))


if __name__ == "__main__":
    ktap.main(pgm.need_module)
