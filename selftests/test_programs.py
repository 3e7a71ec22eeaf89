#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Programs that use nothing but the socket calls, those of the README among them."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
from compiler import CFLAGS, TOP, compile_c


def readme(name):
    """The program that stands in the README under this name."""
    text = (TOP / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```\w+ {re.escape(name)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ktap.equal(len(found), 1, f"programs called {name} in README.md")
    return found[0]


def run_pair(lan, source, receiver, group, impair=None):
    """Starts the receiver, then the source: what both print. Both must succeed."""
    one, two = lan.hosts
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with two.popen(*receiver, **pipes) as listening:
        try:
            ktap.wait_for(lambda: two.joined(group), "the receiver has joined", 20)
            if impair:
                lan.impair(two, impair)
            with one.popen(*source, **pipes) as sending:
                sent = sending.communicate(timeout=40)
                got = listening.communicate(timeout=40)
        finally:
            listening.kill()
    ktap.note(sent[1] + got[1])
    ktap.equal((sending.returncode, listening.returncode), (0, 0), "exit status")
    return sent[0], got[0]


@ktap.test(timeout=90)
def test_readme_in_python():
    """Ten lines each, as they stand in the README."""
    with net.shared() as lan, tempfile.TemporaryDirectory() as name:
        paths = {}
        for part in ("source.py", "receiver.py"):
            paths[part] = pathlib.Path(name, part)
            paths[part].write_text(readme(part), encoding="utf-8")
            lines = paths[part].read_text(encoding="utf-8").splitlines()
            assert len(lines) <= 12, f"{part} has {len(lines)} lines"
        _, got = run_pair(
            lan,
            ("python3", paths["source.py"]),
            ("python3", paths["receiver.py"]),
            "239.192.0.1",
        )
        ktap.equal(got.splitlines()[-1], "message 999")
        ktap.equal(len(got.splitlines()), 1001)


@ktap.test(timeout=90)
def test_readme_in_c():
    """The C programs of the README, compiled without a warning."""
    with net.shared() as lan, tempfile.TemporaryDirectory() as name:
        source = compile_c(readme("source.c"), pathlib.Path(name, "source"))
        receiver = compile_c(readme("receiver.c"), pathlib.Path(name, "receiver"))
        _, got = run_pair(lan, (source,), (receiver,), "239.192.0.1")
        ktap.equal(got.splitlines(), [f"message {n}" for n in range(1000)])


@ktap.each({"c_programs": None, "c_programs_with_loss": "loss 3%"}, timeout=90)
def c_programs(impair):
    """selftests/c: window, linger, epoll, control messages, counters."""
    with net.shared() as lan, tempfile.TemporaryDirectory() as name:
        source = compile_c(TOP / "selftests/c/source.c", pathlib.Path(name, "source"))
        receiver = compile_c(TOP / "selftests/c/receiver.c", pathlib.Path(name, "receiver"))
        where = (pgm.GROUP, pgm.PORT, 300)
        said, heard = run_pair(lan, (source, *where), (receiver, *where), pgm.GROUP, impair)
        ktap.note(said + heard)
        assert "300 messages from 10.77.0.1" in heard, heard


@ktap.test
def test_header():
    """<linux/pgm.h> stands alone, and its layout is fixed."""
    with tempfile.TemporaryDirectory() as name:
        net.run(compile_c(TOP / "selftests/c/header.c", pathlib.Path(name, "header")))
        words = ["gcc", *CFLAGS, "-std=c90", "-pedantic", "-Wno-long-long", "-fsyntax-only"]
        net.run(*words, f"-I{TOP}/include/uapi", "-x", "c", "-", input="#include <linux/pgm.h>\n")


@ktap.test
def test_io_uring():
    """io_uring: a recv that waits while a send goes out."""
    with tempfile.TemporaryDirectory() as name, net.shared() as lan:
        program = compile_c(TOP / "selftests/c/uring.c", pathlib.Path(name, "uring"))
        with pgm.listener(lan.hosts[1]) as listening, pgm.source(lan.hosts[0]) as source:
            source.send(b"first")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(100), b"first")
                files = [source.fileno(), session.fileno()]
                done = subprocess.run(
                    [program, *map(str, files)],
                    pass_fds=files,
                    capture_output=True,
                    text=True,
                    timeout=30,
                    check=False,
                )
                if "io_uring_setup" in done.stderr:
                    raise ktap.Skip(done.stderr.strip())
                lines = done.stdout.splitlines()
                ktap.equal(sorted(lines[:2]) + lines[2:], ["recv 11", "send 11", "by io_uring"])


if __name__ == "__main__":
    ktap.main(pgm.need_module)
