#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every wrong use has its error (pgm(7), ERRORS)."""

import contextlib
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

WHERE = (pgm.GROUP, 7500)
OTHER = ("239.192.7.2", 7500)
LIBC = ctypes.CDLL(None, use_errno=True)


class World:
    """A socket in each role on two hosts."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.lan = self.stack.enter_context(net.shared())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def keep(self, sock):
        """Closes the socket at the end."""
        return self.stack.enter_context(sock)

    def fresh(self):
        """A socket that nothing was done with."""
        return self.keep(pgm.timeouts(pgm.pgm_socket(self.lan.hosts[0]), 2, 2))

    def source(self, **how):
        """A connected source."""
        return self.keep(pgm.source(self.lan.hosts[0], **how))

    def listener(self):
        """A listener on the other host."""
        return self.keep(pgm.timeouts(pgm.listener(self.lan.hosts[1]), 2, 2))

    def datagram(self):
        """A datagram socket on the other host."""
        return self.keep(pgm.timeouts(pgm.datagram(self.lan.hosts[1]), 2, 2))

    def session(self):
        """An accepted session with nothing to read."""
        listening = self.listener()
        self.source().send(b"x")
        session = self.keep(pgm.accept(listening)[0])
        ktap.equal(session.recv(10), b"x")
        return session


def sockaddr(family, group="239.192.7.1", length=16):
    """Bytes of a sockaddr_in that Python would not make."""
    whole = struct.pack("=H", family) + struct.pack("!H", 7500) + socket.inet_aton(group)
    return (whole + bytes(64))[:length]


def libc(name, *args):
    """A C library call, with its error as an exception."""
    if getattr(LIBC, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)


def option(number, value):
    """A setter for a table."""
    return lambda sock: sock.setsockopt(pgm.IPPROTO_PGM, number, value)


def get(number, length=64):
    """A getter for a table."""
    return lambda sock: sock.getsockopt(pgm.IPPROTO_PGM, number, length)


def failed_with(error, name, what=""):
    """The error is the one of that name (some numbers have two)."""
    got = errno.errorcode[error.errno]
    assert error.errno == getattr(errno, name), f"{what}: got {got}, wanted {name}"


def u32(*values):
    """Values as the kernel takes them."""
    return struct.pack(f"={len(values)}I", *values)


# (role, what is done, error)
CALLS = {
    "connect_to_unicast": ("fresh", lambda s: s.connect(("10.77.0.2", 7500)), "EADDRNOTAVAIL"),
    "connect_to_broadcast": (
        "fresh",
        lambda s: s.connect(("255.255.255.255", 7500)),
        "EADDRNOTAVAIL",
    ),
    "connect_to_any": ("fresh", lambda s: s.connect(("0.0.0.0", 7500)), "EADDRNOTAVAIL"),
    "connect_to_port_0": ("fresh", lambda s: s.connect((pgm.GROUP, 0)), "EINVAL"),
    "connect_with_ipv6_address": (
        "fresh",
        lambda s: libc("connect", s.fileno(), sockaddr(socket.AF_INET6, length=28), 28),
        "EAFNOSUPPORT",
    ),
    "connect_with_short_address": (
        "fresh",
        lambda s: libc("connect", s.fileno(), sockaddr(socket.AF_INET, length=8), 8),
        "EINVAL",
    ),
    "connect_twice": ("source", lambda s: s.connect(WHERE), "EISCONN"),
    "connect_to_another_group": ("source", lambda s: s.connect(OTHER), "EISCONN"),
    "connect_a_listener": ("listener", lambda s: s.connect(OTHER), "EISCONN"),
    "connect_a_session": ("session", lambda s: s.connect(OTHER), "EISCONN"),
    "sendto_another_group": ("source", lambda s: s.sendto(b"x", OTHER), "EISCONN"),
    "sendto_unicast": ("fresh", lambda s: s.sendto(b"x", ("10.77.0.2", 1)), "EADDRNOTAVAIL"),
    "send_unconnected": ("fresh", lambda s: s.send(b"x"), "EDESTADDRREQ"),
    "send_on_listener": ("listener", lambda s: s.send(b"x"), "EOPNOTSUPP"),
    "send_on_session": ("session", lambda s: s.send(b"x"), "EOPNOTSUPP"),
    "send_too_much": (
        "source",
        lambda s: s.send(bytes(pgm.get_int(s, pgm.PGM_MSGSIZE_MAX) + 1)),
        "EMSGSIZE",
    ),
    "send_out_of_band": ("source", lambda s: s.send(b"x", socket.MSG_OOB), "EOPNOTSUPP"),
    "send_more_and_too_much": (
        "source",
        lambda s: [s.send(bytes(20_000), socket.MSG_MORE) for _ in range(4)],
        "EMSGSIZE",
    ),
    "send_more_after_shutdown": (
        "source",
        lambda s: (s.shutdown(socket.SHUT_WR), s.send(b"x", socket.MSG_MORE | socket.MSG_NOSIGNAL)),
        "EPIPE",
    ),
    "send_beyond_the_boundary": (
        "source",
        lambda s: (option(pgm.PGM_MESSAGE_BOUNDARY, u32(10))(s), s.send(bytes(11))),
        "EMSGSIZE",
    ),
    "boundary_beyond_the_limit": (
        "source",
        lambda s: (option(pgm.PGM_MESSAGE_BOUNDARY, u32(100_000))(s), s.send(b"x")),
        "EMSGSIZE",
    ),
    "boundary_within_a_message": (
        "source",
        lambda s: (s.send(b"x", socket.MSG_MORE), option(pgm.PGM_MESSAGE_BOUNDARY, u32(10))(s)),
        "EBUSY",
    ),
    "message_limit_after_listen": ("listener", option(pgm.PGM_MSGSIZE_MAX, u32(1000)), "EBUSY"),
    "send_bad_pointer": (
        "source",
        lambda s: libc("send", s.fileno(), ctypes.c_void_p(8), 100, 0),
        "EFAULT",
    ),
    "listen_unbound": ("fresh", lambda s: s.listen(1), "EINVAL"),
    "listen_on_source": ("source", lambda s: s.listen(1), "EINVAL"),
    "listen_on_session": ("session", lambda s: s.listen(1), "EISCONN"),
    "accept_unbound": ("fresh", lambda s: s.accept(), "EINVAL"),
    "accept_on_source": ("source", lambda s: s.accept(), "EINVAL"),
    "accept_on_session": ("session", lambda s: s.accept(), "EINVAL"),
    "accept_nobody": ("listener", lambda s: (s.setblocking(False), s.accept()), "EAGAIN"),
    "bind_twice": ("datagram", lambda s: s.bind(("239.192.7.2", 7501)), "EINVAL"),
    "bind_to_foreign_address": ("fresh", lambda s: s.bind(("10.99.0.1", 0)), "EADDRNOTAVAIL"),
    "bind_ipv6_address": (
        "fresh",
        lambda s: libc("bind", s.fileno(), sockaddr(socket.AF_INET6, length=28), 28),
        "EAFNOSUPPORT",
    ),
    "bind_short_address": (
        "fresh",
        lambda s: libc("bind", s.fileno(), sockaddr(socket.AF_INET, length=8), 8),
        "EINVAL",
    ),
    "bind_a_source": ("source", lambda s: s.bind((pgm.GROUP, 7501)), "EINVAL"),
    "bind_a_listener": ("listener", lambda s: s.bind((pgm.GROUP, 7501)), "EINVAL"),
    "bind_a_session": ("session", lambda s: s.bind((pgm.GROUP, 7501)), "EINVAL"),
    "disconnect": (
        "source",
        lambda s: libc("connect", s.fileno(), sockaddr(socket.AF_UNSPEC), 16),
        "EISCONN",
    ),
    "disconnect_unconnected": (
        "fresh",
        lambda s: libc("connect", s.fileno(), sockaddr(socket.AF_UNSPEC), 16),
        "EOPNOTSUPP",
    ),
    "shutdown_a_listener": ("listener", lambda s: s.shutdown(socket.SHUT_RDWR), "ENOTCONN"),
    "mss_before_connect": ("fresh", get(pgm.PGM_MSS), "ENOTCONN"),
    "tsi_before_connect": ("fresh", get(pgm.PGM_TSI), "ENOTCONN"),
    "sender_stats_before_connect": ("fresh", get(pgm.PGM_SENDER_STATS), "ENOTCONN"),
    "receiver_stats_of_a_listener": ("listener", get(pgm.PGM_RECEIVER_STATS), "ENOTCONN"),
    "encapsulation_after_bind": (
        "listener",
        option(pgm.PGM_UDP_ENCAP, struct.pack("!HH", 3055, 3056)),
        "EBUSY",
    ),
    "recv_on_listener": ("listener", lambda s: s.recv(10), "ENOTCONN"),
    "recv_nothing": ("datagram", lambda s: s.recv(10, socket.MSG_DONTWAIT), "EAGAIN"),
    "recv_out_of_band": ("datagram", lambda s: s.recv(10, socket.MSG_OOB), "EOPNOTSUPP"),
    "getpeername_unconnected": ("fresh", lambda s: s.getpeername(), "ENOTCONN"),
    "getpeername_of_listener": ("listener", lambda s: s.getpeername(), "ENOTCONN"),
    "shutdown_unconnected": ("fresh", lambda s: s.shutdown(socket.SHUT_WR), "ENOTCONN"),
    "send_after_shutdown": (
        "source",
        lambda s: (s.shutdown(socket.SHUT_WR), s.send(b"x", socket.MSG_NOSIGNAL)),
        "EPIPE",
    ),
    "send_on_a_foreign_interface": (
        "fresh",
        option(pgm.RM_SET_SEND_IF, socket.inet_aton("10.99.0.1")),
        "EADDRNOTAVAIL",
    ),
    "send_interface_after_connect": (
        "source",
        option(pgm.RM_SET_SEND_IF, socket.inet_aton("10.77.0.1")),
        "EISCONN",
    ),
    "receive_on_a_foreign_interface": (
        "listener",
        option(pgm.RM_ADD_RECEIVE_IF, socket.inet_aton("10.99.0.1")),
        "ENODEV",
    ),
    "receive_on_an_interface_unbound": (
        "fresh",
        option(pgm.RM_ADD_RECEIVE_IF, socket.inet_aton("10.77.0.1")),
        "EINVAL",
    ),
    "receive_no_more_where_not_joined": (
        "listener",
        option(pgm.RM_DEL_RECEIVE_IF, socket.inet_aton("127.0.0.1")),
        "EADDRNOTAVAIL",
    ),
    "receive_interface_of_a_session": (
        "session",
        option(pgm.RM_ADD_RECEIVE_IF, socket.inet_aton("10.77.0.2")),
        "EISCONN",
    ),
    "ttl_of_256": ("fresh", option(pgm.RM_SET_MCAST_TTL, u32(256)), "EINVAL"),
    "join_unicast": ("fresh", lambda s: pgm.join(s, "10.77.0.2"), "EINVAL"),
    "join_twice": ("datagram", lambda s: pgm.join(s), "EADDRINUSE"),
}


@ktap.each(CALLS)
def calls(case):
    """A wrong call fails with its error and leaves the socket alone."""
    role, action, name = case
    expect(role, action, name)


def expect(role, action, name):
    """The action fails as it should."""
    with World() as world:
        sock = getattr(world, role)()
        try:
            action(sock)
        except OSError as error:
            failed_with(error, name)
        else:
            raise AssertionError(f"it worked; wanted {name}")


NOT_YET = [5, 26, 99, 1003, 1011]
READ_ONLY = (
    pgm.PGM_SENDER_STATS,
    pgm.PGM_RECEIVER_STATS,
    pgm.PGM_MSS,
    pgm.PGM_GET_LOSS,
    pgm.PGM_RESET_CODE,
)
ADVANCE = (pgm.PGM_WINDOW_ADV_METHOD, pgm.PGM_WINDOW_ADV_RATE)
SOURCE_NUMBERS = (pgm.PGM_AMBIENT_SPM, pgm.PGM_LATEJOIN, pgm.PGM_MTU, *ADVANCE)
SOURCE_ONLY = (pgm.PGM_SEND_WINDOW, pgm.PGM_MESSAGE_BOUNDARY, pgm.PGM_HEARTBEAT_SPM, *SOURCE_NUMBERS)
RECEIVER_ONLY = (
    *range(pgm.PGM_NAK_BO_IVL, pgm.PGM_RXW_SQNS + 1),
    pgm.PGM_PASSIVE,
    pgm.PGM_ARRIVAL_ORDER,
    pgm.PGM_MULTICAST_NAK,
)


def value_of(number):
    """A value that would be right."""
    if number == pgm.PGM_SEND_WINDOW:
        return u32(1000, 1000, 0)
    if number in (*ADVANCE, pgm.PGM_LATEJOIN):
        return u32(1)
    micros = number <= pgm.PGM_NAK_RDATA_IVL or number in (pgm.PGM_PEER_EXPIRY, pgm.PGM_SPMR_EXPIRY)
    return u32(200_000 if micros else 100)


def all_fail(sock, actions, name):
    """Each of the actions fails with the error."""
    for what, action in actions.items():
        try:
            action(sock)
        except OSError as error:
            failed_with(error, name, what)
        else:
            raise AssertionError(f"{what}: it worked; wanted {name}")


@ktap.test
def test_options_not_there_yet():
    """Reserved and unknown numbers answer ENOPROTOOPT, never success."""
    with World() as world:
        sets = {f"set {n}": option(n, u32(1, 1, 1)) for n in NOT_YET}
        gets = {f"get {n}": get(n) for n in NOT_YET}
        all_fail(world.fresh(), sets | gets, "ENOPROTOOPT")


@ktap.test
def test_options_that_cannot_be_set():
    """Counters and names are for reading."""
    with World() as world:
        sets = {f"set {n}": option(n, bytes(256)) for n in READ_ONLY}
        all_fail(world.fresh(), sets, "ENOPROTOOPT")


@ktap.test
def test_options_of_the_other_side():
    """A session has no send window; a source has no loss."""
    with World() as world:
        sets = {f"set {n}": option(n, value_of(n)) for n in SOURCE_ONLY}
        gets = {f"get {n}": get(n) for n in (pgm.PGM_SENDER_STATS, pgm.PGM_MSS)}
        all_fail(world.session(), sets | gets, "ENOPROTOOPT")
        gets = {f"get {n}": get(n) for n in (pgm.PGM_RECEIVER_STATS, pgm.PGM_GET_LOSS)}
        all_fail(world.source(), gets, "ENOPROTOOPT")


@ktap.test
def test_options_out_of_range():
    """EINVAL, and the old value stays."""
    # attack: A-09
    high = 0xFFFFFFFF
    wrong = {
        "ambient 0": option(pgm.PGM_AMBIENT_SPM, u32(0)),
        "ambient huge": option(pgm.PGM_AMBIENT_SPM, u32(high)),
        "heartbeat 0": option(pgm.PGM_HEARTBEAT_SPM, u32(0)),
        "heartbeat of 33": option(pgm.PGM_HEARTBEAT_SPM, u32(*[100_000] * 33)),
        "heartbeat of none": option(pgm.PGM_HEARTBEAT_SPM, b""),
        "heartbeat with a bad one": option(pgm.PGM_HEARTBEAT_SPM, u32(100_000, 200_000, 0)),
        "back-off 0": option(pgm.PGM_NAK_BO_IVL, u32(0)),
        "back-off huge": option(pgm.PGM_NAK_BO_IVL, u32(high)),
        "repeat 0": option(pgm.PGM_NAK_RPT_IVL, u32(0)),
        "rdata 0": option(pgm.PGM_NAK_RDATA_IVL, u32(0)),
        "ncf retries 0": option(pgm.PGM_NAK_NCF_RETRIES, u32(0)),
        "ncf retries 256": option(pgm.PGM_NAK_NCF_RETRIES, u32(256)),
        "data retries 0": option(pgm.PGM_NAK_DATA_RETRIES, u32(0)),
        "data retries 256": option(pgm.PGM_NAK_DATA_RETRIES, u32(256)),
        "expiry 1 us": option(pgm.PGM_PEER_EXPIRY, u32(1)),
        "expiry huge": option(pgm.PGM_PEER_EXPIRY, u32(high)),
        "spmr 0": option(pgm.PGM_SPMR_EXPIRY, u32(0)),
        "spmr huge": option(pgm.PGM_SPMR_EXPIRY, u32(high)),
        "window of 1 packet": option(pgm.PGM_RXW_SQNS, u32(1)),
        "window of 63 packets": option(pgm.PGM_RXW_SQNS, u32(63)),
        "window of too many packets": option(pgm.PGM_RXW_SQNS, u32(131_073)),
        "rate 1": option(pgm.PGM_SEND_WINDOW, u32(1, 0, 0)),
        "rate huge": option(pgm.PGM_SEND_WINDOW, u32(high, 0, 0)),
        "late join of 76 %": option(pgm.PGM_LATEJOIN, u32(76)),
        "advance by nothing": option(pgm.PGM_WINDOW_ADV_RATE, u32(0)),
        "advance by 51 %": option(pgm.PGM_WINDOW_ADV_RATE, u32(51)),
        "advance method 0": option(pgm.PGM_WINDOW_ADV_METHOD, u32(0)),
        "advance method 2": option(pgm.PGM_WINDOW_ADV_METHOD, u32(2)),
        "advance method 4": option(pgm.PGM_WINDOW_ADV_METHOD, u32(4)),
        "packets of 255": option(pgm.PGM_MTU, u32(255)),
        "packets of 65536": option(pgm.PGM_MTU, u32(65_536)),
        "window of 1 ms": option(pgm.PGM_SEND_WINDOW, u32(0, 1, 0)),
        "window of 50 days": option(pgm.PGM_SEND_WINDOW, u32(0, high, 0)),
        "window of 1 byte": option(pgm.PGM_SEND_WINDOW, u32(0, 0, 1)),
        "window of 4 GB": option(pgm.PGM_SEND_WINDOW, u32(0, 0, high)),
    }
    with World() as world:
        sock = world.fresh()
        numbers = (*SOURCE_NUMBERS, *RECEIVER_ONLY)
        before = [pgm.get_int(sock, number) for number in numbers]
        window = sock.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW, 12)
        all_fail(sock, wrong, "EINVAL")
        ktap.equal([pgm.get_int(sock, number) for number in numbers], before)
        ktap.equal(sock.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW, 12), window)


@ktap.test
def test_options_of_the_wrong_length():
    """Too short is EINVAL; no pointer is EFAULT."""
    # attack: A-09 A-17
    with World() as world:
        sock = world.fresh()
        numbers = (*SOURCE_ONLY, *RECEIVER_ONLY, pgm.PGM_ABORT_ON_RESET, pgm.PGM_RECVRCVINFO)
        all_fail(sock, {f"3 bytes for {n}": option(n, bytes(3)) for n in numbers}, "EINVAL")
        window = pgm.PGM_SEND_WINDOW
        all_fail(sock, {"11 bytes": option(window, bytes(11))}, "EINVAL")
        null = {
            f"no value for {n}": lambda s, n=n: libc(
                "setsockopt", s.fileno(), pgm.IPPROTO_PGM, n, ctypes.c_void_p(8), 12
            )
            for n in numbers
        }
        all_fail(sock, null, "EFAULT")


@ktap.test
def test_source_options_after_connect():
    """Window and SPM timers are settled at connect(); only the rate may change."""
    with World() as world:
        source = world.source(window=(10_000, 2_000, 1_000_000))
        wrong = {
            "window time": option(pgm.PGM_SEND_WINDOW, u32(10_000, 1_000, 0)),
            "window bytes": option(pgm.PGM_SEND_WINDOW, u32(0, 0, 2_000_000)),
            "ambient": option(pgm.PGM_AMBIENT_SPM, u32(1_000_000)),
            "heartbeat": option(pgm.PGM_HEARTBEAT_SPM, u32(100_000)),
        }
        all_fail(source, wrong, "EISCONN")
        pgm.set_window(source, kbit=5_000)
        pgm.set_window(source, 6_000, 2_000, 1_000_000)
        value = source.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW, 12)
        ktap.equal(value, u32(6_000, 2_000, 1_000_000))


@ktap.test
def test_receiver_options_after_listen():
    """NAK timers are settled at listen() or the first join."""
    with World() as world:
        sets = {f"set {n}": option(n, value_of(n)) for n in RECEIVER_ONLY}
        all_fail(world.listener(), sets, "EBUSY")
        all_fail(world.datagram(), sets, "EBUSY")


@ktap.test
def test_address_in_use():
    """Receivers share a group and port only if each asks for it."""
    with World() as world:
        host = world.lan.hosts[0]
        first, second = (world.keep(pgm.pgm_socket(host)) for _ in range(2))
        first.bind(WHERE)
        all_fail(second, {"bind": lambda s: s.bind(WHERE)}, "EADDRINUSE")
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        all_fail(second, {"bind": lambda s: s.bind(WHERE)}, "EADDRINUSE")
        second.bind(OTHER)


@ktap.test
def test_no_route():
    """connect() without a route or a multicast-capable interface."""
    with net.Lan() as lan:
        host = lan.hosts[0]
        net.run("ip", "-n", host.name, "link", "set", "eth0", "down")
        with pgm.pgm_socket(host) as sock:
            try:
                sock.connect(WHERE)
            except OSError as error:
                ktap.equal(error.errno, errno.ENETUNREACH)
            else:
                raise AssertionError("it worked")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
