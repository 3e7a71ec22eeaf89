# SPDX-License-Identifier: GPL-2.0
"""What sendmsg(), sendmmsg() and their like of the C library take."""

import ctypes


class Iovec(ctypes.Structure):
    """struct iovec"""

    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    """struct msghdr"""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr"""

    _fields_ = [("header", Msghdr), ("len", ctypes.c_uint)]


def batch(buffers):
    """An array of struct mmsghdr, one for each buffer."""
    array = (Mmsghdr * len(buffers))()
    for entry, buffer in zip(array, buffers):
        vector = Iovec(ctypes.addressof(buffer), len(buffer))
        entry.header.iov = ctypes.pointer(vector)
        entry.header.iovlen = 1
    return array
