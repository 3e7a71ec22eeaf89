#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a source sends, and when it stops, seen by a probe that plays its receivers."""

import contextlib
import os
import select
import socket
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire
from probe import Probe, session_of

SO_MAX_PACING_RATE = 47
MS = 1_000
MESSAGE = bytes(1_000)

# 100 packets of 1000 bytes, a second of them; steps of 20 after 150 ms.
WITH_DATA = {pgm.PGM_WINDOW_ADV_METHOD: pgm.PGM_ADVANCE_WITH_DATA, pgm.PGM_WINDOW_ADV_RATE: 20}
SMALL = (800, 1_000, 100_000)


@contextlib.contextmanager
def watched(window=(20_000, 10_000, 0), options=None, heartbeat=(), pacing=None):
    """(a source, a probe that sees it, its session): the first SPM has left."""
    with contextlib.ExitStack() as stack:
        lan = stack.enter_context(net.shared())
        probe = stack.enter_context(Probe(lan.hosts[1], pgm.PORT))
        sock = stack.enter_context(pgm.timeouts(pgm.pgm_socket(lan.hosts[0])))
        pgm.set_window(sock, *window)
        for option, value in (options or {}).items():
            pgm.set_int(sock, option, value)
        if heartbeat:
            sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, struct.pack("=II", *heartbeat))
        if pacing:
            sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, pacing)
        sock.connect((pgm.GROUP, pgm.PORT))
        probe.wait(wire.SPM)
        yield sock, probe, session_of(sock, lan.hosts[0])
        pgm.reset_close(sock)


def nak(probe, session, *numbers):
    """A NAK for some numbers, to the source."""
    items = [wire.option(wire.OPT_NAK_LIST, struct.pack("!I", n)) for n in numbers[1:]]
    probe.send(session.nak(wire.NAK, numbers[0], *items), session.address)


def is_writable(sock, timeout=0):
    """Does poll() report POLLOUT?"""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(timeout * 1_000))


def join_of(packet):
    """OPT_JOIN_MIN of a packet; None without OPT_JOIN."""
    option = packet.options.get(wire.OPT_JOIN)
    return option and struct.unpack("!I", option[4:])[0]


@ktap.test
def test_late_join():
    """OPT_JOIN is on SPMs and data, never below TRAIL, and a late receiver gets the history."""
    # req: OPT-40 OPT-42
    with watched(options={pgm.PGM_LATEJOIN: 50}, heartbeat=(20 * MS, 100 * MS)) as (sock, probe, _):
        sent = pgm.messages(20, (100, 3_000))
        for message in sent:
            sock.send(message)
        ktap.wait_for(lambda: len(probe.all(wire.SPM)) >= 3, "SPMs after the data")
        for packet in probe.all(wire.SPM, wire.ODATA):
            assert packet.trail <= join_of(packet), packet
            assert packet.kind == wire.SPM or join_of(packet) <= packet.sqn, packet
        with pgm.listener(probe.host) as listening:
            session, _ = pgm.accept(listening)
            with session:
                pgm.same([session.recv(4_000) for _ in sent], sent)


@ktap.test
def test_late_join_off():
    """Without PGM_LATEJOIN there is no OPT_JOIN."""
    # req: OPT-41
    with watched() as (sock, probe, _):
        sock.send(MESSAGE)
        probe.wait(wire.SPM, lead=0)
        assert all(join_of(p) is None for p in probe.heard if p.kind in (wire.SPM, wire.ODATA))


@ktap.test
def test_full_window():
    """With data: NAKs for the oldest packets hold the window; full, it stops data, but not SPMs."""
    # req: TXW-06 TXW-07
    # 20 packets, steps of 10 after 750 ms.
    options = WITH_DATA | {pgm.PGM_WINDOW_ADV_RATE: 50}
    window = (80, 2_000, 20_000)
    with watched(window, options, heartbeat=(20 * MS, 50 * MS)) as (sock, probe, session):
        sock.setblocking(False)

        def fill():
            nak(probe, session, 0)
            with contextlib.suppress(BlockingIOError):
                sock.send(MESSAGE)
            return pgm.stats(sock)["odata"] == 20

        ktap.wait_for(fill, "the window is full", interval=0.01)
        probe.forget()
        for _ in range(18):
            nak(probe, session, 0)
            assert not is_writable(sock, 0.1)
        ktap.equal(pgm.stats(sock)["odata"], 20)
        spms = probe.all(wire.SPM)
        assert len(spms) >= 4 and {spm.trail for spm in spms} == {0}, spms
        assert not probe.all(wire.ODATA)
        # Nobody asks any more.
        assert is_writable(sock, 5)
        sock.setblocking(True)
        sock.send(MESSAGE)
        ktap.equal(probe.wait(wire.ODATA).trail, 10)


@ktap.test
def test_blocked_sender():
    """With data: send() waits for the window to advance, and it does, a step at a time."""
    # req: TXW-05 TXW-07 TXW-03
    with watched((16_000, 50, 100_000), WITH_DATA) as (sock, probe, _):
        for _ in range(400):
            sock.send(MESSAGE)
        ktap.wait_for(lambda: pgm.stats(sock)["odata"] == 400, "all is sent")
        odata = sorted(probe.all(wire.ODATA), key=lambda packet: packet.sqn)
        trails = [packet.trail for packet in odata]
        assert trails == sorted(trails), trails
        steps = sorted(set(trails))
        ktap.equal(steps, list(range(0, steps[-1] + 1, 20)))
        assert 300 <= steps[-1] <= 320, steps


@ktap.test
def test_complete_transfer():
    """With data: a window of one second loses nothing over a bad network."""
    # req: TXW-05 TXW-06
    sent = pgm.messages(600, (500, 1_400))
    # It advances 450 ms after the last NAK, which come every 125 ms if repairs are lost. With time it
    # would advance after ten seconds.
    window = (2_000, 10_000, 300_000)
    options = {
        pgm.PGM_WINDOW_ADV_METHOD: pgm.PGM_ADVANCE_WITH_DATA,
        pgm.PGM_WINDOW_ADV_RATE: 50,
        pgm.PGM_AMBIENT_SPM: 100 * MS,
    }
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        lan.impair(lan.hosts[1], "loss 15%")
        with pgm.source(lan.hosts[0], window=window, options=options) as source:
            ktap.wait_for(lambda: pgm.stats(source)["spm"] >= 3, "the session is announced")
            receiver = pgm.Background(lambda: pgm.receive_all(pgm.accept(listening)[0]))
            started = time.monotonic()
            for message in sent:
                source.send(message)
            took = time.monotonic() - started
            source.shutdown(socket.SHUT_WR)
            pgm.same(receiver.result(), sent)
            assert pgm.stats(source)["trail"] > 0, "the window moved"
        ktap.note(f"sent in {took:.1f} s")
        assert took < 9


@ktap.test
def test_idle_window():
    """With data: what was sent is repaired however old it is, and time brings no ambient SPM."""
    # req: TXW-05 TXW-08
    options = WITH_DATA | {pgm.PGM_AMBIENT_SPM: 50 * MS}
    with watched(SMALL, options, heartbeat=(1_000 * MS, 1_000 * MS)) as (sock, probe, session):
        sock.send(MESSAGE)
        probe.wait(wire.SPM, lead=0)
        for _ in range(10):
            sock.send(MESSAGE)
            time.sleep(0.1)
        assert len(probe.all(wire.SPM)) <= 2, probe.all(wire.SPM)
        ktap.equal(probe.wait(wire.SPM, lead=10).trail, 0)
        nak(probe, session, 0)
        probe.wait(wire.RDATA, sqn=0)


@ktap.test
def test_duplicate_naks():
    """Four duplicates of a NAK double OPT_NAK_BO_IVL on NCFs and SPMs; before, there is none."""
    # req: IMP-02 IMP-04

    def interval(packet):
        option = packet.options.get(wire.OPT_NAK_BO_IVL)
        return option and struct.unpack("!II", option[4:])

    with watched(heartbeat=(20 * MS, 100 * MS)) as (sock, probe, session):
        for _ in range(3):
            sock.send(MESSAGE)
        probe.wait(wire.SPM, lead=2)
        for number, micros in (0, None), (1, 100_000), (2, 200_000):
            data = session.nak(wire.NAK, number)
            for _ in range(5):
                probe.send(data, session.address)
            ktap.equal(interval(probe.wait(wire.NCF, sqn=number)), micros and (micros, 0))
            doubled = ((micros or 50_000) * 2, 0)
            probe.wait(wire.SPM, where=lambda spm, it=doubled: interval(spm) == it)


@ktap.test
def test_unreached():
    """Who asks again and again gets a unicast NCF that says so, and everybody an SPM."""
    # req: IMP-09 IMP-10 IMP-11
    with watched() as (sock, probe, session):
        sock.send(MESSAGE)
        probe.wait(wire.SPM, lead=0)
        while not probe.all(wire.NCF, destination=probe.host.address):
            known = len(probe.all(wire.NCF))
            assert known <= 32, "all NCFs are multicast"
            nak(probe, session, 0)
            ktap.wait_for(lambda n=known: len(probe.all(wire.NCF)) > n, "its NCF", interval=0.002)
            # Closer together than 10 ms NAKs may have crossed an NCF, and do not count.
            time.sleep(0.011)
        ncfs = probe.all(wire.NCF)
        ktap.equal(len(ncfs), 33, "NCFs")
        last = probe.wait(wire.NCF, destination=probe.host.address)
        assert wire.OPT_NBR_UNREACH in last.options
        ktap.equal(wire.text(last.options[wire.OPT_PATH_NLA][4:]), session.address)
        assert not any(wire.OPT_NBR_UNREACH in ncf.options for ncf in ncfs[:-1])
        assert wire.OPT_NBR_UNREACH not in probe.wait(wire.SPM, timeout=1).options


@ktap.test
def test_mtu():
    """No packet is larger than PGM_MTU, IP header included."""
    with watched(options={pgm.PGM_MTU: 500, pgm.PGM_LATEJOIN: 10}) as (sock, probe, _):
        sock.send(bytes(2_000))
        sock.send(bytes(pgm.get_int(sock, pgm.PGM_MSS)))
        ktap.wait_for(lambda: len(probe.all(wire.ODATA)) >= 6, "all of it")
        packets = probe.all(wire.ODATA)
        sizes = [len(packet.ip) + len(packet.data) for packet in packets]
        # A repair has Router Alert, and OPT_SYN or OPT_FIN may come.
        assert 480 <= max(sizes) <= 500 - 4, sizes
        ktap.equal(wire.OPT_FRAGMENT in packets[-1].options, False)


@ktap.test
def test_window_below_a_packet():
    """POLLOUT does not wait for a packet's worth of room in a window that holds no whole packet."""
    with net.shared() as lan, pgm.pgm_socket(lan.hosts[0]) as sock:
        loopback = socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        pgm.set_window(sock, 1_000, 200, 4_096)
        sock.connect((pgm.GROUP, pgm.PORT))
        assert pgm.get_int(sock, pgm.PGM_MSS) > 4_096
        assert is_writable(sock)
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while sock.send(MESSAGE):
                pass
        assert not is_writable(sock)
        assert is_writable(sock, 5)
        pgm.reset_close(sock)


@ktap.test
def test_pacing():
    """SO_MAX_PACING_RATE bounds the rate, also while the source runs; PGM_SEND_WINDOW still does."""
    # req: SRC-03
    with watched((8_000, 10_000, 0), pacing=50_000) as (sock, probe, _):
        rates = []
        for pacing in (50_000, 200_000, 50_000_000):
            sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, pacing)
            count = min(pacing, 1_000_000) // 2_000
            for _ in range(count):
                sock.send(MESSAGE)
            packets = [probe.wait(wire.ODATA) for _ in range(count)]
            size = sum(len(packet.ip) + 4 + len(packet.data) for packet in packets[8:])
            rates.append(size / (packets[-1].time - packets[7].time))
        for rate, wanted in zip(rates, (50_000, 200_000, 1_000_000)):
            assert rate < 1.1 * wanted, rates
            ktap.soon(wanted / rate, 2, "so many times as long as it should take")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
