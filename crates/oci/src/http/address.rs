//! Which addresses are public, and a resolver that yields those only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::failure::PrivateAddress;

/// The variables by which a proxy is set.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Resolves names to public addresses. What is connected to is what was checked, so a name cannot change in between.
#[derive(Debug, Default)]
pub(super) struct PublicOnly {
    /// The proxies of the environment, which are in private networks as a rule. They resolve the names themselves.
    proxies: Vec<String>,
}

impl PublicOnly {
    /// Returns a resolver that knows the proxies of the environment.
    pub(super) fn from_environment() -> Self {
        let host = |name: &&str| {
            let value = std::env::var(name).ok()?;
            let value = if value.contains("://") { value } else { format!("http://{value}") };
            Url::parse(&value).ok()?.host_str().map(str::to_owned)
        };
        PublicOnly { proxies: PROXIES.iter().filter_map(host).collect() }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let is_proxy = self.proxies.contains(&name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let had_some = !found.is_empty();
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|address| is_proxy || is_public(address.ip())).collect();
            if public.is_empty() && had_some {
                return Err(PrivateAddress(name).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Returns whether the host of an address is a number of a private network. Names are checked when they are resolved.
pub(super) fn is_private_literal(host: &str) -> bool {
    let number = host.trim_start_matches('[').trim_end_matches(']');
    number.parse::<IpAddr>().is_ok_and(|address| !is_public(address))
}

/// Returns whether an address is one of the public network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // "This network", shared between customers, protocol assignments, relays of 6to4, benchmarks, reserved.
        (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18 | 19, _) | (240.., ..) => true,
        _ => false,
    };
    !(is_special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Mapped, translated (NAT64) and tunnelled (6to4) addresses of version 4 lead there.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, ORCHID and documentation.
        [0x2001, 0 | 0x10..=0x2f | 0xdb8, ..] => false,
        // All that is routed at present.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_all_their_forms() {
        for address in [
            "127.0.0.1",
            "127.255.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "[::1]",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(is_private_literal(address), "{address}");
        }
        for address in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "[2a00::1]", "::ffff:8.8.8.8", "example.com"]
        {
            assert!(!is_private_literal(address), "{address}");
        }
    }

    #[tokio::test]
    async fn names_of_private_addresses_are_refused() {
        let name = || "localhost".parse::<Name>().unwrap();
        let error = PublicOnly::default().resolve(name()).await.err().unwrap();
        assert!(error.is::<PrivateAddress>(), "{error}");
        let proxied = PublicOnly { proxies: vec!["localhost".to_owned()] };
        assert!(proxied.resolve(name()).await.is_ok());
    }
}
