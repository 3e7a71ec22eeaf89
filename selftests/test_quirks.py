#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What OpenPGM does against RFC 3208, seen in its packets: each excuse that `rules` makes for it, and
what our tests step around. A quirk that is gone fails, and its excuse goes too."""

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
from openpgm import Peer
from probe import Probe
from referee import Referee

ktap.usual_variants((variant.V4, variant.V6_UDP))


def fragment(first, offset, length):
    """OPT_FRAGMENT"""
    return wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, offset, length))


@ktap.test
def test_repairs_after_a_stray_fragment():
    """After a fragment that it does not want it drops packets without options, until any option comes.

    It keeps the buffer of a packet that it drops, and where OPT_FRAGMENT was in it. Only a packet with
    options overwrites that; in others it takes payload for the option, finds it malformed, drops the
    packet, and keeps the buffer once more. It asks for them until it gives up.
    """
    # Without the stray one it takes each repair at once.
    for stray in (False, True):
        stray_fragment(stray)


def stray_fragment(stray):
    """A message in two fragments, the second once or twice, and then a packet without options."""
    with net.shared(5) as lan, Probe(lan.hosts[0], pgm.PORT) as probe:
        source = probe.source()
        data = [b"one", b"\xff" * 40, b"\xff" * 41]

        def repair(sqn, payload, *items):
            probe.forget()
            nak = probe.wait(wire.NAK, where=lambda packet: sqn in packet.numbers)
            source.ncf(nak.sqn, *nak.numbers[1:])
            source.rdata(sqn, payload, *items)

        with Peer("receiver", lan.hosts[1]) as receiver:
            source.spm(0, 0xFFFFFFFF)
            source.odata(0, data[0])
            receiver.wait(1)
            message = bytes(range(100))
            source.odata(1, message[:60], fragment(1, 0, 100))
            source.odata(2, message[60:], fragment(1, 60, 100))
            if stray:  # as when somebody else asked for it
                source.rdata(2, message[60:], fragment(1, 60, 100))
            pgm.same(receiver.wait(2), [data[0], message])
            source.odata(3, data[1])
            source.spm(0, 3)
            if stray:
                for _ in range(3):
                    repair(3, data[1])
                probe.forget()
                probe.wait(wire.NAK, where=lambda packet: 3 in packet.numbers)
                ktap.equal(len(receiver.messages()), 2, "messages before an option came")
                # Any option does, here one that it does not know.
                repair(3, data[1], wire.option(0x60))
            source.odata(4, data[2])
            pgm.same(receiver.wait(4), [data[0], message, *data[1:]])
            probe.silence(0.1, wire.NAK)
            ktap.equal(receiver.resets(), 0, "losses that it was told of")


@ktap.each({"gaps_before_an_spm": False, "gaps_after_an_spm": True})
def gaps(heard):
    """A packet that is missing when no SPM of its source was heard is given up at once, without a NAK.

    It has nowhere to send the NAK to, as only SPMs say where. RFC 3208 lets a receiver wait for one.
    """
    with net.shared(5) as lan, Probe(lan.hosts[0], pgm.PORT) as probe:
        source = probe.source()
        with Peer("receiver", lan.hosts[1]) as receiver:
            if heard:
                source.spm(0, 0xFFFFFFFF)
            source.odata(0, b"one")
            receiver.wait(1)
            source.odata(2, b"three")
            if heard:
                nak = probe.wait(wire.NAK)
                source.ncf(nak.sqn)
                source.rdata(1, b"two")
                pgm.same(receiver.wait(3), [b"one", b"two", b"three"])
                ktap.equal(receiver.resets(), 0, "losses that it was told of")
            else:
                ktap.wait_for(lambda: len(receiver.messages()) == 2, "it has given the second one up")
                ktap.equal(receiver.messages(), [b"one", b"three"])
                ktap.equal(receiver.resets(), 1, "losses that it was told of")
                # An SPM now is too late, and so is what would repair it.
                source.spm(0, 2)
                source.rdata(1, b"two")
                probe.silence(0.1, wire.NAK)
                ktap.equal(receiver.messages(), [b"one", b"three"])


def broken(packets, address):
    """The requirements that the packets of one host break."""
    return {fault.requirement for fault in rules.judge(packets) if fault.packet.source == address}


def of_a_source(lan):
    """What OpenPGM breaks as a source that sends fragments and then heartbeats."""
    host = lan.hosts[0]
    with Referee(host, {host.address}) as seen, Peer("source", host) as source:
        source.send(b"one", bytes(4_000))
        sent = 1 + 3
        ktap.wait_for(
            lambda: [packet.kind for packet in seen.poll()[-6:]] == [wire.SPM] * 6, "heartbeats"
        )
        ktap.equal(seen.count(wire.ODATA), sent)
        return broken(seen.packets, host.address)


def of_a_silent_source(lan):
    """What OpenPGM breaks as a source that repairs after its last heartbeat."""
    host = lan.hosts[0]
    with Probe(lan.hosts[1], pgm.PORT) as probe, Peer("source", host, ambient_spm=30_000_000) as source:
        source.send(b"one")
        probe.wait(wire.ODATA)
        while probe.fresh(1.2):
            pass
        gsi, port = source.tsi[:6], int.from_bytes(source.tsi[6:], "big")
        session = wire.Session(host.address, pgm.GROUP, pgm.PORT, port, gsi)
        probe.send(session.nak(wire.NAK, 0), host.address)
        probe.wait(wire.NCF)
        other = probe.source()

        def repaired():
            # It confirms, and repairs when anything else comes or is due.
            other.spm(0, 0xFFFFFFFF)
            return probe.all(wire.RDATA)

        ktap.wait_for(repaired, "a repair", interval=0.1)
        probe.silence(1.2, wire.SPM)
        # Only because it is asked to.
        probe.send(session.spmr(), host.address)
        probe.wait(wire.SPM)
        packets = sorted(probe.heard + probe.sent, key=lambda packet: packet.time)
        return broken(packets, host.address)


def of_a_receiver(lan):
    """What OpenPGM breaks as a receiver whose NAKs nobody answers."""
    address = lan.hosts[1].address
    with Probe(lan.hosts[0], pgm.PORT) as probe:
        source = probe.source()
        with Peer("receiver", lan.hosts[1], nak_bo_ivl=100_000) as receiver:
            source.spm(0, 0xFFFFFFFF)
            source.odata(0, b"one")
            receiver.wait(1)
            found = set()
            # Whether a number that is asked for again comes to stand behind a later one is by chance.
            for number in range(3, 90, 3):
                source.odata(number, b"after two that are missing")
                probe.forget()
                probe.wait(wire.NAK, where=lambda packet, n=number: n - 2 in packet.numbers)
                packets = sorted(probe.heard + probe.sent, key=lambda packet: packet.time)
                found = broken(packets, address)
                if {"NAK-16", "OPT-06", "OPT-31"} <= found:
                    break
            return found - {"SRC-16"}  # no NCF: that is the probe


@ktap.test
def test_excuses():
    """Each rule that OpenPGM need not keep in other tests is one that it breaks, and there is no other."""
    with net.shared(5) as lan:
        found = of_a_source(lan) | of_a_silent_source(lan) | of_a_receiver(lan)
    ktap.note(sorted(found))
    wanted = set(openpgm.QUIRKS)
    if variant.now() != variant.V4:
        wanted.remove("ADDR-01")  # there is no Router Alert
    ktap.equal(sorted(found), sorted(wanted))


if __name__ == "__main__":
    ktap.main(openpgm.need)
