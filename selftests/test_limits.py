#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Ceilings of a namespace, made-up sessions, floods of NAKs, and memory cgroups."""

import contextlib
import ctypes
import errno
import mmap
import os
import random
import signal
import socket
import struct
import sys
import time
import warnings

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import slab
import wire
from probe import Probe, nak_list, session_of

DEFAULTS = {
    "peers_max": 1_024,
    "announced_max": 64,
    "sessions_max": 16_384,
    "nak_states_max": 262_144,
    "pieces_max": 131_072,
    "receive_kib_max": 524_288,
    "send_kib_max": 524_288,
}
CGROUP = "/sys/fs/cgroup"
LIMIT = 96 << 20  # of a cgroup
MCL_CURRENT, MCL_FUTURE = 1, 2
SYS_BPF = 321
BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8
BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS = 8, 0
SO_SNDBUFFORCE = 32


@contextlib.contextmanager
def ceilings(host, **values):
    """Other ceilings for a while."""
    for name, value in values.items():
        host.sysctl(f"net/pgm/{name}", value)
    try:
        yield
    finally:
        for name in values:
            host.sysctl(f"net/pgm/{name}", DEFAULTS[name])


@contextlib.contextmanager
def receiver():
    """(host, datagram socket, probe on another host)"""
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.datagram(lan.hosts[1]) as sock,
    ):
        yield lan.hosts[1], sock, probe


def rises(host, name, act):
    """What act() does to a counter."""
    before = host.counters()[name]
    act()
    with contextlib.suppress(AssertionError):
        ktap.wait_for(lambda: host.counters()[name] > before, name, 2)
    return host.counters()[name] - before


def prove(sock, *sources):
    """These sources become sessions that are proven; their next packet is 2."""
    for source in sources:
        source.odata(0, b"0")
        ktap.equal(sock.recv(10), b"0")
    time.sleep(1.05)  # this is what proves them
    for source in sources:
        source.odata(1, b"1")
        ktap.equal(sock.recv(10), b"1")


def fragment(first, offset, total):
    """OPT_FRAGMENT"""
    return wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, offset, total))


@ktap.test
def test_sessions():
    """sessions_max: who is not proven gives way, who is does not, and new ones are refused."""
    # req: RCV-26
    # attack: A-14
    with receiver() as (host, sock, probe), ceilings(host, sessions_max=3):
        real = [probe.source() for _ in range(3)]
        for source in real:
            source.odata(0, b"first")
            ktap.equal(sock.recv(10), b"first")
        # None of them is proven: the first gives way.
        other = probe.source()
        ktap.equal(rises(host, "SessionsEvicted", lambda: other.odata(0, b"other")), 1)
        ktap.equal(sock.recv(10), b"other")
        ktap.equal(len([row for row in host.rows("receivers") if row["role"] == "peer"]), 3)
        kept = [*real[1:], other]
        time.sleep(1.05)
        for source in kept:
            source.odata(1, b"again")
            ktap.equal(sock.recv(10), b"again")
        refused = rises(
            host, "InDiscardSessionCeiling", lambda: probe.source().odata(0, b"too many")
        )
        ktap.equal(refused, 1)
        for source in kept:
            source.odata(2, b"still here")
            ktap.equal(sock.recv(20), b"still here")
        host.sysctl("net/pgm/sessions_max", 4)
        probe.source().odata(0, b"one more")
        ktap.equal(sock.recv(10), b"one more")


@ktap.test
def test_listeners():
    """sessions_max: a listener gives up what was only announced, never what was accepted."""
    # attack: A-14
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        pgm.listener(lan.hosts[1]) as listening,
        ceilings(lan.hosts[1], sessions_max=2),
    ):
        host, source = lan.hosts[1], probe.source()
        source.spm(1, 0)
        source.odata(1, b"mine", trail=1)
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(session.recv(10), b"mine")
            probe.source().spm(1, 0)
            evicted = rises(host, "SessionsEvicted", lambda: probe.source().spm(1, 0))
            ktap.equal(evicted, 1)
            host.sysctl("net/pgm/sessions_max", 1)
            probe.source().spm(1, 0)  # takes the place of the other one
            listed = [row["role"] for row in host.rows("receivers")]
            assert listed.count("session") <= 2, listed
            source.odata(2, b"still mine", trail=1)
            ktap.equal(session.recv(20), b"still mine")


@ktap.test
def test_announced():
    """announced_max: the source that announced itself first is forgotten, until it sends again."""
    # attack: A-14
    with (
        net.shared() as lan,
        Probe(lan.hosts[0], pgm.PORT) as probe,
        ceilings(lan.hosts[1], announced_max=2),
        pgm.listener(lan.hosts[1]) as listening,
    ):
        host, sources = lan.hosts[1], [probe.source() for _ in range(3)]

        def announce():
            for source in sources:
                source.spm(1, 0)

        ktap.equal(rises(host, "SessionsEvicted", announce), 1)
        ktap.equal([row["announced"] for row in host.rows("receivers") if row["role"] == "listener"], ["2"])
        for source in sources:
            source.odata(1, b"data", trail=1)
            with pgm.accept(listening)[0] as session:
                ktap.equal(session.recv(10), b"data")


@ktap.test
def test_nak_states():
    """nak_states_max: forged edges get a half, and what is proven the rest."""
    # attack: A-14
    def states():
        names = "back_off", "wait_ncf", "wait_data"
        return {row["tsi"]: sum(int(row[name]) for name in names) for row in host.rows("receivers")}

    with receiver() as (host, sock, probe), ceilings(host, nak_states_max=100):
        real = probe.source()
        prove(sock, real)

        def forge():
            for _ in range(3):
                forged = probe.source()
                forged.spm(0, 5)
                forged.spm(0, 5_000)

        assert rises(host, "NakStatesRefused", forge) > 0
        ktap.equal(sum(states().values()), 50)
        real.spm(0, 80)
        ktap.wait_for(lambda: sum(states().values()) == 100, "the rest is used")
        for sqn in range(2, 81):
            real.odata(sqn, b"x")
            sock.recv(10)
        ktap.wait_for(lambda: sum(states().values()) == 50, "it is given back")


@ktap.test
def test_pieces():
    """pieces_max: parts of messages that are not whole."""
    # attack: A-14
    with receiver() as (host, sock, probe), ceilings(host, pieces_max=64):
        real = probe.source()
        prove(sock, real)
        forged = probe.source()
        for n in range(32):
            forged.odata(n, b"12345678", fragment(0, 8 * n, 400))
        refused = rises(
            host,
            "InDiscardPieceCeiling",
            lambda: forged.odata(32, b"12345678", fragment(0, 256, 400)),
        )
        ktap.equal(refused, 1)
        for n in range(3):
            real.odata(2 + n, b"abcdefgh", fragment(2, 8 * n, 24))
        ktap.equal(sock.recv(100), b"abcdefgh" * 3)


@ktap.test
def test_receive_memory():
    """receive_kib_max: what sessions that are not proven hold leaves room for the others."""
    # attack: A-14
    with receiver() as (host, sock, probe), ceilings(host, receive_kib_max=256):
        real = probe.source()
        prove(sock, real)
        forged = probe.source()
        forged.spm(1, 0)

        def flood():
            for n in range(2, 300):  # 1 is missing: all of this is held, and nothing delivered
                forged.odata(n, bytes(1_000))

        assert rises(host, "InDiscardMemoryCeiling", flood) > 50
        held = sum(int(row["memory"]) for row in host.rows("receivers") if row["role"] == "datagram")
        assert 64 << 10 < held <= 128 << 10, held
        for n in range(2, 50):
            real.odata(n, bytes(1_000))
            ktap.equal(len(sock.recv(2_000)), 1_000)


@ktap.test
def test_send_memory():
    """send_kib_max: ENOBUFS for messages and for pieces of them, until there is room."""
    # attack: A-14
    with net.shared() as lan, ceilings(lan.hosts[0], send_kib_max=256):
        host = lan.hosts[0]
        refused = host.counters()["SendsRefused"]
        with pgm.source(host, window=(100_000, 60_000, 4 << 20)) as source:
            sent = 0
            try:
                for _ in range(300):
                    source.send(bytes(2_000))
                    sent += 1
            except OSError as error:
                ktap.equal(error.errno, errno.ENOBUFS)
            assert 100 <= sent <= 131, sent
            try:
                source.send(bytes(8_000), socket.MSG_MORE)
                raise AssertionError("a piece was taken")
            except OSError as error:
                ktap.equal(error.errno, errno.ENOBUFS)
            ktap.equal(host.counters()["SendsRefused"] - refused, 2)
            host.sysctl("net/pgm/send_kib_max", 1_024)
            source.send(bytes(2_000))
            host.sysctl("net/pgm/send_kib_max", 64)
            pgm.reset_close(source)
        # What it held is given back.
        with pgm.source(host) as source:
            source.send(bytes(20_000))
            pgm.reset_close(source)


@ktap.test
def test_closed_sources():
    """closed_max: no descriptor bounds closed sources; one too many breaks its session off, and says so."""
    # attack: A-14
    # On hosts where no closed source of another case goes on.
    with net.Lan() as lan, pgm.listener(lan.hosts[1]) as listening:
        host = lan.hosts[0]
        host.sysctl("net/pgm/closed_max", 2)

        def ends(count):
            sources = [pgm.source(host, window=(20_000, 3_000, 0)) for _ in range(count)]
            sessions = []
            for source in sources:
                source.send(b"x")
                sessions.append(pgm.accept(listening)[0])
                ktap.equal(sessions[-1].recv(10), b"x")
            for source in sources:
                source.close()
            for session in sessions:
                with session:
                    try:
                        ktap.equal(session.recv(10), b"")
                        yield "FIN"
                    except ConnectionResetError:
                        yield "RST"

        cut = host.counters()["SourcesCut"]
        ktap.equal(list(ends(4)), ["FIN", "FIN", "RST", "RST"])
        ktap.equal(host.counters()["SourcesCut"] - cut, 2)
        ktap.equal(len(host.rows("sources")), 2)
        ktap.wait_for(lambda: not host.rows("sources"), "they end")
        ktap.equal(list(ends(1)), ["FIN"], "their places are free again")


@ktap.test
def test_receive_buffer():
    """What nobody reads takes SO_RCVBUF, repairs that wait for an older one twice that; then the oldest comes in still."""
    # attack: A-14
    with receiver() as (host, sock, probe):
        source, last, slack = probe.source(), 401, 8 << 10
        prove(sock, source)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        limit = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

        def fill(send, numbers, bound):
            def dropped():
                return host.counters()["InDiscardReceiveBuffer"] - before

            before = host.counters()["InDiscardReceiveBuffer"]
            for n in numbers:
                send(n, b"%d" % n + bytes(1_000))
            ktap.wait_for(dropped, "no more fits")
            rows = host.rows("receivers")
            held = sum(int(row["memory"]) for row in rows if row["role"] == "datagram")
            assert bound - slack < held <= bound + slack, f"{held} bytes, wanted {bound}"

        def read(first):
            with contextlib.suppress(BlockingIOError):
                while True:
                    ktap.equal(sock.recv(2_000, socket.MSG_DONTWAIT), b"%d" % first + bytes(1_000))
                    first += 1
            return first

        fill(source.odata, range(2, last), limit)
        first = read(2)
        source.spm(0, last)
        fill(source.rdata, range(first + 1, last), 2 * limit)
        ktap.equal(read(first), first, "one is missing before all others")
        source.rdata(first, b"%d" % first + bytes(1_000))
        for n in range(first, first + (first - 2) * 3 // 2):
            ktap.equal(sock.recv(2_000), b"%d" % n + bytes(1_000))


@ktap.test(timeout=60)
def test_made_up_sessions():
    """Hundreds of TSIs cost no more than the table, and no message of a real source."""
    # req: SEC-03
    # attack: A-14
    with net.shared() as lan, ceilings(lan.hosts[1], peers_max=100), receiver() as (host, sock, probe):
        real = probe.source()
        prove(sock, real)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

        def flood(count):
            for n in range(count):
                source = probe.source()
                source.session.address = f"10.77.1.{n % 250}"
                if n % 3 == 0:
                    source.odata(7, b"forged")
                elif n % 3 == 1:
                    source.spm(0, 5)
                else:
                    source.odata(0, b"forged", fragment(0, 0, 100))
                if n % 20 == 0:
                    real.odata(real.next, b"real %d" % real.next)
                    real.next += 1

        def read():
            got = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    got.append(sock.recv(100, socket.MSG_DONTWAIT))
            return got

        real.next = 2
        flood(200)  # the table is full, and all caches warm
        got = read()
        probe.poll()  # or the packets wait in its capture
        before, counted = slab.exactly_used(), host.counters()
        flood(800)
        ktap.wait_for(lambda: (got.extend(read()), b"real 51" in got)[1], "the last of them")
        ktap.equal(
            [m for m in got if m.startswith(b"real")],
            [b"real %d" % n for n in range(2, real.next)],
        )
        peers = [row for row in host.rows("receivers") if row["role"] == "peer"]
        assert len(peers) == 100, len(peers)
        assert host.counters()["SessionsEvicted"] - counted["SessionsEvicted"] >= 790
        probe.poll()
        grown = slab.returns_to(before, 800 << 10)  # a kilobyte each would be a leak
        ktap.note(f"slabs grew by {grown} bytes")


@ktap.test(timeout=60)
def test_nak_flood():
    """Forged NAKs for all that was sent, as fast as they can be made: data keeps its half."""
    # req: SRC-07 SRC-18
    # attack: A-15
    with net.shared() as lan, Probe(lan.hosts[1], pgm.PORT) as probe:
        with pgm.source(lan.hosts[0], window=(800, 60_000, 0)) as source:  # 100 kB/s
            session = session_of(source, lan.hosts[0])
            for _ in range(50):
                source.send(bytes(1_000))
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 50, "all was sent")
            data = [
                session.nak(wire.NAK, n, *nak_list([m % 50 for m in range(n + 1, n + 50)]))
                for n in range(50)
            ]
            for _ in range(30):
                source.send(bytes(1_000))
            before, began = pgm.stats(source), time.monotonic()
            after, count = before, 0
            # What is repaired when no data waits any more is no matter.
            while (now := pgm.stats(source))["odata"] < 80:
                after = now
                for packet in data:
                    probe.send(packet, lan.hosts[0].address, alert=False)
                count += len(data)
                assert time.monotonic() - began < 20, now
            sent, repairs = (after[name] - before[name] for name in ("odata", "rdata"))
            ktap.note(f"{count} NAKs of 50 numbers: {repairs} repairs beside {sent} of 30 messages")
            assert count >= 100, count
            # They alternate; what waits for its turn at an edge may be one more.
            assert repairs <= sent + 2, repairs
            pgm.reset_close(source)


@contextlib.contextmanager
def cgroup(limit):
    """A memory cgroup with a limit; its path."""
    if not os.path.exists(f"{CGROUP}/cgroup.controllers"):
        net.run("mount", "-t", "cgroup2", "none", CGROUP)
    with open(f"{CGROUP}/cgroup.subtree_control", "w", encoding="ascii") as file:
        file.write("+memory")
    path = f"{CGROUP}/pgm-{os.getpid()}"
    os.mkdir(path)
    try:
        with open(f"{path}/memory.max", "w", encoding="ascii") as file:
            file.write(str(limit))
        yield path
    finally:
        ktap.wait_for(lambda: not read(path, "cgroup.procs"), "its processes are gone")
        os.rmdir(path)


def read(path, name):
    """A file of a cgroup."""
    with open(f"{path}/{name}", encoding="ascii") as file:
        return file.read()


def fields(path, name):
    """A file of names and numbers."""
    return {line.split()[0]: int(line.split()[1]) for line in read(path, name).splitlines()}


class Inmate:
    """A process of its own in a cgroup, which runs act() and then waits; leave() ends it."""

    def __init__(self, path, act):
        # Not a pipe: the page that it takes for a write may be the one too many.
        page = mmap.mmap(-1, mmap.PAGESIZE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other threads: none of them holds a lock of ours
            self.pid = os.fork()
        if self.pid == 0:
            try:
                with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
                    file.write(str(os.getpid()))
                answer = act().encode()
                page[1 : 1 + len(answer)] = answer
                page[0] = 1
                signal.pause()
            finally:
                os._exit(0)
        ktap.wait_for(lambda: page[0], "the process has done it", 50)
        self.answer = page[1:].rstrip(b"\0").decode()

    def leave(self):
        """SIGKILL"""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@ktap.test(timeout=60)
def test_cgroup_of_a_source():
    """A source that fills its memory cgroup gets ENOBUFS; another cgroup's transfer goes on."""
    # attack: A-14
    def fill():
        # All of the process is in memory, or it would be killed for want of a page of its own.
        ktap.equal(ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE), 0)
        source = pgm.source(lan.hosts[0], window=(100_000, 3_600_000, 128 << 20))
        source.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 30)
        message, sent = bytes(20_000), 0
        try:
            while sent < 120 << 20:
                source.send(message)
                sent += len(message)
        except OSError as error:
            return f"{errno.errorcode[error.errno]} {sent}"
        return f"nothing {sent}"

    with net.shared() as lan, cgroup(LIMIT) as path:
        inmate = Inmate(path, fill)
        try:
            name, sent = inmate.answer.split()
            ktap.note(f"{name} after {sent} bytes, {read(path, 'memory.current').strip()} in use")
            ktap.equal(name, "ENOBUFS")
            assert 4 << 20 < int(sent) < LIMIT, sent
            ktap.equal(fields(path, "memory.events")["oom_kill"], 0)
            # What softirqs charge may exceed it a little.
            assert int(read(path, "memory.current")) <= LIMIT + (1 << 20)
            pgm.PORT += 100
            with pgm.listener(lan.hosts[1]) as listening, pgm.source(lan.hosts[0]) as source:
                source.send(b"elsewhere")
                session, _ = pgm.accept(listening)
                with session:
                    ktap.equal(session.recv(20), b"elsewhere")
        finally:
            inmate.leave()


def accepting(path, lan, source):
    """Somebody in a cgroup who has accepted a session of the source, and keeps it."""
    kept = []

    def take():
        with pgm.listener(lan.hosts[1]) as listening:
            session, _ = pgm.accept(listening)
        kept.append(session)
        ktap.equal(session.recv(10), b"first")
        return "accepted"

    def feed():
        while not kept:
            source.send(b"first")
            time.sleep(0.1)

    feeder = pgm.Background(feed)
    inmate = Inmate(path, take)
    kept.append(inmate)
    feeder.result()
    return inmate


@ktap.test(timeout=60)
def test_cgroup_of_a_receiver():
    """What a session holds is charged to the cgroup of who accepted it, and given back."""
    # attack: A-14
    with net.shared() as lan, cgroup(64 << 20) as path:
        source = pgm.source(lan.hosts[0])
        inmate = accepting(path, lan, source)
        try:
            ktap.equal(inmate.answer, "accepted")
            for _ in range(100):
                source.send(bytes(random.randint(5_000, 10_000)))
            ktap.wait_for(lambda: fields(path, "memory.stat")["sock"] > 500_000, "the charge")
        finally:
            inmate.leave()
            pgm.reset_close(source)
        ktap.wait_for(lambda: fields(path, "memory.stat")["sock"] < 50_000, "it is given back")


def bpf(command, attributes):
    """bpf(2)"""
    attributes = attributes.ljust(128, b"\0")
    result = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, command, attributes, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def refuse_all(path):
    """Attaches a filter to a cgroup that lets none of its sockets receive anything."""
    # r0 = 0; exit
    program = ctypes.create_string_buffer(b"\xb7" + bytes(7) + b"\x95" + bytes(7), 16)
    license_ = ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(program), ctypes.addressof(license_)
    loaded = bpf(BPF_PROG_LOAD, struct.pack("=IIQQ", BPF_PROG_TYPE_CGROUP_SKB, 2, *where))
    group = os.open(path, os.O_RDONLY)
    bpf(BPF_PROG_ATTACH, struct.pack("=IIII", group, loaded, BPF_CGROUP_INET_INGRESS, 0))
    os.close(group)
    os.close(loaded)


@ktap.test(timeout=60)
def test_cgroup_of_a_session():
    """The filter of a cgroup is that of the sessions of its listeners, whoever made them."""
    # attack: A-24
    def refused():
        return lan.hosts[1].counters()["InDiscardFiltered"]

    with net.shared() as lan, cgroup(64 << 20) as path, pgm.source(lan.hosts[0]) as source:
        inmate = accepting(path, lan, source)
        try:
            ktap.equal(inmate.answer, "accepted")
            before = refused()
            refuse_all(path)
            source.send(b"second")
            ktap.wait_for(lambda: refused() > before, "the filter refuses it")
        finally:
            inmate.leave()


if __name__ == "__main__":
    ktap.main(pgm.need_module)
