# SPDX-License-Identifier: GPL-2.0
"""The module, loaded and unloaded by system calls."""

import ctypes
import os

import net

LIBC = ctypes.CDLL(None, use_errno=True)
DELETE_MODULE, FINIT_MODULE = 176, 313  # x86-64


class Module:
    """The module, loaded and unloaded without the help of a program."""

    def __init__(self):
        self.path = os.environ.get("PGM_KO") or net.run("modinfo", "-n", "pgm").strip()

    def load(self):
        """finit_module(2): an errno, or 0."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            return ctypes.get_errno() if LIBC.syscall(FINIT_MODULE, fd, b"", 0) else 0
        finally:
            os.close(fd)

    @staticmethod
    def unload():
        """delete_module(2)"""
        return LIBC.syscall(DELETE_MODULE, b"pgm", os.O_NONBLOCK) == 0
