#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""sock_diag(7): PGM sockets as pgm_diag.ko shows them."""

import contextlib
import ipaddress
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import diag
import ktap
import net
import pgm

LISTEN = 10  # TCP_LISTEN
INET_DIAG_MESSAGE = struct.Struct("=BBBB 2s2s16s16sI8s IIIII")

ATTRIBUTES = {64: "socket", 65: "sender", 66: "receiver"}
ROLES = {1: "source", 2: "listener", 3: "session", 4: "datagram", 5: "peer"}
SOCKET = struct.Struct("=BB2sHH8s16s16s12I")
NUMBERS = (
    "ifindex sessions announced rate_kbit queued_sqns queued_bytes back_off wait_ncf wait_data "
    "receive_memory receive_limit send_memory"
).split()


def attributes(data):
    """{name: bytes} of the attributes that we know."""
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        found[ATTRIBUTES.get(kind, kind)] = data[4:size]
        data = data[(size + 3) & ~3 :]
    return found


def row(data):
    """One message as a dictionary."""
    head = INET_DIAG_MESSAGE.unpack_from(data)
    found = attributes(data[INET_DIAG_MESSAGE.size :])
    role, flags, port, family, zero, tsi, group, source, *numbers = SOCKET.unpack(found["socket"])
    ktap.equal((family, zero), (socket.AF_INET, 0))
    return {
        "role": ROLES[role],
        "flags": flags,
        "port": int.from_bytes(port, "big"),
        "tsi": tsi,
        "group": str(ipaddress.IPv4Address(group[:4])),
        "source": str(ipaddress.IPv4Address(source[:4])),
        "state": head[1],
        "rqueue": head[11],
        "wqueue": head[12],
        "uid": head[13],
        "inode": head[14],
        **dict(zip(NUMBERS, numbers)),
        **{name: found[name] for name in ("sender", "receiver") if name in found},
    }


def dump(host, **wanted):
    """The rows of a host."""
    return [row(message) for message in diag.messages(host, **wanted)]


def only(rows, **wanted):
    """The one row like this."""
    found = [one for one in rows if all(one[name] == value for name, value in wanted.items())]
    ktap.equal(len(found), 1, f"rows with {wanted} among {rows}")
    return found[0]


@ktap.test
def test_sockets():
    """Every socket and session, with its names, its numbers and its owner."""
    with net.shared() as lan, contextlib.ExitStack() as stack:
        here, there = lan.hosts
        listening = stack.enter_context(pgm.listener(there))
        datagram = stack.enter_context(pgm.datagram(there))
        source = stack.enter_context(pgm.source(here))
        source.send(bytes(4000))
        session, _ = pgm.accept(listening)
        stack.enter_context(session)
        ktap.equal(len(datagram.recv(5000)), 4000)

        names = {"group": pgm.GROUP, "port": pgm.PORT, "source": here.address}
        names["tsi"] = pgm.tsi(source)
        rows = dump(here)
        sent = only(rows, role="source", **names)
        ktap.equal(sent["inode"], os.fstat(source.fileno()).st_ino)
        ktap.equal((sent["uid"], sent["rate_kbit"], sent["wqueue"]), (0, 20_000, 0))
        counters = struct.unpack(f"={len(sent['sender']) // 8}Q", sent["sender"])
        shown = dict(zip(pgm.SENDER_FIELDS, counters, strict=True))
        told = pgm.stats(source)
        # Time goes on between the two, and SPMs with it.
        for name in ("odata", "odata_bytes", "rdata", "trail", "lead", "window_bytes_free"):
            ktap.equal(shown[name], told[name], name)
        ktap.equal(len(rows), 1)

        rows = dump(there)
        line = only(rows, role="listener")
        ktap.equal((line["group"], line["port"]), (pgm.GROUP, pgm.PORT))
        ktap.equal(line["inode"], os.fstat(listening.fileno()).st_ino)
        for role, sock in (("session", session), ("peer", datagram)):
            got = only(rows, role=role, **names)
            ktap.equal(got["inode"], os.fstat(sock.fileno()).st_ino, role)
            assert "sender" not in got, got
        # What the session did not read is charged to it.
        unread = only(rows, role="session")
        assert unread["rqueue"] == unread["receive_memory"] >= 4000, unread
        ktap.equal(only(rows, role="datagram")["sessions"], 1)
        ktap.equal([one["role"] for one in dump(there, states=1 << LISTEN)], ["listener"])
        ktap.equal(dump(there, family=socket.AF_INET6), [])


@ktap.test
def test_many_sessions():
    """A dump that needs more than one buffer has every session once."""
    with net.shared() as lan, contextlib.ExitStack() as stack:
        here, there = lan.hosts
        receiver = stack.enter_context(pgm.datagram(there))
        sources = [stack.enter_context(pgm.source(here)) for _ in range(120)]
        for source in sources:
            source.send(b"x")
        for _ in sources:
            ktap.equal(receiver.recv(10), b"x")
        wanted = sorted(pgm.tsi(source) for source in sources)
        listed = [one["tsi"] for one in dump(here) if not one["flags"]]
        ktap.equal(sorted(listed), wanted)
        listed = [one["tsi"] for one in dump(there) if one["role"] == "peer"]
        ktap.equal(sorted(listed), wanted)


@ktap.test
def test_module_in_use():
    """pgm.ko stays as long as pgm_diag.ko uses it; both can be removed."""
    # attack: A-08 A-25
    done = subprocess.run(["rmmod", "pgm"], capture_output=True, text=True, check=False)
    assert "in use by: pgm_diag" in done.stderr, done.stderr
    net.run("rmmod", "pgm_diag")
    with net.shared() as lan:
        try:
            rows = dump(lan.hosts[0])
        except FileNotFoundError:
            return
        # Without PGM_KO, the kernel loads the installed module on demand.
        assert not os.environ.get("PGM_KO"), rows


if __name__ == "__main__":
    ktap.main(pgm.need_diag)
