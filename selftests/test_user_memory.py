#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The caller's memory: not there half-way, of absurd lengths, and nothing written but answers."""

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
from msghdr import Iovec, Msghdr

ktap.usual_variants((variant.V4, variant.V6))

POISON = 0xA5
PAGE = mmap.PAGESIZE
ABSURD = (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 1

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


def cliff():
    """A page of memory, and nothing behind it: the address where it ends."""
    none = ctypes.c_void_p(None)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = libc.mmap(none, ctypes.c_size_t(2 * PAGE), 3, flags, -1, ctypes.c_long(0))
    assert start and not libc.mprotect(ctypes.c_void_p(start + PAGE), ctypes.c_size_t(PAGE), 0)
    return start + PAGE


def outcome(name, sock, *arguments):
    """What a call of the C library returns, or the name of its error."""
    result = getattr(libc, name)(sock.fileno(), *arguments)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result


def pointer(address):
    """An argument."""
    return ctypes.c_void_p(address)


def size(value):
    """An argument."""
    return ctypes.c_size_t(value)


@ktap.test
def test_faults_half_way():
    """EFAULT in the middle of a message: nothing of it is sent, or taken; the next call works."""
    # attack: A-10
    end = cliff()
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus, pgm.source(lan.hosts[0]) as source:
        for length in (100, 1_400, 4_000, 20_000):
            ktap.equal(outcome("send", source, pointer(end - 50), size(length), 0), "EFAULT")
            more = socket.MSG_MORE
            ktap.equal(outcome("send", source, pointer(end - 50), size(length), more), "EFAULT")
        source.send(b"whole" * 1_000)
        for length in (100, 4_000):
            address = end - 50
            ktap.equal(outcome("recv", bus, pointer(address), size(length), socket.MSG_PEEK), "EFAULT")
            ktap.equal(bus.recv(9_000, socket.MSG_PEEK), b"whole" * 1_000)
        ktap.equal(bus.recv(9_000), b"whole" * 1_000)
        source.send(b"one packet")
        ktap.equal(bus.recv(100, socket.MSG_PEEK), b"one packet")
        ktap.equal(outcome("recv", bus, pointer(end - 5), size(100), 0), "EFAULT")
        ktap.equal(bus.recv(100), b"one packet")
        ktap.equal(pgm.stats(source)["odata"], -(-5_000 // pgm.get_int(source, pgm.PGM_MSS)) + 1)


@ktap.test
def test_absurd_lengths():
    """Lengths around 2^31, 2^32 and 2^63, of messages, options and names: errors, or as much as there is."""
    # attack: A-17
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus, pgm.source(lan.hosts[0]) as source:
        buffer = ctypes.create_string_buffer(1 << 16)
        address = ctypes.addressof(buffer)
        for length in ABSURD:
            for name, sock in (("send", source), ("recv", bus)):
                got = outcome(name, sock, pointer(address), size(length), socket.MSG_DONTWAIT)
                assert got in ("EMSGSIZE", "EFAULT", "EINVAL", "EAGAIN"), (name, length, got)
            for level, option in (
                (pgm.IPPROTO_PGM, pgm.PGM_TSI),
                (pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW),
                (pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM),
            ):
                length32 = ctypes.c_uint32(length & 0xFFFFFFFF)
                arguments = level, option, pointer(address)
                if length32.value > 1 << 30:
                    got = outcome("setsockopt", source, *arguments, length32)
                    assert got in ("EINVAL", "EISCONN", "EFAULT", "EPERM"), (option, length, got)
                got = outcome("getsockopt", source, *arguments, ctypes.byref(length32))
                assert got in (0, "EINVAL", "EFAULT"), (option, length, got)
        # More pieces than fit, and lengths whose sum is no length.
        pieces = (Iovec * 2)(Iovec(address, 1 << 62), Iovec(address, 1 << 63))
        header = Msghdr(iov=pieces, iovlen=2)
        ktap.equal(outcome("sendmsg", source, ctypes.byref(header), 0), "EINVAL")
        many = (Iovec * 1024)(*[Iovec(address + n, 1) for n in range(1024)])
        header = Msghdr(iov=many, iovlen=1024)
        buffer.raw = bytes(range(256)) * 256
        ktap.equal(outcome("sendmsg", source, ctypes.byref(header), 0), 1024)
        ktap.equal(bus.recv(2_000), bytes(range(256)) * 4)
        header.iovlen = 1025
        ktap.equal(outcome("sendmsg", source, ctypes.byref(header), 0), "EMSGSIZE")


@ktap.test
def test_nothing_but_answers():
    """Names, control messages and options: what was not asked for stays, what is reserved is zero."""
    # attack: A-16
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"message")
            session, _ = pgm.accept(listening)
            with session:
                pgm.set_int(session, pgm.PGM_RECVRCVINFO, 1)
                length = 16 if variant.now().version == 4 else 28
                names = [read_name(session, length)]
                for call in ("getsockname", "getpeername"):
                    name, room = poisoned(128), ctypes.c_uint(128)
                    ktap.equal(outcome(call, session, name, ctypes.byref(room)), 0)
                    ktap.equal(room.value, length)
                    assert set(name.raw[length:]) == {POISON}, call
                    names.append(name.raw[:length])
                for name in names:
                    if length == 16:
                        ktap.equal(name[8:], bytes(8), "sin_zero")
                    else:
                        ktap.equal((name[4:8], name[24:]), (bytes(4), bytes(4)), "flow and scope")
                for sock in (source, session, listening):
                    for option in range(40):
                        value, room = poisoned(1_024), ctypes.c_uint(512)
                        level = pgm.IPPROTO_PGM
                        outcome("getsockopt", sock, level, option, value, ctypes.byref(room))
                        kept = 0 if room.value == 512 else room.value
                        assert set(value.raw[kept:]) == {POISON}, f"option {option}"


def poisoned(length):
    """A buffer whose bytes are known."""
    return ctypes.create_string_buffer(bytes([POISON]) * length, length)


def read_name(session, length):
    """The address of the next message's sender; nothing else of the buffers is written."""
    data, name, control = poisoned(64), poisoned(128), poisoned(256)
    piece = Iovec(ctypes.addressof(data), 64)
    header = Msghdr(
        ctypes.addressof(name), 128, ctypes.pointer(piece), 1, ctypes.addressof(control), 256
    )
    ktap.equal(outcome("recvmsg", session, ctypes.byref(header), 0), 7)
    ktap.equal(data.raw, b"message" + bytes([POISON]) * 57)
    ktap.equal(header.namelen, length)
    assert set(name.raw[length:]) == {POISON}
    # One control message: its head, the TSI, the number and the flags.
    ktap.equal(header.controllen, 32)
    ktap.equal(struct.unpack("=QII", control.raw[:16]), (32, pgm.IPPROTO_PGM, pgm.PGM_RCVINFO))
    assert set(control.raw[32:]) == {POISON}
    ktap.equal(control.raw[16:24], pgm.tsi(session))
    return name.raw[:length]


if __name__ == "__main__":
    ktap.main(pgm.need_module)
