#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""OpenPGM and we: ends, restarts, late joiners, who asks for repairs, and one host for all."""

import collections
import contextlib
import errno
import importlib.util
import os
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import exchange
import ktap
import net
import openpgm
import pgm
import rules
import variant
import wire
import zeromq
from openpgm import Peer
from probe import Probe
from referee import Referee

# The matrix is over all variants; here each family and each encapsulation has one.
ktap.usual_variants((variant.V4, variant.V6_UDP))

FIRST, SECOND = pgm.messages(20, (1, 3_000), 1), pgm.messages(20, (1, 3_000), 2)


@ktap.test
def test_openpgm_ends():
    """pgm_close(): SPMs with OPT_FIN end our session at once, and it does not come back."""
    # req: OPT-58
    with net.shared(5) as lan:
        one, two = lan.hosts[:2]
        with Referee(one, {one.address}) as seen, exchange.OurReceiver(two) as receiver:
            with Peer("source", one) as source:
                source.send(*FIRST)
                pgm.same(receiver.wait(len(FIRST)), FIRST)
                source.close()
            receiver.end()
            fins = [p for p in seen.poll() if p.kind == wire.SPM and wire.OPT_FIN in p.options]
            ktap.equal(len(fins), 3, "SPMs with OPT_FIN")


@ktap.test
def test_openpgm_starts_anew():
    """A source that was killed and begins again is a new session beside the old one."""
    # req: RCV-23
    with net.shared(5) as lan:
        one, two = lan.hosts[:2]
        with Referee(one, {one.address}), pgm.listener(two) as listening:
            sessions = []
            for messages in (FIRST, SECOND):
                with Peer("source", one) as source:
                    source.send(*messages)
                    session, _ = pgm.accept(listening)
                    ktap.equal(pgm.tsi(session), source.tsi)
                    pgm.same([session.recv(1 << 16) for _ in messages], messages)
                    sessions.append(session)
            # The first one still waits: its source said nothing about an end.
            pgm.timeouts(sessions[0], 0.2)
            try:
                raise AssertionError(f"the first session got {sessions[0].recv(10)}")
            except BlockingIOError:
                pass
            for session in sessions:
                session.close()


@ktap.test
def test_openpgm_starts_anew_with_the_same_tsi():
    """A source that counts anew under the TSI it had ends the session, and begins another one."""
    # req: RCV-26
    again = {"sport": 7_777, "gsi": 1, "ambient_spm": 30_000}
    with net.shared(5) as lan, pgm.listener(lan.hosts[1]) as listening:
        one = lan.hosts[0]
        with Peer("source", one, **again) as source:
            source.send(*FIRST)
            session, _ = pgm.accept(listening)
            pgm.same([session.recv(1 << 16) for _ in FIRST], FIRST)
            ktap.wait_for(lambda: pgm.stats(session)["spms"] > 60, "it has sent many SPMs")
            before = source.tsi
        with Peer("source", one, **again) as source, session:
            ktap.equal(source.tsi, before)
            try:
                raise AssertionError(f"the first session got {session.recv(1 << 16)}")
            except TimeoutError as error:
                ktap.equal(error.errno, errno.ETIMEDOUT)
            ktap.equal(session.recv(10), b"", "after the end")
            session.close()
            source.send(*SECOND)
            session, _ = pgm.accept(listening)
            ktap.equal(pgm.tsi(session), before)
            pgm.same([session.recv(1 << 16) for _ in SECOND], SECOND)
            source.close()
            session.close()


@ktap.each({"we_end": False, "we_reset": True})
def we_start_anew(reset):
    """OpenPGM outlives our OPT_FIN or OPT_RST, and hears our next session."""
    with net.shared(5) as lan:
        one, two = lan.hosts[:2]
        with Referee(one, {two.address}), Peer("receiver", two) as receiver:
            for messages in (FIRST, SECOND):
                source = pgm.source(one)
                identifier = pgm.tsi(source)
                for message in messages:
                    source.send(message)
                pgm.same(receiver.wait(len(messages), identifier), messages)
                if reset:
                    pgm.reset_close(source)
                else:
                    source.close()
            receiver.alive()
            ktap.equal(receiver.resets(), 0, "losses that OpenPGM was told of")


@ktap.test
def test_we_join_late():
    """What OpenPGM sent before we came is not asked for; what it sends from then on is all there."""
    # req: OPT-41 RCV-01
    with net.shared(5) as lan:
        one, two = lan.hosts[:2]
        with Referee(one, {one.address}) as seen, Peer("source", one) as source:
            source.send(*FIRST)
            ktap.wait_for(lambda: seen.count(wire.ODATA) >= len(FIRST), "the first part is sent")
            ktap.wait_for(
                lambda: {packet.kind for packet in seen.poll()[-2:]} == {wire.SPM}, "all of it"
            )
            with exchange.OurReceiver(two) as receiver:
                source.send(*SECOND)
                pgm.same(receiver.wait(len(SECOND)), SECOND)
            ktap.equal(seen.count(wire.NAK), 0, "NAKs for what was before")
            source.close()


@ktap.each({"openpgm_joins_late": 0, "openpgm_joins_late_with_opt_join": 50})
def openpgm_joins_late(percent):
    """OpenPGM begins with what comes next, whether our source offers more (OPT_JOIN) or not."""
    options = {pgm.PGM_LATEJOIN: percent, pgm.PGM_AMBIENT_SPM: 500_000}
    with net.shared(5) as lan:
        one, two = lan.hosts[:2]
        with Referee(one, {two.address}), pgm.source(one, options=options) as source:
            for message in FIRST:
                source.send(message)
            with Peer("receiver", two) as receiver:
                for message in SECOND:
                    source.send(message)
                pgm.same(receiver.wait(len(SECOND)), SECOND)


GAPS, LOST = 4, 5


def suppression(source_is_ours, quick_is_ours):
    """Both kinds miss the same; those who would ask later do not ask, as the NCF holds them back."""
    quick, slow = {"nak_bo_ivl": 5_000}, {"nak_bo_ivl": 2_000_000}
    ours, theirs = (quick, slow) if quick_is_ours else (slow, quick)
    messages = pgm.messages(1 + GAPS * (LOST + 1), (10, 1_000))
    with net.shared(5) as lan:
        first, here, there = lan.hosts[0], lan.hosts[1], lan.hosts[3]
        addresses = {there.address} | (set() if source_is_ours else {first.address})
        receiver = exchange.OurReceiver(here, {pgm.PGM_NAK_BO_IVL: ours["nak_bo_ivl"]})
        peer = Peer("receiver", there, **theirs)
        with Referee(first, addresses) as seen, receiver, peer:
            source = exchange.OurSource(first) if source_is_ours else Peer("source", first)
            with source:
                source.send(messages[0])
                receiver.wait(1), peer.wait(1)
                sent = 1
                for _ in range(GAPS):
                    lan.bridge.netem("loss 100%", "port1", "port3")
                    source.send(*messages[sent : sent + LOST])
                    sent += LOST
                    ktap.wait_for(
                        lambda n=sent: seen.count(wire.ODATA) >= n, "the lost ones are sent"
                    )
                    lan.bridge.mend()
                    source.send(messages[sent])
                    sent += 1
                    pgm.same(receiver.wait(sent), messages[:sent])
                    pgm.same(peer.wait(sent), messages[:sent])
                naks = seen.count(wire.NAK, here.address), seen.count(wire.NAK, there.address)
                ktap.note(f"NAKs: ours {naks[0]}, OpenPGM's {naks[1]}")
                asked, held_back = naks if quick_is_ours else naks[::-1]
                assert asked >= GAPS, "the quick one did not ask"
                # A random back-off may be a short one; OpenPGM's NAKs come in pairs.
                limit = 2 * (1 + quick_is_ours)
                assert held_back <= limit, f"{held_back} NAKs in spite of the NCFs"
                source.close()


@ktap.each(
    {
        "we_hold_back_openpgm": (True, True),
        "openpgm_holds_us_back": (True, False),
        "openpgm_confirms_and_holds_back_its_own": (False, True),
        "openpgm_confirms_and_holds_us_back": (False, False),
    },
    variants=(variant.V4,),
)
def held_back(case):
    """Suppression across kinds, with either kind of source."""
    # req: NAK-03
    suppression(*case)


# On lo: ours, those of OpenPGM's source and receiver, and ZeroMQ's (which takes any of the device).
LOCAL = {
    4: ("127.0.0.5", "127.0.0.2", "127.0.0.3", "127.0.0.4"),
    6: ("fd77:1::1", "fd77:1::2", "fd77:1::3", "fd77:1::4"),
}
# What ZeroMQ publishes are numbers, of a thousand digits so that they take many packets.
NUMBERS = range(8 * 10**999, 8 * 10**999 + 100)


@ktap.test(variants=(variant.V4, variant.V6), timeout=120)
def test_one_host():
    """Sources and receivers of ours, of OpenPGM and of ZeroMQ in one namespace, over lo, which loses
    a sixth: each receiver gets all of each source, and each source repairs."""
    # req: RCV-23
    if not importlib.util.find_spec("zmq"):
        raise ktap.Skip("no python3-zmq")
    addresses = LOCAL[variant.now().version]
    _, *theirs, third = addresses
    sent, heard = ([zeromq.packet(n, 1_000) for n in range(first, 120, 2)] for first in (0, 1))
    with net.shared(5) as lan, contextlib.ExitStack() as stack:
        host = lan.hosts[0]
        lo = host.index("lo")
        for address in addresses:
            # A deprecated one is nobody's who does not ask for it.
            life = ["preferred_lft", "0"] if address != addresses[0] else []
            net.run("ip", "-n", host.name, "addr", "replace", address, "dev", "lo", *life)
        host.lose_arriving(None, "lo")
        timing = rules.Timing(ambient=0.1, receivers=3)

        def is_theirs(packet):
            # NAKs of ours go to OpenPGM's source from its own address, as to any local one.
            ours = packet.kind == wire.NAK and packet.source == theirs[0]
            return packet.source in theirs and not ours

        seen = stack.enter_context(Referee(host, is_theirs, timing, device="lo"))

        # The receivers come first: until one of OpenPGM has heard an SPM of a source, it gives up at
        # once what is missing (quirks:gaps_before_an_spm).
        zero = zeromq.Peer(host, False)
        stack.callback(zero.end)
        endpoint = f"pgm://{third};{pgm.GROUP}:{pgm.PORT}"
        for order in (
            {"topics": ["even"], "last": 118, "size": 1_000},
            {"topics": ["odd"], "last": 119, "size": 1_000},
            {"topics": ["8"], "last": NUMBERS[-1], "size": None},
        ):
            zero.order("ready", role="sub", endpoint=endpoint, **order)
        ktap.wait_for(lambda: host.joined(pgm.GROUP) == 3, "ZeroMQ has joined three times")
        receiver = stack.enter_context(Peer("receiver", host, interface=theirs[1]))
        buses = [stack.enter_context(pgm.datagram(host, interface=lo)) for _ in range(2)]

        # At the usual rate OpenPGM holds packets back that its SPMs name already.
        zero.order("ready", role="pub", endpoint=endpoint, rate=320_000)
        peer = stack.enter_context(Peer("source", host, interface=theirs[0]))
        options, where = {pgm.PGM_AMBIENT_SPM: 100_000}, pgm.multicast(interface=lo)
        source = stack.enter_context(pgm.source(host, options=options, **where))
        ktap.wait_for(lambda: len(announced(seen)) == 3, "each source has sent an SPM")
        wanted = {pgm.tsi(source): stream(sent), peer.tsi: stream(heard)}
        (published,) = set(announced(seen)) - set(wanted)
        theirs.append(announced(seen)[published])
        assert announced(seen)[pgm.tsi(source)] not in theirs, "what is ours cannot be told"
        wanted[published] = b"".join(zeromq.frame(b"%d" % number) for number in NUMBERS)

        host.lose_arriving(6, "lo")
        readers = [pgm.Background(collect, bus, wanted) for bus in buses]
        zero.tell(role="send", size=None, **{"from": NUMBERS[0], "to": NUMBERS[-1] + 1})
        peer.send(*heard)
        for message in sent:
            source.send(message)

        for reader in readers:
            got = reader.result()
            for tsi, data in wanted.items():
                assert stream(got[tsi]) == data, f"what came of {tsi.hex()} is not what was sent"
        answers = {zero.answer() for _ in range(4)}
        ktap.equal(answers, {"sent", "0 60 0", "1 60 0", f"{NUMBERS[0]} 100 0"}, "ZeroMQ")
        ktap.wait_for(lambda: has_all(receiver, wanted), "OpenPGM has everything", 40)
        packets = seen.poll()
        repairs = collections.Counter(tsi_of(p) for p in packets if p.kind == wire.RDATA)
        asked = collections.Counter(p.source for p in packets if p.kind == wire.NAK)
        ktap.note(f"repairs {sorted(repairs.values())}, NAKs {dict(asked)}")
        ktap.equal(set(repairs), set(wanted), "sources that repaired")


def tsi_of(packet):
    """The TSI, as sockets have it."""
    gsi, port, _ = packet.session
    return gsi + port.to_bytes(2, "big")


def announced(seen):
    """{TSI: address} of the sources of SPMs."""
    return {tsi_of(packet): packet.source for packet in seen.poll() if packet.kind == wire.SPM}


def stream(packets):
    """What ZeroMQ makes of messages that are packets of its own."""
    return b"".join(packet[2:] for packet in packets)


def has_all(receiver, wanted):
    """Whether OpenPGM got all of each source; fails if it gave anything up."""
    receiver.alive()
    ktap.equal(receiver.resets(), 0, "losses that OpenPGM was told of")
    return all(stream(receiver.messages(tsi)) == data for tsi, data in wanted.items())


def collect(bus, wanted):
    """Messages of a datagram socket by TSI, until each source has brought all of its own."""
    pgm.set_int(bus, pgm.PGM_RECVRCVINFO, 1)
    got = {tsi: [] for tsi in wanted}
    while any(len(stream(got[tsi])) < len(data) for tsi, data in wanted.items()):
        data, ancillary, _, _ = bus.recvmsg(2_000, 256)
        got[pgm.rcvinfo(ancillary)[0]].append(data)
    return got


@ktap.test(variants=(variant.V4_UDP, variant.V6_UDP))
def test_udp_source_ports():
    """OpenPGM sends from several UDP ports that nobody may answer to: we answer to its SPM."""
    # req: SPMR-09
    with net.shared(5) as lan:
        one, two = lan.hosts[:2]
        with Referee(one, {one.address}) as seen, exchange.OurReceiver(two) as receiver:
            with Peer("source", one) as source:
                source.send(FIRST[0])
                receiver.wait(1)
                lan.toward(two, "loss 100%")
                source.send(*FIRST[1:-1])
                lan.toward(two, None)
                source.send(FIRST[-1])
                pgm.same(receiver.wait(len(FIRST)), FIRST)
                source.close()
            ports = {p.udp[0] for p in seen.poll() if p.source == one.address}
            assert len(ports) > 1, f"source ports {ports}"
            asked = {p.udp[1] for p in seen.poll() if p.kind == wire.NAK}
            ktap.equal(asked, {variant.UNICAST}, "ports that NAKs went to")


@ktap.test
def test_dirty_options():
    """The third byte of OpenPGM's options is what was on its stack: any value is taken."""
    # req: OPT-11
    with net.shared(5) as lan, pgm.datagram(lan.hosts[1]) as bus:
        with Probe(lan.hosts[0]) as probe:
            source = probe.source()
            source.spm(0, 0xFFFFFFFF)
            fragments = (b"a message ", b"in two fragments")
            length, offset = sum(map(len, fragments)), 0
            for number, (piece, dirt) in enumerate(zip(fragments, (0x4C, 0xDA))):
                body = struct.pack("!III", 0, offset, length)
                source.odata(number, piece, wire.option(wire.OPT_FRAGMENT, body, byte2=dirt))
                offset += len(piece)
            ktap.equal(bus.recv(100), b"".join(fragments))


if __name__ == "__main__":
    ktap.main(openpgm.need)
