#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The checker of captures finds the faults that are planted, and no others."""

import os
import re
import struct
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import rules
import wire

SOURCE, RECEIVER, GROUP = "10.77.0.1", "10.77.0.2", "239.192.7.1"
OF = wire.Session(SOURCE, GROUP, 7500)
NAK_LIST = wire.option(wire.OPT_NAK_LIST, struct.pack("!I", 3))


def fragment(first, offset, length):
    """OPT_FRAGMENT"""
    return wire.option(wire.OPT_FRAGMENT, struct.pack("!III", first, offset, length))


def right():
    """A session without a fault: [(time, sender, target, Router Alert, PGM packet)]."""
    down = [
        (0.0, True, OF.spm(0, 1, 0)),
        (0.1, False, OF.data(wire.ODATA, 1, 1, b"one", wire.option(wire.OPT_SYN))),
        (0.2, False, OF.data(wire.ODATA, 2, 1, b"tw", fragment(2, 0, 3))),
        (0.2, False, OF.data(wire.ODATA, 3, 1, b"o", fragment(2, 2, 3))),
        (0.31, True, OF.spm(1, 1, 3)),
        (0.4, None, OF.nak(wire.NAK, 2, NAK_LIST)),
        (0.4, True, OF.nak(wire.NCF, 2, NAK_LIST)),
        (0.41, True, OF.data(wire.RDATA, 2, 1, b"tw", fragment(2, 0, 3))),
        (0.41, True, OF.data(wire.RDATA, 3, 1, b"o", fragment(2, 2, 3))),
        (0.52, True, OF.spm(2, 2, 3)),
        (0.6, True, OF.spm(3, 2, 3, wire.option(wire.OPT_FIN))),
        (2.0, True, OF.spm(4, 2, 3, wire.option(wire.OPT_FIN))),
    ]
    return [
        (time, RECEIVER, SOURCE, False, data)
        if alert is None
        else (time, SOURCE, GROUP, alert, data)
        for time, alert, data in down
    ]


def captured(lines):
    """wire.Packets of such lines."""
    found = []
    for time, source, to, alert, data in lines:
        whole = wire.ip_packet(source, to, data, ip_options=wire.ROUTER_ALERT if alert else b"")
        length = 24 if alert else 20
        found.append(wire.Packet(data, time, source == SOURCE, whole[:length]))
    return found


def replaced(at, data=None, **fields):
    """The session with another packet, time, sender, target or Router Alert in one place."""
    lines = right()
    time, source, to, alert, old = lines[at]
    lines[at] = (
        fields.get("time", time),
        fields.get("source", source),
        fields.get("to", to),
        fields.get("alert", alert),
        data or old,
    )
    return lines


def added(at, time, data, source=SOURCE, to=GROUP, alert=True):
    """The session with one packet more."""
    lines = right()
    lines.insert(at, (time, source, to, alert, data))
    return lines


def without(*places):
    """The session without some packets."""
    return [line for at, line in enumerate(right()) if at not in places]


def patched(at, offset, value, check=True):
    """The session with one byte of a packet changed."""
    data = bytearray(right()[at][4])
    data[offset] = value
    return replaced(at, wire.with_checksum(bytes(data)) if check else bytes(data))


SPM, ODATA, SECOND, NAK, NCF, RDATA, LAST = 4, 1, 2, 5, 6, 7, 11
FAULTS = {
    "reserved_bits_of_type": ("WIRE-03", lambda: patched(SPM, 4, 0x40)),
    "unknown_type": ("WIRE-05", lambda: patched(SPM, 4, 0x0F)),
    "wrong_checksum": ("WIRE-13", lambda: patched(SPM, 23, 9, check=False)),
    "data_without_checksum": (
        "WIRE-16",
        lambda: replaced(ODATA, OF.data(wire.ODATA, 1, 1, b"one", check=0)),
    ),
    "tsdu_length": ("WIRE-19", lambda: patched(ODATA, 15, 7)),
    "too_short": ("WIRE-20", lambda: replaced(SPM, OF.spm(1, 1, 3)[:26])),
    "reserved_beside_nla": ("WIRE-24", lambda: patched(SPM, 31, 1)),
    "payload_of_a_nak": (
        "WIRE-25",
        lambda: replaced(NAK, OF.nak(wire.NAK, 2, NAK_LIST, payload=b"x")),
    ),
    "no_opt_length": ("OPT-01", lambda: patched(SECOND, 24, 0x02)),
    "no_opt_end": ("OPT-02", lambda: patched(SECOND, 28, 0x01)),
    "network_significant": (
        "OPT-04",
        lambda: replaced(NAK, OF.nak(wire.NAK, 2, NAK_LIST, flags=1)),
    ),
    "order_of_options": (
        "OPT-05",
        lambda: replaced(NAK, OF.nak(wire.NAK, 2, wire.option(0x70), NAK_LIST)),
    ),
    "reserved_of_option": ("OPT-06", lambda: patched(SECOND, 30, 0x10)),
    "fragment_without_data": ("OPT-20", lambda: replaced(SPM, OF.spm(1, 1, 3, fragment(2, 0, 3)))),
    "fragments_apart": (
        "OPT-21",
        lambda: replaced(3, OF.data(wire.ODATA, 3, 1, b"o", fragment(2, 1, 3))),
    ),
    "fragment_too_long": (
        "OPT-22",
        lambda: replaced(SECOND, OF.data(wire.ODATA, 2, 1, b"two!", fragment(2, 0, 3))),
    ),
    "repair_without_fragment": (
        "OPT-23",
        lambda: replaced(RDATA, OF.data(wire.RDATA, 2, 1, b"tw")),
    ),
    "empty_list": (
        "OPT-30",
        lambda: replaced(NAK, OF.nak(wire.NAK, 2, wire.option(wire.OPT_NAK_LIST))),
    ),
    "too_many_options": (
        "OPT-08",
        lambda: replaced(SPM, OF.spm(1, 1, 3, *(wire.option(0x60 + n) for n in range(17)))),
    ),
    "list_that_falls": (
        "OPT-31",
        lambda: replaced(NAK, OF.nak(wire.NAK, 3, wire.option(wire.OPT_NAK_LIST, b"\0\0\0\2"))),
    ),
    "syn_without_data": (
        "OPT-50",
        lambda: replaced(SPM, OF.spm(1, 1, 3, wire.option(wire.OPT_SYN))),
    ),
    "fin_taken_back": ("OPT-53", lambda: replaced(LAST, OF.spm(4, 2, 3))),
    "data_after_fin": (
        "OPT-55",
        lambda: added(11, 1.5, OF.data(wire.ODATA, 4, 2, b"x"), alert=False),
    ),
    "rst_without_spm": (
        "OPT-59",
        lambda: replaced(ODATA, OF.data(wire.ODATA, 1, 1, b"one", wire.option(wire.OPT_RST))),
    ),
    "no_router_alert": ("ADDR-01", lambda: replaced(SPM, alert=False)),
    "odata_with_router_alert": ("ADDR-03", lambda: replaced(ODATA, alert=True)),
    "nak_to_somebody_else": ("ADDR-09", lambda: replaced(NAK, to="10.77.0.9")),
    "nak_about_somebody_else": (
        "ADDR-10",
        lambda: replaced(NAK, OF.nak(wire.NAK, 2, NAK_LIST, source="10.77.0.9")),
    ),
    "ncf_of_its_own": ("ADDR-12", lambda: added(5, 0.35, OF.nak(wire.NCF, 2))),
    "spmr_far": ("ADDR-14", lambda: added(5, 0.35, OF.spmr(), RECEIVER, GROUP, False)),
    "path_of_somebody_else": ("ADDR-16", lambda: replaced(SPM, OF.spm(1, 1, 3, path="10.77.0.9"))),
    "odata_out_of_step": ("SRC-01", lambda: without(SECOND)),
    "spms_too_fast": (
        "SRC-09",
        lambda: right()[:9] + [(0.42, SOURCE, GROUP, True, OF.spm(n, 1, 3)) for n in range(2, 9)],
    ),
    "spm_too_late": (
        "SRC-10",
        lambda: right()[:9] + [(5.0, SOURCE, GROUP, True, OF.spm(2, 1, 3))],
    ),
    "spm_sqn_leaps": ("SRC-13", lambda: replaced(SPM, OF.spm(2, 1, 3))),
    "edges_crossed": ("SRC-14", lambda: replaced(0, OF.spm(0, 9, 0))),
    "no_ncf": ("SRC-16", lambda: without(NCF)),
    "repair_before_ncf": (
        "SRC-17",
        lambda: replaced(NCF, OF.data(wire.RDATA, 2, 1, b"tw", fragment(2, 0, 3))),
    ),
    "no_repair": ("SRC-19", lambda: without(RDATA)),
    "repair_without_nak": (
        "SRC-20",
        lambda: added(5, 0.35, OF.data(wire.RDATA, 1, 1, b"one")),
    ),
    "one_repair_too_many": (
        "SRC-20",
        lambda: added(8, 0.41, OF.data(wire.RDATA, 2, 1, b"tw", fragment(2, 0, 3))),
    ),
    "repair_with_other_bytes": (
        "SRC-21",
        lambda: replaced(RDATA, OF.data(wire.RDATA, 2, 1, b"TW", fragment(2, 0, 3))),
    ),
    "odata_twice": ("SRC-22", lambda: added(2, 0.15, right()[ODATA][4], alert=False)),
    "repair_outside_of_window": (
        "SRC-23",
        lambda: replaced(RDATA, OF.data(wire.RDATA, 2, 3, b"tw", fragment(2, 0, 3))),
    ),
    "lead_not_sent": ("TXW-02", lambda: replaced(SPM, OF.spm(1, 1, 7))),
    "trail_goes_back": (
        "TXW-03",
        lambda: replaced(LAST, OF.spm(4, 1, 3, wire.option(wire.OPT_FIN))),
    ),
    "nak_before_spm": ("RCV-11", lambda: without(0, SPM)),
    "nak_for_the_future": ("RCV-15", lambda: replaced(NAK, OF.nak(wire.NAK, 7))),
    "nak_again_at_once": (
        "NAK-16",
        lambda: added(6, 0.405, OF.nak(wire.NAK, 2), RECEIVER, SOURCE, False),
    ),
    "spmr_with_body": (
        "SPMR-08",
        lambda: added(
            5, 0.35, wire.packet(wire.SPMR, OF.up, OF.gsi, b"body"), RECEIVER, SOURCE, False
        ),
    ),
}


@ktap.test
def test_nothing_to_find():
    """A right session has no fault."""
    ktap.equal([str(fault) for fault in rules.judge(captured(right()))], [])


@ktap.each(FAULTS)
def planted(case):
    """This fault is found, by its number."""
    requirement, lines = case
    found = [fault.requirement for fault in rules.judge(captured(lines()))]
    assert requirement in found, f"found {found}"


@ktap.test
def test_spm_before_its_data():
    """An SPM that overtakes the ODATA it announces is a race of the sender, and may be asked about."""
    lines = right()
    lines[SPM] = (0.15, SOURCE, GROUP, True, OF.spm(1, 1, 3))
    lines[SPM - 1], lines[SPM] = lines[SPM], lines[SPM - 1]
    faults = rules.judge(captured(lines))
    ktap.equal([(fault.requirement, fault.race) for fault in faults], [("TXW-02", True)])
    lines.insert(SPM, (0.16, RECEIVER, SOURCE, False, OF.nak(wire.NAK, 3)))
    asked = [fault.requirement for fault in rules.judge(captured(lines))]
    assert "RCV-15" not in asked, asked


@ktap.test
def test_every_rule_is_planted():
    """No rule that never finds anything."""
    with open(rules.__file__, encoding="utf-8") as file:
        text = file.read()
    known = set(re.findall(r'yield "([A-Z]+-\d\d)"', text))
    ktap.equal(known, {requirement for requirement, _ in FAULTS.values()})


if __name__ == "__main__":
    ktap.main()
