# SPDX-License-Identifier: GPL-2.0
"""The kernel's slab allocator."""

import os

SYSFS = "/sys/kernel/slab"


def used():
    """{cache: bytes in use}"""
    found = {}
    with open("/proc/slabinfo", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if len(words) > 3 and words[1].isdigit():
                found[words[0]] = int(words[1]) * int(words[3])
    return found


def exactly_used(prefixes=("PGM", "kmalloc-", "skbuff_")):
    """As used(), without what some caches keep of freed objects."""
    for name in os.listdir(SYSFS):
        if name.startswith(prefixes):
            with open(f"{SYSFS}/{name}/shrink", "w", encoding="ascii") as file:
                file.write("1")
    return used()


def drop_caches():
    """Frees what is only kept for speed."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")
