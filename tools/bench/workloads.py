# SPDX-License-Identifier: GPL-2.0
"""What is measured: rows. Those of a group are one table; groups share machines."""

import dataclasses


def words(**named):
    """Words for tools/bench/bench.c, which says what they mean."""
    return tuple(f"{name}={value}" for name, value in named.items())


@dataclasses.dataclass(frozen=True)
class Row:
    """A source and receivers of one kind; words are those of tools/bench/bench.c."""

    group: str
    kind: str
    name: str  # what tells it from other rows of its kind and group
    words: tuple = ()
    before: str = ""  # what tools/bench/init has to do first

    @property
    def machine(self):
        """Which one it runs in."""
        return MACHINES[self.group]

    @property
    def id(self):
        """As ROWS= has it."""
        return f"{self.group}/{self.kind}/{self.name}"

    @property
    def ours(self):
        """Does it need the module? Then it runs after those that do not."""
        return self.kind.startswith("pgm")

    @property
    def control(self):
        """Is it one that others are divided by?"""
        return self.kind == "udp" and self.group not in ("loss", "overload", "memory") or self.twin

    @property
    def twin(self):
        """Is it the first or the last of its machine?"""
        return self.name in ("first", "last")

    def line(self):
        """In the language of tools/bench/init."""
        row = " ".join(["row", self.id, f"kind={self.kind}", *self.words])
        return f"{self.before}; {row}" if self.before else row


SIZES = {"64": (64, 2000), "1K": (1024, 2000), "8K": (8192, 800)}
SINGLE = ("udp", "raw", "openpgm", "openpgm-udp", "pgm", "pgm-udp")
BATCHED = ("udpmm", "udpgso", "pgmmm", "pgmmm-udp")
MEASURED = ("udp", "openpgm-udp", "pgm", "pgm-udp")

# Each boot is short: long ones were seen to drift apart after a minute of their time.
MACHINES = {
    "messages": "messages",
    "batches": "messages",
    "bridge": "messages",
    "latency": "latency",
    "loss": "loss",
    "overload": "overload",
    "memory": "memory",
    "norm": "norm",
}
# What runs if nobody says what: not overload, which takes long.
USUAL = ("messages", "batches", "bridge", "latency", "loss", "memory", "norm")
# The same row twice, first and last in each machine; long, as now and then the kernel does something else.
CONTROL = words(size=1024, count=6000)
# Two thousand messages a second, with the settings that sockets have by themselves.
PACED = {"rate": 2000, "tuned": 0}
# Messages of 1 KB a second that a link of 40 Mbit/s takes, with all headers.
LINK, LINK_RATE = "tbf rate 40mbit burst 20kb limit 100kb", 4400


def _rows():
    for machine in dict.fromkeys(MACHINES.values()):
        yield Row(machine, "udp", "first", CONTROL)
        yield Row(machine, "udp", "last", CONTROL)
    for kind in SINGLE:
        for name, (size, count) in SIZES.items():
            yield Row("messages", kind, name, words(size=size, count=count))
        yield Row("latency", kind, "64", words(size=64, count=2000, **PACED))
    for kind in BATCHED:
        yield Row("batches", kind, "1K", words(size=1024, count=4000, batch=32))
    for name, (size, count) in SIZES.items():
        yield Row("norm", "norm", name, words(size=size, count=count))
    # Messages of 15 packets of 1000 bytes each.
    for kind, mtu in (("pgm", 1064), ("pgm-udp", 1072)):
        yield Row("batches", kind, "15x1000", words(size=15000, count=300, warm=30, mtu=mtu))
    for kind in ("raw", *MEASURED):
        yield Row("bridge", kind, "4", words(size=1024, count=1000, bridge=1, receivers=4))
    for kind in MEASURED:
        for percent, receivers in ((1, 1), (1, 4), (5, 4)):
            size = words(size=1024, count=4000, bridge=1, receivers=receivers, patience=10, **PACED)
            yield Row("loss", kind, f"{percent}%-{receivers}", size, f"lossy {percent}")
    for kind in MEASURED:
        # At twice the rate delivery lags behind by the window of the source, which shall not weigh.
        for percent, seconds in ((100, 2), (200, 15)):
            rate = LINK_RATE * percent // 100
            size = words(size=1024, count=rate * seconds, bridge=1, patience=5, rate=rate, tuned=0)
            yield Row("overload", kind, f"{percent}%", size, f"link {LINK}")
    for kind in ("udp", "pgm", "pgm-udp"):
        # The window of the source has passed when the receiver's memory is read.
        yield Row("memory", kind, "receiver", words(size=1024, count=16000, hold=2, rate=10000), "alone")
        if kind != "udp":
            held = words(size=1024, count=16000, hold=1, receivers=0, window=5000)
            yield Row("memory", kind, "source", held, "alone")


ROWS = list(_rows())


def usual(name):
    """Does a row run if nobody says what?"""
    return name.partition("/")[0] in USUAL


def choose(wanted):
    """{machine: rows}: those that are wanted, and what they are divided by."""
    machines = {}
    for row in ROWS:
        if wanted(row.id):
            machines[row.machine] = []
    for row in ROWS:
        if row.machine in machines and (row.control or wanted(row.id)):
            machines[row.machine].append(row)
    return machines


def script(rows):
    """The lines for tools/bench/init: first those that run without the module."""
    first, last = ([row for row in rows if row.control and row.name == name] for name in ("first", "last"))
    between = [row for row in rows if row not in first + last]
    yield from (row.line() for row in first)
    yield from (row.line() for row in between if not row.ours)
    yield "pgm"
    yield from (row.line() for row in between if row.ours)
    yield from (row.line() for row in last)
