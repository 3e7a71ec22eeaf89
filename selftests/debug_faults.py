#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory is refused at every place in turn: the error is a known one, nothing is lost, the next try works.

Needs a kernel with CONFIG_FAULT_INJECTION (fail-nth), which the debug kernel has and a stock one has not.
"""

import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import diag
import faults
import ktap
import net
import msghdr
import pgm
import variant

ktap.usual_variants(variant.ALL)

LIBC = ctypes.CDLL(None, use_errno=True)
WINDOW = (50_000, 100, 0)


def close(sock):
    """Closes a socket, a source without much ado."""
    pgm.reset_close(sock)


@ktap.test
def test_socket():
    """socket()"""
    with faults.balanced():
        # An inode or a descriptor may be wanting, too.
        faults.each_fault(pgm.pgm_socket, close, faults.SHORT | faults.NO_FILE)


@ktap.test
def test_bind_join_listen():
    """bind(), a join and listen() on one socket, until each has worked."""
    with faults.balanced(), net.shared() as lan:

        def fresh():
            sock = pgm.pgm_socket(lan.hosts[1])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return sock

        steps = {
            "bind": lambda sock: sock.bind((pgm.GROUP, pgm.PORT)),
            "join": pgm.join,
            "listen": lambda sock: sock.listen(5),
        }
        for name, step in steps.items():
            done = [] = []
            sock = fresh()
            if name != "bind":
                sock.bind((pgm.GROUP, pgm.PORT))

            def call():
                if not done:
                    step(sock)
                    done.append(1)

            # The kernel cannot find the device without a route, for which memory is short.
            faults.each_fault(call, allowed=faults.SHORT | {errno.ENODEV})
            sock.close()
        with pgm.listener(lan.hosts[1]) as listening, pgm.source(lan.hosts[0], None, WINDOW) as source:
            source.send(b"works")
            ktap.equal(pgm.accept(listening)[0].recv(10), b"works")


@ktap.test
def test_connect():
    """connect(), which the same socket tries until it works."""
    with faults.balanced(), net.shared() as lan:
        sock = pgm.pgm_socket(lan.hosts[0])
        pgm.set_window(sock, *WINDOW)
        connected = []

        def call():
            if not connected:
                sock.connect((pgm.GROUP, pgm.PORT))
                connected.append(1)

        faults.each_fault(call)
        ktap.equal(sock.getpeername()[1], pgm.PORT)
        close(sock)


@contextlib.contextmanager
def transfer(lan, millis=1000):
    """A source and its accepted session."""
    with pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], None, (50_000, millis, 0))
        source.send(b"hello")
        session, _ = pgm.accept(listening)
        ktap.equal(session.recv(10), b"hello")
        with source, session:
            yield source, session
            close(source)


def sized(source, size):
    """A way to send a message of this size."""
    return lambda number: source.send(number + bytes(size))


@ktap.each({"small": (sized, 100), "large": (sized, 20_000)})
def send(how):
    """send(): packets may be lost on the way, which is repaired; a call that failed sent nothing."""
    make, size = how
    with faults.balanced(), net.shared() as lan, transfer(lan, 5000) as (source, session):
        sndbuf = source.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        way, sent = make(source, size), []

        def call():
            number = struct.pack("!I", len(sent) + 1)
            way(number)
            sent.append(number)

        receiver = pgm.Background(pgm.receive_all, session)
        # Softirqs of this thread are refused memory as well: sockets miss what is repaired then.
        faults.each_fault(call)
        ktap.equal(source.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), sndbuf)
        source.shutdown(socket.SHUT_WR)
        pgm.same([data[:4] for data in receiver.result()], sent)
        ktap.equal(pgm.stats(session)["lost"], 0)


@ktap.test
def test_corked_send():
    """MSG_MORE: a message is sent as a whole or waits for its last piece."""
    with faults.balanced(), net.shared() as lan, transfer(lan) as (source, session):
        faults.each_fault(lambda: source.send(bytes(3000), socket.MSG_MORE))
        source.send(b"end")
        pieces = session.recv(1 << 17)
        assert pieces.endswith(b"end") and (len(pieces) - 3) % 3000 == 0, len(pieces)


@ktap.test
def test_recv_poll_options():
    """recv(), poll() and options read and written."""
    with faults.balanced(), net.shared() as lan, transfer(lan) as (source, session):
        for call in (
            lambda: source.send(bytes(100)) and session.recv(200),
            lambda: select.select([source, session], [source], [], 0),
            lambda: pgm.stats(session),
            lambda: pgm.stats(source),
            lambda: session.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20),
            lambda: pgm.set_int(session, pgm.PGM_EVENTS, 0),
            lambda: pgm.set_window(source, 40_000),
            source.getsockname,
            session.getpeername,
        ):
            faults.each_fault(call)


@ktap.test
def test_batches():
    """sendmmsg() and recvmmsg(): each message that they say was taken is one."""
    with faults.balanced(), net.shared() as lan, transfer(lan) as (source, session):
        into = [ctypes.create_string_buffer(3000) for _ in range(3)]
        sent, got = [], bytearray()  # the copy of a message may fail after its first packets

        def calls(function, sock, vector, *rest):
            count = function(sock.fileno(), vector, 3, *rest)
            if count < 0:
                raise OSError(ctypes.get_errno(), function.__name__)
            return count

        def send():
            texts = [struct.pack("!I", len(sent) + n) + bytes(n * 1000) for n in range(3)]
            out = [ctypes.create_string_buffer(text, len(text)) for text in texts]
            sent.extend(texts[: calls(LIBC.sendmmsg, source, msghdr.batch(out), 0)])

        def receive():
            # The kernel keeps the error of a message behind others for the next call.
            session.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            vector, count = msghdr.batch(into), 0
            with contextlib.suppress(BlockingIOError):
                count = calls(LIBC.recvmmsg, session, vector, socket.MSG_DONTWAIT, None)
            for buffer, entry in zip(into[:count], vector):
                got.extend(buffer.raw[: entry.len])

        faults.each_fault(send)
        sent_bytes = b"".join(sent)
        while len(got) < len(sent_bytes):
            ktap.wait_for(lambda: select.select([session], [], [], 0)[0], "more comes")
            faults.each_fault(receive)
        assert got == sent_bytes


@ktap.test
def test_close():
    """close() ends each kind of socket, whatever is refused to it: it cannot be tried again."""
    with faults.balanced(), net.shared() as lan:
        one, two = lan.hosts

        def session():
            with pgm.listener(two) as listening, pgm.source(one, None, WINDOW) as source:
                source.send(b"x")
                accepted = pgm.accept(listening)[0]
                close(source)
                return accepted

        def source():
            sock = pgm.source(one, None, WINDOW)
            sock.send(bytes(5000))
            return sock

        def listener():
            sock = pgm.listener(two)
            with pgm.source(one, None, WINDOW) as waits:
                waits.send(b"x")
                ktap.wait_for(lambda: select.select([sock], [], [], 0)[0], "a session waits")
                close(waits)
            return sock

        def corked():
            sock = pgm.source(one, None, WINDOW)
            sock.send(bytes(5000), socket.MSG_MORE)
            return sock

        for make in (session, source, listener, corked, lambda: pgm.datagram(two)):
            fresh = [make()]
            faults.each_fault(lambda: os.close(fresh.pop().detach()), lambda _: fresh.append(make()), set())
            fresh.pop().close()


@ktap.test
def test_views():
    """/proc/net/pgm, sock_diag(7) and /proc/sys/net/pgm, read and written."""
    pgm.need_diag()
    with net.shared() as lan, transfer(lan):

        def read(name):
            with lan.hosts[1], open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
                return file.read()

        for name in ("pgm/sources", "pgm/receivers", "pgm/snmp", "protocols"):
            faults.each_fault(lambda: read(name), allowed=faults.SHORT | faults.NO_FILE)
            assert read(name)

        def dump():
            return len(list(diag.messages(lan.hosts[1], family=variant.now().family)))

        faults.each_fault(dump, allowed=faults.SHORT | faults.NO_FILE)
        assert dump() >= 2
        for value in (7000, 6000):
            setting = "net/pgm/repair_max_ms"
            faults.each_fault(lambda: lan.hosts[1].sysctl(setting, value), allowed=faults.SHORT | faults.NO_FILE)
            with lan.hosts[1], open(f"/proc/sys/{setting}", encoding="ascii") as file:
                ktap.equal(int(file.read()), value)


@ktap.test
def test_accept():
    """accept() that cannot give a session keeps it for the next call."""
    with faults.balanced(), net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        pgm.timeouts(listening, 5)
        sources, sessions = [], []

        def offer():
            source = pgm.source(lan.hosts[0], None, WINDOW)
            source.send(b"x")
            sources.append(source)
            ktap.wait_for(lambda: select.select([listening], [], [], 0)[0], "a session waits")

        offer()

        fault = faults.Fault()
        for nth in range(1, faults.MOST):
            fault.arm(nth)
            try:
                sessions.append(listening.accept()[0])
            except OSError as error:
                fault.left()
                assert error.errno in faults.SHORT | faults.NO_FILE, error
                if error.errno == errno.EFAULT:
                    offer()  # its name could not be told, so that it was closed
                ktap.wait_for(lambda: select.select([listening], [], [], 0)[0], "it still waits")
                continue
            if fault.left():
                break
            offer()
        ktap.note(f"{nth - 1} refused, {nth - len(sessions)} calls failed")
        assert nth > len(sessions)
        for session in sessions:
            ktap.equal(session.recv(10), b"x")
        for sock in sources + sessions:
            close(sock)


if __name__ == "__main__":
    ktap.main(faults.need)
