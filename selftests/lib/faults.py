# SPDX-License-Identifier: GPL-2.0
"""A kernel that refuses what it is asked for: memory, and copies to and from user space.

Needs CONFIG_FAULT_INJECTION, which the debug kernel has and a stock one has not.
"""

import contextlib
import errno
import os
import pathlib

import ktap
import net
import pgm

FAIL_NTH = "/proc/thread-self/fail-nth"
DEBUGFS = pathlib.Path("/sys/kernel/debug")
MOST = 400  # requests of one call
SPARED = (1 << 31) - 1  # more requests than anybody makes
ENDLESS = 1 << 30
EVERYWHERE = (0, (1 << 64) - 1)
# The kinds by their directories, and how each is made to refuse more than by default.
KINDS = {
    "failslab": {"ignore-gfp-wait": "N"},
    "fail_page_alloc": {"ignore-gfp-wait": "N", "ignore-gfp-highmem": "N", "min-order": 0},
    "fail_skb_realloc": {},
    "fail_usercopy": {},
}
# What pgm(7) says of memory that is short. Copies to and from the caller fail as well.
SHORT = {errno.ENOMEM, errno.ENOBUFS, errno.EFAULT}
NO_FILE = {errno.ENFILE, errno.EMFILE}  # an inode or a descriptor may be wanting, too


def _put(kind, **values):
    for name, value in values.items():
        (DEBUGFS / kind / name.replace("_", "-")).write_text(str(value), encoding="ascii")


def need():
    """The module, and a kernel that refuses on request, in silence."""
    pgm.need_module()
    if not os.path.exists(FAIL_NTH):
        raise ktap.Skip("the kernel cannot inject faults")
    if not (DEBUGFS / "failslab").exists():
        net.run("mount", "-t", "debugfs", "none", DEBUGFS)
    for kind, values in KINDS.items():
        _put(kind, verbose=0, stacktrace_depth=32, **values)


# --- where


def symbols(*names):
    """(begin, end) of functions of the kernel that follow each other, by their first and last name."""
    with open("/proc/kallsyms", encoding="ascii") as table:
        rows = [line.split() for line in table]
    found = [int(words[0], 16) for words in rows if words[2] in names]
    assert len(found) == len(set(names)), f"no {names}"
    behind = min(
        address for words in rows if (address := int(words[0], 16)) > max(found) and words[1] in "tT"
    )
    return min(found), behind


def rust(path):
    """(begin, end) of a function of the module, by the end of its path, such as "Tray::new"."""
    ends = "".join(f"{len(word)}{word}" for word in path.split("::"))
    with open("/proc/kallsyms", encoding="ascii") as table:
        names = [name for line in table if (name := line.split()[2]).endswith(ends)]
    return symbols(*names)


def module():
    """(begin, end) of pgm.ko."""
    with open("/proc/modules", encoding="ascii") as table:
        words = next(line.split() for line in table if line.startswith("pgm "))
    begin = int(words[5], 16)
    return begin, begin + int(words[1])


@contextlib.contextmanager
def only_below(where, but=("ref_tracker_alloc", "ref_tracker_free")):
    """Only what these functions ask for is refused, and what others do that they called.

    But not what is asked for below others, which log that they are without memory.
    """
    but = symbols(*but)

    def put(required, rejected):
        for kind in KINDS:
            # In an order in which the range is never one that was not meant.
            _put(kind, require_end=0, require_start=required[0])
            _put(kind, require_end=required[1], reject_start=rejected[0], reject_end=rejected[1])

    put(where, but)
    try:
        yield
    finally:
        put(EVERYWHERE, (0, 0))


# --- each in turn


class Fault:
    """Something that this thread asks the kernel for is refused."""

    def __init__(self):
        self.fd = os.open(FAIL_NTH, os.O_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def arm(self, nth):
        """The nth from now on."""
        os.pwrite(self.fd, b"%d" % nth, 0)

    def left(self):
        """How many are left to go; then none is refused any more."""
        try:
            left = int(os.pread(self.fd, 20, 0).split(b"\0")[0])
        except OSError:
            left = 1  # it hit this very call
        with contextlib.suppress(OSError):
            os.pwrite(self.fd, b"0", 0)
        os.pwrite(self.fd, b"0", 0)
        return left


@contextlib.contextmanager
def spared():
    """Calls of this thread are refused nothing: only softirqs are."""
    with Fault() as fault:
        fault.arm(SPARED)
        yield
        fault.left()


def each_fault(call, undo=None, allowed=SHORT):
    """Has the 1st, 2nd, ... request of a call refused until the call needs no more of them.

    The call may succeed all the same; what it returned goes to `undo`. With `allowed` None any error
    will do. Says how many there were.
    """
    failed = 0
    with Fault() as fault:
        for nth in range(1, MOST):
            value = problem = None
            fault.arm(nth)
            try:
                value = call()
            except OSError as error:
                problem = error
            left = fault.left()
            if problem:
                known = allowed is None or problem.errno in allowed
                assert known, f"request {nth}: {errno.errorcode[problem.errno]}"
                failed += 1
            elif undo:
                undo(value)
            if left:
                assert not problem, f"{problem} without a fault"
                ktap.note(f"{nth - 1} refused, {failed} calls failed")
                return nth - 1
    raise AssertionError(f"more than {MOST} requests")


# --- by chance


class Refused(dict):
    """How many requests of each kind were refused."""

    def __str__(self):
        return "refused: " + ", ".join(f"{count} {kind}" for kind, count in self.items())


@contextlib.contextmanager
def refusing(below=None, **percent):
    """So many of a hundred requests of a kind are refused, whoever they are made for.

    Those that the module makes, or only what is `below` some functions.
    """
    refused = Refused()
    with only_below(below or module()):
        for kind, chance in percent.items():
            _put(kind, interval=1, space=0, times=ENDLESS, probability=chance)
        try:
            yield refused
        finally:
            for kind in percent:
                _put(kind, probability=0)
                left = (DEBUGFS / kind / "times").read_text(encoding="ascii")
                refused[kind] = ENDLESS - int(left)
                _put(kind, times=1)


@contextlib.contextmanager
def balanced():
    """No socket is left behind."""
    before = pgm.in_use()
    yield
    pgm.no_socket(but=before)
