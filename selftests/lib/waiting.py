# SPDX-License-Identifier: GPL-2.0
"""Packets that wait in a socket, for its reader or behind one that is missing, and what they count."""

import contextlib
import random
import socket
import struct

import ktap
import net
import pgm
import wire
from probe import Probe

SIZE = 1000
SO_MEMINFO = 55
# What is missing stays so until the test sends it.
PATIENT = {pgm.PGM_NAK_RPT_IVL: 1_000_000, pgm.PGM_NAK_NCF_RETRIES: 50}


def held(sock):
    """Bytes that its receive memory counts."""
    return struct.unpack("=I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4))[0]


def nothing_left(sock):
    """The queue is empty, and nothing is charged."""
    with contextlib.suppress(BlockingIOError):
        raise AssertionError(f"{len(sock.recv(10, socket.MSG_DONTWAIT))} bytes more")
    ktap.equal(held(sock), 0, "bytes held")


class Gap:
    """Messages of one, two and three packets in any order; number 2 is missing."""

    def __init__(self, probe, count):
        self.source = probe.source()
        self.source.spm(1, 0)
        self.source.odata(1, b"first")
        rng = random.Random(count)
        self.messages = pgm.messages(count, (SIZE, 3 * SIZE))
        packets = []
        for message in self.messages:
            first = 3 + len(packets)
            for at in range(0, len(message), SIZE):
                part = wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, at, len(message)))
                options = [part] if len(message) > SIZE else []
                packets.append((3 + len(packets), message[at : at + SIZE], *options))
        rng.shuffle(packets)
        for packet in packets:
            self.source.odata(*packet)
        self.count = len(packets)

    def close(self):
        """Sends what is missing. Returns what comes now."""
        self.source.rdata(2, b"2222")
        return [b"2222", *self.messages]


@contextlib.contextmanager
def receiver():
    """(socket, probe): the probe does not keep what it sends, which would count for both."""
    with (
        net.shared() as lan,
        Probe(lan.hosts[0]) as probe,
        pgm.datagram(lan.hosts[1], options=PATIENT) as sock,
    ):
        probe.capture.sock.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        yield sock, probe
