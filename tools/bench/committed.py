# SPDX-License-Identifier: GPL-2.0
"""The figures that are committed, and what is made of them: Documentation/performance.rst and its pictures."""

import json
import pathlib

import plots
import report
import simulation

HERE = pathlib.Path(__file__).resolve().parent
FIGURES, SIMULATION = HERE / "figures.json", HERE / "simulation.json"
DOCUMENTATION = HERE.parents[1] / "Documentation"


def figures():
    """{id: figures} of the rows of make bench."""
    return json.loads(FIGURES.read_text(encoding="ascii")) if FIGURES.exists() else {}


def simulated():
    """What make bench-sim found."""
    return json.loads(SIMULATION.read_text(encoding="ascii")) if SIMULATION.exists() else None


def publish():
    """Writes what is made of them."""
    rows, found = figures(), simulated()
    (DOCUMENTATION / "performance.rst").write_text(report.page(rows, found), encoding="utf-8")
    directory = DOCUMENTATION / "performance"
    directory.mkdir(exist_ok=True)
    plots.write(directory, report.pictures(rows))
    if found:
        plots.write(directory, simulation.drawn(found))
