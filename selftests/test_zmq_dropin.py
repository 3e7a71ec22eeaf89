#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Unmodified ZeroMQ over the kernel, by tools/libpgm in place of OpenPGM."""

import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import pgm
import variant
from zeromq import (
    LIBRARY,
    Peer,
    Scene,
    finish,
    need_library,
    peer_to_tool,
    publish,
    tool_to_peer,
    whole,
)

# pgm:// and epgm://
ktap.usual_variants((variant.V4, variant.V4_UDP))


# Who uses the kernel through tools/libpgm, in place of OpenPGM.
PAIRS = {"both": (True, True), "publisher": (True, False), "subscriber": (False, True)}


@ktap.each({f"{who}": pair for who, pair in PAIRS.items()})
def test_dropin(pair):
    """Unmodified ZeroMQ with the kernel below it, on both ends and on one, with 2 % loss."""
    with Scene() as scene:
        subscriber = scene.peer(scene.sink, "sub", pair[1], last=399, size=1000)
        publisher = scene.peer(scene.source, "pub", pair[0])
        publish(publisher, 0, 1, 1000)
        ktap.wait_for(lambda: scene.sink.packets()[0], "the first message")
        scene.lan.impair(scene.sink, "loss 2%")
        publish(publisher, 1, 400, 1000)
        subscriber.expect("0 400 0")


@ktap.test
def test_tool():
    """The tool and ZeroMQ with the kernel below it, both ways."""
    peer_to_tool(True)
    pgm.PORT += 1
    tool_to_peer(True)


@ktap.test
def test_anybody():
    """Publisher and subscriber of one host, of a user without any privilege."""
    with Scene() as scene:
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        peers = [Peer(scene.source, True, nobody) for _ in range(2)]
        publisher, subscriber = peers
        try:
            endpoint = scene.endpoint.format(scene.source.address)
            subscriber.order("ready", role="sub", endpoint=endpoint, last=59, size=4000)
            ktap.wait_for(lambda: scene.source.joined(pgm.GROUP), "ZeroMQ has joined")
            publisher.order("ready", role="pub", endpoint=endpoint)
            publish(publisher, 0, 60, 4000)
            subscriber.expect("0 60 0")
            for peer in peers:
                assert f"{LIBRARY}/libpgm-5.3.so.0" in peer.libraries()
        finally:
            for peer in peers:
                peer.end()


@ktap.test(variants=(variant.V4_UDP,))
def test_one_host():
    """On one host beside each other: the tool, ZeroMQ on OpenPGM and ZeroMQ on the kernel."""
    with Scene() as scene:
        tool = scene.tool(scene.sink, "recv", "--count", "400")
        peers = [scene.peer(scene.sink, "sub", dropin, last=399, size=1000) for dropin in (False, True)]
        publisher = scene.peer(scene.source, "pub", True)
        publish(publisher, 0, 1, 1000)
        ktap.wait_for(lambda: scene.sink.packets()[0], "the first message")
        scene.lan.toward(scene.sink, "loss 2%")
        publish(publisher, 1, 400, 1000)
        whole(finish(tool), range(400), 1000)
        for peer in peers:
            peer.expect("0 400 0")


if __name__ == "__main__":
    ktap.main(need_library)
