#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""net.pgm.*: each network namespace has its own settings, in the documented ranges."""

import contextlib
import errno
import os
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm

PAGE = pathlib.Path(__file__).resolve().parent.parent / "Documentation/sysctl.rst"
FILES = pathlib.Path("/proc/sys/net/pgm")


def documented():
    """{name: (least, most, default)} of the documentation's table."""
    rule, *rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line]
    lines = iter([rule, *rows])
    rule = next(line for line in lines if line.startswith("===") and " " in line)
    starts = [0] + [at + 1 for at, letter in enumerate(rule) if letter == " "]
    table = {}
    for line in lines:
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None])]
        if not line.startswith("=") and cells[0] != "net.pgm.":
            table[cells[0]] = tuple(map(int, cells[2:5]))
    return table


def read(host, name):
    """One setting as a host has it."""
    with host:
        return int((FILES / name).read_text(encoding="ascii"))


@contextlib.contextmanager
def changed(host, **settings):
    """Settings of a host for a while."""
    before = {name: read(host, name) for name in settings}
    try:
        for name, value in settings.items():
            host.sysctl(f"net/pgm/{name}", value)
        yield
    finally:
        for name, value in before.items():
            host.sysctl(f"net/pgm/{name}", value)


@ktap.test
def test_ranges():
    """The files are those of the documentation, with its defaults and its ranges."""
    # attack: A-09
    with net.shared() as lan:
        host, other = lan.hosts
        with host:
            ktap.equal({file.name for file in FILES.iterdir()}, set(documented()))
        for name, (least, most, default) in documented().items():
            ktap.equal(read(host, name), default, name)
            numbers = {0, 1, least - 1, most + 1, -1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 64}
            wrongs = sorted(n for n in numbers if not least <= n <= most)
            for wrong in (*wrongs, "x", "1x"):
                try:
                    host.sysctl(f"net/pgm/{name}", wrong)
                except OSError as error:
                    ktap.equal(error.errno, errno.EINVAL, f"{name} = {wrong}")
                else:
                    raise AssertionError(f"{name} takes {wrong}")
            ktap.equal(read(host, name), default, name)
            for right in (least, most):
                with changed(host, **{name: right}):
                    ktap.equal(read(host, name), right, name)
                    ktap.equal(read(other, name), default, f"{name} of another namespace")


@ktap.test
def test_traffic_at_the_ends():
    """With all settings at their least, or at their most, messages pass, or loss is reported."""
    # attack: A-09
    ends = documented()
    # What would keep the test waiting.
    ends.pop("peer_expiry_us")
    # A closed source must not keep the namespace busy, with the module, for as long as it would
    # remember the session.
    ends["repair_max_ms"] = ends["repair_max_ms"][:1] * 2
    with net.Lan() as lan:
        one, two = lan.hosts
        for end in (0, 1):
            settings = {name: row[end] for name, row in ends.items()}
            with contextlib.ExitStack() as stack:
                for host in lan.hosts:
                    stack.enter_context(changed(host, **settings))
                bus = stack.enter_context(pgm.pgm_socket(two))
                pgm.timeouts(bus, 20)
                bus.bind((pgm.GROUP, pgm.PORT))
                pgm.join(bus)
                source = stack.enter_context(pgm.pgm_socket(one))
                pgm.timeouts(source, 20, 20)
                source.connect((pgm.GROUP, pgm.PORT))
                source.send(b"x")
                ktap.equal(bus.recv(10), b"x", f"at end {end}")
                pgm.reset_close(source)


@ktap.test
def test_new_sockets_only():
    """A setting is the default of the sockets made after it, and of no others."""
    options = {
        pgm.PGM_NAK_BO_IVL: ("nak_bo_ivl_us", 50_000, 77_000),
        pgm.PGM_NAK_RPT_IVL: ("nak_rpt_ivl_us", 200_000, 300_000),
        pgm.PGM_NAK_RDATA_IVL: ("nak_rdata_ivl_us", 400_000, 500_000),
        pgm.PGM_NAK_NCF_RETRIES: ("nak_ncf_retries", 50, 7),
        pgm.PGM_NAK_DATA_RETRIES: ("nak_data_retries", 50, 255),
        pgm.PGM_AMBIENT_SPM: ("ambient_spm_us", 8_000_000, 1_000_000),
        pgm.PGM_ABORT_ON_RESET: ("abort_on_reset", 1, 0),
    }
    with net.shared() as lan:
        host, other = lan.hosts
        with contextlib.ExitStack() as stack:
            old = stack.enter_context(pgm.pgm_socket(host))
            changes = {name: value for name, _, value in options.values()}
            stack.enter_context(changed(host, **changes))
            new = stack.enter_context(pgm.pgm_socket(host))
            foreign = stack.enter_context(pgm.pgm_socket(other))
            for option, (name, default, value) in options.items():
                ktap.equal(pgm.get_int(old, option), default, f"{name} of an older socket")
                ktap.equal(pgm.get_int(new, option), value, name)
                ktap.equal(pgm.get_int(foreign, option), default, f"{name} elsewhere")
                pgm.set_int(new, option, default)
                ktap.equal(pgm.get_int(new, option), default, f"{name}: the option wins")


@ktap.test
def test_source_defaults():
    """The window and the heartbeat of a source follow the namespace."""
    with net.shared() as lan:
        host = lan.hosts[0]
        settings = {
            "txw_max_rte_kbit": 8_000,
            "txw_bytes": 500_000,
            "ihb_min_us": 20_000,
            "ihb_max_us": 50_000,
            "rcvbuf_default": 123_456,
        }
        with changed(host, **settings), pgm.source(host, window=None) as source:
            value = source.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW, 12)
            # 500,000 bytes at 8 Mbit/s are half a second.
            ktap.equal(struct.unpack("=III", value), (8_000, 500, 500_000))
            value = source.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, 12)
            ktap.equal(struct.unpack("=III", value), (20_000, 40_000, 50_000))
            ktap.equal(source.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), 123_456)
        with changed(host, txw_max_rte_kbit=8_000), pgm.pgm_socket(host) as source:
            pgm.set_window(source, 0, 1000, 0)
            value = source.getsockopt(pgm.IPPROTO_PGM, pgm.PGM_SEND_WINDOW, 12)
            ktap.equal(struct.unpack("=III", value), (8_000, 1000, 1_000_000))


@ktap.test
def test_peer_expiry():
    """A session of a namespace that waits only half a second for a silent source."""
    with net.shared() as lan:
        with changed(lan.hosts[1], peer_expiry_us=500_000), pgm.listener(lan.hosts[1]) as listening:
            with pgm.source(lan.hosts[0], window=(20_000, 200, 0)) as source:
                source.send(b"x")
                session, _ = pgm.accept(listening)
                with session:
                    ktap.equal(session.recv(10), b"x")
                    lan.impair(lan.hosts[1], "loss 100%")
                    try:
                        session.recv(10)
                    except TimeoutError:
                        return
                    raise AssertionError("a silent source did not expire")


@ktap.test
def test_peers_max():
    """A datagram socket hears no more sources than its namespace allows."""
    # attack: A-14
    with net.shared() as lan:
        with changed(lan.hosts[1], peers_max=2), pgm.datagram(lan.hosts[1]) as receiver:
            with contextlib.ExitStack() as stack:

                def source():
                    return stack.enter_context(pgm.source(lan.hosts[0], window=(20_000, 200, 0)))

                sources = [source(), source()]
                for message in (b"first", b"again"):
                    for sender in sources:
                        sender.send(message)
                    ktap.equal([receiver.recv(10) for _ in sources], [message] * 2)
                    time.sleep(1.05)  # or the third would take the place of the first
                source().send(b"late")
                pgm.timeouts(receiver, receive=0.5)
                try:
                    late = receiver.recv(10)
                except BlockingIOError:
                    return
                raise AssertionError(f"heard a third source: {late}")


@ktap.test
def test_repair_max():
    """A closed source repairs no longer than its namespace lets it, whatever its window."""
    with net.shared() as lan:
        host = lan.hosts[0]

        def is_there():
            with host, open("/proc/thread-self/net/pgm/sources", encoding="ascii") as table:
                return f" {pgm.GROUP} {pgm.PORT} " in table.read()

        with pgm.source(host, window=(20_000, 60_000, 0)) as source:
            source.send(b"x")
            host.sysctl("net/pgm/repair_max_ms", 300)
        host.sysctl("net/pgm/repair_max_ms", 120_000)
        assert is_there(), "a closed source repairs"
        ktap.wait_for(lambda: not is_there(), "the source is gone", timeout=10)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
