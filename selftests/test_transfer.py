#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What was sent arrives, whole and in order, whatever the network does to it."""

import os
import socket
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant

ktap.usual_variants(variant.ALL)

COUNT = 1500


def transfer(count, sizes, spec, receivers=1, window=(20_000, 15_000, 0)):
    """Sends through impaired cables; returns the counters of the source and each receiver."""
    sent = pgm.messages(count, sizes)
    with net.shared(receivers + 1) as lan:
        first, *others = lan.hosts
        # Without loss, patience: an emulated CPU may stand still longer than a back-off.
        options = None if spec else {pgm.PGM_NAK_BO_IVL: 1_000_000}
        listeners = [pgm.listener(host, options=options) for host in others]
        with pgm.source(first, window=window, options={pgm.PGM_AMBIENT_SPM: 100_000}) as source:
            # An SPM before the first ODATA, or losing that one would shorten the session.
            ktap.wait_for(lambda: pgm.stats(source)["spm"] >= 3, "the session is announced")
            for host in others if spec else []:
                lan.impair(host, spec)
            sessions = [pgm.Background(receive, listening) for listening in listeners]
            for message in sent:
                source.send(message)
            source.shutdown(socket.SHUT_WR)
            results = [session.result() for session in sessions]
            sender = pgm.stats(source)
        for got, _ in results:
            pgm.same(got, sent)
        for listening in listeners:
            listening.close()
    counters = [counters for _, counters in results]
    ktap.note(f"source: {sender}")
    for receiver in counters:
        ktap.note(f"receiver: {receiver}")
        ktap.equal(receiver["lost"], 0)
        # The others came late, but before loss was assumed.
        assert receiver["repaired"] <= receiver["missing"]
        ktap.equal(receiver["apdus"], count)
    return sender, counters


def receive(listening):
    """All messages of one session, and its counters."""
    session, _ = pgm.accept(listening)
    with session:
        return pgm.receive_all(session), pgm.stats(session)


@ktap.test
def test_no_loss():
    """Hardly anything is repaired when nothing is lost."""
    # req: RCV-07 RCV-17 SRC-01 SRC-22
    sender, (receiver,) = transfer(COUNT, (1, 1400), None)
    ktap.equal(sender["odata"], COUNT)
    ktap.equal(receiver["odata"] + receiver["rdata"], COUNT)
    # A sender that moves to another CPU overtakes itself on a virtual cable, so a few may be late.
    assert sender["rdata"] <= COUNT // 100, "repairs without loss"


@ktap.each({"loss_1": "loss 1%", "loss_5": "loss 5%", "loss_20": "loss 20%"}, timeout=90)
def loss(spec):
    """Loss of data, repairs, NAKs and NCFs alike."""
    # req: RCV-14 NAK-19 SRC-19
    sender, (receiver,) = transfer(COUNT, (1, 1400), spec)
    assert receiver["repaired"] > 0, "nothing was repaired"
    # Some of the missing may be packets that overtook each other on the way, and came late.
    assert 0 < sender["rdata"] and receiver["repaired"] <= receiver["missing"]
    assert sender["naks"] > 0 and sender["ncf"] > 0


@ktap.test(timeout=90)
def test_fragments_with_loss():
    """Messages of up to 20,000 bytes at 5 % loss: whole or not at all."""
    # req: OPT-24
    sender, _ = transfer(300, (1, 20_000), "loss 5%")
    assert sender["odata"] > 1_000


@ktap.each(
    {
        "duplicates": "duplicate 20%",
        "reordering": "delay 3ms reorder 40% 50%",
        "everything": "delay 2ms 2ms loss 3% duplicate 5% corrupt 1%",
    },
    timeout=90,
)
def disorder(spec):
    """Each message once, in order."""
    # req: RCV-05 RCV-07 RCV-17 WIRE-17
    transfer(COUNT, (1, 1400), spec)


@ktap.test(timeout=90)
def test_three_receivers():
    """Independent loss at three receivers, and one NAK serves for all where it can."""
    sender, receivers = transfer(800, (1, 1400), "loss 5%", receivers=3)
    missing = sum(receiver["missing"] for receiver in receivers)
    assert sender["rdata"] < 2 * missing, "repairs were not shared"


if __name__ == "__main__":
    ktap.main(pgm.need_module)
