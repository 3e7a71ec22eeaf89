#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory is refused at every place in turn: the error is a known one, nothing is lost, the next try works.

Needs a kernel with CONFIG_FAULT_INJECTION (fail-nth), which the debug kernel has and a stock one has not.
"""

import contextlib
import errno
import os
import pathlib
import select
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm

FAIL_NTH = "/proc/thread-self/fail-nth"
DEBUGFS = pathlib.Path("/sys/kernel/debug")
MOST = 400  # requests of one call
WINDOW = (50_000, 100, 0)
# What pgm(7) says of memory that is short. Copies to and from the caller fail as well.
SHORT = {errno.ENOMEM, errno.ENOBUFS, errno.EFAULT}


def need_faults():
    """The module, and a kernel that refuses memory on request, in silence."""
    pgm.need_module()
    if not os.path.exists(FAIL_NTH):
        raise ktap.Skip("the kernel cannot inject faults")
    if not (DEBUGFS / "failslab").exists():
        net.run("mount", "-t", "debugfs", "none", DEBUGFS)
    for kind in DEBUGFS.glob("fail*"):
        for file, value in (("verbose", "0"), ("ignore-gfp-wait", "N")):
            with contextlib.suppress(OSError):  # not each has each
                (kind / file).write_text(value, encoding="ascii")


class Fault:
    """Something that this thread asks the kernel for is refused."""

    def __init__(self):
        self.fd = os.open(FAIL_NTH, os.O_RDWR)

    def arm(self, nth):
        """The nth from now on."""
        os.pwrite(self.fd, b"%d" % nth, 0)

    def left(self):
        """How many are left to go; then none is refused any more."""
        try:
            left = int(os.pread(self.fd, 20, 0).split(b"\0")[0])
        except OSError:
            left = 1  # it hit this very call
        with contextlib.suppress(OSError):
            os.pwrite(self.fd, b"0", 0)
        os.pwrite(self.fd, b"0", 0)
        return left


def each_fault(call, undo=None, allowed=SHORT):
    """Has the 1st, 2nd, ... request of a call refused until the call needs no more of them.

    The call may succeed all the same; what it returned goes to `undo`. Says how many there were.
    """
    fault, failed = Fault(), 0
    for nth in range(1, MOST):
        value = problem = None
        fault.arm(nth)
        try:
            value = call()
        except OSError as error:
            problem = error
        left = fault.left()
        if problem:
            known = problem.errno in allowed
            assert known, f"request {nth}: {errno.errorcode[problem.errno]}"
            failed += 1
        elif undo:
            undo(value)
        if left:
            assert not problem, f"{problem} without a fault"
            ktap.note(f"{nth - 1} refused, {failed} calls failed")
            os.close(fault.fd)
            return nth - 1
    raise AssertionError(f"more than {MOST} requests")


@contextlib.contextmanager
def balanced():
    """No socket is left behind."""
    before = pgm.in_use()
    yield
    ktap.wait_for(lambda: pgm.in_use() <= before, "no socket is left", 20)


def close(sock):
    """Closes a socket, a source without much ado."""
    pgm.reset_close(sock)


@ktap.test
def test_socket():
    """socket()"""
    with balanced():
        # An inode or a descriptor may be wanting, too.
        each_fault(pgm.pgm_socket, close, SHORT | {errno.ENFILE, errno.EMFILE})


@ktap.test
def test_bind_join_listen():
    """bind(), a join and listen() on one socket, until each has worked."""
    with balanced(), net.shared() as lan:

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
            each_fault(call, allowed=SHORT | {errno.ENODEV})
            sock.close()
        with pgm.listener(lan.hosts[1]) as listening, pgm.source(lan.hosts[0], None, WINDOW) as source:
            source.send(b"works")
            ktap.equal(pgm.accept(listening)[0].recv(10), b"works")


@ktap.test
def test_connect():
    """connect(), which the same socket tries until it works."""
    with balanced(), net.shared() as lan:
        sock = pgm.pgm_socket(lan.hosts[0])
        pgm.set_window(sock, *WINDOW)
        connected = []

        def call():
            if not connected:
                sock.connect((pgm.GROUP, pgm.PORT))
                connected.append(1)

        each_fault(call)
        ktap.equal(sock.getpeername()[1], pgm.PORT)
        close(sock)


@contextlib.contextmanager
def transfer(lan, **options):
    """A source and its accepted session."""
    with pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], None, (50_000, 5_000, 0), **options)
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
    with balanced(), net.shared() as lan, transfer(lan) as (source, session):
        sndbuf = source.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        way, sent = make(source, size), []

        def call():
            number = struct.pack("!I", len(sent) + 1)
            way(number)
            sent.append(number)

        receiver = pgm.Background(pgm.receive_all, session)
        # Softirqs of this thread are refused memory as well: sockets miss what is repaired then.
        each_fault(call)
        ktap.equal(source.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), sndbuf)
        source.shutdown(socket.SHUT_WR)
        pgm.same([data[:4] for data in receiver.result()], sent)
        ktap.equal(pgm.stats(session)["lost"], 0)


@ktap.test
def test_corked_send():
    """MSG_MORE: a message is sent as a whole or waits for its last piece."""
    with balanced(), net.shared() as lan, transfer(lan) as (source, session):
        each_fault(lambda: source.send(bytes(3000), socket.MSG_MORE))
        source.send(b"end")
        pieces = session.recv(1 << 17)
        assert pieces.endswith(b"end") and (len(pieces) - 3) % 3000 == 0, len(pieces)


@ktap.test
def test_recv_poll_options():
    """recv(), poll() and options read and written."""
    with balanced(), net.shared() as lan, transfer(lan) as (source, session):
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
            each_fault(call)


@ktap.test
def test_accept():
    """accept() that cannot give a session keeps it for the next call."""
    with balanced(), net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        pgm.timeouts(listening, 5)
        sources, sessions = [], []

        def offer():
            source = pgm.source(lan.hosts[0], None, WINDOW)
            source.send(b"x")
            sources.append(source)
            ktap.wait_for(lambda: select.select([listening], [], [], 0)[0], "a session waits")

        offer()

        fault = Fault()
        for nth in range(1, MOST):
            fault.arm(nth)
            try:
                sessions.append(listening.accept()[0])
            except OSError as error:
                fault.left()
                assert error.errno in SHORT | {errno.ENFILE, errno.EMFILE}, error
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
    ktap.main(need_faults)
