# SPDX-License-Identifier: GPL-2.0
"""Captures a run at its source, and has it judged: by `rules` at once, by tshark (selftests/decode)
when all tests are done, if PGM_CAPTURES names a directory to leave the packets in.

with Referee(source_host, theirs={other_host.address}) as referee:
    ...
referee.count(wire.NAK, host.address)
"""

import collections
import os
import pathlib
import sys

import dissector
import ktap
import openpgm
import pgm
import rules
import wire

excused = collections.Counter()  # faults of OpenPGM that were let pass, by their requirement


class Referee:
    """Packets at a host. theirs: addresses of OpenPGM, or a function that tells its packets."""

    def __init__(self, host, theirs=(), timing=None, device="eth0"):
        # By its port, a case has only packets of its own: closed sources go on for a while.
        self.capture = wire.Capture(host, pgm.PORT, device)
        self.loopback = device == "lo"
        self.is_theirs = theirs if callable(theirs) else lambda packet: packet.source in theirs
        self.timing, self.packets = timing, []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.poll()
        self.capture.__exit__()
        self._keep()
        if kind is None:
            self.judge()
        else:
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
        if where := os.environ.get("PGM_CAPTURES"):
            name = pathlib.Path(sys.argv[0]).stem.removeprefix("test_")
            dissector.append(pathlib.Path(where, f"{name}.pcap"), self.packets)

    def judge(self):
        """Fails if anybody broke a rule, but for what OpenPGM is known to do."""
        faults = []
        for fault in rules.judge(self.packets, self.timing):
            known = fault.race or fault.requirement in openpgm.QUIRKS
            if known and self.is_theirs(fault.packet):
                excused[fault.requirement] += 1
            else:
                faults.append(fault)
        for fault in faults[:10]:
            ktap.note(fault)
        if faults:
            words = f"{len(faults)} faults in {len(self.packets)} packets, the first: {faults[0]}"
            raise (ktap.Late if all(fault.late for fault in faults) else AssertionError)(words)
