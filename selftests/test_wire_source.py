#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How a source repairs, announces and ends, seen by a probe that plays its receivers."""

import contextlib
import itertools
import os
import socket
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import probe as probes
import wire
from probe import Probe

LATE = 0.1  # so much later than it should a packet may leave: the machine may be an emulated one
SLOW = 800  # kbit/s: 100 bytes in a millisecond
BUCKET = 6_000  # bytes that may leave at once


class Run:
    """A source socket, and a probe that hears it."""

    def __init__(self, sock, host, probe):
        self.sock, self.host, self.probe = sock, host, probe
        self.session = probes.session_of(sock, host)

    def send(self, *payloads):
        """Messages of one packet each; their ODATA, once they came."""
        for payload in payloads:
            self.sock.send(payload)
        return [self.probe.wait(wire.ODATA) for _ in payloads]

    def nak(self, sqn, *others, kind=wire.NAK, **how):
        """A NAK; returns when."""
        data = self.session.nak(kind, sqn & 0xFFFFFFFF, *probes.nak_list(others))
        return self.probe.send(data, self.host.address, **how)

    def spmr(self):
        """An SPMR; returns when."""
        return self.probe.send(self.session.spmr(), self.host.address)


@contextlib.contextmanager
def running(window=(20_000, 10_000, 0), heartbeat=None, ambient=None, **how):
    """A Run. Times are in milliseconds."""
    with net.shared() as lan, Probe(lan.hosts[1], pgm.PORT) as probe:
        sock = pgm.timeouts(pgm.pgm_socket(lan.hosts[0]))
        pgm.set_window(sock, *window)
        if heartbeat:
            value = struct.pack("=II", *(1000 * ms for ms in heartbeat))
            sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, value)
        if ambient:
            pgm.set_int(sock, pgm.PGM_AMBIENT_SPM, 1000 * ambient)
        pgm.set_options(sock, how)
        sock.connect((pgm.GROUP, pgm.PORT))
        with sock:
            yield Run(sock, lan.hosts[0], probe)


@ktap.test
def test_repair():
    """A NAK and its list are mirrored by an NCF at once; then each number is repaired."""
    # req: SRC-16 SRC-17 SRC-19 SRC-21 SRC-22 OPT-34 OPT-35 OPT-51 ADDR-01 ADDR-12 WIRE-23
    with running() as run:
        data = run.send(*(b"payload %d" % n for n in range(12)))
        first = data[0].sqn
        wanted = [first + n for n in (0, 3, 4, 9)]
        when = run.nak(*wanted)
        ncf = run.probe.wait(wire.NCF, wire.RDATA)
        ktap.equal(ncf.kind, wire.NCF)
        ktap.soon(ncf.time - when, LATE, "the NCF")
        ktap.equal(
            ncf.data[16:], run.session.nak(wire.NAK, wanted[0], *probes.nak_list(wanted[1:]))[16:]
        )
        ktap.equal((ncf.flags, ncf.gsi), (3, run.session.gsi))
        ktap.equal((ncf.sport, ncf.dport), run.session.down)
        ktap.equal((ncf.destination, ncf.nak_group), (pgm.GROUP, pgm.GROUP))
        repairs = [run.probe.wait(wire.RDATA) for _ in wanted]
        ktap.equal([packet.sqn for packet in repairs], wanted)
        for packet in repairs:
            ktap.equal(packet.data[24:], data[packet.sqn - first].data[24:])
            ktap.equal(packet.ip_options, wire.ROUTER_ALERT)
            ktap.equal(wire.OPT_SYN in packet.options, packet.sqn == first)
        run.probe.silence(0.1, wire.NCF, wire.RDATA, wire.ODATA)


@ktap.test
def test_window():
    """Repairs have the trailing edge of now, and there are none outside of the window."""
    # req: SRC-02 SRC-14 SRC-21 SRC-23 TXW-02 TXW-03 TXW-04
    with running(window=(20_000, 1_500, 0), ambient=50) as run:
        old = run.send(*[b"old"] * 5)
        time.sleep(1)
        new = run.send(*[b"new"] * 5)
        spm = run.probe.wait(wire.SPM, where=lambda spm: spm.trail > old[-1].sqn)
        ktap.equal(spm.lead, new[-1].sqn)
        trail = spm.trail
        assert trail <= new[0].sqn, "the window is too short"
        for sqn in (trail - 1, spm.lead + 1):
            run.nak(sqn)
            ktap.equal(run.probe.wait(wire.NCF, wire.RDATA).kind, wire.NCF)
            run.probe.silence(0.05, wire.RDATA)
        run.nak(new[0].sqn)
        repair = run.probe.wait(wire.RDATA)
        ktap.equal((repair.sqn, repair.payload), (new[0].sqn, b"new"))
        assert repair.trail >= trail > new[0].trail, "RDATA repeat the old trailing edge"
        closed = run.probe.wait(wire.SPM, where=lambda spm: spm.trail == spm.lead + 1)
        between = closed.time - new[-1].time
        assert 1.4 < between, f"the window closed after {between:.2f} s"
        ktap.soon(between, 1.5 + 0.3 + LATE, "the window closed")


@ktap.test
def test_storm():
    """A thousand NAKs of a hundred receivers for one packet: few NCFs and repairs, no memory."""
    # req: SRC-18 SRC-20 SRC-27
    # attack: A-15
    with running() as run:
        (packet,) = run.send(b"wanted")
        _, pages = pgm.accounted()
        began = run.nak(packet.sqn)
        for n in range(1_000):
            end = run.nak(packet.sqn, source=f"10.77.0.{100 + n % 100}")
        ktap.soon(run.probe.wait(wire.NCF).time - began, LATE, "the first NCF")
        run.probe.silence(0.05, wire.ODATA)
        took = end - began
        for kind in (wire.NCF, wire.RDATA):
            count = len(run.probe.all(kind)) + (kind == wire.NCF)
            ktap.note(f"{count} {wire.NAMES[kind]} in {took:.2f} s")
            # An answer holds for 1 ms at least.
            assert 1 <= count <= 2 + took / 0.001, f"{count} {wire.NAMES[kind]}"
        assert pgm.accounted()[1] <= pages + 8, "NAKs cost memory"


@ktap.test
def test_null_nak():
    """A null NAK is counted and not answered."""
    # req: SRC-25
    with running() as run:
        (packet,) = run.send(b"x")
        run.nak(packet.sqn, kind=wire.NNAK)
        ktap.wait_for(lambda: pgm.stats(run.sock)["nnaks"] == 1, "it is counted")
        run.probe.silence(0.1, wire.NCF, wire.RDATA)


@ktap.test
def test_heartbeats_start_anew():
    """Heartbeats double their interval; a repair starts them anew at IHB_MIN."""
    # req: SRC-09 SRC-10 SRC-11
    with running(heartbeat=(100, 3_000), ambient=60_000) as run:
        (packet,) = run.send(b"x")
        # At connect() there is one, before or after this.
        run.probe.silence(0.02, wire.RDATA)
        run.probe.forget()
        gaps, last = [], packet.time
        for _ in range(4):
            spm = run.probe.wait(wire.SPM)
            gaps.append(spm.time - last)
            last = spm.time
        ktap.note(" ".join(f"{gap:.3f}" for gap in gaps))
        for gap, wanted in zip(gaps, (0.1, 0.2, 0.4, 0.8)):
            ktap.soon(abs(gap - wanted), LATE, f"heartbeat of {wanted} s")
        run.nak(packet.sqn)
        repair = run.probe.wait(wire.RDATA)
        gap = run.probe.wait(wire.SPM).time - repair.time
        ktap.soon(gap, 0.1 + LATE, "the heartbeat after the repair")


@ktap.test
def test_ambient():
    """Ambient SPMs have a clock of their own."""
    # req: SRC-11 SRC-15
    with running(heartbeat=(60_000, 60_000), ambient=150) as run:
        times = [run.probe.wait(wire.SPM).time for _ in range(5)]
        for before, after in itertools.pairwise(times[1:]):
            ktap.soon(abs(after - before - 0.15), LATE, "ambient SPM")


@ktap.test
def test_priorities():
    """With a queue of data: an NCF and an SPM leave at once; repairs and new data share the rate."""
    # req: SRC-06 SRC-07
    with running(window=(SLOW, 10_000, 0), heartbeat=(10, 3_000)) as run:
        (first,) = run.send(b"first")
        for _ in range(100):
            run.sock.send(bytes(1_000))
        run.probe.wait(wire.ODATA)
        overtaken = []
        for _ in range(5):
            asked = run.nak(first.sqn)
            run.spmr()
            for kind in (wire.NCF, wire.SPM):
                answer = run.probe.wait(kind, where=lambda p, asked=asked: p.time > asked)
                data = [p for p in run.probe.heard if p.kind == wire.ODATA]
                overtaken.append(sum(asked < p.time < answer.time for p in data))
            time.sleep(0.02)
        # A packet leaves every ten milliseconds: one may just have done so.
        ktap.note(f"data before an answer: {overtaken}")
        if sorted(overtaken)[6] > 1:
            raise ktap.Late("answers wait for data")
        # From here on for half a second there is always something to repair.
        run.probe.forget()
        for n in range(25):
            run.nak(first.sqn + 1 + n % 20, first.sqn + 1 + (n + 7) % 20)
            time.sleep(0.02)
        new, repairs = run.probe.all(wire.ODATA), run.probe.all(wire.RDATA)
        ktap.note(f"{len(new)} ODATA, {len(repairs)} RDATA")
        assert len(new) > 5 and len(repairs) > 5, "one starves the other"


@ktap.test
def test_token_bucket():
    """In any interval no more leaves than the bucket holds and the rate adds."""
    # req: SRC-03 SRC-04 SRC-05 SRC-26
    with running(window=(SLOW, 10_000, 0)) as run:
        for _ in range(60):
            run.sock.send(bytes(1_000))
        sent = [(0.0, 0)]
        for _ in range(60):
            packet = run.probe.wait(wire.ODATA)
            sent.append((packet.time, sent[-1][1] + packet.length))
        rate = SLOW * 1000 / 8
        for (begin, before), (end, after) in itertools.combinations(sent[1:], 2):
            # What left at `begin` is not counted; stamps are a little late or early.
            allowed = BUCKET + rate * (end - begin + 0.002)
            assert after - before <= allowed, f"{after - before} bytes in {end - begin:.4f} s"
        took = sent[-1][0] - sent[1][0]
        ktap.note(f"{sent[-1][1]} bytes in {took:.3f} s")
        # Not all of a bucket leaves back to back: eight times the rate is the bound.
        burst = [time for time, total in sent[1:] if total <= BUCKET]
        assert burst[-1] - burst[0] > 0.004, f"{len(burst)} packets in {burst[-1] - burst[0]:.4f} s"


@ktap.test
def test_fin():
    """FIN is told at once, and heartbeats start anew; repairs and SPMs go on for TXW_SECS."""
    # req: OPT-53 OPT-56 OPT-57
    with running(window=(20_000, 1_000, 0), heartbeat=(100, 400)) as run:
        (packet,) = run.send(b"last")
        run.probe.wait(wire.SPM, where=lambda spm: spm.time > packet.time + 0.6)
        began = time.time()
        run.sock.shutdown(socket.SHUT_WR)
        fin = run.probe.wait(wire.SPM)
        assert wire.OPT_FIN in fin.options, fin
        ktap.soon(fin.time - began, LATE, "FIN")
        ktap.soon(run.probe.wait(wire.SPM).time - fin.time, 0.1 + LATE, "the next SPM")
        run.probe.silence(0.2, wire.SPM, where=lambda spm: wire.OPT_FIN not in spm.options)
        # The window has closed: TXW_SECS after FIN there is nothing any more.
        time.sleep(max(0, fin.time + 1.0 - time.time()))
        ktap.wait_for(lambda: not run.probe.fresh(0.5), "TXW_SECS after FIN there is nothing")


@ktap.test
def test_fin_on_data():
    """A source that is closed while data wait puts FIN on the last of them."""
    # req: OPT-54
    with running(window=(SLOW, 10_000, 0)) as run:
        for _ in range(15):
            run.sock.send(bytes(1_000))
        run.sock.shutdown(socket.SHUT_WR)
        data = [run.probe.wait(wire.ODATA) for _ in range(15)]
        ktap.equal([wire.OPT_FIN in packet.options for packet in data], [False] * 14 + [True])
        assert wire.OPT_FIN in run.probe.wait(wire.SPM).options


@ktap.test
def test_repair_after_fin():
    """What was sent last can be had after FIN, as long as the window lasts."""
    # req: OPT-57 OPT-58
    with running(window=(20_000, 3_000, 0)) as run:
        (packet,) = run.send(b"last")
        run.sock.close()
        run.probe.wait(wire.SPM, where=lambda spm: wire.OPT_FIN in spm.options)
        run.nak(packet.sqn)
        ktap.equal(run.probe.wait(wire.RDATA).payload, b"last")


@ktap.test
def test_reset():
    """RST is told at once and in every SPM for TXW_SECS. It has N, as nothing is repaired."""
    # req: OPT-55 OPT-59 OPT-60 OPT-61 OPT-62
    with running(window=(20_000, 1_000, 0), heartbeat=(50, 200)) as run:
        data = run.send(b"one", b"two")
        began = time.time()
        run.probe.forget()
        pgm.reset_close(run.sock)
        spms = [run.probe.wait(wire.SPM) for _ in range(4)]
        ktap.soon(spms[0].time - began, LATE, "RST")
        for spm in spms:
            ktap.equal(spm.options[wire.OPT_RST][3], 0x40, "N, and no error code")
            ktap.equal(spm.lead, data[-1].sqn)
        run.nak(data[0].sqn)
        run.probe.silence(0.1, wire.RDATA, wire.NCF)
        assert run.probe.wait(wire.SPM).time - spms[0].time > 0.4, "SPMs stopped"


@ktap.test
def test_spm_requests():
    """An SPMR is answered at once, and many in IHB_MIN by one SPM; those of others are not."""
    # req: SPMR-07 SPMR-10
    with running(heartbeat=(200, 60_000), ambient=60_000) as run:
        run.send(b"x")
        run.probe.wait(wire.SPM, where=lambda spm: spm.lead == spm.trail)
        time.sleep(0.25)
        run.probe.forget()
        began = run.spmr()
        ktap.soon(run.probe.wait(wire.SPM).time - began, LATE, "the answer")
        while time.time() < began + 1:
            end = run.spmr()
        count = len(run.probe.all(wire.SPM))
        ktap.note(f"{count} SPMs in {end - began:.2f} s")
        assert 2 <= count <= 7, f"{count} SPMs in a second"
        mine = run.session
        run.probe.wait(wire.SPM, timeout=1)
        time.sleep(0.25)
        run.probe.forget()
        for session in (
            wire.Session(mine.address, mine.group, pgm.PORT, mine.down[0], b"other!"),
            wire.Session(mine.address, mine.group, pgm.PORT, mine.down[0] ^ 1, mine.gsi),
            wire.Session(mine.address, mine.group, pgm.PORT + 1, mine.down[0], mine.gsi),
        ):
            run.probe.send(session.spmr(), run.host.address)
        run.probe.silence(0.3, wire.SPM)


@ktap.test
def test_checksum_of_zero():
    """Where the sum makes zero of the checksum, it is sent as 0xFFFF, and taken."""
    # req: WIRE-14
    with running() as run, net.shared() as lan, pgm.datagram(lan.hosts[1]) as sock:
        run.send(b"first")
        (packet,) = run.send(b"\0\0")
        # The next one differs in its number only: let the payload make up for the sum.
        head = bytearray(packet.data[:24])
        head[6:8] = b"\0\0"
        head[16:20] = struct.pack("!I", packet.sqn + 1)
        rest = ~wire.checksum(bytes(head)) & 0xFFFF
        (packet,) = run.send(struct.pack("!H", ~rest & 0xFFFF))
        ktap.equal(packet.checksum, 0xFFFF)
        ktap.equal([sock.recv(9) for _ in range(3)][2], packet.payload)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
