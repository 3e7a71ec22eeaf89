# SPDX-License-Identifier: GPL-2.0
"""Figures as tables: a table for each group of rows, and the goals."""

import goals
import plots
import simulation

# How much UDP's first and last row of a machine may differ: a part of the first.
TOLERANCE = 0.01
# By how much a ratio to UDP may worsen against the committed figures.
WORSE = 0.03
# Groups in which every message has to arrive: nothing is lost on the way.
WHOLE = ("messages", "batches", "latency", "bridge")


def noise(figures, machine, rows):
    """Why what one machine measured cannot be trusted, or None."""
    first, last = (goals.cost(figures[f"{machine}/udp/{name}"]) for name in ("first", "last"))
    if abs(last - first) > TOLERANCE * first:
        return f"{machine}: UDP took {first:.0f} instructions a message first and {last:.0f} last"
    for row in rows:
        figure = figures[row.id]
        if row.group in WHOLE and min(figure["got"]) < figure["messages"]:
            return f"{row.id}: only {min(figure['got'])} of {figure['messages']} messages arrived"
        if row.group == "memory" and not row.twin and goals.weight(figure) < goals.lightest(figure):
            return f"{row.id}: {goals.weight(figure):.3f} bytes of memory a byte, less than what was kept"
    return None


def text_table(heads, lines):
    """Lines of equal columns: the first is text, the rest numbers."""
    rows = [heads, *lines]
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads))]
    return "\n".join(
        "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    )


def _ratio(value, figure, of=goals.cost):
    return f"{value / of(figure):.3f}" if figure else "-"


def _against(figures, group, what, kinds, value, of=goals.cost):
    return [_ratio(value, figures.get(f"{group}/{kind}/{what}"), of) for kind in kinds]


def _messages(figures, group, rows):
    heads = ["instructions a message", "tx", "rx", "sum", "/udp", "/openpgm", "/openpgm-udp"]
    for kind, what, figure in rows:
        number = figure["messages"]
        yield [
            f"{kind} {what}",
            f"{figure['tx'] / number:.0f}",
            f"{figure['rx'] / number:.0f}",
            f"{goals.cost(figure):.0f}",
            *_against(figures, group, what, ("udp", "openpgm", "openpgm-udp"), goals.cost(figure)),
        ]
    yield heads


def _batches(figures, group, rows):
    heads = ["instructions a packet, many a call", "tx", "rx", "sum", "/udpmm", "/udpgso"]
    for kind, what, figure in rows:
        part = goals.per_packet(figure) / (figure["tx"] + figure["rx"])
        yield [
            f"{kind} {what}",
            f"{figure['tx'] * part:.0f}",
            f"{figure['rx'] * part:.0f}",
            f"{goals.per_packet(figure):.0f}",
            *_against(figures, group, "1K", ("udpmm", "udpgso"), goals.per_packet(figure)),
        ]
    yield heads


def _latency(figures, group, rows):
    heads = ["one way, 2,000 messages a second, us", "p50", "p99", "max", "p50 /udp", "p99 /udp", "p50 /openpgm-udp"]
    for kind, what, figure in rows:
        p50, p99 = figure["p50"][0], figure["p99"][0]
        yield [
            f"{kind} {what}",
            *(f"{goals.micro(figure, name):.1f}" for name in ("p50", "p99", "max")),
            *_against(figures, group, what, ("udp",), p50, lambda one: one["p50"][0]),
            *_against(figures, group, what, ("udp",), p99, lambda one: one["p99"][0]),
            *_against(figures, group, what, ("openpgm-udp",), p50, lambda one: one["p50"][0]),
        ]
    yield heads


def _loss(figures, group, rows):
    del figures, group
    heads = ["loss, receivers; 2,000 a second; ms", "p50", "p99", "max", "delivered", "NAKs/loss", "repairs/loss"]
    for kind, what, figure in rows:
        distinct = goals.distinct_losses(figure)
        yield [
            f"{kind} {what}",
            *(f"{goals.micro(figure, name) / 1000:.2f}" for name in ("p50", "p99", "max")),
            f"{100 * goals.delivered(figure):.2f} %",
            f"{figure['naks'] / distinct:.2f}" if distinct else "-",
            f"{figure['rdata'] / distinct:.2f}" if distinct else "-",
        ]
    yield heads


def _overload(figures, group, rows):
    del figures, group
    heads = ["offered, of what the link takes", "goodput/s", "delivered in the end", "repairs"]
    for kind, what, figure in rows:
        yield [
            f"{kind} {what}",
            f"{goals.goodput(figure):.0f}",
            f"{100 * goals.delivered(figure):.2f} %",
            f"{figure['rdata']}",
        ]
    yield heads


def _memory(figures, group, rows):
    del figures, group
    heads = ["memory of a packet that waits", "bytes", "/payload"]
    for kind, what, figure in rows:
        yield [f"{kind} {what}", f"{figure['held'] / figure['messages']:.0f}", f"{goals.weight(figure):.3f}"]
    yield heads


def compare(figures, committed):
    """Lines of KTAP: ratios to UDP of our rows against those that are committed."""
    for name, figure in figures.items():
        group, kind, what = name.split("/")
        if kind not in ("pgm", "pgm-udp", "pgmmm", "pgmmm-udp") or group not in ("messages", "batches"):
            continue
        base = f"messages/udp/{what if group == 'messages' else '1K'}"
        now = goals.per_message(group, figure) / goals.cost(figures[base])
        if name not in committed or base not in committed:
            yield f"not ok {name}: {now:.3f} times UDP, and no committed figure"
            continue
        was = goals.per_message(group, committed[name]) / goals.cost(committed[base])
        change = now / was - 1
        text = f"{name}: {now:.3f} times UDP, committed {was:.3f}"
        if change > WORSE:
            yield f"not ok {text}: {100 * change:.1f} % worse"
        elif change < -WORSE:
            yield f"ok {text}: better, please commit it: make bench UPDATE=1"
        else:
            yield f"ok {text}"


# What each group shows. The generators end with the heads.
GROUPS = {
    "messages": _messages,
    "batches": _batches,
    "latency": _latency,
    "bridge": _messages,
    "loss": _loss,
    "overload": _overload,
    "memory": _memory,
}


def _shown(name):
    group = name.partition("/")[0]
    return "messages" if group == "norm" else group


def tables(figures):
    """[(group, heads, lines)] of all that there are figures for."""
    found = []
    for group, show in GROUPS.items():
        rows = [(*name.split("/")[1:], one) for name, one in figures.items() if _shown(name) == group]
        rows = [row for row in rows if row[1] not in ("first", "last")]
        if rows:
            *lines, heads = show(figures, group, rows)
            found.append((group, heads, lines))
    return found


def goal_table(reached):
    """(heads, lines) of goals."""
    lines = [[one.what, one.text(one.value), one.text(one.must), one.text(one.aim), one.verdict()] for one in reached]
    return ["goal", "is", "must", "aim", ""], lines


def _rst_table(heads, lines):
    rows = [[cell or "\\ " for cell in row] for row in [heads, *lines]]
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads))]
    rule = " ".join("=" * width for width in widths)
    text = [" ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([rule, text[0], rule, *text[1:], rule])


def _heading(text):
    return f"{text}\n{'=' * len(text)}"


def page(figures, found):
    """Documentation/performance.rst: figures of make bench, and what make bench-sim found, if it did."""
    reached = [*goals.reached(figures), *(simulation.reached(found) if found else [])]
    parts = [PREAMBLE.strip(), _heading("The goals"), _rst_table(*goal_table(reached))]
    for group, heads, lines in tables(figures):
        title, about = TITLES[group]
        parts += [_heading(title), about, f".. image:: performance/{group}.svg\n   :alt: {title}", _rst_table(heads, lines)]
    if found:
        for title, about, heads, lines in simulation.tables(found):
            parts += [_heading(title), about, _rst_table(heads, lines)]
        for name, (title, _) in simulation.pictures(found).items():
            parts.append(f".. image:: performance/{name}.svg\n   :alt: {title}")
    return "\n\n".join(parts) + "\n"


def pictures(figures):
    """{name: SVG}, one for each group."""
    found = {}
    for group, heads, lines in tables(figures):
        column, what, logarithmic = PICTURES[group]
        values = [(line[0], float(line[column].rstrip(" %"))) for line in lines]
        found[group] = plots.bars(f"{TITLES[group][0]}: {what}", values, logarithmic)
        del heads
    return found


# The column of the table that the picture of a group shows, what it is, and whether by its logarithm.
PICTURES = {
    "messages": (3, "instructions a message", False),
    "batches": (3, "instructions a packet", True),
    "bridge": (3, "instructions a message", False),
    "latency": (2, "99th percentile, microseconds", False),
    "loss": (2, "99th percentile, milliseconds", True),
    "overload": (1, "messages a second that arrive in time", False),
    "memory": (2, "bytes of memory for a byte of the message", False),
}

TITLES = {
    "messages": (
        "One message a call",
        "Messages of 64 bytes, 1 KB and 8 KB to one receiver, each taken as soon as it is there. OpenPGM's costs include its\n"
        "copies to user space and the system calls by which it waits.",
    ),
    "batches": (
        "Many messages a call",
        "32 messages a call (``mm``: sendmmsg and recvmmsg), or messages of 15 packets. ``udpgso`` is UDP that is cut into\n"
        "packets as late as possible (UDP_SEGMENT) and not at all on this path (UDP_GRO): the limit.",
    ),
    "bridge": ("Four receivers", "On a bridge, messages of 1 KB; all that source and receivers take."),
    "latency": (
        "Latency",
        "From send() to the return of recv(), 2,000 messages a second, default settings. In this machine a nanosecond is an\n"
        "instruction: microseconds here are thousands of instructions on the way of the message.",
    ),
    "loss": (
        "Repair",
        "Age of messages of 1 KB at delivery, in order, 2,000 a second, the worst of the receivers, default settings. netem\n"
        "loses what the bridge sends to each receiver, repairs included. ``1%-4``: one per cent, four receivers. UDP repairs\n"
        "nothing. OpenPGM has the times of its own examples. NAKs are those that reach the source.",
    ),
    "overload": (
        "Overload",
        "Messages of 1 KB over a link of 40 Mbit/s (a token bucket with 20 ms of buffer), offered as much as it takes for\n"
        "2 s, and twice that for 15 s. The source may send 100 Mbit/s: nothing tells it of the link.",
    ),
    "memory": (
        "Memory",
        "What the memory that nobody uses shrinks by while 16,000 messages of 1 KB wait: in the window of a source, or in the\n"
        "window and the queue of a receiver that does not read, whose source has forgotten them.",
    ),
}

PREAMBLE = """
.. SPDX-License-Identifier: GPL-2.0
.. Written by make bench UPDATE=1.

===========
Performance
===========

Figures of ``make bench``, beside UDP multicast, raw IP and OpenPGM (Debian's libpgm) under the same conditions. They are counted in a
virtual machine in which an instruction takes a nanosecond, so that they do not depend on what else the host does: see
testing.rst_. They say how much work is done; caches, memory and several processors have no part in them.

.. _testing.rst: testing.rst

``udp`` and ``raw`` are sockets of the kernel with a message a call, ``openpgm`` and ``pgm`` are PGM as an IP protocol, and with
``-udp`` inside UDP. ``norm`` is NORM (RFC 5740) as NRL's library has it, with a thread of its own at each end.
"""


def everything(figures):
    """All of it, for a terminal."""
    parts = [text_table(heads, lines) for _, heads, lines in tables(figures)]
    heads, lines = goal_table(goals.reached(figures))
    if lines:
        parts.append(text_table(heads, lines))
    return "\n\n".join(parts)
