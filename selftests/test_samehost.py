#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sources and receivers on one host hear each other."""

import os
import socket
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

COUNT = 300
OTHER = {4: "239.192.7.9", 6: "ff15::7:9"}


def collect(bus, sources, count):
    """Messages of a datagram socket by TSI, until each source has brought so many."""
    pgm.set_int(bus, pgm.PGM_RECVRCVINFO, 1)
    got = {}
    while len(got) < sources or any(len(found) < count for found in got.values()):
        data, ancillary, _, _ = bus.recvmsg(2000, 256)
        identifier, _, _ = pgm.rcvinfo(ancillary)
        got.setdefault(identifier, []).append(data)
    return got


def check(lan, host, interface, impair=None):
    """Two sources and three receivers on a host: every receiver gets all of both."""
    if impair:
        host.netem(impair, interface)
    index = host.index(interface)
    where = pgm.multicast(interface=index)
    sent = [pgm.messages(COUNT, (1, 1000), seed) for seed in (1, 2)]
    buses = [pgm.datagram(host, interface=index) for _ in range(3)]
    readers = [pgm.Background(collect, bus, 2, COUNT) for bus in buses]
    sources = [pgm.source(host, options={pgm.PGM_AMBIENT_SPM: 50_000}, **where) for _ in range(2)]
    for source in sources:
        ktap.wait_for(lambda s=source: pgm.stats(s)["spm"] >= 4, "the session is announced")

    def send(source, messages):
        for message in messages:
            source.send(message)

    senders = [pgm.Background(send, *pair) for pair in zip(sources, sent)]
    for sender in senders:
        sender.result()
    for reader in readers:
        got = reader.result()
        for source, messages in zip(sources, sent):
            pgm.same(got[pgm.tsi(source)], messages)
    for bus in buses:
        ktap.note(f"receiver: {pgm.stats(bus)}")
        bus.close()
    for source in sources:
        ktap.note(f"source: {pgm.stats(source)}")
        source.close()


@ktap.test
def test_loopback_device():
    """Over lo."""
    # req: RCV-23
    with net.shared() as lan:
        check(lan, lan.hosts[0], "lo")


@ktap.test(timeout=90)
def test_loopback_device_with_loss():
    """Over lo, which loses 5 % of everything."""
    # req: RCV-23
    with net.shared() as lan:
        check(lan, lan.hosts[0], "lo", "loss 5%")


@ktap.test
def test_ethernet_device():
    """Over a device that sends to the network as well."""
    with net.shared() as lan:
        check(lan, lan.hosts[0], "eth0")


@ktap.test
def test_listeners_share_a_port():
    """Three listeners accept the same two sources."""
    with net.shared() as lan:
        host = lan.hosts[0]
        listeners = [pgm.listener(host) for _ in range(3)]
        sources = [pgm.source(host) for _ in range(2)]
        for n, source in enumerate(sources):
            source.send(bytes([n]))
        for listening in listeners:
            found = {}
            for _ in sources:
                session, peer = pgm.accept(listening)
                with session:
                    found[pgm.tsi(session)] = session.recv(10)
                    ktap.equal(peer[0], host.address)
            wanted = {pgm.tsi(source): bytes([n]) for n, source in enumerate(sources)}
            ktap.equal(found, wanted)
            listening.close()
        for source in sources:
            source.close()


@ktap.test
def test_loop_off():
    """IP_MULTICAST_LOOP = 0: other hosts hear it, this one does not."""
    with net.shared() as lan:
        one, two = lan.hosts
        with (
            pgm.datagram(one) as here,
            pgm.datagram(two) as there,
            pgm.source(one, **pgm.multicast(loop=0)) as source,
        ):
            source.send(b"x")
            ktap.equal(there.recv(10), b"x")
            pgm.timeouts(here, 0.3)
            try:
                here.recv(10)
            except BlockingIOError:
                pass
            else:
                raise AssertionError("it was heard on its own host")


@ktap.test
def test_bus_member():
    """A datagram socket that also sends; two such members on two hosts."""
    with net.shared() as lan:
        members = [pgm.datagram(host) for host in lan.hosts]
        for n, member in enumerate(members):
            member.connect((pgm.GROUP, pgm.PORT))
            member.send(bytes([n]))
        for n, member in enumerate(members):
            got = set()
            # Its own message too, if the system's default for loopback says so.
            while bytes([1 - n]) not in got:
                got.add(member.recv(10))
            member.close()


@ktap.test
def test_groups_do_not_leak():
    """Same port, other group; and a datagram socket bound to any address, not joined."""
    # req: RCV-24
    with net.shared() as lan:
        one, two = lan.hosts
        other = OTHER[variant.now().version]
        joined = pgm.datagram(two, at=(pgm.ANY, pgm.PORT))
        pgm.join(joined, other)
        strangers = [
            pgm.datagram(two, at=(other, pgm.PORT)),
            pgm.datagram(two, at=(pgm.GROUP, pgm.PORT + 1)),
            pgm.pgm_socket(two),
        ]
        strangers[2].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        strangers[2].bind((pgm.ANY, pgm.PORT))
        with pgm.source(one) as source:
            source.send(b"x")
            ktap.equal(joined.recv(10), b"x")
            for sock in strangers:
                pgm.timeouts(sock, 0.2)
                try:
                    raise AssertionError(f"{sock.getsockname()} got {sock.recv(10)}")
                except BlockingIOError:
                    sock.close()
        joined.close()


if __name__ == "__main__":
    ktap.main(pgm.need_module)
