# SPDX-License-Identifier: GPL-2.0
"""OpenPGM's side of a session: selftests/interop/openpgm.c, compiled against Debian's libpgm."""

import functools
import itertools
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile

import ktap
import net
import pgm
import variant

TOP = pathlib.Path(__file__).resolve().parents[2]
RECORD = struct.Struct("=c8sI")
# UDP ports of the cases, one after the other: a closed source of ours repairs for a while, and has
# its port until then, whose unicast packets OpenPGM would not get.
UDP_PORTS = range(4000, 4500)
# Requirements that OpenPGM is known not to keep, and why (Documentation/interop.rst). The test
# quirks:excuses wants each of them broken still.
QUIRKS = {
    "OPT-06": "the third byte of its options is not initialised",
    "OPT-31": "a NAK list has its numbers in the order in which they are due",
    "ADDR-01": "no Router Alert unless PGM_IP_ROUTER_ALERT is set",
    "NAK-16": "each NAK list is followed by a NAK of its first number",
    "SRC-10": "after a repair the next SPM comes when it was due before",
}

_serial = itertools.count()


def need():
    """The module, and the program that uses OpenPGM."""
    pgm.need_module()
    program()
    ktap.before_each(_next_port)


def _next_port():
    # One port for both: OpenPGM's receive socket is bound to the port for groups only.
    variant.UNICAST = variant.MULTICAST = UDP_PORTS[pgm.PORT % len(UDP_PORTS)]


@functools.cache
def scratch():
    """A directory for as long as this test program runs."""
    return pathlib.Path(ktap.keep(tempfile.TemporaryDirectory()))


@functools.cache
def program():
    """The compiled program: that of `make interop-peer`, else one of our own."""
    built = TOP / "build/interop/openpgm"
    if built.exists():
        return built
    if not shutil.which("gcc") or not pathlib.Path("/usr/include/pgm-5.3/pgm/pgm.h").exists():
        raise ktap.Skip("no gcc or no libpgm-dev")
    target = scratch() / "openpgm"
    net.run(TOP / "selftests/interop/build", target)
    return target


class Peer:
    """An OpenPGM process on a host, with settings of openpgm.c. `with` waits until it is ready."""

    def __init__(self, role, host, group=None, port=None, interface=None, **settings):
        self.host = host
        name = f"{role}-{next(_serial)}"
        self.output, self.errors = scratch() / name, scratch() / f"{name}.err"
        self.taken, self.records = 0, []
        udp = variant.MULTICAST if variant.now().udp else 0
        network = f"{interface or host.address};{group or pgm.GROUP}"
        words = [f"{name}={value}" for name, value in settings.items()]
        words = [program(), role, network, port or pgm.PORT, udp, *words]
        with host, open(self.output, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.PIPE if role == "source" else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def __enter__(self):
        ktap.wait_for(self.started, f"OpenPGM is ready on {self.host.name}", 20)
        return self

    def __exit__(self, *_):
        self.kill()

    def started(self):
        """Is its socket ready? An exception if it has died."""
        self.alive()
        return bool(self.read())

    def alive(self):
        """An exception with its last words if it has died."""
        if self.process.poll() is not None:
            said = self.errors.read_text(errors="replace").strip()
            raise AssertionError(f"OpenPGM ended with {self.process.returncode}: {said}")

    def read(self):
        """All records until now: (letter, TSI, bytes)."""
        with open(self.output, "rb") as file:
            file.seek(self.taken)
            data = file.read()
        at = 0
        while at + RECORD.size <= len(data):
            kind, tsi, length = RECORD.unpack_from(data, at)
            end = at + RECORD.size + length
            if end > len(data):
                break
            self.records.append((kind.decode(), tsi, data[at + RECORD.size : end]))
            at = end
        self.taken += at
        return self.records

    @property
    def tsi(self):
        """Its own."""
        return self.read()[0][1]

    def messages(self, tsi=None):
        """What it received, of one source or of all."""
        return [data for kind, of, data in self.read() if kind == "D" and tsi in (None, of)]

    def resets(self):
        """How often it was told of a loss."""
        return sum(kind == "R" for kind, _, _ in self.read())

    def wait(self, count, tsi=None, timeout=40):
        """The messages, as soon as there are so many."""

        def enough():
            if len(found := self.messages(tsi)) >= count:
                return found
            self.alive()
            assert not self.resets(), f"OpenPGM gave something up after {len(found)} messages"
            return None

        return ktap.wait_for(enough, f"OpenPGM has {count} messages", timeout)

    def send(self, *messages):
        """Gives a source messages to send."""
        self.process.stdin.write(b"".join(struct.pack("=I", len(m)) + m for m in messages))
        self.process.stdin.flush()

    def close(self, timeout=20):
        """Ends a source as its program would: pgm_close()."""
        self.process.stdin.close()
        ktap.equal(self.process.wait(timeout), 0, "status of OpenPGM's source")

    def kill(self):
        """Ends it at once, without a word to anybody."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdin:
            self.process.stdin = None
