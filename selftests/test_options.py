#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Options have their defaults, take their values and pass them on."""

import os
import socket
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm

MS, S = 1_000, 1_000_000

# as pgm(7) says
DEFAULTS = {
    "PGM_LATEJOIN": (pgm.PGM_LATEJOIN, 0),
    "PGM_WINDOW_ADV_METHOD": (pgm.PGM_WINDOW_ADV_METHOD, pgm.PGM_ADVANCE_WITH_TIME),
    "PGM_WINDOW_ADV_RATE": (pgm.PGM_WINDOW_ADV_RATE, 15),
    "PGM_MTU": (pgm.PGM_MTU, 0),
    "PGM_AMBIENT_SPM": (pgm.PGM_AMBIENT_SPM, 8 * S),
    "PGM_NAK_BO_IVL": (pgm.PGM_NAK_BO_IVL, 50 * MS),
    "PGM_NAK_RPT_IVL": (pgm.PGM_NAK_RPT_IVL, 200 * MS),
    "PGM_NAK_RDATA_IVL": (pgm.PGM_NAK_RDATA_IVL, 400 * MS),
    "PGM_NAK_NCF_RETRIES": (pgm.PGM_NAK_NCF_RETRIES, 50),
    "PGM_NAK_DATA_RETRIES": (pgm.PGM_NAK_DATA_RETRIES, 50),
    "PGM_PEER_EXPIRY": (pgm.PGM_PEER_EXPIRY, 300 * S),
    "PGM_SPMR_EXPIRY": (pgm.PGM_SPMR_EXPIRY, 250 * MS),
    "PGM_RXW_SQNS": (pgm.PGM_RXW_SQNS, 0),
    "PGM_PASSIVE": (pgm.PGM_PASSIVE, 0),
    "PGM_ARRIVAL_ORDER": (pgm.PGM_ARRIVAL_ORDER, 0),
    "PGM_MULTICAST_NAK": (pgm.PGM_MULTICAST_NAK, 0),
    "PGM_ABORT_ON_RESET": (pgm.PGM_ABORT_ON_RESET, 1),
    "PGM_RECVRCVINFO": (pgm.PGM_RECVRCVINFO, 0),
}
VALUES = {
    pgm.PGM_LATEJOIN: (75, 0),
    pgm.PGM_WINDOW_ADV_METHOD: (pgm.PGM_ADVANCE_WITH_DATA, pgm.PGM_ADVANCE_WITH_TIME),
    pgm.PGM_WINDOW_ADV_RATE: (1, 50),
    pgm.PGM_MTU: (256, 65_535),
    pgm.PGM_AMBIENT_SPM: (10 * MS, 300 * S),
    pgm.PGM_NAK_BO_IVL: (1 * MS, 2 * S),
    pgm.PGM_NAK_RPT_IVL: (1 * MS, 60 * S),
    pgm.PGM_NAK_RDATA_IVL: (1 * MS, 60 * S),
    pgm.PGM_NAK_NCF_RETRIES: (1, 255),
    pgm.PGM_NAK_DATA_RETRIES: (1, 255),
    pgm.PGM_PEER_EXPIRY: (10 * MS, 3_600 * S),
    pgm.PGM_SPMR_EXPIRY: (1 * MS, 60 * S),
    pgm.PGM_RXW_SQNS: (0, 64, 131_072),
    pgm.PGM_PASSIVE: (1, 0),
    pgm.PGM_ARRIVAL_ORDER: (1, 0),
    pgm.PGM_MULTICAST_NAK: (1, 0),
    pgm.PGM_ABORT_ON_RESET: (0, 1),
    pgm.PGM_RECVRCVINFO: (1, 0),
}


def window(sock):
    """PGM_SEND_WINDOW: (kbit/s, ms, bytes)"""
    return struct.unpack("=III", sock.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW, 12))


@ktap.each(DEFAULTS)
def default(case):
    """The default of the manual page."""
    number, value = case
    with pgm.pgm_socket() as sock:
        ktap.equal(pgm.get_int(sock, number), value)


@ktap.test
def test_gsi():
    """A privileged source chooses its GSI; the data-source port stays random."""
    # req: WIRE-09 WIRE-10
    with net.shared() as lan:
        ports = set()
        for _ in range(2):
            with lan.hosts[0], pgm.pgm_socket() as sock:
                sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_TSI, b"sensor" + bytes(2))
                sock.connect(("239.192.0.9", 7500))
                tsi = sock.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_TSI, 8)
                ktap.equal(tsi[:6], b"sensor")
                ports.add(tsi[6:])
        ktap.equal(len(ports), 2, "different ports")


@ktap.test
def test_extremes():
    """The ends of each range can be set and read back."""
    with pgm.pgm_socket() as sock:
        for number, values in VALUES.items():
            for value in values:
                pgm.set_int(sock, number, value)
                ktap.equal(pgm.get_int(sock, number), value, f"option {number}")


@ktap.test
def test_heartbeats():
    """Reading gives the 32 intervals in use: a table as it was set, or two values doubling."""
    doubling = [min(50 * MS << n, 4 * S) for n in range(32)]
    for values, wanted in {
        (100 * MS,): [100 * MS] * 32,
        (50 * MS, 4 * S): doubling,
        (10 * MS, 20 * MS, 5 * MS): [10 * MS, 20 * MS] + [5 * MS] * 30,
        tuple(n * 10 * MS for n in range(1, 33)): [n * 10 * MS for n in range(1, 33)],
    }.items():
        with pgm.pgm_socket() as sock:
            packed = struct.pack(f"={len(values)}I", *values)
            sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, packed)
            got = sock.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, 128)
            ktap.equal(list(struct.unpack("=32I", got)), wanted, str(values))


@ktap.test
def test_window():
    """Zero fields are derived: milliseconds = bytes * 8 / rate."""
    with pgm.pgm_socket() as sock:
        kbit, millis, size = window(sock)
        ktap.equal((kbit, size), (100_000, 16 << 20))
        assert abs(millis - size * 8 // kbit) <= 1, f"{millis} ms"
    for given, wanted in {
        (10_000, 0, 0): (10_000, (16 << 20) * 8 // 10_000, 16 << 20),
        (10_000, 2_000, 0): (10_000, 2_000, 2_500_000),
        (8_000, 0, 1_000_000): (8_000, 1_000, 1_000_000),
        (8_000, 500, 2_000_000): (8_000, 500, 2_000_000),
    }.items():
        with pgm.pgm_socket() as sock:
            pgm.set_window(sock, *given)
            got = window(sock)
            for one, other in zip(got, wanted):
                assert abs(one - other) <= 1, f"{given} became {got}, wanted {wanted}"


@ktap.test
def test_inherited():
    """A session has the options of its listener."""
    options = {
        pgm.PGM_NAK_BO_IVL: 11 * MS,
        pgm.PGM_NAK_RPT_IVL: 222 * MS,
        pgm.PGM_NAK_RDATA_IVL: 333 * MS,
        pgm.PGM_NAK_NCF_RETRIES: 44,
        pgm.PGM_NAK_DATA_RETRIES: 55,
        pgm.PGM_PEER_EXPIRY: 66_000 * MS,
        pgm.PGM_SPMR_EXPIRY: 77 * MS,
        pgm.PGM_RXW_SQNS: 888,
        pgm.PGM_PASSIVE: 1,
        pgm.PGM_ARRIVAL_ORDER: 1,
        pgm.PGM_MULTICAST_NAK: 1,
        pgm.PGM_ABORT_ON_RESET: 0,
        pgm.PGM_RECVRCVINFO: 1,
    }
    with net.shared() as lan, pgm.listener(lan.hosts[1], options=options) as listening:
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                for number, value in options.items():
                    ktap.equal(pgm.get_int(session, number), value, f"option {number}")


@ktap.test
def test_multicast_defaults():
    """TTL 1 and loop on as Linux has them; IP_MULTICAST_ALL off, unlike UDP."""
    with pgm.pgm_socket() as sock:
        for name, value in {
            socket.IP_MULTICAST_TTL: 1,
            socket.IP_MULTICAST_LOOP: 1,
            pgm.IP_MULTICAST_ALL: 0,
        }.items():
            ktap.equal(sock.getsockopt(socket.IPPROTO_IP, name), value, f"option {name}")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        ktap.equal(sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS), 0xB8)


@ktap.test
def test_buffers():
    """8 MiB to receive without asking; SO_SNDBUF and SO_RCVBUF can be set."""
    with pgm.pgm_socket() as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 8 << 20
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 50_000)
            ktap.equal(sock.getsockopt(socket.SOL_SOCKET, option), 100_000)


@ktap.test
def test_short_buffer():
    """getsockopt() fills what fits of a structure of counters."""
    with net.shared() as lan, pgm.source(lan.hosts[0]) as source:
        whole = source.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SENDER_STATS, 512)
        assert len(whole) >= 80 and len(whole) % 8 == 0, len(whole)
        ktap.equal(len(source.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SENDER_STATS, 16)), 16)
        pgm.reset_close(source)


@ktap.test
def test_counters():
    """What goes out of one end comes in at the other."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0]) as source:
            for _ in range(10):
                source.send(bytes(100))
            session, _ = pgm.accept(listening)
            with session:
                for _ in range(10):
                    session.recv(200)
                sent, got = pgm.stats(source), pgm.stats(session)
                ktap.equal((sent["odata"], sent["odata_bytes"]), (10, 1000))
                ktap.equal((got["odata"], got["data_bytes"], got["apdus"]), (10, 1000, 10))
                assert sent["spm"] >= got["spms"]


if __name__ == "__main__":
    ktap.main(pgm.need_module)
