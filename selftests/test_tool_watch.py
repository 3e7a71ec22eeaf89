#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""pgm list, pgm stat and pgm top show what sockets do."""

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm

TOOL = os.environ.get("PGM_TOOL", "pgm")


def text(tsi):
    """A TSI as people read it."""
    return f"{tsi[:6].hex()}.{int.from_bytes(tsi[6:], 'big')}"


def tool(host, *args):
    """What the tool prints."""
    return host.run(TOOL, *args)


def rows(host, *args):
    """`pgm list --json`"""
    return [json.loads(line) for line in tool(host, "list", "--json", *args).splitlines()]


@contextlib.contextmanager
def transfer(lan):
    """A source, a listener and its session, a datagram socket, and a message on its way."""
    here, there = lan.hosts
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(pgm.listener(there))
        datagram = stack.enter_context(pgm.datagram(there))
        source = stack.enter_context(pgm.source(here, window=(20_000, 1_000 * ktap.SLOW, 0)))
        source.send(bytes(4000))
        session = stack.enter_context(pgm.accept(listening)[0])
        ktap.equal(len(session.recv(5000)), 4000)
        ktap.equal(len(datagram.recv(5000)), 4000)
        yield source


@ktap.test
def test_list():
    """Sources and receivers by name, for people and for programs."""
    with net.shared() as lan, transfer(lan) as source:
        here, there = lan.hosts
        tsi = text(pgm.tsi(source))
        group = f"{pgm.GROUP}:{pgm.PORT}"
        lines = [line.split() for line in tool(here, "list").splitlines()]
        ktap.equal([line[0] for line in lines if line], ["ROLE", "source", "ROLE"])
        ktap.equal(lines[1][:6], ["source", here.address, group, tsi, "0", "2"])
        lines = [line.split() for line in tool(there, "list", "--receivers").splitlines()]
        roles = ["ROLE", "datagram", "listener", "peer", "session"]
        ktap.equal(sorted(line[0] for line in lines), roles)
        for line in lines:
            if line[0] in ("peer", "session"):
                ktap.equal(line[1:4], [here.address, group, tsi])
        ktap.equal(len(tool(there, "list", "--sources").splitlines()), 1)

        (sent,) = rows(here)
        ktap.equal((sent["role"], sent["tsi"], sent["sender"]["odata"]), ("source", tsi, 3))
        ktap.equal((sent["group"], sent["port"]), (pgm.GROUP, pgm.PORT))
        got = {row["role"]: row for row in rows(there)}
        ktap.equal(sorted(got), roles[1:])
        ktap.equal(got["session"]["receiver"]["odata"], 3)
        ktap.equal(got["datagram"]["sessions"], 1)


@ktap.test
def test_stat():
    """Counters, and what is added to them in an interval."""
    with net.shared() as lan, transfer(lan) as source:
        there = lan.hosts[1]
        counters = json.loads(tool(there, "stat", "--json"))
        now = there.counters()
        ktap.equal(sorted(counters), sorted(now))
        assert 0 < counters["InPkts"] <= now["InPkts"], counters
        shown = dict(line.split() for line in tool(there, "stat").splitlines())
        assert "InPkts" in shown and "0" not in shown.values(), shown
        every = dict(line.split() for line in tool(there, "stat", "--zero").splitlines())
        ktap.equal(list(every), list(now))
        child = there.popen(TOOL, "stat", "-i", "0.2", "-c", "15", "--json", stdout=subprocess.PIPE)
        added = []
        with child.stdout:
            for line in child.stdout:
                added.append(json.loads(line)["InPkts"])
                if len(added) == 1:
                    for _ in range(20):
                        source.send(b"x")
        ktap.equal(child.wait(), 0)
        ktap.equal(len(added), 15)
        assert sum(added) >= 20, added


@ktap.test
def test_top_json():
    """Rates of every session, the busiest first, for programs."""
    with net.shared() as lan, transfer(lan) as source:
        here, there = lan.hosts
        args = (TOOL, "top", "--json", "--interval", "0.5", "--count", "4")
        child = there.popen(*args, stdout=subprocess.PIPE)
        looks = []
        with child.stdout:
            for line in child.stdout:
                looks.append(json.loads(line))
                for _ in range(50):
                    source.send(bytes(1000))
        ktap.equal(child.wait(), 0)
        ktap.equal(len(looks), 4)
        ktap.equal({row["role"] for row in looks[0]}, {"listener", "datagram", "session", "peer"})
        paces = [row["per_second"] for look in looks for row in look if row["role"] == "session"]
        assert max(pace["packets"] for pace in paces) > 0, paces
        assert max(pace["bits"] for pace in paces) > 8000, paces
        for look in looks:
            bits = [row["per_second"]["bits"] for row in look]
            ktap.equal(bits, sorted(bits, reverse=True))


@ktap.test
def test_top_terminal():
    """A table that lives on a terminal, until q."""
    with net.shared() as lan, transfer(lan) as source:
        here = lan.hosts[0]
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("=4H", 24, 160, 0, 0))
        child = here.popen(TOOL, "top", "-i", "0.3", stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""

        def see(words):
            """Reads the terminal until all words were there."""
            nonlocal shown
            deadline = time.monotonic() + 15
            while not all(word.encode() in shown for word in words):
                assert time.monotonic() < deadline, shown
                if select.select([ours], [], [], 1)[0]:
                    shown += os.read(ours, 1 << 16)

        see(["pgm top: 1 source", "PACKETS/s", text(pgm.tsi(source))])
        os.write(ours, b"x")
        shown = b""
        see(["pgm top: 1 source"])
        os.write(ours, b"q")
        see(["\x1b[?1049l"])  # the screen from before
        ktap.equal(child.wait(timeout=10), 0)
        os.close(ours)


@ktap.test
def test_sentences():
    """What cannot be shown is said."""
    with net.shared() as lan:
        here = lan.hosts[0]
        command = ["ip", "netns", "exec", here.name, TOOL]
        done = subprocess.run([*command, "top"], capture_output=True, text=True, check=False)
        ktap.equal((done.returncode, done.stdout), (1, ""))
        assert "needs a terminal" in done.stderr, done.stderr
        if os.environ.get("PGM_KO"):  # else the kernel loads it again
            net.run("rmmod", "pgm_diag")
            done = subprocess.run([*command, "list"], capture_output=True, text=True, check=False)
            ktap.equal((done.returncode, done.stdout), (1, ""))
            assert "modprobe pgm_diag" in done.stderr, done.stderr
            pgm.unload()
            for what in ("list", "stat"):
                done = subprocess.run([*command, what], capture_output=True, text=True, check=False)
                ktap.equal((done.returncode, done.stdout), (1, ""))
                assert "modprobe pgm)" in done.stderr, done.stderr
            pgm.need_module()


if __name__ == "__main__":
    ktap.main(pgm.need_diag)
