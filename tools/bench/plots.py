# SPDX-License-Identifier: GPL-2.0
"""Figures as pictures: bars, in SVG."""

import html
import math

WIDTH, LEFT, RIGHT, BAR, TOP = 760, 220, 90, 22, 46
COLOURS = {"norm": "#c3a25b", "udp": "#8a8f98", "raw": "#b3b8c0", "openpgm": "#d08770", "pgm": "#2f6f9f"}


def _colour(label):
    for start in ("openpgm", "pgm", "norm", "raw", "udp"):
        if label.startswith(start):
            return COLOURS[start]
    return COLOURS["raw"]


def bars(title, values, logarithmic=False):
    """values: [(label, number)]"""
    values = [(label, value) for label, value in values if value > 0]
    scale = (lambda value: math.log10(1 + value)) if logarithmic else (lambda value: value)
    most = max((scale(value) for _, value in values), default=1)
    height = TOP + BAR * len(values) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        "<!-- SPDX-License-Identifier: GPL-2.0 -->",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-size="15" font-weight="bold">{html.escape(title)}</text>',
    ]
    for n, (label, value) in enumerate(values):
        y = TOP + n * BAR
        length = (WIDTH - LEFT - RIGHT) * scale(value) / most
        text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{html.escape(label)}</text>',
            f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{BAR - 5}" fill="{_colour(label)}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 15}">{text}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
