// SPDX-License-Identifier: GPL-2.0

//! GROUP:PORT and interfaces as written on the command line.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Context;

use crate::sys;

/// Where the messages go: a multicast group and the data-destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The group.
    pub group: Ipv4Addr,
    /// The data-destination port, 1 to 65535.
    pub port: u16,
}

impl Endpoint {
    /// "239.192.0.1:7500"
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('[') || text.matches(':').count() > 1 {
            return Err("IPv6 groups are not supported yet".into());
        }
        let (group, port) = text.split_once(':').ok_or("write it as GROUP:PORT")?;
        let group: Ipv4Addr = group
            .parse()
            .map_err(|_| format!("'{group}' is not an IPv4 address"))?;
        if !group.is_multicast() {
            return Err(format!(
                "{group} is not a multicast group (224.0.0.0 to 239.255.255.255)"
            ));
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { group, port }),
            _ => Err(format!("'{port}' is not a port (1 to 65535)")),
        }
    }

    /// As the system calls take it.
    pub fn socket_addr(self) -> SocketAddrV4 {
        SocketAddrV4::new(self.group, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.group, self.port)
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

    /// struct ip_mreqn with this interface and no group, as IP_MULTICAST_IF takes it.
    pub fn mreqn(&self) -> anyhow::Result<[u8; 12]> {
        let (address, index) = match self {
            Self::Address(address) => (*address, 0),
            Self::Name(name) => {
                let index = sys::interface_index(name)
                    .with_context(|| format!("there is no interface '{name}'"))?;
                (Ipv4Addr::UNSPECIFIED, index)
            }
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
            "[ff02::1]:7500",
            "ff02::1:7500",
            "255.255.255.255:7500",
        ] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
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
        let loopback = Interface::Name("lo".to_owned()).mreqn().unwrap();
        assert_ne!(loopback[8..], [0; 4]);
        assert!(Interface::Name("no-such-if".to_owned()).mreqn().is_err());
    }
}
