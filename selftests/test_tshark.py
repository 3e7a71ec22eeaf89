#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""An independent dissector finds nothing wrong with what we send."""

import collections
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire

FIELDS = (
    "pgm.hdr.type",
    "pgm.hdr.cksum.status",
    "ip.checksum.status",
    "_ws.malformed",
    "pgm.bad_checksum",
    "_ws.expert.message",
)
LAST = b"the very last message"
WANTED = (wire.SPM, wire.ODATA, wire.RDATA, wire.NAK, wire.NCF)


def need_tshark():
    """The module, tshark and tcpdump."""
    pgm.need_module()
    for program in ("tshark", "tcpdump"):
        if not shutil.which(program):
            raise ktap.Skip(f"no {program}")


def lossy_run(lan, file):
    """Captures a transfer with loss, fragments, FIN, and a session that is reset."""
    first, *others = lan.hosts
    capture = first.popen(
        *("tcpdump", "-i", "eth0", "-U", "-B", "16384", "-w", file, "ip proto 113"),
        stderr=subprocess.PIPE,
    )
    ktap.wait_for(lambda: file.exists() and file.stat().st_size >= 24, "the capture has begun")
    sent = pgm.messages(400, (1, 5_000))
    try:
        listeners = [pgm.listener(host) for host in others]
        for host in others:
            lan.impair(host, "loss 5%")
        source = pgm.source(first, window=(20_000, 2_000, 0), options={pgm.PGM_AMBIENT_SPM: 50_000})
        ktap.wait_for(lambda: pgm.stats(source)["spm"] >= 4, "the session is announced")

        def receive(listening):
            session, _ = pgm.accept(listening)
            with session:
                return pgm.receive_all(session)

        receivers = [pgm.Background(receive, listening) for listening in listeners]
        for message in sent:
            source.send(message)
        source.shutdown(socket.SHUT_WR)
        for receiver in receivers:
            pgm.same(receiver.result(), sent)
        counters = pgm.stats(source)
        source.close()
        broken = pgm.source(first)
        broken.send(LAST)
        ktap.wait_for(lambda: LAST in file.read_bytes(), "the capture is complete")
        pgm.reset_close(broken)
        for listening in listeners:
            listening.close()
    finally:
        capture.terminate()
        ktap.note(capture.communicate()[1].decode().strip())
    return counters


@ktap.test(timeout=120)
def test_lossy_run():
    """No malformed packet, no bad checksum, and every type of the main job is there."""
    # req: WIRE-01 WIRE-02 WIRE-13 SRC-16 SRC-19
    with net.shared(3) as lan, tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "run.pcap")
        counters = lossy_run(lan, file)
        command = ["tshark", "-n", "-r", file, "-T", "fields", "-E", "separator=|"]
        for field in FIELDS:
            command += ["-e", field]
        done = subprocess.run(
            command + ["-o", "ip.check_checksum:TRUE"], capture_output=True, text=True, check=True
        )
    types = collections.Counter()
    bad = []
    for number, line in enumerate(done.stdout.splitlines(), 1):
        kind, checksum, ip_checksum, malformed, wrong, expert = line.split("|")
        types[int(kind, 0) & 0x0F] += 1
        # 1 is tshark's "good"; some versions print another number before it.
        if checksum.rpartition(",")[2] != "1" or ip_checksum != "1" or malformed or wrong or expert:
            bad.append(f"packet {number}: {line}")
    ktap.note({wire.NAMES.get(kind, kind): count for kind, count in sorted(types.items())})
    for line in bad[:10]:
        ktap.note(line)
    assert not bad, f"{len(bad)} bad packets"
    for kind in WANTED:
        assert types[kind] > 0, f"no {wire.NAMES[kind]}"
    assert set(types) <= {*WANTED, wire.SPMR}, "types that nobody should send"
    # The session that was reset had one more ODATA; nothing was lost in front of the capture.
    ktap.equal(types[wire.ODATA], counters["odata"] + 1)
    assert types[wire.RDATA] >= counters["rdata"] > 0


if __name__ == "__main__":
    ktap.main(need_tshark)
