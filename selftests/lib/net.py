# SPDX-License-Identifier: GPL-2.0
"""Hosts in network namespaces of this machine, joined by a cable or a bridge."""

import contextlib
import ctypes
import functools
import itertools
import json
import os
import socket
import subprocess
import threading

import ktap
import variant
from ktap import wait_for

CLONE_NEWNET = 0x40000000
QUIET_IPV6 = {"accept_dad": 0, "accept_ra": 0, "router_solicitations": 0, "addr_gen_mode": 1}
_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()


def run(*command, check=True, **options):
    """A command's standard output; an exception with its standard error if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    if check and done.returncode:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def address(number, version=None):
    """The address of a host of this number, there or not, in the family of the case that runs."""
    return ("fd77::{}" if (version or variant.now().version) == 6 else "10.77.0.{}").format(number)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Host:
    """A network namespace. `with host:` moves this thread into it."""

    def __init__(self, name, number=0):
        self.name = name  # of the namespace
        self.addresses = {version: address(number, version) for version in (4, 6)}  # on eth0
        self.mac = f"02:00:0a:4d:00:{number:02x}"
        self._impaired, self._deaf = set(), set()  # devices
        self._home = threading.local()

    @property
    def address(self):
        """On eth0, of the family of the case that runs."""
        return self.addresses[variant.now().version]

    def index(self, device="eth0"):
        """The number of a device."""
        with self:
            return socket.if_nametoindex(device)

    def __enter__(self):
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(there)
        except OSError:
            os.close(here)
            raise
        finally:
            os.close(there)
        self._stack().append(here)
        return self

    def __exit__(self, *_):
        home = self._stack().pop()
        _setns(home)
        os.close(home)

    def _stack(self):
        if not hasattr(self._home, "stack"):
            self._home.stack = []
        return self._home.stack

    def joined(self, group):
        """How often it is a member of the group, on all devices."""
        with self:
            if ":" in group:
                wanted = socket.inet_pton(socket.AF_INET6, group).hex()
                table = "igmp6"
            else:
                wanted = socket.inet_aton(group)[::-1].hex().upper()
                table = "igmp"
            with open(f"/proc/thread-self/net/{table}", encoding="ascii") as file:
                rows = [line.split() for line in file]
            return sum(int(row[row.index(wanted) + 1]) for row in rows if wanted in row)

    def counters(self):
        """/proc/net/pgm/snmp as a dictionary."""
        with self, open("/proc/thread-self/net/pgm/snmp", encoding="ascii") as table:
            names, values = (line.split()[1:] for line in table)
        return dict(zip(names, map(int, values), strict=True))

    def rows(self, name):
        """The rows of /proc/net/pgm/NAME as dictionaries."""
        with self, open(f"/proc/thread-self/net/pgm/{name}", encoding="ascii") as table:
            names, *rows = (line.split() for line in table)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def sysctl(self, path, value):
        """Writes /proc/sys/PATH as this host sees it."""
        with self, open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
            file.write(str(value))

    def popen(self, *command, **options):
        """Starts a command on this host."""
        words = ["ip", "netns", "exec", self.name, *map(str, command)]
        return subprocess.Popen(words, **options)

    def run(self, *command, **options):
        """Runs a command on this host."""
        return run("ip", "netns", "exec", self.name, *command, **options)

    def netem(self, spec, *devices):
        """Impairs what leaves devices (eth0 if none is named): "loss 5%"; None ends it."""
        lines = []
        for device in devices or ("eth0",):
            if spec is not None:
                self._impaired.add(device)
                # The default limit of 1000 packets would lose packets of its own.
                lines.append(f"qdisc replace dev {device} root netem limit 100000 {spec}")
            elif device in self._impaired:
                self._impaired.remove(device)
                lines.append(f"qdisc del dev {device} root")
        if lines:
            run("tc", "-n", self.name, "-batch", "-", input="\n".join(lines))

    def lose_arriving(self, one_in, device="eth0"):
        """One of so many packets to groups is lost on arrival, when captures have seen it.

        None makes the device ready, which loses what passes just then.
        """
        if one_in is None:
            self._deaf.add(device)
            run("tc", "-n", self.name, "qdisc", "add", "dev", device, "clsact")
            return
        family, groups = ("ipv6", "ff00::/8") if variant.now().version == 6 else ("ip", "224.0.0.0/4")
        words = f"filter add dev {device} ingress protocol {family} flower dst_ip {groups}"
        run("tc", "-n", self.name, *words.split(), *f"action pass random netrand drop {one_in}".split())

    def mend(self):
        """Ends all netem() and lose_arriving()."""
        self.netem(None, *self._impaired)
        while self._deaf:
            run("tc", "-n", self.name, "qdisc", "del", "dev", self._deaf.pop(), "clsact")

    def packets(self, device="eth0"):
        """(received, sent) packets of a device."""
        link = json.loads(run("ip", "-n", self.name, "-j", "-s", "link", "show", device))
        return link[0]["stats64"]["rx"]["packets"], link[0]["stats64"]["tx"]["packets"]


class Lan:
    """Some hosts on one network, and what is between them and each host.

    Two hosts without a bridge hang on one cable; else every host has a cable to a bridge that
    floods multicast (no snooping). Without `gso` no device takes segments of UDP: what a device sends,
    loses and shows to a capture is single packets.
    """

    def __init__(self, hosts=2, bridge=None, mtu=1500, arp=False, gso=False):
        self.gso = "" if gso else "gso_max_segs 1"
        self.arp = arp  # else the hosts know each other: a lost ARP packet costs a second
        self.bridged = hosts != 2 if bridge is None else bridge
        self.mtu = mtu
        prefix = f"pgm-{os.getpid()}-{next(_serial)}"
        self.hosts = [Host(f"{prefix}-h{n}", n + 1) for n in range(hosts)]
        self.bridge = Host(f"{prefix}-br") if self.bridged else None

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in self.everyone():
            run("ip", "netns", "del", host.name, check=False)

    def everyone(self):
        """The hosts, and the namespace of the bridge."""
        return self.hosts + ([self.bridge] if self.bridge else [])

    def _build(self):
        batch = [f"netns add {host.name}" for host in self.everyone()]
        run("ip", "-batch", "-", input="\n".join(batch))
        for host in self.hosts:
            # Nothing that IPv6 says of itself stands between our packets, save MLD.
            for name, value in QUIET_IPV6.items():
                host.sysctl(f"net/ipv6/conf/default/{name}", value)
        if self.bridge:
            self.bridge.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
            self._batch(
                self.bridge,
                "link add br0 type bridge mcast_snooping 0 forward_delay 0 stp_state 0",
                f"link set br0 mtu {self.mtu} up",
                *(
                    f"link add port{n} mtu {self.mtu} gso_max_segs 1 type veth peer "
                    f"name eth0 address {host.mac} mtu {self.mtu} {self.gso} netns {host.name}"
                    for n, host in enumerate(self.hosts)
                ),
                *(f"link set port{n} master br0 up" for n in range(len(self.hosts))),
            )
        else:
            first, second = self.hosts
            self._batch(
                first,
                f"link add eth0 address {first.mac} mtu {self.mtu} {self.gso} type veth peer "
                f"name eth0 address {second.mac} mtu {self.mtu} {self.gso} netns {second.name}",
            )
        for host in self.hosts:
            self._batch(
                host,
                f"link set lo up {self.gso}",
                "link set lo multicast on",
                f"addr add {host.addresses[4]}/24 dev eth0",
                "link set eth0 up",
                "route add 224.0.0.0/4 dev eth0",
                # No IPv6 on a device whose packets are too small for it (RFC 8200 section 5).
                *(
                    [
                        f"addr add {host.addresses[6]}/64 dev eth0 nodad",
                        "route add local ff00::/8 dev lo table local",
                    ]
                    if self.mtu >= 1280
                    else []
                ),
                *(
                    f"neigh add {address} lladdr {other.mac} dev eth0 nud permanent"
                    for other in self.hosts
                    if other is not host and not self.arp
                    for address in other.addresses.values()
                    if ":" not in address or self.mtu >= 1280
                ),
            )
        wait_for(self._up, "all links are up", interval=0.05)

    @staticmethod
    def _batch(host, *lines):
        run("ip", "-n", host.name, "-batch", "-", input="\n".join(lines))

    def _up(self):
        # A device drops what is sent before its queue is active, which follows "UP".
        where = [self.bridge] if self.bridge else self.hosts
        links = [
            link
            for host in where
            for link in json.loads(run("ip", "-n", host.name, "-j", "link"))
            if link["ifname"] != "lo"
        ]
        return all(link["operstate"] == "UP" for link in links)

    def toward(self, host, spec):
        """Impairs what travels to a host."""
        if self.bridge:
            self.bridge.netem(spec, f"port{self.hosts.index(host)}")
        else:
            other = self.hosts[1 - self.hosts.index(host)]
            other.netem(spec)

    def everywhere(self, spec):
        """Impairs what travels from the bridge to any host, each on its own."""
        self.bridge.netem(spec, *(f"port{n}" for n in range(len(self.hosts))))

    def impair(self, host, spec):
        """Impairs the cable of a host in both directions."""
        self.toward(host, spec)
        host.netem(spec)


@functools.cache
def _lasting(hosts, **words):
    return ktap.keep(Lan(hosts, **words))


@contextlib.contextmanager
def shared(hosts=2, **words):
    """A Lan that the tests of a file share: making one takes a second in an emulator."""
    lan = _lasting(hosts, **words)
    try:
        yield lan
    finally:
        for host in lan.everyone():
            host.mend()
