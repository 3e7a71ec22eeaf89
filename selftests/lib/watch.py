# SPDX-License-Identifier: GPL-2.0
"""What a debug kernel knows besides what it logs: leaks, and whether it still checks locks."""

import os
import time

KMEMLEAK = "/sys/kernel/debug/kmemleak"
LOCKDEP = "/proc/lockdep_stats"
MATURE = 5.5  # seconds; younger objects are not called leaks
ENOUGH = 60  # lines about leaks


class Watch:
    """Complaints of the checkers that this kernel has."""

    def __init__(self):
        self.leaks = self._looks_for_leaks()
        self.locks = os.path.exists(LOCKDEP)
        if self.leaks:
            # What the kernel lost while it booted is not ours.
            self._tell("clear")

    def __bool__(self):
        return self.leaks or self.locks

    def _looks_for_leaks(self):
        """Whether the kernel does, and was not told not to (kmemleak=off)."""
        try:
            self._tell("scan=off")  # but when asked
        except (FileNotFoundError, PermissionError):
            return False
        return True

    @staticmethod
    def _tell(word):
        with open(KMEMLEAK, "w", encoding="ascii") as file:
            file.write(word)

    def _leaked(self):
        self._tell("scan")
        with open(KMEMLEAK, encoding="utf-8", errors="replace") as file:
            found = file.read().splitlines()
        if found:
            self._tell("clear")
        return found[:ENOUGH]

    def trouble(self):
        """Lines of trouble now. What was lost in the last seconds is found the next time."""
        lines = self._leaked() if self.leaks else []
        if self.locks:
            with open(LOCKDEP, encoding="ascii") as file:
                if not any(line.split()[-1:] == ["1"] for line in file if "debug_locks" in line):
                    lines.append("lock checking has switched itself off")
        return lines

    def last_trouble(self):
        """Lines of trouble when all has ended."""
        if self.leaks:
            # The first scan notes what the objects hold, the second that it has not changed.
            time.sleep(MATURE)
            self._tell("scan")
        return self.trouble()
