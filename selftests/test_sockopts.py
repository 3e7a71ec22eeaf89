#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What sockets of every protocol have, PGM has: time stamps, filters, marks, sharing, batches."""

import ctypes
import errno
import mmap
import os
import select
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import msghdr
import net
import pgm
import wire
from probe import Probe

SO_DETACH_FILTER = 27
SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING = 29, 35, 37
SO_RXQ_OVFL = 40
SCM_TIMESTAMPING = SO_TIMESTAMPING
TX_SOFTWARE, RX_SOFTWARE, SOFTWARE, OPT_ID, OPT_TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 11
SO_EE_ORIGIN_TIMESTAMPING = 4
IP_RECVTOS = 13
IP_RECVERR = 11


def accepted(stack_of):
    """A source and its session on two hosts, b"hello" read."""
    lan = stack_of
    listening = pgm.listener(lan.hosts[1])
    source = pgm.source(lan.hosts[0])
    source.send(b"hello")
    session, _ = pgm.accept(listening)
    listening.close()
    ktap.equal(session.recv(100), b"hello")
    return source, session


@ktap.test
def test_receive_timestamps():
    """SO_TIMESTAMP, SO_TIMESTAMPNS and SO_TIMESTAMPING stamp each message."""
    with net.shared() as lan:
        source, session = accepted(lan)
        with source, session:
            for option, value, size in (
                (SO_TIMESTAMP, 1, 16),
                (SO_TIMESTAMPNS, 1, 16),
                (SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE, 48),
            ):
                session.setsockopt(socket.SOL_SOCKET, option, value)

                def stamp():
                    source.send(b"x")
                    return session.recvmsg(100, 200)[1]

                # The kernel begins to stamp packets a little after the first socket asked for it.
                ktap.wait_for(stamp, "messages are stamped")
                ((level, kind, data),) = stamp()
                ktap.equal((level, kind, len(data)), (socket.SOL_SOCKET, option, size))
                assert any(data), "a time"
                session.setsockopt(socket.SOL_SOCKET, option, 0)


@ktap.test
def test_drop_count():
    """SO_RXQ_OVFL tells of drops, and of nothing else that is kept with a message."""
    # attack: A-16
    with net.shared() as lan:
        source, session = accepted(lan)
        with source, session:
            session.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
            for message in (b"one packet", bytes(5000)):
                source.send(message)
                data, ancillary, _, _ = session.recvmsg(6000, 200)
                ktap.equal((data, ancillary), (message, []))


def stamp_of(sock):
    """(the id of a transmit time stamp, is there a time)"""
    poller = select.poll()
    poller.register(sock, select.POLLERR)
    assert poller.poll(5000), "no stamp"
    _, ancillary, flags, _ = sock.recvmsg(100, 500, socket.MSG_ERRQUEUE)
    assert flags & socket.MSG_ERRQUEUE
    values = {(level, kind): data for level, kind, data in ancillary}
    error = values[socket.IPPROTO_IP, IP_RECVERR]
    code, origin, _, _, _, _, ident = struct.unpack("=IBBBBII", error[:16])
    ktap.equal((code, origin), (errno.ENOMSG, SO_EE_ORIGIN_TIMESTAMPING))
    return ident, any(values[socket.SOL_SOCKET, SCM_TIMESTAMPING])


@ktap.test
def test_transmit_timestamps():
    """One stamp for each message; its id is the sequence number of the message's last packet."""
    with net.shared() as lan, pgm.source(lan.hosts[0]) as source:
        flags = TX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
        source.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)
        mss = pgm.get_int(source, pgm.PGM_MSS)
        for size, last in ((1, 0), (100, 1), (3 * mss, 5), (0, 6)):
            source.send(bytes(size))
            ktap.equal(stamp_of(source), (last, True), f"{size} bytes")
        source.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, 0)
        source.send(b"x")
        ktap.wait_for(lambda: pgm.stats(source)["odata"] == 8, "all has left")
        try:
            source.recvmsg(100, 500, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            pass
        else:
            raise AssertionError("one stamp too many")


LOAD_BYTE, LOAD_HALF, JUMP_EQUAL, RETURN = 0x30, 0x28, 0x15, 0x06


@ktap.each({"filter_session": pgm.listener, "filter_datagram": pgm.datagram})
def socket_filter(receiver):
    """A filter sees packets from the PGM header on; what it refuses is no loss and is not asked for."""
    with net.shared() as lan, Probe(lan.hosts[0]) as probe, receiver(lan.hosts[1]) as sock:
        source = probe.source()
        source.spm(0, 0xFFFFFFFF)
        source.odata(0, b"first", wire.option(wire.OPT_SYN))
        if receiver is pgm.listener:
            sock, _ = pgm.accept(sock)
        ktap.equal(sock.recv(100), b"first")
        # The kind is ODATA, and the payload, behind 24 bytes of header, does not begin with "n".
        pgm.attach_filter(
            sock,
            (LOAD_BYTE, 0, 0, 4),
            (JUMP_EQUAL, 0, 3, wire.ODATA),
            (LOAD_BYTE, 0, 0, 24),
            (JUMP_EQUAL, 1, 0, ord("n")),
            (RETURN, 0, 0, 0xFFFF),
            (RETURN, 0, 0, 0),
        )
        for sqn, payload in enumerate((b"yes", b"no", b"no", b"yes, too", b"no", b"y"), 1):
            source.odata(sqn, payload)
        ktap.equal([sock.recv(100) for _ in range(3)], [b"yes", b"yes, too", b"y"])
        source.spm(0, 6)
        probe.silence(0.3, wire.NAK)
        counters = pgm.stats(sock)
        ktap.equal((counters["missing"], counters["lost"]), (0, 0))
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        source.odata(7, b"now")
        ktap.equal(sock.recv(100), b"now")
        sock.close()


@ktap.test
def test_filter_fragments():
    """The verdict on the first packet of a message holds for all of it."""
    with net.shared() as lan:
        source, session = accepted(lan)
        with source, session:
            # Of a fragment, OPT_FRAGMENT stands before the payload: 24 + 4 + 16 bytes.
            pgm.attach_filter(
                session,
                (LOAD_BYTE, 0, 0, 44),
                (JUMP_EQUAL, 0, 1, ord("n")),
                (RETURN, 0, 0, 0),
                (RETURN, 0, 0, 1),
            )
            source.send(b"n" * 5000)
            source.send(b"y" * 5000)
            assert session.recv(10_000) == b"y" * 5000, "the refused one"


@ktap.test
def test_control_messages():
    """IP_PKTINFO, IP_RECVTTL and IP_RECVTOS tell of a message's first packet."""
    with net.shared() as lan:
        source, session = accepted(lan)
        with source, session:
            source.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 9)
            source.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
            for option in (socket.IP_PKTINFO, pgm.IP_RECVTTL, IP_RECVTOS):
                session.setsockopt(socket.IPPROTO_IP, option, 1)
            source.send(b"x" * 5000)
            data, ancillary, _, _ = session.recvmsg(10_000, 500)
            ktap.equal(len(data), 5000)
            values = {kind: value for level, kind, value in ancillary}
            ktap.equal(values[socket.IP_TTL], struct.pack("=i", 9))
            ktap.equal(values[socket.IP_TOS], b"\xb8")
            index, _, group = struct.unpack("=i4s4s", values[socket.IP_PKTINFO])
            ktap.equal(group, socket.inet_aton(pgm.GROUP))
            with lan.hosts[1]:
                ktap.equal(socket.if_indextoname(index), "eth0")


@ktap.test
def test_on_the_wire():
    """IP_TOS is in the packets; SO_MARK chooses the route; SO_PRIORITY survives."""
    with net.Lan() as lan, Probe(lan.hosts[1]) as probe:
        host = lan.hosts[0]
        for words in (
            "link add decoy0 type dummy",
            "link set decoy0 multicast on up",
            "rule add fwmark 7 lookup 7",
            "route add 224.0.0.0/4 dev eth0 table 7",
            "route replace 224.0.0.0/4 dev decoy0 src 10.77.0.1",
        ):
            net.run("ip", "-n", host.name, *words.split())
        marked = {"so_mark": 7, "ip_tos": 0x28, "so_priority": 5}
        with pgm.source(host, **marked) as source:
            source.send(b"marked")
            packet = probe.wait(wire.ODATA)
            ktap.equal(packet.ip[1], 0x28)
            for option, value in ((socket.SO_MARK, 7), (socket.SO_PRIORITY, 5)):
                ktap.equal(source.getsockopt(socket.SOL_SOCKET, option), value)
        with pgm.source(host) as source:
            source.send(b"not marked")
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 1, "it has left")
            probe.silence(0.2, wire.ODATA)


def filters(host):
    """{interface and group: (sources included, excluded)} of a host, as IGMP reports them."""
    with host, open("/proc/thread-self/net/mcfilter", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    return [(row[1], row[3], int(row[4]), int(row[5])) for row in rows]


def accept_of_i386(listening):
    """accept4(fd, NULL, NULL, 0) as a 32-bit program calls it."""
    # push rbx; mov ebx, edi; xor ecx, ecx; xor edx, edx; xor esi, esi; mov eax, 364; int 0x80;
    # pop rbx; ret
    code = bytes.fromhex("53 89fb 31c9 31d2 31f6 b86c010000 cd80 5b c3")
    text = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    text[: len(code)] = code
    at = ctypes.addressof(ctypes.c_char.from_buffer(text))
    result = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(at)(listening.fileno())
    if result < 0:
        raise OSError(-result, "accept4")
    session = pgm.timeouts(socket.socket(fileno=result))
    return session, session.getpeername()


def can_i386():
    """Whether this kernel runs programs of i386."""
    return os.uname().machine == "x86_64" and os.path.exists("/proc/sys/abi/vsyscall32")


ACCEPTS = {"source_specific_listener": pgm.accept}
if can_i386():  # which User-Mode Linux cannot
    ACCEPTS["source_specific_i386"] = accept_of_i386


@ktap.each(ACCEPTS)
def source_specific(accept):
    """A listener that joined for one source has no session of another, and widens no filter."""
    with net.shared(3) as lan:
        wanted, other, receiver = lan.hosts
        with pgm.timeouts(pgm.pgm_socket(receiver)) as listening:
            listening.bind((pgm.GROUP, pgm.PORT))
            mreq = [pgm.GROUP, receiver.address, wanted.address]
            value = b"".join(map(socket.inet_aton, mreq))
            listening.setsockopt(socket.IPPROTO_IP, 39, value)  # IP_ADD_SOURCE_MEMBERSHIP
            listening.listen(5)
            before = filters(receiver)
            ktap.equal([row[2:] for row in before], [(1, 0)], "one source, whom we asked for")
            with pgm.source(other) as unwanted, pgm.source(wanted) as source:
                unwanted.send(b"unwanted")
                ktap.wait_for(lambda: pgm.stats(unwanted)["odata"] == 1, "it has left")
                source.send(b"wanted")
                session, (address, _) = accept(listening)
                with session:
                    ktap.equal(address, wanted.address)
                    ktap.equal([row[3] for row in filters(receiver)], [0], "nothing excluded")
                    ktap.equal([row[1] for row in filters(receiver)], [row[1] for row in before])
                    listening.close()
                    ktap.equal([row[2:] for row in filters(receiver)], [(1, 0)], "still joined")
                    ktap.equal(session.recv(100), b"wanted")
                    source.send(b"more")
                    ktap.equal(session.recv(100), b"more")
                ktap.equal(filters(receiver), [])


@ktap.test
def test_sharing():
    """With SO_REUSEADDR or SO_REUSEPORT each receiver of a group and port gets every message."""
    with net.shared() as lan:
        sharing = []
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT, socket.SO_REUSEADDR):
            sock = pgm.timeouts(pgm.pgm_socket(lan.hosts[1]))
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
            sock.bind((pgm.GROUP, pgm.PORT))
            pgm.join(sock)
            sharing.append(sock)
        with pgm.source(lan.hosts[0]) as source:
            for n in range(20):
                source.send(b"%d" % n)
            for sock in sharing:
                ktap.equal([int(sock.recv(10)) for _ in range(20)], list(range(20)))
        for sock in sharing:
            sock.close()


@ktap.test
def test_bind_to_device():
    """SO_BINDTODEVICE decides where a source sends and a receiver listens, whatever the routes say."""
    with net.Lan() as lan:
        for host in lan.hosts:
            for words in (
                "link add decoy0 type dummy",
                "addr add 10.78.0.1/24 dev decoy0",
                "link set decoy0 multicast on up",
                "route replace 224.0.0.0/4 dev decoy0",
            ):
                net.run("ip", "-n", host.name, *words.split())
            net.run("ip", "-n", host.name, "route", "add", "224.0.0.0/4", "dev", "eth0", "metric", "9")
        sockets = [pgm.timeouts(pgm.pgm_socket(host)) for host in lan.hosts]
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        source, listening = sockets
        with source, listening:
            listening.bind((pgm.GROUP, pgm.PORT))
            listening.listen(1)
            source.connect((pgm.GROUP, pgm.PORT))
            source.send(b"x")
            session, (address, _) = pgm.accept(listening)
            with session:
                ktap.equal(address, lan.hosts[0].address)
                ktap.equal(session.recv(10), b"x")


@ktap.test
def test_batches():
    """sendmmsg() and recvmmsg(): one message each."""
    libc = ctypes.CDLL(None, use_errno=True)
    with net.shared() as lan:
        source, session = accepted(lan)
        with source, session:
            texts = [b"a" * n for n in (1, 3000, 10)]
            out = [ctypes.create_string_buffer(text, len(text)) for text in texts]
            vector = msghdr.batch(out)
            ktap.equal(libc.sendmmsg(source.fileno(), vector, 3, 0), 3)
            ktap.equal([entry.len for entry in vector], [1, 3000, 10])
            into = [ctypes.create_string_buffer(4000) for _ in range(3)]
            vector = msghdr.batch(into)
            ktap.equal(libc.recvmmsg(session.fileno(), vector, 3, 0, None), 3)
            got = [buffer.raw[: entry.len] for buffer, entry in zip(into, vector)]
            ktap.equal(got, texts)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
