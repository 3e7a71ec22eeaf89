#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Loss that no repair can mend is reported, then delivery goes on or ends."""

import errno
import os
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

# 2 Mbit/s with a window of 200 ms: what is missing for longer is gone.
WINDOW = (2_000, 200, 0)
PAYLOAD = 500


def number(message):
    """The number that the source gave a message."""
    return struct.unpack("!I", message[:4])[0]


def outage(lan, source, done):
    """Sends numbered messages; after 100 the receiver hears nothing for a second."""
    for n in range(700):
        if n == 100:
            ktap.wait_for(lambda: done() >= 50, "the receiver is running")
            lan.impair(lan.hosts[1], "loss 100%")
        elif n == 600:  # 500 messages of some 560 bytes take more than a second
            lan.impair(lan.hosts[1], None)
        source.send(struct.pack("!I", n) + bytes(PAYLOAD))
    source.close()
    return 700


def expect_error(sock, wanted):
    """The next call fails so."""
    try:
        data = sock.recv(2000)
    except OSError as error:
        ktap.equal(errno.errorcode[error.errno], wanted)
    else:
        raise AssertionError(f"got message {number(data) if data else 'end'}, wanted {wanted}")


def read_until_error(sock, got, most=700):
    """Messages up to an error, whose number is returned; None at the end or after so many."""
    while len(got) < most:
        try:
            data = sock.recv(2000)
        except OSError as error:
            return error.errno
        if not data:
            return None
        got.append(number(data))
    return None


@ktap.test
def test_session_aborts():
    """PGM_ABORT_ON_RESET = 1, the default: ECONNRESET, then the end."""
    # req: RCV-21 RCV-22 NAK-13
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        got = []
        sender = pgm.Background(
            outage, lan, pgm.source(lan.hosts[0], window=WINDOW), lambda: len(got)
        )
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(errno.errorcode[read_until_error(session, got)], "ECONNRESET")
            ktap.equal(got, list(range(len(got))), "everything before the loss came first")
            identifier, first, count = pgm.loss(session)
            ktap.equal(identifier, pgm.tsi(session))
            ktap.equal(first, len(got))
            assert count > 0
            ktap.equal(session.recv(100), b"", "then it ends")
            ktap.equal(session.recv(100), b"", "and stays so")
            sender.result()
            assert pgm.stats(session)["lost"] > 0


def goes_on(lan, receive_on, source):
    """ENOBUFS once for each loss, PGM_GET_LOSS tells which; then the messages go on."""
    got, lost = [], []
    sender = pgm.Background(outage, lan, source, lambda: len(got))
    sock = receive_on()
    while len(got) + sum(count for _, count in lost) < 700:
        code = read_until_error(sock, got, 700 - sum(count for _, count in lost))
        if code is None:
            break
        assert code == errno.ENOBUFS, (
            f"got {errno.errorcode[code]} after {len(got)} messages up to {got[-1:]}, lost: {lost}"
        )
        identifier, first, count = pgm.loss(sock)
        ktap.equal(len(identifier), 8)
        lost.append((first, count))
        assert len(lost) < 50, f"too many reports: {lost}"
    sender.result()
    ktap.note(f"lost: {lost}")
    assert lost, "nothing was lost"
    missing = [n for first, count in lost for n in range(first, first + count)]
    ktap.equal(sorted(got + missing), list(range(700)), "every message arrived or was reported")
    ktap.equal(got, sorted(got), "in order")
    ktap.equal(pgm.stats(sock)["lost"], len(missing))
    return sock


@ktap.test
def test_session_goes_on():
    """PGM_ABORT_ON_RESET = 0: ENOBUFS once, then the next messages."""
    # req: RCV-21 RCV-22
    with net.shared() as lan:
        listening = pgm.listener(lan.hosts[1], options={pgm.PGM_ABORT_ON_RESET: 0})
        source = pgm.source(lan.hosts[0], window=WINDOW)
        session = goes_on(lan, lambda: pgm.accept(listening)[0], source)
        ktap.equal(session.recv(100), b"", "the session still ends in good order")
        session.close()
        listening.close()


@ktap.test
def test_session_set_after_accept():
    """PGM_ABORT_ON_RESET may be set at any time."""
    with net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:

        def accept():
            session, _ = pgm.accept(listening)
            ktap.equal(pgm.get_int(session, pgm.PGM_ABORT_ON_RESET), 1)
            pgm.set_int(session, pgm.PGM_ABORT_ON_RESET, 0)
            return session

        goes_on(lan, accept, pgm.source(lan.hosts[0], window=WINDOW)).close()


@ktap.test
def test_datagram_goes_on():
    """A datagram socket always goes on."""
    with net.shared() as lan, pgm.datagram(lan.hosts[1]) as bus:
        goes_on(lan, lambda: bus, pgm.source(lan.hosts[0], window=WINDOW))


@ktap.test
def test_large_message_is_lost_whole():
    """A message that lost a fragment for good is lost as a whole; others are whole."""
    # req: OPT-26
    with net.shared() as lan:
        listening = pgm.listener(lan.hosts[1], options={pgm.PGM_ABORT_ON_RESET: 0})
        source = pgm.source(lan.hosts[0], window=(4_000, 200, 0))
        source.send(b"start")
        session, _ = pgm.accept(listening)
        ktap.equal(session.recv(100), b"start")
        sent = pgm.messages(80, (15_000, 20_000))
        lan.impair(lan.hosts[1], "loss 30%")

        def send():
            for n, message in enumerate(sent):
                if n == 60:
                    lan.impair(lan.hosts[1], None)
                source.send(message)
            source.close()

        sender = pgm.Background(send)
        got, reports = [], 0
        while True:
            try:
                data = session.recv(1 << 17)
            except OSError as error:
                ktap.equal(errno.errorcode[error.errno], "ENOBUFS")
                reports += 1
                continue
            if not data:
                break
            assert data in sent, f"{len(data)} bytes that were never one message"
            got.append(sent.index(data))
        sender.result()
        ktap.note(f"{len(got)} of {len(sent)} messages, {reports} reports of loss")
        ktap.equal(got, sorted(set(got)), "in order, once")
        assert reports and len(got) < len(sent), "nothing was lost"
        ktap.equal(got[-1], len(sent) - 1, "the last message came after the network was mended")
        session.close()
        listening.close()


if __name__ == "__main__":
    ktap.main(pgm.need_module)
