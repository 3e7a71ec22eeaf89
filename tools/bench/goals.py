# SPDX-License-Identifier: GPL-2.0
"""What figures mean, and what they have to be."""

import dataclasses

OURS = ("pgm", "pgm-udp")


def cost(figure):
    """Instructions a message, source and receivers."""
    return (figure["tx"] + figure["rx"]) / figure["messages"]


def per_packet(figure):
    """Instructions a packet with data; a message of anything but PGM is one."""
    packets = figure["odata"] * figure["messages"] / (figure["messages"] + figure["warm"])
    return (figure["tx"] + figure["rx"]) / (packets or figure["messages"])


def per_message(group, figure):
    """What a row of a group is compared by."""
    return per_packet(figure) if group == "batches" else cost(figure)


def period(figure):
    """Nanoseconds from one message to the next, if the source sends as fast as it can."""
    return max(figure["elapsed"]) / figure["messages"]


def micro(figure, what):
    """A quantile of the time from send() to recv(), of the worst receiver, in microseconds."""
    return max(figure[what]) / 1000


def delivered(figure):
    """The share of the messages that the worst receiver got."""
    return min(figure["got"]) / figure["messages"]


def goodput(figure):
    """Messages a second that the worst receiver got while the source sent."""
    return min(figure["in_time"]) / figure["sending"] * 1e9


def distinct_losses(figure):
    """How many packets at least one receiver missed: each loses on its own, so this follows from how many all missed."""
    receivers = len(figure["missing"])
    each = sum(figure["missing"]) / receivers / figure["odata"] if figure["odata"] else 0
    return figure["odata"] * (1 - (1 - each) ** receivers)


def weight(figure):
    """Bytes of memory for each byte of a message that is kept."""
    return figure["held"] / figure["messages"] / figure["size"]


def lightest(figure):
    """What weight() cannot be below: PGM's header of data is kept as well, or room for it."""
    return 1 + 24 / figure["size"]


@dataclasses.dataclass(frozen=True)
class Goal:
    """One of them; value and must and aim of the same unit."""

    what: str
    value: float
    must: float
    aim: float
    unit: str = ""
    most: bool = True  # must not be more, else not be less

    def missed(self):
        """Is it not reached?"""
        return self.value > self.must if self.most else self.value < self.must

    def verdict(self):
        """In a word."""
        if self.missed():
            return "MISSED"
        return "aim" if (self.value <= self.aim if self.most else self.value >= self.aim) else "ok"

    def text(self, value):
        """A value with its unit."""
        return f"{value:.0f}{self.unit}" if value >= 1000 else f"{value:.3f}{self.unit}"


def reached(figures):
    """The goals that there are figures for."""
    return [goal for goal in _all(_Lookup(figures)) if goal]


class _Lookup:
    def __init__(self, figures):
        self.figures = figures

    def goal(self, what, function, ids, *rest, **named):
        """A goal of a function of figures, or None if one of them is missing."""
        if not all(name in self.figures for name in ids):
            return None
        return Goal(what, function(*(self.figures[name] for name in ids)), *rest, **named)


def _against(measure):
    return lambda ours, base: measure(ours) / measure(base)


def _all(look):
    for kind in OURS:
        for size, must, aim in (("64", 1.25, 1.10), ("1K", 1.25, 1.10), ("8K", 1.25, 0.8)):
            ids = (f"messages/{kind}/{size}", f"messages/udp/{size}")
            yield look.goal(f"instructions a message, {size}, {kind} / udp", _against(cost), ids, must, aim)
    yield from _batches(look)
    for kind in OURS:
        ids = (f"messages/{kind}/1K", "messages/udp/1K")
        rate = lambda ours, base: period(base) / period(ours)
        yield look.goal(f"highest rate without loss, 1K, {kind} / udp", rate, ids, 0.8, 0.95, most=False)
    for kind in OURS:
        for what, must, aim in (("p50", 1.15, 1.05), ("p99", 1.5, 1.1)):
            ids = (f"latency/{kind}/64", "latency/udp/64")
            quantile = _against(lambda figure, what=what: micro(figure, what))
            yield look.goal(f"one way {what}, {kind} / udp", quantile, ids, must, aim)
    for kind in OURS:
        for case, must, aim in (("1%-1", 3, 1), ("1%-4", 5, 2), ("5%-4", 50, 5)):
            ids = (f"loss/{kind}/{case}",)
            # What never came is as old as can be.
            age = lambda figure: micro(figure, "p99") / 1000 if delivered(figure) == 1 else float("inf")
            yield look.goal(f"p99 age, loss and receivers {case}, {kind}", age, ids, must, aim, unit=" ms")
        ids = (f"loss/{kind}/1%-4",)
        naks = lambda figure: figure["naks"] / max(distinct_losses(figure), 1)
        yield look.goal(f"NAKs a distinct loss, 4 receivers, {kind}", naks, ids, 1.1, 0.5)
    for kind in OURS:
        ids = tuple(f"overload/{kind}/{percent}%" for percent in (200, 100))
        share = lambda twice, once: goodput(twice) / max(goodput(twice), goodput(once))
        yield look.goal(f"goodput at twice the rate / its peak, {kind}", share, ids, 0.9, 0.98, most=False)
    for kind in OURS:
        for side in ("source", "receiver"):
            yield look.goal(f"memory / payload, 1K, {side}, {kind}", weight, (f"memory/{kind}/{side}",), 1.6, 1.3)
    for kind in OURS:
        ids = (f"bridge/{kind}/4", "bridge/udp/4")
        yield look.goal(f"four receivers on a bridge, {kind} / udp", _against(cost), ids, 1.25, 1.1)


def _batches(look):
    ids = ("batches/pgmmm-udp/1K", "batches/pgm-udp/15x1000", "batches/udpmm/1K", "batches/udpgso/1K")
    if not all(name in look.figures for name in ids):
        return
    many, large, udpmm, udpgso = (per_packet(look.figures[name]) for name in ids)
    yield Goal("instructions a packet, many a call, pgm-udp", min(many, large), udpmm, 2 * udpgso)
    rate = lambda ours, base: period(base) / period(ours)
    ids = ("batches/pgmmm-udp/1K", "messages/udp/1K")
    yield look.goal("highest rate without loss, 1K, many a call / udp", rate, ids, 0.8, 5, most=False)
