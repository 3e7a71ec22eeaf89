#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Nobody in particular can use PGM sockets."""

import ctypes
import errno
import fcntl
import os
import pwd
import signal
import socket
import struct
import sys
import warnings

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

SO_MARK = 36
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
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
    with pgm.pgm_socket() as sock:
        # To say who one is takes privilege (SEC-08).
        try:
            sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_TSI, bytes(8))
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


def refused(error, function, *arguments):
    """Expects an error."""
    try:
        function(*arguments)
    except OSError as raised:
        ktap.equal(errno.errorcode[raised.errno], error)
    else:
        raise AssertionError(f"no {error}")


def what_needs_privilege():
    """Low ports to receive at, for PGM and UDP; sending to them is free, as with UDP."""
    with pgm.pgm_socket() as sock:
        refused("EACCES", sock.bind, (pgm.ANY, 80))
        sock.connect((pgm.GROUP, 80))
    with pgm.pgm_socket() as sock:
        sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_UDP_ENCAP, struct.pack("!HH", 80, 81))
        refused("EACCES", sock.connect, (pgm.GROUP, 7500))
    with pgm.pgm_socket() as sock:
        refused("EPERM", sock.setsockopt, socket.SOL_SOCKET, SO_MARK, 1)
    refused("EACCES", open, "/proc/sys/net/pgm/peers_max", "w")


@ktap.test
def test_what_needs_privilege():
    """Nobody receives at a low port, marks packets or changes settings."""
    # attack: A-24
    with net.shared() as lan:
        finish(as_nobody(lan.hosts[0], what_needs_privilege))


def in_a_namespace_of_its_own():
    """Nobody is root in a user namespace: its own network is his, with all that is in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        flags = struct.pack("=16sH22x", b"lo", IFF_UP)
        fcntl.ioctl(sock, SIOCSIFFLAGS, flags)
    with socket.socket(socket.AF_INET, socket.SOCK_RDM, pgm.IPPROTO_PGM) as bus:
        pgm.timeouts(bus)
        bus.bind(("239.192.7.1", 80))
        where = socket.inet_aton("239.192.7.1") + struct.pack("=4xi", socket.if_nametoindex("lo"))
        bus.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, where)
        with socket.socket(socket.AF_INET, socket.SOCK_RDM, pgm.IPPROTO_PGM) as source:
            source.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            source.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_TSI, b"chosen\0\0")
            source.connect(("239.192.7.1", 80))
            source.send(MESSAGE)
            ktap.equal(bus.recv(100), MESSAGE)
            pgm.reset_close(source)
    for name, default in (("send_kib_max", 524_288), ("repair_max_ms", 120_000), ("closed_max", 16_384)):
        with open(f"/proc/sys/net/pgm/{name}", "w", encoding="ascii") as file:
            file.write(str(default - 1))
        try:
            with open(f"/proc/sys/net/pgm/{name}", "w", encoding="ascii") as file:
                file.write(str(default + 1))
        except OSError as error:
            ktap.equal(error.errno, errno.EINVAL)
        else:
            raise AssertionError(f"{name} is above its default")
    # The namespace ends with this process, its sockets closed just now.


@ktap.test(variants=(variant.V4,))
def test_user_namespace():
    """What needs a privilege needs it in the socket's own namespace, and reaches no other."""
    # attack: A-13 A-24
    with net.shared() as lan:
        finish(as_nobody(lan.hosts[0], in_a_namespace_of_its_own))


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
