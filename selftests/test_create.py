#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sockets can be made in every role, and have names."""

import errno
import fcntl
import os
import socket
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

NO_PROTOCOL = (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT)


def option(sock, name):
    """An int of level SOL_SOCKET."""
    return sock.getsockopt(socket.SOL_SOCKET, name)


@ktap.each({"protocol_113": pgm.IPPROTO_PGM, "protocol_0": 0})
def create(proto):
    """SOCK_RDM means PGM, also without a protocol."""
    with pgm.pgm_socket(proto=proto) as sock:
        ktap.equal(option(sock, socket.SO_DOMAIN), socket.AF_INET)
        ktap.equal(option(sock, socket.SO_TYPE), socket.SOCK_RDM)
        ktap.equal(option(sock, socket.SO_PROTOCOL), pgm.IPPROTO_PGM)
        ktap.equal(option(sock, socket.SO_ACCEPTCONN), 0)
        ktap.equal(sock.getsockname(), ("0.0.0.0", 0))


@ktap.each(
    {
        "stream_is_not_pgm": (socket.AF_INET, socket.SOCK_STREAM),
        "dgram_is_not_pgm": (socket.AF_INET, socket.SOCK_DGRAM),
        "seqpacket_is_not_pgm": (socket.AF_INET, socket.SOCK_SEQPACKET),
        "ipv6_dgram_is_not_pgm": (socket.AF_INET6, socket.SOCK_DGRAM),
    }
)
def refused(case):
    """Other types and families do not have PGM."""
    try:
        socket.socket(*case, pgm.IPPROTO_PGM).close()
    except OSError as error:
        assert error.errno in NO_PROTOCOL + (errno.EAFNOSUPPORT,), error
    else:
        raise AssertionError("the socket was made")


@ktap.test
def test_flags():
    """SOCK_CLOEXEC and SOCK_NONBLOCK."""
    kind = socket.SOCK_RDM | socket.SOCK_NONBLOCK
    with pgm.pgm_socket(kind=kind) as sock:
        assert fcntl.fcntl(sock, fcntl.F_GETFL) & os.O_NONBLOCK
        assert fcntl.fcntl(sock, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


@ktap.test
def test_no_socketpair():
    """socketpair() has no meaning for multicast."""
    try:
        socket.socketpair(socket.AF_INET, socket.SOCK_RDM, pgm.IPPROTO_PGM)
    except OSError as error:
        ktap.equal(error.errno, errno.EOPNOTSUPP)
    else:
        raise AssertionError("there is a pair")


@ktap.test(variants=variant.ALL)
def test_every_role_and_its_names():
    """Source, listener, session and datagram; getsockname and getpeername of each."""
    # req: RCV-24 WIRE-07
    with net.shared() as lan:
        one, two = lan.hosts
        with pgm.listener(two) as listening, pgm.datagram(two) as bus:
            ktap.equal(option(listening, socket.SO_ACCEPTCONN), 1)
            ktap.equal(listening.getsockname()[:2], (pgm.GROUP, pgm.PORT))
            ktap.equal(bus.getsockname()[:2], (pgm.GROUP, pgm.PORT))
            with pgm.source(one) as source:
                ktap.equal(source.getpeername()[:2], (pgm.GROUP, pgm.PORT))
                ktap.equal(source.getsockname()[0], one.address)
                source.send(b"hello")
                session, peer = pgm.accept(listening)
                port = int.from_bytes(pgm.tsi(source)[6:], "big")
                ktap.equal(peer[:2], (one.address, port))
                ktap.equal(session.getpeername(), peer)
                ktap.equal(session.getsockname()[:2], (pgm.GROUP, pgm.PORT))
                ktap.equal(pgm.tsi(session), pgm.tsi(source))
                ktap.equal(option(session, socket.SO_TYPE), socket.SOCK_RDM)
                ktap.equal(option(session, socket.SO_PROTOCOL), pgm.IPPROTO_PGM)
                ktap.equal(session.recv(100), b"hello")
                ktap.equal(bus.recvfrom(100), (b"hello", peer))
                session.close()


@ktap.test(variants=variant.ALL)
def test_source_bound_to_an_address():
    """bind() to a local address and port 0 chooses where a source sends from."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.pgm_socket(lan.hosts[0]) as source:
            source.bind((lan.hosts[0].address, 0))
            source.connect((pgm.GROUP, pgm.PORT))
            source.send(b"x")
            session, peer = pgm.accept(listening)
            ktap.equal(peer[0], lan.hosts[0].address)
            session.close()


@ktap.test(variants=variant.ALL)
def test_sendto_connects():
    """The first sendto() of an unconnected socket is a connect()."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.pgm_socket(lan.hosts[0]) as source:
            source.sendto(b"x", (pgm.GROUP, pgm.PORT))
            ktap.equal(source.getpeername()[:2], (pgm.GROUP, pgm.PORT))
            source.sendto(b"y", (pgm.GROUP, pgm.PORT))
            source.send(b"z")
            session, _ = pgm.accept(listening)
            ktap.equal([session.recv(10) for _ in range(3)], [b"x", b"y", b"z"])
            session.close()


@ktap.test
def test_identifiers_differ():
    """No two sources of a host have the same TSI, nor does a port follow from the last one."""
    # req: WIRE-08 WIRE-09
    with net.shared() as lan:
        sources = [pgm.source(lan.hosts[0]) for _ in range(100)]
        found = {pgm.tsi(source) for source in sources}
        ktap.equal(len(found), 100)
        ports = [int.from_bytes(pgm.tsi(source)[6:], "big") for source in sources]
        steps = {after - before for before, after in zip(ports, ports[1:])}
        assert len(steps) > 50, f"ports are not random: {ports}"
        for source in sources:
            pgm.reset_close(source)


@ktap.test
def test_sockets_are_counted():
    """/proc/net/protocols knows how many sockets there are here, and all go away."""
    before, total = pgm.accounted()[0], pgm.in_use()
    sockets = [pgm.pgm_socket() for _ in range(50)]
    ktap.equal(pgm.accounted()[0], before + 50)
    for sock in sockets:
        sock.close()
    # Fewer than before, if a source of another case has ceased to linger.
    pgm.no_socket(but=total)
    ktap.equal(pgm.accounted()[0], before)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
