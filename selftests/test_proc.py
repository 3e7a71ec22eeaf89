#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""/proc/net/pgm: what the sockets of a namespace do."""

import contextlib
import os
import sys
import threading

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import ktap
import net
import pgm


KINDS = "Spm Poll Polr Odata Rdata Nak Nnak Ncf Spmr Ack".split()
INCOMING = {f"In{kind}" for kind in KINDS}


def only(rows, **wanted):
    """The one row with these columns."""
    found = [row for row in rows if all(row[name] == str(v) for name, v in wanted.items())]
    ktap.equal(len(found), 1, f"rows with {wanted} among {rows}")
    return found[0]


def text(tsi):
    """A TSI as people read it."""
    return f"{tsi[:6].hex()}.{int.from_bytes(tsi[6:], 'big')}"


@ktap.test
def test_roles():
    """Each socket and session has its line, with its names, its owner and its numbers."""
    with net.shared() as lan:
        here, there = lan.hosts
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(pgm.listener(there))
            datagram = stack.enter_context(pgm.datagram(there))
            source = stack.enter_context(pgm.source(here))
            line = only(there.rows("receivers"), role="listener")
            ktap.equal(line["inode"], str(os.fstat(listening.fileno()).st_ino))
            ktap.equal((line["group"], line["port"]), (pgm.GROUP, str(pgm.PORT)))
            source.send(bytes(4000))
            session, _ = pgm.accept(listening)
            stack.enter_context(session)
            ktap.equal(len(session.recv(5000)), 4000)
            ktap.equal(len(datagram.recv(5000)), 4000)

            tsi = text(pgm.tsi(source))
            names = {"group": pgm.GROUP, "port": pgm.PORT, "tsi": tsi}
            sent = only(here.rows("sources"), role="source", local=here.address, **names)
            ktap.equal((sent["trail"], sent["lead"], sent["odata"]), ("0", "2", "3"))
            ktap.equal((sent["rate_kbit"], sent["queued_bytes"]), ("20000", "0"))
            ktap.equal((sent["uid"], sent["inode"]), ("0", str(os.fstat(source.fileno()).st_ino)))
            assert int(sent["memory"]) >= 4000, sent

            rows = there.rows("receivers")
            for role, sock in (("session", session), ("peer", datagram)):
                got = only(rows, role=role, source=here.address, **names)
                ktap.equal((got["lead"], got["data"], got["lost"]), ("2", "3", "0"))
                ktap.equal(got["inode"], str(os.fstat(sock.fileno()).st_ino))
            ktap.equal(only(rows, role="datagram")["sessions"], "1")
            ktap.equal(there.rows("sources"), [])
            ktap.equal(here.rows("receivers"), [])
            source.close()
            only(here.rows("sources"), role="closing", inode=0, **names)
            ktap.wait_for(
                lambda: any(row["role"] == "ended" for row in there.rows("receivers")),
                "the session ends",
            )


@ktap.test
def test_nak_states():
    """What is missing stands in its state until it is repaired."""
    slow = {pgm.PGM_NAK_RDATA_IVL: 2_000_000, pgm.PGM_NAK_RPT_IVL: 2_000_000}
    with net.shared() as lan:
        here, there = lan.hosts
        with pgm.listener(there, options=slow) as listening, pgm.source(here) as source:
            source.send(b"first")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"first")
                lan.toward(there, "loss 100%")
                source.send(b"lost")
                ktap.wait_for(
                    lambda: only(here.rows("sources"), role="source")["lead"] == "1",
                    "the second packet is sent",
                )
                # The confirmation and the repair shall not be faster than we look.
                lan.toward(there, "delay 1s")
                source.send(b"third")

                def state():
                    row = only(there.rows("receivers"), role="session")
                    return tuple(int(row[n]) for n in ("back_off", "wait_ncf", "wait_data"))

                ktap.wait_for(lambda: state() == (0, 1, 0), "the NAK was sent")
                ktap.wait_for(lambda: state() == (0, 0, 0), "it was repaired")
                ktap.equal([session.recv(10) for _ in range(2)], [b"lost", b"third"])
                row = only(there.rows("receivers"), role="session")
                ktap.equal((row["missing"], row["repaired"], row["naks"]), ("1", "1", "1"))


@ktap.test
def test_counters():
    """Totals of a namespace: packets by type in both directions, sessions, repairs, losses."""
    with net.Lan() as lan:
        here, there = lan.hosts
        ktap.equal(set(here.counters().values()), {0}, "a new namespace")
        with pgm.listener(there) as listening, pgm.source(here) as source:
            source.send(b"first")
            session, _ = pgm.accept(listening)
            with session:
                ktap.equal(session.recv(10), b"first")
                lan.toward(there, "loss 100%")
                source.send(b"lost")
                ktap.wait_for(lambda: here.counters()["OutOdata"] == 2, "the packet is gone")
                lan.toward(there, None)
                source.send(b"third")
                ktap.equal([session.recv(10) for _ in range(2)], [b"lost", b"third"])
                pgm.reset_close(source)
                with pgm.datagram(there) as datagram, pgm.source(here) as other:
                    other.send(b"x")
                    ktap.equal(datagram.recv(10), b"x")
        sent, got = here.counters(), there.counters()
        ktap.equal((sent["Sources"], got["Sessions"], got["Repaired"]), (2, 3, 1), f"{sent} {got}")
        ktap.equal((sent["OutRdata"], got["InRdata"], sent["InNak"]), (1, 1, 1))
        ktap.equal((got["OutNak"], sent["OutNcf"], got["InNcf"]), (1, 1, 1))
        ktap.equal((sent["OutOdata"], got["InOdata"]), (4, 3))
        assert 0 < got["InSpm"] <= sent["OutSpm"], (sent, got)
        incoming = sum(value for name, value in got.items() if name in INCOMING)
        ktap.equal(got["InPkts"], incoming, "every packet has a type")

        # The stock tool reads them.
        lines = there.run(
            *("env", "PROC_NET_SNMP=/proc/net/pgm/snmp", "nstat", "-a", "-s", "-z"),
        ).splitlines()
        shown = {words[0]: int(words[1]) for words in map(str.split, lines[1:])}
        ktap.equal({f"Pgm{name}" for name in got} - set(shown), set())
        ktap.equal((shown["PgmInRdata"], shown["PgmInDiscardVersion"]), (1, 0))


@ktap.test
def test_lost():
    """A loss that is reported is counted, packet by packet."""
    with net.Lan() as lan:
        here, there = lan.hosts
        with pgm.listener(there) as listening:
            with pgm.source(here, window=(20_000, 50, 0)) as source:
                source.send(b"first")
                session, _ = pgm.accept(listening)
                with session:
                    ktap.equal(session.recv(10), b"first")
                    lan.impair(there, "loss 100%")
                    for _ in range(3):
                        source.send(b"lost")
                    ktap.wait_for(
                        lambda: only(here.rows("sources"), role="source")["trail"] == "4",
                        "the window has passed",
                    )
                    lan.impair(there, None)
                    source.send(b"late")
                    ktap.wait_for(lambda: there.counters()["Lost"] == 3, "the loss is counted")


@ktap.test
def test_many_sockets():
    """More sockets than a page of lines: each is listed once, also in small reads."""
    with net.shared() as lan, contextlib.ExitStack() as stack:
        here, there = lan.hosts
        sources = [stack.enter_context(pgm.source(here)) for _ in range(80)]
        receiver = stack.enter_context(pgm.datagram(there))
        for source in sources:
            source.send(b"x")
        wanted = {text(pgm.tsi(source)) for source in sources}
        for _ in sources:
            ktap.equal(receiver.recv(10), b"x")
        for host, name, role in ((here, "sources", "source"), (there, "receivers", "peer")):
            listed = [row["tsi"] for row in host.rows(name) if row["role"] == role]
            ktap.equal(len(listed), 80, name)
            ktap.equal(set(listed), wanted, name)
        with here:
            path = "/proc/thread-self/net/pgm/sources"
            with open(path, "rb", buffering=0) as file:
                pieces = b"".join(iter(lambda: file.read(1000), b""))
                file.seek(0)
                whole = b"".join(iter(lambda: file.read(1 << 16), b""))
        ktap.equal((pieces.count(b"\nsource "), whole.count(b"\nsource ")), (80, 80))


@ktap.test
def test_churn():
    """Reading while sockets come and go disturbs neither."""
    # attack: A-08
    with net.shared() as lan:
        here, there = lan.hosts
        done = threading.Event()

        def read():
            lines = 0
            while not done.is_set():
                lines += len(here.rows("sources")) + len(there.rows("receivers"))
            return lines

        readers = [pgm.Background(read) for _ in range(2)]
        try:
            for _ in range(30):
                with pgm.listener(there) as listening, pgm.source(here) as source:
                    source.send(b"x")
                    session, _ = pgm.accept(listening)
                    with session:
                        ktap.equal(session.recv(10), b"x")
                    pgm.reset_close(source)
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)


if __name__ == "__main__":
    ktap.main(pgm.need_module)
