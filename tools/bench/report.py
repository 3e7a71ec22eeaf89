# SPDX-License-Identifier: GPL-2.0
"""Figures as tables."""

# How much UDP's first and last row of a group may differ: a part of the first.
TOLERANCE = 0.01


def cost(figure):
    """Instructions a message, source and receivers."""
    return (figure["tx"] + figure["rx"]) / figure["messages"]


def per_packet(figure):
    """Instructions a packet with data; a message of anything but PGM is one."""
    packets = figure["odata"] * figure["messages"] / (figure["messages"] + figure["warm"])
    return (figure["tx"] + figure["rx"]) / (packets or figure["messages"])


def noise(figures, rows):
    """Why a group cannot be trusted, or None."""
    group = rows[0].group
    first, last = (cost(figures[f"{group}/udp/{name}"]) for name in ("first", "last"))
    if abs(last - first) > TOLERANCE * first:
        return f"{group}: UDP took {first:.0f} instructions a message first and {last:.0f} last"
    for row in rows:
        figure = figures[row.id]
        if min(figure["got"]) < figure["messages"]:
            return f"{row.id}: only {min(figure['got'])} of {figure['messages']} messages arrived"
    return None


def table(heads, lines):
    """Lines of equal columns: the first is text, the rest numbers."""
    rows = [heads, *lines]
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    )


def _ratio(value, base):
    return f"{value / base:.3f}" if base else "-"


def messages(figures):
    """Instructions a message by kind and size."""
    lines = []
    for name, figure in figures.items():
        group, kind, size = name.split("/")
        if group != "messages" or size in ("first", "last"):
            continue
        bases = (figures.get(f"messages/{base}/{size}") for base in ("udp", "openpgm", "openpgm-udp"))
        number = figure["messages"]
        lines.append(
            [
                f"{kind} {size}",
                f"{figure['tx'] / number:.0f}",
                f"{figure['rx'] / number:.0f}",
                f"{cost(figure):.0f}",
                *(_ratio(cost(figure), cost(base)) if base else "-" for base in bases),
            ]
        )
    heads = ["instructions a message", "tx", "rx", "sum", "/udp", "/openpgm", "/openpgm-udp"]
    return table(heads, lines) if lines else ""


def batches(figures):
    """Instructions a packet when many are sent at once."""
    lines = []
    for name, figure in figures.items():
        group, kind, what = name.split("/")
        if group != "batches" or what in ("first", "last"):
            continue
        bases = (figures.get(f"batches/{base}/1K") for base in ("udpmm", "udpgso"))
        share = per_packet(figure) / (figure["tx"] + figure["rx"])
        lines.append(
            [
                f"{kind} {what}",
                f"{figure['tx'] * share:.0f}",
                f"{figure['rx'] * share:.0f}",
                f"{per_packet(figure):.0f}",
                *(_ratio(per_packet(figure), per_packet(base)) if base else "-" for base in bases),
            ]
        )
    heads = ["instructions a packet", "tx", "rx", "sum", "/udpmm", "/udpgso"]
    return table(heads, lines) if lines else ""


def tables(figures):
    """All that there are figures for."""
    return "\n\n".join(text for text in (messages(figures), batches(figures)) if text)


def missed(figures):
    """The goals that must be reached and are not."""
    del figures
    return []
