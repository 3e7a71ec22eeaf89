#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random system calls from several threads break nothing and leave nothing.

PGM_CALLS_SECONDS: how long (default 5, in a slow kernel 15). PGM_CALLS_SEED: other calls than the usual ones.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import slab
from compiler import TOP, compile_c

SECONDS = int(os.environ.get("PGM_CALLS_SECONDS", "5" if ktap.SLOW == 1 else "15"))
SEED = int(os.environ.get("PGM_CALLS_SEED", "1"))
THREADS = 4
# Without success of these the calls went nowhere.
DEEP = ("socket", "bind", "connect", "listen", "accept", "send", "recv", "setsockopt", "read /proc", "io_uring")


def storm(lan, program, seed, seconds):
    """Calls on two hosts at once, which hear each other. {call: (made, succeeded)} of both."""
    running = [
        host.popen(program, seed + n, seconds, THREADS, stdout=subprocess.PIPE, text=True)
        for n, host in enumerate(lan.hosts)
    ]
    calls = {}
    for process in running:
        said, _ = process.communicate(timeout=seconds + 60 * ktap.SLOW)
        ktap.equal(process.returncode, 0, "exit status")
        for line in said.splitlines():
            name, made, succeeded = line.rsplit(maxsplit=2)
            before = calls.get(name, (0, 0))
            calls[name] = (before[0] + int(made), before[1] + int(succeeded))
    return calls


def watch(host, stop):
    """Lists all sockets by sock_diag while they come and go."""
    tool = os.environ.get("PGM_TOOL", "pgm")
    while not stop.wait(0.3):
        host.run(tool, "list", check=False)


def settle():
    """Waits until no socket is left, then reads the slabs."""
    ktap.wait_for(lambda: pgm.in_use() == IDLE, "no socket is left", 60)
    slab.drop_caches()
    used = slab.exactly_used()
    return {name: size for name, size in used.items() if re.match("PGM|skbuff|kmalloc", name)}


IDLE = 0


@ktap.test(timeout=120 + 2 * SECONDS)
def test_calls():
    """All calls with any arguments, any of them during any other, and the readers of all sockets."""
    # attack: A-07 A-08 A-17
    global IDLE
    with net.shared() as lan, tempfile.TemporaryDirectory() as name:
        program = compile_c(TOP / "selftests/c/calls.c", pathlib.Path(name, "calls"))
        pgm.need_diag()
        ktap.wait_for(lambda: pgm.in_use() <= 1, "nothing else uses PGM", 60)
        IDLE = pgm.in_use()  # pgm_diag uses it, too
        for host in lan.hosts:
            host.sysctl("net/pgm/repair_max_ms", 500)
        storm(lan, program, SEED + 1000, 2)  # caches are warm now
        before, stop = settle(), threading.Event()
        pages = pgm.accounted()[1]
        watcher = pgm.Background(watch, lan.hosts[0], stop)
        calls = storm(lan, program, SEED, SECONDS)
        stop.set()
        watcher.result()
        made, succeeded = map(sum, zip(*calls.values()))
        ktap.note(f"{made} calls, {succeeded} succeeded")
        ktap.note(", ".join(f"{call} {n}/{all_}" for call, (all_, n) in calls.items()))
        for call in DEEP:
            assert calls[call][1] > 0, f"no {call} succeeded"
        after = settle()
        ktap.equal(pgm.accounted()[1], pages, "pages of PGM sockets")
        more = {n: after[n] - before.get(n, 0) for n in after if after[n] != before.get(n, 0)}
        assert sum(more.values()) < 1 << 20, f"more memory: {more}"
        # Everything still works.
        with pgm.datagram(lan.hosts[1]) as bus, pgm.source(lan.hosts[0]) as source:
            source.send(b"after")
            ktap.equal(bus.recv(100), b"after")


if __name__ == "__main__":
    ktap.main(pgm.need_module)
