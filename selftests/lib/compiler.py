# SPDX-License-Identifier: GPL-2.0
"""C programs that know nothing but our header."""

import pathlib
import shutil

import ktap
import net

TOP = pathlib.Path(__file__).resolve().parents[2]
CFLAGS = "-std=gnu11 -O1 -Wall -Wextra -Werror -pthread".split()


def compile_c(text_or_path, target):
    """One C program, against our header only."""
    if not shutil.which("gcc"):
        raise ktap.Skip("no gcc")
    words = ["gcc", *CFLAGS, f"-I{TOP}/include/uapi", "-o", target, "-x", "c"]
    if isinstance(text_or_path, pathlib.Path):
        net.run(*words, text_or_path)
    else:
        net.run(*words, "-", input=text_or_path)
    return target
