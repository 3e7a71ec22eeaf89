// SPDX-License-Identifier: GPL-2.0

//! /proc/net/pgm: counters and sockets of a network namespace.

use core::mem::size_of;
use core::ptr::{addr_of, null_mut};
use core::sync::atomic::Ordering;

use kernel::ffi::{c_char, c_int, c_longlong, c_uint, c_void};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::Discard;

use crate::{netns, observe};

/// A table that is only read.
struct Constant<T>(T);

// SAFETY: Never written.
unsafe impl<T> Sync for Constant<T> {}

const fn sequence(
    start: unsafe extern "C" fn(*mut b::seq_file, *mut c_longlong) -> *mut c_void,
    show: unsafe extern "C" fn(*mut b::seq_file, *mut c_void) -> c_int,
) -> Constant<b::seq_operations> {
    Constant(b::seq_operations {
        start: Some(start),
        stop: Some(stop),
        next: Some(next),
        show: Some(show),
    })
}

static SOURCES: Constant<b::seq_operations> = sequence(start_sources, show_source);
static RECEIVERS: Constant<b::seq_operations> = sequence(start_receivers, show_receiver);

/// Makes the files.
///
/// # Safety
///
/// `net` is a namespace without them.
pub(crate) unsafe fn register(net: *mut b::net) -> Result {
    // SAFETY: By the caller; the operations are static.
    unsafe {
        let dir = b::pgm_proc_mkdir(net, c"pgm".as_char_ptr());
        if dir.is_null() {
            return Err(ENOMEM);
        }
        let name = c"snmp".as_char_ptr();
        if b::proc_create_net_single(name, 0o444, dir, Some(show_snmp), null_mut()).is_null() {
            return Err(ENOMEM);
        }
        for (name, operations) in [
            (c"sources".as_char_ptr(), addr_of!(SOURCES.0)),
            (c"receivers".as_char_ptr(), addr_of!(RECEIVERS.0)),
        ] {
            let state = size_of::<Walk>() as c_uint;
            if b::proc_create_net_data(name, 0o444, dir, operations, state, null_mut()).is_null() {
                return Err(ENOMEM);
            }
        }
    }
    Ok(())
}

/// Takes the files away.
///
/// # Safety
///
/// `net` is a namespace, with files or without.
pub(crate) unsafe fn unregister(net: *mut b::net) {
    // SAFETY: Removing what is not there does nothing.
    unsafe { b::pgm_remove_proc(net, c"pgm".as_char_ptr()) };
}

/// snmp: a line of names and a line of values, the format nstat(8) reads.
///
/// # Safety
///
/// Called by the kernel to show the file of a live namespace.
unsafe extern "C" fn show_snmp(m: *mut b::seq_file, _v: *mut c_void) -> c_int {
    // SAFETY: The namespace lives as long as its file is read; `m` is valid, and each format
    // matches its arguments.
    unsafe {
        let this = netns::of(b::pgm_seq_net(m));
        b::seq_printf(m, c"Pgm: InPkts".as_char_ptr());
        for (name, _) in (*this).counters.iter() {
            show_name(m, c" %.*s", name);
        }
        for discard in Discard::ALL {
            show_name(m, c" InDiscard%.*s", discard.name());
        }
        let received = (*this).received.load(Ordering::Relaxed);
        b::seq_printf(m, c"\nPgm:".as_char_ptr());
        show_numbers(m, &[received]);
        for (_, value) in (*this).counters.iter() {
            show_numbers(m, &[value]);
        }
        for counter in &(*this).discards {
            show_numbers(m, &[counter.load(Ordering::Relaxed)]);
        }
        b::seq_printf(m, c"\n".as_char_ptr());
    }
    0
}

/// Prints a name by a format that takes its length first.
///
/// # Safety
///
/// `m` is valid.
unsafe fn show_name(m: *mut b::seq_file, format: &CStr, name: &str) {
    // SAFETY: By the caller; the format matches its arguments.
    unsafe {
        b::seq_printf(m, format.as_char_ptr(), name.len() as c_int, name.as_ptr());
    }
}

/// An open file's walk over the sockets. The kernel allocates it zeroed.
#[repr(C)]
struct Walk {
    net: b::seq_net_private,
    place: b::pgm_place,
    /// The line at hand: the first is the header, then rows follow.
    line: c_longlong,
    row: b::pgm_row,
    uid: c_uint,
    inode: u64,
}

impl Walk {
    /// Goes to the next row.
    ///
    /// # Safety
    ///
    /// `this` is that of the open file `m`.
    unsafe fn advance(this: *mut Self, m: *mut b::seq_file) -> bool {
        // SAFETY: By the caller; the file keeps its namespace, and no lock is held here.
        unsafe {
            let net = b::pgm_seq_file_net(m);
            if !observe::pgm_next_row(net, &mut (*this).place, &mut (*this).row) {
                return false;
            }
            let sk = (*this).row.sk;
            (*this).uid = b::pgm_seq_sk_uid(m, sk);
            (*this).inode = b::pgm_sk_inode(sk);
            (*this).row.sk = null_mut();
            (*this).line = (*this).line.wrapping_add(1);
            b::pgm_sock_put(sk);
            true
        }
    }
}

/// `seq_operations.start`: goes on where the last read stopped, or begins anew.
///
/// # Safety
///
/// Called by the kernel for an open file.
unsafe fn start(m: *mut b::seq_file, at: c_longlong, first: b::pgm_place) -> *mut c_void {
    // SAFETY: By the caller; the private memory is a `Walk`.
    unsafe {
        let this: *mut Walk = (*m).private.cast();
        if at == 0 || at < (*this).line {
            (*this).place = first;
            (*this).line = 0;
        }
        for _ in (*this).line..at {
            if !Walk::advance(this, m) {
                return null_mut();
            }
        }
        this.cast()
    }
}

/// # Safety
///
/// As for [`start`].
unsafe extern "C" fn start_sources(m: *mut b::seq_file, at: *mut c_longlong) -> *mut c_void {
    // SAFETY: By the caller.
    unsafe { start(m, *at, observe::sources()) }
}

/// # Safety
///
/// As for [`start`].
unsafe extern "C" fn start_receivers(m: *mut b::seq_file, at: *mut c_longlong) -> *mut c_void {
    // SAFETY: By the caller.
    unsafe { start(m, *at, observe::receivers()) }
}

/// `seq_operations.next`.
///
/// # Safety
///
/// As for [`start`].
unsafe extern "C" fn next(
    m: *mut b::seq_file,
    walk: *mut c_void,
    at: *mut c_longlong,
) -> *mut c_void {
    // SAFETY: By the caller.
    unsafe {
        *at = (*at).wrapping_add(1);
        if Walk::advance(walk.cast(), m) {
            walk
        } else {
            null_mut()
        }
    }
}

/// `seq_operations.stop`: nothing is held between two reads.
///
/// # Safety
///
/// None needed.
unsafe extern "C" fn stop(_m: *mut b::seq_file, _walk: *mut c_void) {}

/// Prints what every row begins with: addresses and identifiers.
///
/// # Safety
///
/// `m` is valid.
unsafe fn show_names(m: *mut b::seq_file, socket: &b::pgm_diag_socket) {
    let [a, c, d, e, f, g] = socket.tsi.gsi.map(c_uint::from);
    let address: *const c_char = if u32::from(socket.family) == b::AF_INET6 {
        c"%pI6c ".as_char_ptr()
    } else {
        c"%pI4 ".as_char_ptr()
    };
    // SAFETY: By the caller; each format matches its arguments.
    unsafe {
        b::seq_printf(m, address, addr_of!(socket.source).cast::<c_void>());
        b::seq_printf(m, address, addr_of!(socket.group).cast::<c_void>());
        b::seq_printf(
            m,
            c"%u %02x%02x%02x%02x%02x%02x.%u".as_char_ptr(),
            c_uint::from(u16::from_be(socket.port)),
            a,
            c,
            d,
            e,
            f,
            g,
            c_uint::from(u16::from_be(socket.tsi.sport)),
        );
    }
}

/// Prints numbers, each behind a blank.
///
/// # Safety
///
/// `m` is valid.
unsafe fn show_numbers(m: *mut b::seq_file, numbers: &[u64]) {
    for number in numbers {
        // SAFETY: By the caller; the format matches its argument.
        unsafe { b::seq_printf(m, c" %llu".as_char_ptr(), *number) };
    }
}

/// What a row's socket is, in letters: the role, then its flags.
fn role(socket: &b::pgm_diag_socket) -> &'static CStr {
    let flag = |flag: u32| u32::from(socket.flags) & flag != 0;
    match u32::from(socket.role) {
        b::PGM_DIAG_SOURCE if flag(b::PGM_DIAG_F_CLOSING) => c"closing",
        b::PGM_DIAG_SOURCE => c"source",
        b::PGM_DIAG_LISTENER => c"listener",
        b::PGM_DIAG_SESSION if flag(b::PGM_DIAG_F_ENDED) => c"ended",
        b::PGM_DIAG_SESSION if flag(b::PGM_DIAG_F_WAITING) => c"waiting",
        b::PGM_DIAG_SESSION => c"session",
        b::PGM_DIAG_DATAGRAM => c"datagram",
        _ => c"peer",
    }
}

/// Prints the line at hand: the header, or a row that begins with names and ends with its owner.
///
/// # Safety
///
/// As for [`start`]; `walk` has a row, or is at its header.
unsafe fn show(m: *mut b::seq_file, walk: &Walk, header: &CStr, numbers: &[u64]) -> c_int {
    // SAFETY: By the caller; each format matches its arguments.
    unsafe {
        if walk.line == 0 {
            b::seq_printf(m, c"%s".as_char_ptr(), header.as_ptr());
            return 0;
        }
        let socket = &walk.row.socket;
        b::seq_printf(m, c"%s ".as_char_ptr(), role(socket).as_ptr());
        show_names(m, socket);
        show_numbers(m, numbers);
        show_numbers(m, &[socket.ifindex.into(), walk.uid.into(), walk.inode]);
        b::seq_printf(m, c"\n".as_char_ptr());
    }
    0
}

/// `seq_operations.show` of sources.
///
/// # Safety
///
/// As for [`start`].
unsafe extern "C" fn show_source(m: *mut b::seq_file, walk: *mut c_void) -> c_int {
    // SAFETY: By the caller; the kernel allocated the walk zeroed, so that it has a row from the start.
    unsafe {
        let walk = &*walk.cast::<Walk>();
        let (socket, sender) = (&walk.row.socket, &walk.row.sender);
        show(
            m,
            walk,
            c"role local group port tsi trail lead rate_kbit sent_kbit queued_sqns queued_bytes \
                window_free odata rdata repairs naks ncf memory ifindex uid inode\n",
            &[
                sender.trail,
                sender.lead,
                socket.rate_kbit.into(),
                sender.rate_recent_kbit,
                socket.queued_sqns.into(),
                socket.queued_bytes.into(),
                sender.window_bytes_free,
                sender.odata,
                sender.rdata,
                sender.repairs_pending,
                sender.naks,
                sender.ncf,
                socket.send_memory.into(),
            ],
        )
    }
}

/// `seq_operations.show` of receivers.
///
/// # Safety
///
/// As for [`start`].
unsafe extern "C" fn show_receiver(m: *mut b::seq_file, walk: *mut c_void) -> c_int {
    // SAFETY: As in `show_source`.
    unsafe {
        let walk = &*walk.cast::<Walk>();
        let (socket, receiver) = (&walk.row.socket, &walk.row.receiver);
        show(
            m,
            walk,
            c"role source group port tsi trail lead rate_kbit buffered missing back_off wait_ncf \
                wait_data data repaired lost duplicates naks ncfs sessions announced memory \
                ifindex uid inode\n",
            &[
                receiver.trail,
                receiver.lead,
                receiver.rate_recent_kbit,
                receiver.buffered,
                receiver.missing,
                socket.back_off.into(),
                socket.wait_ncf.into(),
                socket.wait_data.into(),
                receiver.odata.wrapping_add(receiver.rdata),
                receiver.repaired,
                receiver.lost,
                receiver.duplicates,
                receiver.naks,
                receiver.ncfs,
                socket.sessions.into(),
                socket.announced.into(),
                socket.receive_memory.into(),
            ],
        )
    }
}
