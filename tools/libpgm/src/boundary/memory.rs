// SPDX-License-Identifier: GPL-2.0

//! Memory, errors and socket buffers.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::sockets::pgm_sock_t;
use super::{allocate, now};
use crate::abi::*;
use crate::failure;

#[no_mangle]
pub extern "C" fn pgm_malloc(size: usize) -> *mut c_void {
    allocate(1, size, false)
}

#[no_mangle]
pub extern "C" fn pgm_malloc_n(count: usize, size: usize) -> *mut c_void {
    allocate(count, size, false)
}

#[no_mangle]
pub extern "C" fn pgm_malloc0(size: usize) -> *mut c_void {
    allocate(1, size, true)
}

#[no_mangle]
pub extern "C" fn pgm_malloc0_n(count: usize, size: usize) -> *mut c_void {
    allocate(count, size, true)
}

/// # Safety
///
/// `memory` can be read for `size` bytes, or is NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_memdup(memory: *const c_void, size: usize) -> *mut c_void {
    if memory.is_null() {
        return ptr::null_mut();
    }
    let copy = allocate(1, size, false);
    if !copy.is_null() {
        // SAFETY: the caller vouches for `memory`; `copy` is new and as large.
        unsafe { ptr::copy_nonoverlapping(memory.cast::<u8>(), copy.cast(), size) };
    }
    copy
}

/// # Safety
///
/// `memory` is of this family of functions, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: as the caller vouches.
    let memory = unsafe { libc::realloc(memory, size) };
    if memory.is_null() && size > 0 {
        std::process::abort();
    }
    memory
}

/// # Safety
///
/// `memory` is of this family of functions, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_free(memory: *mut c_void) {
    // SAFETY: as the caller vouches.
    unsafe { libc::free(memory) }
}

/// # Safety
///
/// `error` is an error of this library, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_error_free(error: *mut pgm_error_t) {
    // SAFETY: as the caller vouches; error and message are of malloc().
    unsafe {
        if let Some(error) = error.as_ref() {
            libc::free(error.message.cast());
        }
        libc::free(error.cast());
    }
}

/// # Safety
///
/// `error` is NULL or holds an error of this library, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_clear_error(error: *mut *mut pgm_error_t) {
    // SAFETY: as the caller vouches.
    unsafe {
        if let Some(place) = error.as_mut() {
            pgm_error_free(std::mem::replace(place, ptr::null_mut()));
        }
    }
}

/// # Safety
///
/// `to` is NULL or can hold an error; `error` is an error of this library, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_propagate_error(to: *mut *mut pgm_error_t, error: *mut pgm_error_t) {
    // SAFETY: as the caller vouches.
    unsafe {
        match to.as_mut() {
            Some(place) if place.is_null() => *place = error,
            _ => pgm_error_free(error),
        }
    }
}

#[no_mangle]
pub extern "C" fn pgm_error_from_errno(errno: c_int) -> c_int {
    failure::from_errno(errno)
}

#[no_mangle]
pub extern "C" fn pgm_error_from_h_errno(h_errno: c_int) -> c_int {
    failure::from_h_errno(h_errno)
}

#[no_mangle]
pub extern "C" fn pgm_error_from_eai_errno(eai: c_int, errno: c_int) -> c_int {
    failure::from_eai(eai, errno)
}

/// A message in the hands of the library; the program may have it too.
pub struct Buffer(pub *mut pgm_sk_buff_t);

// SAFETY: memory of malloc() belongs to no thread; the count of users is changed by atomic instructions.
unsafe impl Send for Buffer {}

impl Buffer {
    pub fn new(sock: *mut pgm_sock_t, data: &[u8], tsi: pgm_tsi_t, sequence: u32) -> Self {
        let head = size_of::<pgm_sk_buff_t>();
        let size = head + data.len();
        let skb: *mut pgm_sk_buff_t = allocate(1, size, true).cast();
        // SAFETY: the memory is zeroed, which is a valid pgm_sk_buff_t, and has room for the data
        // behind it; nobody else knows it yet.
        unsafe {
            let begin: *mut u8 = skb.add(1).cast();
            ptr::copy_nonoverlapping(data.as_ptr(), begin, data.len());
            let end = begin.add(data.len()).cast();
            let skb = &mut *skb;
            skb.sock = sock.cast();
            skb.tstamp = now();
            skb.tsi = tsi;
            skb.sequence = sequence;
            skb.len = u16::try_from(data.len()).unwrap_or(u16::MAX);
            (skb.head, skb.data) = (begin.cast(), begin.cast());
            (skb.tail, skb.end) = (end, end);
            skb.truesize = u32::try_from(size).unwrap_or(u32::MAX);
            skb.users = 1;
        }
        Self(skb)
    }

    /// For one more user, the program, which ends its use by pgm_free_skb().
    pub fn shared(&self) -> *mut pgm_sk_buff_t {
        // SAFETY: alive as long as self; `users` is aligned.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.0).users) }.fetch_add(1, Ordering::AcqRel);
        self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: alive until the last user is gone, and this is one.
        unsafe {
            let users = AtomicU32::from_ptr(&raw mut (*self.0).users);
            if users.fetch_sub(1, Ordering::AcqRel) == 1 {
                libc::free(self.0.cast());
            }
        }
    }
}

/// # Safety
///
/// `skb` is valid, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_skb_is_valid(skb: *const pgm_sk_buff_t) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { skb.as_ref() }.is_some_and(|skb| {
        let edges = [skb.head, skb.data, skb.tail, skb.end];
        !skb.head.is_null() && edges.is_sorted() && skb.users > 0
    })
}

#[no_mangle]
pub extern "C" fn pgm_skb_over_panic(_skb: *const pgm_sk_buff_t, _len: u16) -> ! {
    std::process::abort()
}

#[no_mangle]
pub extern "C" fn pgm_skb_under_panic(_skb: *const pgm_sk_buff_t, _len: u16) -> ! {
    std::process::abort()
}
