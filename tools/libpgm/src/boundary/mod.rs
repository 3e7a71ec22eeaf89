// SPDX-License-Identifier: GPL-2.0

//! Where C comes in: the functions of `<pgm/pgm.h>`. Each checks its pointers, turns them into what
//! the rest of the library works with, and lets no panic out.

#![allow(unsafe_code, non_camel_case_types, non_upper_case_globals)]

mod addresses;
mod engine;
mod identifiers;
mod memory;
mod messages;
mod sockets;

use std::ffi::{c_char, c_int, c_void, CString};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::abi::pgm_error_t;
use crate::failure::Failure;

/// Runs the body of a function; what it returns if it panics.
fn guard<T>(panicked: T, body: impl FnOnce() -> T) -> T {
    // What a panic leaves behind is behind locks that do not mind.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(panicked)
}

fn set_errno(errno: c_int) {
    // SAFETY: the location of errno is always valid for the thread that asks.
    unsafe { *libc::__errno_location() = errno }
}

/// True, or errno and false.
fn done(result: io::Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            set_errno(error.raw_os_error().unwrap_or(libc::EIO));
            false
        }
    }
}

/// A string for C, in memory of malloc().
fn c_string(text: &str) -> *mut c_char {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: `text` is a string of C; strdup() copies it.
    unsafe { libc::strdup(text.as_ptr()) }
}

/// Copies a text into a buffer of C, cut to what fits; returns the buffer.
fn fill(text: &str, buffer: *mut c_char, len: usize) -> *mut c_char {
    if buffer.is_null() || len == 0 {
        return ptr::null_mut();
    }
    let text = text.as_bytes();
    let count = text.len().min(len - 1);
    // SAFETY: the caller says that `len` bytes can be written; count + 1 are no more than that.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), count);
        *buffer.add(count) = 0;
    }
    buffer
}

/// Reports a failure through a `pgm_error_t **`, if there is one and it is free.
fn report(error: *mut *mut pgm_error_t, failure: &Failure) {
    // SAFETY: the caller of a function with an error gives NULL or a valid place for a pointer.
    let Some(place) = (unsafe { error.as_mut() }) else {
        return;
    };
    // SAFETY: the size is not 0; what comes back is checked.
    let new: *mut pgm_error_t = unsafe { libc::malloc(size_of::<pgm_error_t>()) }.cast();
    if !place.is_null() || new.is_null() {
        // SAFETY: of malloc() a line above, or NULL.
        unsafe { libc::free(new.cast()) };
        return;
    }
    let value = pgm_error_t {
        domain: failure.domain,
        code: failure.code,
        message: c_string(&failure.message),
    };
    // SAFETY: `new` has the size and, by malloc(), the alignment.
    unsafe { new.write(value) };
    *place = new;
}

fn reported(result: Result<(), Failure>, error: *mut *mut pgm_error_t) -> bool {
    if let Err(failure) = &result {
        report(error, failure);
    }
    result.is_ok()
}

/// Memory that is there or ends the process, as OpenPGM has it.
fn allocate(count: usize, size: usize, clear: bool) -> *mut c_void {
    let total = match count.checked_mul(size) {
        Some(0) => return ptr::null_mut(),
        total => total.unwrap_or(usize::MAX),
    };
    // SAFETY: malloc() and calloc() take any size.
    let memory = unsafe {
        match clear {
            true => libc::calloc(1, total),
            false => libc::malloc(total),
        }
    };
    if memory.is_null() {
        std::process::abort();
    }
    memory
}

/// Microseconds since 1970.
extern "C" fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn no_panic_gets_out() {
        assert_eq!(guard(7, || panic!("in a test")), 7);
        assert_eq!(guard(7, || 8), 8);
    }

    #[test]
    fn texts_are_cut_to_what_fits() {
        let mut buffer = [1 as c_char; 8];
        let text = fill("0123456789", buffer.as_mut_ptr(), 5);
        // SAFETY: fill() ends what it writes with a zero byte.
        assert_eq!(unsafe { CStr::from_ptr(text) }, c"0123");
        assert_eq!(buffer[5], 1);
        assert!(fill("0", buffer.as_mut_ptr(), 0).is_null());
        assert!(fill("0", ptr::null_mut(), 5).is_null());
    }

    #[test]
    fn failures_become_errors_of_c() {
        let failure = Failure::network(8, "a\0b");
        let mut error = ptr::null_mut();
        report(&mut error, &failure);
        // An error that is there stays.
        report(&mut error, &Failure::network(9, "late"));
        report(ptr::null_mut(), &failure);
        // SAFETY: report() made a valid error, which pgm_error_free() takes back.
        unsafe {
            assert_eq!(((*error).domain, (*error).code), (0, 8));
            assert_eq!(CStr::from_ptr((*error).message), c"a b");
            memory::pgm_error_free(error);
        }
    }
}
