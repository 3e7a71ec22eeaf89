// SPDX-License-Identifier: GPL-2.0

//! Global Source IDs and session identifiers.

use std::ffi::{c_char, c_int};
use std::net::IpAddr;
use std::ptr;

use super::addresses::interfaces;
use super::{fill, guard, now, report};
use crate::abi::*;
use crate::failure::Failure;
use crate::gsi;

/// # Safety
///
/// `tsi` is valid, or NULL; `text` can be written for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn pgm_tsi_print_r(
    tsi: *const pgm_tsi_t,
    text: *mut c_char,
    len: usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(tsi) = (unsafe { tsi.as_ref() }) else {
        return -1;
    };
    guard(-1, || {
        let words = gsi::tsi_text(*tsi);
        match fill(&words, text, len).is_null() {
            true => -1,
            false => c_int::try_from(words.len()).unwrap_or(-1),
        }
    })
}

/// A buffer of the library, as these functions have it: the next call overwrites it.
struct Shared<const N: usize>(std::cell::UnsafeCell<[c_char; N]>);

// SAFETY: only pgm_tsi_print() and pgm_gsi_print() use it, which programs of several threads must
// not call: <pgm/tsi.h> has the others for these.
unsafe impl<const N: usize> Sync for Shared<N> {}

static TSI_TEXT: Shared<64> = Shared(std::cell::UnsafeCell::new([0; 64]));
static GSI_TEXT: Shared<64> = Shared(std::cell::UnsafeCell::new([0; 64]));

/// # Safety
///
/// `tsi` is valid, or NULL; no other thread calls this.
#[no_mangle]
pub unsafe extern "C" fn pgm_tsi_print(tsi: *const pgm_tsi_t) -> *mut c_char {
    let text = TSI_TEXT.0.get().cast();
    // SAFETY: as the caller vouches; the buffer has 64 bytes.
    match unsafe { pgm_tsi_print_r(tsi, text, 64) } {
        -1 => ptr::null_mut(),
        _ => text,
    }
}

/// # Safety
///
/// Both are valid, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_tsi_equal(one: *const pgm_tsi_t, other: *const pgm_tsi_t) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { one.as_ref().is_some_and(|one| other.as_ref() == Some(one)) }
}

/// # Safety
///
/// `identifier` can be written, or is NULL; `data` can be read for `len` bytes, or is NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_create_from_data(
    identifier: *mut [u8; 6],
    data: *const u8,
    len: usize,
) -> bool {
    if data.is_null() || len == 0 {
        return false;
    }
    // SAFETY: as the caller vouches.
    let (data, identifier) =
        unsafe { (std::slice::from_raw_parts(data, len), identifier.as_mut()) };
    let Some(identifier) = identifier else {
        return false;
    };
    guard(false, || {
        *identifier = gsi::from_data(data);
        true
    })
}

/// # Safety
///
/// As of pgm_gsi_create_from_data(); with a negative length `text` ends in a zero byte.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_create_from_string(
    identifier: *mut [u8; 6],
    text: *const c_char,
    len: isize,
) -> bool {
    if text.is_null() {
        return false;
    }
    // SAFETY: as the caller vouches.
    let len = usize::try_from(len).unwrap_or_else(|_| unsafe { libc::strlen(text) });
    // SAFETY: as the caller vouches.
    unsafe { pgm_gsi_create_from_data(identifier, text.cast(), len) }
}

/// # Safety
///
/// `identifier` can be written, or is NULL; `error` can hold an error, or is NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_create_from_hostname(
    identifier: *mut [u8; 6],
    error: *mut *mut pgm_error_t,
) -> bool {
    guard(false, || {
        match std::fs::read_to_string("/proc/sys/kernel/hostname") {
            Ok(name) => {
                let name = name.trim_end();
                // SAFETY: the caller vouches for `identifier`; `name` is as long as it says.
                unsafe { pgm_gsi_create_from_data(identifier, name.as_ptr(), name.len()) }
            }
            Err(cause) => {
                report(
                    error,
                    &Failure::system("cannot read the name of this host", &cause),
                );
                false
            }
        }
    })
}

/// # Safety
///
/// As of pgm_gsi_create_from_hostname().
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_create_from_addr(
    identifier: *mut [u8; 6],
    error: *mut *mut pgm_error_t,
) -> bool {
    // SAFETY: as the caller vouches.
    let Some(identifier) = (unsafe { identifier.as_mut() }) else {
        return false;
    };
    guard(false, || {
        let own = interfaces()
            .into_iter()
            .find_map(|interface| match interface.address {
                IpAddr::V4(address) if !address.is_loopback() => Some(address),
                _ => None,
            });
        let Some(address) = own else {
            report(
                error,
                &Failure::network(PGM_ERROR_NODEV, "this host has no IPv4 address"),
            );
            return false;
        };
        let [a, b, c, d] = address.octets();
        let [.., e, f] = gsi::from_data(&now().to_ne_bytes());
        *identifier = [a, b, c, d, e, f];
        true
    })
}

/// # Safety
///
/// `identifier` is valid, or NULL; `text` can be written for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_print_r(
    identifier: *const [u8; 6],
    text: *mut c_char,
    len: usize,
) -> c_int {
    // SAFETY: as the caller vouches.
    let Some(identifier) = (unsafe { identifier.as_ref() }) else {
        return -1;
    };
    guard(-1, || {
        let words = gsi::text(*identifier);
        match fill(&words, text, len).is_null() {
            true => -1,
            false => c_int::try_from(words.len()).unwrap_or(-1),
        }
    })
}

/// # Safety
///
/// `identifier` is valid, or NULL; no other thread calls this.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_print(identifier: *const [u8; 6]) -> *mut c_char {
    let text = GSI_TEXT.0.get().cast();
    // SAFETY: as the caller vouches; the buffer has 64 bytes.
    match unsafe { pgm_gsi_print_r(identifier, text, 64) } {
        -1 => ptr::null_mut(),
        _ => text,
    }
}

/// # Safety
///
/// Both are valid, or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsi_equal(one: *const [u8; 6], other: *const [u8; 6]) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { one.as_ref().is_some_and(|one| other.as_ref() == Some(one)) }
}
