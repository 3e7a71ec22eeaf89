#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The module comes by itself, stays while it is used, and goes without a trace."""

import errno
import os
import pathlib
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm

RELEASE = os.uname().release
MODULES = pathlib.Path("/lib/modules") / RELEASE
SNIPPET = pathlib.Path(__file__).resolve().parent.parent / "Documentation/modprobe.d/pgm.conf"
DENIED = pathlib.Path("/run/modprobe.d/pgm.conf")


def insert():
    """Loads the module by hand."""
    ko = os.environ.get("PGM_KO")
    net.run(*(["insmod", ko] if ko else ["modprobe", "pgm"]))


def exchange(lan):
    """One message from end to end."""
    with pgm.listener(lan.hosts[1]) as listening:
        with pgm.source(lan.hosts[0], window=(20_000, 200, 0)) as source:
            source.send(bytes(5000))
        session, _ = pgm.accept(listening)
        with session:
            ktap.equal(session.recv(6000), bytes(5000))
            ktap.equal(session.recv(10), b"")


def rmmod():
    """The first line of what rmmod complains about, or ""."""
    done = subprocess.run(["rmmod", "pgm"], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@ktap.test
def test_refused_while_in_use():
    """rmmod fails as long as any socket is open, in any role."""
    # attack: A-25
    with net.shared() as lan:
        makers = {
            "fresh": pgm.pgm_socket,
            "source": pgm.source,
            "listener": pgm.listener,
            "datagram": pgm.datagram,
        }
        for role, make in makers.items():
            with make(lan.hosts[0]) as sock:
                assert "in use" in rmmod(), f"the module went away under a {role}"
                if role == "source":
                    sock.send(b"x")
                    pgm.reset_close(sock)
    pgm.unload()
    assert not pgm.loaded()
    insert()


@ktap.test
def test_lingering_source_and_unload():
    """A closed source that still repairs: unload waits for it or ends it, but never crashes."""
    # attack: A-25
    with net.shared() as lan:
        source = pgm.source(lan.hosts[0], window=(20_000, 1_500, 0))
        source.send(b"x")
        source.close()
        pgm.unload(timeout=20)
        insert()
        exchange(lan)


@ktap.test(timeout=120)
def test_reload_20_times():
    """Load, use, unload; sockets of an earlier life are gone."""
    # attack: A-25
    with net.shared() as lan:
        for _ in range(20):
            exchange(lan)
            pgm.unload()
            try:
                pgm.pgm_socket().close()
                ktap.note("socket() loaded the module by itself")
            except OSError as error:
                assert error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT), error
            if not pgm.loaded():
                insert()


@ktap.test
def test_unload_with_open_captures():
    """Raw sockets and group memberships of others survive our unloading."""
    # attack: A-25
    with net.shared() as lan, lan.hosts[1]:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, pgm.IPPROTO_PGM) as raw:
            pgm.join(raw)
            raw.settimeout(5)
            with pgm.source(lan.hosts[0], window=(20_000, 100, 0)):
                assert raw.recv(2000), "the raw socket hears the session as well"
            pgm.unload()
            insert()


def with_dependencies(ko):
    """The module's file, and those of the modules it needs."""
    files, names = [ko], net.run("modinfo", "-F", "depends", ko).strip().split(",")
    while names:
        if name := names.pop():
            file = net.run("modinfo", "-n", name).strip()
            if file not in files and file != "(builtin)":
                files.append(file)
                names += net.run("modinfo", "-F", "depends", file).strip().split(",")
    return files


@ktap.test
def test_autoload():
    """socket() loads the module through its alias once depmod knows it."""
    ko = os.environ.get("PGM_KO")
    if not ko:
        raise ktap.Skip("PGM_KO does not say where the module is")
    # Only what is needed: depmod over all modules takes minutes in an emulator.
    files = with_dependencies(ko)
    builtin = [file.read_bytes() for file in MODULES.glob("modules.[bo]*")]
    names = [file.name for file in MODULES.glob("modules.[bo]*")]
    net.run("mount", "-t", "tmpfs", "none", MODULES)
    try:
        for file in files:
            shutil.copy(file, MODULES)
        for name, text in zip(names, builtin):
            (MODULES / name).write_bytes(text)
        net.run("depmod", "-a")
        for proto in (pgm.IPPROTO_PGM, 0):
            pgm.unload()
            assert not pgm.loaded()
            with pgm.pgm_socket(proto=proto):
                assert pgm.loaded()
        # With what Documentation/security.rst recommends, only modprobe loads it.
        os.makedirs(DENIED.parent, exist_ok=True)
        shutil.copy(SNIPPET, DENIED)
        pgm.unload()
        try:
            pgm.pgm_socket()
        except OSError as error:
            ktap.equal(error.errno, errno.ESOCKTNOSUPPORT)
        else:
            raise AssertionError("the module was loaded by socket()")
        net.run("modprobe", "pgm")
        pgm.pgm_socket().close()
    finally:
        DENIED.unlink(missing_ok=True)
        net.run("umount", MODULES)
        if not pgm.loaded():
            insert()


if __name__ == "__main__":
    ktap.main(pgm.need_module)
