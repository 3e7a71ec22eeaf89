#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checksums: whoever computes them, device or kernel, nothing damaged is delivered."""

import array
import contextlib
import fcntl
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
from probe import Probe

SIOCETHTOOL, ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM = 0x8946, 0x15, 0x17
SO_NO_CHECK = 11
OFFLOAD = {"with_offload": 1, "without_offload": 0}


def offload(host, on):
    """Whether eth0 computes and checks sums; without, the kernel does."""
    with host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in (ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM):
            value = array.array("I", [command, on])
            request = struct.pack("@16sP", b"eth0", value.buffer_info()[0]).ljust(40, b"\0")
            try:
                fcntl.ioctl(sock, SIOCETHTOOL, request)
            except OSError:
                if command == ETHTOOL_STXCSUM:
                    raise  # a device may have no choice in what it receives


def discarded(host):
    """What a host dropped for a wrong checksum, or for want of one."""
    return sum(v for n, v in host.counters().items() if n.startswith("InDiscardChecksum"))


@ktap.each(OFFLOAD, variants=(variant.V4, variant.V4_UDP, variant.V6_UDP))
def damaged_in_flight(on):
    """A network that damages one packet in ten: what is delivered is what was sent."""
    # attack: A-21
    with net.shared() as lan, contextlib.ExitStack() as stack:
        for host in lan.hosts:
            offload(host, on)
            stack.callback(offload, host, 1)
        sent = pgm.messages(100, (50, 4_000))
        with pgm.listener(lan.hosts[1]) as listening, pgm.source(lan.hosts[0]) as source:
            source.send(b"begin")
            session, _ = pgm.accept(listening)
            with session:
                lan.toward(lan.hosts[1], "corrupt 10%")
                sender = pgm.Background(lambda: [source.send(message) for message in sent])
                got = [session.recv(1 << 16) for _ in range(101)]
                sender.result()
                pgm.same(got[1:], sent)
                counters = pgm.stats(session)
                assert counters["lost"] == 0 and counters["repaired"], counters


@ktap.test(variants=variant.ALL)
def test_wrong_and_absent():
    """A wrong sum, or data without one: dropped, even if UDP's sum is right, or absent."""
    # attack: A-21
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, pgm.datagram(lan.hosts[1]) as bus:
        target = lan.hosts[1]
        source = probe.source()
        source.odata(0, b"first", wire.option(wire.OPT_SYN))
        ktap.equal(bus.recv(100), b"first")
        with lan.hosts[0]:
            plain = socket.socket(variant.now().family, socket.SOCK_DGRAM)
        with plain:
            pgm.set_options(plain, pgm.multicast(loop=0, interface=lan.hosts[0].index()))
            for unsummed in (0, 1):
                plain.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, unsummed)
                for sqn, check in enumerate((0x1234, 0, 0xFFFF), 1):
                    data = source.session.data(wire.ODATA, sqn, 0, b"damaged!", check=check)
                    before = discarded(target)
                    source.send(data, alert=False)
                    count = 1
                    if variant.now() == variant.V4_UDP:
                        # A datagram whose UDP checksum the kernel computes, or leaves out.
                        plain.sendto(data, (pgm.GROUP, variant.MULTICAST))
                        count = 2
                    ktap.wait_for(
                        lambda b=before, c=count: discarded(target) >= b + c, "all are dropped"
                    )
        source.odata(1, b"second")
        ktap.equal(bus.recv(100), b"second")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
