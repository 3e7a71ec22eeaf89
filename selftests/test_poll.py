#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""poll(), select() and epoll in every role."""

import contextlib
import os
import select
import socket
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

IN, OUT, ERR, HUP = select.POLLIN, select.POLLOUT, select.POLLERR, select.POLLHUP
RDHUP = select.POLLRDHUP


def events(sock, mask=IN | OUT | RDHUP, timeout=0):
    """What poll() says now, or within so many seconds."""
    poller = select.poll()
    poller.register(sock, mask)
    return dict(poller.poll(timeout * 1000)).get(sock.fileno(), 0)


def reaches(sock, wanted, timeout=5):
    """All wanted events come, with poll() asleep meanwhile."""
    got = events(sock, wanted, timeout)
    assert got & wanted, f"poll() gave {got:#x} after {timeout} s, wanted {wanted:#x}"
    return got


@contextlib.contextmanager
def session():
    """A source and its session, everything read."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=(20_000, 500, 0)) as source:
            source.send(b"x")
            accepted, _ = pgm.accept(listening)
            with accepted:
                ktap.equal(accepted.recv(10), b"x")
                yield source, accepted


@ktap.test
def test_listener():
    """Readable when a session waits, and only then."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        ktap.equal(events(listening), 0)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            reaches(listening, IN)
            accepted, _ = pgm.accept(listening)
            accepted.close()
            ktap.equal(events(listening) & IN, 0)


@ktap.test
def test_session_data():
    """Readable with a message, not readable without."""
    with session() as (source, accepted):
        ktap.equal(events(accepted) & IN, 0)
        source.send(b"y")
        reaches(accepted, IN)
        ktap.equal(accepted.recv(10), b"y")
        ktap.equal(events(accepted) & IN, 0)


@ktap.test
def test_session_wakes_sleeper():
    """A poll() that began before the message ends with it."""
    with session() as (source, accepted):
        sleeper = pgm.Background(events, accepted, IN, 5)
        source.send(b"y")
        assert sleeper.result() & IN


@ktap.test
def test_session_end():
    """FIN: readable (0) and POLLRDHUP."""
    with session() as (source, accepted):
        source.close()
        reaches(accepted, RDHUP)
        assert events(accepted) & IN
        ktap.equal(accepted.recv(10), b"")
        assert events(accepted) & IN, "the end stays readable"


@ktap.test
def test_session_end_wakes_sleeper():
    """FIN wakes whoever waits for POLLRDHUP only, with poll() and epoll."""
    with session() as (source, accepted), select.epoll() as epoll:
        epoll.register(accepted, select.EPOLLRDHUP | select.EPOLLET)
        ktap.equal(epoll.poll(0), [])
        # Without a wake-up they find it only when their time is over.
        sleepers = [
            pgm.Background(events, accepted, RDHUP, 1000),
            pgm.Background(epoll.poll, 1000),
        ]
        ktap.wait_for(lambda: all(sleeper.sleeps() for sleeper in sleepers), "both sleep")
        source.close()
        ktap.equal(sleepers[0].result(20), RDHUP)
        ktap.equal(sleepers[1].result(20), [(accepted.fileno(), select.EPOLLRDHUP)])


@ktap.test
def test_session_reset():
    """RST: POLLERR until the error was fetched."""
    with session() as (source, accepted):
        pgm.reset_close(source)
        reaches(accepted, ERR)
        assert events(accepted) & IN
        try:
            accepted.recv(10)
            raise AssertionError("no error")
        except ConnectionResetError:
            pass
        ktap.equal(events(accepted) & ERR, 0)


@ktap.test
def test_source():
    """Writable until the window or the queue is full, and again when there is room."""
    with net.shared() as lan, pgm.pgm_socket(lan.hosts[0]) as source:
        # Full for two seconds once it is full, however slow this guest is.
        pgm.set_window(source, 200, 2_000, 0)
        source.connect((pgm.GROUP, pgm.PORT))
        ktap.equal(events(source) & (IN | OUT), OUT)
        source.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while count < 100_000:
                source.send(bytes(1000))
                count += 1
        assert 10 < count < 100_000, f"{count} messages went in"
        ktap.equal(events(source) & OUT, 0)
        reaches(source, OUT)
        source.send(bytes(1000))
        pgm.reset_close(source)


@ktap.test(timeout=20)
def test_shut_down_source():
    """Writable, since send() fails at once; and who waits for something else does so asleep."""
    with net.shared() as lan, pgm.source(lan.hosts[0]) as source, select.epoll() as epoll:
        source.shutdown(socket.SHUT_WR)
        ktap.equal(events(source, OUT), OUT)
        ktap.equal(events(source, IN, 0.2), 0)
        epoll.register(source, select.EPOLLIN)
        ktap.equal(epoll.poll(0.2), [])


@ktap.test
def test_datagram():
    """Readable with messages, writable once connected."""
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        ktap.equal(events(bus) & IN, 0)
        with pgm.source(lan.hosts[0]) as source:
            source.send(b"x")
            reaches(bus, IN)
            ktap.equal(bus.recv(10), b"x")
            ktap.equal(events(bus) & IN, 0)
        bus.connect((pgm.GROUP, pgm.PORT))
        reaches(bus, OUT)


@ktap.test
def test_select():
    """select() sees the same."""
    with session() as (source, accepted):
        ktap.equal(select.select([accepted], [source], [], 0), ([], [source], []))
        source.send(b"y")
        ktap.equal(select.select([accepted], [], [], 5)[0], [accepted])


@ktap.test
def test_epoll_level():
    """Level-triggered epoll reports as long as there is something."""
    with session() as (source, accepted), select.epoll() as epoll:
        epoll.register(accepted, select.EPOLLIN)
        ktap.equal(epoll.poll(0), [])
        source.send(b"y")
        for _ in range(2):
            ktap.equal(epoll.poll(5), [(accepted.fileno(), select.EPOLLIN)])
        accepted.recv(10)
        ktap.equal(epoll.poll(0), [])


@ktap.test
def test_epoll_edge():
    """Edge-triggered epoll reports each arrival once."""
    with session() as (source, accepted), select.epoll() as epoll:
        epoll.register(accepted, select.EPOLLIN | select.EPOLLET)
        ktap.equal(epoll.poll(0), [])
        for _ in range(3):
            source.send(b"y")
            ktap.equal(epoll.poll(5), [(accepted.fileno(), select.EPOLLIN)])
            ktap.equal(epoll.poll(0), [])
        ktap.equal([accepted.recv(10) for _ in range(3)], [b"y"] * 3)


@ktap.test
def test_epoll_over_many():
    """One epoll over a listener, its sessions and a datagram socket."""
    with net.shared() as lan, select.epoll() as epoll:
        listening = pgm.listener(lan.hosts[1])
        bus = pgm.datagram(lan.hosts[1])
        sources = [pgm.source(lan.hosts[0], window=(20_000, 500, 0)) for _ in range(5)]
        sockets = {sock.fileno(): sock for sock in (listening, bus)}
        for sock in sockets.values():
            sock.setblocking(False)
            epoll.register(sock, select.EPOLLIN | select.EPOLLRDHUP)
        for source in sources:
            for n in range(20):
                source.send(bytes([n]))
            source.close()
        got, ended = {}, 0
        while ended < len(sources) or len(got.get(bus, [])) < 100:
            ready = epoll.poll(10)
            assert ready, f"nothing more after {ended} ends and {len(got.get(bus, []))} messages"
            for number, _ in ready:
                sock = sockets[number]
                if sock is listening:
                    accepted, _ = listening.accept()
                    accepted.setblocking(False)
                    sockets[accepted.fileno()] = accepted
                    epoll.register(accepted, select.EPOLLIN | select.EPOLLRDHUP)
                elif data := sock.recv(10):
                    got.setdefault(sock, []).append(data)
                else:
                    ended += 1
                    epoll.unregister(sock)
                    ktap.equal(got.pop(sock), [bytes([n]) for n in range(20)])
                    sock.close()
        listening.close()
        bus.close()


if __name__ == "__main__":
    ktap.main(pgm.need_module)
