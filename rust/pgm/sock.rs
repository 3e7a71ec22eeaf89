// SPDX-License-Identifier: GPL-2.0

//! One PGM socket: its place in memory, its state and its life.

use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut, NonNull};
use core::sync::atomic::{AtomicBool, AtomicU32};

use kernel::ffi::c_int;
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::receiver::{Peers, Receiver};
use pgm_core::source::Source;
use pgm_core::{settings, Instant};
use pgm_wire::{Addr, Gsi, Sqn, Tsi};

use crate::account::{self, Account};
use crate::cork::Cork;
use crate::link::Link;
use crate::listener::Listener;
use crate::net::address::{self, ANY4};
use crate::net::heap::{accounted, KernelHeap};
use crate::net::output::Path;
use crate::net::skb::{SkBuff, TxPayload};
use crate::net::timer;
use crate::net::trace::Edges;
use crate::net::tray::Trays;
use crate::net::udp::{Encap, UdpPorts};
use crate::netns::{self, PgmNet};
use crate::options::Options;

/// What the engine of a source, a session and a datagram socket are in the kernel.
pub(crate) type SourceEngine = Source<TxPayload, KernelHeap>;
pub(crate) type SessionEngine = Receiver<SkBuff, KernelHeap>;
pub(crate) type PeersEngine = Peers<SkBuff, KernelHeap>;

// An engine is built on the kernel's stack before it is boxed, in a kilobyte of slab.
const _: () = assert!(size_of::<SourceEngine>() <= 1024);
const _: () = assert!(size_of::<SessionEngine>() <= 1024);
const _: () = assert!(size_of::<PeersEngine>() <= 1024);
const _: () = assert!(size_of::<State>() <= 1024);

/// A socket as the slab holds it. C sees the `inet_sock`.
#[repr(C)]
pub(crate) struct PgmSock {
    inet: b::inet_sock,
    pub(crate) timer: b::hrtimer,
    pub(crate) firing: timer::Progress,
    /// What its namespace has; a socket keeps its namespace.
    pub(crate) tables: *mut PgmNet,
    /// What the demultiplexer matches; written before the socket is hashed, then constant.
    pub(crate) key: Key,
    /// How its packets travel; constant while it is hashed.
    pub(crate) encap: Encap,
    /// A session that data came for: packets no longer pass through its listener.
    pub(crate) open: AtomicBool,
    /// The timer fired while a process held the lock: that process does its work on leaving.
    pub(crate) deferred: AtomicBool,
    /// Its listener gave it up while a process held the lock: that process ends it on leaving.
    pub(crate) doomed: AtomicBool,
    /// Something below changed: see [`crate::link`].
    pub(crate) look: AtomicBool,
    /// The path MTU that a router just reported, or 0.
    pub(crate) pmtu: AtomicU32,
    /// The next session of the listener's queue; see [`crate::children`].
    pub(crate) next: *mut PgmSock,
    /// Owned; only followed under the socket lock, or when the socket is destroyed.
    pub(crate) state: *mut State,
}

/// A socket of IPv6. The kernel finds its part by `proto.ipv6_pinfo_offset`.
#[repr(C)]
pub(crate) struct PgmSock6 {
    sk: PgmSock,
    pub(crate) np: b::ipv6_pinfo,
}

/// What the demultiplexer matches of a session or a source.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) tsi: Tsi,
    /// Data-destination port.
    pub(crate) ddp: u16,
    pub(crate) group: Addr,
    /// A session's interface and listener.
    pub(crate) iif: i32,
    pub(crate) listener: u64,
}

impl Key {
    /// Of a socket that is neither.
    pub(crate) const NONE: Self = Self {
        tsi: Tsi {
            gsi: Gsi([0; 6]),
            sport: 0,
        },
        ddp: 0,
        group: ANY4,
        iif: 0,
        listener: 0,
    };
}

/// A loss that recvmsg() reports.
#[derive(Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) tsi: Tsi,
    pub(crate) first: Sqn,
    pub(crate) count: u32,
}

/// What a socket receives with.
pub(crate) enum Receive {
    /// Not listening, no session: a datagram socket from the first packet on that it joined for.
    Idle,
    Listener(Listener),
    Session(KBox<SessionEngine>),
    Datagram(KBox<PeersEngine>),
}

/// Everything about a socket that its lock protects.
pub(crate) struct State {
    pub(crate) options: Options,
    /// The UDP ports of an encapsulated socket.
    pub(crate) udp: UdpPorts,
    pub(crate) source: Option<KBox<SourceEngine>>,
    /// Of `source`, or of a session's SPMRs.
    pub(crate) path: Path,
    pub(crate) link: Link,
    /// The largest TSDU of an APDU that is not fragmented, and of a fragment.
    pub(crate) mss: u32,
    pub(crate) mss_fragment: u32,
    pub(crate) receive: Receive,
    /// The socket filter refused the APDU that is being delivered.
    pub(crate) refused: bool,
    /// Reported by the next recvmsg() that finds the queue empty; the engine waits meanwhile.
    pub(crate) loss: Option<Loss>,
    /// For PGM_GET_LOSS.
    pub(crate) last_loss: Option<Loss>,
    /// For PGM_RESET_CODE.
    pub(crate) reset_code: Option<u8>,
    /// A message that several calls of send() make.
    pub(crate) cork: Cork,
    /// The session is over; an error of it, if any, is in `sk_err`.
    pub(crate) ended: bool,
    /// The engine was told that the reader is behind.
    pub(crate) throttled: bool,
    /// Memory that a data packet takes, of late.
    pub(crate) typical: u32,
    /// The window as it was traced last.
    pub(crate) traced: Option<Edges>,
    /// close() was called: the source repairs until it is done, but no longer than this.
    pub(crate) closing: Option<Instant>,
    /// What it holds, as its namespace knows.
    pub(crate) account: Account,
    pub(crate) trays: Trays,
}

impl State {
    /// Whether [`crate::close::release`] took it out of the world.
    pub(crate) fn is_released(&self) -> bool {
        self.ended && self.closing.is_none() && matches!(self.receive, Receive::Idle)
    }
}

/// Converts a socket pointer of the kernel's.
pub(crate) fn pgm(sk: *mut b::sock) -> Option<NonNull<PgmSock>> {
    NonNull::new(sk.cast())
}

/// A random number of the kernel's.
pub(crate) fn random_u64() -> u64 {
    let mut value = 0u64;
    // SAFETY: The buffer is as long as said.
    unsafe { b::get_random_bytes(addr_of_mut!(value).cast(), 8) };
    value
}

/// `proto.init`: the kernel made a socket, or [`crate::listener`] a session.
///
/// # Safety
///
/// `sk` is new and zeroed behind its `inet_sock`.
pub(crate) unsafe extern "C" fn init(sk: *mut b::sock) -> c_int {
    let this: *mut PgmSock = sk.cast();
    // SAFETY: The socket has its namespace, and nobody else sees it yet.
    let defaults = unsafe {
        let tables = netns::of(b::pgm_sock_net(sk));
        // Even a socket that cannot start is unhashed.
        addr_of_mut!((*this).tables).write(tables);
        (*tables).settings.values()
    };
    let state = State {
        options: Options::new(defaults),
        udp: UdpPorts::NONE,
        source: None,
        path: Path::NONE,
        link: Link::NEW,
        mss: 0,
        mss_fragment: 0,
        receive: Receive::Idle,
        refused: false,
        loss: None,
        last_loss: None,
        reset_code: None,
        cork: Cork::default(),
        ended: false,
        throttled: false,
        typical: 0,
        traced: None,
        closing: None,
        account: Account::default(),
        trays: Trays::NONE,
    };
    let Ok(state) = KBox::new(state, accounted()) else {
        return ENOMEM.to_errno();
    };
    // SAFETY: Nobody else sees the socket yet.
    unsafe {
        addr_of_mut!((*this).key).write(Key::NONE);
        addr_of_mut!((*this).encap).write(Encap::NATIVE);
        addr_of_mut!((*this).state).write(KBox::into_raw(state));
        timer::setup(this, crate::engine::fire);
        (*sk).sk_destruct = Some(destruct);
        (*sk).sk_rcvbuf = defaults.get(&settings::RCVBUF) as c_int;
        if address::is_v6(sk) {
            b::pgm_clear_mc_all6(sk);
        } else {
            b::pgm_clear_mc_all(sk);
        }
        b::pgm_bypass_memory(sk);
        b::pgm_sock_set_flag(sk, b::sock_flags_SOCK_RCU_FREE);
        b::pgm_prot_inuse_add(sk, 1);
    }
    0
}

/// `sk_destruct`: no reference is left.
///
/// # Safety
///
/// Called once, by the kernel.
unsafe extern "C" fn destruct(sk: *mut b::sock) {
    let this: *mut PgmSock = sk.cast();
    // SAFETY: We are the last user. The state goes first: its buffers are charged to the socket.
    unsafe {
        b::pgm_prot_inuse_add(sk, -1);
        let state = addr_of!((*this).state).read();
        if !state.is_null() {
            let state = KBox::from_raw(state);
            let account = state.account;
            drop(state);
            account::close(sk, account);
        }
        if address::is_v6(sk) {
            b::inet6_sock_destruct(sk);
        } else {
            b::inet_sock_destruct(sk);
        }
    }
}
