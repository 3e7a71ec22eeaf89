#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""pgm(1) does what its manual page says."""

import hashlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import variant
import wire
from probe import Probe

TOOL = os.environ.get("PGM_TOOL", "pgm")
DATA = os.urandom(700_001)


class Scene:
    """Two hosts, a directory, and the commands on both sides."""

    def __enter__(self):
        self.net = net.shared()
        self.lan = self.net.__enter__()
        self.temporary = tempfile.TemporaryDirectory()
        self.directory = pathlib.Path(self.temporary.name)
        group = pgm.GROUP if variant.now().version == 4 else f"[{pgm.GROUP}]"
        self.where = [f"{group}:{pgm.PORT}"]
        if variant.now().udp:
            self.where.append(f"--udp={variant.UNICAST}:{variant.MULTICAST}")
        self.file = self.directory / "in"
        self.file.write_bytes(DATA)
        self.children = []
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
        self.temporary.cleanup()
        self.net.__exit__(None, None, None)

    def start(self, which, command, *args, **options):
        """Starts the tool on a host."""
        child = self.lan.hosts[which].popen(
            TOOL,
            command,
            *self.where,
            *args,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **({"stdin": subprocess.DEVNULL} | options),
        )
        self.children.append(child)
        return child

    def receive(self, *args):
        """Starts a receiver and waits until it listens, or has ended."""
        child = self.start(1, "recv", *args)
        ktap.wait_for(
            lambda: child.poll() is not None or self.lan.hosts[1].joined(pgm.GROUP),
            "the receiver has joined",
        )
        return child

    def running(self):
        """Waits until a transfer is in full swing: 50 packets at the receiver."""
        _, before = self.lan.hosts[0].packets()
        ktap.wait_for(lambda: self.lan.hosts[0].packets()[1] > before + 50, "data flow", 20, 0.1)

    def send(self, *args, announce="200ms", **options):
        """Starts a sender."""
        words = ("--announce", announce, "--linger", "200ms", *args)
        return self.start(0, "send", *words, **options)


def finish(child, status, timeout=40):
    """Waits for the end of a command: (stdout, stderr)."""
    out, err = child.communicate(timeout=timeout)
    ktap.note(err.decode().strip())
    ktap.equal(child.returncode, status, f"status of {child.args[4:6]}")
    return out, err.decode()


@ktap.test(variants=variant.ALL)
def test_file():
    """A file arrives under its name, with summaries on both sides."""
    with Scene() as scene:
        copy = scene.directory / "out"
        receiver = scene.receive("-o", copy, "--json")
        sender = scene.send("--json", scene.file)
        sent = json.loads(finish(sender, 0)[0])
        got = json.loads(finish(receiver, 0)[0])
        assert copy.read_bytes() == DATA
        assert not copy.with_name("out.part").exists()
        for summary, role in ((sent, "send"), (got, "recv")):
            ktap.equal(summary["role"], role)
            ktap.equal(summary["ok"], True)
            ktap.equal(summary["bytes"], len(DATA))
            ktap.equal(summary["sha256"], hashlib.sha256(DATA).hexdigest())
        ktap.equal(sent["tsi"], got["tsi"])
        ktap.equal(sent["stats"]["odata"], sent["messages"])
        ktap.equal(got["stats"]["lost"], 0)


@ktap.test(timeout=90, variants=variant.ALL)
def test_file_over_a_lossy_network():
    """The same with 10 % loss in both directions."""
    with Scene() as scene:
        copy = scene.directory / "out"
        receiver = scene.receive("-o", copy, "--json")
        scene.lan.impair(scene.lan.hosts[1], "loss 10%")
        sender = scene.send("--json", scene.file, announce="1s")
        sent = json.loads(finish(sender, 0)[0])
        got = json.loads(finish(receiver, 0)[0])
        assert copy.read_bytes() == DATA
        assert sent["stats"]["rdata"] > 0 and got["stats"]["repaired"] > 0


@ktap.test
def test_streams():
    """Standard input to standard output; the summary goes to standard error."""
    with Scene() as scene:
        receiver = scene.receive("--json")
        sender = scene.send(stdin=subprocess.PIPE)
        sender.stdin.write(DATA)
        sender.stdin.close()
        sender.stdin = None
        out, err = finish(receiver, 0)
        finish(sender, 0)
        assert out == DATA
        ktap.equal(json.loads(err.strip().split("\n")[-1])["bytes"], len(DATA))


@ktap.test
def test_empty_file():
    """Nothing, too, arrives."""
    with Scene() as scene:
        scene.file.write_bytes(b"")
        copy = scene.directory / "out"
        receiver = scene.receive("-o", copy)
        finish(scene.send(scene.file), 0)
        finish(receiver, 0)
        ktap.equal(copy.read_bytes(), b"")


@ktap.test
def test_large_messages():
    """--message-size above one packet."""
    with Scene() as scene:
        copy = scene.directory / "out"
        receiver = scene.receive("-o", copy)
        finish(scene.send("--message-size", 20_000, scene.file), 0)
        finish(receiver, 0)
        assert copy.read_bytes() == DATA


@ktap.each({"interrupted": signal.SIGINT, "terminated": signal.SIGTERM, "killed": signal.SIGKILL})
def sender_dies(how):
    """The receiver learns it, says so and keeps the part apart."""
    with Scene() as scene:
        copy = scene.directory / "out"
        copy.write_bytes(b"old")
        receiver = scene.receive("-o", copy)
        sender = scene.send("--rate", "1M", scene.file)
        part = copy.with_name("out.part")
        scene.running()
        time.sleep(0.5)
        sender.send_signal(how)
        sender.wait()
        _, err = finish(receiver, 1)
        assert "broke the transfer off" in err and "out.part" in err, err
        ktap.equal(copy.read_bytes(), b"old")
        assert DATA.startswith(part.read_bytes())


@ktap.test
def test_loss_is_a_failure():
    """An outage longer than the window: exit 1 and a sentence about it."""
    with Scene() as scene:
        copy = scene.directory / "out"
        receiver = scene.receive("-o", copy, "--json")
        sender = scene.send("--rate", "2M", "--window", "200ms", scene.file)
        scene.running()
        time.sleep(0.5)
        scene.lan.impair(scene.lan.hosts[1], "loss 100%")
        time.sleep(1)
        scene.lan.impair(scene.lan.hosts[1], None)
        out, err = finish(receiver, 1)
        finish(sender, 0)
        assert "lost for good" in err, err
        summary = json.loads(out)
        ktap.equal(summary["ok"], False)
        assert "lost for good" in summary["error"]
        assert not copy.exists()


@ktap.test
def test_late_receiver():
    """A receiver that misses the start fails, or takes the rest if it is told to."""
    with Scene() as scene:
        sender = scene.send("--rate", "1M", scene.file)
        scene.running()
        copy, rest = scene.directory / "out", scene.directory / "rest"
        strict = scene.receive("-o", copy)
        late = scene.receive("-o", rest, "--late")
        _, err = finish(strict, 1)
        assert "already begun" in err, err
        assert not copy.exists()
        finish(late, 0)
        finish(sender, 0)
        assert DATA.endswith(rest.read_bytes()) and rest.stat().st_size > 0


@ktap.test
def test_nobody_sends():
    """--wait runs out: exit 1, a sentence, no file."""
    with Scene() as scene:
        copy = scene.directory / "out"
        _, err = finish(scene.receive("--wait", "300ms", "-o", copy), 1)
        assert "no sender" in err, err
        ktap.equal(list(scene.directory.iterdir()), [scene.file])


@ktap.test
def test_sender_falls_silent():
    """--timeout runs out in the middle of a transfer."""
    with Scene() as scene:
        receiver = scene.receive("--timeout", "500ms")
        sender = scene.send(stdin=subprocess.PIPE)
        sender.stdin.write(b"x")
        sender.stdin.flush()
        _, err = finish(receiver, 1)
        assert "nothing new arrived" in err, err


WRONG = {
    "no_command": ([], "Usage"),
    "no_group": (["send"], "GROUP:PORT"),
    "unicast": (["send", "10.0.0.1:7500"], "not a multicast group"),
    "no_port": (["recv", "239.192.0.1"], "GROUP:PORT"),
    "port_0": (["recv", "239.192.0.1:0"], "not a port"),
    "rate": (["send", "239.192.0.1:7500", "--rate", "fast"], "number"),
    "window": (["send", "239.192.0.1:7500", "--rate", "1G", "--window", "1m"], "256 MiB"),
    "ttl": (["send", "239.192.0.1:7500", "--ttl", "0"], "1..=255"),
    "unknown": (["recv", "239.192.0.1:7500", "--fec"], "--fec"),
}


@ktap.test(variants=(variant.V4,))
def test_zmq_message_without_end():
    """A publisher that breaks off in the middle of a message: it is lost, and that is a failure."""
    syn, rst = wire.option(wire.OPT_SYN), wire.option(wire.OPT_RST, byte3=1)
    with net.shared() as lan, Probe(lan.hosts[0]) as probe:
        child = lan.hosts[1].popen(
            *(TOOL, "recv", f"{pgm.GROUP}:{pgm.PORT}", "--zmq", "--count", "2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            ktap.wait_for(lambda: lan.hosts[1].joined(pgm.GROUP), "the tool has joined")
            source = probe.source()
            source.odata(0, b"\0\0\x04\0one\x09\0half", syn)
            ktap.equal(child.stdout.readline(), "one\n")
            source.spm(0, 0, rst)
            other = probe.source()
            other.odata(0, b"\0\0\x04\0two", syn)
            out, err = child.communicate(timeout=20)
            ktap.equal((out, child.returncode), ("two\n", 1), err)
            assert "in the middle of a message" in err, err
        finally:
            child.kill()
            child.wait()


@ktap.test(variants=(variant.V4,))
def test_zmq_flood_of_nonsense():
    """Packets that are not of ZeroMQ are counted: they do not fill a terminal, nor a log."""
    count = 400
    with net.shared() as lan, Probe(lan.hosts[0]) as probe:
        child = lan.hosts[1].popen(
            *(TOOL, "recv", f"{pgm.GROUP}:{pgm.PORT}", "--zmq", "--count", "1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            ktap.wait_for(lambda: lan.hosts[1].joined(pgm.GROUP), "the tool has joined")
            source = probe.source()
            source.odata(0, b"\0", wire.option(wire.OPT_SYN))
            for sqn in range(1, count):
                source.odata(sqn, b"\0")
            source.odata(count, b"\0\0\x04\0\xe2\x80\xae")
            out, err = child.communicate(timeout=20)
            ktap.equal((out, child.returncode), ("\\xe2\\x80\\xae\n", 0), err)
            said = err.count("no ZeroMQ publisher")
            counted = sum(int(n) for n in re.findall(r"(\d+) such lines? more", err))
            ktap.equal(said + counted, count, err)
            assert said < count / 2, f"{said} lines"
        finally:
            child.kill()
            child.wait()


@ktap.each(WRONG)
def wrong_arguments(case):
    """A sentence and exit 2."""
    args, sentence = case
    done = subprocess.run([TOOL, *args], capture_output=True, text=True, check=False)
    ktap.equal(done.returncode, 2)
    assert sentence in done.stderr, done.stderr


FAILURES = {
    "no_file": (["send", "239.192.0.1:7500", "/no/such/file"], "/no/such/file"),
    "directory": (["send", "239.192.0.1:7500", "/etc"], "is a directory"),
    "no_interface": (["send", "-i", "nosuchif", "239.192.0.1:7500", "/etc/passwd"], "nosuchif"),
    "no_output": (
        ["recv", "-o", "/no/such/dir/f", "239.192.0.1:7500", "-i", "lo"],
        "/no/such/dir/f",
    ),
}


@ktap.each(FAILURES)
def failure(case):
    """A sentence and exit 1."""
    args, sentence = case
    done = subprocess.run([TOOL, *args], capture_output=True, text=True, check=False)
    ktap.equal(done.returncode, 1)
    assert done.stderr.startswith("pgm: ") and sentence in done.stderr, done.stderr


@ktap.test
def test_progress():
    """A bar on a terminal, with what is done, the rate and the time left; none elsewhere."""
    with Scene() as scene:
        terminal, end = pty.openpty()
        receiver = scene.receive("-o", scene.directory / "out")
        words = ("--rate", "3M", "--announce", "200ms", scene.file)
        sender = scene.lan.hosts[0].popen(TOOL, "send", *scene.where, *words, stderr=end)
        scene.children.append(sender)
        os.close(end)
        shown = b""
        try:
            while piece := os.read(terminal, 4096):
                shown += piece
        except OSError:
            pass  # the other end is closed
        os.close(terminal)
        ktap.equal(sender.wait(), 0)
        for sign in (rb"\d+% of 700\.00 kB", rb"\d kB/s", rb"\d+s left", rb"sent 700\.0 kB"):
            assert re.search(sign, shown), (sign, shown[-300:])
        _, err = finish(receiver, 0)
        assert "left" not in err and err.count("\n") == 1, err


@ktap.test
def test_help():
    """--help explains itself."""
    for args in (["--help"], ["send", "--help"], ["recv", "--help"], ["--version"]):
        done = subprocess.run([TOOL, *args], capture_output=True, text=True, check=True)
        assert done.stdout and not done.stderr


def need_tool():
    """The module and the program."""
    pgm.need_module()
    try:
        subprocess.run([TOOL, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ktap.Skip(f"no pgm program: {error}") from error


if __name__ == "__main__":
    ktap.main(need_tool)
