# SPDX-License-Identifier: GPL-2.0
"""What is measured: rows, in groups that run in one machine each."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A source and receivers of one kind; words are those of tools/bench/bench.c."""

    group: str
    kind: str
    name: str  # what tells it from other rows of its kind and group
    words: tuple = ()

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
        """Is it what others are divided by?"""
        return self.kind == "udp"

    def line(self):
        """In the language of tools/bench/init."""
        return " ".join(["row", self.id, f"kind={self.kind}", *self.words])


SIZES = {"64": (64, 2000), "1K": (1024, 2000), "8K": (8192, 800)}
SINGLE = ("udp", "raw", "openpgm", "openpgm-udp", "pgm", "pgm-udp")
BATCHED = ("udpmm", "udpgso", "pgmmm", "pgmmm-udp")

# The whole of it twice, first and last in its group.
CONTROL = ("size=1024", "count=2000")


def _rows():
    for group in ("messages", "batches"):
        yield Row(group, "udp", "first", CONTROL)
        yield Row(group, "udp", "last", CONTROL)
    for kind in SINGLE:
        for name, (size, count) in SIZES.items():
            yield Row("messages", kind, name, (f"size={size}", f"count={count}"))
    for kind in BATCHED:
        yield Row("batches", kind, "1K", ("size=1024", "count=4000", "batch=32"))
    # Messages of 15 packets of 1000 bytes each.
    for kind, mtu in (("pgm", 1064), ("pgm-udp", 1072)):
        yield Row("batches", kind, "15x1000", ("size=15000", "count=300", "warm=30", f"mtu={mtu}"))


ROWS = list(_rows())


def choose(wanted):
    """{group: rows}: those that are wanted, and what they are divided by."""
    groups = {}
    for row in ROWS:
        if wanted(row.id):
            groups[row.group] = []
    for row in ROWS:
        if row.group in groups and (row.control or wanted(row.id)):
            groups[row.group].append(row)
    return groups


def script(rows):
    """The lines for tools/bench/init."""
    first, last = ([row for row in rows if row.control and row.name == name] for name in ("first", "last"))
    between = [row for row in rows if row not in first + last]
    yield from (row.line() for row in first)
    yield from (row.line() for row in between if not row.ours)
    yield "pgm"
    yield from (row.line() for row in between if row.ours)
    yield from (row.line() for row in last)
