# SPDX-License-Identifier: GPL-2.0
"""A KTAP test file: functions marked with @test, run by main()."""

import argparse
import contextlib
import faulthandler
import functools
import os
import re
import sys
import threading
import time
import traceback

import variant

# A line of the kernel log that fails the test during which it appeared.
KERNEL_TROUBLE = re.compile(
    r"BUG|WARNING|Call Trace|Oops|unreferenced|suspicious RCU|refcount|ref_tracker|panic|UBSAN|"
    r"KASAN|ODEBUG|INFO: |general protection|inconsistent lock state|"
    r"still has locks|blocked for more than|detected stalls|turning off|unregister_netdevice: wait"
)

# How much slower than usual the kernel is that the tests run on.
SLOW = int(os.environ.get("PGM_SLOW", "1"))

TIMEOUT = 60  # seconds for one test, unless it says otherwise
ATTEMPTS = 4  # of a test that was Late, or during which the machine stood still
STALL = 0.1  # for so many seconds

_tests = []
_before = []
_usual = (variant.V4,)
_kept = contextlib.ExitStack()


class Skip(Exception):
    """Raised by a test that cannot run here."""


class Late(AssertionError):
    """Raised by a test that found something too late: the machine may have been, so try again."""


def soon(seconds, limit, what):
    """Fails if something took too long."""
    limit *= SLOW
    if seconds > limit:
        raise Late(f"{what}: {seconds:.3f} s, more than {limit:.3f} s")


class KernelLog:
    """What the kernel says from now on."""

    def __init__(self):
        try:
            self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self.fd, 0, os.SEEK_END)
        except OSError:
            self.fd = None  # not root, or a container

    def trouble(self):
        """Lines of trouble since the last call."""
        lines = []
        while self.fd is not None:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # records were overwritten; the next read finds the oldest left
            text = record.partition(";")[2].split("\n")[0]
            if KERNEL_TROUBLE.search(text):
                lines.append(text)
        return lines


class Case:
    """A function to run over one variant."""

    def __init__(self, name, function, timeout, over, several):
        self.base, self.function, self.timeout, self.over = name, function, timeout, over
        self.name = f"{name}[{over}]" if several else name

    def answers_to(self, word):
        """Does a word of the command line mean this one?"""
        return word in (self.base, self.name)


def usual_variants(variants):
    """The variants of all cases from here on that do not name theirs."""
    global _usual
    _usual = variants


def test(function=None, *, timeout=TIMEOUT, name=None, variants=None):
    """Marks a function as a test: one case for each of its variants."""
    several = variants or _usual

    def mark(inner):
        label = name or inner.__name__.removeprefix("test_")
        _tests.extend(
            Case(label, inner, timeout, over, len(several) > 1)
            for over in several
            if over in variant.SUPPORTED
        )
        return inner

    return mark(function) if function else mark


def each(cases, *, timeout=TIMEOUT, variants=None):
    """Marks a function as one test per case: {name: argument}."""

    def mark(inner):
        for name, case in cases.items():
            test(functools.partial(inner, case), timeout=timeout, name=name, variants=variants)
        return inner

    return mark


def take_cases():
    """(case without its variant, name of its function) of all that was marked, now forgotten."""
    cases = {case.base: getattr(case.function, "func", case.function).__name__ for case in _tests}
    _tests.clear()
    usual_variants((variant.V4,))
    return list(cases.items())


def before_each(function):
    """Calls the function before every test."""
    _before.append(function)


def keep(context):
    """Enters a context that lasts until the last test of this file."""
    return _kept.enter_context(context)


def note(text):
    """A diagnostic line."""
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def wait_for(condition, what, timeout=10, interval=0.02):
    """Polls until condition() is true, and returns what it said."""
    timeout *= SLOW
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s still not: {what}")
        time.sleep(interval)


def equal(got, wanted, what=""):
    """Fails with both values."""
    assert got == wanted, f"{what + ': ' if what else ''}got {got!r}, wanted {wanted!r}"


def _explain(error):
    """Where the test failed, without the frames of this file."""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename != __file__:
            note(f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.line}")
    note(f"{type(error).__name__}: {error}")


class _Stalls(threading.Thread):
    """Watches for how long the machine stands still."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest = 0.0
        self.start()

    def run(self):
        while True:
            began = time.monotonic()
            time.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - began - 0.05)


def _attempt(case, stalls):
    """Runs a case, again while the machine may be the reason that it failed."""
    for attempt in range(1, ATTEMPTS + 1):
        stalls.longest = 0.0
        try:
            for prepare in _before:
                prepare()
            case.function()
            return
        except Skip:
            raise
        except Exception as error:  # noqa: BLE001 # a test may fail in any way
            slow = isinstance(error, Late) or stalls.longest > STALL
            if not slow or attempt == ATTEMPTS:
                raise
            _explain(error)
            stalled = f"the machine stood still for {stalls.longest:.3f} s"
            note(f"{case.name} is tried again after attempt {attempt}: {stalled}")


def _one(number, case, log, stalls, last):
    """True or False, as the result line says; None, without one, if it failed and this is not the last try."""
    faulthandler.dump_traceback_later(case.timeout * SLOW, exit=True)
    variant.enter(case.over)
    started = time.monotonic()
    verdict, directive = True, ""
    try:
        _attempt(case, stalls)
    except Skip as reason:
        directive = f" # SKIP {reason}"
    except Exception as error:  # noqa: BLE001 # a test may fail in any way
        _explain(error)
        verdict = False if last else None
    finally:
        faulthandler.cancel_dump_traceback_later()
    for line in log.trouble():
        note(f"kernel: {line}")
        verdict, directive = False, ""
    seconds = time.monotonic() - started
    if seconds > 5:
        note(f"{case.name}: {seconds:.1f} s")
    if verdict is None:
        note(f"UNSTEADY {case.name}: it failed, and is tried once more when the others are done")
    else:
        print(f"{'ok' if verdict else 'not ok'} {number} {case.name}{directive}", flush=True)
    return verdict


def _all(chosen):
    """True if all cases are ok, at their second try."""
    watching = KernelLog(), _Stalls()
    first = {number: _one(number, case, *watching, False) for number, case in enumerate(chosen, 1)}
    again = [number for number, verdict in first.items() if verdict is None]
    second = [_one(number, chosen[number - 1], *watching, True) for number in again]
    return False not in [*first.values(), *second]


def main(setup=None):
    """Runs the tests of this file, or those named on the command line."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("tests", nargs="*", metavar="TEST", help="run these only")
    parser.add_argument(
        "--variant", choices=[str(v) for v in variant.ALL], help="over this one only"
    )
    parser.add_argument("--list", action="store_true", help="list the tests")
    args = parser.parse_args()
    chosen = [
        case
        for case in _tests
        if args.variant in (None, str(case.over))
        and (not args.tests or any(map(case.answers_to, args.tests)))
    ]
    if args.list:
        print("\n".join(case.name for case in chosen))
        return
    unknown = [w for w in args.tests if not any(case.answers_to(w) for case in _tests)]
    if unknown:
        parser.error(f"no such test: {', '.join(unknown)}")
    faulthandler.enable()
    print("KTAP version 1", flush=True)
    if not chosen:
        print(f"1..0 # SKIP nothing over {args.variant}", flush=True)
        return
    try:
        if setup:
            setup()
    except Skip as reason:
        print(f"1..0 # SKIP {reason}", flush=True)
        return
    print(f"1..{len(chosen)}", flush=True)
    passed = _all(chosen)
    _kept.close()
    # Threads that a failed test left behind must not keep the process.
    sys.stdout.flush()
    os._exit(0 if passed else 1)
