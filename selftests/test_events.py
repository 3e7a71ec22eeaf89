#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PGM_EVENTS: what happens to sessions is told among their messages, in order."""

import errno
import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire
from probe import Probe

ALL = 31
SYN, FIN = wire.option(wire.OPT_SYN), wire.option(wire.OPT_FIN)


def rst(code):
    """OPT_RST with its six bits of error code (RFC 3208 section 9.8.4)."""
    return wire.option(wire.OPT_RST, byte3=code)


def read(sock, flags=0):
    """The next message, or (event, flags, TSI, SQN, count, code)."""
    data, _, got, _ = sock.recvmsg(2000, 0, flags)
    assert got & socket.MSG_EOR or not data, "whole"
    if not got & pgm.MSG_NOTIFICATION:
        return data
    ktap.equal(len(data), 32)
    event, what = struct.unpack("=II", data[:8])
    return event, what, data[8:16], *struct.unpack("=III", data[16:28])


def identifier(source):
    """The TSI of a probe's source."""
    return source.session.gsi + struct.pack("!H", source.session.down[0])


class World:
    """A probe that sends, and a receiver that wants events."""

    def __init__(self, receiver, events=ALL, **options):
        options = {pgm.PGM_EVENTS: events} | options.pop("options", {})
        self.shared = net.shared()
        lan = self.shared.__enter__()
        self.probe = Probe(lan.hosts[0])
        self.sock = receiver(lan.hosts[1], options=options)

    def __enter__(self):
        return self.probe.source(), self.sock

    def __exit__(self, *_):
        self.sock.close()
        self.probe.__exit__()
        self.shared.__exit__(None, None, None)


def lose(source, sqn):
    """The source goes on without this number, which it cannot repair any more."""
    source.odata(sqn + 1, b"next", trail=sqn + 1)


@ktap.test
def test_datagram():
    """Start, loss, reset and end of several sessions, each with its TSI, in their places."""
    # req: RCV-21 RCV-23
    with World(pgm.datagram) as (source, bus):
        source.spm(0, 0xFFFFFFFF)
        source.odata(0, b"zero", SYN)
        who = identifier(source)
        ktap.equal(read(bus), (pgm.PGM_EVENT_START, 0, who, 0, 0, 0))
        ktap.equal(read(bus), b"zero")
        lose(source, 1)
        ktap.equal(read(bus), (pgm.PGM_EVENT_LOSS, 0, who, 1, 1, 0))
        ktap.equal(pgm.loss(bus), (who, 1, 1))
        ktap.equal(read(bus), b"next")
        source.odata(3, b"three", FIN)
        ktap.equal(read(bus), b"three")
        ktap.equal(read(bus), (pgm.PGM_EVENT_END, 0, who, 0, 0, 0))

        late = source.probe.source()
        late.odata(70, b"late")
        who = identifier(late)
        ktap.equal(read(bus), (pgm.PGM_EVENT_START, pgm.PGM_START_LATE, who, 70, 0, 0))
        ktap.equal(read(bus), b"late")
        late.spm(70, 70, rst(5))
        ktap.equal(read(bus), (pgm.PGM_EVENT_RESET, 0, who, 0, 0, 5))
        ktap.equal(struct.unpack("=I", bus.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_RESET_CODE, 4)), (5,))


@ktap.test
def test_session():
    """On a session no call fails for what was told; the end is the end."""
    # req: RCV-22 OPT-61
    with World(pgm.listener, options={pgm.PGM_ABORT_ON_RESET: 0}) as (source, listening):
        source.odata(0, b"zero", SYN)
        session, _ = pgm.accept(listening)
        with session:
            who = identifier(source)
            ktap.equal(read(session), (pgm.PGM_EVENT_START, 0, who, 0, 0, 0))
            ktap.equal(read(session), b"zero")
            lose(source, 1)
            ktap.equal(read(session, socket.MSG_PEEK)[0], pgm.PGM_EVENT_LOSS, "peeked at")
            ktap.equal(read(session), (pgm.PGM_EVENT_LOSS, 0, who, 1, 1, 0))
            ktap.equal(read(session), b"next")
            source.spm(2, 2, rst(9))
            ktap.equal(read(session), (pgm.PGM_EVENT_RESET, 0, who, 0, 0, 9))
            ktap.equal(read(session), b"")
            ktap.equal(session.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)


@ktap.test
def test_session_that_aborts():
    """PGM_ABORT_ON_RESET still ends the session; the notification replaces the error."""
    # req: RCV-22
    with World(pgm.listener) as (source, listening):
        source.odata(0, b"zero", SYN)
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal([read(session)[0], read(session)], [pgm.PGM_EVENT_START, b"zero"])
            lose(source, 1)
            ktap.equal(read(session)[0], pgm.PGM_EVENT_LOSS)
            ktap.equal(read(session), b"")


@ktap.test
def test_expiry():
    """A source that falls silent."""
    # req: RCV-26
    options = {pgm.PGM_PEER_EXPIRY: 200_000}
    with World(pgm.datagram, pgm.PGM_EVENT_EXPIRY, options=options) as (source, bus):
        source.odata(0, b"zero", SYN)
        ktap.equal(read(bus), b"zero")
        ktap.equal(read(bus), (pgm.PGM_EVENT_EXPIRY, 0, identifier(source), 0, 0, 0))


@ktap.test
def test_not_asked_for():
    """Without a mask, errors tell as ever; each bit is for itself."""
    with World(pgm.datagram, pgm.PGM_EVENT_END) as (source, bus):
        source.odata(0, b"zero", SYN)
        ktap.equal(read(bus), b"zero")
        lose(source, 1)
        try:
            read(bus)
        except OSError as error:
            ktap.equal(error.errno, errno.ENOBUFS)
        else:
            raise AssertionError("the loss was not told")
        pgm.set_int(bus, pgm.PGM_EVENTS, pgm.PGM_EVENT_LOSS)
        lose(source, 3)
        ktap.equal(read(bus), b"next")
        ktap.equal(read(bus)[0], pgm.PGM_EVENT_LOSS)
        ktap.equal(read(bus), b"next")


@ktap.test
def test_small_buffer():
    """A notification is read in pieces like a message; its length is told before."""
    with World(pgm.datagram, pgm.PGM_EVENT_START) as (source, bus):
        source.odata(0, b"zero", SYN)
        data, _, flags, _ = bus.recvmsg(10)
        ktap.equal((len(data), flags), (10, pgm.MSG_NOTIFICATION))
        data, _, flags, _ = bus.recvmsg(100)
        ktap.equal((len(data), flags), (22, pgm.MSG_NOTIFICATION | socket.MSG_EOR))
        ktap.equal(read(bus), b"zero")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
