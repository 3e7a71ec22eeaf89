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


def packets():
    """{cache: bytes in use} of what packets and sockets are made of."""
    slab.drop_caches()
    caches = slab.exactly_used()
    return {name: size for name, size in caches.items() if re.match("PGM|skbuff|kmalloc|hrtimer", name)}


def settle(before):
    """Waits until no socket of the test is left."""
    ktap.wait_for(lambda: held()[0] <= before, "lingering sources are gone", 30)


@ktap.test(timeout=230)
def test_megabytes():
    """Slab, socket memory and sockets are where they were."""
    # attack: A-14
    with net.shared() as lan:
        count, pages = alone()
        push(lan, max(MEGABYTES // 20, 1), linger=False)  # caches and per-CPU lists are warm now
        settle(count)
        before, sockets_before = packets(), used()
        took = push(lan, MEGABYTES)
        ktap.note(f"{MEGABYTES} MB in {took:.1f} s")
        settle(count)
        ktap.equal(held()[1], pages, "pages of PGM sockets")
        ktap.equal(used(), sockets_before, "sockets in use")
        # Per-CPU lists breathe; packets that stay would show as hundreds of times this, or as four times.
        grown = slab.returns_to(before, 1 << 20, packets)
        ktap.note(f"{grown:+} bytes")


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
        settle(count)
        before = packets()
        churn(150)
        settle(count)
        ktap.equal(held()[1], pages, "pages of PGM sockets")
        slab.returns_to(before, 64 * PAGE, packets)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
