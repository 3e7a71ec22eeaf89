# SPDX-License-Identifier: GPL-2.0
"""sock_diag(7): dumps of all PGM sockets of a host."""

import contextlib
import socket
import struct

import pgm

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3


def request(states=0xFFFFFFFF, family=socket.AF_INET):
    """A dump of all sockets in these states."""
    body = struct.pack("=BBBBI48s", family, pgm.IPPROTO_PGM, 0, 0, states, bytes(48))
    flags = NLM_F_REQUEST | NLM_F_DUMP
    return struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, flags, 1, 0) + body


def messages(host=None, **wanted):
    """What a dump says, message by message."""
    with host or contextlib.nullcontext():
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    with sock:
        sock.settimeout(10)
        sock.send(request(**wanted))
        while True:
            data = sock.recv(1 << 16)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    code = struct.unpack_from("=i", data, 16)[0]
                    if code < 0:
                        raise OSError(-code, "sock_diag")
                    return
                yield data[16:size]
                data = data[(size + 3) & ~3 :]
