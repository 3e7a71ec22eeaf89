# SPDX-License-Identifier: GPL-2.0
"""PGM sockets from Python: the numbers of <linux/pgm.h> and sockets in their roles."""

import contextlib
import ctypes
import errno
import functools
import os
import random
import re
import socket
import struct
import subprocess
import threading

import ktap
import variant
from ktap import Skip, wait_for

IPPROTO_PGM = 113
PGM_SEND_WINDOW = 1
PGM_LATEJOIN = 3
PGM_WINDOW_ADV_RATE = 4
PGM_SENDER_STATS = 6
PGM_RECEIVER_STATS = 7
PGM_MTU = 8
PGM_MSS = 9
PGM_MESSAGE_BOUNDARY = 2
PGM_MSGSIZE_MAX = 10
PGM_WINDOW_ADV_METHOD = 1004
PGM_ADVANCE_WITH_TIME, PGM_ADVANCE_WITH_DATA = 1, 3
PGM_AMBIENT_SPM = 11
PGM_HEARTBEAT_SPM = 12
PGM_NAK_BO_IVL = 13
PGM_NAK_RPT_IVL = 14
PGM_NAK_RDATA_IVL = 15
PGM_NAK_NCF_RETRIES = 16
PGM_NAK_DATA_RETRIES = 17
PGM_PEER_EXPIRY = 18
PGM_SPMR_EXPIRY = 19
PGM_RXW_SQNS = 20
PGM_ABORT_ON_RESET = 21
PGM_PASSIVE = 22
PGM_TSI = 23
PGM_UDP_ENCAP = 24
PGM_ROUTER_ALERT = 25
PGM_GET_LOSS = 27
PGM_RESET_CODE = 28
PGM_EVENTS = 29
PGM_RCVINFO = 30
PGM_RECVRCVINFO = 30
PGM_ARRIVAL_ORDER = 31
PGM_MULTICAST_NAK = 32
PGM_RCV_SYN = 0x1
PGM_EVENT_START, PGM_EVENT_LOSS, PGM_EVENT_END, PGM_EVENT_RESET, PGM_EVENT_EXPIRY = 1, 2, 4, 8, 16
PGM_START_LATE = 0x1
MSG_NOTIFICATION = 0x8000

# <linux/wsrm.h>
RM_RATE_WINDOW_SIZE = 1001
RM_SET_MESSAGE_BOUNDARY = 1002
RM_SENDER_WINDOW_ADVANCE_METHOD = 1004
RM_SENDER_STATISTICS = 1005
RM_LATEJOIN = 1006
RM_SET_SEND_IF = 1007
RM_ADD_RECEIVE_IF = 1008
RM_DEL_RECEIVE_IF = 1009
RM_SEND_WINDOW_ADV_RATE = 1010
RM_SET_MCAST_TTL = 1012
RM_RECEIVER_STATISTICS = 1013
RM_HIGH_SPEED_INTRANET_OPT = 1014

IP_RECVTTL = 12
IP_MULTICAST_ALL = 49
MSG_EOR = socket.MSG_EOR
SO_ATTACH_FILTER = 26

# Of the case that runs: the port is another one for each, because sources outlive their close().
GROUPS = {4: "239.192.7.1", 6: "ff15::7:1"}
ANYWHERE = {4: "0.0.0.0", 6: "::"}
GROUP, ANY, PORT = GROUPS[4], ANYWHERE[4], 7500

# Repair quickly: the network of a test is microseconds long.
QUICK = {PGM_NAK_BO_IVL: 5_000, PGM_NAK_RPT_IVL: 60_000, PGM_NAK_RDATA_IVL: 120_000}

# The first 13 and 18 are those of <linux/wsrm.h>.
SENDER_FIELDS = (
    "odata_bytes bytes naks naks_outside repairs_pending naks_repeated rdata "
    "window_bytes_free trail lead rate_kbit rate_recent_kbit odata rdata_bytes ncf spm "
    "nak_sqns spmrs nnaks"
).split()
RECEIVER_FIELDS = (
    "odata rdata duplicates data_bytes bytes rate_kbit rate_recent_kbit trail lead "
    "window_sqns_avg window_sqns_min window_sqns_max nak_first missing_now outstanding "
    "buffered naks parity_naks missing repaired lost nak_sqns ncfs spms spmrs apdus "
    "recovery_ns recovery_max_ns"
).split()


def loaded():
    """Does this kernel have PGM sockets now?"""
    with open("/proc/net/protocols", encoding="ascii") as table:
        return any(line.split()[:1] == ["PGM"] for line in table)


def need_module():
    """Loads the module: PGM_KO names the file, else modprobe finds it."""
    if os.geteuid():
        raise Skip("needs root")
    if loaded():
        return
    path = os.environ.get("PGM_KO")
    command = ["insmod", path] if path else ["modprobe", "pgm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not loaded():
        raise Skip(f"no PGM module: {done.stderr.strip()}")


def need_diag():
    """Loads pgm_diag too; it goes after the last test, since it keeps the module in use."""
    need_module()
    if os.path.exists("/sys/module/pgm_diag"):
        return
    path = os.environ.get("PGM_KO")
    commands = [["modprobe", "pgm_diag"]]
    if path:
        commands = [["modprobe", "inet_diag"], ["insmod", path.replace("pgm.ko", "pgm_diag.ko")]]
    for command in commands:
        subprocess.run(command, check=True)
    unload_diag = functools.partial(subprocess.run, ["rmmod", "pgm_diag"], capture_output=True, check=False)
    stack = contextlib.ExitStack()
    stack.callback(unload_diag)
    ktap.keep(stack)


def pgm_socket(host=None, proto=IPPROTO_PGM, kind=socket.SOCK_RDM):
    """A PGM socket on a host, of the family and with the encapsulation of the case that runs."""
    with host or contextlib.nullcontext():
        sock = socket.socket(variant.now().family, kind, proto)
    if variant.now().udp:
        ports = struct.pack("!HH", variant.UNICAST, variant.MULTICAST)
        sock.setsockopt(IPPROTO_PGM, PGM_UDP_ENCAP, ports)
    return sock


def set_int(sock, option, value):
    """A 32-bit option of level IPPROTO_PGM."""
    sock.setsockopt(IPPROTO_PGM, option, struct.pack("=I", value))


def get_int(sock, option):
    """A 32-bit option of level IPPROTO_PGM."""
    return struct.unpack("=I", sock.getsockopt(IPPROTO_PGM, option, 4))[0]


def encap(ucast, mcast):
    """struct pgm_udp_encap, as set_int() and get_int() have it."""
    return struct.unpack("=I", struct.pack("!HH", ucast, mcast))[0]


def set_window(sock, kbit=0, millis=0, window_bytes=0):
    """PGM_SEND_WINDOW"""
    value = struct.pack("=III", kbit, millis, window_bytes)
    sock.setsockopt(IPPROTO_PGM, PGM_SEND_WINDOW, value)


def timeouts(sock, receive=20.0, send=20.0):
    """Kernel timeouts: the socket stays a blocking one, which settimeout() would change."""
    for option, seconds in ((socket.SO_RCVTIMEO, receive), (socket.SO_SNDTIMEO, send)):
        value = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    return sock


def _next_case():
    global GROUP, ANY, PORT
    PORT += 1
    version = variant.now().version
    GROUP, ANY = GROUPS[version], ANYWHERE[version]


ktap.before_each(_next_case)


def source(host=None, to=None, window=(20_000, 10_000, 0), options=None, **socket_options):
    """A source, connected to a group."""
    sock = timeouts(pgm_socket(host))
    if window:
        set_window(sock, *window)
    for option, value in (options or {}).items():
        set_int(sock, option, value)
    set_options(sock, socket_options)
    sock.connect(to or (GROUP, PORT))
    return sock


def listener(host=None, at=None, backlog=5, options=None, **socket_options):
    """A listener on a group. Its sessions inherit the options."""
    sock = timeouts(pgm_socket(host))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, value in (QUICK | (options or {})).items():
        set_int(sock, option, value)
    set_options(sock, socket_options)
    sock.bind(at or (GROUP, PORT))
    sock.listen(backlog)
    return sock


def datagram(host=None, at=None, interface=0, options=None):
    """A datagram-role socket that has joined its group on an interface (by number, 0: by route)."""
    sock = timeouts(pgm_socket(host))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, value in (QUICK | (options or {})).items():
        set_int(sock, option, value)
    sock.bind(at or (GROUP, PORT))
    join(sock, GROUP if at is None or at[0] == ANY else at[0], interface)
    return sock


def set_options(sock, named):
    """Options by their names: {"ip_tos": 8, "so_rcvbuf": 65536}."""
    levels = {"ip": socket.IPPROTO_IP, "ipv6": socket.IPPROTO_IPV6}
    for name, value in named.items():
        level = levels.get(name.partition("_")[0], socket.SOL_SOCKET)
        sock.setsockopt(level, getattr(socket, name.upper()), value)


def multicast(ttl=None, loop=None, interface=None):
    """How a source sends, in the options of its family: `source(host, **multicast(ttl=7))`."""
    if variant.now().version == 4:
        where = None if interface is None else struct.pack("=4x4xi", interface)
        wanted = {"ip_multicast_ttl": ttl, "ip_multicast_loop": loop, "ip_multicast_if": where}
    else:
        wanted = {
            "ipv6_multicast_hops": ttl,
            "ipv6_multicast_loop": loop,
            "ipv6_multicast_if": interface,
        }
    return {name: value for name, value in wanted.items() if value is not None}


def join(sock, group=None, interface=0, leave=False):
    """IP_ADD_MEMBERSHIP or IPV6_JOIN_GROUP on an interface, by number (0: by route), or the end."""
    group = group or GROUP
    if ":" in group:
        option = socket.IPV6_LEAVE_GROUP if leave else socket.IPV6_JOIN_GROUP
        value = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=i", interface)
        sock.setsockopt(socket.IPPROTO_IPV6, option, value)
    else:
        option = socket.IP_DROP_MEMBERSHIP if leave else socket.IP_ADD_MEMBERSHIP
        value = socket.inet_aton(group) + struct.pack("=4xi", interface)
        sock.setsockopt(socket.IPPROTO_IP, option, value)


def accept(listening):
    """A session with generous timeouts."""
    session, peer = listening.accept()
    timeouts(session)
    return session, peer


def attach_filter(sock, *program):
    """SO_ATTACH_FILTER with classic BPF instructions."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    value = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, value)


def reset_close(sock):
    """close() that resets the session."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
    sock.close()


def stats(sock):
    """PGM_SENDER_STATS or PGM_RECEIVER_STATS as a dictionary."""
    for option, fields in (
        (PGM_SENDER_STATS, SENDER_FIELDS),
        (PGM_RECEIVER_STATS, RECEIVER_FIELDS),
    ):
        try:
            value = sock.getsockopt(IPPROTO_PGM, option, 8 * len(fields))
        except OSError as error:
            if error.errno not in (errno.ENOPROTOOPT, errno.ENOTCONN):
                raise
            continue
        return dict(zip(fields, struct.unpack(f"={len(value) // 8}Q", value)))
    raise AssertionError("neither a source nor a receiver")


def tsi(sock):
    """PGM_TSI as bytes."""
    return sock.getsockopt(IPPROTO_PGM, PGM_TSI, 8)


def loss(sock):
    """PGM_GET_LOSS: (tsi, first, count)"""
    value = sock.getsockopt(IPPROTO_PGM, PGM_GET_LOSS, 16)
    return value[:8], *struct.unpack("=II", value[8:])


def rcvinfo(ancillary):
    """The PGM_RCVINFO among control messages: (tsi, sqn, flags), or None."""
    for level, kind, data in ancillary:
        if (level, kind) == (IPPROTO_PGM, PGM_RCVINFO):
            return data[:8], *struct.unpack("=II", data[8:16])
    return None


def arrivals(sock, size=1 << 17):
    """Each message up to the end of the session (FIN)."""
    while True:
        data, _, flags, _ = sock.recvmsg(size)
        if not data and not flags & MSG_EOR:
            return
        yield data


def receive_all(sock, size=1 << 17):
    """All of them."""
    return list(arrivals(sock, size))


def messages(count, sizes=(1, 1400), seed=1):
    """Messages that cannot be mistaken for each other: a number, then noise."""
    rng = random.Random(seed)
    return [
        struct.pack("!I", n) + rng.randbytes(max(0, rng.randint(*sizes) - 4)) for n in range(count)
    ]


def same(got, sent):
    """Fails with the first difference rather than with megabytes of both."""
    for n, (one, other) in enumerate(zip(got, sent)):
        if one != other:
            number = struct.unpack("!I", one[:4])[0] if len(one) >= 4 else None
            raise AssertionError(
                f"message {n}: got {len(one)} bytes of message {number}, wanted {len(other)} bytes"
            )
    assert len(got) == len(sent), f"got {len(got)} messages, wanted {len(sent)}"


class Background(threading.Thread):
    """A function in a thread; result() returns what it returned or raises what it raised."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function, self.args = function, args
        self.value = self.error = None
        self.start()

    def run(self):
        try:
            self.value = self.function(*self.args)
        except BaseException as error:  # noqa: BLE001 # handed on by result()
            self.error = error

    def sleeps(self):
        """Does it wait for something?"""
        with open(f"/proc/self/task/{self.native_id}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"

    def result(self, timeout=50):
        """Waits for the end of the thread."""
        timeout *= ktap.SLOW
        self.join(timeout)
        if self.is_alive():
            raise AssertionError(f"{self.function.__name__} is still running after {timeout} s")
        if self.error:
            raise self.error
        return self.value


def in_use():
    """How often sockets of all namespaces, lingering ones included, hold the module."""
    with open("/sys/module/pgm/refcnt", encoding="ascii") as file:
        return int(file.read())


def no_socket(but=0, timeout=60):
    """Waits until no socket is left in any namespace, but for so many."""
    wait_for(lambda: in_use() <= but, "no socket is left", timeout)


def accounted():
    """(sockets of this namespace, pages of all) as /proc/net/protocols has them."""
    with open("/proc/thread-self/net/protocols", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[:1] == ["PGM"]:
                return int(words[2]), int(words[3])
    raise AssertionError("no PGM line in /proc/net/protocols")


def unload(timeout=30):
    """rmmod, as soon as nothing uses the module any more."""

    def gone():
        done = subprocess.run(["rmmod", "pgm"], capture_output=True, text=True, check=False)
        assert not done.returncode or re.search("in use|unavail", done.stderr), done.stderr
        return not done.returncode

    wait_for(gone, "the module can be removed", timeout, 0.1)
