// SPDX-License-Identifier: GPL-2.0

//! GROUP:PORT, interfaces and UDP ports as written on the command line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use anyhow::{bail, Context};

use crate::sys;

/// Where the messages go: a multicast group and the data-destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The group.
    pub group: IpAddr,
    /// The data-destination port, 1 to 65535.
    pub port: u16,
}

impl Endpoint {
    /// "239.192.0.1:7500" or "[ff15::1]:7500"
    pub fn parse(text: &str) -> Result<Self, String> {
        let (group, port) = text.rsplit_once(':').ok_or("write it as GROUP:PORT")?;
        let inside = group.strip_prefix('[').and_then(|g| g.strip_suffix(']'));
        let group = match inside {
            Some(group) => group
                .parse()
                .map(IpAddr::V6)
                .map_err(|_| format!("'{group}' is not an IPv6 address"))?,
            None if group.contains(':') => {
                return Err("write an IPv6 group as [GROUP]:PORT".into());
            }
            None => group
                .parse()
                .map(IpAddr::V4)
                .map_err(|_| format!("'{group}' is not an IPv4 address"))?,
        };
        if !group.is_multicast() {
            return Err(format!(
                "{group} is not a multicast group (224.0.0.0 to 239.255.255.255, ff00::/8)"
            ));
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { group, port }),
            _ => Err(format!("'{port}' is not a port (1 to 65535)")),
        }
    }

    /// As the system calls take it: a group that every link has needs the interface (RFC 4007).
    pub fn socket_addr(self, interface: Option<&Interface>) -> anyhow::Result<SocketAddr> {
        Ok(match self.group {
            IpAddr::V4(group) => SocketAddrV4::new(group, self.port).into(),
            IpAddr::V6(group) => {
                let scope = match interface {
                    Some(interface) if is_local(group) => interface.index()?,
                    _ => 0,
                };
                SocketAddrV6::new(group, self.port, 0, scope).into()
            }
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            IpAddr::V4(group) => write!(f, "{group}:{}", self.port),
            IpAddr::V6(group) => write!(f, "[{group}]:{}", self.port),
        }
    }
}

/// Is the scope of a group an interface or a link?
const fn is_local(group: Ipv6Addr) -> bool {
    matches!(group.octets()[1] & 0x0F, 1 | 2)
}

/// The UDP ports of encapsulated packets (PGM_UDP_ENCAP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPorts {
    /// To one host.
    pub unicast: u16,
    /// To a group.
    pub multicast: u16,
}

impl UdpPorts {
    /// "3055:3056", or one port for both
    pub fn parse(text: &str) -> Result<Self, String> {
        let port = |text: &str| match text.parse() {
            Ok(port) if port != 0 => Ok(port),
            _ => Err(format!("'{text}' is not a port (1 to 65535)")),
        };
        let (unicast, multicast) = text.split_once(':').unwrap_or((text, text));
        Ok(Self {
            unicast: port(unicast)?,
            multicast: port(multicast)?,
        })
    }

    /// struct pgm_udp_encap
    pub fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.unicast.to_be_bytes(), self.multicast.to_be_bytes());
        [a, b, c, d]
    }
}

/// An interface by name or by one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// "eth0"
    Name(String),
    /// "192.0.2.1"
    Address(Ipv4Addr),
}

impl Interface {
    /// Either form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address));
        }
        // The kernel's limit is 15 bytes.
        if text.is_empty() || text.len() > 15 || text.contains(['/', '\0']) {
            return Err(format!(
                "'{text}' is neither the name nor an address of an interface"
            ));
        }
        Ok(Self::Name(text.into()))
    }

    /// The interface's number, as IPV6_MULTICAST_IF takes it.
    pub fn index(&self) -> anyhow::Result<u32> {
        match self {
            Self::Name(name) => sys::interface_index(name)
                .with_context(|| format!("there is no interface '{name}'")),
            Self::Address(_) => bail!("give the interface of an IPv6 group by its name"),
        }
    }

    /// struct ip_mreqn with this interface and no group, as IP_MULTICAST_IF takes it.
    pub fn mreqn(&self) -> anyhow::Result<[u8; 12]> {
        let (address, index) = match self {
            Self::Address(address) => (*address, 0),
            Self::Name(_) => (Ipv4Addr::UNSPECIFIED, self.index()?),
        };
        let mut bytes = [0; 12];
        bytes[4..8].copy_from_slice(&address.octets());
        bytes[8..].copy_from_slice(&index.to_ne_bytes());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let endpoint = Endpoint::parse("239.192.0.1:7500").unwrap();
        assert_eq!(endpoint.group, Ipv4Addr::new(239, 192, 0, 1));
        assert_eq!(endpoint.port, 7500);
        assert_eq!(endpoint.to_string(), "239.192.0.1:7500");
        let endpoint = Endpoint::parse("[ff15::7:1]:7500").unwrap();
        assert_eq!(endpoint.group, "ff15::7:1".parse::<IpAddr>().unwrap());
        assert_eq!(endpoint.to_string(), "[ff15::7:1]:7500");
        for wrong in [
            "",
            "239.192.0.1",
            "239.192.0.1:",
            "239.192.0.1:0",
            "239.192.0.1:65536",
            "239.192.0.1:-1",
            "239.192.0.1:http",
            "192.0.2.1:7500",
            "example.org:7500",
            ":7500",
            "[fd00::1]:7500",
            "[ff02::1]",
            "[ff02::1:7500",
            "[239.192.0.1]:7500",
            "ff02::1:7500",
            "255.255.255.255:7500",
        ] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_group_of_every_link_needs_the_interface() {
        let lo = Interface::Name("lo".to_owned());
        let scope = |text| match Endpoint::parse(text).unwrap().socket_addr(Some(&lo)) {
            Ok(SocketAddr::V6(address)) => address.scope_id(),
            other => panic!("{other:?}"),
        };
        assert_eq!(scope("[ff12::1]:7500"), lo.index().unwrap());
        assert_eq!(scope("[ff15::1]:7500"), 0);
    }

    #[test]
    fn udp_ports() {
        let ports = UdpPorts::parse("3055:3056").unwrap();
        assert_eq!(ports.to_bytes(), [0x0b, 0xef, 0x0b, 0xf0]);
        let equal = UdpPorts::parse("3056").unwrap();
        assert_eq!((equal.unicast, equal.multicast), (3056, 3056));
        for wrong in ["", ":", "0", "3055:", "3055:0", "65536", "3055:3056:3057"] {
            assert!(UdpPorts::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn interfaces() {
        assert_eq!(
            Interface::parse("eth0"),
            Ok(Interface::Name("eth0".to_owned()))
        );
        assert_eq!(
            Interface::parse("192.0.2.1"),
            Ok(Interface::Address(Ipv4Addr::new(192, 0, 2, 1)))
        );
        assert!(Interface::parse("").is_err());
        assert!(Interface::parse("a-name-that-is-too-long").is_err());
        let by_address = Interface::Address(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(by_address.mreqn().unwrap()[4..8], [192, 0, 2, 1]);
        assert!(by_address.index().is_err(), "of an IPv6 group");
        let loopback = Interface::Name("lo".to_owned()).mreqn().unwrap();
        assert_ne!(loopback[8..], [0; 4]);
        assert!(Interface::Name("no-such-if".to_owned()).mreqn().is_err());
    }
}
