# SPDX-License-Identifier: GPL-2.0
"""Captures a run at its source, and has it judged: by `rules` at once, by tshark at the end.

with Referee(source_host, theirs={other_host.address}) as referee:
    ...
referee.count(wire.NAK, host.address)
"""

import itertools
import pathlib

import dissector
import ktap
import openpgm
import pgm
import rules
import wire

_piles = []  # files for tshark


class Referee:
    """Packets at a host. theirs: addresses of OpenPGM, or a function that tells its packets."""

    def __init__(self, host, theirs=(), timing=None, judged=True, device="eth0"):
        # By its port, a case has only packets of its own: closed sources go on for a while.
        self.capture = wire.Capture(host, pgm.PORT, device)
        self.loopback = device == "lo"
        self.is_theirs = theirs if callable(theirs) else lambda packet: packet.source in theirs
        self.timing, self.judged = timing, judged
        self.packets = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.poll()
        self.capture.__exit__()
        self._keep()
        if kind is None and self.judged:
            self.judge()
        elif kind:
            for packet in self.packets[-20:]:
                ktap.note(packet)

    def poll(self):
        """Takes in what was captured."""
        # What passes the loopback device is captured twice.
        found = self.capture.packets()
        self.packets += [packet for packet in found if packet.outgoing or not self.loopback]
        return self.packets

    def count(self, kind, source=None):
        """How many packets of a type, of one address or of all."""
        return sum(p.kind == kind and source in (None, p.source) for p in self.poll())

    def _keep(self):
        file = openpgm.scratch() / f"{len(_piles)}.pcap"
        dissector.write(file, self.packets)
        _piles.append(file)

    def judge(self):
        """Fails if anybody broke a rule, but for what OpenPGM is known to do."""
        faults = [
            fault
            for fault in rules.judge(self.packets, self.timing)
            if not (fault.requirement in openpgm.QUIRKS and self.is_theirs(fault.packet))
        ]
        for fault in faults[:10]:
            ktap.note(fault)
        if faults:
            words = f"{len(faults)} faults in {len(self.packets)} packets, the first: {faults[0]}"
            raise (ktap.Late if all(fault.late for fault in faults) else AssertionError)(words)


def decoded(udp_ports=openpgm.UDP_PORTS):
    """tshark finds nothing malformed in all that was captured until now."""
    dissector.need()
    if not _piles:
        raise ktap.Skip("nothing was captured")
    whole = openpgm.scratch() / "all.pcap"
    with open(whole, "wb") as out:
        for file in _piles:
            data = pathlib.Path(file).read_bytes()
            out.write(data[24:] if out.tell() else data)
    packets = dissector.decode(whole, udp_ports)
    bad = [
        (number, packet)
        for number, packet in enumerate(packets, 1)
        if packet.bad and not packet.short_spmr
    ]
    for number, packet in itertools.islice(bad, 10):
        ktap.note(f"packet {number}: {packet}")
    ktap.note(f"{len(packets)} packets of {len(_piles)} captures")
    assert packets and not bad, f"{len(bad)} bad packets"
