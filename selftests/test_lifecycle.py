#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sessions begin, end and are broken off."""

import contextlib
import errno
import itertools
import os
import socket
import struct
import sys
import time
import warnings

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

SHORT = (20_000, 500, 0)


def errno_of(sock):
    """The error of the next recv()."""
    try:
        data = sock.recv(100)
    except OSError as error:
        return errno.errorcode[error.errno]
    raise AssertionError(f"got {len(data)} bytes, wanted an error")


@ktap.test
def test_first_message_is_marked():
    """PGM_RCV_SYN stands with the first message and no other; SQNs count up."""
    # req: OPT-52
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=SHORT) as source:
            for _ in range(3):
                source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                pgm.set_int(session, pgm.PGM_RECVRCVINFO, 1)
                found = [pgm.rcvinfo(session.recvmsg(10, 128)[1]) for _ in range(3)]
                ktap.equal({identifier for identifier, _, _ in found}, {pgm.tsi(source)})
                first = found[0][1]
                ktap.equal([sqn - first for _, sqn, _ in found], [0, 1, 2])
                ktap.equal([flags & pgm.PGM_RCV_SYN for _, _, flags in found], [1, 0, 0])


@ktap.test
def test_late_joiner():
    """Who comes late gets everything from then on, asks for nothing older, and can tell."""
    # req: RCV-01 RCV-02 OPT-41 OPT-52
    with net.shared() as lan, pgm.source(lan.hosts[0], window=SHORT) as source:
        sent = pgm.messages(400, (100, 500))
        for message in sent[:200]:
            source.send(message)
        ktap.wait_for(lambda: pgm.stats(source)["odata"] == 200, "the first half has left")
        with pgm.listener(lan.hosts[1]) as listening:
            for message in sent[200:]:
                source.send(message)
            source.shutdown(socket.SHUT_WR)
            session, _ = pgm.accept(listening)
            with session:
                pgm.set_int(session, pgm.PGM_RECVRCVINFO, 1)
                data, ancillary, _, _ = session.recvmsg(2000, 128)
                ktap.equal(pgm.rcvinfo(ancillary)[2] & pgm.PGM_RCV_SYN, 0)
                got = [data, *pgm.receive_all(session)]
                pgm.same(got, sent[200:])
                counters = pgm.stats(session)
                ktap.equal((counters["missing"], counters["naks"]), (0, 0))


@ktap.test
def test_fin():
    """shutdown(SHUT_WR): all data, then 0, for ever; no error is left."""
    # req: OPT-58
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=SHORT) as source:
            source.send(b"x")
            source.shutdown(socket.SHUT_WR)
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"x")
                ktap.equal(session.recv(10), b"")
                ktap.equal(session.recv(10), b"")
                ktap.equal(session.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)


@ktap.test
def test_fin_is_prompt():
    """The end arrives at once, not with the next heartbeat."""
    # req: OPT-56
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], window=SHORT)
        source.send(b"x")
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(session.recv(10), b"x")
            time.sleep(1)  # the heartbeat has decayed by now
            before = time.monotonic()
            source.close()
            ktap.equal(session.recv(10), b"")
            took = time.monotonic() - before
            assert took < 0.3, f"it took {took:.2f} s"


@ktap.test
def test_close_repairs_in_background():
    """close() returns at once, and the kernel still repairs what was lost."""
    # req: OPT-57
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], window=(20_000, 5_000, 0))
        source.send(b"first")
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(session.recv(10), b"first")
            lan.impair(lan.hosts[1], "loss 30%")
            sent = pgm.messages(100, (100, 500))
            for message in sent:
                source.send(message)
            before = time.monotonic()
            source.close()
            took = time.monotonic() - before
            assert took < 1, f"close() took {took:.2f} s"
            pgm.same(pgm.receive_all(session), sent)


@ktap.test
def test_linger_waits():
    """SO_LINGER: close() waits for the end of repairs, that is the window's time."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]):
        source = pgm.source(lan.hosts[0], window=(20_000, 1_000, 0))
        source.send(b"x")
        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 10))
        before = time.monotonic()
        source.close()
        took = time.monotonic() - before
        assert 0.7 < took < 5, f"close() took {took:.2f} s"


@ktap.test
def test_linger_gives_up():
    """SO_LINGER with less time than the window."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]):
        source = pgm.source(lan.hosts[0], window=(20_000, 10_000, 0))
        source.send(b"x")
        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 1))
        before = time.monotonic()
        source.close()
        took = time.monotonic() - before
        assert 0.7 < took < 4, f"close() took {took:.2f} s"


@ktap.test
def test_reset():
    """SO_LINGER {1,0} breaks the session off: ECONNRESET once, then the end."""
    # req: OPT-63
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], window=SHORT)
        source.send(b"x")
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(session.recv(10), b"x")
            pgm.reset_close(source)
            ktap.equal(errno_of(session), "ECONNRESET")
            ktap.equal(session.recv(10), b"")


@ktap.test
def test_processes_share_a_source():
    """The session ends when the last descriptor is closed, not the first."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        source = pgm.source(lan.hosts[0], window=SHORT)
        source.send(b"x")
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads
        child = os.fork()
        if child == 0:
            source.send(b"y")
            os._exit(0)
        os.waitpid(child, 0)
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal([session.recv(10), session.recv(10)], [b"x", b"y"])
            source.send(b"z")
            ktap.equal(session.recv(10), b"z")
            source.close()
            ktap.equal(session.recv(10), b"")


@ktap.test
def test_restarted_source_is_a_new_session():
    """A new socket has a new TSI, and the listener accepts it while the old one ends."""
    # attack: A-06
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        seen = set()
        for n in range(3):
            with pgm.source(lan.hosts[0], window=SHORT) as source:
                source.send(bytes([n]))
            session, _ = pgm.accept(listening)
            with session:
                seen.add(pgm.tsi(session))
                ktap.equal([session.recv(10), session.recv(10)], [bytes([n]), b""])
        ktap.equal(len(seen), 3)


@ktap.test
def test_session_outlives_its_listener():
    """As with TCP, closing the listener leaves accepted sessions alone."""
    # attack: A-12
    with net.shared() as lan:
        listening = pgm.listener(lan.hosts[1])
        source = pgm.source(lan.hosts[0], window=SHORT)
        source.send(b"x")
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(session.recv(10), b"x")
            listening.close()
            for n in range(50):
                source.send(bytes([n]))
            source.close()
            ktap.equal(pgm.receive_all(session), [bytes([n]) for n in range(50)])


@ktap.test(variants=(variant.V4, variant.V6))
def test_memberships_end_once():
    """Listener and sessions, closed in any order: each leaves the group for itself."""
    # attack: A-12
    with net.shared() as lan:
        one, two = lan.hosts
        for order in itertools.permutations(range(3)):
            with pgm.source(one) as first, pgm.source(one) as second:
                listening = pgm.listener(two)
                sockets = [listening]
                for source in (first, second):
                    source.send(b"x")
                    session, _ = pgm.accept(listening)
                    ktap.equal(session.recv(10), b"x")
                    sockets.append(session)
                for number in order:
                    assert two.joined(pgm.GROUP), f"{order}: left too early"
                    sockets[number].close()
                assert not two.joined(pgm.GROUP), f"{order}: still a member"
                pgm.reset_close(first)
                pgm.reset_close(second)


@ktap.test
def test_closed_session_stays_closed():
    """What a source sends to a closed session makes no new one and hurts nobody."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=SHORT) as source:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            session.close()
            for n in range(50):
                source.send(bytes([n]))
            pgm.timeouts(listening, 0.5)
            try:
                listening.accept()
                raise AssertionError("the source was accepted again")
            except BlockingIOError:
                pass


@ktap.test
def test_backlog_is_bounded():
    """More sources than the backlog holds: some wait outside, nothing breaks."""
    # attack: A-14
    with net.shared() as lan, pgm.listener(lan.hosts[1], backlog=2) as listening:
        host = lan.hosts[1]
        sources = [pgm.source(lan.hosts[0], window=SHORT) for _ in range(20)]
        before = host.counters()["InDiscardSessionLimit"]
        for n, source in enumerate(sources):
            source.send(bytes([n]))
        outside = len(sources) - 3  # one more waits than is asked for, as with TCP
        ktap.wait_for(
            lambda: host.counters()["InDiscardSessionLimit"] - before >= outside, "all have come"
        )
        listed = [row["sessions"] for row in host.rows("receivers") if row["role"] == "listener"]
        ktap.equal(listed, ["3"], "sessions that wait")
        accepted = [pgm.accept(listening)[0] for _ in range(3)]
        listening.setblocking(False)

        def let_in():
            for source in sources:
                source.send(b"again")
            with contextlib.suppress(BlockingIOError):
                while True:
                    accepted.append(listening.accept()[0])
            return len(accepted) == len(sources)

        ktap.wait_for(let_in, "those outside get in when they send again")
        for sock in accepted + sources:
            pgm.reset_close(sock)


@ktap.test
def test_shutdown_of_reading():
    """shutdown(SHUT_RD) ends a session for its reader, also for one that waits."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=SHORT) as source:
            source.send(b"x")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"x")
                reader = pgm.Background(session.recv, 10)
                time.sleep(0.2)
                session.shutdown(socket.SHUT_RD)
                ktap.equal(reader.result(5), b"")


@ktap.test
def test_namespace_goes_away():
    """Hosts that vanish with open and lingering sockets leave nothing behind."""
    # req: SEC-09
    # attack: A-13
    before = pgm.in_use()
    with net.Lan() as lan, pgm.listener(lan.hosts[1]) as listening:
        # A closed source keeps its namespace for so long.
        lan.hosts[0].sysctl("net/pgm/repair_max_ms", 2_000)
        source = pgm.source(lan.hosts[0], window=(20_000, 60_000, 0))
        source.send(b"x")
        session, _ = pgm.accept(listening)
        ktap.equal(session.recv(10), b"x")
        source.close()
        session.close()
    pgm.no_socket(but=before)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
