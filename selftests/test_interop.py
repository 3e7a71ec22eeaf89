#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""OpenPGM (Debian's libpgm) receives what we send, and we what it sends."""

import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import exchange
import ktap
import net
import openpgm
import pgm
import variant

ktap.usual_variants(variant.ALL)

# Is the source ours, how many receivers are ours, how many OpenPGM's.
DIRECTIONS = {
    "to_openpgm_at_0_1_5_percent": (True, 0, 1),
    "from_openpgm_at_0_1_5_percent": (False, 1, 0),
}


@ktap.each(DIRECTIONS, timeout=90)
def direction(case):
    """Messages of one packet and fragmented ones, at 0, 1 and 5 % loss: all arrive."""
    exchange.exchange(*case)


@ktap.test(timeout=60, variants=(variant.V4_UDP, variant.V6_UDP))
def test_segments():
    """OpenPGM gets single packets out of buffers of many."""
    # So fast that packets need not wait for each other.
    window = (1_000_000, 200, 0)
    sent = [b"first", *pgm.messages(8, (5_000, 20_000))]
    with net.shared(2, gso=True) as lan, pgm.source(lan.hosts[0], window=window) as source:
        with openpgm.Peer("receiver", lan.hosts[1]) as receiver:
            before = lan.hosts[0].packets()[1]
            for message in sent:
                source.send(message)
            pgm.same(receiver.wait(len(sent)), sent)
            assert lan.hosts[0].packets()[1] - before < pgm.stats(source)["odata"] / 2


if __name__ == "__main__":
    ktap.main(openpgm.need)
