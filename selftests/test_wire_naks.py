#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The NAK state machine of a receiver (RFC 3208 section 6.3), seen by its source."""

import contextlib
import errno
import itertools
import os
import socket
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire
from probe import Probe

LATE = 0.1  # so much later than its timer a packet may leave: the machine may be an emulated one
SOON = 0.02  # so long before we look whether a back-off is still on


class Losing:
    """A source that announces packets and does not send them."""

    def __init__(self, probe, source):
        self.probe, self.source = probe, source
        self.lead = 0
        self.source.spm(1, 0)
        self.send()

    def send(self):
        """A packet that arrives."""
        self.lead += 1
        self.source.odata(self.lead, b"%d" % self.lead, trail=1)

    def lose(self, count=1):
        """Packets that do not: their numbers, and when the receiver got to know."""
        first = self.lead + 1
        self.lead += count
        return list(range(first, self.lead + 1)), self.source.spm(1, self.lead)

    def prove(self, sock):
        """The session lasts for a second: then it may ask for more than a few packets."""
        time.sleep(1.05)
        self.send()
        ktap.equal(sock.recv(10), b"%d" % self.lead)

    def lose_in_back_off(self, count=1):
        """As lose(), and the NAK for it has not left for a while."""
        while True:
            numbers, when = self.lose(count)
            time.sleep(SOON)
            if not self.naks(numbers[0]):
                return numbers, when
            self.repair(numbers)

    def naks(self, number):
        """NAKs for a number that were not looked at yet."""
        return self.probe.all(wire.NAK, where=lambda nak: number in nak.numbers)

    def nak(self, number, timeout=5):
        """The next NAK for a number."""
        return self.probe.wait(wire.NAK, where=lambda nak: number in nak.numbers, timeout=timeout)

    def confirm(self, numbers):
        """NCF"""
        return self.source.ncf(*numbers)

    def repair(self, numbers):
        """RDATA"""
        for number in numbers:
            self.source.rdata(number, b"%d" % number, trail=1)
        self.probe.forget()


@contextlib.contextmanager
def receiver(**settings):
    """(socket, Losing): a datagram socket and a source that it hears. Times are in milliseconds."""
    options = {
        getattr(pgm, f"PGM_NAK_{name.upper()}"): value * (1000 if name.endswith("ivl") else 1)
        for name, value in settings.items()
    }
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.datagram(lan.hosts[1], options=options) as sock,
    ):
        losing = Losing(probe, probe.source())
        ktap.equal(sock.recv(10), b"1")
        yield sock, losing


def between(low, value, high, what=""):
    """Fails unless a time in seconds is in range."""
    assert low - 0.001 <= value, f"{what} {value:.4f} s, not {low}..{high} s"
    ktap.soon(value, high + LATE, what)


def lost(sock, source, first, count):
    """The application hears of a loss, once."""
    try:
        got = sock.recv(10)
    except OSError as error:
        ktap.equal(error.errno, errno.ENOBUFS)
    else:
        raise AssertionError(f"no loss, but {got}")
    session = source.session
    identifier = session.gsi + session.down[0].to_bytes(2, "big")
    ktap.equal(pgm.loss(sock), (identifier, first, count))


@ktap.test(variants=variant.ALL)
def test_gap():
    """A gap makes one NAK for all of it; repairs end the recovery, the rest is asked for again."""
    # req: NAK-02 RCV-14 RCV-15 RCV-19 OPT-31 OPT-32 ADDR-10 WIRE-06 WIRE-07
    with receiver() as (sock, losing):
        numbers, _ = losing.lose(5)
        losing.send()
        nak = losing.probe.wait(wire.NAK)
        ktap.equal(nak.numbers, numbers)
        session = losing.source.session
        ktap.equal((nak.destination, nak.nak_source), (session.address, session.address))
        ktap.equal((nak.gsi, nak.sport, nak.dport), (session.gsi, pgm.PORT, session.down[0]))
        ktap.equal(nak.nak_group, pgm.GROUP)
        losing.confirm(numbers)
        losing.repair([2, 4, 5])
        ktap.equal(losing.probe.wait(wire.NAK).numbers, [3, 6])
        losing.confirm([3, 6])
        losing.repair([3, 6])
        ktap.equal([sock.recv(9) for _ in range(6)], [b"%d" % n for n in range(2, 8)])
        losing.probe.silence(0.3, wire.NAK)


@ktap.each({"40_ms": 40, "2_ms": 2})
def back_off(interval):
    """The delay of NAKs is spread over NAK_BO_IVL."""
    # req: NAK-01 NAK-23
    delays = []
    with receiver(bo_ivl=interval) as (_, losing):
        for _ in range(30):
            numbers, when = losing.lose()
            delays.append(losing.nak(numbers[0]).time - when)
            losing.repair(numbers)
    delays.sort()
    ktap.note(" ".join(f"{delay * 1000:.1f}" for delay in delays))
    assert delays[0] > 0
    # Many are late because the machine is: the bound is for the others.
    ktap.soon(delays[8], interval / 1000 + 0.002, "a third of the delays")
    assert delays[20] - delays[5] > interval / 1000 / 8, "the delay does not vary"


@ktap.test
def test_ncf_in_back_off():
    """An NCF and its list during the back-off: no NAK before NAK_RDATA_IVL has passed."""
    # req: NAK-03 NAK-16 OPT-33
    with receiver(bo_ivl=200, rpt_ivl=20, rdata_ivl=300) as (_, losing):
        numbers, _ = losing.lose_in_back_off(3)
        when = losing.confirm(numbers)
        nak = losing.nak(numbers[0])
        ktap.equal(nak.numbers, numbers)
        between(0.3, nak.time - when, 0.5, "after the NCF")


@ktap.test
def test_nak_of_another_in_back_off():
    """The NAK of another receiver during the back-off suppresses ours for NAK_RDATA_IVL."""
    # req: NAK-04 NAK-16 OPT-33
    with receiver(bo_ivl=200, rpt_ivl=20, rdata_ivl=300) as (_, losing):
        numbers, _ = losing.lose_in_back_off(3)
        when = losing.source.peer_nak(*numbers)
        nak = losing.nak(numbers[0])
        ktap.equal(nak.numbers, numbers)
        between(0.3, nak.time - when, 0.5, "after the NAK")


@ktap.test
def test_no_confirmation():
    """Without an NCF a NAK is repeated after NAK_RPT_IVL and a new back-off, then given up."""
    # req: NAK-05 NAK-08 NAK-19 RCV-21 RCV-22
    with receiver(bo_ivl=40, rpt_ivl=80, ncf_retries=3) as (sock, losing):
        numbers, _ = losing.lose()
        losing.send()
        times = [losing.nak(numbers[0]).time for _ in range(4)]
        for before, after in itertools.pairwise(times):
            between(0.08, after - before, 0.12, "repeated after")
        lost(sock, losing.source, numbers[0], 1)
        ktap.equal(sock.recv(10), b"%d" % losing.lead)
        losing.probe.silence(0.2, wire.NAK)


@ktap.test
def test_nak_of_another_while_waiting():
    """The NAK of another receiver puts off the repetition of ours."""
    # req: NAK-06
    with receiver(bo_ivl=20, rpt_ivl=300, rdata_ivl=50) as (_, losing):
        numbers, _ = losing.lose()
        first = losing.nak(numbers[0])
        time.sleep(0.15)
        when = losing.source.peer_nak(*numbers)
        ktap.soon(when - first.time, 0.3, "the other NAK")
        between(0.3, losing.nak(numbers[0]).time - when, 0.32, "after the other NAK")


@ktap.test
def test_no_data():
    """With an NCF but no data the NAK comes again after NAK_RDATA_IVL, and is given up in the end."""
    # req: NAK-07 NAK-09 NAK-11 RCV-21
    with receiver(bo_ivl=20, rpt_ivl=30, rdata_ivl=150, data_retries=2) as (sock, losing):
        numbers, _ = losing.lose()
        losing.send()
        for _ in range(3):
            losing.nak(numbers[0])
            when = losing.confirm(numbers)
            losing.probe.silence(0.1, wire.NAK)
        losing.probe.silence(when + 0.3 - time.time(), wire.NAK)
        lost(sock, losing.source, numbers[0], 1)
        ktap.equal(sock.recv(10), b"%d" % losing.lead)


@ktap.each({"ncf_puts_off": "confirm", "nak_puts_off": "peer_nak"})
def wait_for_data_goes_on(how):
    """NCFs and NAKs of others put NAKs off while data are awaited."""
    # req: NAK-10
    with receiver(bo_ivl=20, rpt_ivl=30, rdata_ivl=200) as (_, losing):
        numbers, _ = losing.lose()
        losing.nak(numbers[0])
        when = losing.confirm(numbers)
        for _ in range(4):
            losing.probe.silence(0.1, wire.NAK)
            if how == "confirm":
                when = losing.confirm(numbers)
            else:
                when = losing.source.peer_nak(*numbers)
        between(0.2, losing.nak(numbers[0]).time - when, 0.22, "after the last")


@ktap.test
def test_false_confirmations():
    """NCFs without end delay the end of a recovery for a bounded time only."""
    # req: SEC-03 NAK-11
    # attack: A-14
    with receiver(bo_ivl=10, rpt_ivl=30, rdata_ivl=60, data_retries=3) as (sock, losing):
        numbers, began = losing.lose()
        pgm.timeouts(sock, 0.02)
        while True:
            losing.confirm(numbers)
            try:
                sock.recv(10)
            except BlockingIOError:
                assert time.time() - began < 5, "the loss is not reported"
            except OSError as error:
                ktap.equal(error.errno, errno.ENOBUFS)
                break


def drain(sock):
    """Takes what is there."""
    with contextlib.suppress(BlockingIOError):
        while sock.recv(10, socket.MSG_DONTWAIT):
            pass


def recovery(losing, state):
    """A loss whose recovery is in a state."""
    if state == "back_off":
        return losing.lose_in_back_off()[0]
    numbers, _ = losing.lose()
    losing.nak(numbers[0])
    if state == "wait_data":
        losing.confirm(numbers)
    return numbers


@ktap.each({f"ends_in_{state}": state for state in ("back_off", "wait_ncf", "wait_data")})
def recovery_ends(state):
    """Data of either type, or a trailing edge that passes, end the recovery and its NAKs."""
    # req: NAK-12 NAK-13 NAK-14 RCV-04 RCV-18 RCV-21
    with receiver(bo_ivl=60, rpt_ivl=80, rdata_ivl=100) as (sock, losing):
        for send in (losing.source.odata, losing.source.rdata):
            numbers = recovery(losing, state)
            drain(sock)
            send(numbers[0], b"late", trail=1)
            losing.probe.forget()
            ktap.equal(sock.recv(10), b"late")
            losing.probe.silence(0.25, wire.NAK)
        numbers = recovery(losing, state)
        drain(sock)
        losing.lead += 1
        losing.source.odata(losing.lead, b"after", trail=losing.lead)
        losing.probe.forget()
        lost(sock, losing.source, numbers[0], 1)
        ktap.equal(sock.recv(10), b"after")
        losing.probe.silence(0.25, wire.NAK)


@ktap.test(variants=variant.ALL)
def test_foreign_confirmations():
    """NCFs with another GSI, port or number do not matter, nor those about what is there."""
    # req: NAK-15 RCV-25
    with receiver(bo_ivl=20, rpt_ivl=100, rdata_ivl=1000) as (_, losing):
        right = losing.source.session
        numbers, _ = losing.lose()
        others = [
            wire.Session(right.address, right.group, pgm.PORT, right.down[0], b"other!"),
            wire.Session(right.address, right.group, pgm.PORT, right.down[0] ^ 1, right.gsi),
        ]
        first = losing.nak(numbers[0])
        for session in others:
            losing.source.send(session.nak(wire.NCF, numbers[0]))
        # One that was received, one that does not exist, one long gone.
        for number in (1, losing.lead + 1, -1 & 0xFFFFFFFF):
            losing.source.ncf(number)
            losing.source.peer_nak(number)
        second = losing.nak(numbers[0])
        between(0.1, second.time - first.time, 0.12, "repeated after")
        ktap.equal(second.numbers, numbers)
        losing.repair(numbers)
        losing.probe.silence(0.3, wire.NAK)


@ktap.test
def test_path_to_everybody():
    """No NAK is broadcast, whatever address an SPM names."""
    # attack: A-15
    with receiver(bo_ivl=10, rpt_ivl=30) as (_, losing):
        for path in ("10.77.0.255", "255.255.255.255"):
            losing.lead += 1
            losing.source.spm(1, losing.lead, path=path)
            naks = [packet for packet in losing.probe.fresh(0.5) if packet.kind == wire.NAK]
            assert not any(nak.destination == path for nak in naks), naks


@ktap.test
def test_before_the_first_spm():
    """No NAK before an SPM; then what is missing is asked for in order, in one list."""
    # req: NAK-17 NAK-21 OPT-31 RCV-11
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.datagram(lan.hosts[1]),
    ):
        source = probe.source()
        for sqn in range(1, 25, 2):
            source.odata(sqn, b"odd", trail=1)
        probe.wait(wire.SPMR, destination=pgm.GROUP)
        probe.silence(0.1, wire.NAK)
        source.spm(1, 23)
        ktap.equal(probe.wait(wire.NAK).numbers, list(range(2, 24, 2)))


@ktap.test
def test_bulk_loss():
    """Thousands of losses: full lists in order, at a bounded rate, until the window moves on.

    The packet that moves it is kept."""
    # req: NAK-22 OPT-30 OPT-31 RCV-20
    count = 4_000
    with receiver(rpt_ivl=2_000) as (sock, losing):
        losing.prove(sock)
        numbers, _ = losing.lose(count)
        naks, asked = [], []
        while len(asked) < count:
            naks.append(losing.probe.wait(wire.NAK))
            assert len(naks[-1].numbers) <= 63, naks[-1].numbers
            asked += naks[-1].numbers
        wrong = [pair for pair in zip(asked, numbers) if pair[0] != pair[1]]
        assert not wrong, f"{len(wrong)} {wrong[:70]}"
        # Sixteen packets in ten milliseconds, and as many before the first pause.
        for before, after in zip(naks, naks[48:]):
            assert after.time - before.time > 0.009, "49 NAKs in 10 ms"
        ktap.note(f"{len(naks)} NAKs in {naks[-1].time - naks[0].time:.3f} s")
        losing.lose(1_000_000)
        losing.lead += 1
        losing.source.odata(losing.lead, b"after", trail=losing.lead)
        lost(sock, losing.source, numbers[0], count + 1_000_000)
        ktap.equal(sock.recv(10), b"after")


@ktap.test(variants=variant.ALL)
def test_no_room():
    """What SO_RCVBUF has no room for is not asked for until there is some: nothing comes in vain."""
    count = 400
    with receiver() as (sock, losing):
        losing.prove(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        numbers, _ = losing.lose(count)
        missing, rounds = list(numbers), 0
        while missing:
            asked = set(losing.nak(missing[0]).numbers)

            def enough():
                asked.update(*(nak.numbers for nak in losing.probe.all(wire.NAK)))
                return len(asked) >= 16 or asked == set(missing)

            ktap.wait_for(enough, "it asks for what it has room for")
            time.sleep(0.1)
            enough()
            # 64 KiB, the kernel's own structures counted; and again the list is the oldest of them.
            first = missing[: len(asked)]
            ktap.equal(sorted(asked), first)
            assert len(asked) <= 128, len(asked)
            losing.repair(first)
            for number in first:
                ktap.equal(sock.recv(10), b"%d" % number)
            missing = missing[len(first) :]
            rounds += 1
        ktap.note(f"{rounds} rounds")
        ktap.equal(pgm.stats(sock)["rdata"], count)


@ktap.each({"unreachable_by_spm": True, "unreachable_by_ncf": False}, variants=variant.ALL)
def parent_is_unreachable(by_spm):
    """OPT_NBR_UNREACH from our parent stops NAKs until a regular SPM comes; from others it does not."""
    # req: IMP-16 IMP-18 IMP-19 IMP-20 NAK-21
    unreachable = wire.option(wire.OPT_NBR_UNREACH)
    with receiver(bo_ivl=20, rpt_ivl=60, rdata_ivl=60) as (_, losing):
        source = losing.source

        def announce(path, lead):
            if by_spm:
                items = (0, 0x80000000) if lead is None else (1, lead)
                last = source.spm_sqn - 1
                source.spm(*items, unreachable, sqn=last, path=path)
            else:
                nla = wire.option(wire.OPT_PATH_NLA, wire.nla(path)[4:])
                flags = wire.PRESENT | wire.NETWORK_SIGNIFICANT
                source.send(
                    source.session.nak(wire.NCF, losing.lead, unreachable, nla, flags=flags)
                )

        numbers, _ = losing.lose()
        losing.nak(numbers[0])
        announce(net.address(99), None)
        for _ in range(2):
            losing.nak(numbers[0])
        announce(source.session.address, None)
        time.sleep(0.06)
        losing.probe.forget()
        announce(source.session.address, losing.lead + 100)
        losing.probe.silence(0.3, wire.NAK)
        source.spm(1, losing.lead)
        ktap.equal(losing.nak(numbers[0]).numbers, numbers)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
