# SPDX-License-Identifier: GPL-2.0
"""A probe plays source, receiver or router on a host that has no PGM socket.

It sends packets made by hand (`wire`) and records with time stamps what passes the device:

    with Probe(host) as probe:
        source = probe.source()         # a session of its own
        source.spm(trail=1, lead=0)
        source.odata(1, b"one")
        source.odata(4, b"four")
        nak = probe.wait(wire.NAK, numbers=[2, 3])
        probe.silence(0.3, wire.NAK)
"""

import random
import socket
import struct
import time

import net
import pgm
import variant
import wire


class Probe:
    """Sends to and hears from one device of a host, with full control of the IP header."""

    def __init__(self, host, port=None, device="eth0"):
        self.host = host
        self.heard = []  # wire.Packet of everybody else, oldest first
        self.sent = []  # our own
        self._mark = 0  # in heard: wait() and silence() look from here on
        self.capture = wire.Capture(host, port, device)
        with host:
            self.raw = socket.socket(variant.now().family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        pgm.set_options(self.raw, pgm.multicast(loop=0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()
        self.capture.__exit__()

    def source(self, group=None, port=None, **session):
        """A session whose source is this host; gsi and sport as wire.Session has them."""
        session.setdefault("sport", random.randrange(1, 0x10000))
        session.setdefault("gsi", b"\x02" + random.randbytes(5))
        session.setdefault("address", self.host.address)
        return Source(
            self, wire.Session(group=group or pgm.GROUP, dport=port or pgm.PORT, **session)
        )

    def send(self, data, to, source=None, ttl=16, alert=False, tos=0):
        """One PGM packet. Returns when it was sent (as the stamps of packets tell time).

        The source may be anybody's address. alert: with Router Alert where there is one (IPv4
        without encapsulation), or the IP options as bytes.
        """
        options = alert if isinstance(alert, bytes) else b""
        if alert is True and variant.now() == variant.V4:
            options = wire.ROUTER_ALERT
        whole = wire.ip_packet(source or self.host.address, to, data, ttl, tos, options)
        now = time.time()
        self.raw.sendto(whole, (to, 0))
        return now

    def stand_in(self, address, *hosts):
        """From now on what these hosts send to an address comes here."""
        words = f"neigh replace {address} lladdr {self.host.mac} dev eth0 nud permanent"
        for host in hosts:
            net.run("ip", "-n", host.name, *words.split())

    def poll(self):
        """Takes in what was captured."""
        for packet in self.capture.packets():
            (self.sent if packet.outgoing else self.heard).append(packet)

    def forget(self):
        """What was heard until now is not looked at any more."""
        self.poll()
        self._mark = len(self.heard)

    def all(self, *kinds, where=None, **fields):
        """What was heard since the mark and matches: one of the types, the fields, where(packet)."""
        self.poll()
        return [p for p in self.heard[self._mark :] if _matches(p, kinds, where, fields)]

    def wait(self, *kinds, timeout=5, where=None, **fields):
        """The first that matches; the mark moves behind it."""
        deadline = time.monotonic() + timeout
        at = self._mark
        while True:
            self.poll()
            while at < len(self.heard):
                packet = self.heard[at]
                at += 1
                if _matches(packet, kinds, where, fields):
                    self._mark = at
                    return packet
            left = deadline - time.monotonic()
            if left <= 0:
                names = "/".join(wire.NAMES[kind] for kind in kinds)
                others = self.heard[self._mark :][:8]
                raise AssertionError(f"no {names} {fields} in {timeout} s, but {others}")
            self.capture.wait(left)

    def fresh(self, seconds):
        """What is heard from now on, for so long."""
        self.forget()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.capture.wait(left)
            self.poll()
        return self.all()

    def silence(self, seconds, *kinds, where=None, **fields):
        """Fails if anything that matches was heard since the mark or is heard for so long."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.all(*kinds, where=where, **fields)
            assert not found, f"heard {found[:8]}"
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.capture.wait(left)


def _matches(packet, kinds, where, fields):
    return (
        (not kinds or packet.kind in kinds)
        and all(getattr(packet, name) == value for name, value in fields.items())
        and (where is None or where(packet))
    )


class Source:
    """A session that a probe plays the source of. Every method sends one packet to the group,
    unless `to` says otherwise, and returns when."""

    def __init__(self, probe, session):
        self.probe = probe
        self.session = session
        self.spm_sqn = 0  # of the next SPM

    def send(self, data, to=None, alert=True, **how):
        """Any packet, from the address of the source."""
        how.setdefault("source", self.session.address)
        return self.probe.send(data, to or self.session.group, alert=alert, **how)

    def spm(self, trail, lead, *items, sqn=None, path=None, to=None, **how):
        """An SPM; SPM_SQN rises by itself."""
        if sqn is None:
            sqn = self.spm_sqn
            self.spm_sqn = (sqn + 1) & 0xFFFFFFFF
        return self.send(self.session.spm(sqn, trail, lead, *items, path=path, **how), to)

    def odata(self, sqn, payload, *items, trail=0, **how):
        """An ODATA packet."""
        data = self.session.data(wire.ODATA, sqn, trail, payload, *items, **how)
        return self.send(data, alert=False)

    def rdata(self, sqn, payload, *items, trail=0, **how):
        """An RDATA packet."""
        return self.send(self.session.data(wire.RDATA, sqn, trail, payload, *items, **how))

    def ncf(self, sqn, *others, to=None, **how):
        """An NCF for a number, and a list of others."""
        return self.send(self.session.nak(wire.NCF, sqn, *nak_list(others), **how), to)

    def peer_nak(self, sqn, *others, address=None):
        """A NAK that another receiver multicasts."""
        data = self.session.nak(wire.NAK, sqn, *nak_list(others))
        return self.send(data, alert=False, source=address or net.address(250), ttl=1)


def nak_list(numbers):
    """[OPT_NAK_LIST] with some numbers; [] for none."""
    if not numbers:
        return []
    return [wire.option(wire.OPT_NAK_LIST, struct.pack(f"!{len(numbers)}I", *numbers))]


def session_of(sock, host, group=None, port=None):
    """The wire.Session of a source socket: for NAKs and SPMRs that a probe sends it."""
    identifier = pgm.tsi(sock)
    return wire.Session(
        host.address,
        group or pgm.GROUP,
        port or pgm.PORT,
        int.from_bytes(identifier[6:], "big"),
        identifier[:6],
    )
