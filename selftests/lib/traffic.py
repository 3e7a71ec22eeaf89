# SPDX-License-Identifier: GPL-2.0
"""Processes that send and receive, until they are killed."""

import contextlib
import ctypes
import os
import signal
import sys
import traceback
import warnings

import ktap
import pgm

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
WINDOW = (20_000, 100, 0)  # a closed source lingers for so long only
MESSAGE = bytes(1000)


class Child:
    """A function in a process of its own."""

    def __init__(self, function, *args):
        sys.stdout.flush()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            self.pid = os.fork()  # while other threads run; the child calls little
        if not self.pid:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            status = 1
            try:
                function(*args)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def signal(self, number):
        """Sends a signal."""
        os.kill(self.pid, number)

    def wait(self):
        """Its exit status, or the signal that ended it as a negative number."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self):
        """SIGKILL, and waits."""
        self.signal(signal.SIGKILL)
        return self.wait()


def stream(host, **how):
    """Sends for ever."""
    with pgm.source(host, window=WINDOW, **how) as source:
        while True:
            source.send(MESSAGE)


def drink(host):
    """Takes and reads what comes, for ever."""
    with pgm.listener(host) as listening:
        while True:
            session, _ = pgm.accept(listening)
            with session, contextlib.suppress(OSError):
                while session.recv(2000):
                    pass


def exchange(lan):
    """All is well: a message from end to end, on a port where nothing lingers."""
    where = (pgm.GROUP, pgm.PORT + 1000)
    with pgm.listener(lan.hosts[1], where) as listening:
        with pgm.source(lan.hosts[0], where, WINDOW) as source:
            source.send(bytes(5000))
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(6000), bytes(5000))


def killed_in_turn(lan, rounds, pause, around=lambda call, *args: call(*args)):
    """SIGKILL of the sender, of the receiver, or of both, again and again."""
    sender = receiver = None
    for n in range(rounds):
        sender = sender or Child(around, stream, lan.hosts[0])
        receiver = receiver or Child(around, drink, lan.hosts[1])
        pause()
        if n % 3 != 1:
            sender = sender.kill() and None
        if n % 3 != 0:
            receiver = receiver.kill() and None
    for child in (sender, receiver):
        if child:
            child.kill()
