//! The addresses of trusted proxies.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;

/// An address, or a network by its prefix. IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) count as
/// IPv4 addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u32,
}

/// The address of a trusted proxy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddressError {
    kind: ProxyAddressErrorKind,
    address: Box<str>,
}

/// What is wrong with the address of a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyAddressErrorKind {
    /// There is no address at all.
    Missing,
    /// It is neither an IP address nor a network such as `10.0.0.0/8`. Names of hosts are not
    /// resolved.
    Malformed,
    /// The prefix is longer than the address.
    PrefixTooLong,
    /// The network is the whole internet: then every client could write the header.
    Everyone,
    /// The address has bits beyond the prefix. Write `10.0.0.0/8`, not `10.1.2.3/8`.
    HostBits,
}

impl Network {
    pub(super) fn parse(text: &str) -> Result<Self, ProxyAddressError> {
        Self::read(text).map_err(|kind| ProxyAddressError {
            kind,
            address: text.into(),
        })
    }

    fn read(text: &str) -> Result<Self, ProxyAddressErrorKind> {
        use ProxyAddressErrorKind as Kind;

        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| Kind::Malformed)?;
        let address = written.to_canonical();
        let prefix = match prefix {
            None => bits(address).1,
            Some(text) => {
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let digits = Some(text).filter(|_| is_number).ok_or(Kind::Malformed)?;
                let prefix: u32 = digits.parse().map_err(|_| Kind::PrefixTooLong)?;
                // Of an IPv4-mapped network, the part that is IPv4.
                let mapped = bits(written).1.saturating_sub(bits(address).1);
                prefix.checked_sub(mapped).ok_or(Kind::Everyone)?
            }
        };
        let network = Self { address, prefix };
        let (value, width) = bits(address);
        match width.checked_sub(prefix) {
            None => Err(Kind::PrefixTooLong),
            Some(_) if prefix == 0 => Err(Kind::Everyone),
            Some(rest) if value.trailing_zeros() < rest => Err(Kind::HostBits),
            Some(_) => Ok(network),
        }
    }

    pub(super) fn contains(self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        let (own, width) = bits(self.address);
        let rest = width.saturating_sub(self.prefix);
        let differing = own ^ bits(peer).0;
        self.address.is_ipv4() == peer.is_ipv4() && differing.checked_shr(rest) == Some(0)
    }
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), u32::BITS),
        IpAddr::V6(address) => (address.to_bits(), u128::BITS),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.prefix == bits(self.address).1 {
            return Ok(());
        }
        write!(f, "/{}", self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ProxyAddressError {
    pub(super) fn missing() -> Self {
        Self {
            kind: ProxyAddressErrorKind::Missing,
            address: "".into(),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ProxyAddressErrorKind {
        self.kind
    }
}

impl fmt::Display for ProxyAddressErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "name at least one proxy",
            Self::Malformed => "write an IP address such as 10.0.0.5, or a network 10.0.0.0/8",
            Self::PrefixTooLong => "the prefix is longer than the address",
            Self::Everyone => "this network includes every client: name the proxies",
            Self::HostBits => "the address has bits beyond the prefix: write 10.0.0.0/8",
        })
    }
}

impl fmt::Display for ProxyAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trusted proxy {:?}: {}", self.address, self.kind)
    }
}

impl Error for ProxyAddressError {}

#[cfg(test)]
mod tests {
    use ProxyAddressErrorKind as Kind;

    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        for (network, inside, outside) in [
            (
                "10.0.0.5",
                &["10.0.0.5", "::ffff:10.0.0.5", "::ffff:a00:5"][..],
                &["10.0.0.4", "::10.0.0.5", "64:ff9b::a00:5", "::a00:5"][..],
            ),
            (
                "::ffff:10.0.0.5",
                &["10.0.0.5", "::ffff:10.0.0.5"],
                &["10.0.0.6", "::ffff:10.0.0.6"],
            ),
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
                &["9.255.255.255", "11.0.0.0", "::ffff:11.0.0.0", "a00::"],
            ),
            (
                "::ffff:10.0.0.0/104",
                &["10.255.255.255", "::ffff:10.1.2.3"],
                &["11.0.0.0"],
            ),
            ("128.0.0.0/1", &["255.255.255.255"], &["127.255.255.255"]),
            ("10.0.0.5/32", &["10.0.0.5"], &["10.0.0.4"]),
            (
                "fd00::/8",
                &["fd00::1", "fdff::"],
                &["fe00::", "253.0.0.0", "::ffff:253.0.0.0"],
            ),
            ("::1", &["::1"], &["::", "127.0.0.1", "0.0.0.1"]),
            ("::1/128", &["::1"], &["::2"]),
            // The prefix of IPv4-mapped addresses, but they count as IPv4.
            (
                "::/1",
                &["::1", "7fff::"],
                &["8000::", "::ffff:1.2.3.4", "1.2.3.4"],
            ),
        ] {
            let parsed = Network::parse(network).unwrap();
            for peer in inside {
                assert!(parsed.contains(peer.parse().unwrap()), "{network} {peer}");
            }
            for peer in outside {
                assert!(!parsed.contains(peer.parse().unwrap()), "{network} {peer}");
            }
        }
    }

    #[test]
    fn a_mistake_is_an_error() {
        for (text, kind) in [
            ("", Kind::Malformed),
            ("localhost", Kind::Malformed),
            ("10.0.0", Kind::Malformed),
            ("10.0.0.05", Kind::Malformed),
            (" 10.0.0.5", Kind::Malformed),
            ("10.0.0.5:80", Kind::Malformed),
            ("[::1]", Kind::Malformed),
            ("fe80::1%eth0", Kind::Malformed),
            ("10.0.0.0/", Kind::Malformed),
            ("10.0.0.0/+8", Kind::Malformed),
            ("10.0.0.0/255.0.0.0", Kind::Malformed),
            ("10.0.0.0/8/8", Kind::Malformed),
            ("*", Kind::Malformed),
            ("10.0.0.5/33", Kind::PrefixTooLong),
            ("::1/129", Kind::PrefixTooLong),
            ("::ffff:10.0.0.5/129", Kind::PrefixTooLong),
            ("::1/99999999999999999999", Kind::PrefixTooLong),
            ("0.0.0.0/0", Kind::Everyone),
            ("10.0.0.0/0", Kind::Everyone),
            ("::/0", Kind::Everyone),
            ("::ffff:0:0/96", Kind::Everyone),
            ("::ffff:0:0/8", Kind::Everyone),
            ("10.1.0.0/8", Kind::HostBits),
            ("10.0.0.1/31", Kind::HostBits),
            ("::1/127", Kind::HostBits),
            ("::ffff:10.1.0.0/104", Kind::HostBits),
        ] {
            let error = Network::parse(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_network_is_shown_as_it_is_written() {
        for text in ["10.0.0.5", "10.0.0.0/8", "fd00::/8", "::1"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        let mapped = Network::parse("::ffff:10.0.0.0/104").unwrap();
        assert_eq!(mapped.to_string(), "10.0.0.0/8");
    }
}
