// SPDX-License-Identifier: GPL-2.0

//! What each network namespace has of its own: the tables of the demultiplexer, the counters and
//! the settings.

use core::ptr::{addr_of, addr_of_mut};
use core::sync::atomic::{AtomicU64, Ordering};

use kernel::ffi::{c_int, c_uint};
use pgm_bindings as b;
use pgm_core::{Discard, Setting};

use crate::account::Totals;
use crate::counters::Counters;
use crate::net::{trace, udp};
use crate::proc;
use crate::sock::PgmSock;
use crate::sysctl::Sysctls;

/// Buckets of each table; a power of two. A chain of the most sessions that a namespace has by default
/// is 32 long.
pub(crate) const BUCKETS: usize = 512;

/// One namespace's PGM. The kernel allocates it zeroed and frees it with the namespace.
#[repr(C)]
pub(crate) struct PgmNet {
    /// Serialises writers of the tables; readers use RCU.
    pub(crate) lock: b::spinlock_t,
    /// Listeners and datagram sockets, by data-destination port and the address they are bound to.
    pub(crate) ports: [b::hlist_head; BUCKETS],
    /// Sessions, by TSI.
    pub(crate) sessions: [b::hlist_head; BUCKETS],
    /// Sessions of listeners, by TSI and listener.
    pub(crate) children: [b::hlist_head; BUCKETS],
    /// Sources, by TSI.
    pub(crate) sources: [b::hlist_head; BUCKETS],
    /// Keys the hash over TSIs, which come from the network.
    pub(crate) key: b::hsiphash_key_t,
    /// The UDP ports that carry encapsulated packets.
    pub(crate) udp: udp::Ports,
    /// Packets received, whatever became of them.
    pub(crate) received: AtomicU64,
    /// Packets discarded, by reason.
    pub(crate) discards: [AtomicU64; Discard::ALL.len()],
    /// What its sockets hold.
    pub(crate) totals: Totals,
    /// What its sockets did.
    pub(crate) counters: Counters,
    /// What new sockets start with.
    pub(crate) settings: Sysctls,
}

/// The id that register_pernet_subsys() chose.
static mut PGM_NET_ID: c_uint = 0;

/// For register_pernet_subsys(), which also writes to it.
pub(crate) static mut OPERATIONS: b::pernet_operations = b::pernet_operations {
    init: Some(init),
    exit: Some(exit),
    id: addr_of_mut!(PGM_NET_ID),
    size: core::mem::size_of::<PgmNet>(),
    ..pin_init::zeroed()
};

/// The PGM state of `net`.
///
/// # Safety
///
/// `net` is a live namespace, and our operations are registered.
pub(crate) unsafe fn of(net: *const b::net) -> *mut PgmNet {
    // SAFETY: The id is written once, before anything can call this.
    unsafe { b::pgm_net_generic(net, addr_of!(PGM_NET_ID).read()).cast() }
}

/// The PGM state of the namespace that a packet came to.
///
/// # Safety
///
/// `skb` has a device, in an RCU read section; our operations are registered.
pub(crate) unsafe fn of_skb(skb: *const b::sk_buff) -> *mut PgmNet {
    // SAFETY: As for `of`.
    unsafe { b::pgm_skb_net_generic(skb, addr_of!(PGM_NET_ID).read()).cast() }
}

/// The PGM state of a socket's namespace, which is faster than to ask the namespace.
///
/// # Safety
///
/// `sk` is a live socket of ours.
pub(crate) unsafe fn of_sock(sk: *const b::sock) -> *mut PgmNet {
    // SAFETY: By the caller; it is constant.
    unsafe { (*sk.cast::<PgmSock>()).tables }
}

/// The namespace's value of one setting.
///
/// # Safety
///
/// As for [`of`].
pub(crate) unsafe fn setting(net: *const b::net, setting: &Setting) -> u32 {
    // SAFETY: The values are atomic and live as long as the namespace.
    unsafe { (*of(net)).settings.get(setting) }
}

/// Counts a discarded packet.
///
/// # Safety
///
/// `tables` are those of a live namespace.
pub(crate) unsafe fn count_discard(tables: *const PgmNet, discard: Discard) {
    trace::discard(discard);
    // SAFETY: The counters are atomic and live as long as the namespace.
    let discards = unsafe { &(*tables).discards };
    if let Some(counter) = discards.get(discard as usize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// # Safety
///
/// Called by the kernel for each new namespace.
unsafe extern "C" fn init(net: *mut b::net) -> c_int {
    // SAFETY: The memory is ours, zeroed and not yet visible to packets or sockets.
    unsafe {
        let this = of(net);
        b::pgm_spin_lock_init(addr_of_mut!((*this).lock));
        udp::init(this);
        b::get_random_bytes(
            addr_of_mut!((*this).key).cast(),
            core::mem::size_of::<b::hsiphash_key_t>(),
        );
        let files = proc::register(net);
        let settings = Sysctls::register(addr_of_mut!((*this).settings), net);
        if let Err(error) = files.and(settings) {
            exit(net);
            return error.to_errno();
        }
    }
    0
}

/// # Safety
///
/// Called by the kernel when the namespace dies; no socket is left in it.
unsafe extern "C" fn exit(net: *mut b::net) {
    // SAFETY: Removing what is not there does nothing.
    unsafe {
        Sysctls::unregister(addr_of_mut!((*of(net)).settings));
        udp::exit(of(net));
        proc::unregister(net);
    }
}
