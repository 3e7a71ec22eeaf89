#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A program with ZeroMQ's publishers and subscribers. Nothing here knows of PGM for Linux.

It takes commands from standard input, objects of JSON in a line each:

{"role": "pub", "endpoint": ...}: makes a publisher; answers "ready"
{"role": "sub", "endpoint": ..., "last": N, "size": BYTES}: makes a subscriber; answers "ready", and
    after message N "first count missing": the first message, how many came, how many did not
{"role": "send", "from": N, "to": N, "size": BYTES}: publishes messages; answers "sent"
{"role": "close"}: closes all sockets; answers "closed"

Message N has three parts: a topic, "even" or "odd"; the number; and noise that follows from it. With
"size": null it is the number alone.
"""

import json
import random
import sys
import threading


def message(number, size=0):
    """The parts of a message; its noise has any size up to the one given."""
    parts = [b"odd" if number % 2 else b"even", b"%d" % number, b""]
    if size:
        noise = random.Random(number)
        parts[2] = noise.randbytes(noise.randint(0, size))
    return parts


def subscribe(sock, last, size, step):
    """Receives until the last message; a sentence if something is wrong."""
    first = previous = None
    count = missing = 0
    while previous is None or previous + step <= last:
        parts = sock.recv_multipart()
        number = int(parts[1])
        if parts != message(number, size):
            return f"message {number} is wrong"
        if previous is None:
            first = number
        elif number <= previous:
            return f"message {number} after {previous}"
        else:
            missing += (number - previous) // step - 1
        previous = number
        count += 1
    return f"{first} {count} {missing}"


def subscribe_numbers(sock, last):
    """The same for messages that are the number alone: many, so that every instruction counts."""
    first = number = int(sock.recv())
    count, missing = 1, 0
    while number < last:
        data = sock.recv()
        if data != b"%d" % (number + 1):
            if int(data) <= number:
                return f"message {data} after {number}"
            missing += int(data) - number - 1
        number = int(data)
        count += 1
    return f"{first} {count} {missing}"


def main():
    """Serves commands until the end of the input."""
    import zmq  # not at the top: who only wants message() need not have it

    context = zmq.Context()
    context.set(zmq.BLOCKY, False)
    sockets = []

    def make(kind, endpoint, rate=20_000, topics=("",)):
        sock = context.socket(kind)
        sock.setsockopt(zmq.RATE, rate)
        for option in (zmq.SNDHWM, zmq.RCVHWM, zmq.LINGER):
            sock.setsockopt(option, 0)
        sock.setsockopt(zmq.RCVTIMEO, 30_000)
        if kind == zmq.SUB:
            for topic in topics:
                sock.setsockopt(zmq.SUBSCRIBE, topic.encode())
        sock.connect(endpoint)
        print("ready", flush=True)
        return sock

    def listen(endpoint, last, size=0, topics=("",), **options):
        try:
            with make(zmq.SUB, endpoint, topics=topics, **options) as sock:
                if size is None:
                    result = subscribe_numbers(sock, last)
                else:
                    result = subscribe(sock, last, size, 1 if "" in topics else 2)
        except zmq.ZMQError as error:
            result = f"{error}"
        print(result, flush=True)

    for line in sys.stdin:
        order = json.loads(line)
        role = order.pop("role")
        if role == "pub":
            sockets.append(make(zmq.PUB, **order))
        elif role == "sub":
            threading.Thread(target=listen, kwargs=order, daemon=True).start()
        elif role == "send":
            numbers, publisher = range(order["from"], order["to"]), sockets[-1]
            if order["size"] is None:
                for number in numbers:
                    publisher.send(b"%d" % number)
            else:
                for number in numbers:
                    publisher.send_multipart(message(number, order["size"]))
            print("sent", flush=True)
        elif role == "close":
            while sockets:
                sockets.pop().close()
            print("closed", flush=True)


if __name__ == "__main__":
    main()
