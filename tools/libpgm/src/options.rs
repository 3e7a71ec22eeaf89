// SPDX-License-Identifier: GPL-2.0

//! OpenPGM's socket options as the kernel takes them.

use std::ffi::c_int;
use std::io;
use std::os::fd::BorrowedFd;

use crate::abi::*;
use crate::sys;

pub const IPPROTO_PGM: c_int = 113;

/// `<linux/pgm.h>`
pub mod kernel {
    use std::ffi::c_int;

    pub const SEND_WINDOW: c_int = 1;
    pub const MTU: c_int = 8;
    pub const MSS: c_int = 9;
    pub const MSGSIZE_MAX: c_int = 10;
    pub const AMBIENT_SPM: c_int = 11;
    pub const HEARTBEAT_SPM: c_int = 12;
    pub const NAK_BO_IVL: c_int = 13;
    pub const NAK_RPT_IVL: c_int = 14;
    pub const NAK_RDATA_IVL: c_int = 15;
    pub const NAK_NCF_RETRIES: c_int = 16;
    pub const NAK_DATA_RETRIES: c_int = 17;
    pub const PEER_EXPIRY: c_int = 18;
    pub const SPMR_EXPIRY: c_int = 19;
    pub const RXW_SQNS: c_int = 20;
    pub const PASSIVE: c_int = 22;
    pub const TSI: c_int = 23;
    pub const UDP_ENCAP: c_int = 24;
    pub const ROUTER_ALERT: c_int = 25;
    pub const GET_LOSS: c_int = 27;
    pub const EVENTS: c_int = 29;
    pub const RECVRCVINFO: c_int = 30;
    pub const WINDOW_ADV_METHOD: c_int = 1004;
    pub const ADVANCE_WITH_DATA: c_int = 3;
}

/// The packets that a receive window spans in the kernel.
const RXW_SQNS: (i64, i64) = (64, 131_072);
/// The bytes of a transmit window in the kernel.
const TXW_BYTES: (i64, i64) = (1 << 16, 1 << 28);
/// The kernel's rates, in kbit/s.
const RATE_KBIT: (i64, i64) = (8, 100_000_000);

/// What OpenPGM's programs set by numbers; None: not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub mtu: Option<i32>,
    pub txw_sqns: Option<i32>,
    pub txw_secs: Option<i32>,
    pub txw_max_rte: Option<i32>,
    pub odata_max_rte: Option<i32>,
    pub rxw_sqns: Option<i32>,
    pub rxw_secs: Option<i32>,
    pub rxw_max_rte: Option<i32>,
    pub send_only: bool,
    pub recv_only: bool,
    pub abort_on_reset: bool,
    pub nonblocking: bool,
    /// PGM_MULTICAST_LOOP: hear our own messages.
    pub own: bool,
    pub udp_unicast: Option<i32>,
    pub udp_multicast: Option<i32>,
}

fn refused(errno: c_int) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// The int of an option.
pub fn int(value: &[u8]) -> io::Result<i32> {
    let value = value.try_into().map_err(|_| refused(libc::EINVAL))?;
    Ok(i32::from_ne_bytes(value))
}

fn within(value: i32, min: i32, max: i32) -> io::Result<i32> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(refused(libc::EINVAL))
    }
}

fn switch(value: i32) -> io::Result<bool> {
    Ok(within(value, 0, 1)? == 1)
}

impl Settings {
    /// Sets an option of level IPPROTO_PGM that holds numbers, here or in the kernel.
    pub fn set(
        &mut self,
        fd: BorrowedFd<'_>,
        ipv6: bool,
        name: c_int,
        bytes: &[u8],
    ) -> io::Result<()> {
        if name == PGM_HEARTBEAT_SPM {
            return sys::set_option(fd, IPPROTO_PGM, kernel::HEARTBEAT_SPM, bytes);
        }
        let value = int(bytes)?;
        let some = |min| within(value, min, i32::MAX).map(Some);
        let forward = |option| sys::set_option(fd, IPPROTO_PGM, option, bytes);
        match name {
            PGM_MTU => {
                forward(kernel::MTU)?;
                self.mtu = Some(value);
            }
            PGM_TXW_SQNS => self.txw_sqns = some(1)?,
            PGM_TXW_SECS => self.txw_secs = some(1)?,
            PGM_TXW_MAX_RTE => self.txw_max_rte = some(0)?,
            PGM_ODATA_MAX_RTE => self.odata_max_rte = some(0)?,
            PGM_RXW_SQNS => self.rxw_sqns = some(1)?,
            PGM_RXW_SECS => self.rxw_secs = some(1)?,
            PGM_RXW_MAX_RTE => self.rxw_max_rte = some(1)?,
            PGM_SEND_ONLY => self.send_only = switch(value)?,
            PGM_RECV_ONLY => self.recv_only = switch(value)?,
            PGM_ABORT_ON_RESET => self.abort_on_reset = switch(value)?,
            PGM_NOBLOCK => self.nonblocking = switch(value)?,
            PGM_MULTICAST_LOOP => self.own = switch(value)?,
            PGM_UDP_ENCAP_UCAST_PORT => self.udp_unicast = Some(within(value, 1, 65_535)?),
            PGM_UDP_ENCAP_MCAST_PORT => self.udp_multicast = Some(within(value, 1, 65_535)?),
            PGM_PASSIVE => {
                switch(value)?;
                forward(kernel::PASSIVE)?;
            }
            PGM_IP_ROUTER_ALERT => {
                switch(value)?;
                forward(kernel::ROUTER_ALERT)?;
            }
            PGM_AMBIENT_SPM => forward(kernel::AMBIENT_SPM)?,
            PGM_PEER_EXPIRY => forward(kernel::PEER_EXPIRY)?,
            PGM_SPMR_EXPIRY => forward(kernel::SPMR_EXPIRY)?,
            PGM_NAK_BO_IVL => forward(kernel::NAK_BO_IVL)?,
            PGM_NAK_RPT_IVL => forward(kernel::NAK_RPT_IVL)?,
            PGM_NAK_RDATA_IVL => forward(kernel::NAK_RDATA_IVL)?,
            PGM_NAK_DATA_RETRIES => forward(kernel::NAK_DATA_RETRIES)?,
            PGM_NAK_NCF_RETRIES => forward(kernel::NAK_NCF_RETRIES)?,
            PGM_MULTICAST_HOPS => {
                within(value, 1, 255)?;
                let (level, option) = match ipv6 {
                    false => (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
                    true => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
                };
                sys::set_option(fd, level, option, bytes)?;
            }
            PGM_TOS => {
                let (level, option) = match ipv6 {
                    false => (libc::IPPROTO_IP, libc::IP_TOS),
                    true => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
                };
                sys::set_option(fd, level, option, bytes)?;
            }
            _ => return Err(refused(libc::ENOPROTOOPT)),
        }
        Ok(())
    }

    /// A number that was set, or is known otherwise.
    pub fn get(&self, ipv6: bool, udp: bool, name: c_int) -> io::Result<i32> {
        let set = |value: Option<i32>| Ok(value.unwrap_or(0));
        match name {
            PGM_MTU => Ok(self.mtu()),
            PGM_TXW_SQNS => set(self.txw_sqns),
            PGM_TXW_SECS => set(self.txw_secs),
            PGM_TXW_MAX_RTE => set(self.txw_max_rte),
            PGM_ODATA_MAX_RTE => set(self.odata_max_rte),
            PGM_RXW_SQNS => set(self.rxw_sqns),
            PGM_RXW_SECS => set(self.rxw_secs),
            PGM_RXW_MAX_RTE => set(self.rxw_max_rte),
            PGM_SEND_ONLY => Ok(self.send_only.into()),
            PGM_RECV_ONLY => Ok(self.recv_only.into()),
            PGM_ABORT_ON_RESET => Ok(self.abort_on_reset.into()),
            PGM_NOBLOCK => Ok(self.nonblocking.into()),
            PGM_UDP_ENCAP_UCAST_PORT => Ok(self.udp_ports().0),
            PGM_UDP_ENCAP_MCAST_PORT => Ok(self.udp_ports().1),
            PGM_MSSS => Ok(self.unfragmented(ipv6, udp)),
            PGM_MSS => Ok(self.fragment(ipv6, udp)),
            PGM_PDU => Ok(self
                .fragment(ipv6, udp)
                .saturating_mul(MAX_FRAGMENTS as i32)
                .min(65_535)),
            _ => Err(refused(libc::ENOPROTOOPT)),
        }
    }

    fn mtu(&self) -> i32 {
        self.mtu.unwrap_or(1500)
    }

    /// The most data in a packet: without IP header, UDP header, PGM header and that of data.
    fn unfragmented(&self, ipv6: bool, udp: bool) -> i32 {
        let headers = if ipv6 { 40 } else { 20 } + if udp { 8 } else { 0 } + 16 + 8;
        self.mtu().saturating_sub(headers).max(0)
    }

    /// The same with OPT_LENGTH and OPT_FRAGMENT.
    fn fragment(&self, ipv6: bool, udp: bool) -> i32 {
        self.unfragmented(ipv6, udp).saturating_sub(4 + 16).max(0)
    }

    /// The ports of PGM_UDP_ENCAP, for packets to one host and to groups.
    pub fn udp_ports(&self) -> (i32, i32) {
        // DEFAULT_UDP_ENCAP_UCAST_PORT, DEFAULT_UDP_ENCAP_MCAST_PORT
        (
            self.udp_unicast.unwrap_or(3055),
            self.udp_multicast.unwrap_or(3056),
        )
    }

    /// struct pgm_send_window: OpenPGM's windows are packets, or bytes a second for some seconds.
    pub fn send_window(&self) -> [u8; 12] {
        let rates = [self.txw_max_rte, self.odata_max_rte];
        let rate = rates.into_iter().flatten().filter(|rate| *rate > 0).min();
        let rate = rate.map(i64::from);
        let kbit = rate.map_or(0, |rate| {
            let kbit = rate.saturating_mul(8).saturating_add(999) / 1000;
            kbit.clamp(RATE_KBIT.0, RATE_KBIT.1)
        });
        let packets = self.txw_sqns.map(i64::from);
        let bytes = packets
            .map(|packets| packets.saturating_mul(self.mtu().into()))
            .or_else(|| Some(rate?.saturating_mul(self.txw_secs?.into())));
        let bytes = bytes.map_or(0, |bytes| bytes.clamp(TXW_BYTES.0, TXW_BYTES.1));
        let mut window = [0; 12];
        for (field, value) in window.chunks_exact_mut(4).zip([kbit, 0, bytes]) {
            field.copy_from_slice(&u32::try_from(value).unwrap_or(0).to_ne_bytes());
        }
        window
    }

    /// PGM_RXW_SQNS, if the program said how large the receive window is.
    pub fn receive_window(&self) -> Option<u32> {
        let packets = self.rxw_sqns.map(i64::from).or_else(|| {
            let bytes = i64::from(self.rxw_secs?).saturating_mul(self.rxw_max_rte?.into());
            bytes.checked_div(self.mtu().into())
        });
        let packets = packets?.clamp(RXW_SQNS.0, RXW_SQNS.1);
        u32::try_from(packets).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn window(settings: Settings) -> [u32; 3] {
        let words = settings.send_window();
        let word = |at: usize| u32::from_ne_bytes(words[at..at + 4].try_into().unwrap());
        [word(0), word(4), word(8)]
    }

    #[test]
    fn windows() {
        // ZeroMQ's defaults: 100 kbit/s and 80 packets.
        let zmq = Settings {
            mtu: Some(1500),
            txw_sqns: Some(80),
            odata_max_rte: Some(12_500),
            rxw_sqns: Some(80),
            ..Settings::default()
        };
        assert_eq!(window(zmq), [100, 0, 120_000]);
        assert_eq!(zmq.receive_window(), Some(80));
        let rate = Settings {
            txw_secs: Some(10),
            txw_max_rte: Some(400_000),
            odata_max_rte: Some(500_000),
            rxw_secs: Some(10),
            rxw_max_rte: Some(400_000),
            ..Settings::default()
        };
        assert_eq!(window(rate), [3200, 0, 4_000_000]);
        assert_eq!(rate.receive_window(), Some(2666));
        assert_eq!(window(Settings::default()), [0, 0, 0]);
        assert_eq!(Settings::default().receive_window(), None);
        let small = Settings {
            txw_sqns: Some(1),
            rxw_sqns: Some(i32::MAX),
            txw_max_rte: Some(1),
            ..Settings::default()
        };
        assert_eq!(window(small), [8, 0, 65_536]);
        assert_eq!(small.receive_window(), Some(131_072));
    }

    #[test]
    fn sizes_are_openpgms() {
        let settings = Settings::default();
        let size = |ipv6, udp, name| settings.get(ipv6, udp, name).unwrap();
        assert_eq!(size(false, false, PGM_MSSS), 1456);
        assert_eq!(size(false, true, PGM_MSSS), 1448);
        assert_eq!(size(false, false, PGM_MSS), 1436);
        assert_eq!(size(false, true, PGM_MSS), 1428);
        assert_eq!(size(true, false, PGM_MSSS), 1436);
        assert_eq!(size(false, false, PGM_PDU), 22_976);
        assert_eq!(size(false, true, PGM_PDU), 22_848);
    }

    #[test]
    fn options_are_checked() {
        let some = std::fs::File::open("/dev/null").unwrap();
        let mut settings = Settings::default();
        let mut set = |name, bytes: &[u8]| {
            let result = settings.set(some.as_fd(), false, name, bytes);
            result.map_err(|error| error.raw_os_error().unwrap())
        };
        assert_eq!(set(PGM_NOBLOCK, &1i32.to_ne_bytes()), Ok(()));
        assert_eq!(set(PGM_NOBLOCK, &2i32.to_ne_bytes()), Err(libc::EINVAL));
        assert_eq!(set(PGM_NOBLOCK, &[1]), Err(libc::EINVAL));
        assert_eq!(set(PGM_TXW_SQNS, &0i32.to_ne_bytes()), Err(libc::EINVAL));
        assert_eq!(
            set(PGM_MULTICAST_HOPS, &256i32.to_ne_bytes()),
            Err(libc::EINVAL)
        );
        // PGM_USE_FEC
        assert_eq!(set(0x2020, &[0; 8]), Err(libc::EINVAL));
        assert_eq!(set(0x2020, &[0; 4]), Err(libc::ENOPROTOOPT));
        assert!(settings.nonblocking);
        assert_eq!(
            settings
                .get(false, false, 0x2020)
                .unwrap_err()
                .raw_os_error(),
            Some(libc::ENOPROTOOPT)
        );
    }
}
