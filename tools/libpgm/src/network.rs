// SPDX-License-Identifier: GPL-2.0

//! Networks as OpenPGM writes them: `interface;group[,group...][;group to send to]`.

use std::ffi::c_int;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::abi::*;
use crate::failure::Failure;

/// The groups of a network that names none.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 0, 1);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF08, 0, 0, 0, 0, 0, 0, 1);

/// An address of an interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    pub address: IpAddr,
    pub mask: IpAddr,
}

/// A network, understood.
#[derive(Debug)]
pub struct Network {
    pub family: c_int,
    pub receive: Vec<pgm_group_source_req>,
    pub send: Vec<pgm_group_source_req>,
}

/// Where a network's interface is: 0 leaves it to the route.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    index: u32,
    address: Option<IpAddr>,
}

impl Network {
    /// Understands a network, in a family (AF_UNSPEC: that of its groups).
    pub fn parse(text: &str, family: c_int, interfaces: &[Interface]) -> Result<Self, Failure> {
        let mut pieces = text.split(';');
        let interface = pieces.next().unwrap_or_default().trim();
        let receive = groups(pieces.next().unwrap_or_default())?;
        let send = groups(pieces.next().unwrap_or_default())?;
        if pieces.next().is_some() {
            return Err(invalid("more than two semicolons in a network"));
        }
        let place = find(interface, interfaces)?;
        let named = receive.iter().chain(&send).copied().chain(place.address);
        let family = match (family, named.clone().next()) {
            (libc::AF_UNSPEC, Some(IpAddr::V6(_))) => libc::AF_INET6,
            (libc::AF_UNSPEC, _) => libc::AF_INET,
            (libc::AF_INET | libc::AF_INET6, _) => family,
            _ => {
                let reason = "neither IPv4 nor IPv6";
                return Err(Failure::network(PGM_ERROR_AFNOSUPPORT, reason));
            }
        };
        if named
            .clone()
            .any(|address| address.is_ipv6() != (family == libc::AF_INET6))
        {
            let reason = "addresses of different families in a network";
            return Err(Failure::network(PGM_ERROR_ADDRFAMILY, reason));
        }
        let usual = match family {
            libc::AF_INET6 => GROUP_V6.into(),
            _ => GROUP_V4.into(),
        };
        let receive = if receive.is_empty() {
            vec![usual]
        } else {
            receive
        };
        let send = send.first().or(receive.first()).copied().unwrap_or(usual);
        // The address that goes with an interface that was named otherwise.
        let address = place.address.or_else(|| {
            let same = |found: &&Interface| {
                found.index == place.index && found.address.is_ipv6() == usual.is_ipv6()
            };
            interfaces.iter().find(same).map(|found| found.address)
        });
        let request = |group: &IpAddr| pgm_group_source_req {
            gsr_interface: place.index,
            gsr_group: Storage::new(*group, place.index),
            gsr_source: Storage::new(*group, place.index),
            gsr_addr: address.map_or(Storage([0; 128]), |address| {
                Storage::new(address, place.index)
            }),
        };
        Ok(Self {
            family,
            receive: receive.iter().map(request).collect(),
            send: vec![request(&send)],
        })
    }
}

fn invalid(reason: impl Into<String>) -> Failure {
    Failure::network(PGM_ERROR_INVAL, reason)
}

fn groups(text: &str) -> Result<Vec<IpAddr>, Failure> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            let address = address(word).ok_or_else(|| {
                let reason = format!("{word} is no address of a group");
                Failure::network(PGM_ERROR_NONAME, reason)
            })?;
            if address.is_multicast() {
                Ok(address)
            } else {
                Err(invalid(format!("{address} is not a multicast group")))
            }
        })
        .collect()
}

/// "192.0.2.1", "fd00::1" or "[fd00::1]"
fn address(word: &str) -> Option<IpAddr> {
    let inside = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
    inside.unwrap_or(word).parse().ok()
}

/// An interface by name, address or "network/bits".
fn find(word: &str, interfaces: &[Interface]) -> Result<Place, Failure> {
    if word.is_empty() {
        return Ok(Place::default());
    }
    let (wanted, bits) = match word.split_once('/') {
        Some((wanted, bits)) => {
            let bits: u32 = bits
                .parse()
                .map_err(|_| invalid(format!("{word} is no network")))?;
            (wanted, Some(bits))
        }
        None => (word, None),
    };
    if let Some(wanted) = address(wanted) {
        if wanted.is_multicast() {
            let reason = format!("an interface is needed before the group {wanted}");
            return Err(Failure::network(PGM_ERROR_XDEV, reason));
        }
        let found = interfaces.iter().find(|interface| match bits {
            Some(bits) => same_network(interface.address, wanted, bits),
            None => {
                // The address of the network itself names it too.
                let mask = interface.mask;
                interface.address == wanted || masked(interface.address, mask) == Some(wanted)
            }
        });
        return found
            .map(|found| Place {
                index: found.index,
                address: Some(found.address),
            })
            .ok_or_else(|| {
                let reason = format!("no interface has the address {word}");
                Failure::network(PGM_ERROR_NODEV, reason)
            });
    }
    let found = interfaces.iter().find(|interface| interface.name == word);
    found
        .map(|found| Place {
            index: found.index,
            address: None,
        })
        .ok_or_else(|| Failure::network(PGM_ERROR_NODEV, format!("there is no interface {word}")))
}

fn masked(address: IpAddr, mask: IpAddr) -> Option<IpAddr> {
    match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => {
            Some(Ipv4Addr::from(u32::from(address) & u32::from(mask)).into())
        }
        (IpAddr::V6(address), IpAddr::V6(mask)) => {
            Some(Ipv6Addr::from(u128::from(address) & u128::from(mask)).into())
        }
        _ => None,
    }
}

fn same_network(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differ = u32::from(one) ^ u32::from(other);
            bits <= 32 && differ.checked_shr(32u32.saturating_sub(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differ = u128::from(one) ^ u128::from(other);
            bits <= 128 && differ.checked_shr(128u32.saturating_sub(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl Storage {
    /// struct sockaddr_in or sockaddr_in6; what is valid on one link only is on this interface.
    pub fn new(address: IpAddr, interface: u32) -> Self {
        let mut bytes = [0; 128];
        match address {
            IpAddr::V4(address) => {
                bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                bytes[4..8].copy_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                bytes[8..24].copy_from_slice(&address.octets());
                let [first, second, ..] = address.octets();
                let local = match first {
                    0xFF => matches!(second & 0x0F, 1 | 2),
                    _ => first == 0xFE && second & 0xC0 == 0x80,
                };
                if local {
                    bytes[24..28].copy_from_slice(&interface.to_ne_bytes());
                }
            }
        }
        Self(bytes)
    }

    /// The address in it.
    pub fn address(&self) -> Option<IpAddr> {
        let (family, rest) = self.0.split_first_chunk::<2>()?;
        match c_int::from(u16::from_ne_bytes(*family)) {
            libc::AF_INET => {
                let octets: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
                Some(IpAddr::from(octets))
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = rest.get(6..22)?.try_into().ok()?;
                Some(IpAddr::from(octets))
            }
            _ => None,
        }
    }

    /// sin6_scope_id; 0 without.
    pub fn scope(&self) -> u32 {
        match self.address() {
            Some(IpAddr::V6(_)) => {
                let bytes = self.0.get(24..28).and_then(|bytes| bytes.try_into().ok());
                bytes.map_or(0, u32::from_ne_bytes)
            }
            _ => 0,
        }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("none"),
        }
    }
}

impl fmt::Debug for pgm_group_source_req {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("pgm_group_source_req")
            .field("gsr_interface", &self.gsr_interface)
            .field("gsr_group", &self.gsr_group)
            .field("gsr_source", &self.gsr_source)
            .field("gsr_addr", &self.gsr_addr)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interfaces() -> Vec<Interface> {
        [
            ("lo", 1, "127.0.0.1", "255.0.0.0"),
            ("eth0", 2, "10.77.0.1", "255.255.255.0"),
            ("eth0", 2, "fd77::1", "ffff:ffff:ffff:ffff::"),
        ]
        .map(|(name, index, address, mask)| Interface {
            name: name.into(),
            index,
            address: address.parse().unwrap(),
            mask: mask.parse().unwrap(),
        })
        .into()
    }

    fn parse(text: &str) -> Result<Network, Failure> {
        Network::parse(text, libc::AF_UNSPEC, &interfaces())
    }

    fn groups_of(requests: &[pgm_group_source_req]) -> Vec<String> {
        let text = |request: &pgm_group_source_req| format!("{:?}", request.gsr_group);
        requests.iter().map(text).collect()
    }

    #[test]
    fn networks() {
        for interface in ["eth0", "10.77.0.1", "10.77.0.0", "10.77.0.99/24"] {
            let network =
                parse(&format!("{interface};239.192.0.2,239.192.0.3;239.192.0.4")).unwrap();
            assert_eq!(network.family, libc::AF_INET);
            assert_eq!(groups_of(&network.receive), ["239.192.0.2", "239.192.0.3"]);
            assert_eq!(groups_of(&network.send), ["239.192.0.4"]);
            assert_eq!(network.receive[0].gsr_interface, 2);
            assert_eq!(
                network.receive[0].gsr_addr.address(),
                "10.77.0.1".parse().ok()
            );
        }
        let network = parse("eth0;ff12::1").unwrap();
        assert_eq!(network.family, libc::AF_INET6);
        assert_eq!(groups_of(&network.send), ["ff12::1"]);
        assert_eq!(network.send[0].gsr_group.scope(), 2);
        assert_eq!(network.send[0].gsr_addr.address(), "fd77::1".parse().ok());
        let network = parse("").unwrap();
        assert_eq!(groups_of(&network.receive), ["239.192.0.1"]);
        assert_eq!(network.receive[0].gsr_interface, 0);
        assert_eq!(groups_of(&parse("fd77::1").unwrap().send), ["ff08::1"]);
    }

    #[test]
    fn what_is_no_network() {
        let code = |text| parse(text).unwrap_err().code;
        assert_eq!(code("eth9;239.192.0.1"), PGM_ERROR_NODEV);
        assert_eq!(code("10.78.0.1;239.192.0.1"), PGM_ERROR_NODEV);
        assert_eq!(code("eth0;10.77.0.1"), PGM_ERROR_INVAL);
        assert_eq!(code("eth0;no-group"), PGM_ERROR_NONAME);
        assert_eq!(code("239.192.0.1"), PGM_ERROR_XDEV);
        assert_eq!(code("10.77.0.1;ff08::1"), PGM_ERROR_ADDRFAMILY);
        assert_eq!(code("a;b;c;d"), PGM_ERROR_NONAME);
        assert_eq!(code(";;;"), PGM_ERROR_INVAL);
        let family = Network::parse("eth0", 99, &interfaces()).unwrap_err();
        assert_eq!(family.code, PGM_ERROR_AFNOSUPPORT);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f.:;,/\\[\\]eth ]{0,60}") {
            let _ = parse(&text);
        }
    }
}
