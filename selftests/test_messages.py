#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What one send() and one recv() mean."""

import array
import ctypes
import errno
import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

EOR, TRUNC, PEEK = socket.MSG_EOR, socket.MSG_TRUNC, socket.MSG_PEEK


class Pair:
    """A source and a datagram socket that hears it."""

    def __enter__(self):
        self.net = net.shared()
        lan = self.net.__enter__()
        self.bus = pgm.datagram(lan.hosts[1])
        self.source = pgm.source(lan.hosts[0], window=(100_000, 500, 0))
        return self.source, self.bus

    def __exit__(self, *_):
        self.bus.close()
        pgm.reset_close(self.source)
        self.net.__exit__(None, None, None)


@ktap.test
def test_boundaries():
    """One send, one recv, whatever the size."""
    with Pair() as (source, bus):
        mss, largest = pgm.get_int(source, pgm.PGM_MSS), pgm.get_int(source, pgm.PGM_MSGSIZE_MAX)
        ktap.note(f"MSS {mss}, largest message {largest}")
        assert 1400 < mss < 1500, "an Ethernet packet's worth"
        # req: OPT-24
        sizes = [0, 1, 2, 3, 4, mss - 1, mss, mss + 1, 2 * mss, 10_000, largest - 1, largest]
        for size in sizes:
            message = os.urandom(size)
            ktap.equal(source.send(message), size)
            got, _, flags, _ = bus.recvmsg(largest + 1)
            assert got == message, f"{len(got)} bytes for {size}"
            ktap.equal(flags, EOR, f"flags of {size} bytes")


@ktap.test
def test_too_large():
    """One byte above the limit: EMSGSIZE, and nothing is sent."""
    # req: OPT-28
    with Pair() as (source, bus):
        largest = pgm.get_int(source, pgm.PGM_MSGSIZE_MAX)
        try:
            source.send(bytes(largest + 1))
            raise AssertionError("it was sent")
        except OSError as error:
            ktap.equal(error.errno, errno.EMSGSIZE)
        source.send(b"next")
        ktap.equal(bus.recv(100), b"next")


@ktap.test
def test_more():
    """MSG_MORE gathers: one message whatever its pieces are, empty ones included."""
    with Pair() as (source, bus):
        whole = os.urandom(20_000)
        for cuts in ((1, 2), (0, 20_000), (19_999,), (1_400, 2_800, 4_200), (10, 10, 10)):
            ends = [0, *cuts, len(whole)]
            *pieces, last = [whole[a:b] for a, b in zip(ends, ends[1:])]
            for piece in pieces:
                ktap.equal(source.send(piece, socket.MSG_MORE), len(piece))
            ktap.equal(source.send(last), len(last))
            same_message(bus, whole)
        source.send(b"short", socket.MSG_MORE)
        source.send(b"")
        same_message(bus, b"short")


def same_message(bus, wanted):
    """The next message is this one."""
    got, _, flags, _ = bus.recvmsg(1 << 20)
    assert got == wanted, f"{len(got)} bytes, wanted {len(wanted)}"
    ktap.equal(flags, EOR)


def fails(name, function, *args):
    """The call fails with this error."""
    try:
        function(*args)
    except OSError as error:
        ktap.equal(errno.errorcode[error.errno], name)
    else:
        raise AssertionError(f"it worked; wanted {name}")


@ktap.test
def test_more_that_is_not_sent():
    """A message that becomes too long, or is not complete at the end, is dropped as a whole."""
    with Pair() as (source, bus):
        largest = pgm.get_int(source, pgm.PGM_MSGSIZE_MAX)
        source.send(bytes(largest), socket.MSG_MORE)
        fails("EMSGSIZE", source.send, b"x")
        fails("EFAULT", bad_send, source, socket.MSG_MORE)
        source.send(b"a", socket.MSG_MORE)
        fails("EFAULT", bad_send, source, 0)
        source.send(b"b")
        same_message(bus, b"ab")
        source.send(b"half", socket.MSG_MORE)
        source.shutdown(socket.SHUT_WR)
        ktap.wait_for(lambda: pgm.stats(source)["odata"] == 1, "one message has left")
        fails("EPIPE", source.send, b"x", socket.MSG_NOSIGNAL)
        fails("EAGAIN", bus.recv, 10, socket.MSG_DONTWAIT)


def bad_send(sock, flags):
    """send() from where no memory is."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.send(sock.fileno(), ctypes.c_void_p(8), 100, flags) < 0:
        raise OSError(ctypes.get_errno(), "send")


@ktap.each(
    {
        "message_boundary": pgm.PGM_MESSAGE_BOUNDARY,
        "message_boundary_of_windows": pgm.RM_SET_MESSAGE_BOUNDARY,
    }
)
def boundary(number):
    """The next message has the length that was set, and the one after it is a call again."""
    with Pair() as (source, bus):
        for size in (5_000, 1_000, 1):
            message = os.urandom(size)
            pgm.set_int(source, number, size)
            ktap.equal(pgm.get_int(source, number), size)
            for at in range(0, size, 1_000):
                source.send(message[at : at + 1_000])
            ktap.equal(pgm.get_int(source, number), 0)
            same_message(bus, message)
            source.send(b"after")
            same_message(bus, b"after")
        pgm.set_int(source, number, 10)
        source.send(b"123456789")
        fails("EMSGSIZE", source.send, b"ab")
        source.send(b"dropped, and the boundary with it")
        same_message(bus, b"dropped, and the boundary with it")


@ktap.test
def test_limit():
    """PGM_MSGSIZE_MAX raises or lowers the limit on both sides."""
    with net.shared() as lan:
        size = 200_000
        raised = {pgm.PGM_MSGSIZE_MAX: size}
        message = os.urandom(size)
        with pgm.datagram(lan.hosts[1], options=raised) as bus:
            source = pgm.source(lan.hosts[0], window=(100_000, 500, 0), options=raised)
            ktap.equal(pgm.get_int(source, pgm.PGM_MSGSIZE_MAX), size)
            fails("EMSGSIZE", source.send, bytes(size + 1))
            source.send(message)
            same_message(bus, message)
            pgm.set_int(source, pgm.PGM_MSGSIZE_MAX, 100)
            fails("EMSGSIZE", source.send, bytes(101))
            source.send(bytes(100))
            same_message(bus, bytes(100))
            pgm.reset_close(source)
        with pgm.pgm_socket() as sock:
            ktap.equal(pgm.get_int(sock, pgm.PGM_MSGSIZE_MAX), 65_535)


@ktap.test
def test_empty_messages():
    """Zero-length messages arrive as such, among others."""
    with Pair() as (source, bus):
        for message in (b"", b"a", b"", b"", b"b"):
            ktap.equal(source.send(message), len(message))
        got = [bus.recvmsg(10)[::2] for _ in range(5)]
        ktap.equal(got, [(b"", EOR), (b"a", EOR), (b"", EOR), (b"", EOR), (b"b", EOR)])


@ktap.test
def test_small_buffer():
    """The rest stays for the next call; MSG_EOR marks the last piece."""
    with Pair() as (source, bus):
        source.send(b"0123456789")
        source.send(b"next")
        got = [bus.recvmsg(4)[::2] for _ in range(4)]
        ktap.equal(got, [(b"0123", 0), (b"4567", 0), (b"89", EOR), (b"next", EOR)])


@ktap.test
def test_small_buffer_and_fragments():
    """The same over the seams of packets."""
    with Pair() as (source, bus):
        message = os.urandom(20_000)
        source.send(message)
        source.send(b"next")
        pieces, flags = [], 0
        while not flags & EOR:
            piece, _, flags, _ = bus.recvmsg(777)
            pieces.append(piece)
        ktap.equal({len(piece) for piece in pieces[:-1]}, {777})
        assert b"".join(pieces) == message
        ktap.equal(bus.recv(10), b"next")


@ktap.test
def test_full_length():
    """MSG_TRUNC in the call: the length of what is left is returned, whatever was copied."""
    with Pair() as (source, bus):
        source.send(b"0123456789")
        source.send(b"next")
        buffer = bytearray(4)
        count = bus.recvmsg_into([buffer], 0, TRUNC)[0]
        ktap.equal((count, bytes(buffer)), (10, b"0123"))
        count = bus.recvmsg_into([buffer], 0, TRUNC)[0]
        ktap.equal((count, bytes(buffer)), (6, b"4567"))
        ktap.equal(bus.recv(10), b"89")
        ktap.equal(bus.recv(10), b"next")


@ktap.test
def test_peek():
    """MSG_PEEK leaves the message, also in part, also when it has many packets."""
    # attack: A-17
    with Pair() as (source, bus):
        message = os.urandom(10_000)
        source.send(message)
        source.send(b"next")
        ktap.equal(bus.recv(4, PEEK), message[:4])
        assert bus.recv(20_000, PEEK) == message
        count = bus.recv_into(bytearray(1), 1, PEEK | TRUNC)
        ktap.equal(count, 10_000, "its length without reading it")
        assert bus.recv(20_000) == message
        ktap.equal(bus.recv(10, PEEK), b"next")
        ktap.equal(bus.recv(10), b"next")


@ktap.test
def test_peek_after_a_piece():
    """MSG_PEEK shows what the next call would return."""
    with Pair() as (source, bus):
        source.send(b"0123456789")
        ktap.equal(bus.recv(4), b"0123")
        ktap.equal(bus.recvmsg(10, 0, PEEK)[::2], (b"456789", EOR))
        ktap.equal(bus.recvmsg(10)[::2], (b"456789", EOR))


@ktap.test
def test_gather_and_scatter():
    """sendmsg() from many buffers is one message; recvmsg_into() fills many."""
    with Pair() as (source, bus):
        ktap.equal(source.sendmsg([b"ab", b"", b"cde", b"f" * 5000]), 5005)
        first, second = bytearray(4), bytearray(6000)
        count, _, flags, _ = bus.recvmsg_into([first, second])
        ktap.equal((count, flags), (5005, EOR))
        ktap.equal(bytes(first), b"abcd")
        ktap.equal(bytes(second[:5001]), b"e" + b"f" * 5000)


@ktap.test
def test_where_a_message_comes_from():
    """PGM_RCVINFO: the session and the sequence number of the message's first packet."""
    with Pair() as (source, bus):
        pgm.set_int(bus, pgm.PGM_RECVRCVINFO, 1)
        numbers = []
        for size in (10, 5000, 10):
            source.send(bytes(size))
            _, ancillary, _, where = bus.recvmsg(6000, 128)
            identifier, sqn, _ = pgm.rcvinfo(ancillary)
            ktap.equal(identifier, pgm.tsi(source))
            ktap.equal(where[1], int.from_bytes(identifier[6:], "big"))
            numbers.append(sqn)
        ktap.equal([sqn - numbers[0] for sqn in numbers], [0, 1, 5])
        pgm.set_int(bus, pgm.PGM_RECVRCVINFO, 0)
        source.send(b"x")
        ktap.equal(bus.recvmsg(10, 128)[1], [])


@ktap.test
def test_control_buffer_too_small():
    """MSG_CTRUNC, and the message all the same."""
    # attack: A-10
    with Pair() as (source, bus):
        pgm.set_int(bus, pgm.PGM_RECVRCVINFO, 1)
        source.send(b"x")
        data, _, flags, _ = bus.recvmsg(10, socket.CMSG_LEN(4))
        ktap.equal(data, b"x")
        assert flags & socket.MSG_CTRUNC


@ktap.test
def test_ip_control_messages():
    """IP_PKTINFO, IP_RECVTTL (or their IPv6 sisters) and SO_TIMESTAMP as with UDP."""
    if variant.now().version == 4:
        level, ttls, info = socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, socket.IP_PKTINFO
        want_ttl, want_info, ttl = pgm.IP_RECVTTL, info, socket.IP_TTL
        shape = "=i4x4s"
    else:
        level, ttls, info = socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, socket.IPV6_PKTINFO
        want_ttl, want_info = socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVPKTINFO
        ttl, shape = socket.IPV6_HOPLIMIT, "=16si"
    with Pair() as (source, bus):
        source.setsockopt(level, ttls, 7)
        bus.setsockopt(level, want_info, 1)
        bus.setsockopt(level, want_ttl, 1)
        bus.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
        source.send(b"x")
        _, ancillary, _, _ = bus.recvmsg(10, 512)
        found = {(layer, kind): data for layer, kind, data in ancillary}
        # req: ADDR-19
        ktap.equal(struct.unpack("=i", found[level, ttl])[0], 7)
        values = struct.unpack(shape, found[level, info])
        (index,) = (value for value in values if isinstance(value, int))
        (group,) = (value for value in values if isinstance(value, bytes))
        assert index > 0
        ktap.equal(socket.inet_ntop(variant.now().family, group), pgm.GROUP)
        assert (socket.SOL_SOCKET, 29) in found


@ktap.test
def test_bytes_waiting():
    """FIONREAD: the length of the next message, 0 without one."""
    import fcntl
    import termios

    with Pair() as (source, bus):
        waiting = array.array("i", [-1])
        fcntl.ioctl(bus, termios.FIONREAD, waiting)
        ktap.equal(waiting[0], 0)
        source.send(bytes(3000))
        source.send(b"next")
        ktap.equal(len(bus.recv(5000, PEEK)), 3000)
        fcntl.ioctl(bus, termios.FIONREAD, waiting)
        ktap.equal(waiting[0], 3000)


@ktap.test
def test_read_and_write():
    """read(2) and write(2) do what recv() and send() do."""
    with Pair() as (source, bus):
        ktap.equal(os.write(source.fileno(), b"hello"), 5)
        ktap.equal(os.read(bus.fileno(), 100), b"hello")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
