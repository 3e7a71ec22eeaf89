# SPDX-License-Identifier: GPL-2.0
"""What a case runs over: an address family, and PGM right in IP packets or in UDP datagrams."""

import collections
import ipaddress
import socket


class Variant(collections.namedtuple("Variant", "version udp")):
    """IP version 4 or 6; encapsulated or not."""

    def __str__(self):
        return f"v{self.version}{'-udp' if self.udp else ''}"

    @property
    def family(self):
        """AF_INET or AF_INET6."""
        return socket.AF_INET if self.version == 4 else socket.AF_INET6


V4, V4_UDP, V6, V6_UDP = (Variant(version, udp) for version in (4, 6) for udp in (False, True))
ALL = (V4, V4_UDP, V6, V6_UDP)

# What the module can do: no case is listed for other variants.
SUPPORTED = ALL

# UDP ports of PGM_UDP_ENCAP for packets to one host, and to a group.
UNICAST, MULTICAST = 3055, 3056

_now = V4


def port(address):
    """The UDP port that a packet for an address goes to; 0 without encapsulation."""
    if not _now.udp:
        return 0
    return MULTICAST if ipaddress.ip_address(address).is_multicast else UNICAST


def now():
    """The variant of the case that runs."""
    return _now


def enter(variant):
    """From now on, everything runs over this one."""
    global _now
    _now = variant
