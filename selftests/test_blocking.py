#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Calls that wait, do not wait, wait so long, or are interrupted."""

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

LIBC = ctypes.CDLL(None, use_errno=True)


def fails_after(seconds, action, wanted=errno.EAGAIN):
    """The action fails with the error, not before and not long after so many seconds."""
    before = time.monotonic()
    try:
        action()
    except OSError as error:
        ktap.equal(errno.errorcode[error.errno], errno.errorcode[wanted])
    else:
        raise AssertionError("it worked")
    took = time.monotonic() - before
    assert seconds - 0.05 <= took < seconds + 2, f"it took {took:.2f} s, wanted {seconds}"


def fill(source):
    """Sends until no more goes in; the number of messages."""
    count = 0
    try:
        while count < 100_000:
            source.send(bytes(1000), socket.MSG_DONTWAIT)
            count += 1
    except BlockingIOError:
        return count
    raise AssertionError("the source never blocks")


def slow_source(host):
    """A source that soon blocks: 1 Mbit/s."""
    source = pgm.pgm_socket(host)
    source.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    pgm.set_window(source, 1_000, 1_000, 0)
    source.connect((pgm.GROUP, pgm.PORT))
    return source


@ktap.test
def test_receive_without_waiting():
    """EAGAIN from a non-blocking socket and with MSG_DONTWAIT."""
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        fails_after(0, lambda: bus.recv(10, socket.MSG_DONTWAIT))
        bus.setblocking(False)
        fails_after(0, lambda: bus.recv(10))


@ktap.test
def test_receive_timeout():
    """SO_RCVTIMEO on a session, a datagram socket and accept()."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0]) as source, pgm.datagram(lan.hosts[1]) as bus:
            pgm.timeouts(listening, 0.3)
            fails_after(0.3, listening.accept)
            source.send(b"x")
            session, _ = listening.accept()
            with session:
                ktap.equal((session.recv(10), bus.recv(10)), (b"x", b"x"))
                for sock in (session, bus):
                    pgm.timeouts(sock, 0.3)
                    fails_after(0.3, lambda s=sock: s.recv(10))


@ktap.test
def test_receive_waits():
    """accept() and recv() sleep until something comes."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        accepting = pgm.Background(pgm.accept, listening)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            session, _ = accepting.result()
            with session:
                ktap.equal(session.recv(10), b"x")
                reading = pgm.Background(session.recv, 10)
                time.sleep(0.1)
                assert reading.is_alive()
                source.send(b"y")
                ktap.equal(reading.result(), b"y")


@ktap.test
def test_send_without_waiting():
    """A full source: EAGAIN, and nothing of the refused message is sent."""
    # req: TXW-15
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        source = slow_source(lan.hosts[0])
        count = fill(source)
        ktap.note(f"{count} messages of 1000 bytes went in")
        fails_after(0, lambda: source.send(bytes(1000), socket.MSG_DONTWAIT))
        ktap.equal([len(bus.recv(2000)) for _ in range(count)], [1000] * count)
        pgm.timeouts(bus, 0.3)
        fails_after(0.3, lambda: bus.recv(10))
        pgm.reset_close(source)


@ktap.test
def test_send_timeout():
    """SO_SNDTIMEO. The rate is so low that no room comes in time."""
    with net.shared() as lan, pgm.pgm_socket(lan.hosts[0]) as source:
        source.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        pgm.set_window(source, 8, 60_000, 0)  # 1000 bytes a second
        source.connect((pgm.GROUP, pgm.PORT))
        fill(source)
        pgm.timeouts(source, send=0.3)
        fails_after(0.3, lambda: source.send(bytes(20_000)))
        pgm.reset_close(source)


@ktap.test
def test_send_waits():
    """send() sleeps until there is room, and keeps to the rate."""
    # req: SRC-03
    with net.shared() as lan:
        source = slow_source(lan.hosts[0])
        fill(source)
        before = time.monotonic()
        for _ in range(125):
            source.send(bytes(1000))  # one second at 1 Mbit/s
        took = time.monotonic() - before
        assert 0.7 < took < 5, f"it took {took:.2f} s"
        pgm.reset_close(source)


class Interruption:
    """SIGALRM in 0.2 s; its handler restarts calls or does not."""

    def __init__(self, restart=False):
        self.restart, self.count = restart, 0

    def __enter__(self):
        self.old = signal.signal(signal.SIGALRM, self._handle)
        signal.siginterrupt(signal.SIGALRM, not self.restart)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        return self

    def _handle(self, *_):
        self.count += 1

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.old)


def call(name, *args):
    """A C library call that Python does not repeat: (result, errno)."""
    result = getattr(LIBC, name)(*args)
    return result, ctypes.get_errno() if result < 0 else 0


def no_timeouts(sock):
    """With a timeout, interrupted calls are never restarted (signal(7))."""
    pgm.timeouts(sock, 0, 0)
    return sock.fileno()


@ktap.test
def test_interrupted_receive():
    """recv() and accept(): EINTR."""
    # attack: A-10
    buffer = ctypes.create_string_buffer(10)
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with Interruption() as signals:
            got = call("recv", no_timeouts(bus), buffer, 10, 0)
        ktap.equal((got, signals.count), ((-1, errno.EINTR), 1))
        with pgm.listener(lan.hosts[1]) as listening, Interruption() as signals:
            got = call("accept", no_timeouts(listening), None, None)
        ktap.equal((got, signals.count), ((-1, errno.EINTR), 1))


@ktap.test
def test_interrupted_receive_with_timeout():
    """recv() with SO_RCVTIMEO: EINTR even if the handler restarts calls."""
    buffer = ctypes.create_string_buffer(10)
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with Interruption(restart=True):
            ktap.equal(call("recv", bus.fileno(), buffer, 10, 0), (-1, errno.EINTR))


@ktap.test
def test_restarted_receive():
    """recv() under SA_RESTART goes on after the signal."""
    buffer = ctypes.create_string_buffer(10)
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with pgm.source(lan.hosts[0]) as source, Interruption(restart=True) as signals:
            later = threading.Timer(0.6, source.send, [b"x"])
            later.start()
            ktap.equal(call("recv", no_timeouts(bus), buffer, 10, 0), (1, 0))
            later.join()
        ktap.equal(signals.count, 1)
        ktap.equal(buffer.raw[:1], b"x")


@ktap.test
def test_interrupted_send():
    """send(): EINTR, and nothing of the message is sent."""
    # attack: A-10
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        source = slow_source(lan.hosts[0])
        pgm.set_window(source, 8)
        count = fill(source)
        with Interruption():
            got = call("send", no_timeouts(source), bytes(20_000), 20_000, 0)
        ktap.equal(got, (-1, errno.EINTR))
        pgm.set_window(source, 1_000)
        source.send(b"last")
        lengths = [len(bus.recv(1 << 17)) for _ in range(count + 1)]
        ktap.equal(lengths, [1000] * count + [4])
        pgm.reset_close(source)


@ktap.test
def test_close_wakes_nobody_twice():
    """Many threads on one socket: each message goes to one of them."""
    # attack: A-07
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with pgm.source(lan.hosts[0]) as source:
            readers = [pgm.Background(bus.recv, 10) for _ in range(8)]
            for n in range(8):
                source.send(bytes([n]))
            got = sorted(reader.result() for reader in readers)
            ktap.equal(got, [bytes([n]) for n in range(8)])


@ktap.test(variants=(variant.V4, variant.V4_UDP))
def test_bad_memory_of_one_reader():
    """A message that one thread cannot take, for its memory is bad, wakes another that waits."""
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with pgm.source(lan.hosts[0]) as source:
            for n in range(25):
                good = pgm.Background(bus.recv, 10)
                bad = pgm.Background(call, "recv", bus.fileno(), 8, 10, 0)
                ktap.wait_for(lambda b=bad, g=good: b.sleeps() and g.sleeps(), "both sleep")
                source.send(bytes([n]))
                ktap.equal(good.result(3), bytes([n]))
                source.send(b"next")
                ktap.equal(bad.result(), (-1, errno.EFAULT))
                ktap.equal(bus.recv(10), b"next")


@ktap.test(variants=(variant.V4,))
def test_message_of_another_sender():
    """A message that no longer fits behind the pieces of another thread's fails, and leaves those alone."""
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        source = slow_source(lan.hosts[0])
        count = fill(source)
        limit = pgm.get_int(source, pgm.PGM_MSGSIZE_MAX)
        large = ctypes.create_string_buffer(limit)
        sleeper = pgm.Background(call, "send", source.fileno(), large, limit, 0)
        ktap.wait_for(sleeper.sleeps, "it waits for room")
        time.sleep(0.1)  # or for Python
        source.send(b"piece", socket.MSG_MORE)
        ktap.equal(sleeper.result(), (-1, errno.EMSGSIZE))
        source.send(b"and end")
        got = [bus.recv(1 << 17) for _ in range(count + 1)]
        ktap.equal(got, [bytes(1000)] * count + [b"pieceand end"])
        pgm.reset_close(source)


@ktap.test
def test_senders_share_a_source():
    """Threads that send at once: no message is torn, each arrives once."""
    # req: SRC-01
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        with pgm.source(lan.hosts[0]) as source:

            def send(which):
                for n in range(100):
                    source.send(struct.pack("!BB", which, n) * 1000)

            senders = [pgm.Background(send, which) for which in range(4)]
            got = [bus.recv(4000) for _ in range(400)]
            for sender in senders:
                sender.result()
            for message in got:
                ktap.equal(message, message[:2] * 1000)
            for which in range(4):
                numbers = [message[1] for message in got if message[0] == which]
                ktap.equal(numbers, list(range(100)))


if __name__ == "__main__":
    ktap.main(pgm.need_module)
