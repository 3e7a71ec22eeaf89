#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What goes away in mid-transfer, again and again, leaves nothing behind.

PGM_ROUNDS says how often; without it, a few times.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import pathlib
import random
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import diag
import ktap
import net
import pgm
import slab
import variant
import wire
from module import Module
from traffic import LIBC, MESSAGE, WINDOW, Child, drink, exchange, killed_in_turn, stream

ROUNDS = int(os.environ.get("PGM_ROUNDS", "0"))
KILOBYTES = 512  # that per-CPU lists may keep; and less than a byte for each of many rounds


def churn(usual, **how):
    """Marks a case of so many rounds; they are its argument."""
    rounds = ROUNDS or usual

    def mark(function):
        name = function.__name__.removeprefix("test_")
        ktap.test(timeout=60 + rounds, name=name, **how)(functools.partial(function, rounds))
        return function

    return mark


def held():
    """Bytes in slabs, as soon as the sockets that were closed are gone."""
    pgm.no_socket()
    slab.drop_caches()
    names = ("PGM", "kmalloc-", "skbuff_", "net_namespace")
    return sum(size for name, size in slab.exactly_used(names).items() if name.startswith(names))


@contextlib.contextmanager
def flat():
    """What happens inside leaves no socket, and no memory worth the name."""
    before = held()
    yield
    # Namespaces end in the background.
    ktap.wait_for(lambda: held() - before < KILOBYTES << 10, "memory is free again", 20, 0.2)
    ktap.note(f"{held() - before:+} bytes")


# --- the module first: later cases keep pgm_diag loaded


def open_and_close(host):
    """Sockets in haste, whether there is a module or not."""
    group = wire.packed(pgm.GROUP)
    with host:
        while True:
            # No source: it would linger, and keep the module.
            with contextlib.suppress(OSError), pgm.pgm_socket() as sock:
                sock.bind((pgm.GROUP, pgm.PORT))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + bytes(4))
                pgm.timeouts(sock, 0.01).recv(100)
            time.sleep(random.expovariate(50))


def send_raw(host):
    """Packets of the protocol on the wire, whoever listens."""
    with host, socket.socket(socket.AF_INET, socket.SOCK_RAW, pgm.IPPROTO_PGM) as raw:
        session = wire.Session(host.address, pgm.GROUP, pgm.PORT)
        for sqn in range(1 << 30):
            raw.sendto(session.data(wire.ODATA, sqn, 0, b"x"), (pgm.GROUP, 0))


@churn(2)
def test_module_comes_and_goes(rounds):
    """Load while sockets are made and packets come; unload right after their close()."""
    # attack: A-13 A-25
    module, loads, busy = Module(), 0, 0
    with net.shared() as lan, contextlib.ExitStack() as stack:
        helper = pathlib.Path("/proc/sys/kernel/modprobe")
        program = helper.read_text(encoding="ascii")
        helper.write_text("\n", encoding="ascii")  # a failing socket() starts no program
        stack.callback(helper.write_text, program, encoding="ascii")
        for child in (
            Child(open_and_close, lan.hosts[1]),
            Child(open_and_close, lan.hosts[0]),
            Child(send_raw, lan.hosts[0]),
        ):
            stack.callback(child.kill)
        deadline = time.monotonic() + 30 + rounds
        while loads < rounds:
            assert time.monotonic() < deadline, f"only {loads} loads"
            if module.unload():
                error = module.load()
                assert not error, os.strerror(error)
                loads += 1
            else:
                busy += 1
                time.sleep(0.001)
    ktap.note(f"{loads} times, {busy} times busy")
    if not pgm.loaded():
        ktap.equal(module.load(), 0)
    with net.shared() as lan:
        exchange(lan)


# --- namespaces, processes, interfaces, addresses


def inhabit(how):
    """A namespace of its own with an open transfer and armed timers, then a sudden end."""
    if LIBC.unshare(net.CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    route = {
        4: "route add 224.0.0.0/4 dev lo",
        6: "route add local ff00::/8 dev lo table local",
    }[variant.now().version]
    net.run("ip", "-batch", "-", input=f"link set lo up\n{route}\n")
    listening, bus, source = pgm.listener(), pgm.datagram(), pgm.source(window=WINDOW)
    for _ in range(20):
        source.send(bytes(3000))
    session, _ = pgm.accept(listening)
    ktap.equal((len(session.recv(4000)), len(bus.recv(4000))), (3000, 3000))
    waits = pgm.source(window=WINDOW)  # it announced itself only
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "closed":
        for sock in (source, waits, session, listening, bus):
            sock.close()


@churn(3, variants=variant.ALL)
def test_namespace_goes(rounds):
    """A namespace ends with everything open, killed or closed; sources linger in it."""
    # attack: A-13
    hows = {"left": 0, "killed": -signal.SIGKILL, "closed": 0}
    with flat():
        for n in range(rounds):
            how, status = list(hows.items())[n % len(hows)]
            ktap.equal(Child(inhabit, how).wait(), status, how)


@churn(12)
def test_processes_are_killed(rounds):
    """SIGKILL of the sender, of the receiver, or of both."""
    with net.shared() as lan:
        exchange(lan)
        with flat():
            killed_in_turn(lan, rounds, lambda: time.sleep(random.uniform(0.01, 0.1)))
        exchange(lan)


def second_cable(lan):
    """eth1 at both hosts."""
    one, two = lan.hosts
    net.run(
        *("ip", "-n", one.name, "-batch", "-"),
        input=f"link add eth1 type veth peer name eth1 netns {two.name}\n"
        "addr add 10.78.0.1/24 dev eth1\nlink set eth1 up\n",
    )
    net.run("ip", "-n", two.name, "-batch", "-", input="link set eth1 up\n")


def try_to(call):
    """Calls until it fails."""
    with contextlib.suppress(OSError):
        while call():
            pass


@churn(5)
def test_interface_is_removed(rounds):
    """The cable vanishes below a source, a session, a listener and a datagram socket."""
    # attack: A-07
    with net.shared() as lan, flat():
        one, two = lan.hosts
        for n in range(rounds):
            second_cable(lan)
            port = pgm.PORT + 1 + n % 100
            how = pgm.multicast(interface=one.index("eth1"))
            with contextlib.ExitStack() as stack:
                # It listens before a packet can make a datagram socket of it.
                listening = stack.enter_context(pgm.datagram(two, (pgm.GROUP, port), two.index("eth1")))
                listening.listen(5)
                source = stack.enter_context(pgm.source(one, (pgm.GROUP, port), WINDOW, **how))
                bus = stack.enter_context(pgm.datagram(two, (pgm.ANY, port), two.index("eth1")))
                for sock in (source, bus, listening):
                    pgm.timeouts(sock, 2, 2)
                threads = [
                    pgm.Background(try_to, lambda s=source: s.send(MESSAGE)),
                    pgm.Background(try_to, lambda b=bus: b.recv(2000)),
                    pgm.Background(try_to, lambda l=listening: l.accept()[0].recv(2000)),
                ]
                time.sleep(random.uniform(0, 0.1))
                net.run("ip", "-n", (one, two)[n % 2].name, "link", "del", "eth1")
                for thread in threads:
                    thread.result()


@churn(30)
def test_address_is_removed(rounds):
    """The source's address goes and comes: what was sent arrives, or its loss is told."""
    # attack: A-07
    with net.shared() as lan, flat():
        one, two = lan.hosts
        address = f"{one.addresses[4]}/24 dev eth0"
        stop, sent, got = threading.Event(), [], []
        window = (20_000, 3_000, 0)
        with pgm.source(one, window=window) as source, pgm.datagram(two) as bus:

            def send():
                while not stop.is_set():
                    number = struct.pack("!I", len(sent))
                    with contextlib.suppress(OSError):
                        source.send(number + MESSAGE)
                        sent.append(number)

            def receive():
                while not got or got[-1] != b"last":
                    data = bus.recv(2000)
                    got.append(data[:4])

            threads = pgm.Background(send), pgm.Background(receive)
            lines = (f"addr del {address}\naddr add {address}\n") * rounds
            net.run("ip", "-n", one.name, "-batch", "-", input=lines)
            net.run("ip", "-n", one.name, "route", "replace", "224.0.0.0/4", "dev", "eth0")
            stop.set()
            threads[0].result()
            source.send(b"last")
            threads[1].result()
            pgm.same(got[:-1], sent)
            pgm.reset_close(source)


# --- time


def numbered(n):
    """Message n of a transfer, which nobody has to keep."""
    return struct.pack("!I", n) + MESSAGE


def read_numbered(session):
    """How many came, in order and unchanged, up to the end of the session."""
    count = 0
    for data in pgm.arrivals(session):
        pgm.same([data], [numbered(count)])
        count += 1
    return count


def steadily(lan, disturb, seconds=1.0):
    """A transfer that is disturbed: nothing is lost."""
    with (
        pgm.listener(lan.hosts[1]) as listening,
        pgm.source(lan.hosts[0], window=(20_000, 3_000, 0)) as source,
    ):
        stop = threading.Event()

        def send():
            for n in itertools.count():
                if stop.is_set():
                    return n
                source.send(numbered(n))
                time.sleep(0.002)

        sender = pgm.Background(send)
        session, _ = pgm.accept(listening)
        with session:
            receiver = pgm.Background(read_numbered, session)
            began = time.monotonic()
            disturb()
            time.sleep(max(0, began + seconds - time.monotonic()))
            stop.set()
            sent = sender.result()
            source.shutdown(socket.SHUT_WR)
            ktap.equal(receiver.result(), sent, "messages")
            ktap.equal(pgm.stats(session)["lost"], 0)
            ktap.note(f"{sent} messages")
            pgm.reset_close(source)


@churn(20)
def test_clock_jumps(rounds):
    """The wall clock leaps over days, decades and the end of 32 bits: no timer cares."""
    # attack: A-22
    true = time.time() - time.monotonic()
    leaps = (86_400, -86_400, 1, -1, 1 << 30, -true + 1, (1 << 31) - true, (1 << 32) - true)

    def jump():
        try:
            for n in range(rounds):
                time.clock_settime(time.CLOCK_REALTIME, true + time.monotonic() + leaps[n % 8])
                time.sleep(0.03)
        finally:
            time.clock_settime(time.CLOCK_REALTIME, true + time.monotonic())

    with net.shared() as lan, flat():
        steadily(lan, jump)


@churn(3)
def test_processors_stall(rounds):
    """Nothing else runs for a while: what that cost is repaired."""
    # attack: A-22

    def hog(cpu):
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass

    def stall():
        for _ in range(rounds):
            for child in [Child(hog, cpu) for cpu in range(os.cpu_count())]:
                ktap.equal(child.wait(), 0)

    with net.shared() as lan, flat():
        steadily(lan, stall)


@churn(4)
def test_processes_stop(rounds):
    """SIGSTOP of the writer, then of the reader: both go on where they were."""
    with net.shared() as lan, flat():
        for n in range(rounds):
            sender, receiver = Child(stream, lan.hosts[0]), Child(drink, lan.hosts[1])
            stopped = (sender, receiver)[n % 2]
            time.sleep(0.05)
            stopped.signal(signal.SIGSTOP)
            time.sleep(0.2)
            stopped.signal(signal.SIGCONT)
            time.sleep(0.05)
            ktap.equal({sender.kill(), receiver.kill()}, {-signal.SIGKILL})
        exchange(lan)


# --- readers


def read_all(stop):
    """Reads the files and the dump over and over; says how often."""
    count = 0
    while not stop.is_set():
        for name in ("sources", "receivers", "snmp"):
            with open(f"/proc/thread-self/net/pgm/{name}", encoding="ascii") as table:
                rows = table.read().splitlines()
            columns = {len(row.split()) for row in rows}
            assert len(columns) == 1, f"{name}: torn rows: {rows}"
        list(diag.messages())
        count += 1
    return count


@churn(60)
def test_readers_in_a_storm(rounds):
    """/proc/net/pgm and sock_diag while sockets come and go."""
    # attack: A-08
    pgm.need_diag()
    with net.shared() as lan:
        one, two = lan.hosts
        stop = threading.Event()

        def read(host):
            with host:
                return read_all(stop)

        readers = [pgm.Background(read, host) for host in lan.hosts]
        for n in range(rounds):
            port = pgm.PORT + n % 10
            with (
                pgm.listener(two, (pgm.GROUP, port)) as listening,
                pgm.datagram(two, (pgm.GROUP, port)),
                pgm.source(one, (pgm.GROUP, port), WINDOW) as source,
            ):
                source.send(MESSAGE)
                session, _ = pgm.accept(listening)
                session.close()
                if n % 2:
                    pgm.reset_close(source)
        stop.set()
        ktap.note(f"read {sum(reader.result() for reader in readers)} times")
        pgm.no_socket(but=1)  # of pgm_diag


if __name__ == "__main__":
    ktap.main(pgm.need_module)
