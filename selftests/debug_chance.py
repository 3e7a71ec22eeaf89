#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory is refused by chance, in softirqs as in calls: what is sent arrives, or its loss is told.

Needs a kernel with CONFIG_FAULT_INJECTION, which the debug kernel has and a stock one has not.
PGM_ROUNDS says how often processes are killed meanwhile; without it, a few times.
"""

import contextlib
import errno
import os
import random
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import faults
import ktap
import net
import pgm
import traffic
import variant

ktap.usual_variants(variant.ALL)

ROUNDS = int(os.environ.get("PGM_ROUNDS", "6"))
MESSAGES = 200
OFTEN = {"failslab": 10, "fail_page_alloc": 10, "fail_skb_realloc": 50}
END = b"that was all"


def told(sock, last):
    """(messages up to the last or to the end, sequence numbers that were reported lost)"""
    got, lost, begun = [], 0, b""
    while not got or got[-1] != last:
        try:
            data, _, flags, _ = sock.recvmsg(1 << 17)
        except OSError as error:
            assert error.errno in faults.SHORT, error
            if error.errno == errno.ENOBUFS:
                lost += pgm.loss(sock)[2]
            continue
        if not data and not flags & pgm.MSG_EOR:
            break
        # The copy of a message may fail after its first packets.
        begun += data
        if flags & pgm.MSG_EOR:
            got.append(begun)
            begun = b""
    return got, lost


def in_order(got, sent, lost):
    """What arrived was sent, in this order; all of it unless a loss was reported."""
    if not lost:
        return pgm.same(got, sent)
    rest = iter(sent)
    assert all(message in rest for message in got), "what arrived is not what was sent"


def transfer(around, **percent):
    """Messages of 1 to 6 packets; `around` is what every call stands in."""
    with faults.balanced(), net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], None, (50_000, 10_000, 0))
        source.send(b"hello")
        session, _ = pgm.accept(listening)
        with source, session, pgm.datagram(lan.hosts[1]) as bus:
            sent, failed = [b"hello"], 0

            def read(sock):
                with around():
                    return told(sock, END)

            readers = [pgm.Background(read, sock) for sock in (session, bus)]
            with faults.refusing(**percent) as refused:
                for number in range(MESSAGES):
                    message = struct.pack("!I", number) + bytes(number % 6 * 1400)
                    try:
                        with around():
                            source.send(message)
                        sent.append(message)
                    except OSError as error:
                        assert error.errno in faults.SHORT, error
                        failed += 1
                # What is missing is asked for, and sent, while memory is short.
                time.sleep(0.5)
            source.send(END)
            sent.append(END)
            for reader in readers:
                got, lost = reader.result(100)
                # The datagram socket may have begun late.
                begin = sent.index(got[0])
                in_order(got, sent[begin:], lost)
                ktap.note(f"{len(got)} of {len(sent)} messages arrived, {lost} packets reported lost")
            ktap.note(f"{failed} calls failed, {pgm.stats(session)['repaired']} packets repaired")
            ktap.note(refused)
            pgm.reset_close(source)
        traffic.exchange(lan)
    return failed, refused


@ktap.test(timeout=120)
def test_everywhere():
    """In calls, timers and what comes from the network."""
    failed, refused = transfer(contextlib.nullcontext, **OFTEN)
    assert failed and refused["failslab"] and refused["fail_skb_realloc"], refused


@ktap.test(timeout=120)
def test_softirqs():
    """In timers and in what comes from the network only: no call fails for it."""
    failed, refused = transfer(faults.spared, **OFTEN)
    assert not failed and refused["failslab"] and refused["fail_skb_realloc"], refused


@ktap.test(timeout=60 + ROUNDS)
def test_killed():
    """Processes that go on whatever is refused to them, until SIGKILL; then all is well."""

    def stubborn(function, *args):
        while True:
            with contextlib.suppress(OSError):
                function(*args)

    with faults.balanced(), net.shared() as lan:
        with faults.refusing(**OFTEN, fail_usercopy=2) as refused:
            traffic.killed_in_turn(lan, ROUNDS, lambda: time.sleep(random.uniform(0.05, 0.3)), stubborn)
        ktap.note(refused)
        assert refused["failslab"] and refused["fail_skb_realloc"], refused
        traffic.exchange(lan)


if __name__ == "__main__":
    ktap.main(faults.need)
