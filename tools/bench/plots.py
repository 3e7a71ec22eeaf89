# SPDX-License-Identifier: GPL-2.0
"""Figures as pictures, in SVG: bars, or curves."""

import html
import math

WIDTH, LEFT, RIGHT, BAR, TOP = 760, 220, 90, 22, 46
COLOURS = {"norm": "#c3a25b", "udp": "#8a8f98", "raw": "#b3b8c0", "openpgm": "#d08770", "pgm": "#2f6f9f"}


def _colour(label):
    for start in ("openpgm", "pgm", "norm", "raw", "udp"):
        if label.startswith(start):
            return COLOURS[start]
    return COLOURS["raw"]


def write(directory, pictures):
    """pictures: {name: SVG}"""
    for name, picture in pictures.items():
        (directory / f"{name}.svg").write_text(picture, encoding="utf-8")


def _start(title, height):
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        "<!-- SPDX-License-Identifier: GPL-2.0 -->",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-size="15" font-weight="bold">{html.escape(title)}</text>',
    ]


def bars(title, values, logarithmic=False):
    """values: [(label, number)]"""
    values = [(label, value) for label, value in values if value > 0]
    scale = (lambda value: math.log10(1 + value)) if logarithmic else (lambda value: value)
    most = max((scale(value) for _, value in values), default=1)
    height = TOP + BAR * len(values) + 12
    parts = _start(title, height)
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


AXIS, BOTTOM, HEIGHT = 56, 290, 340
INKS = ("#2f6f9f", "#d08770", "#5b8c5a", "#8a5a9c")


def _steps(most):
    """Round numbers from 0 on, some four to eight of them, the last not less than most."""
    step = 10 ** math.floor(math.log10(most or 1))
    step *= next(part for part in (0.2, 0.5, 1, 2) if most / (step * part) <= 8)
    return [n * step for n in range(math.ceil(most / step - 1e-9) + 1)]


def curves(title, axis, series, logarithmic=False):
    """series: [(label, dashed, [(x, y)])]; those that share a label up to its comma share a colour."""
    points = [point for *_, line in series for point in line]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    levels = _steps(max(y for _, y in points))
    right = WIDTH - 190
    place = lambda x: AXIS + (right - AXIS) * ((math.log10(x) if logarithmic else x) - low) / ((high - low) or 1)
    height = lambda y: BOTTOM - (BOTTOM - TOP) * y / (levels[-1] or 1)
    parts = _start(title, HEIGHT)
    for level in levels:
        y = height(level)
        parts += [
            f'<line x1="{AXIS}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e2e4e8"/>',
            f'<text x="{AXIS - 6}" y="{y + 4:.1f}" text-anchor="end">{level:,.6g}</text>',
        ]
    for x in sorted({x for x, _ in points}):
        parts.append(f'<text x="{place(x):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{x:,}</text>')
    parts.append(f'<text x="{(AXIS + right) / 2}" y="{BOTTOM + 38}" text-anchor="middle">{html.escape(axis)}</text>')
    inks = {name: ink for name, ink in zip(dict.fromkeys(label.partition(",")[0] for label, *_ in series), INKS)}
    for n, (label, dashed, line) in enumerate(series):
        style = f'stroke="{inks[label.partition(",")[0]]}" stroke-width="2" fill="none"'
        if dashed:
            style += ' stroke-dasharray="6 4"'
        path = " ".join(f"{place(x):.1f},{height(y):.1f}" for x, y in line)
        y = TOP + 10 + n * 20
        parts += [
            f'<polyline points="{path}" {style}/>',
            f'<line x1="{right + 14}" y1="{y - 4}" x2="{right + 38}" y2="{y - 4}" {style}/>',
            f'<text x="{right + 44}" y="{y}">{html.escape(label)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
