#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Many packets in one buffer: segments of UDP, which the receiver, or a device, cuts."""

import contextlib
import ctypes
import os
import select
import socket
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import msghdr
import net
import pgm
import variant
import wire

# So fast that packets need not wait for each other.
WINDOW = (100_000, 2_000, 0)
SO_TIMESTAMPING, TX_SOFTWARE, SOFTWARE = 37, 1 << 1, 1 << 4

ktap.usual_variants((variant.V4_UDP, variant.V6_UDP))


@contextlib.contextmanager
def session(lan, **options):
    """A source and its session on the next host, which have begun."""
    options.setdefault("window", WINDOW)
    with pgm.listener(lan.hosts[1]) as listening, pgm.source(lan.hosts[0], **options) as source:
        source.send(b"begin")
        accepted, _ = pgm.accept(listening)
        with accepted:
            ktap.equal(accepted.recv(10), b"begin")
            yield source, accepted


def mss(source):
    """Bytes of a message of one packet, and of each piece of a longer one."""
    whole = pgm.get_int(source, pgm.PGM_MSS)
    return whole, whole - 16


def exchange(source, receiver, messages):
    """Sends in the background; everything arrives, in order."""
    sender = pgm.Background(lambda: [source.send(message) for message in messages])
    for message in messages:
        pgm.same([receiver.recv(1 << 17)], [message])
    sender.result()


@ktap.test(timeout=60)
def test_boundaries():
    """Lengths on each side of a packet, and of a buffer: the bytes arrive, in fewer buffers."""
    with net.shared(gso=True) as lan, session(lan) as (source, receiver):
        whole, piece = mss(source)
        sizes = [1, whole - 1, whole, whole + 1]
        for pieces in (2, 3, 12, 15):
            sizes += [pieces * piece - 1, pieces * piece, pieces * piece + 1]
        before = lan.hosts[0].packets()[1]
        exchange(source, receiver, [os.urandom(size) for size in sizes])
        buffers = lan.hosts[0].packets()[1] - before
        counters = pgm.stats(source)
        ktap.equal(pgm.stats(receiver)["lost"], 0)
        assert counters["odata"] > 100, counters
        assert buffers < counters["odata"] / 2, f"{counters['odata']} packets in {buffers} buffers"


@ktap.test(timeout=60)
def test_sendmmsg():
    """The messages of one sendmmsg() leave together, whether one of them fails or not."""
    libc = ctypes.CDLL(None, use_errno=True)
    with net.shared(gso=True) as lan, session(lan) as (source, receiver):
        texts = [bytes([n]) * 1000 for n in range(30)] + [b"short"]
        buffers = [ctypes.create_string_buffer(text, len(text)) for text in texts]
        before = lan.hosts[0].packets()[1]
        vector = msghdr.batch(buffers)
        ktap.equal(libc.sendmmsg(source.fileno(), vector, len(texts), 0), len(texts))
        pgm.same([receiver.recv(2000) for _ in texts], texts)
        assert lan.hosts[0].packets()[1] - before < 15
        vector[3].header.iov[0].base = 1
        ktap.equal(libc.sendmmsg(source.fileno(), vector, len(texts), 0), 3)
        pgm.same([receiver.recv(2000) for _ in range(3)], texts[:3])


@ktap.test(timeout=60)
def test_device_without():
    """A device that takes no segments gets single packets."""
    with net.shared() as lan, session(lan) as (source, receiver):
        before = lan.hosts[0].packets()[1]
        exchange(source, receiver, [os.urandom(15_000)] * 5)
        buffers = lan.hosts[0].packets()[1] - before
        assert buffers >= pgm.stats(source)["odata"] - 1


@ktap.test(timeout=60)
def test_cut_on_the_way():
    """Behind a device that takes no segments each packet is one of its own, and right."""
    # The cable of a host takes segments, the ports of the bridge do not.
    with net.shared(3, gso=True) as lan, session(lan) as (source, receiver):
        whole, piece = mss(source)
        with wire.Capture(lan.hosts[2], pgm.PORT) as capture:
            exchange(source, receiver, [os.urandom(size) for size in (piece * 5, whole + 1, 30)])
            found = []

            def data():
                found.extend(capture.packets())
                return [packet for packet in found if packet.kind == wire.ODATA]

            ktap.wait_for(lambda: len(data()) >= 5 + 2 + 1, "all of it was captured")
        for packet in (found := [packet for packet in found if packet.kind == wire.ODATA]):
            assert packet.complete and packet.length <= 1500, packet
            ktap.equal(len(packet.payload), packet.tsdu_length)
            ktap.equal(wire.with_checksum(packet.data), packet.data)
        numbers = [packet.sqn for packet in found]
        ktap.equal(numbers, list(range(numbers[0], numbers[0] + 8)))


@ktap.each({"bursts_lost": False, "packets_lost": True}, timeout=90)
def loss(single):
    """Lost buffers are repaired packet by packet, and so are packets out of the middle of one."""
    # req: RCV-14 NAK-19
    with net.shared(3, gso=True) as lan, session(lan) as (source, receiver):
        # netem drops whole buffers: the queue of a device comes before the cutting.
        if single:
            lan.hosts[1].lose_arriving(None)
            lan.hosts[1].lose_arriving(10)
        else:
            lan.hosts[0].netem("loss 10%")
        exchange(source, receiver, [os.urandom(9_000 + n) for n in range(60)])
        counters = pgm.stats(receiver)
        ktap.equal(counters["lost"], 0)
        assert counters["repaired"] > 0, counters


@ktap.test(timeout=60)
def test_mtu():
    """The MTU falls while messages are under way: nothing is lost, nothing is cut by IP."""
    with net.Lan(gso=True) as lan, session(lan) as (source, receiver):
        messages = [os.urandom(9_000) for _ in range(30)]
        mtus = {5: 1400, 15: 1300}
        sender = pgm.Background(lambda: [source.send(message) for message in messages])
        for number, message in enumerate(messages):
            for host in lan.hosts if number in mtus else []:
                net.run("ip", "-n", host.name, "link", "set", "eth0", "mtu", mtus[number])
            pgm.same([receiver.recv(1 << 17)], [message])
        sender.result()


@ktap.test
def test_same_host():
    """A receiver on the source's own host gets the packets, too."""
    with net.shared(gso=True) as lan, pgm.source(lan.hosts[0]) as source:
        with pgm.listener(lan.hosts[0]) as listening:
            source.send(b"begin")
            receiver, _ = pgm.accept(listening)
            with receiver:
                ktap.equal(receiver.recv(10), b"begin")
                exchange(source, receiver, [os.urandom(9_000 + n) for n in range(3)])
                ktap.equal(pgm.stats(receiver)["missing"], 0)


@ktap.test
def test_time_stamps():
    """A socket that asks for time stamps gets one for each message, so its packets go alone."""
    with net.shared(gso=True) as lan, session(lan) as (source, receiver):
        source.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, TX_SOFTWARE | SOFTWARE)
        before = lan.hosts[0].packets()[1]
        exchange(source, receiver, [os.urandom(9_000)] * 3)
        assert lan.hosts[0].packets()[1] - before >= 3 * 7
        for _ in range(3):
            poller = select.poll()
            poller.register(source, 0)
            assert poller.poll(10_000), "no time stamp came"
            _, ancillary, _, _ = source.recvmsg(100, 500, socket.MSG_ERRQUEUE)
            assert any(kind == SO_TIMESTAMPING for _, kind, _ in ancillary)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
