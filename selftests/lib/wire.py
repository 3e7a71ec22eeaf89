# SPDX-License-Identifier: GPL-2.0
"""PGM packets by hand (RFC 3208 section 8 and 9), right or wrong as a test wants them."""

import select
import socket
import struct

import variant

SPM, POLL, POLR, ODATA, RDATA = 0x00, 0x01, 0x02, 0x04, 0x05
NAK, NNAK, NCF, SPMR, ACK = 0x08, 0x09, 0x0A, 0x0C, 0x0D
NAMES = {
    SPM: "SPM",
    POLL: "POLL",
    POLR: "POLR",
    ODATA: "ODATA",
    RDATA: "RDATA",
    NAK: "NAK",
    NNAK: "NNAK",
    NCF: "NCF",
    SPMR: "SPMR",
    ACK: "ACK",
}

OPT_LENGTH, OPT_FRAGMENT, OPT_NAK_LIST, OPT_JOIN = 0x00, 0x01, 0x02, 0x03
OPT_NAK_BO_IVL, OPT_NAK_BO_RNG, OPT_NBR_UNREACH, OPT_PATH_NLA = 0x04, 0x05, 0x0B, 0x0C
OPT_SYN, OPT_FIN, OPT_RST = 0x0D, 0x0E, 0x0F
OPT_END = 0x80
# Options that are network-significant: NAK_LIST, BO_IVL, BO_RNG, REDIRECT, PARITY_PRM, CURR_TGSIZE,
# NBR_UNREACH, PATH_NLA, CR, CRQST.
SIGNIFICANT = {0x02, 0x04, 0x05, 0x07, 0x08, 0x0A, 0x0B, 0x0C, 0x10, 0x11}
PRESENT, NETWORK_SIGNIFICANT = 0x01, 0x02

ROUTER_ALERT = b"\x94\x04\x00\x00"  # the IP option (RFC 2113)
SO_TIMESTAMPNS = 35


def checksum(data):
    """One's complement of the one's complement sum; 0 is sent as 0xFFFF."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def packed(address):
    """The bytes of an address of either family."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def nla(address):
    """AFI 1 or 2, reserved, IPv4 or IPv6 address."""
    return struct.pack("!HH", 2 if ":" in address else 1, 0) + packed(address)


def option(kind, body=b"", byte2=0, byte3=0):
    """One option without its E bit."""
    return struct.pack("!BBBB", kind, 4 + len(body), byte2, byte3) + body


def options(*items):
    """OPT_LENGTH, the items, E on the last."""
    if not items:
        return b""
    items = list(items)
    items[-1] = bytes([items[-1][0] | OPT_END]) + items[-1][1:]
    area = b"".join(items)
    return struct.pack("!BBH", OPT_LENGTH, 4, 4 + len(area)) + area


def packet(kind, ports, gsi, body, opts=b"", payload=b"", flags=None, tsdu_len=None, check=True):
    """Header, body, options and payload; the checksum right if check is True, else as given."""
    if flags is None:
        flags = PRESENT if opts else 0
    length = len(payload) if tsdu_len is None else tsdu_len
    header = struct.pack("!HHBBH6sH", *ports, kind, flags, 0, gsi, length)
    whole = header + body + opts + payload
    value = checksum(whole) if check is True else int(check)
    return whole[:6] + struct.pack("!H", value) + whole[8:]


def with_checksum(data):
    """The same bytes with a right checksum, as far as they reach."""
    if len(data) < 8:
        return data
    data = data[:6] + b"\0\0" + data[8:]
    return data[:6] + struct.pack("!H", checksum(data)) + data[8:]


class Session:
    """Packets of one transport session, by its source (down) and its receivers (up)."""

    def __init__(self, address, group, dport, sport=0x1234, gsi=b"\x02\x00\x00\x00\x00\x01"):
        self.address, self.group = address, group
        self.down, self.up, self.gsi = (sport, dport), (dport, sport), gsi

    def spm(self, sqn, trail, lead, *items, path=None, **how):
        """Source Path Message"""
        body = struct.pack("!III", sqn, trail & 0xFFFFFFFF, lead & 0xFFFFFFFF)
        return packet(
            SPM, self.down, self.gsi, body + nla(path or self.address), options(*items), **how
        )

    def data(self, kind, sqn, trail, payload, *items, **how):
        """ODATA or RDATA"""
        body = struct.pack("!II", sqn & 0xFFFFFFFF, trail & 0xFFFFFFFF)
        return packet(kind, self.down, self.gsi, body, options(*items), payload, **how)

    def nak(self, kind, sqn, *items, source=None, group=None, **how):
        """NAK, NNAK or NCF"""
        body = struct.pack("!I", sqn) + nla(source or self.address) + nla(group or self.group)
        if any(item[0] == OPT_NAK_LIST for item in items):
            how.setdefault("flags", PRESENT | NETWORK_SIGNIFICANT)
        ports = self.down if kind == NCF else self.up
        return packet(kind, ports, self.gsi, body, options(*items), **how)

    def spmr(self, **how):
        """SPM request"""
        return packet(SPMR, self.up, self.gsi, b"", **how)

    def poll(self, sqn=0, round_=0, *items, subtype=0, path=None, ask=(1000, 0, 0), **how):
        """POLL, general and for everybody; ask: POLL_BO_IVL, POLL_RAND, POLL_MASK"""
        body = struct.pack("!IHH", sqn, round_, subtype) + nla(path or self.address)
        body += struct.pack("!III", *ask)
        return packet(POLL, self.down, self.gsi, body, options(*items), **how)

    def polr(self, sqn=0, **how):
        """Poll response"""
        return packet(POLR, self.up, self.gsi, struct.pack("!IHH", sqn, 0, 0), **how)

    def ack(self, sqn=0, **how):
        """PGMCC acknowledgement"""
        return packet(ACK, self.up, self.gsi, struct.pack("!II", sqn, 0), **how)

    def every_type(self):
        """One right packet of each type, by name."""
        nak_list = option(OPT_NAK_LIST, struct.pack("!II", 8, 9))
        fragment = option(OPT_FRAGMENT, struct.pack("!III", 7, 0, 8))
        return {
            "SPM": self.spm(1, 0, 6),
            "SPM with options": self.spm(2, 0, 6, option(OPT_JOIN, b"\0\0\0\1"), option(OPT_FIN)),
            "POLL": self.poll(),
            "POLR": self.polr(),
            "ODATA": self.data(ODATA, 7, 0, b"payload!"),
            "ODATA fragment": self.data(ODATA, 7, 0, b"payload!", fragment),
            "RDATA": self.data(RDATA, 7, 0, b"payload!", option(OPT_SYN)),
            "NAK": self.nak(NAK, 7),
            "NAK with list": self.nak(NAK, 7, nak_list),
            "NNAK": self.nak(NNAK, 7),
            "NCF": self.nak(NCF, 7, nak_list),
            "SPMR": self.spmr(),
            "ACK": self.ack(),
        }


def text(address):
    """The address of either family that some bytes are."""
    return socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address)


def ip_packet(source, to, data, ttl=16, tos=0, ip_options=b""):
    """A PGM packet in an IP packet, or in UDP in one, as the case that runs has it."""
    source, to, port = packed(source), packed(to), variant.port(to)
    protocol = 17 if port else 113
    if port:
        udp = struct.pack("!HHH", port, port, 8 + len(data))
        pseudo = source + to + struct.pack("!IHH", 8 + len(data), 0, protocol)
        data = udp + struct.pack("!H", checksum(pseudo + udp + data)) + data
    if len(to) == 4:  # the kernel fills in length and checksum
        words = 5 + len(ip_options) // 4
        head = struct.pack("!BBHHHBBH", 0x40 | words, tos, 0, 0, 0, ttl, protocol, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28 | tos << 20, len(data), protocol, ttl)
    return head + source + to + ip_options + data


def ip_header(data):
    """(length of the IP header with its extension headers, protocol behind them, total length)."""
    if data[0] >> 4 == 4:
        return (data[0] & 15) * 4, data[9], struct.unpack("!H", data[2:4])[0]
    following, at = data[6], 40
    while following in (0, 43, 60):  # hop-by-hop options, routing, destination options
        following, at = data[at], at + 8 + 8 * data[at + 1]
    return at, following, 40 + struct.unpack("!H", data[4:6])[0]


def read_nla(data, at):
    """(address, where it ends) of the NLA at an offset; the address is None if its AFI is unknown."""
    family = int.from_bytes(data[at : at + 2], "big")
    if family == 1:
        return text(data[at + 4 : at + 8]), at + 8
    if family == 2:
        return text(data[at + 4 : at + 20]), at + 20
    return None, at + 4


def read_options(data, at):
    """({type: whole option}, where they end) of the options at an offset; the first of a type."""
    found, end = {}, at + int.from_bytes(data[at + 2 : at + 4], "big")
    while at < end:
        length = data[at + 1]
        found.setdefault(data[at] & ~OPT_END & 0xFF, data[at : at + length])
        if data[at] & OPT_END or not length:
            break
        at += length
    return found, end


class Packet:
    """A PGM packet that was captured, and what it says."""

    def __init__(self, data, time=0.0, outgoing=False, ip=None, udp=None):
        self.data = data
        self.time = time  # seconds since 1970, when the device saw it
        self.outgoing = outgoing
        self.ip = ip  # its IP header, options or extension headers included
        self.udp = udp  # (source port, destination port) if it is encapsulated
        self.whole = None  # from the IP header on, as captured
        self.sport, self.dport, kind, self.flags, self.checksum, self.gsi, self.tsdu_length = (
            struct.unpack("!HHBBH6sH", data[:16])
        )
        self.reserved, self.kind = kind & 0xF0, kind & 0x0F
        self.sqn = self.trail = self.lead = None  # in SPMs sqn is SPM_SQN, in POLLs POLL_SQN
        self.path = self.nak_source = self.nak_group = None
        self.options, self.payload = {}, b""
        try:
            at = self._body()
            if self.flags & PRESENT:
                self.options, at = read_options(data, at)
            self.payload = data[at:]
            self.complete = True
        except (struct.error, IndexError, OSError, ValueError):
            self.complete = False  # it ends too early

    def _body(self):
        """Reads what depends on the type, and returns where it ends."""
        data, kind = self.data, self.kind
        if kind == SPM:
            self.sqn, self.trail, self.lead = struct.unpack("!III", data[16:28])
            self.path, at = read_nla(data, 28)
        elif kind == POLL:
            self.sqn, self.round, self.subtype = struct.unpack("!IHH", data[16:24])
            self.path, at = read_nla(data, 24)
            self.back_off, self.rand, self.mask = struct.unpack("!III", data[at : at + 12])
            at += 12
        elif kind == POLR:
            (self.sqn, self.round), at = struct.unpack("!IH", data[16:22]), 24
        elif kind in (ODATA, RDATA):
            (self.sqn, self.trail), at = struct.unpack("!II", data[16:24]), 24
        elif kind in (NAK, NNAK, NCF):
            self.sqn = int.from_bytes(data[16:20], "big")
            self.nak_source, at = read_nla(data, 20)
            self.nak_group, at = read_nla(data, at)
        else:
            at = 24 if kind == ACK else 16
        return at

    @property
    def version(self):
        """4 or 6."""
        return self.ip[0] >> 4

    @property
    def source(self):
        """The IP source address."""
        return text(self.ip[12:16] if self.version == 4 else self.ip[8:24])

    @property
    def destination(self):
        """The IP destination address."""
        return text(self.ip[16:20] if self.version == 4 else self.ip[24:40])

    @property
    def ttl(self):
        """Time to live, or hop limit."""
        return self.ip[8 if self.version == 4 else 7]

    @property
    def ip_options(self):
        """IP options, or extension headers."""
        return self.ip[20 if self.version == 4 else 40 :]

    @property
    def length(self):
        """Of the whole IP packet."""
        return len(self.ip) + (8 if self.udp else 0) + len(self.data)

    @property
    def numbers(self):
        """The sequence numbers of a NAK or NCF, those of its list included."""
        listed = self.options.get(OPT_NAK_LIST, b"")[4:]
        return [self.sqn, *struct.unpack(f"!{len(listed) // 4}I", listed)]

    @property
    def session(self):
        """(GSI, data-source port, data-destination port), whichever way the packet goes."""
        upstream = self.kind in (NAK, NNAK, SPMR, POLR, ACK)
        ports = (self.dport, self.sport) if upstream else (self.sport, self.dport)
        return self.gsi, *ports

    def __repr__(self):
        where = f"{self.source} > {self.destination} ttl {self.ttl} " if self.ip else ""
        names = {
            "sqn": "",
            "trail": "trail ",
            "lead": "lead ",
            "path": "path ",
            "nak_group": "group ",
        }
        words = [f"{label}{getattr(self, name)}" for name, label in names.items()]
        words = [word for word in words if not word.endswith("None")]
        words += [f"opt {kind:#04x}" for kind in self.options if kind]
        name = NAMES.get(self.kind, f"type {self.kind}")
        return f"<{self.time:.4f} {where}{name} {' '.join(words)} {len(self.payload)} bytes>"


class Capture:
    """PGM packets that pass a device, encapsulated or not, without a process of its own."""

    def __init__(self, host, port=None, device="eth0", buffer=8 << 20):
        self.port = port  # if given, only packets from or to this port
        with host:
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, buffer)  # SO_RCVBUFFORCE
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.bind((device, 3))
        self.sock.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def wait(self, seconds):
        """Sleeps until there is something, for so long at most."""
        select.select([self.sock], [], [], max(0, seconds))

    def packets(self):
        """What passed since the last call."""
        found = []
        while True:
            try:
                data, ancillary, _, where = self.sock.recvmsg(65536, 64)
            except BlockingIOError:
                return found
            if where[1] not in (0x0800, 0x86DD) or len(data) < 20:
                continue
            header, protocol, total = ip_header(data)
            begin, udp = header, None
            if protocol == 17:
                udp = struct.unpack("!HH", data[header : header + 4])
                if udp[1] not in (variant.UNICAST, variant.MULTICAST):
                    continue
                begin += 8
            elif protocol != 113:
                continue
            if total < begin + 16:
                continue
            if self.port and self.port not in struct.unpack("!HH", data[begin : begin + 4]):
                continue
            seconds, nanos = struct.unpack("@ll", ancillary[0][2][:16])
            outgoing = where[2] == socket.PACKET_OUTGOING
            time = seconds + nanos / 1e9
            packet = Packet(data[begin:total], time, outgoing, data[:header], udp)
            packet.whole = data[:total]
            found.append(packet)
