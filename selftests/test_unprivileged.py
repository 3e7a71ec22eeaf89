#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Nobody in particular can use PGM sockets."""

import os
import pwd
import signal
import sys
import warnings

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

MESSAGE = b"from nobody to nobody"


def as_nobody(host, action):
    """Runs the action on a host as an unprivileged user in a child; its exit status."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        host.__enter__()  # for good: nobody could not return
        user = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        action()
        status = 0
    except BaseException as error:  # noqa: BLE001 # the parent sees the status only
        ktap.note(f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


def finish(child):
    """Waits for a child and expects success."""
    ktap.equal(os.waitpid(child, 0)[1], 0, "status of the unprivileged process")


def send():
    """Waits for the word, then sends."""
    assert signal.sigtimedwait({signal.SIGUSR1}, 20), "no word came"
    with pgm.pgm_socket() as socket:
        # To say who one is takes privilege (SEC-08).
        try:
            socket.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_TSI, bytes(8))
        except PermissionError:
            pass
        else:
            raise AssertionError("an unprivileged source chose its GSI")
    with pgm.source() as source:
        source.send(MESSAGE)


def receive(ready):
    """Receives as a listener and as a datagram socket."""
    with pgm.listener() as listening, pgm.datagram() as bus:
        with open("/proc/self/status", encoding="ascii") as status:
            assert "CapEff:\t0000000000000000" in status.read(), "still privileged"
        os.write(ready, b"!")
        session, _ = pgm.accept(listening)
        ktap.equal(session.recv(100), MESSAGE)
        ktap.equal(session.recv(100), b"")
        ktap.equal(bus.recv(100), MESSAGE)


@ktap.test
def test_send_and_receive():
    """No capability is needed for either side."""
    # req: SEC-08
    # attack: A-24
    listens, ready = os.pipe()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        with net.shared() as lan:
            receiver = as_nobody(lan.hosts[1], lambda: receive(ready))
            sender = as_nobody(lan.hosts[0], send)
            os.close(ready)
            assert os.read(listens, 1), "the receiver did not start"
            os.kill(sender, signal.SIGUSR1)
            finish(sender)
            finish(receiver)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
        os.close(listens)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
