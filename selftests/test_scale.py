#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Many sockets on one host: all reliable, none of them dear."""

import contextlib
import os
import re
import resource
import selectors
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import slab

WINDOW = (20_000, 20_000, 0)


def group_of(n):
    """One group for each number."""
    return f"239.192.{64 + n // 250}.{1 + n % 250}"


@contextlib.contextmanager
def opened(sockets):
    """Closes sockets at the end; their sources do not linger."""
    try:
        yield sockets
    finally:
        for sock in sockets:
            pgm.reset_close(sock)


def number(n, serial=0):
    """A message that says who sent it."""
    return f"{n} {serial}".encode()


def send(sources, serials):
    """Each source sends its message of each serial number."""
    for serial in serials:
        for n, source in enumerate(sources):
            source.send(number(n, serial))


def collect(sockets, count, limit=30):
    """Reads from all sockets until each has brought so many messages: a list for each."""
    selector = selectors.DefaultSelector()
    got = [[] for _ in sockets]
    for n, sock in enumerate(sockets):
        selector.register(sock, selectors.EVENT_READ, n)
    deadline = time.monotonic() + limit
    left = len(sockets)
    while left:
        for key, _ in selector.select(timeout=max(0, deadline - time.monotonic())):
            found = got[key.data]
            found.append(key.fileobj.recv(100))
            if len(found) == count:
                selector.unregister(key.fileobj)
                left -= 1
        if time.monotonic() > deadline:
            short = [len(found) for found in got if len(found) != count]
            raise AssertionError(f"after {limit} s {left} sockets lack messages: {short[:10]}")
    return got


def by_source(messages):
    """{number of the source: its serials in order} from one receiver's messages."""
    found = {}
    for message in messages:
        n, serial = map(int, message.split())
        found.setdefault(n, []).append(serial)
    return found


# Limits of memory are those of a kernel without checkers, which pad each object: by as much as
# they are slow (ktap.SLOW), at most.
# What any descriptor of a socket costs, and packets that are just being sent.
NOT_OURS = re.compile(
    r"sock_inode_cache|filp|dentry|.*inode_cache|lsm_|ftrace_event|skbuff_|ep|event|anon|vm"
)


def grown(before, count, packets=False):
    """Bytes of slab for each of so many things since then, by cache, largest first."""
    now = slab.exactly_used()
    each = {name: (now[name] - before.get(name, 0)) / count for name in now}
    ours = {
        name: round(size)
        for name, size in each.items()
        if size > 8 and (not NOT_OURS.match(name) or packets and name.startswith("skbuff"))
    }
    return dict(sorted(ours.items(), key=lambda item: -item[1]))


@ktap.test
def test_memory_of_sources():
    """An idle source takes less than 4 KB; its window then takes what it holds."""
    with net.shared() as lan, opened([]) as sources:
        before = slab.exactly_used()
        sources += [pgm.source(lan.hosts[0], None, None) for _ in range(500)]
        idle = grown(before, len(sources))
        ktap.note(f"idle source: {sum(idle.values())} bytes {idle}")
        send(sources, [0])
        ktap.wait_for(lambda: pgm.stats(sources[-1])["odata"], "all have sent")
        sent = grown(before, len(sources))
        ktap.note(f"with one message in its window: {sum(sent.values())} bytes {sent}")
        assert sum(idle.values()) < 4096 * ktap.SLOW
        assert sum(sent.values()) - sum(idle.values()) < 4096 * ktap.SLOW


@ktap.test
def test_memory_of_sessions():
    """An idle session and the windows of both sides take less than 12 KB."""
    with (
        net.shared() as lan,
        pgm.listener(lan.hosts[1], backlog=500) as listening,
        opened([pgm.source(lan.hosts[0], None, WINDOW) for _ in range(500)]) as sources,
    ):
        before = slab.exactly_used()
        send(sources, [0])
        with opened([pgm.accept(listening)[0] for _ in sources]) as sessions:
            collect(sessions, 1)
            idle = grown(before, len(sessions))
            # The windows of the sources are there as well, with one message each.
            ktap.note(f"session, and window of its source: {sum(idle.values())} bytes {idle}")
            assert sum(idle.values()) < 12288 * ktap.SLOW


@ktap.test
def test_memory_of_packets():
    """A packet in the transmit window, beside its payload."""
    with net.shared() as lan, opened([pgm.source(lan.hosts[0], None, WINDOW)]) as (source,):
        source.send(bytes(1000))
        time.sleep(0.2)
        before = slab.exactly_used()
        for _ in range(4000):
            source.send(bytes(1000))
        ktap.wait_for(lambda: pgm.stats(source)["odata"] == 4001, "all was sent")
        took = grown(before, 4000, packets=True)
        ktap.note(f"packet in the window: {sum(took.values())} bytes {took}")
        assert sum(took.values()) < 256 * ktap.SLOW


@ktap.test
def test_a_thousand_sockets():
    """1,000 sockets of one host share a port; each receiver hears its own group and no other."""
    with net.shared() as lan:
        host = lan.hosts[0]
        groups = [(group_of(n), pgm.PORT) for n in range(500)]
        began = time.monotonic()
        with (
            opened([pgm.datagram(host, at=group) for group in groups]) as receivers,
            opened([pgm.source(host, group, WINDOW) for group in groups]) as sources,
        ):
            ktap.note(f"1,000 sockets were made in {time.monotonic() - began:.2f} s")
            began = time.monotonic()
            send(sources, range(3))
            got = collect(receivers, 3)
            ktap.note(f"1,500 messages took {time.monotonic() - began:.2f} s")
            for n, messages in enumerate(got):
                ktap.equal(messages, [number(n, serial) for serial in range(3)])


@ktap.test
def test_500_sources():
    """500 sources of one group, one datagram receiver, 5 % loss: everything of everybody."""
    with net.shared() as lan:
        one, two = lan.hosts
        with (
            opened([pgm.datagram(two)]) as (bus,),
            opened([pgm.source(one, None, WINDOW) for _ in range(500)]) as sources,
        ):
            began = time.monotonic()
            send(sources, [0])
            first = by_source(collect([bus], 500)[0])
            ktap.equal(first, {n: [0] for n in range(500)})
            lan.toward(two, "loss 5%")
            send(sources, [1, 2, 3])
            rest = by_source(collect([bus], 1500)[0])
            ktap.equal(rest, {n: [1, 2, 3] for n in range(500)})
            ktap.note(f"2,000 messages took {time.monotonic() - began:.2f} s: {pgm.stats(bus)}")
            ktap.equal(pgm.stats(bus)["lost"], 0)


@ktap.test
def test_100_receivers():
    """100 receivers of one group on one host, one source, 5 % loss: everything for everybody."""
    with net.shared() as lan:
        one, two = lan.hosts
        with (
            opened([pgm.datagram(two) for _ in range(100)]) as receivers,
            opened([pgm.source(one, None, WINDOW)]) as sources,
        ):
            began = time.monotonic()
            send(sources, [0])
            collect(receivers, 1)
            lan.toward(two, "loss 5%")
            send(sources, range(1, 41))
            for messages in collect(receivers, 40):
                ktap.equal(by_source(messages), {0: list(range(1, 41))})
            ktap.note(f"4,100 messages took {time.monotonic() - began:.2f} s")
            ktap.note(f"source: {pgm.stats(sources[0])}")
            ktap.note(f"one of the receivers: {pgm.stats(receivers[0])}")


@ktap.test
def test_300_sessions():
    """A listener accepts 300 sources; each session has what its source sent."""
    with (
        net.shared() as lan,
        pgm.listener(lan.hosts[1], backlog=300) as listening,
        opened([pgm.source(lan.hosts[0], None, WINDOW) for _ in range(300)]) as sources,
    ):
        began = time.monotonic()
        send(sources, [0])
        wanted = {pgm.tsi(source): number(n) for n, source in enumerate(sources)}
        with opened([pgm.accept(listening)[0] for _ in sources]) as sessions:
            got = collect(sessions, 1)
            found = {pgm.tsi(sock): messages[0] for sock, messages in zip(sessions, got)}
            ktap.equal(found, wanted)
            ktap.note(f"300 sessions took {time.monotonic() - began:.2f} s")


def setup():
    """More descriptors than usual."""
    pgm.need_module()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))


if __name__ == "__main__":
    ktap.main(setup)
