#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ZeroMQ's PUB and SUB sockets talk with pgm send --zmq and pgm recv --zmq."""

import json
import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import pgm
import referee
import variant
from zeromq import (
    Scene,
    finish,
    line,
    need,
    peer_to_tool,
    publish,
    send,
    tool_to_peer,
    whole,
)

# pgm:// and epgm://
ktap.usual_variants((variant.V4, variant.V4_UDP))
FIRST_PORT = pgm.PORT


@ktap.test
def test_zmq_to_tool():
    """The tool prints what a publisher publishes: parts, and messages of several packets."""
    peer_to_tool()


@ktap.test
def test_tool_to_zmq():
    """A subscriber hears what the tool sends."""
    tool_to_peer()


@ktap.test
def test_zmq_to_tool_over_a_lossy_network():
    """With 5 % loss in both directions: a publisher repairs what the tool misses."""
    with Scene() as scene:
        tool = scene.tool(scene.sink, "recv", "--count", "400", "--json")
        publisher = scene.peer(scene.source, "pub")
        publish(publisher, 0, 1)
        ktap.equal(tool.stdout.readline(), line(0) + "\n")
        scene.lan.impair(scene.sink, "loss 5%")
        publish(publisher, 1, 400, 1000)
        out, err = tool.communicate()
        ktap.equal(tool.returncode, 0, err)
        whole(out, range(1, 400), 1000)
        summary = json.loads(err.split("\n")[-2])
        assert summary["stats"]["repaired"] > 0, summary


@ktap.test
def test_tool_to_zmq_over_a_lossy_network():
    """With 5 % loss in both directions: the tool repairs what a subscriber misses."""
    with Scene() as scene:
        subscriber = scene.peer(scene.sink, "sub", last=399, size=1000)
        tool = scene.tool(scene.source, "send", "--json")
        send(tool, 0, 1, 1000)
        ktap.wait_for(lambda: scene.sink.packets()[0], "the first message")
        scene.lan.impair(scene.sink, "loss 5%")
        send(tool, 1, 400, 1000)
        tool.stdin.close()
        tool.stdin = None
        subscriber.expect("0 400 0")
        summary = json.loads(finish(tool))
        assert summary["stats"]["rdata"] > 0, summary


@ktap.test(variants=(variant.V4_UDP,))
def test_topics():
    """Either side hears the topics that it wants."""
    with Scene() as scene:
        tool = scene.tool(scene.sink, "recv", "--topic", "odd", "--topic", "none", "--count", "50")
        publish(scene.peer(scene.source, "pub"), 0, 100)
        whole(finish(tool), range(1, 100, 2))
    pgm.PORT += 1
    with Scene() as scene:
        subscriber = scene.peer(scene.sink, "sub", last=98, topics=["even"])
        tool = scene.tool(scene.source, "send")
        send(tool, 0, 100)
        finish(tool)
        subscriber.expect("0 50 0")


@ktap.test(variants=(variant.V4_UDP,))
def test_topic_of_the_tool():
    """--topic puts a part in front of every message that is sent."""
    with Scene() as scene:
        receiver = scene.tool(scene.sink, "recv", "--count", "2", "--wait", "30s")
        sender = scene.tool(scene.source, "send", "--topic", "a\\tb")
        sender.stdin.write("one\ntwo\tthree\n")
        finish(sender)
        ktap.equal(finish(receiver), "a\\tb\tone\na\\tb\ttwo\tthree\n")


@ktap.test(variants=(variant.V4_UDP,))
def test_join_in_midstream():
    """Who comes late begins with a whole message, and hears all from there on."""
    with Scene() as scene:
        publisher = scene.peer(scene.source, "pub")
        publish(publisher, 0, 20, 8_000)
        tool = scene.tool(scene.sink, "recv", "--count", "20")
        publish(publisher, 20, 60, 8_000)
        out = finish(tool)
        first = int(out.split("\t")[1])
        assert first <= 40, f"the first is message {first}"
        whole(out, range(first, first + 20), 8_000)
    pgm.PORT += 1
    with Scene() as scene:
        tool = scene.tool(scene.source, "send")
        send(tool, 0, 20, 8_000)
        subscriber = scene.peer(scene.sink, "sub", last=39, size=8_000)
        send(tool, 20, 40, 8_000)
        tool.stdin.close()
        tool.stdin = None
        first, count, missing = subscriber.process.stdout.readline().split()
        ktap.equal((int(first) + int(count), missing), (40, "0"))
        finish(tool)


@ktap.test(variants=(variant.V4_UDP,), timeout=120)
def test_many_messages_to_tool():
    """100000 messages of a publisher, with 1 % loss."""
    with Scene() as scene:
        scene.lan.impair(scene.sink, "loss 1%")
        tool = scene.tool(scene.sink, "recv", "--count", "100000")
        publish(scene.peer(scene.source, "pub"), 0, 100_000, None)
        whole(finish(tool), range(100_000), None)


@ktap.test(variants=(variant.V4_UDP,), timeout=120)
def test_many_messages_to_zmq():
    """100000 messages to a subscriber, with 1 % loss."""
    with Scene() as scene:
        scene.lan.impair(scene.sink, "loss 1%")
        subscriber = scene.peer(scene.sink, "sub", last=99_999, size=None)
        tool = scene.tool(scene.source, "send")
        send(tool, 0, 100_000, None)
        tool.stdin.close()
        tool.stdin = None
        subscriber.expect("0 100000 0")
        finish(tool)


@ktap.test(variants=(variant.V4,))
def test_tshark():
    """An independent dissector finds nothing malformed in all of these runs."""
    referee.decoded(range(FIRST_PORT, pgm.PORT + 1))


if __name__ == "__main__":
    ktap.main(need)
