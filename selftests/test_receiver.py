#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a receiver does, seen by a probe that plays its source."""

import contextlib
import errno
import os
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire
from probe import Probe


def join(sqn):
    """OPT_JOIN"""
    return wire.option(wire.OPT_JOIN, struct.pack("!I", sqn))


@ktap.test(variants=variant.ALL)
def test_late_join():
    """An SPM with OPT_JOIN opens history: the session is accepted and asks for it."""
    # req: OPT-40 OPT-42
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, pgm.listener(lan.hosts[1]) as listening:
        source = probe.source()
        source.spm(95, 99, join(90))
        session, _ = pgm.accept(listening)
        probe.wait(wire.NAK, numbers=[95, 96, 97, 98, 99])
        source.odata(100, b"100", join(97), trail=95)
        for sqn in range(95, 100):
            source.rdata(sqn, b"%d" % sqn, trail=95)
        for sqn in range(95, 101):
            ktap.equal(session.recv(100), b"%d" % sqn)


@ktap.test
def test_late_join_of_a_source():
    """A listener that comes after the messages gets them all, if half of the window holds them."""
    # req: OPT-40 OPT-52
    options = {pgm.PGM_LATEJOIN: 50, pgm.PGM_AMBIENT_SPM: 50_000}
    with net.shared() as lan, pgm.source(lan.hosts[0], options=options) as source:
        sent = pgm.messages(40)
        for message in sent:
            source.send(message)
        with pgm.listener(lan.hosts[1]) as listening:
            session, _ = pgm.accept(listening)
            pgm.set_int(session, pgm.PGM_RECVRCVINFO, 1)
            data, ancillary, _, _ = session.recvmsg(1 << 16, 256)
            ktap.equal(pgm.rcvinfo(ancillary)[2], pgm.PGM_RCV_SYN, "from its beginning")
            source.send(b"one more")
            source.close()
            got = [data, *pgm.receive_all(session)]
            pgm.same(got, [*sent, b"one more"])


@ktap.test
def test_late_join_by_repair():
    """RDATA starts a session if OPT_JOIN is on it, and only then."""
    # req: OPT-40 OPT-41 RCV-04
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, pgm.listener(lan.hosts[1]) as listening:
        closed, opened = probe.source(), probe.source()
        closed.rdata(7, b"no")
        opened.rdata(7, b"yes", join(7))
        session, (_, port, *_) = pgm.accept(listening)
        ktap.equal(port, opened.session.down[0])
        ktap.equal(session.recv(100), b"yes")


@contextlib.contextmanager
def raises(number):
    """The block fails with this errno."""
    try:
        yield
    except OSError as error:
        ktap.equal(errno.errorcode[error.errno], errno.errorcode[number])
    else:
        raise AssertionError(f"no {errno.errorcode[number]}")


@contextlib.contextmanager
def running(options=None):
    """A probe as source and a session that got its data up to 1, with the parent known."""
    with net.shared(3) as lan, Probe(lan.hosts[0]) as probe:
        with pgm.listener(lan.hosts[1], options=options) as listening:
            source = probe.source()
            source.spm(1, 0)
            source.odata(1, b"1", trail=1)
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"1")
                yield lan, probe, source, session


def gap(source, sqn):
    """Data behind a hole of one, enough of it for loss to be certain. Returns when."""
    source.odata(sqn + 1, b"%d" % (sqn + 1), trail=1)
    return source.odata(sqn + 2, b"%d" % (sqn + 2), trail=1)


def ask(source, sqn, round_=0, **how):
    """Sends a POLL. Returns when."""
    return source.send(source.session.poll(sqn, round_, **how))


@ktap.test(variants=variant.ALL)
def test_poll_answer():
    """One POLR to POLL_PATH with SQN and ROUND of the POLL, if the POLL asks us."""
    # req: POLL-08 POLL-09 POLL-10 POLL-11 POLL-12 POLL-14
    with running() as (lan, probe, source, _):
        unknown = wire.option(0x33)
        sent = source.send(source.session.poll(70, 0, unknown, ask=(100_000, 0, 0)))
        polr = probe.wait(wire.POLR)
        ktap.equal((polr.sqn, polr.round, polr.destination), (70, 0, lan.hosts[0].address))
        ktap.equal((polr.sport, polr.dport), source.session.up)
        ktap.equal((polr.gsi, polr.data[22:24]), (source.session.gsi, bytes(2)))
        assert polr.time - sent < 0.2, f"{polr.time - sent} s"
        ask(source, 70, 0, ask=(0, 0, 0))  # the same again
        ask(source, 71, 1)  # no round 0 before it
        for subtype in (1, 2, 0xFFFF):
            ask(source, 71, 0, subtype=subtype)
        ask(source, 71, 1)
        polr = probe.wait(wire.POLR)
        ktap.equal((polr.sqn, polr.round), (71, 1))
        probe.silence(0.2, wire.POLR)


@ktap.test
def test_poll_again():
    """A new POLL_SQN cancels the answer that waits."""
    # req: POLL-13
    with running() as (_, probe, source, _):
        for sqn in range(1, 6):
            ask(source, sqn, ask=(200_000, 0, 0))
        polr = probe.wait(wire.POLR)
        ktap.equal(polr.sqn, 5)
        probe.silence(0.3, wire.POLR)


def node_id(probe, source, bits):
    """The lowest bits of RAND_NODE_ID, found one by one."""
    found = 0
    for n in range(bits):
        asked = time.monotonic()
        while True:
            for value in (1, 0):
                ask(source, 2 * n + value, ask=(0, value << n, 1 << n))
                try:
                    polr = probe.wait(wire.POLR, timeout=0.05)
                except AssertionError:
                    continue
                found |= (polr.sqn & 1) << n
                break
            else:
                assert time.monotonic() - asked < 5, "either a bit is set or it is not"
                continue
            break
    return found


@ktap.test
def test_node_id():
    """RAND_NODE_ID is random, and polls match it under their mask."""
    # req: POLL-06 POLL-07
    found = set()
    for _ in range(2):
        with running() as (_, probe, source, _):
            mask = 0xFFF
            found.add(node := node_id(probe, source, 12))
            ask(source, 100, ask=(0, ~node & mask, mask))
            ask(source, 101, ask=(0, node ^ 1, mask))
            ask(source, 102, ask=(0, node, mask))
            ktap.equal(probe.wait(wire.POLR).sqn, 102)
            probe.silence(0.1, wire.POLR)
    ktap.equal(len(found), 2, "different identifiers")


@ktap.test(variants=variant.ALL)
def test_unreachable_parent():
    """A unicast NCF with OPT_NBR_UNREACH stops NAKs, and the neighbours get a copy of it."""
    # req: IMP-16 IMP-17 IMP-18 IMP-19 IMP-20
    with running() as (lan, probe, source, _):
        gap(source, 2)
        probe.wait(wire.NAK, numbers=[2])

        def confirm(path):
            items = [
                wire.option(wire.OPT_NBR_UNREACH),
                wire.option(wire.OPT_PATH_NLA, wire.packed(path)),
            ]
            data = source.session.nak(wire.NCF, 2, *items)
            source.send(data, to=lan.hosts[1].address, alert=False)
            return data

        confirm(net.address(99))  # not our parent
        probe.wait(wire.NAK, numbers=[2])
        data = confirm(lan.hosts[0].address)
        copy = probe.wait(wire.NCF)
        ktap.equal((copy.source, copy.destination), (lan.hosts[1].address, pgm.GROUP))
        ktap.equal((copy.ttl, copy.sport, copy.dport), (1, *source.session.down))
        ktap.equal(copy.data[16:], with_flags(data, copy)[16:], "the same packet")
        # Silence, also on the special SPM that repeats the number of the last one.
        confirm(lan.hosts[0].address)
        unreachable = wire.option(wire.OPT_NBR_UNREACH)
        source.spm(1, 1000, unreachable, sqn=source.spm_sqn - 1)
        probe.silence(0.5, wire.NAK, wire.NCF)
        source.spm(1, 4)
        probe.wait(wire.NAK, numbers=[2])


def with_flags(data, copy):
    """A packet whose flags are those of another one."""
    return wire.with_checksum(data[:5] + bytes([copy.flags]) + data[6:])


@ktap.test(variants=variant.ALL)
def test_unreachable_parent_of_datagrams():
    """The same for a datagram socket."""
    # req: IMP-17
    with net.shared(2) as lan, Probe(lan.hosts[0]) as probe, pgm.datagram(lan.hosts[1]) as sock:
        source = probe.source()
        source.spm(1, 0)
        source.odata(1, b"1", trail=1)
        ktap.equal(sock.recv(10), b"1")
        path = wire.option(wire.OPT_PATH_NLA, wire.packed(lan.hosts[0].address))
        data = source.session.nak(wire.NCF, 1, wire.option(wire.OPT_NBR_UNREACH), path)
        source.send(data, to=lan.hosts[1].address)
        ktap.equal(probe.wait(wire.NCF).ttl, 1)


def quiet_listener(host, **options):
    """A listener with the default NAK timers."""
    sock = pgm.timeouts(pgm.pgm_socket(host))
    for name, value in options.items():
        pgm.set_int(sock, getattr(pgm, name), value)
    sock.bind((pgm.GROUP, pgm.PORT))
    sock.listen(5)
    return sock


def delays(probe, source, count, first=2):
    """How long after a loss was certain each NAK came; the holes are repaired."""
    found = []
    for sqn in range(first, first + 3 * count, 3):
        lost = gap(source, sqn)
        found.append(probe.wait(wire.NAK, numbers=[sqn]).time - lost)
        source.rdata(sqn, b"x", trail=1)
    return found


@ktap.test
def test_steered_back_off():
    """OPT_NAK_BO_IVL counts if it rests on no poll, or on one whose round 0 was seen."""
    # req: NAK-20 IMP-06 IMP-07
    with net.shared() as lan, Probe(lan.hosts[0]) as probe:
        with quiet_listener(lan.hosts[1]) as listening:
            source = probe.source()

            def steer(micros, sqn):
                source.spm(1, 0, wire.option(wire.OPT_NAK_BO_IVL, struct.pack("!II", micros, sqn)))

            source.spm(1, 0)
            source.odata(1, b"1", trail=1)
            session, _ = pgm.accept(listening)
            with session:
                steer(2_000_000, 7)  # no poll seen
                slow = delays(probe, source, 2)
                ask(source, 7, ask=(0, 0, 0xFFFFFFFF))
                steer(1_000, 7)
                quick = delays(probe, source, 4, 8)
                source.spm(
                    1, 0, wire.option(wire.OPT_NAK_BO_RNG, struct.pack("!II", 400_000, 300_000))
                )
                bounded = delays(probe, source, 6, 20)
                ktap.note(f"{slow} {quick} {bounded}")
                assert max(slow) < 0.5, slow
                assert min(quick) < 0.02, quick
                assert max(bounded) > 0.06, bounded


@ktap.test
def test_multicast_nak():
    """PGM_MULTICAST_NAK: each NAK goes to the group too, with a TTL of 1."""
    # req: NAK-18 ADDR-13
    with running({pgm.PGM_MULTICAST_NAK: 1}) as (lan, probe, source, _):
        gap(source, 2)
        naks = [probe.wait(wire.NAK, numbers=[2]) for _ in range(2)]
        ktap.equal({nak.destination for nak in naks}, {lan.hosts[0].address, pgm.GROUP})
        ktap.equal([nak.ttl for nak in naks if nak.destination == pgm.GROUP], [1])
        ktap.equal(naks[0].data, naks[1].data)


@ktap.test
def test_passive():
    """PGM_PASSIVE: nothing is ever sent, and losses are reported all the same."""
    options = {pgm.PGM_PASSIVE: 1, pgm.PGM_ABORT_ON_RESET: 0}
    with net.shared() as lan, Probe(lan.hosts[0]) as probe:
        with pgm.listener(lan.hosts[1], options=options) as listening:
            source = probe.source()
            source.odata(1, b"1", trail=1)
            session, _ = pgm.accept(listening)
            with session:
                gap(source, 2)
                source.odata(6, b"6", trail=1)
                probe.silence(0.4)  # no SPMR
                source.spm(1, 6)
                ask(source, 1)
                source.rdata(2, b"2", trail=1)
                for sqn in range(1, 5):
                    ktap.equal(session.recv(10), b"%d" % sqn)
                probe.silence(0.3)
                source.odata(7, b"7", trail=6)
                with raises(errno.ENOBUFS):
                    session.recv(10)
                ktap.equal(pgm.loss(session)[1:], (5, 1))
                ktap.equal([session.recv(10), session.recv(10)], [b"6", b"7"])
                probe.silence(0, wire.NAK, wire.SPMR, wire.POLR)


@ktap.test
def test_peer_expiry():
    """PGM_PEER_EXPIRY: a silent source ends its session."""
    # req: RCV-26
    with running({pgm.PGM_PEER_EXPIRY: 100_000}) as (_, _, _, session):
        with raises(errno.ETIMEDOUT):
            session.recv(10)
        ktap.equal(session.recv(10), b"")


@ktap.test
def test_spmr_expiry():
    """PGM_SPMR_EXPIRY: how soon an SPMR follows data without an SPM."""
    # req: SPMR-02
    with net.shared() as lan, Probe(lan.hosts[0]) as probe:
        with pgm.listener(lan.hosts[1], options={pgm.PGM_SPMR_EXPIRY: 1_000}):
            sent = probe.source().odata(1, b"1", trail=1)
            delay = probe.wait(wire.SPMR).time - sent
            assert delay < 0.1, f"{delay} s"


@ktap.test
def test_arrival_order():
    """PGM_ARRIVAL_ORDER: messages come when they are whole, and losses are reported."""
    # req: RCV-08
    options = {pgm.PGM_ARRIVAL_ORDER: 1, pgm.PGM_ABORT_ON_RESET: 0}
    with running(options) as (_, probe, source, session):

        def piece(first, n, count):
            fragment = wire.option(
                wire.OPT_FRAGMENT, struct.pack("!III", first, 10 * n, 10 * count)
            )
            source.odata(first + n, b"%010d" % n, fragment, trail=1)

        for sqn in (3, 4, 2):
            source.odata(sqn, b"%d" % sqn, trail=1)
        piece(5, 1, 2)
        source.odata(7, b"7", trail=1)
        piece(5, 0, 2)
        source.odata(9, b"9", trail=1)
        got = [session.recv(100) for _ in range(6)]
        ktap.equal(got, [b"3", b"4", b"2", b"7", b"%010d" % 0 + b"%010d" % 1, b"9"])
        source.odata(10, b"10", trail=10)
        ktap.equal(session.recv(100), b"10")
        with raises(errno.ENOBUFS):
            session.recv(100)
        ktap.equal(pgm.loss(session)[1:], (8, 1))
        source.spm(10, 10, wire.option(wire.OPT_FIN))
        ktap.equal(session.recv(100), b"")


@ktap.test
def test_forged_spm_sqn():
    """An SPM with a far higher SPM_SQN neither drives NAKs away nor shuts the source's out."""
    # req: SEC-01 RCV-27
    with running() as (lan, probe, source, _):
        for far in (1 << 20, 1 << 30):
            source.spm(1, 1, sqn=source.spm_sqn + far, path="10.77.0.66")
        gap(source, 2)
        ktap.equal(probe.wait(wire.NAK, numbers=[2]).destination, lan.hosts[0].address)
        source.rdata(2, b"2", trail=1)
        # The source's own are still heard.
        source.spm(1, 6)
        ktap.equal(probe.wait(wire.NAK, numbers=[5, 6]).destination, lan.hosts[0].address)


@ktap.test
def test_forged_paths():
    """NAKs do not follow Path NLAs that change to and fro; the source's next SPM brings them back."""
    # req: SEC-01
    with running() as (lan, probe, source, session):
        for n in range(20):
            source.spm(1, 1, path=f"10.77.0.{100 + n}")
            source.spm(1, 1)
        gap(source, 2)
        ktap.equal(probe.wait(wire.NAK, numbers=[2]).destination, lan.hosts[0].address)
        # One in a second is believed, until the source speaks again.
        before = pgm.stats(session)["naks"]
        source.rdata(2, b"2", trail=1)
        time.sleep(1.1)
        source.spm(1, 4, path=lan.hosts[2].address)
        with wire.Capture(lan.hosts[2]) as capture:
            gap(source, 5)
            ktap.wait_for(lambda: pgm.stats(session)["naks"] > before, "a NAK leaves")
            ktap.wait_for(
                lambda: any(p.kind == wire.NAK for p in capture.packets()), "the NAK goes astray"
            )
        source.spm(1, 7)
        probe.wait(wire.NAK, numbers=[5])


def announced_delays(probe, source, sqns):
    """How long after the SPM that announced it each number was asked for."""
    found = []
    for sqn in sqns:
        source.spm(1, sqn)
        nak = probe.wait(wire.NAK, numbers=[sqn])
        spm = next(p for p in reversed(probe.sent) if p.kind == wire.SPM)
        found.append(nak.time - spm.time)
        source.rdata(sqn, b"x", trail=1)
    return sorted(found)


@ktap.test
def test_timer_accuracy():
    """A back-off over 2 ms takes up to 2 ms: the kernel's timers are no coarser."""
    # req: NAK-01 NAK-23
    with running({pgm.PGM_NAK_BO_IVL: 2_000}) as (_, probe, source, _):
        # An emulated processor stalls at times; one undisturbed run is enough.
        for first in range(2, 122, 24):
            found = announced_delays(probe, source, range(first, first + 24))
            ktap.note(" ".join(f"{1000 * delay:.2f}" for delay in found) + " ms")
            if found[12] < 0.003 and found[4] < 0.0015 and found[12] - found[0] > 0.0005:
                return
        raise AssertionError("not spread over 2 ms")


@ktap.test
def test_closed_session():
    """A source whose session was closed is not accepted again, unless a loss had ended it."""
    # req: OPT-58
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, pgm.listener(lan.hosts[1]) as listening:
        closed, ended, lossy, other = (probe.source() for _ in range(4))

        def start(source):
            source.spm(1, 0)
            source.odata(1, b"1", trail=1)
            session, (_, port) = pgm.accept(listening)
            ktap.equal(port, source.session.down[0])
            return session

        start(closed).close()
        with start(ended) as session:
            ended.spm(1, 1, wire.option(wire.OPT_FIN))
            ktap.equal([session.recv(10), session.recv(10)], [b"1", b""])
        with start(lossy) as session:
            ktap.equal(session.recv(10), b"1")
            lossy.odata(3, b"3", trail=3)
            with raises(errno.ECONNRESET):
                session.recv(10)
        for source in (closed, ended):
            source.spm(1, 5)
            source.odata(5, b"5", trail=1)
        lossy.odata(5, b"5", trail=5)
        session, (_, port) = pgm.accept(listening)
        ktap.equal((port, session.recv(10)), (lossy.session.down[0], b"5"))
        start(other)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
