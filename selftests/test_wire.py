#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a session looks like on the wire."""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm
import wire

ROUTER_ALERT = b"\x94\x04\x00\x00"


def kind_of(packet):
    """The type of a captured packet."""
    return packet[5][4] & 0x0F


def of_kind(packets, *kinds):
    """Captured packets of some types."""
    return [packet for packet in packets if kind_of(packet) in kinds]


def spm(packet):
    """(SPM_SQN, TRAIL, LEAD) of an SPM."""
    return struct.unpack("!III", packet[5][16:28])


def has_option(packet, kind, start=36):
    """Is an option on the packet? Options begin at `start`."""
    data = packet[5]
    if not data[5] & wire.PRESENT:
        return False
    end = start + struct.unpack("!H", data[start + 2 : start + 4])[0]
    while start < end:
        if data[start] & 0x7F == kind:
            return True
        start += data[start + 1]
    return False


def lossy_session(capture, lan):
    """A transfer with repairs; all its packets as the source's cable saw them."""
    one, two = lan.hosts
    with pgm.listener(two) as listening:
        # NAKs and NCFs pass, every tenth data packet does not.
        source = pgm.source(one, window=(20_000, 1_000, 0), ip_multicast_ttl=7)
        source.send(b"first")
        session, _ = pgm.accept(listening)
        ktap.equal(session.recv(10), b"first")
        lan.toward(two, "loss 10%")
        sent = pgm.messages(200, (100, 3_000))
        for message in sent:
            source.send(message)
        source.shutdown(socket.SHUT_WR)
        pgm.same(pgm.receive_all(session), sent)
        session.close()
        source.close()
    return capture.packets()


@ktap.test
def test_addresses_and_headers():
    """Addresses, ports, TTL and Router Alert of each type."""
    # req: WIRE-01 WIRE-03 WIRE-06 WIRE-07 WIRE-10 WIRE-13 WIRE-25 ADDR-01 ADDR-03 ADDR-09 ADDR-10
    # req: ADDR-12 ADDR-16 ADDR-19 OPT-53 SRC-13 TXW-03
    with net.shared() as lan, wire.Capture(lan.hosts[1], pgm.PORT) as capture:
        one, two = lan.hosts
        found = lossy_session(capture, lan)
        kinds = {kind_of(packet) for packet in found}
        assert {wire.SPM, wire.ODATA, wire.RDATA, wire.NAK, wire.NCF} <= kinds, kinds
        gsi = {packet[5][8:14] for packet in found}
        ktap.equal(len(gsi), 1, "one GSI in all packets")
        down = {packet[5][:4] for packet in of_kind(found, *(kinds - {wire.NAK, wire.SPMR}))}
        ktap.equal(len(down), 1)
        (ports,) = down
        ktap.equal(struct.unpack("!H", ports[2:])[0], pgm.PORT)
        for packet in found:
            _, source, destination, ttl, options, data = packet
            kind = kind_of(packet)
            ktap.equal(data[4] & 0xF0, 0)
            ktap.equal(wire.with_checksum(data), data, "checksum")
            if kind in (wire.NAK, wire.NNAK):
                ktap.equal((source, destination), (two.address, one.address))
                ktap.equal(data[:4], ports[2:] + ports[:2], "ports of a NAK")
            elif kind != wire.SPMR:
                ktap.equal((source, destination, ttl), (one.address, pgm.GROUP, 7))
            if kind in (wire.SPM, wire.NCF, wire.RDATA):
                ktap.equal(options, ROUTER_ALERT, wire.NAMES[kind])
            elif kind == wire.ODATA:
                ktap.equal(options, b"", "ODATA")
            if kind in (wire.NAK, wire.NCF):
                wanted = wire.nla(one.address) + wire.nla(pgm.GROUP)
                ktap.equal(data[20:36], wanted, wire.NAMES[kind])
        spms = of_kind(found, wire.SPM)
        numbers = [spm(packet)[0] for packet in spms]
        ktap.equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "SPM_SQN")
        for packet in spms:
            ktap.equal(packet[5][28:36], wire.nla(one.address), "Path NLA")
        assert has_option(spms[-1], wire.OPT_FIN) and not has_option(spms[0], wire.OPT_FIN)
        lead = max(struct.unpack("!I", p[5][16:20])[0] for p in of_kind(found, wire.ODATA))
        ktap.equal(spm(spms[-1])[2], lead, "LEAD in an SPM with FIN")


@ktap.test
def test_first_data_have_syn():
    """OPT_SYN on the first ODATA only; numbers rise by one."""
    # req: OPT-50 OPT-51 SRC-01 SRC-22 WIRE-19 WIRE-22
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        with pgm.source(lan.hosts[0]) as source:
            for n in range(20):
                source.send(bytes(n))
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 20, "the data have left")
        data = of_kind(capture.packets(), wire.ODATA)
        ktap.equal([has_option(packet, wire.OPT_SYN, 24) for packet in data], [True] + [False] * 19)
        numbers = [struct.unpack("!I", packet[5][16:20])[0] for packet in data]
        ktap.equal(numbers, list(range(numbers[0], numbers[0] + 20)))
        lengths = [struct.unpack("!H", packet[5][14:16])[0] for packet in data]
        ktap.equal(lengths, list(range(20)))


@ktap.test
def test_heartbeats():
    """SPMs at once and before any data; after data they double from IHB_MIN to IHB_MAX."""
    # req: SRC-09 SRC-10 SRC-14 SRC-15
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        sock = pgm.pgm_socket(lan.hosts[0])
        heartbeat = struct.pack("=II", 100_000, 400_000)
        sock.setsockopt(pgm.IPPROTO_PGM, pgm.PGM_HEARTBEAT_SPM, heartbeat)
        sock.connect((pgm.GROUP, pgm.PORT))
        with sock as source:
            time.sleep(0.1)
            first = of_kind(capture.packets(), wire.SPM)
            assert first, "no SPM at connect()"
            _, trail, lead = spm(first[0])
            ktap.equal(trail, (lead + 1) & 0xFFFFFFFF, "an empty window")
            source.send(b"x")
            # At 0.1, 0.3, 0.7, 1.1, 1.5 s; the data may be followed by one at once.
            time.sleep(1.7)
            count = len(of_kind(capture.packets(), wire.SPM))
            assert 4 <= count <= 7, f"{count} heartbeats"
            for _ in range(30):
                source.send(b"x")
                time.sleep(0.03)
            count = len(of_kind(capture.packets(), wire.SPM))
            assert count <= 2, f"{count} heartbeats between data"


@ktap.test
def test_ambient():
    """Ambient SPMs go on while data flow."""
    # req: SRC-08 SRC-11 SRC-12
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        with pgm.source(lan.hosts[0], options={pgm.PGM_AMBIENT_SPM: 100_000}) as source:
            capture.packets()
            for _ in range(50):
                source.send(b"x")
                time.sleep(0.02)
            count = len(of_kind(capture.packets(), wire.SPM))
            assert 5 <= count <= 25, f"{count} ambient SPMs in a second or more"


@ktap.test
def test_rate():
    """What leaves in a second is no more than the rate says."""
    # req: SRC-03 SRC-04
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        with pgm.source(lan.hosts[0], window=(2_000, 1_000, 0)) as source:
            began = time.monotonic()
            for _ in range(400):
                source.send(bytes(1_000))
            ktap.wait_for(lambda: pgm.stats(source)["odata"] == 400, "all has left")
            took = time.monotonic() - began
        sent = sum(len(packet[5]) + 20 for packet in of_kind(capture.packets(), wire.ODATA))
        rate = sent * 8 / took / 1000
        ktap.note(f"{sent} bytes in {took:.2f} s: {rate:.0f} kbit/s")
        assert rate < 2_200, "faster than 2000 kbit/s"
        assert rate > 1_000, "far slower than 2000 kbit/s"


@ktap.test
def test_window_advances_with_time():
    """TRAIL follows LEAD within the window's time when nothing is sent."""
    # req: TXW-04 TXW-12 SRC-23
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        options = {pgm.PGM_AMBIENT_SPM: 100_000}
        with pgm.source(lan.hosts[0], window=(20_000, 500, 0), options=options) as source:
            for _ in range(20):
                source.send(b"x")
            time.sleep(1.5)
            _, trail, lead = spm(of_kind(capture.packets(), wire.SPM)[-1])
            ktap.equal(trail, (lead + 1) & 0xFFFFFFFF, "the window has closed")


@ktap.test
def test_reset_spm():
    """SO_LINGER {1,0}: an SPM with OPT_RST at once."""
    # req: OPT-59 OPT-60 OPT-62
    with net.shared() as lan, wire.Capture(lan.hosts[0], pgm.PORT) as capture:
        source = pgm.source(lan.hosts[0])
        source.send(b"x")
        time.sleep(0.05)
        capture.packets()
        pgm.reset_close(source)
        found = ktap.wait_for(lambda: of_kind(capture.packets(), wire.SPM), "an SPM")
        assert has_option(found[0], wire.OPT_RST)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
