// SPDX-License-Identifier: GPL-2.0

//! The library as a whole: beginning and end, log, time, version.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::now;
use crate::abi::*;
use crate::options::IPPROTO_PGM;

static USERS: AtomicUsize = AtomicUsize::new(0);

#[no_mangle]
pub extern "C" fn pgm_init(_error: *mut *mut pgm_error_t) -> bool {
    USERS.fetch_add(1, Ordering::Relaxed);
    true
}

#[no_mangle]
pub extern "C" fn pgm_supported() -> bool {
    USERS.load(Ordering::Relaxed) > 0
}

#[no_mangle]
pub extern "C" fn pgm_shutdown() -> bool {
    let left = |users: usize| users.checked_sub(1);
    USERS
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
        .is_ok()
}

/// Nothing here ever had a privilege.
#[no_mangle]
pub extern "C" fn pgm_drop_superuser() {}

type Log = Option<extern "C" fn(c_int, *const c_char, *mut c_void)>;

static LOG: Mutex<Log> = Mutex::new(None);

/// The library has nothing to say: what goes wrong is in errors and in the kernel's counters.
#[no_mangle]
pub extern "C" fn pgm_log_set_handler(handler: Log, _closure: *mut c_void) -> Log {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *log, handler)
}

#[no_mangle]
pub extern "C" fn pgm_messages_init() {}

#[no_mangle]
pub extern "C" fn pgm_messages_shutdown() {}

#[no_mangle]
pub static pgm_log_mask: AtomicI32 = AtomicI32::new(0xFFF); // programs write to it
#[no_mangle]
pub static pgm_min_log_level: AtomicI32 = AtomicI32::new(3);
#[no_mangle]
pub static pgm_mem_gc_friendly: AtomicBool = AtomicBool::new(false);
#[no_mangle]
pub static pgm_ipproto_pgm: AtomicI32 = AtomicI32::new(IPPROTO_PGM);
#[no_mangle]
pub static pgm_major_version: c_uint = 5;
#[no_mangle]
pub static pgm_minor_version: c_uint = 3;
#[no_mangle]
pub static pgm_micro_version: c_uint = 128;

/// A string that a program finds in a variable.
#[repr(transparent)]
pub struct Text(*const c_char);

// SAFETY: it points to a constant.
unsafe impl Sync for Text {}

#[no_mangle]
pub static pgm_build_date: Text = Text(c"".as_ptr());
#[no_mangle]
pub static pgm_build_time: Text = Text(c"".as_ptr());
#[no_mangle]
pub static pgm_build_system: Text = Text(c"Linux".as_ptr());
#[no_mangle]
pub static pgm_build_machine: Text = Text(c"kernel".as_ptr());
#[no_mangle]
pub static pgm_build_revision: Text = Text(c"PGM for Linux".as_ptr());

unsafe extern "C" fn since_epoch(time: *const u64, seconds: *mut libc::time_t) {
    // SAFETY: the caller of pgm_time_since_epoch() gives two valid pointers.
    unsafe { *seconds = libc::time_t::try_from(*time / 1_000_000).unwrap_or(libc::time_t::MAX) }
}

#[no_mangle]
pub static pgm_time_update_now: extern "C" fn() -> u64 = now;
#[no_mangle]
pub static pgm_time_since_epoch: unsafe extern "C" fn(*const u64, *mut libc::time_t) = since_epoch;
