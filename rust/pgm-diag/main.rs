// SPDX-License-Identifier: GPL-2.0

//! sock_diag(7) of PGM sockets (include/uapi/linux/pgm_diag.h): a message for each row that pgm.ko
//! has. A module of its own, so that pgm.ko does not need inet_diag.ko.

// Inherited from C: every entry point is an unsafe function by nature.
#![deny(unsafe_op_in_unsafe_fn)]

use core::mem::{size_of, zeroed};
use core::ptr::{addr_of, addr_of_mut, from_ref};

use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use kernel::ModuleMetadata;
use pgm_bindings as b;

module! {
    type: PgmDiag,
    name: "pgm_diag",
    authors: ["PGM for Linux"],
    description: "PGM socket monitoring via SOCK_DIAG",
    license: "GPL",
    alias: ["net-pf-16-proto-4-type-2-113"],
}

/// The handler, registered.
struct PgmDiag;

impl kernel::Module for PgmDiag {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: The handler is static; it is taken back when the module goes.
        kernel::error::to_result(unsafe { b::inet_diag_register(addr_of!(HANDLER.0)) })?;
        Ok(Self)
    }
}

impl Drop for PgmDiag {
    fn drop(&mut self) {
        // SAFETY: Registered in `init`.
        unsafe { b::inet_diag_unregister(addr_of!(HANDLER.0)) };
    }
}

/// A table that is only read.
struct Constant<T>(T);

// SAFETY: Never written.
unsafe impl<T> Sync for Constant<T> {}

static HANDLER: Constant<b::inet_diag_handler> = Constant(b::inet_diag_handler {
    owner: PgmDiag::THIS_MODULE.as_ptr(),
    dump: Some(dump),
    dump_one: Some(dump_one),
    idiag_get_info: Some(get_info),
    idiag_type: b::IPPROTO_PGM as u16,
    ..pin_init::zeroed()
});

/// All rows: goes on where the last call stopped, until the buffer is full.
///
/// # Safety
///
/// Called by the kernel for a process that dumps; no lock is held that a socket lock may not be
/// taken in.
unsafe extern "C" fn dump(
    skb: *mut b::sk_buff,
    callback: *mut b::netlink_callback,
    request: *const b::inet_diag_req_v2,
) {
    // SAFETY: By the caller; the context of a dump begins zeroed and is longer than a place, which
    // is nothing but integers, as is a row but for its pointer.
    unsafe {
        let net = b::pgm_diag_net(skb);
        let place: *mut b::pgm_place = addr_of_mut!((*callback).__bindgen_anon_1).cast();
        // To the last table there is.
        (*place).end = u32::MAX;
        let mut row: b::pgm_row = zeroed();
        loop {
            let before = place.read();
            if !b::pgm_next_row(net, place, &mut row) {
                return;
            }
            let fits = !wanted(&row, callback, request) || put(skb, callback, &*request, &row);
            b::pgm_diag_sock_put(row.sk);
            if !fits {
                // The next call begins with it.
                place.write(before);
                return;
            }
        }
    }
}

/// Whether the request asks for the row's socket.
///
/// # Safety
///
/// The arguments are those of a dump, and a row of it.
unsafe fn wanted(
    row: &b::pgm_row,
    callback: *const b::netlink_callback,
    request: *const b::inet_diag_req_v2,
) -> bool {
    // SAFETY: By the caller; the row holds its socket.
    unsafe {
        let family = (*row.sk).__sk_common.skc_family;
        let states = (*request).idiag_states;
        u16::from((*request).sdiag_family) == family
            && states & 1u32.wrapping_shl(b::pgm_diag_state(row.sk).into()) != 0
            && b::inet_diag_bc_sk((*callback).data.cast(), row.sk) != 0
    }
}

/// Appends the row's message; false if there is no room.
///
/// # Safety
///
/// As for [`wanted`].
unsafe fn put(
    skb: *mut b::sk_buff,
    callback: *const b::netlink_callback,
    request: &b::inet_diag_req_v2,
    row: &b::pgm_row,
) -> bool {
    let extensions = request.idiag_ext;
    let asked = |extension: u32| {
        let bit = 1u32.wrapping_shl(extension.wrapping_sub(1));
        u32::from(extensions) & bit != 0
    };
    // SAFETY: By the caller; the message has room for its head.
    unsafe {
        let header = b::pgm_diag_put(skb, callback);
        if header.is_null() {
            return false;
        }
        let message = b::pgm_diag_msg(header);
        message.write(zeroed());
        b::inet_diag_msg_common_fill(message, row.sk);
        (*message).idiag_state = b::pgm_diag_state(row.sk);
        set_queues(&mut *message, &row.socket);
        let role = u32::from(row.socket.role);
        let done = b::pgm_diag_put_attrs(row.sk, skb, message, extensions.into(), callback) == 0
            && (!asked(b::INET_DIAG_SKMEMINFO)
                || b::sock_diag_put_meminfo(row.sk, skb, b::INET_DIAG_SKMEMINFO as c_int) == 0)
            && attribute(skb, b::PGM_DIAG_SOCKET, &row.socket)
            && match role {
                b::PGM_DIAG_SOURCE => attribute(skb, b::PGM_DIAG_SENDER, &row.sender),
                b::PGM_DIAG_SESSION | b::PGM_DIAG_PEER => {
                    attribute(skb, b::PGM_DIAG_RECEIVER, &row.receiver)
                }
                _ => true,
            };
        if done {
            b::pgm_diag_end(skb, header);
        } else {
            b::pgm_diag_cancel(skb, header);
        }
        done
    }
}

/// # Safety
///
/// `skb` is the buffer of a dump, and `value` has no padding.
unsafe fn attribute<T>(skb: *mut b::sk_buff, kind: u32, value: &T) -> bool {
    // SAFETY: By the caller.
    unsafe {
        let bytes: *const c_void = from_ref(value).cast();
        b::nla_put(skb, kind as c_int, size_of::<T>() as c_int, bytes) == 0
    }
}

/// Both are what waits, in bytes; of a listener, sessions.
fn set_queues(message: &mut b::inet_diag_msg, socket: &b::pgm_diag_socket) {
    message.idiag_rqueue = match u32::from(socket.role) {
        b::PGM_DIAG_LISTENER => socket.sessions,
        _ => socket.receive_memory,
    };
    message.idiag_wqueue = socket.queued_bytes;
}

/// One socket by its name: a name does not say which of many sessions is meant.
///
/// # Safety
///
/// None needed.
unsafe extern "C" fn dump_one(
    _callback: *mut b::netlink_callback,
    _request: *const b::inet_diag_req_v2,
) -> c_int {
    EOPNOTSUPP.to_errno()
}

/// Without a row nothing is known.
///
/// # Safety
///
/// `message` is valid.
unsafe extern "C" fn get_info(
    _sk: *mut b::sock,
    message: *mut b::inet_diag_msg,
    _info: *mut c_void,
) {
    // SAFETY: By the caller.
    unsafe {
        (*message).idiag_rqueue = 0;
        (*message).idiag_wqueue = 0;
    }
}
