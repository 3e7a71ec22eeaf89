// SPDX-License-Identifier: GPL-2.0

//! Networks and interfaces.

use std::ffi::{c_char, c_int, CStr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use super::{allocate, fill, guard, report};
use crate::abi::*;
use crate::network::{Interface, Network};
use crate::sys;

/// The addresses of this host's interfaces that are up.
pub fn interfaces() -> Vec<Interface> {
    let mut list = ptr::null_mut();
    // SAFETY: `list` can hold a pointer.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: getifaddrs() gave a list that ends in NULL and lives until freeifaddrs(); names end in
    // a zero byte, and addresses are as large as their family says.
    unsafe {
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            let (address, mask) = (ip(entry.ifa_addr), ip(entry.ifa_netmask));
            let (Some(address), Some(mask)) = (address, mask) else {
                continue;
            };
            let name = CStr::from_ptr(entry.ifa_name)
                .to_string_lossy()
                .into_owned();
            found.push(Interface {
                index: sys::interface_index(&name).unwrap_or(0),
                name,
                address,
                mask,
            });
        }
        libc::freeifaddrs(list);
    }
    found
}

/// # Safety
///
/// `address` is NULL or an address that is as large as its family says.
unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: as the caller vouches.
    unsafe {
        match c_int::from(address.as_ref()?.sa_family) {
            libc::AF_INET => {
                let address = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let address = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

/// # Safety
///
/// `network` is a string; `hints` is valid, or NULL; `result` can hold a pointer; `error` can hold an
/// error, or is NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_getaddrinfo(
    network: *const c_char,
    hints: *const pgm_addrinfo_t,
    result: *mut *mut pgm_addrinfo_t,
    error: *mut *mut pgm_error_t,
) -> bool {
    if network.is_null() || result.is_null() {
        return false;
    }
    guard(false, || {
        // SAFETY: as the caller vouches.
        let (text, family) = unsafe {
            let family = hints
                .as_ref()
                .map_or(libc::AF_UNSPEC, |hints| hints.ai_family.into());
            (CStr::from_ptr(network).to_string_lossy(), family)
        };
        let network = match Network::parse(&text, family, &interfaces()) {
            Ok(network) => network,
            Err(failure) => {
                report(error, &failure);
                return false;
            }
        };
        // One piece of memory: the structure, then all addresses.
        let requests: Vec<_> = network.receive.iter().chain(&network.send).collect();
        let size = size_of::<pgm_addrinfo_t>() + requests.len() * size_of::<pgm_group_source_req>();
        let memory = allocate(1, size, true);
        // SAFETY: the memory is as large as all of this, and both structures have an alignment that
        // malloc() keeps and the size of the first one does not break (both are multiples of 8).
        unsafe {
            let info: *mut pgm_addrinfo_t = memory.cast();
            let first: *mut pgm_group_source_req = info.add(1).cast();
            for (n, request) in requests.into_iter().enumerate() {
                first.add(n).write(*request);
            }
            info.write(pgm_addrinfo_t {
                ai_family: libc::sa_family_t::try_from(network.family).unwrap_or(0),
                ai_recv_addrs_len: u32::try_from(network.receive.len()).unwrap_or(0),
                ai_recv_addrs: first,
                ai_send_addrs_len: u32::try_from(network.send.len()).unwrap_or(0),
                ai_send_addrs: first.add(network.receive.len()),
            });
            *result = info;
        }
        true
    })
}

/// # Safety
///
/// `info` is of pgm_getaddrinfo(), or NULL.
#[no_mangle]
pub unsafe extern "C" fn pgm_freeaddrinfo(info: *mut pgm_addrinfo_t) {
    // SAFETY: as the caller vouches; it is one piece of memory.
    unsafe { libc::free(info.cast()) }
}

/// # Safety
///
/// `request` is valid, or NULL; `text` can be written for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn pgm_gsr_to_string(
    request: *const pgm_group_source_req,
    text: *mut c_char,
    len: usize,
) -> *mut c_char {
    // SAFETY: as the caller vouches.
    let words = unsafe { request.as_ref() }.map(|request| format!("{request:?}"));
    guard(ptr::null_mut(), || {
        fill(&words.unwrap_or_default(), text, len)
    })
}

/// # Safety
///
/// `info` is of pgm_getaddrinfo(), or NULL; `text` can be written for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn pgm_addrinfo_to_string(
    info: *const pgm_addrinfo_t,
    text: *mut c_char,
    len: usize,
) -> *mut c_char {
    guard(ptr::null_mut(), || {
        let list = |first: *const pgm_group_source_req, count: u32| match first.is_null() {
            true => &[][..],
            // SAFETY: as the caller vouches, there are so many.
            false => unsafe { std::slice::from_raw_parts(first, count as usize) },
        };
        // SAFETY: as the caller vouches.
        let words = unsafe { info.as_ref() }.map(|info| {
            let receive = list(info.ai_recv_addrs, info.ai_recv_addrs_len);
            let send = list(info.ai_send_addrs, info.ai_send_addrs_len);
            format!("receive {receive:?}, send {send:?}")
        });
        fill(&words.unwrap_or_default(), text, len)
    })
}

#[no_mangle]
pub extern "C" fn pgm_if_print_all() {
    guard((), || {
        for Interface {
            name,
            index,
            address,
            mask,
        } in interfaces()
        {
            println!("{index}: {name} {address} mask {mask}");
        }
    });
}
