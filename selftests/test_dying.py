#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What goes away while something that came from it is still in use."""

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
import threading

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire
from probe import Probe

SYS_USERFAULTFD = 323
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03

libc = ctypes.CDLL(None, use_errno=True)


def cable(lan):
    """eth1 between the hosts."""
    one, two = lan.hosts
    words = "link add eth1 type veth peer name eth1 netns"
    net.run("ip", "-n", one.name, *words.split(), two.name)
    for number, host in enumerate(lan.hosts, 1):
        net.run("ip", "-n", host.name, *f"addr add 10.78.0.{number}/24 dev eth1".split())
        net.run("ip", "-n", host.name, *"link set eth1 up".split())

    def both_up():
        lines = (net.run("ip", "-n", host.name, "-br", "link", "show", "eth1") for host in lan.hosts)
        return all("UP" in line.split() for line in lines)

    ktap.wait_for(both_up, "eth1 is up")


class Fault:
    """A page that is not there until somebody brings it (userfaultfd): who reads it waits."""

    def __init__(self):
        self.page = mmap.mmap(-1, mmap.PAGESIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.fd = libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        self._tell(UFFDIO_API, "=QQQ", 0xAA, 0, 0)
        self._tell(UFFDIO_REGISTER, "=QQQQ", self.address, mmap.PAGESIZE, 1, 0)

    def _tell(self, request, form, *values):
        fcntl.ioctl(self.fd, request, bytearray(struct.pack(form, *values)))

    def wait(self):
        """Until somebody reads the page."""
        assert os.read(self.fd, 32), "no fault"

    def bring(self, data):
        """The page, for those who wait."""
        page = ctypes.create_string_buffer(data, mmap.PAGESIZE)
        values = (self.address, ctypes.addressof(page), mmap.PAGESIZE, 0, 0)
        self._tell(UFFDIO_COPY, "=QQQQq", *values)


@ktap.test
def test_device_of_the_backlog():
    """A packet waits for a process that holds the socket, and its device goes meanwhile."""
    # attack: A-07 A-18
    try:
        fault = Fault()
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        raise ktap.Skip("no userfaultfd()") from None
    with net.Lan() as lan:
        cable(lan)
        one, two = lan.hosts
        with Probe(one, device="eth1") as probe:
            with pgm.datagram(two, interface=two.index()) as bus:
                pgm.join(bus, interface=two.index("eth1"))
                bus.connect((pgm.GROUP, pgm.PORT))
                sender = pgm.Background(
                    lambda: libc.send(bus.fileno(), ctypes.c_void_p(fault.address), 100, 0)
                )
                fault.wait()
                before = two.counters()["InOdata"]
                probe.source().odata(0, b"waits", wire.option(wire.OPT_SYN))
                ktap.wait_for(lambda: two.counters()["InOdata"] > before, "the packet came")
                net.run("ip", "-n", two.name, "link", "del", "eth1")
                fault.bring(b"x" * 100)
                ktap.equal(sender.result(), 100)
                ktap.equal(bus.recv(9), b"waits")


@ktap.test
def test_sessions_that_are_looked_at():
    """A listener gives up sessions that somebody reads of: all of them go."""
    # attack: A-08 A-12
    with net.Lan() as lan:
        one, two = lan.hosts
        done = threading.Event()

        def read():
            with two, open("/proc/thread-self/net/pgm/receivers", encoding="ascii") as file:
                while not done.is_set():
                    file.seek(0)
                    file.read()

        with Probe(one) as probe, pgm.listener(two):
            readers = [pgm.Background(read) for _ in range(2)]
            for number in range(500):
                probe.source(sport=1 + number, gsi=b"spoofd").spm(0, 0xFFFFFFFF)
        # The listener is closed.
        done.set()
        for reader in readers:
            reader.result()

        def sockets():
            with two:
                return pgm.accounted()[0]

        ktap.wait_for(lambda: sockets() == 0, "no socket is left", timeout=20)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
