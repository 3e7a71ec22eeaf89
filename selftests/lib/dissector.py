# SPDX-License-Identifier: GPL-2.0
"""tshark as a referee over captures."""

import collections
import shutil
import struct
import subprocess

import ktap
import variant
import wire

FIELDS = {
    "gsi": "pgm.hdr.gsi",
    "kind": "pgm.hdr.type",
    "checksum": "pgm.hdr.cksum.status",
    "ip_version": "ip.version",
    "ip_checksum": "ip.checksum.status",
    "malformed": "_ws.malformed",
    "wrong": "pgm.bad_checksum",
    "expert": "_ws.expert.message",
    "severity": "_ws.expert.severity",
    "data": "data.data",
}
CHAT = 0x200000  # of what is not wrong, as that a UDP port is one of traceroute's
RAW_IP = 101  # link type of packets that begin with the IP header


class Decoded(collections.namedtuple("Decoded", FIELDS)):
    """What tshark says of a packet."""

    @property
    def short_spmr(self):
        """tshark takes no packet of less than 18 bytes for PGM; an SPMR has 16."""
        return not self.gsi and len(self.data) == 32 and int(self.data[8:10], 16) == wire.SPMR

    @property
    def type(self):
        """The type of the packet, 15 if it is none of PGM."""
        return int(self.kind or "0xff", 0) & 0x0F

    @property
    def bad(self):
        """Is anything wrong?"""
        # 1 is tshark's "good"; some versions print another number before it. IPv6 has no checksum.
        sums = (self.checksum.rpartition(",")[2], self.ip_checksum)
        wanted = ("1", "1" if self.ip_version == "4" else "")
        notes = [int(number) for number in self.severity.split(",") if number]
        return sums != wanted or bool(self.malformed or self.wrong or max(notes, default=0) > CHAT)


def need():
    """Skips where there is no tshark."""
    if not shutil.which("tshark"):
        raise ktap.Skip("no tshark")


def decode(file, *ports):
    """Decoded for each packet of a capture. PGM is at these UDP ports, else those of the case that
    runs."""
    command = ["tshark", "-n", "-r", file, "-T", "fields", "-E", "separator=|"]
    for port in ports or {variant.UNICAST, variant.MULTICAST}:
        command += ["-d", f"udp.port=={port},pgm"]
    for field in FIELDS.values():
        command += ["-e", field]
    command += ["-o", "ip.check_checksum:TRUE"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [Decoded(*line.split("|")) for line in done.stdout.splitlines()]


def append(file, packets):
    """Adds wire.Packets that a wire.Capture took to a capture file."""
    with open(file, "ab") as out:
        if not out.tell():
            out.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 17, RAW_IP))
        for packet in packets:
            seconds, length = int(packet.time), len(packet.whole)
            micros = int((packet.time - seconds) * 1e6)
            out.write(struct.pack("=IIII", seconds, micros, length, length) + packet.whole)
