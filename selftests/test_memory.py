#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What was used is given back."""

import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import slab
import variant

MEGABYTES = 200 if ktap.SLOW == 1 else 4  # each MB takes a long time where every access is checked
MESSAGE = 22_000  # many packets for one call: the test is about packets, not about Python
PAGE = 4096


def held():
    """(PGM sockets, pages held by them)"""
    return pgm.in_use(), pgm.accounted()[1]


def alone():
    """held(), as soon as sources of earlier tests have stopped to linger."""
    pgm.no_socket()
    return held()


def used():
    """Number of sockets in /proc/net/sockstat."""
    with open("/proc/net/sockstat", encoding="ascii") as table:
        return int(re.search(r"sockets: used (\d+)", table.read())[1])


def push(lan, megabytes, linger=True):
    """Sends so much through one pair of sockets. Returns seconds."""
    done = threading.Event()
    count = megabytes * 1_000_000 // MESSAGE
    message = os.urandom(MESSAGE)

    def send():
        window = (60_000, 15_000, 0)  # the reader shares an emulated CPU, and stalls
        with pgm.source(lan.hosts[0], window=window) as source:
            for _ in range(count):
                source.send(message)
            if not linger:
                source.shutdown(socket.SHUT_WR)
                done.wait()
                pgm.reset_close(source)

    with pgm.listener(lan.hosts[1]) as listening:
        sender = pgm.Background(send)
        session, _ = pgm.accept(listening)
        with session:
            began = time.monotonic()
            buffer = bytearray(MESSAGE)
            for _ in range(count):
                session.recv_into(buffer)
                assert buffer == message
            ktap.equal(session.recv(10), b"")
            took = time.monotonic() - began
            ktap.equal(pgm.stats(session)["lost"], 0)
        done.set()
        sender.result()
    return took


def settle(lan, before):
    """Waits until no socket of the test is left, then reads the slabs."""
    ktap.wait_for(lambda: held()[0] <= before, "lingering sources are gone", 30)
    slab.drop_caches()
    return slab.used()


@ktap.test(timeout=230)
def test_megabytes():
    """Slab, socket memory and sockets are where they were."""
    # attack: A-14
    with net.shared() as lan:
        count, pages = alone()
        push(lan, max(MEGABYTES // 20, 1), linger=False)  # caches and per-CPU lists are warm now
        before, sockets_before = settle(lan, count), used()
        took = push(lan, MEGABYTES)
        ktap.note(f"{MEGABYTES} MB in {took:.1f} s")
        after = settle(lan, count)
        ktap.equal(held()[1], pages, "pages of PGM sockets")
        ktap.equal(used(), sockets_before, "sockets in use")
        grown = {name: after[name] - before.get(name, 0) for name in after}
        for name, size in sorted(grown.items(), key=lambda item: -item[1])[:5]:
            ktap.note(f"{name}: {size:+} bytes")
        ours = {n: s for n, s in grown.items() if re.match("PGM|skbuff|kmalloc|hrtimer", n)}
        total = sum(ours.values())
        # Per-CPU lists breathe; packets that stay would show as hundreds of times this, or as four times.
        assert total < 1 << 20, f"{total} bytes more in {ours}"


@ktap.test(timeout=120, variants=variant.ALL)
def test_sessions_come_and_go():
    """Hundreds of sessions, ended and broken off, leave nothing."""

    def churn(rounds):
        for n in range(rounds):
            with pgm.listener(lan.hosts[1]) as listening:
                source = pgm.source(lan.hosts[0], window=(20_000, 50, 0))
                source.send(bytes(3000))
                session, _ = pgm.accept(listening)
                if n % 3 == 0:
                    pgm.reset_close(source)
                elif n % 3 == 1:
                    source.close()
                    session.recv(4000)
                session.close()
                source.close()

    with net.shared() as lan:
        count, pages = alone()
        churn(20)
        before = settle(lan, count)
        churn(150)
        after = settle(lan, count)
        ktap.equal(held()[1], pages, "pages of PGM sockets")
        for name in ("PGM", "skbuff_head_cache"):
            if name in after:
                grown = after[name] - before[name]
                assert grown < 32 * PAGE, f"{name} grew by {grown} bytes"


if __name__ == "__main__":
    ktap.main(pgm.need_module)
