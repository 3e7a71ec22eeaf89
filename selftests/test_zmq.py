#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ZeroMQ's PUB and SUB sockets talk with pgm send --zmq and pgm recv --zmq."""

import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import pgm
import variant
from zeromq import (
    Scene,
    finish,
    need,
    peer_to_tool,
    publish,
    send,
    tool_to_peer,
    whole,
)


@ktap.test(variants=variant.ALL)
def test_zmq_to_tool():
    """The tool prints what a publisher publishes, with 5 % loss."""
    peer_to_tool()


@ktap.test(variants=variant.ALL)
def test_tool_to_zmq():
    """A subscriber hears what the tool sends, with 5 % loss."""
    tool_to_peer()


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


if __name__ == "__main__":
    ktap.main(need)
