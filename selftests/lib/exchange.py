# SPDX-License-Identifier: GPL-2.0
"""One source and some receivers, each ours or OpenPGM's: a cell of the matrix of interop.rst."""

import contextlib

import ktap
import net
import openpgm
import pgm
import wire
from referee import Referee

# What every case of the matrix sends at each loss, in percent: messages of one packet, and fragmented
# ones when all of those have arrived, as OpenPGM asks (test quirks:repairs_after_a_stray_fragment). It
# takes no more than 16 fragments.
SINGLE, FRAGMENTED = (1, 1_400), (1_500, 20_000)
AMOUNTS = {0: (20, 2), 1: (30, 3), 5: (100, 8)}
LOSSES = tuple(AMOUNTS)


class OurSource:
    """Our source, with the calls of openpgm.Peer."""

    def __init__(self, host):
        self.sock = pgm.source(host, options={pgm.PGM_AMBIENT_SPM: 500_000})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, *messages):
        """One call for each message."""
        for message in messages:
            self.sock.send(message)

    def close(self):
        """The end of the session; what is missing is still repaired."""
        self.sock.close()


class OurReceiver:
    """A listener that accepts one session, with the calls of openpgm.Peer."""

    def __init__(self, host, options=None):
        self.listening, self.session, self.got = pgm.listener(host, options=options), None, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.session:
            self.session.close()
        self.listening.close()

    def wait(self, count):
        """The messages, as soon as there are so many."""
        if not self.session:
            self.session, _ = pgm.accept(self.listening)
        while len(self.got) < count:
            data, _, flags, _ = self.session.recvmsg(1 << 16)
            assert data or flags & pgm.MSG_EOR, f"the session ended after {len(self.got)} messages"
            self.got.append(data)
        return self.got

    def end(self):
        """Fails unless the session ends now, as its source has ended it."""
        data, _, flags, _ = self.session.recvmsg(10)
        ktap.equal((data, flags & pgm.MSG_EOR), (b"", 0), "after the last message")


def exchange(source_is_ours, ours, theirs, losses=LOSSES):
    """One source, some receivers of each kind behind cables that lose more and more: all get
    everything."""
    with net.shared(5) as lan, contextlib.ExitStack() as stack:
        first, *others = lan.hosts
        hosts = others[:ours] + others[2 : 2 + theirs]
        receivers = [OurReceiver(host) for host in hosts[:ours]]
        receivers += [openpgm.Peer("receiver", host) for host in hosts[ours:]]
        theirs = [host.address for host in hosts[ours:]] + [first.address] * (not source_is_ours)
        referee = stack.enter_context(Referee(first, theirs))
        for receiver in receivers:
            stack.enter_context(receiver)
        source = OurSource(first) if source_is_ours else openpgm.Peer("source", first)
        stack.enter_context(source)
        sent = []

        def pass_on(*messages):
            sent.extend(messages)
            source.send(*messages)
            for receiver in receivers:
                pgm.same(receiver.wait(len(sent)), sent)

        # Whoever is there when the session begins gets all of it.
        pass_on(b"first")
        for part, sizes in enumerate((SINGLE, FRAGMENTED)):
            for loss in losses:
                lan.everywhere(f"loss {loss}%")
                pass_on(*pgm.messages(AMOUNTS[loss][part], sizes))
        source.close()
        for receiver in receivers[:ours]:
            receiver.end()
        kinds = {wire.NAMES[kind]: referee.count(kind) for kind in wire.NAMES}
        ktap.note({name: count for name, count in kinds.items() if count})
        if losses == LOSSES:
            for host in hosts:
                assert referee.count(wire.NAK, host.address), f"no NAK of {host.name}"
            assert referee.count(wire.RDATA) and referee.count(wire.NCF), "no repairs"
