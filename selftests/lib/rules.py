# SPDX-License-Identifier: GPL-2.0
"""What RFC 3208 asks of the packets of a capture, told by the numbers of requirements.csv.

The capture is taken at the source's host from before the session began, so that it has all that
the source sent, and those packets of receivers that arrived there.
"""

import collections
import dataclasses
import struct

import wire

UPSTREAM = (wire.NAK, wire.NNAK, wire.SPMR, wire.POLR, wire.ACK)
DATA = (wire.ODATA, wire.RDATA)
# A repair or a confirmation that left so long before its NAK came still answers it.
CROSSING = 0.2
HALF = 1 << 31


@dataclasses.dataclass
class Fault:
    """A requirement that a packet breaks."""

    requirement: str
    packet: wire.Packet
    text: str
    late: bool = False  # it may be the machine that is slow
    race: bool = False  # it may be that two threads of the sender were not in step

    def __str__(self):
        return f"{self.requirement}: {self.text}: {self.packet}"


@dataclasses.dataclass
class Timing:
    """Intervals of a source and of receivers, in seconds."""

    heartbeats: tuple = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0)
    ambient: float = 0.5
    repeat: float = 0.06  # the shorter one of NAK_RPT_IVL and NAK_RDATA_IVL
    receivers: int = 1  # of one session at one address, which nothing tells apart


def after(one, other):
    """one - other for circular numbers."""
    return (one - other + HALF) % (2 * HALF) - HALF


def format_faults(packet):
    """What is wrong with one packet by itself."""
    if packet.reserved:
        yield "WIRE-03", "version or reserved bits of the type"
    if packet.kind not in wire.NAMES:
        yield "WIRE-05", "a type that nobody knows"
        return
    if not packet.complete:
        yield "WIRE-20", "it ends too early"
        return
    if packet.checksum == 0:
        if packet.kind in DATA:
            yield "WIRE-16", "data without a checksum"
    elif wire.with_checksum(packet.data) != packet.data:
        yield "WIRE-13", "a wrong checksum"
    if packet.tsdu_length != len(packet.payload):
        yield "WIRE-19", f"TSDU length {packet.tsdu_length}"
    if packet.payload and packet.kind not in DATA:
        yield "WIRE-25", "a payload where none belongs"
    if packet.kind in (wire.SPM, wire.NAK, wire.NNAK, wire.NCF):
        at = 28 if packet.kind == wire.SPM else 20
        if packet.data[at + 2 : at + 4] != b"\0\0":
            yield "WIRE-24", "reserved bytes beside an NLA"
    if packet.flags & wire.PRESENT:
        yield from option_faults(packet)
    elif packet.flags & wire.NETWORK_SIGNIFICANT:
        yield "OPT-04", "network-significant without an option"


def option_faults(packet):
    """What is wrong with the options of one packet."""
    kinds, whole = list(packet.options), list(packet.options.values())
    if not kinds or kinds[0] != wire.OPT_LENGTH:
        yield "OPT-01", "OPT_LENGTH does not come first"
        return
    if int.from_bytes(whole[0][2:4], "big") != sum(map(len, whole)):
        yield "OPT-01", "OPT_LENGTH is not the length of the options"
    ends = [bool(option[0] & wire.OPT_END) for option in whole]
    if ends != [False] * (len(ends) - 1) + [True]:
        yield "OPT-02", f"OPT_END: {ends}"
    if len(kinds) > 17:
        yield "OPT-08", f"{len(kinds)} options"
    significant = [kind in wire.SIGNIFICANT for kind in kinds[1:]]
    if any(significant) != bool(packet.flags & wire.NETWORK_SIGNIFICANT):
        yield "OPT-04", "the network-significant bit"
    if sorted(significant, reverse=True) != significant:
        yield "OPT-05", "network-significant options after others"
    for kind, option in zip(kinds[1:], whole[1:]):
        reserved = option[2] if kind == wire.OPT_RST else option[2] | option[3]
        if reserved:
            yield "OPT-06", f"reserved bits of option {kind:#04x}"
    if wire.OPT_FRAGMENT in kinds and packet.kind not in DATA:
        yield "OPT-20", "OPT_FRAGMENT without data"
    if wire.OPT_SYN in kinds and packet.kind not in DATA:
        yield "OPT-50", "OPT_SYN without data"
    if wire.OPT_RST in kinds and packet.kind != wire.SPM:
        yield "OPT-59", "OPT_RST, and no SPM"
    if listed := packet.options.get(wire.OPT_NAK_LIST):
        if not 1 <= (len(listed) - 4) // 4 <= 62:
            yield "OPT-30", f"a list of {len(listed)} bytes"
        steps = [after(b, a) for a, b in zip(packet.numbers, packet.numbers[1:])]
        # An NCF repeats the list of its NAK.
        if packet.kind == wire.NAK and any(step <= 0 for step in steps):
            yield "OPT-31", f"numbers {packet.numbers}"


class Session:
    """What was seen of one TSI until now."""

    def __init__(self, timing):
        self.timing = timing
        self.sent = {}  # number: its ODATA
        self.first = self.lead = self.announced = self.trail = self.spm = None
        self.fin = False
        self.naks = collections.defaultdict(list)  # number: when
        self.ncfs = collections.defaultdict(list)
        self.repairs = collections.defaultdict(list)
        self.asked = collections.defaultdict(list)  # (receiver, number): when
        self.last_data = None
        self.spms = self.extra = 0  # since the last data; of them those that were asked for

    def faults(self, packet):
        """What is wrong with a packet that follows all others."""
        if packet.kind in UPSTREAM:
            yield from self._upstream(packet)
            return
        if packet.trail is not None:
            if self.trail is not None and after(packet.trail, self.trail) < 0:
                yield "TXW-03", f"the trailing edge goes back from {self.trail}"
            else:
                self.trail = packet.trail
        if packet.kind == wire.SPM:
            yield from self._spm(packet)
        elif packet.kind == wire.ODATA:
            yield from self._odata(packet)
        elif packet.kind == wire.RDATA:
            yield from self._rdata(packet)
        elif packet.kind == wire.NCF:
            yield from self._ncf(packet)
        if packet.kind in DATA:
            self.last_data, self.spms, self.extra = packet, 0, 0

    def _spm(self, packet):
        if self.spm and packet.sqn != (self.spm.sqn + 1) % (2 * HALF):
            yield "SRC-13", f"SPM_SQN after {self.spm.sqn}"
        if packet.path != packet.source:
            yield "ADDR-16", f"the Path NLA is not {packet.source}"
        if after(packet.lead, packet.trail) < -1:
            yield "SRC-14", "the leading edge is behind the trailing edge"
        if self.lead is not None and packet.lead != self.lead:
            # Who puts ODATA into the window before sending it may have an SPM overtake it.
            race = after(packet.lead, self.lead) == 1
            yield "TXW-02", f"the last number sent was {self.lead}", False, race
        self.announced = packet.lead
        fin = wire.OPT_FIN in packet.options
        if self.fin and not fin:
            yield "OPT-53", "an SPM without OPT_FIN after one with it"
        if fin and not self.fin:
            self.extra += 3  # announced at once, and heartbeats start anew
        self.fin |= fin
        self.spms += 1
        if self.last_data:
            yield from self._heartbeat(packet)
        self.spm = packet

    def _heartbeat(self, packet):
        elapsed = packet.time - self.last_data.time
        if self.spms == 1 and elapsed > self.timing.heartbeats[0] + 1:
            yield "SRC-10", f"the first SPM {elapsed:.3f} s after data", True
        due, at = 0, 0.0
        while due < 100:
            at += self.timing.heartbeats[min(due, len(self.timing.heartbeats) - 1)]
            if at > elapsed * 1.1 + 0.02:
                break
            due += 1
        # Two more, since the ambient ones have a timer of their own, which may be late once.
        allowed = due + self.extra + 2 + int(elapsed / self.timing.ambient)
        if self.spms > allowed:
            yield "SRC-09", f"{self.spms} SPMs in {elapsed:.3f} s after data", True

    def _odata(self, packet):
        if packet.sqn in self.sent:
            yield "SRC-22", "ODATA that was sent before"
        elif self.lead is not None and packet.sqn != (self.lead + 1) % (2 * HALF):
            yield "SRC-01", f"ODATA after {self.lead}"
        if self.fin:
            yield "OPT-55", "ODATA after OPT_FIN"
        self.sent[packet.sqn] = packet
        self.lead = packet.sqn
        if fragment := packet.options.get(wire.OPT_FRAGMENT):
            first, offset, length = struct.unpack("!III", fragment[4:16])
            if after(packet.sqn, first) < 0 or offset + len(packet.payload) > length:
                yield "OPT-22", f"fragment {first} {offset} {length}"
            before = self.sent.get((packet.sqn - 1) % (2 * HALF))
            if packet.sqn != first and before:
                end = int.from_bytes(_fragment(before)[7:11], "big") + len(before.payload)
                if end != offset:
                    yield "OPT-21", f"the fragment before ends at {end}"

    def _rdata(self, packet):
        number = packet.sqn
        if not self.naks[number]:
            yield "SRC-20", "a repair that nobody asked for"
        elif not self.ncfs[number]:
            yield "SRC-17", "a repair before its NCF"
        elif len(self.repairs[number]) >= len(self.naks[number]):
            yield "SRC-20", "more repairs than NAKs"
        if after(number, packet.trail) < 0:
            yield "SRC-23", "a repair from outside of the window"
        original = self.sent.get(number)
        if original:
            if packet.payload != original.payload:
                yield "SRC-21", "another payload than its ODATA"
            if _fragment(packet) != _fragment(original):
                yield "OPT-23", "another OPT_FRAGMENT than its ODATA"
        self.repairs[number].append(packet.time)

    def _ncf(self, packet):
        if packet.destination != packet.nak_group:
            yield "ADDR-12", f"an NCF for {packet.nak_group}"
        for number in packet.numbers:
            if not self.naks[number]:
                yield "ADDR-12", f"an NCF for {number}, which nobody asked for"
            self.ncfs[number].append(packet.time)

    def _upstream(self, packet):
        if packet.kind == wire.SPMR:
            self.extra += 1
            if len(packet.data) != 16 and not packet.options:
                yield "SPMR-08", "more than the common header"
            return
        if packet.kind != wire.NAK:
            return
        if not self.spm:
            yield "RCV-11", "a NAK before any SPM"
            return
        if packet.destination not in (self.spm.path, packet.nak_group):
            yield "ADDR-09", f"a NAK, but not to {self.spm.path}"
        if packet.nak_source != self.spm.source or packet.nak_group != self.spm.destination:
            yield "ADDR-10", f"NLAs {packet.nak_source}, {packet.nak_group}"
        for number in packet.numbers:
            edges = [edge for edge in (self.lead, self.announced) if edge is not None]
            if edges and all(after(number, edge) > 0 for edge in edges):
                yield "RCV-15", f"a NAK for {number}, which was not sent yet"
            asked = self.asked[packet.source, number]
            if len(asked) >= self.timing.receivers:
                elapsed = packet.time - asked[-self.timing.receivers]
                if elapsed < self.timing.repeat / 2:
                    yield "NAK-16", f"a NAK for {number} again after {elapsed:.4f} s", True
            asked.append(packet.time)
            self.naks[number].append(packet.time)

    def unanswered(self, packet, end):
        """What a NAK should have brought until the end of the capture."""
        if end - packet.time < 1:
            return
        for number in packet.numbers:
            if not any(time > packet.time - CROSSING for time in self.ncfs[number]):
                yield "SRC-16", f"no NCF for {number}"
            elif number not in self.sent or after(number, self.trail) < 0:
                continue
            elif not any(time > packet.time - CROSSING for time in self.repairs[number]):
                yield "SRC-19", f"no repair of {number}"


def _fragment(packet):
    """OPT_FRAGMENT without its E bit."""
    return packet.options.get(wire.OPT_FRAGMENT, b"\0\0")[1:]


def address_faults(packet):
    """IP addresses, Router Alert, TTL."""
    if packet.version == 4 and not packet.udp:
        alert = wire.ROUTER_ALERT in packet.ip_options
        multicast = 224 <= packet.ip[16] <= 239
        if packet.kind in (wire.SPM, wire.NCF, wire.RDATA) and multicast and not alert:
            yield "ADDR-01", "no Router Alert"
        if packet.kind == wire.ODATA and alert:
            yield "ADDR-03", "ODATA with Router Alert"
    group = packet.destination.startswith(("239.", "ff"))
    if packet.kind == wire.SPMR and group and packet.ttl != 1:
        yield "ADDR-14", f"a multicast SPMR with TTL {packet.ttl}"


def judge(packets, timing=None):
    """All faults of a capture, oldest first."""
    found = []
    sessions = collections.defaultdict(lambda: Session(timing or Timing()))
    for packet in packets:
        rules = [format_faults(packet)]
        if packet.complete and packet.kind in wire.NAMES:
            rules += [address_faults(packet), sessions[packet.session].faults(packet)]
        found += [Fault(fault[0], packet, *fault[1:]) for rule in rules for fault in rule]
    end = packets[-1].time if packets else 0
    for packet in packets:
        if packet.complete and packet.kind == wire.NAK:
            later = sessions[packet.session].unanswered(packet, end)
            found += [Fault(fault[0], packet, *fault[1:]) for fault in later]
    return found
