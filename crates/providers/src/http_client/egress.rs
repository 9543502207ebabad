//! The hosts, addresses and redirects that a link allows.
//!
//! The name of a host is checked before each hop. Its addresses are checked when the client connects to them, so that a change
//! of DNS in between has no effect.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Action, Attempt, Policy};
use wasmcloud_core::error::BoxedError;

use super::network::{Network, is_public};

/// The targets that a link allows.
#[derive(Debug, Clone)]
pub(super) struct EgressPolicy {
    /// `None` allows any host.
    pub(super) hosts: Option<Vec<HostRule>>,
    /// Networks that are allowed in addition to public ones.
    pub(super) networks: Vec<Network>,
    /// Maximum number of redirects that are followed.
    pub(super) redirects: usize,
}

/// An allowed host, or all hosts below an allowed domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostRule {
    /// The host in lower case. A leading dot stands for all hosts below the domain.
    name: String,
    port: Option<u16>,
}

impl EgressPolicy {
    /// Checks a URL, before its host name is resolved.
    ///
    /// # Errors
    /// Names the host, and the link value to change.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let (scheme, port) = (url.scheme(), url.port_or_known_default());
        if !matches!(scheme, "http" | "https") {
            return Err(format!("the scheme {scheme:?} is not supported: use http or https"));
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        if let Some(rules) = &self.hosts
            && !rules.iter().any(|rule| rule.allows(host, port))
        {
            let port = port.unwrap_or_default();
            return Err(format!(
                "the host {host:?} at port {port} is not allowed: it is not in the link's ALLOWED_HOSTS"
            ));
        }
        match host.parse() {
            Ok(address) if !self.allows_address(address) => Err(address_refused(host)),
            _ => Ok(()),
        }
    }

    /// Returns whether this address is allowed.
    fn allows_address(&self, address: IpAddr) -> bool {
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }

    /// Returns the redirect policy of the client.
    pub(super) fn redirects(self: &Arc<EgressPolicy>) -> Policy {
        let egress = self.clone();
        Policy::custom(move |attempt| egress.redirect(attempt))
    }

    fn redirect(&self, attempt: Attempt<'_>) -> Action {
        if self.redirects == 0 {
            return attempt.stop();
        }
        if attempt.previous().len() > self.redirects {
            return attempt.error(format!("there are more than {} redirects", self.redirects));
        }
        let was_encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if was_encrypted && attempt.url().scheme() != "https" {
            return attempt.error("a redirect leads from https to http".to_owned());
        }
        match self.check(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(refusal) => attempt.error(format!("a redirect is not followed: {refusal}")),
        }
    }
}

fn address_refused(host: &str) -> String {
    format!("{host:?} has no address that is public or in the link's ALLOWED_NETWORKS")
}

/// Resolves names to allowed addresses.
pub(super) struct FilteringResolver(pub(super) Arc<EgressPolicy>);

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| egress.allows_address(address.ip())).collect();
            if allowed.is_empty() {
                return Err(BoxedError::from(address_refused(name.as_str())));
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl HostRule {
    fn allows(&self, host: &str, port: Option<u16>) -> bool {
        let host = host.to_ascii_lowercase();
        let named = if self.name.starts_with('.') { host.ends_with(&self.name) } else { host == self.name };
        named && (self.port.is_none() || self.port == port)
    }
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<HostRule, String> {
        let text = text.to_ascii_lowercase();
        // An IPv6 address contains colons, so it must be in brackets if it has a port.
        let is_bare_v6 = text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !is_bare_v6 && !port.ends_with(']') => (name, Some(port)),
            _ => (text.as_str(), None),
        };
        let port = port.map(|port| port.parse().map_err(|_| format!("{port:?} is not a port"))).transpose()?;
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let name = name.strip_prefix('*').filter(|below| below.starts_with('.')).unwrap_or(name);
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if name.is_empty() || (name.parse::<IpAddr>().is_err() && !is_name(name)) {
            return Err("write a name, *.name or an IP address, with or without a port".to_owned());
        }
        Ok(HostRule { name: name.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(hosts: Option<&[&str]>, networks: &[&str]) -> EgressPolicy {
        let hosts = hosts.map(|hosts| hosts.iter().map(|host| host.parse().unwrap()).collect());
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        EgressPolicy { hosts, networks, redirects: 5 }
    }

    fn allows(egress: &EgressPolicy, url: &str) -> bool {
        egress.check(&url.parse().unwrap()).is_ok()
    }

    #[test]
    fn every_notation_of_an_address_is_checked() {
        let open = egress(None, &[]);
        for url in [
            "http://127.0.0.1",
            "http://127.1:81/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/latest",
            "http://0/",
            "https://user:secret@10.0.0.1/",
            "http://127。0。0。1/",
        ] {
            assert!(!allows(&open, url), "{url}");
        }
        assert!(allows(&open, "http://1.1.1.1/") && allows(&open, "https://example.com/"));
        assert!(!allows(&open, "ftp://example.com/") && !allows(&open, "file:///etc/passwd"));
        let local = egress(None, &["127.0.0.0/8"]);
        assert!(allows(&local, "http://127.0.0.1/") && !allows(&local, "http://[::1]/"));
    }

    #[test]
    fn only_listed_hosts_are_allowed() {
        let listed = egress(Some(&["api.example.com", "*.cdn.example", "h:8080", "[::1]:81", "1.1.1.1"]), &["::1"]);
        for url in [
            "https://api.example.com/x",
            "https://API.example.com./",
            "http://a.cdn.example",
            "http://a.b.cdn.example",
            "http://h:8080/",
            "http://[::1]:81/",
            "http://1.1.1.1:5/",
        ] {
            assert!(allows(&listed, url), "{url}");
        }
        for url in [
            "https://example.com",
            "https://api.example.com.evil.net",
            "http://cdn.example",
            "http://evilcdn.example",
            "http://h/",
            "http://h:80801/x",
            "http://[::1]/",
            "https://api.example.com@evil.net/",
            "http://8.8.8.8",
        ] {
            assert!(url.parse::<Url>().is_err() || !allows(&listed, url), "{url}");
        }
    }
}
