# SPDX-License-Identifier: GPL-2.0
"""What make bench-sim found, as tables and pictures, and what it has to be."""

import goals
import plots

# Receivers of a goal.
FEW = range(4, 65)
# Where a packet is lost, one per cent of the time.
USUAL = 10_000


def _usual(row):
    """Is it of the rows that goals are of? The others have a loss or a round trip of their own."""
    return row["loss_ppm"] == USUAL and row["rtt_us"] == 1000


def reached(found):
    """Goals."""
    for loss in _losses(found):
        rows = [row for row in found["recovery"] if row["loss"] == loss and _usual(row) and row["receivers"] in FEW]
        if rows:
            value = max(row["naks_per_loss"] for row in rows)
            most = max(row["receivers"] for row in rows)
            yield goals.Goal(f"NAKs a distinct loss, 4 to {most} receivers, {loss}, simulated", value, 1.1, 0.5)


def _losses(found):
    return list(dict.fromkeys(row["loss"] for row in found["recovery"]))


def _recovery(found):
    yield ["lost", "%", "receivers", "RTT ms", "p50 RTT", "p99 RTT", "age p99 ms", "NAKs/loss", "data", "bound"]
    for row in found["recovery"]:
        yield [
            row["loss"],
            f"{row['loss_ppm'] / 10_000:g}",
            f"{row['receivers']:,}",
            f"{row['rtt_us'] / 1000:g}",
            *(f"{row[name]:.2f}" for name in ("recovery_rtts_p50", "recovery_rtts_p99", "age_ms_p99")),
            *(f"{row[name]:.3f}" for name in ("naks_per_loss", "data_per_message", "arq_bound")),
        ]


def _overload(found):
    yield ["bottleneck", "receivers", "offered %", "goodput %", "lost for good %", "repairs/message", "NAKs/message"]
    for row in found["overload"]:
        sent = row["odata"]
        yield [
            "of each" if row["bottleneck_each"] else "of all",
            f"{row['receivers']}",
            f"{row['sent_percent']}",
            f"{100 * row['goodput']:.1f}",
            f"{100 * row['lost_sqns'] / sent / row['receivers']:.1f}",
            f"{row['rdata'] / sent:.3f}",
            f"{row['naks'] / sent:.3f}",
        ]


def tables(found):
    """[(title, about, heads, lines)]"""
    for show, title, about in ((_recovery, "Repair, simulated", REPAIR), (_overload, "Overload, simulated", OVERLOAD)):
        heads, *lines = show(found)
        yield title, about, heads, lines


def _grown(found, name):
    """A series of one figure for each kind of loss, over the number of receivers."""
    for loss in _losses(found):
        rows = [row for row in found["recovery"] if row["loss"] == loss and row["loss_ppm"] == 50_000 and row["rtt_us"] == 1000]
        yield loss, [(row["receivers"], row[name]) for row in rows]


def pictures(found):
    """{name: (title, SVG)}, one for each measure."""
    recovery = [
        (f"{loss}, {name}", name == "p50", line)
        for name in ("p50", "p99")
        for loss, line in _grown(found, f"recovery_rtts_{name}")
    ]
    naks = [(loss, False, line) for loss, line in _grown(found, "naks_per_loss")]
    data = [
        (f"{loss}{what}", bool(what), line)
        for what, name in (("", "data_per_message"), (", bound", "arq_bound"))
        for loss, line in _grown(found, name)
    ]
    overload = {}
    for row in found["overload"]:
        label = "own bottlenecks" if row["bottleneck_each"] else "one bottleneck"
        overload.setdefault(label, []).append((row["sent_percent"], 100 * row["goodput"]))
    overload = [(label, False, line) for label, line in overload.items()]
    found = {
        "recovery": ("Time to repair, in round trips, 5 % lost", "receivers", recovery, True),
        "naks": ("NAKs at the source for each packet that anybody lost, 5 % lost", "receivers", naks, True),
        "data": ("Packets with data for each message, 5 % lost", "receivers", data, True),
        "goodput": ("Goodput, per cent of what passes the bottleneck", "offered, per cent", overload, False),
    }
    return {
        f"sim-{name}": (title, plots.curves(title, axis, series, logarithmic))
        for name, (title, axis, series, logarithmic) in found.items()
        if any(line for *_, line in series)
    }


def drawn(found):
    """{name: SVG}"""
    return {name: picture for name, (_, picture) in pictures(found).items()}


REPAIR = """From ``make bench-sim``: the same engine in virtual time, 2,000 messages a second, round trips of 50 % to 150 % of
the mean. *independent*: in front of each receiver, its NAKs included; *shared*: in front of all; *tree*: a third
each in front of all, of the branches and of each receiver. *data*: packets with data for each message; *bound*: as few
as NAKs alone allow."""

OVERLOAD = """Messages of 1 KB, offered in per cent of what passes a bottleneck that holds 100 ms; goodput is what comes while
it is being sent."""
