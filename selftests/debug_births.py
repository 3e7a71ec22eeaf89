#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory is refused at every place where the module or a namespace begins or ends.

Needs a kernel with CONFIG_FAULT_INJECTION (fail-nth), which the debug kernel has and a stock one has not.
"""

import errno
import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import faults
import ktap
import net
import pgm
import traffic
from module import LIBC, Module

SHORT = {errno.ENOMEM, errno.ENOBUFS}


def traces():
    """What the module shows of itself to the namespace of this thread."""
    places = ("/proc/thread-self/net/pgm", "/proc/sys/net/pgm", "/sys/module/pgm")
    with open("/proc/thread-self/net/protocols", encoding="ascii") as table:
        protocols = [line.split()[0] for line in table if line.startswith("PGM")]
    return [place for place in places if os.path.exists(place)] + protocols


def all_traces(lan):
    """Of all namespaces."""
    found = traces()
    for host in lan.hosts:
        with host:
            found += traces()
    return found


@ktap.test(timeout=200)
def test_load():
    """init_module(): the module is there as a whole or not at all, in each namespace."""
    module = Module()
    with net.shared() as lan:
        full, failed = all_traces(lan), 0
        pgm.unload()
        init = faults.symbols("do_one_initcall")
        with faults.only_below(init, ["__kmem_cache_create_args"]), faults.Fault() as fault:
            for nth in range(1, faults.MOST):
                fault.arm(nth)
                error = module.load()
                left = fault.left()
                if not error:
                    ktap.equal(all_traces(lan), full)
                    if left:
                        break
                    pgm.unload()
                    continue
                failed += 1
                assert error in SHORT and not left, os.strerror(error)
                ktap.equal(all_traces(lan), [])
        ktap.note(f"{nth - 1} refused, {failed} calls failed")
        assert failed > 10, failed
        traffic.exchange(lan)


@ktap.test(timeout=100)
def test_unload():
    """delete_module() needs no memory that it could be refused."""
    module = Module()
    with net.shared() as lan, faults.Fault() as fault:
        traffic.exchange(lan)
        pgm.no_socket()
        for nth in range(1, faults.MOST):
            fault.arm(nth)
            gone = module.unload()
            left = fault.left()
            assert gone, f"request {nth}"
            ktap.equal(all_traces(lan), [])
            ktap.equal(module.load(), 0)
            if left:
                break
        ktap.note(f"{nth - 1} refused")
        traffic.exchange(lan)


@ktap.test(timeout=100)
def test_namespace():
    """unshare(CLONE_NEWNET): there is a namespace with PGM in it, or none."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def unshare():
        if LIBC.unshare(net.CLONE_NEWNET):
            # The kernel has one error for all that a namespace may be refused.
            raise OSError(errno.ENOMEM, "unshare")

    def use(_):
        with pgm.pgm_socket() as sock:
            sock.bind(("", pgm.PORT))
        assert traces()
        LIBC.setns(home, net.CLONE_NEWNET)

    with faults.only_below(faults.module()):
        count = faults.each_fault(unshare, use)
    os.close(home)
    assert count > 5, count
    with net.Lan() as lan:
        traffic.exchange(lan)


if __name__ == "__main__":
    ktap.main(faults.need)
