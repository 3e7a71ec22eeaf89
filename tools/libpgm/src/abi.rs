// SPDX-License-Identifier: GPL-2.0

//! Structures and numbers of `<pgm/pgm.h>`. `layout.txt` has them as the C compiler sees them; a
//! selftest compares it with the header.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_int, c_void};

/// `pgm_tsi_t`; the port in network order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct pgm_tsi_t {
    pub gsi: [u8; 6],
    pub sport: u16,
}

impl pgm_tsi_t {
    /// Of struct pgm_tsi of the kernel.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, high, low] = bytes;
        Self {
            gsi: [a, b, c, d, e, f],
            sport: u16::from_ne_bytes([high, low]),
        }
    }

    /// As struct pgm_tsi of the kernel.
    pub fn to_bytes(self) -> [u8; 8] {
        let ([a, b, c, d, e, f], [high, low]) = (self.gsi, self.sport.to_ne_bytes());
        [a, b, c, d, e, f, high, low]
    }
}

/// `struct pgm_sockaddr_t`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct pgm_sockaddr_t {
    pub sa_port: u16,
    pub sa_addr: pgm_tsi_t,
}

/// struct sockaddr_storage as bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Storage(pub [u8; 128]);

/// `struct pgm_group_source_req`; begins with struct group_req, and struct group_source_req.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct pgm_group_source_req {
    pub gsr_interface: u32,
    pub gsr_group: Storage,
    pub gsr_source: Storage,
    pub gsr_addr: Storage,
}

/// `struct pgm_interface_req_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct pgm_interface_req_t {
    pub ir_interface: u32,
    pub ir_scope_id: u32,
    pub ir_address: Storage,
}

/// `struct pgm_addrinfo_t`
#[repr(C)]
pub struct pgm_addrinfo_t {
    pub ai_family: libc::sa_family_t,
    pub ai_recv_addrs_len: u32,
    pub ai_recv_addrs: *mut pgm_group_source_req,
    pub ai_send_addrs_len: u32,
    pub ai_send_addrs: *mut pgm_group_source_req,
}

/// `struct pgm_error_t`
#[repr(C)]
pub struct pgm_error_t {
    pub domain: c_int,
    pub code: c_int,
    pub message: *mut c_char,
}

/// `struct pgm_iovec`
#[repr(C)]
pub struct pgm_iovec {
    pub iov_base: *mut c_void,
    pub iov_len: usize,
}

/// `PGM_MAX_FRAGMENTS`
pub const MAX_FRAGMENTS: usize = 16;

/// `struct pgm_msgv_t`
#[repr(C)]
pub struct pgm_msgv_t {
    pub msgv_len: u32,
    pub msgv_skb: [*mut pgm_sk_buff_t; MAX_FRAGMENTS],
}

/// `struct pgm_sk_buff_t`
#[repr(C)]
pub struct pgm_sk_buff_t {
    /// `pgm_list_t`: data, next, prev.
    pub link_: [*mut c_void; 3],
    pub sock: *mut c_void,
    /// Microseconds.
    pub tstamp: u64,
    pub tsi: pgm_tsi_t,
    pub sequence: u32,
    pub __padding: u32,
    pub cb: [u8; 48],
    pub len: u16,
    /// A bit-field that begins right behind `len`, and one that does not fit there any more.
    pub zero_padded: u16,
    pub __padding2: u32,
    pub pgm_header: *mut c_void,
    pub pgm_opt_fragment: *mut c_void,
    pub pgm_opt_pgmcc_data: *mut c_void,
    pub pgm_data: *mut c_void,
    pub head: *mut c_void,
    pub data: *mut c_void,
    pub tail: *mut c_void,
    pub end: *mut c_void,
    pub truesize: u32,
    /// Changed by inline functions of the header with atomic instructions.
    pub users: u32,
}

macro_rules! numbers {
    ($($name:ident = $value:expr;)*) => {
        $(pub const $name: c_int = $value;)*

        #[cfg(test)]
        const NUMBERS: &[(&str, c_int)] = &[$((stringify!($name), $name),)*];
    };
}

numbers! {
    PGM_SEND_SOCK = 0x2000;
    PGM_RECV_SOCK = 0x2001;
    PGM_REPAIR_SOCK = 0x2002;
    PGM_PENDING_SOCK = 0x2003;
    PGM_TIME_REMAIN = 0x2005;
    PGM_RATE_REMAIN = 0x2006;
    PGM_IP_ROUTER_ALERT = 0x2007;
    PGM_MTU = 0x2008;
    PGM_MSSS = 0x2009;
    PGM_MSS = 0x200a;
    PGM_PDU = 0x200b;
    PGM_MULTICAST_LOOP = 0x200c;
    PGM_MULTICAST_HOPS = 0x200d;
    PGM_TOS = 0x200e;
    PGM_AMBIENT_SPM = 0x200f;
    PGM_HEARTBEAT_SPM = 0x2010;
    PGM_TXW_SQNS = 0x2012;
    PGM_TXW_SECS = 0x2013;
    PGM_TXW_MAX_RTE = 0x2014;
    PGM_PEER_EXPIRY = 0x2015;
    PGM_SPMR_EXPIRY = 0x2016;
    PGM_RXW_SQNS = 0x2018;
    PGM_RXW_SECS = 0x2019;
    PGM_RXW_MAX_RTE = 0x201a;
    PGM_NAK_BO_IVL = 0x201b;
    PGM_NAK_RPT_IVL = 0x201c;
    PGM_NAK_RDATA_IVL = 0x201d;
    PGM_NAK_DATA_RETRIES = 0x201e;
    PGM_NAK_NCF_RETRIES = 0x201f;
    PGM_SEND_ONLY = 0x2023;
    PGM_RECV_ONLY = 0x2024;
    PGM_PASSIVE = 0x2025;
    PGM_ABORT_ON_RESET = 0x2026;
    PGM_NOBLOCK = 0x2027;
    PGM_SEND_GROUP = 0x2028;
    PGM_JOIN_GROUP = 0x2029;
    PGM_LEAVE_GROUP = 0x202a;
    PGM_BLOCK_SOURCE = 0x202b;
    PGM_UNBLOCK_SOURCE = 0x202c;
    PGM_JOIN_SOURCE_GROUP = 0x202d;
    PGM_LEAVE_SOURCE_GROUP = 0x202e;
    PGM_MSFILTER = 0x202f;
    PGM_UDP_ENCAP_UCAST_PORT = 0x2030;
    PGM_UDP_ENCAP_MCAST_PORT = 0x2031;
    PGM_ODATA_MAX_RTE = 0x2034;
    PGM_IO_STATUS_ERROR = 0;
    PGM_IO_STATUS_NORMAL = 1;
    PGM_IO_STATUS_RESET = 2;
    PGM_IO_STATUS_WOULD_BLOCK = 5;
    PGM_IO_STATUS_RATE_LIMITED = 6;
    PGM_ERROR_DOMAIN_IF = 0;
    PGM_ERROR_DOMAIN_RECV = 2;
    PGM_ERROR_DOMAIN_SOCKET = 4;
    PGM_ERROR_ADDRFAMILY = 0;
    PGM_ERROR_AFNOSUPPORT = 1;
    PGM_ERROR_AGAIN = 2;
    PGM_ERROR_BADF = 4;
    PGM_ERROR_CONNRESET = 7;
    PGM_ERROR_FAIL = 8;
    PGM_ERROR_FAULT = 9;
    PGM_ERROR_INTR = 11;
    PGM_ERROR_INVAL = 12;
    PGM_ERROR_MFILE = 13;
    PGM_ERROR_NFILE = 14;
    PGM_ERROR_NOBUFS = 15;
    PGM_ERROR_NODATA = 16;
    PGM_ERROR_NODEV = 17;
    PGM_ERROR_NOENT = 18;
    PGM_ERROR_NOMEM = 19;
    PGM_ERROR_NONAME = 20;
    PGM_ERROR_NOPROTOOPT = 22;
    PGM_ERROR_NOSYS = 23;
    PGM_ERROR_NXIO = 25;
    PGM_ERROR_PERM = 26;
    PGM_ERROR_PROTO = 28;
    PGM_ERROR_RANGE = 29;
    PGM_ERROR_SERVICE = 30;
    PGM_ERROR_SOCKTNOSUPPORT = 31;
    PGM_ERROR_SYSTEM = 33;
    PGM_ERROR_XDEV = 35;
    PGM_ERROR_FAILED = 36;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::mem::{align_of, offset_of};

    macro_rules! describe {
        ($out:expr, $($name:ident { $($field:ident)* })*) => {
            $(
                let (size, align) = (size_of::<$name>(), align_of::<$name>());
                writeln!($out, "{} size {size} align {align}", stringify!($name)).unwrap();
                $(
                    let (name, field) = (stringify!($name), stringify!($field));
                    writeln!($out, "{name}.{field} {}", offset_of!($name, $field)).unwrap();
                )*
            )*
        };
    }

    /// `c/layout.c` prints the same lines from the header.
    #[test]
    fn layout_is_that_of_the_header() {
        let mut lines = String::new();
        describe!(lines,
            pgm_tsi_t { gsi sport }
            pgm_sockaddr_t { sa_port sa_addr }
            pgm_group_source_req { gsr_interface gsr_group gsr_source gsr_addr }
            pgm_interface_req_t { ir_interface ir_scope_id ir_address }
            pgm_addrinfo_t { ai_family ai_recv_addrs_len ai_recv_addrs ai_send_addrs_len ai_send_addrs }
            pgm_error_t { domain code message }
            pgm_iovec { iov_base iov_len }
            pgm_msgv_t { msgv_len msgv_skb }
            pgm_sk_buff_t {
                link_ sock tstamp tsi sequence cb len pgm_header pgm_opt_fragment pgm_opt_pgmcc_data
                pgm_data head data tail end truesize users
            }
        );
        for (name, value) in NUMBERS {
            writeln!(lines, "{name} {value}").unwrap();
        }
        assert_eq!(lines, include_str!("../layout.txt"));
    }
}
