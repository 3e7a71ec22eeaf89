// SPDX-License-Identifier: GPL-2.0
//! Network-layer addresses (NLA), preceded on the wire by their address family (RFC 3208 §8.1).

use crate::reader::Reader;
use crate::writer::Writer;
use crate::Error;

/// Address family numbers of RFC 1700.
const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;

/// A network-layer address, in network byte order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Addr {
    /// IPv4, AFI 1.
    V4([u8; 4]),
    /// IPv6, AFI 2.
    V6([u8; 16]),
}

impl Addr {
    /// 224.0.0.0/4 or ff00::/8.
    #[inline]
    pub const fn is_multicast(&self) -> bool {
        match self {
            Addr::V4([first, ..]) => *first & 0xF0 == 0xE0,
            Addr::V6([first, ..]) => *first == 0xFF,
        }
    }

    /// 0.0.0.0 or ::
    #[inline]
    pub const fn is_unspecified(&self) -> bool {
        match self {
            Addr::V4(bytes) => u32::from_be_bytes(*bytes) == 0,
            Addr::V6(bytes) => u128::from_be_bytes(*bytes) == 0,
        }
    }

    /// 0.0.0.0 or ::, whichever is of the same family.
    #[inline]
    pub const fn any(&self) -> Self {
        match self {
            Addr::V4(_) => Addr::V4([0; 4]),
            Addr::V6(_) => Addr::V6([0; 16]),
        }
    }

    /// Whether this is an IPv4 address.
    #[inline]
    pub const fn is_v4(&self) -> bool {
        matches!(self, Addr::V4(_))
    }

    const fn afi(&self) -> u16 {
        match self {
            Addr::V4(_) => AFI_IPV4,
            Addr::V6(_) => AFI_IPV6,
        }
    }

    /// AFI, two reserved bytes, address.
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Addr, Error> {
        Self::read_with(r).map(|(addr, _)| addr)
    }

    /// The same where the two bytes after the AFI have a meaning.
    pub(crate) fn read_with(r: &mut Reader<'_>) -> Result<(Addr, u16), Error> {
        r.require(8)?;
        let afi = r.u16()?;
        let between = r.u16()?;
        let addr = match afi {
            AFI_IPV4 => Addr::V4(r.array()?),
            AFI_IPV6 => Addr::V6(r.array()?),
            _ => return Err(Error::Afi),
        };
        Ok((addr, between))
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        self.write_with(w, 0);
    }

    pub(crate) fn write_with(&self, w: &mut Writer<'_>, between: u16) {
        w.u16(self.afi());
        w.u16(between);
        self.write_bare(w);
    }

    /// The address alone.
    pub(crate) fn write_bare(&self, w: &mut Writer<'_>) {
        match self {
            Addr::V4(bytes) => w.array(*bytes),
            Addr::V6(bytes) => w.array(*bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Addr;

    const fn v6(first: u8, last: u8) -> Addr {
        Addr::V6([first, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
    }

    #[test]
    fn multicast() {
        for first in 0..=255 {
            let v4 = Addr::V4([first, 1, 2, 3]);
            assert_eq!(v4.is_multicast(), (224..=239).contains(&first));
            assert_eq!(v6(first, 1).is_multicast(), first == 0xFF);
        }
    }

    #[test]
    fn unspecified() {
        assert!(Addr::V4([0; 4]).is_unspecified() && v6(0, 0).is_unspecified());
        assert!(!Addr::V4([0, 0, 0, 1]).is_unspecified() && !v6(0, 1).is_unspecified());
        assert!(Addr::V4([0; 4]).is_v4() && !v6(0, 0).is_v4());
    }
}
