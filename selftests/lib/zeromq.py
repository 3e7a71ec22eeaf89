# SPDX-License-Identifier: GPL-2.0
"""ZeroMQ and the tool on the hosts of a LAN: who publishes, who subscribes."""

import json
import os
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, f"{HERE}/../interop")

import ktap
import net
import pgm
import rules
import variant
from referee import Referee
from zmq_peer import message

TOOL = os.environ.get("PGM_TOOL", "pgm")
# Where libpgm-5.3.so.0 is that puts the kernel in place of OpenPGM.
LIBRARY = os.environ.get("PGM_LIB", "/usr/local/lib/pgm")
ANNOUNCE = 200  # milliseconds
PEER = os.path.realpath(f"{HERE}/../interop/zmq_peer.py")


def need():
    """The module, and ZeroMQ with PGM."""
    pgm.need_module()
    found = subprocess.run(
        [sys.executable, "-c", "import zmq; assert zmq.has('pgm')"], capture_output=True, check=False
    )
    if found.returncode:
        raise ktap.Skip("no python3-zmq with PGM")


def need_library():
    """The same, and tools/libpgm."""
    if not os.path.exists(f"{LIBRARY}/libpgm-5.3.so.0"):
        raise ktap.Skip(f"no libpgm-5.3.so.0 in {LIBRARY}")
    need()


def line(number, size=0):
    """A message as a line of the tool, with every byte of its noise escaped."""
    if size is None:
        return f"{number}"
    topic, digits, body = message(number, size)
    return f"{topic.decode()}\t{digits.decode()}\t" + "".join(f"\\x{byte:02x}" for byte in body)


def parts(text):
    """The message of a line of the tool."""
    escapes = {b"\\t": b"\t", b"\\n": b"\n", b"\\r": b"\r", b"\\\\": b"\\"}

    def byte(found):
        return escapes.get(found[0]) or bytes([int(found[0][2:], 16)])

    return [re.sub(rb"\\(?:x..|[tnr\\])", byte, part) for part in text.encode().split(b"\t")]


def frame(part, more=False):
    """A part of a message on the wire (ZMTP 1.0)."""
    length = len(part) + 1
    size = bytes([length]) if length < 255 else b"\xff" + struct.pack("!Q", length)
    return size + bytes([more]) + part


def packet(number, size):
    """A message that fits in one packet, as ZeroMQ sends it: the offset of its beginning, and its parts."""
    *first, last = message(number, size)
    return b"\0\0" + b"".join(frame(part, True) for part in first) + frame(last)


class Peer:
    """A process with ZeroMQ on a host. It serves several cases: to start one takes seconds."""

    def __init__(self, host, dropin, before=()):
        # What OpenPGM warns of goes to standard output, where the answers are.
        environment = os.environ | {"PGM_MIN_LOG_LEVEL": "ERROR"}
        if dropin:
            environment["LD_LIBRARY_PATH"] = LIBRARY
        self.process = host.popen(
            *before,
            sys.executable,
            PEER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def tell(self, **order):
        """Gives an order."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def order(self, answer, **order):
        """Gives an order and waits for the answer."""
        self.tell(**order)
        self.expect(answer)

    def answer(self):
        """Waits for an answer."""
        return self.process.stdout.readline().strip()

    def expect(self, answer):
        """Waits for this answer."""
        ktap.equal(self.answer(), answer)

    def libraries(self):
        """The files that it has mapped."""
        with open(f"/proc/{self.process.pid}/maps", encoding="ascii") as maps:
            return maps.read()

    def end(self):
        """Ends the process."""
        self.process.kill()
        self.process.communicate()


_peers = {}


class Scene:
    """Two hosts and the processes on them. What passes the source's device is judged."""

    def __enter__(self):
        # On a bridge, which drops packets that the source's device has shown.
        self.shared = net.shared(3)
        self.lan = self.shared.__enter__()
        self.source, self.sink = self.lan.hosts[:2]
        self.children, self.theirs = [], set()
        # ZeroMQ takes the port of the group for that of UDP.
        variant.UNICAST = variant.MULTICAST = pgm.PORT
        # While `pgm send` announces a session, it sends eight SPMs.
        # Our receivers repeat a NAK after a round trip, and 1 ms at least.
        timing = rules.Timing(ambient=ANNOUNCE / 8_000, repeat=0.002)
        self.referee = Referee(self.source, self.theirs, timing)
        transport = "epgm" if variant.now().udp else "pgm"
        self.endpoint = f"{transport}://{{}};{pgm.GROUP}:{pgm.PORT}"
        return self

    def __exit__(self, failed, *_):
        if failed:
            for key in list(_peers):
                _peers.pop(key).end()
        for peer in _peers.values():
            peer.order("closed", role="close")
        for child in self.children:
            child.kill()
            child.communicate()
        try:
            self.referee.__exit__(failed, None, None)
        finally:
            self.shared.__exit__(None, None, None)

    def tool(self, host, command, *args):
        """pgm send --zmq or pgm recv --zmq; what it prints is text."""
        group = f"[{pgm.GROUP}]" if ":" in pgm.GROUP else pgm.GROUP
        where = [f"{group}:{pgm.PORT}"]
        if variant.now().udp:
            where.append(f"--udp={pgm.PORT}")
        if command == "send":
            args = ("--announce", f"{ANNOUNCE}ms", "--linger", "200ms", *args)
        child = host.popen(
            TOOL,
            command,
            *where,
            "--zmq",
            *args,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        if command == "recv":
            ktap.wait_for(lambda: host.joined(pgm.GROUP), "the tool has joined")
        return child

    def peer(self, host, role, dropin=False, **order):
        """A publisher that can publish, or a subscriber that has joined."""
        key = (host, dropin)
        if not dropin:
            self.theirs.add(host.address)
        if key not in _peers:
            _peers[key] = Peer(host, dropin)
        peer = _peers[key]
        peer.order("ready", role=role, endpoint=self.endpoint.format(host.address), **order)
        if role == "sub":
            ktap.wait_for(lambda: host.joined(pgm.GROUP), "ZeroMQ has joined")
        return peer


def peer_to_tool(dropin=False):
    """The tool prints what a publisher publishes, parts and messages of several packets, and asks
    for what 5 % loss in both directions takes."""
    with Scene() as scene:
        tool = scene.tool(scene.sink, "recv", "--count", "200", "--json")
        publisher = scene.peer(scene.source, "pub", dropin)
        publish(publisher, 0, 1)
        ktap.equal(tool.stdout.readline(), line(0) + "\n")
        scene.lan.impair(scene.sink, "loss 5%")
        publish(publisher, 1, 200, 2000)
        out, err = tool.communicate()
        ktap.equal(tool.returncode, 0, err)
        whole(out, range(1, 200), 2000)
        summary = json.loads(err.split("\n")[-2])
        assert summary["stats"]["repaired"] > 0, summary


def tool_to_peer(dropin=False):
    """A subscriber hears what the tool sends, and is repaired."""
    with Scene() as scene:
        subscriber = scene.peer(scene.sink, "sub", dropin, last=199, size=2000)
        tool = scene.tool(scene.source, "send", "--json")
        send(tool, 0, 1, 2000)
        ktap.wait_for(lambda: scene.sink.packets()[0], "the first message")
        scene.lan.impair(scene.sink, "loss 5%")
        send(tool, 1, 200, 2000)
        tool.stdin.close()
        tool.stdin = None
        subscriber.expect("0 200 0")
        summary = json.loads(finish(tool))
        assert summary["stats"]["rdata"] > 0, summary


def publish(peer, first, end, size=0):
    """Lets a peer publish messages, and waits until ZeroMQ has them."""
    peer.order("sent", role="send", size=size, **{"from": first, "to": end})


def send(tool, first, end, size=0):
    """Lets the tool send messages."""
    tool.stdin.write("".join(line(number, size) + "\n" for number in range(first, end)))
    tool.stdin.flush()


def finish(child, status=0):
    """What a child printed, once it has ended."""
    out, err = child.communicate(timeout=45)
    ktap.note(err.strip())
    ktap.equal(child.returncode, status, "status")
    return out


def whole(got, numbers, size=0):
    """Fails unless these are the lines of these messages."""
    lines = got.split("\n")[:-1]
    for text, number in zip(lines, numbers):
        same = parts(text) == message(number, size) if size else text == line(number, size)
        assert same, f"message {number} is wrong: {text[:60]!r}"
    ktap.equal(len(lines), len(numbers))
