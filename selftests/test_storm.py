#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A storm of hostile packets disturbs nobody and leaves nothing.

It comes in gusts, each of which meets sessions that have just begun: those that one has ended tell nothing of the next.

PGM_STORM_COUNT: packets of each type, however long that takes.
PGM_STORM_SEED: another storm than the usual one.
"""

import collections
import contextlib
import os
import pathlib
import random
import re
import socket
import struct
import sys
import threading

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import slab
import variant
import wire

ktap.usual_variants(variant.ALL)

COUNT = int(os.environ.get("PGM_STORM_COUNT", "0"))
SEED = int(os.environ.get("PGM_STORM_SEED", "1"))
EACH = COUNT or 240 // ktap.SLOW
GUST = 5_000  # packets of each type
# With a debug kernel 10^6 packets of each type take their time.
TIMEOUT = 90 + COUNT // 50
TYPES = ("Spm", "Poll", "Polr", "Odata", "Rdata", "Nak", "Nnak", "Ncf", "Spmr", "Ack")
# Why a packet is not counted by its type: it was not understood.
UNREAD = ("Truncated", "Version", "UnknownType", "TsduLength", "Afi", "Options", "Checksum")
UNREAD += ("ChecksumMissing",)
WINDOW = (4_000, 2_000 * ktap.SLOW, 0)
# How receivers repair. A kernel that takes a millisecond for a packet would do nothing but to ask again for
# thousands of packets that nobody has.
PATIENT = {pgm.PGM_NAK_BO_IVL: 200_000, pgm.PGM_NAK_RPT_IVL: 2_000_000, pgm.PGM_NAK_RDATA_IVL: 2_000_000}
TIMES = PATIENT if ktap.SLOW > 1 else pgm.QUICK


def program():
    """pgm-storm, which is built beside pgm."""
    tool = os.environ.get("PGM_TOOL")
    path = pathlib.Path(tool).with_name("pgm-storm") if tool else None
    if not path or not path.exists():
        raise ktap.Skip("there is no pgm-storm beside PGM_TOOL (make storm)")
    return path


def command(lan, live, first, count, *more):
    """pgm-storm with so many packets of each type, for the first two hosts."""
    one, two, three = lan.hosts
    words = {
        "group": pgm.GROUP,
        "source": one.address,
        "receiver": two.address,
        "attacker": three.address,
        "port": pgm.PORT,
        "seed": SEED,
        "from": first,
        "count": count,
        "udp": f"{variant.UNICAST}:{variant.MULTICAST}" if variant.now().udp else "0:0",
    }
    command = [program(), *more]
    for name, value in words.items():
        command += [f"--{name}", str(value)]
    for sock in live:
        # It is at this number now, and goes on by one for each 64 packets of a type.
        lead = (pgm.stats(sock)["lead"] - first // 64) % (1 << 32)
        command += ["--live", f"{pgm.tsi(sock).hex()}:{lead}"]
    return command


def hurl(lan, live, first, count):
    """Throws so many packets of each type, from all processors at once. Returns {type: packets sent}."""
    share = -(-count // os.cpu_count())
    throwers = [
        pgm.Background(lan.hosts[2].run, *command(lan, live, begin, min(share, first + count - begin)))
        for begin in range(first, first + count, share)
    ]
    sent = collections.Counter()
    for thrower in throwers:
        for name, number in map(str.split, thrower.result(TIMEOUT).splitlines()):
            sent[name.capitalize()] += int(number)
    return sent


class Device:
    """Ethernet frames as a device driver may hand them over: with a claim about their checksum,
    with segments to be cut, with a VLAN tag."""

    SOL_PACKET, PACKET_VNET_HDR = 263, 15
    NEEDS_CSUM, DATA_VALID = 1, 2
    GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 3, 4, 5, 0x80

    def __init__(self, lan, seed):
        self.lan, self.random = lan, random.Random(seed)
        with lan.hosts[2]:
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.raw.setsockopt(self.SOL_PACKET, self.PACKET_VNET_HDR, 1)
        self.raw.bind(("eth0", 0))

    def mac(self, to):
        """Where a packet for an address goes."""
        for host in self.lan.hosts:
            if to == host.address:
                return bytes.fromhex(host.mac.replace(":", ""))
        raw = wire.packed(to)
        if len(raw) == 16:
            return b"\x33\x33" + raw[-4:]
        return b"\x01\x00\x5e" + bytes([raw[1] & 0x7F]) + raw[2:]

    def send(self, data, to):
        """One PGM packet. Whether the kernel let it pass."""
        pick = self.random
        whole = wire.ip_packet(self.lan.hosts[2].address, to, data)
        header, _, _ = wire.ip_header(whole)
        if whole[0] >> 4 == 4:
            whole = whole[:2] + struct.pack("!H", len(whole)) + whole[4:]
            whole = whole[:10] + struct.pack("!H", wire.checksum(whole[:header])) + whole[12:]
        tag = b"\x81\x00" + bytes([pick.randrange(0, 256) & 0xF0, 0])  # VLAN 0: priority only
        frame = self.mac(to) + self.mac(self.lan.hosts[2].address)
        frame += tag if pick.random() < 0.2 else b""
        frame += b"\x08\x00" if whole[0] >> 4 == 4 else b"\x86\xdd"
        at = len(frame) + header  # of PGM, or of UDP
        frame += whole
        claim = struct.pack(
            "=BBHHHH",
            pick.choice((0, self.NEEDS_CSUM, self.NEEDS_CSUM, self.DATA_VALID)),
            pick.choice((self.GSO_NONE, self.GSO_NONE, self.GSO_UDP, self.GSO_UDP_L4, self.GSO_TCPV4)),
            pick.choice((0, at, at + 8, at + 16, len(frame), 0xFFFF)),
            pick.choice((1, 8, 16, 100, 1000, 0xFFFF)),
            pick.choice((at, at, at, 0, 14, at + 8, len(frame) - 2, 0xFFFF)),
            pick.choice((6, 6, 6, 0, 16, 1000, 0xFFFF)),
        )
        try:
            self.raw.send(claim + frame)
        except OSError:
            return False
        return True


def hand_over(lan, live, first, count):
    """Throws so many of each type as a device driver would. Returns {type: packets sent}."""
    sent = collections.Counter()
    device = Device(lan, SEED + first)
    with device.raw:
        for line in lan.hosts[2].run(*command(lan, live, first, count, "--print")).splitlines():
            _, kind, _, _, to, _, data = line.split(" ")
            sent[kind.capitalize()] += device.send(bytes.fromhex(data), to)
    return sent


class Bystander:
    """A transfer between two hosts that goes on until stop()."""

    def __init__(self, source, session):
        self.source, self.session = source, session
        self.count, self.done = 1, threading.Event()  # message 0 made the session
        self.sender = pgm.Background(self._send)
        self.receiver = pgm.Background(self._receive)

    @staticmethod
    def message(number):
        """The nth, which says which it is."""
        return struct.pack("!I", number) + bytes((number + n) & 0xFF for n in range(number % 900))

    def _send(self):
        while not self.done.wait(0.005):
            self.source.send(self.message(self.count))
            self.count += 1
        self.source.close()

    def _receive(self):
        number = 0
        while True:
            data, _, flags, _ = self.session.recvmsg(2_000)
            if not data and not flags & pgm.MSG_EOR:
                return number, pgm.stats(self.session)
            assert data == self.message(number), f"message {number} is another one"
            number += 1

    def stop(self):
        """Whether all came."""
        self.done.set()
        self.sender.result()
        number, stats = self.receiver.result()
        ktap.equal(number, self.count, "messages of the bystander")
        ktap.equal(stats["lost"], 0)
        self.session.close()
        return number


def drain(sock, stop):
    """Reads whatever a socket has, losses included, until told to stop."""
    sock.setblocking(False)
    while not stop.wait(0.01):
        try:
            while sock.recv(4_000) and not stop.is_set():
                pass
        except OSError:
            pass


def speak(sock, stop):
    """Sends now and then, until told to stop."""
    while not stop.wait(0.1):
        with contextlib.suppress(OSError):
            sock.send(b"payload")


def besiege(lan, attack, *what):
    """An attack while everything runs that there is. Returns (messages of the bystander, what the attack does)."""
    one, two, _ = lan.hosts
    stop = threading.Event()
    with (
        pgm.listener(two, backlog=20, options=TIMES) as listening,
        pgm.datagram(two, options=TIMES) as bus,
    ):
        live = []
        for _ in range(2):
            source = pgm.source(one, window=WINDOW)
            source.send(Bystander.message(0))
            session, _ = pgm.accept(listening)
            ktap.equal(pgm.tsi(session), pgm.tsi(source))
            live.append((source, session))
        (source, session), (victim, attacked) = live
        bystander = Bystander(source, session)
        others = [pgm.Background(drain, sock, stop) for sock in (bus, attacked)]
        try:
            for _ in range(10):
                victim.send(b"payload")
            others.append(pgm.Background(speak, victim, stop))
            sent = attack(lan, [victim], *what)
            intact = bystander.stop()
        finally:
            bystander.done.set()
            stop.set()
        for other in others:
            other.result()
        attacked.close()
        pgm.reset_close(victim)
    # Everything still works.
    with pgm.datagram(two) as after, pgm.source(one, window=WINDOW) as again:
        again.send(b"after")
        while after.recv(2_000) != b"after":
            pass
    return intact, sent


def slabs():
    """What sockets and packets use."""
    slab.drop_caches()
    used = slab.exactly_used()
    return {name: size for name, size in used.items() if re.match("PGM|skbuff|kmalloc", name)}


def weather(attack, each):
    """Each packet of a storm is accounted for, and no memory is lost."""
    program()
    with net.shared(3) as lan:
        if ktap.SLOW > 1:
            # A packet costs such a kernel a hundred times as much.
            lan.hosts[1].sysctl("net/pgm/nak_states_max", 4_000)
        besiege(lan, hurl, 0, 60)  # caches are warm now
        pgm.no_socket()
        used = slabs()
        before = [host.counters() for host in lan.hosts[:2]]
        intact, sent = 0, collections.Counter()
        for first in range(0, each, GUST):
            messages, thrown = besiege(lan, attack, first, min(GUST, each - first))
            intact += messages
            sent.update(thrown)
            if each > GUST:
                ktap.note(f"{sent.total()} packets, {intact} messages")
        pgm.no_socket()
        after = [host.counters() for host in lan.hosts[:2]]
        grown = [
            {name: new[name] - old[name] for name in new} for old, new in zip(before, after)
        ]
        ktap.note(f"thrown: {dict(sent)}; {intact} messages of the bystander")
        for host in grown:
            read = sum(host[f"In{kind}"] for kind in TYPES)
            unread = sum(host[f"InDiscard{why}"] for why in UNREAD)
            ktap.note(f"{host['InPkts']} came, {read} were read, {unread} were not")
            ktap.equal(read + unread, host["InPkts"], "packets accounted for")
        for kind in TYPES:
            assert sum(host[f"In{kind}"] for host in grown) > sent[kind] // 10, f"no {kind} was read"
        slab.returns_to(used, 1 << 20, slabs)


@ktap.test(timeout=TIMEOUT)
def test_storm():
    """Valid, spoilt and random packets of every type do no harm."""
    # attack: A-01 A-03 A-04 A-05 A-14 A-18
    weather(hurl, EACH)


# One of each family, of each encapsulation: the rest is the kernel's.
@ktap.test(timeout=TIMEOUT, variants=(variant.V4_UDP, variant.V6))
def test_odd_buffers():
    """Nor do they with claims of a device driver about checksums, segments and VLAN tags."""
    # attack: A-18 A-21
    weather(hand_over, COUNT or 40)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
