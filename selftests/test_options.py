#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Options have their defaults, take their values and pass them on."""

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
    # attack: A-09
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
    # attack: A-17
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


SOURCE, RECEIVER, BOTH = "source", "receiver", "both"
# SOURCE as a moment: at any time on a source, at the start on a receiver.
START, ALWAYS = "start", "always"

# Every option that is one number: (number, side, when, smallest, largest). A switch takes any number.
SWITCH = (0, 0xFFFFFFFF)
NUMBERS = {
    "PGM_MESSAGE_BOUNDARY": (pgm.PGM_MESSAGE_BOUNDARY, SOURCE, ALWAYS, 0, 1 << 20),
    "PGM_LATEJOIN": (pgm.PGM_LATEJOIN, SOURCE, START, 0, 75),
    "PGM_WINDOW_ADV_RATE": (pgm.PGM_WINDOW_ADV_RATE, SOURCE, START, 1, 50),
    "PGM_WINDOW_ADV_METHOD": (pgm.PGM_WINDOW_ADV_METHOD, SOURCE, START, 1, 3),
    "PGM_MTU": (pgm.PGM_MTU, SOURCE, START, 256, 65_535),
    "PGM_AMBIENT_SPM": (pgm.PGM_AMBIENT_SPM, SOURCE, START, 10 * MS, 300 * S),
    "PGM_HEARTBEAT_SPM": (pgm.PGM_HEARTBEAT_SPM, SOURCE, START, 1 * MS, 300 * S),
    "PGM_NAK_BO_IVL": (pgm.PGM_NAK_BO_IVL, RECEIVER, START, 1 * MS, 2 * S),
    "PGM_NAK_RPT_IVL": (pgm.PGM_NAK_RPT_IVL, RECEIVER, START, 1 * MS, 60 * S),
    "PGM_NAK_RDATA_IVL": (pgm.PGM_NAK_RDATA_IVL, RECEIVER, START, 1 * MS, 60 * S),
    "PGM_NAK_NCF_RETRIES": (pgm.PGM_NAK_NCF_RETRIES, RECEIVER, START, 1, 255),
    "PGM_NAK_DATA_RETRIES": (pgm.PGM_NAK_DATA_RETRIES, RECEIVER, START, 1, 255),
    "PGM_PEER_EXPIRY": (pgm.PGM_PEER_EXPIRY, RECEIVER, START, 10 * MS, 3600 * S),
    "PGM_SPMR_EXPIRY": (pgm.PGM_SPMR_EXPIRY, RECEIVER, START, 1 * MS, 60 * S),
    "PGM_RXW_SQNS": (pgm.PGM_RXW_SQNS, RECEIVER, START, 64, 1 << 17),
    "PGM_ARRIVAL_ORDER": (pgm.PGM_ARRIVAL_ORDER, RECEIVER, START, *SWITCH),
    "PGM_PASSIVE": (pgm.PGM_PASSIVE, RECEIVER, START, *SWITCH),
    "PGM_MULTICAST_NAK": (pgm.PGM_MULTICAST_NAK, RECEIVER, START, *SWITCH),
    "PGM_ABORT_ON_RESET": (pgm.PGM_ABORT_ON_RESET, RECEIVER, ALWAYS, *SWITCH),
    "PGM_EVENTS": (pgm.PGM_EVENTS, RECEIVER, ALWAYS, 0, 31),
    "PGM_RECVRCVINFO": (pgm.PGM_RECVRCVINFO, RECEIVER, ALWAYS, *SWITCH),
    "RM_SET_MCAST_TTL": (pgm.RM_SET_MCAST_TTL, SOURCE, ALWAYS, 0, 255),
    "PGM_ROUTER_ALERT": (pgm.PGM_ROUTER_ALERT, BOTH, START, *SWITCH),
    "PGM_MSGSIZE_MAX": (pgm.PGM_MSGSIZE_MAX, BOTH, SOURCE, 1, 1 << 20),
    "RM_HIGH_SPEED_INTRANET_OPT": (pgm.RM_HIGH_SPEED_INTRANET_OPT, BOTH, ALWAYS, *SWITCH),
}
# Zero is what they are without a setting.
ZERO_TOO = {"PGM_MTU", "PGM_RXW_SQNS"}
# Options that are structures: values, and what each gives on a fresh socket, a source, a listener and
# a session. One word stands for everything that is tried, whatever its form.
WINDOWS = [(7, 0, 0), (1 << 31, 0, 0), (0, 9, 0), (0, 3_600_001, 0), (0, 0, 4095), (0, 0, 1 << 29)]
NO_SUCH = [socket.inet_aton(address) for address in ("255.255.255.255", "1.2.3.4", "128.0.0.0")]
OTHER_SIDE = "ENOPROTOOPT"
STRUCTURES = {
    pgm.PGM_SEND_WINDOW: (
        [struct.pack("=III", *window) for window in WINDOWS],
        (6 * ["EINVAL"], 2 * ["EINVAL"] + 4 * ["EISCONN"], OTHER_SIDE, OTHER_SIDE),
    ),
    pgm.PGM_TSI: (
        [b"\xff" * 8, bytes(8)],
        (2 * [None], 2 * ["EISCONN"], OTHER_SIDE, OTHER_SIDE),
    ),
    pgm.PGM_UDP_ENCAP: (
        [struct.pack("!HH", *ports) for ports in ((0, 1), (1, 0), (65_535, 65_535))],
        (
            ["EINVAL", "EINVAL", None],
            ["EINVAL", "EINVAL", "EISCONN"],
            ["EINVAL", "EINVAL", "EBUSY"],
            ["EINVAL", "EINVAL", "EBUSY"],
        ),
    ),
    pgm.RM_SET_SEND_IF: (
        NO_SUCH,
        (3 * ["EADDRNOTAVAIL"], 3 * ["EISCONN"], OTHER_SIDE, OTHER_SIDE),
    ),
    pgm.RM_ADD_RECEIVE_IF: (
        NO_SUCH,
        (3 * ["EINVAL"], OTHER_SIDE, 3 * ["ENODEV"], 3 * ["EISCONN"]),
    ),
    pgm.RM_DEL_RECEIVE_IF: (
        NO_SUCH,
        (3 * ["EADDRNOTAVAIL"], OTHER_SIDE, 3 * ["EADDRNOTAVAIL"], 3 * ["EISCONN"]),
    ),
}
LIBC = ctypes.CDLL(None, use_errno=True)


def tried(sock, number, value, length=None):
    """The name of the error of setsockopt(), or None. A value may be an address of no memory."""
    length = len(value) if length is None else length
    if LIBC.setsockopt(sock.fileno(), pgm.IPPROTO_PGM, number, value, length) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return None


def wanted(row, role, value):
    """What pgm(7) says: the side first, then the value, then the moment."""
    name, (_, side, when, low, high) = row
    if side != BOTH and {"session": RECEIVER, "listener": RECEIVER}.get(role, role) != side:
        if role != "fresh":
            return "ENOPROTOOPT"
    if value is None or not (low <= value <= high or (value == 0 and name in ZERO_TOO)):
        return "EINVAL"
    if role != "fresh" and (when == START or (when == SOURCE and role != "source")):
        return "EISCONN" if role == "source" else "EBUSY"
    return None


def sweep(role, sock):
    """Every option with every kind of value."""
    nowhere = ctypes.c_void_p(8)
    for row in NUMBERS.items():
        name, (number, side, when, low, high) = row
        values = {0, 1, low, high, low - 1, high + 1, -1, 1 << 31, (1 << 32) - 1}
        for value in sorted(value & 0xFFFFFFFF for value in values):
            packed = struct.pack("=I", value)
            what = f"{name} = {value} on a {role}"
            ktap.equal(tried(sock, number, packed), wanted(row, role, value), what)
            if name != "PGM_HEARTBEAT_SPM":
                longer = packed + bytes(60)
                ktap.equal(tried(sock, number, longer), wanted(row, role, value), f"{what}, long")
        other_side = wanted(row, role, None)
        for length in (0, 3):
            ktap.equal(tried(sock, number, bytes(length)), other_side, f"{name}, {length} bytes")
        fault = "EFAULT" if other_side == "EINVAL" else other_side
        ktap.equal(tried(sock, number, nowhere, 4), fault, f"{name}, bad pointer, {role}")
        if role == "fresh" and when == START:
            tried(sock, number, struct.pack("=I", max(low, 0 if name in ZERO_TOO else low)))
    for number, (values, by_role) in STRUCTURES.items():
        verdicts = by_role[("fresh", "source", "listener", "session").index(role)]
        size, what = len(values[0]), f"option {number} on a {role}"
        for form, error in ((bytes(size - 1), "EINVAL"), (b"", "EINVAL"), (nowhere, "EFAULT")):
            error = OTHER_SIDE if verdicts == OTHER_SIDE else error
            ktap.equal(tried(sock, number, form, None if form != nowhere else size), error, what)
        for n, value in enumerate(values):
            error = OTHER_SIDE if verdicts == OTHER_SIDE else verdicts[n]
            ktap.equal(tried(sock, number, value), error, f"{what}, value {n}")


@ktap.test
def test_sweep():
    """Every option with bad values, before and after connect and listen; then messages still flow."""
    # attack: A-09
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0]) as source:
            sweep("source", source)
            sweep("listener", listening)
            # Left by values in range.
            pgm.set_int(source, pgm.PGM_MESSAGE_BOUNDARY, 0)
            pgm.set_int(source, pgm.RM_SET_MCAST_TTL, 1)
            pgm.set_int(source, pgm.PGM_MSGSIZE_MAX, 65_535)
            pgm.set_int(listening, pgm.PGM_EVENTS, 0)
            source.send(b"before")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(100), b"before")
                sweep("session", session)
                pgm.set_int(session, pgm.PGM_EVENTS, 0)
                source.send(b"after")
                ktap.equal(session.recv(100), b"after")
                ktap.equal(pgm.stats(source)["odata"], 2)


@ktap.test
def test_sweep_fresh():
    """The same before connect: what is left is sound, and messages flow."""
    # attack: A-09
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.timeouts(pgm.pgm_socket(lan.hosts[0])) as sock:
            sweep("fresh", sock)
            for number, value in (
                (pgm.PGM_MESSAGE_BOUNDARY, 0),
                (pgm.RM_SET_MCAST_TTL, 1),
                (pgm.PGM_AMBIENT_SPM, 8 * S),
                (pgm.PGM_HEARTBEAT_SPM, 100 * MS),
                (pgm.PGM_MTU, 1500),
                (pgm.PGM_MSGSIZE_MAX, 65_535),
            ):
                pgm.set_int(sock, number, value)
            sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_UDP_ENCAP, bytes(4))
            pgm.set_window(sock, 20_000, 10_000, 0)
            sock.connect((pgm.GROUP, pgm.PORT))
            sock.send(b"flows")
            session, _ = pgm.accept(listening)
            ktap.equal(session.recv(100), b"flows")
            session.close()


if __name__ == "__main__":
    ktap.main(pgm.need_module)
