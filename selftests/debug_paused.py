#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The whole machine stands still again and again, as one that is suspended; only its clock goes on.

Nothing inside a machine can do that to it: PGM_PAUSES says how often it is done from outside, by
`tools/lab/lab run --pause 0.3,0.3` for one.
"""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import faults
import ktap
import net
import pgm
import traffic
import variant

PAUSES = int(os.environ.get("PGM_PAUSES", "0"))
GAP = 0.2  # seconds


def need_pauses():
    """The module, and somebody outside."""
    if not PAUSES:
        raise ktap.Skip("nobody stops this machine")
    pgm.need_module()


@ktap.test(timeout=60 + 2 * PAUSES, variants=(variant.V4, variant.V6_UDP))
def test_transfer():
    """Packets are lost, repairs are under way, timers due and missed: all arrives, or its loss is told."""
    # attack: A-22
    with faults.balanced(), net.shared() as lan, pgm.listener(lan.hosts[1]) as listening:
        lan.toward(lan.hosts[1], "loss 5%")
        with pgm.source(lan.hosts[0], window=(20_000, 3_000, 0)) as source:
            source.send(b"hello")
            session, _ = pgm.accept(listening)
            with session:
                receiver = pgm.Background(pgm.receive_all, session)
                sent, gaps, before = [b"hello"], 0, time.monotonic()
                while gaps < PAUSES:
                    message = struct.pack("!I", len(sent)) + traffic.MESSAGE
                    source.send(message)
                    sent.append(message)
                    time.sleep(0.002)
                    now = time.monotonic()
                    gaps += now - before > GAP
                    before = now
                source.shutdown(socket.SHUT_WR)
                pgm.same(receiver.result(), sent)
                stats = pgm.stats(session)
                ktap.note(f"{gaps} pauses, {len(sent)} messages, {stats['repaired']} repaired")
                ktap.equal(stats["lost"], 0)
                pgm.reset_close(source)
        traffic.exchange(lan)


if __name__ == "__main__":
    ktap.main(need_pauses)
