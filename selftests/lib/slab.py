# SPDX-License-Identifier: GPL-2.0
"""The kernel's slab allocator."""

import os

import ktap

SYSFS = "/sys/kernel/slab"
TRACES = "/sys/kernel/debug/slab"
USUAL = ("PGM", "kmalloc-", "skbuff_")
# What the checkers of a debug kernel remember of each object, also of those that went since.
CHECKERS = ("kmemleak_object", "kmemleak_scan_area", "debug_objects_cache")


def used():
    """{cache: bytes in use}"""
    found = {}
    with open("/proc/slabinfo", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if len(words) > 3 and words[1].isdigit() and words[0] not in CHECKERS:
                found[words[0]] = int(words[1]) * int(words[3])
    return found


def exactly_used(prefixes=None):
    """As used(), without what some caches keep of freed objects. A debug kernel keeps those of all
    caches for a while (KASAN's quarantine), others only what there is for each processor."""
    caches = os.listdir(SYSFS)
    if prefixes is None:
        prefixes = "" if CHECKERS[0] in caches else USUAL
    for name in caches:
        if name.startswith(prefixes):
            with open(f"{SYSFS}/{name}/shrink", "w", encoding="ascii") as file:
                file.write("1")
    return used()


def drop_caches():
    """Frees what is only kept for speed."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def _growth(before, after):
    """{cache: bytes more}, the largest first."""
    more = {name: size - before.get(name, 0) for name, size in after.items()}
    return dict(sorted(filter(lambda item: item[1], more.items()), key=lambda item: -item[1]))


def _allocators(cache):
    """Who allocated most of what a cache holds, where the kernel knows."""
    try:
        with open(f"{TRACES}/{cache}/alloc_traces", encoding="ascii", errors="replace") as file:
            return file.read(1_500)
    except OSError:
        return ""


def returns_to(before, bound, measure=exactly_used):
    """Waits until no more than so many bytes are in use beyond those before: what is freed after a
    grace period of RCU takes its time, what is lost stays. Returns how many are."""
    more = {}

    def is_back():
        nonlocal more
        more = _growth(before, measure())
        return sum(more.values()) < bound

    try:
        ktap.wait_for(is_back, f"less than {bound} bytes of slabs more", 5, interval=0.2)
    except AssertionError:
        ktap.note(f"slabs grew by {sum(more.values())} bytes: {more}")
        for cache in list(more)[:2]:
            ktap.note(f"{cache}:\n{_allocators(cache)}")
        raise
    return sum(more.values())
