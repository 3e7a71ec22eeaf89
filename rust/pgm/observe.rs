// SPDX-License-Identifier: GPL-2.0

//! Looking at the sockets of a namespace from outside: one row for each source, listener, session and
//! datagram socket, and for each session of a datagram socket. /proc/net/pgm and pgm_diag.ko show
//! them.
//!
//! A walk holds no lock between two rows. It remembers its place by counting, so that sockets that
//! come or go meanwhile may be missed or met twice, as in any such list of the kernel's.

use core::ptr::{addr_of_mut, NonNull};

use pgm_bindings as b;
use pgm_wire::{Addr, Tsi};

use crate::net::lock::{Locked, UserLock};
use crate::net::rcu::{Chain, Node, ReadGuard};
use crate::netns::{self, PgmNet, BUCKETS};
use crate::options::{stats, uapi_tsi};
use crate::sock::{PgmSock, Receive, SessionEngine};

/// The tables, in the order in which a walk goes through them.
const SOURCES: u32 = 0;
const SESSIONS: u32 = 1;
/// Then the ports.
const TABLES: u32 = 3;

/// A bucket, and the node its chain is made of.
///
/// # Safety
///
/// `tables` are those of a live namespace.
unsafe fn bucket(tables: *mut PgmNet, table: u32, bucket: u32) -> (*mut b::hlist_head, Node) {
    // SAFETY: By the caller; each table has as many buckets.
    unsafe {
        let (heads, node) = match table {
            SOURCES => (addr_of_mut!((*tables).sources), Node::Bind),
            SESSIONS => (addr_of_mut!((*tables).sessions), Node::Main),
            _ => (addr_of_mut!((*tables).ports), Node::Main),
        };
        let head = heads.cast::<b::hlist_head>();
        (head.add(bucket as usize % BUCKETS), node)
    }
}

/// A reference to a socket.
struct Held(NonNull<PgmSock>);

impl Held {
    fn sock(&self) -> *mut b::sock {
        self.0.as_ptr().cast()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: The reference is ours.
        unsafe { b::pgm_sock_put(self.sock()) };
    }
}

/// Where a walk over the sources begins, and where one over the receivers does.
pub(crate) const fn sources() -> b::pgm_place {
    walk(SOURCES, SESSIONS)
}

pub(crate) const fn receivers() -> b::pgm_place {
    walk(SESSIONS, TABLES)
}

/// A walk over the tables from `table` up to `end`.
const fn walk(table: u32, end: u32) -> b::pgm_place {
    b::pgm_place {
        table,
        end,
        bucket: 0,
        chain: 0,
        session: 0,
    }
}

/// The socket at `place`, or the next one; `place` is then where it was found.
///
/// # Safety
///
/// `net` is a live namespace.
unsafe fn find(net: *const b::net, place: &mut b::pgm_place) -> Option<Held> {
    let guard = ReadGuard::new();
    // SAFETY: The namespace keeps its tables; only the address of a bucket is taken.
    let tables = unsafe { netns::of(net) };
    while place.table < place.end.min(TABLES) {
        while (place.bucket as usize) < BUCKETS {
            // SAFETY: As above.
            let (head, node) = unsafe { bucket(tables, place.table, place.bucket) };
            let mut before = place.chain;
            // SAFETY: Inside the read section.
            for sk in unsafe { Chain::new(&guard, head, node) } {
                if before > 0 {
                    before = before.wrapping_sub(1);
                    continue;
                }
                // SAFETY: As above; a socket without references is on its way out.
                if unsafe { b::pgm_sock_try_hold(sk.as_ptr().cast()) } {
                    return Some(Held(sk));
                }
                place.chain = place.chain.wrapping_add(1);
                place.session = 0;
            }
            place.bucket = place.bucket.wrapping_add(1);
            (place.chain, place.session) = (0, 0);
        }
        *place = walk(place.table.wrapping_add(1), place.end);
    }
    None
}

/// The next row at `place` or behind it; `place` moves on. The row's socket is a reference that the
/// caller gives back.
///
/// # Safety
///
/// Called by a process with no lock held; `net` is live, `place` and `row` are valid.
#[no_mangle]
#[expect(unreachable_pub, reason = "exported to pgm_diag.ko")]
pub unsafe extern "C" fn pgm_next_row(
    net: *const b::net,
    place: *mut b::pgm_place,
    row: *mut b::pgm_row,
) -> bool {
    // SAFETY: By the caller.
    unsafe {
        let place = &mut *place;
        while let Some(held) = find(net, place) {
            // A row is nothing but integers and a pointer.
            row.write(core::mem::zeroed());
            let row = &mut *row;
            let table = place.table;
            let Some(mut sk) = UserLock::new(held.sock()) else {
                return false;
            };
            let more = fill(&mut sk, table, &mut place.session, row);
            drop(sk);
            if !more {
                place.chain = place.chain.wrapping_add(1);
                place.session = 0;
            }
            if row.socket.role != 0 {
                row.sk = held.sock();
                core::mem::forget(held);
                return true;
            }
        }
    }
    false
}

/// Writes one row of the socket, if it has one at `session`; says whether there may be more.
fn fill(sk: &mut Locked<'_>, table: u32, session: &mut u32, row: &mut b::pgm_row) -> bool {
    if table == SOURCES {
        source(sk, row);
        return false;
    }
    let sock = sk.sock();
    // SAFETY: The lock is held.
    let (port, ifindex, orphan) = unsafe {
        let port = b::pgm_sk_num(sock);
        (port, b::pgm_sk_bound_dev(sock), (*sock).sk_socket.is_null())
    };
    let socket = &mut row.socket;
    memory(sk, socket);
    socket.port = port.to_be();
    socket.ifindex = ifindex as u32;
    // SAFETY: The lock is held.
    set_group(socket, unsafe { crate::net::address::bound(sock) });
    match &sk.receive {
        Receive::Session(engine) => {
            socket.role = b::PGM_DIAG_SESSION as u8;
            // SAFETY: The key of a session is constant.
            socket.ifindex = unsafe { (*sk.as_ptr()).key.iif } as u32;
            if orphan {
                socket.flags |= b::PGM_DIAG_F_WAITING as u8;
            }
            if sk.ended {
                socket.flags |= b::PGM_DIAG_F_ENDED as u8;
            }
            receiver(engine, row);
        }
        Receive::Listener(listener) => {
            socket.role = b::PGM_DIAG_LISTENER as u8;
            (socket.sessions, socket.announced) = listener.lens();
        }
        Receive::Datagram(peers) if *session > 0 => {
            // The first row was the socket's own.
            let Some((index, engine)) = peers.session_from(session.wrapping_sub(1)) else {
                return false;
            };
            *session = index.saturating_add(2);
            socket.role = b::PGM_DIAG_PEER as u8;
            receiver(engine, row);
            return true;
        }
        Receive::Datagram(peers) => {
            *session = 1;
            socket.role = b::PGM_DIAG_DATAGRAM as u8;
            socket.sessions = peers.len();
            return true;
        }
        // Bound, and nothing came yet.
        Receive::Idle if sk.closing.is_none() && !sk.ended => {
            socket.role = b::PGM_DIAG_DATAGRAM as u8
        }
        Receive::Idle => {}
    }
    false
}

/// The row of a source.
fn source(sk: &mut Locked<'_>, row: &mut b::pgm_row) {
    let Some(source) = &sk.source else {
        return;
    };
    let socket = &mut row.socket;
    memory(sk, socket);
    let config = source.config();
    socket.role = b::PGM_DIAG_SOURCE as u8;
    if sk.closing.is_some() {
        socket.flags |= b::PGM_DIAG_F_CLOSING as u8;
    }
    socket.port = config.dport.to_be();
    socket.tsi = uapi_tsi(config.tsi);
    set_group(socket, config.group);
    (_, socket.source) = words(config.nla);
    socket.ifindex = sk.path.oif as u32;
    socket.rate_kbit = u32::try_from(config.rate / 125).unwrap_or(u32::MAX);
    socket.queued_sqns = source.queued_sqns();
    socket.queued_bytes = u32::try_from(source.queued_bytes()).unwrap_or(u32::MAX);
    row.sender = stats::sender(source);
}

/// What one session adds to its socket's row.
fn receiver(session: &SessionEngine, row: &mut b::pgm_row) {
    let socket = &mut row.socket;
    let tsi: Tsi = session.tsi();
    socket.tsi = uapi_tsi(tsi);
    set_group(socket, session.group());
    (_, socket.source) = words(session.source());
    if session.is_congested() {
        socket.flags |= b::PGM_DIAG_F_CONGESTED as u8;
    }
    let naks = session.nak_states();
    socket.back_off = naks.back_off;
    socket.wait_ncf = naks.wait_ncf;
    socket.wait_data = naks.wait_data;
    row.receiver = stats::receiver(session);
}

fn memory(sk: &Locked<'_>, socket: &mut b::pgm_diag_socket) {
    let sock = sk.sock();
    // SAFETY: The lock is held.
    unsafe {
        socket.receive_memory = b::pgm_rmem_alloc(sock) as u32;
        socket.receive_limit = (*sock).sk_rcvbuf as u32;
        socket.send_memory = addr_of_mut!((*sock).sk_wmem_queued).read() as u32;
    }
}

fn set_group(socket: &mut b::pgm_diag_socket, group: Addr) {
    (socket.family, socket.group) = words(group);
}

/// An address as the interface has it.
fn words(addr: Addr) -> (u16, [u32; 4]) {
    match addr {
        Addr::V4(bytes) => (b::AF_INET as u16, [u32::from_ne_bytes(bytes), 0, 0, 0]),
        Addr::V6([a, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]) => (
            b::AF_INET6 as u16,
            [[a, c, d, e], [f, g, h, i], [j, k, l, m], [n, o, p, q]].map(u32::from_ne_bytes),
        ),
    }
}
