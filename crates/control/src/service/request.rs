//! Reads requests.

use serde::de::DeserializeOwned;
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::handler::Order;
use crate::message::{ActorAuctionRequest, HostCommand, PageRequest, ProviderAuctionRequest, StatePage};
use crate::subject::{Command, Subjects};

/// A request that could be read.
pub(super) enum Request {
    Summary,
    Page(PageRequest),
    State(StatePage),
    ActorAuction(ActorAuctionRequest),
    ProviderAuction(ProviderAuctionRequest),
    Order(Box<Order>),
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// `InvalidArgument` if it is malformed, names another host, or its subject is none that is served.
    pub(super) fn read(subjects: &Subjects, host: &str, subject: &str, content: &[u8]) -> Result<Request> {
        let prefix = subjects.namespace().control("");
        let unknown = || {
            let message = format!("there is no request {:?}", shorten(subject));
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let name = subject.strip_prefix(&*prefix).ok_or_else(unknown)?;
        let order = match name.split('.').collect::<Vec<_>>().as_slice() {
            ["get", "summary"] => return Ok(Request::Summary),
            ["get", _, "inventory"] => return Ok(Request::Page(read_or_default(name, content)?)),
            ["get", _, "state"] => return Ok(Request::State(read_or_default(name, content)?)),
            ["auction", "actor"] => return Ok(Request::ActorAuction(read(name, content)?)),
            ["auction", "provider"] => return Ok(Request::ProviderAuction(read(name, content)?)),
            ["link", "put"] => Order::PutLink(read(name, content)?),
            ["link", "del"] => Order::RemoveLink(read(name, content)?),
            ["cmd", _, command] => read_command(Command::from_name(command).ok_or_else(unknown)?, name, content)?,
            _ => return Err(unknown()),
        };
        expect_host(&order, host)?;
        expect_options(&order)?;
        Ok(Request::Order(Box::new(order)))
    }
}

fn read_command(command: Command, name: &str, content: &[u8]) -> Result<Order> {
    let of_host = || read_or_default::<HostCommand>(name, content);
    Ok(match command {
        Command::StartActor => Order::StartActor(read(name, content)?),
        Command::StopActor => Order::StopActor(read(name, content)?),
        Command::UpdateActor => Order::UpdateActor(read(name, content)?),
        Command::StartProvider => Order::StartProvider(read(name, content)?),
        Command::StopProvider => Order::StopProvider(read(name, content)?),
        Command::Scale => Order::Scale(read(name, content)?),
        Command::PutLink => Order::PutLink(read(name, content)?),
        Command::Labels => Order::Labels(read(name, content)?),
        Command::Cordon => Order::Cordon(of_host()?),
        Command::Uncordon => Order::Uncordon(of_host()?),
        Command::Drain => Order::Drain(of_host()?),
        Command::Stop => Order::Stop(of_host()?),
        Command::Plan => Order::Plan(read(name, content)?),
        Command::Apply => Order::Apply(read(name, content)?),
    })
}

fn read<T: DeserializeOwned>(name: &str, content: &[u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| {
        let message = format!("the request {:?} is malformed: send the JSON of docs/control.md", shorten(name));
        Error::new(ErrorKind::InvalidArgument, message).caused_by(error)
    })
}

fn read_or_default<T: DeserializeOwned + Default>(name: &str, content: &[u8]) -> Result<T> {
    if content.is_empty() { Ok(T::default()) } else { read(name, content) }
}

/// Checks that a request which names a host names this one.
fn expect_host(order: &Order, host: &str) -> Result<()> {
    let named = match order {
        Order::StartActor(command) => &command.host_id,
        Order::StopActor(command) => &command.host_id,
        Order::UpdateActor(command) => &command.host_id,
        Order::StartProvider(command) => &command.host_id,
        Order::StopProvider(command) => &command.host_id,
        _ => return Ok(()),
    };
    if named == host {
        return Ok(());
    }
    let message = format!("the request was sent to host {host} and names host {:?}", shorten(named));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// Checks the identifier of a request, which events repeat.
fn expect_options(order: &Order) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_valid = |id: &String| !id.is_empty() && id.len() <= 64 && id.bytes().all(is_plain);
    if order.options().request.as_ref().is_none_or(is_valid) {
        return Ok(());
    }
    let message = "the identifier of a request is 1 to 64 letters, digits, hyphens and underscores";
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

#[cfg(test)]
mod tests {
    use wasmcloud_lattice::Namespace;

    use super::*;

    const HOST: &str = "NCG4IPZSX75CRJJCYYSSNDWRZY7UUFYJ3D6YEATIPHBR3TO7G2YFJUQR";

    fn read_request(name: &str, content: &str) -> Result<Request> {
        let subjects = Subjects::new(Namespace::default());
        Request::read(&subjects, HOST, &format!("wasmbus.ctl.default.{name}"), content.as_bytes())
    }

    #[test]
    fn a_malformed_request_is_an_error_and_no_panic() {
        let deep = "[".repeat(100_000);
        let contents =
            ["", "{}", "null", "[]", "\"x\"", "{\"actor_ref\":7}", "\u{0}", &deep, "{\"constraints\":{\"a\":1}}"];
        for name in [
            "auction.actor",
            "auction.provider",
            "link.put",
            "link.del",
            "cmd.N.la",
            "cmd.N.sp",
            "cmd.N.apply",
            "cmd.N.link",
        ] {
            for content in contents {
                let error = read_request(name, content).err().unwrap_or_else(|| panic!("{name} {content}"));
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            }
        }
        for name in ["", "get", "cmd.N.rm", "cmd.N", "link", "a.b.c.d"] {
            assert_eq!(read_request(name, "{}").err().unwrap().kind(), ErrorKind::InvalidArgument, "{name}");
        }
    }

    #[test]
    fn a_request_for_another_host_is_refused() {
        let content = |host: &str| format!(r#"{{"actor_ref":"a/b:1","host_id":"{host}"}}"#);
        assert!(matches!(read_request("cmd.N.la", &content(HOST)), Ok(Request::Order(_))));
        assert!(read_request("cmd.N.la", &content("N")).is_err());
    }

    #[test]
    fn requests_about_the_host_may_be_empty() {
        for name in ["cmd.N.cordon", "cmd.N.uncordon", "cmd.N.drain", "cmd.N.stop"] {
            assert!(matches!(read_request(name, ""), Ok(Request::Order(_))), "{name}");
        }
        assert!(matches!(read_request("get.N.inventory", ""), Ok(Request::Page(_))));
        assert!(matches!(read_request("get.N.state", ""), Ok(Request::State(_))));
        assert!(read_request("get.N.state", r#"{"part":"secrets"}"#).is_err());
    }

    #[test]
    fn an_identifier_is_a_plain_word() {
        let content = |id: &str| format!(r#"{{"request":{}}}"#, serde_json::to_string(id).unwrap());
        assert!(read_request("cmd.N.cordon", &content("a-1_B")).is_ok());
        for bad in ["", "a b", "a\n", &"x".repeat(65)] {
            assert!(read_request("cmd.N.cordon", &content(bad)).is_err(), "{bad:?}");
        }
    }
}
