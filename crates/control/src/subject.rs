//! The subjects of the control interface.

use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::{Namespace, is_host_key};

/// An order to one host. Each has a subject of its own: `wasmbus.ctl.<namespace>.cmd.<host>.<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Command {
    /// Starts an actor: `la`, as in 2021.
    StartActor,
    /// Stops an actor: `sa`, as in 2021.
    StopActor,
    /// Replaces an actor with another revision: `upd`, as in 2021.
    UpdateActor,
    /// Starts a provider: `lp`, as in 2021.
    StartProvider,
    /// Stops a provider: `sp`, as in 2021.
    StopProvider,
    /// Changes the number of an actor's instances.
    Scale,
    /// Sets a link. The answer of a provider is part of the outcome if the host runs it.
    PutLink,
    /// Sets and removes labels of the host.
    Labels,
    /// Makes the host accept nothing new from the lattice.
    Cordon,
    /// Reverts a cordon.
    Uncordon,
    /// Cordons the host and waits for the calls of the lattice that are in progress.
    Drain,
    /// Stops the host.
    Stop,
    /// Returns the difference between a manifest and what the host runs.
    Plan,
    /// Applies a manifest.
    Apply,
}

impl Command {
    /// All commands.
    pub const ALL: [Command; 14] = [
        Command::StartActor,
        Command::StopActor,
        Command::UpdateActor,
        Command::StartProvider,
        Command::StopProvider,
        Command::Scale,
        Command::PutLink,
        Command::Labels,
        Command::Cordon,
        Command::Uncordon,
        Command::Drain,
        Command::Stop,
        Command::Plan,
        Command::Apply,
    ];

    /// Returns the last part of the subject.
    pub const fn name(self) -> &'static str {
        match self {
            Command::StartActor => "la",
            Command::StopActor => "sa",
            Command::UpdateActor => "upd",
            Command::StartProvider => "lp",
            Command::StopProvider => "sp",
            Command::Scale => "scale",
            Command::PutLink => "link",
            Command::Labels => "labels",
            Command::Cordon => "cordon",
            Command::Uncordon => "uncordon",
            Command::Drain => "drain",
            Command::Stop => "stop",
            Command::Plan => "plan",
            Command::Apply => "apply",
        }
    }

    /// Returns the command with a name, or `None` for a name that this release does not know.
    pub fn from_name(name: &str) -> Option<Command> {
        Command::ALL.into_iter().find(|command| command.name() == name)
    }

    /// Returns whether the command changes something.
    pub const fn is_change(self) -> bool {
        !matches!(self, Command::Plan)
    }
}

/// The subjects of a namespace. Cheap to clone.
///
/// ```
/// use wasmcloud_control::Subjects;
/// use wasmcloud_lattice::Namespace;
///
/// let subjects = Subjects::new(Namespace::default());
/// assert_eq!(subjects.hosts(), "wasmbus.ctl.default.get.hosts");
/// assert!(subjects.inventory("N>").is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Subjects(Namespace);

impl Subjects {
    /// Returns the subjects of a namespace.
    pub fn new(namespace: Namespace) -> Subjects {
        Subjects(namespace)
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.0
    }

    /// Returns the subject that each host answers with its key and uptime, as in 2021.
    pub fn hosts(&self) -> String {
        self.0.control("get.hosts")
    }

    /// Returns the subject that each current host answers with a summary of itself.
    pub fn summaries(&self) -> String {
        self.0.control("get.summary")
    }

    /// Returns the subject that each host answers with the links that it knows, as in 2021.
    pub fn links(&self) -> String {
        self.0.control("get.links")
    }

    /// Returns the subject that each host answers with the claims that it knows, as in 2021.
    pub fn claims(&self) -> String {
        self.0.control("get.claims")
    }

    /// Returns the subject of the inventory of 2021.
    ///
    /// # Errors
    /// `InvalidArgument` unless the host is a public key (`N...`).
    pub fn inventory(&self, host: &str) -> Result<String> {
        Ok(self.0.control(&format!("get.{}.inv", expect_host(host)?)))
    }

    /// Returns the subject of a page of the whole inventory.
    ///
    /// # Errors
    /// As [`inventory`](Subjects::inventory).
    pub fn inventory_page(&self, host: &str) -> Result<String> {
        Ok(self.0.control(&format!("get.{}.inventory", expect_host(host)?)))
    }

    /// Returns the subject of a page of the state that the dashboard shows.
    ///
    /// # Errors
    /// As [`inventory`](Subjects::inventory).
    pub fn state(&self, host: &str) -> Result<String> {
        Ok(self.0.control(&format!("get.{}.state", expect_host(host)?)))
    }

    /// Returns the subject of auctions of an actor, as in 2021.
    pub fn actor_auction(&self) -> String {
        self.0.control("auction.actor")
    }

    /// Returns the subject of auctions of a provider, as in 2021.
    pub fn provider_auction(&self) -> String {
        self.0.control("auction.provider")
    }

    /// Returns the subject of a command to a host.
    ///
    /// # Errors
    /// As [`inventory`](Subjects::inventory).
    pub fn command(&self, host: &str, command: Command) -> Result<String> {
        Ok(self.0.control(&format!("cmd.{}.{}", expect_host(host)?, command.name())))
    }

    /// Returns the subject of all commands to a host.
    ///
    /// # Errors
    /// As [`inventory`](Subjects::inventory).
    pub fn commands(&self, host: &str) -> Result<String> {
        Ok(self.0.control(&format!("cmd.{}.*", expect_host(host)?)))
    }

    /// Returns the subject on which a link is set. One host carries it out.
    pub fn put_link(&self) -> String {
        self.0.control("link.put")
    }

    /// Returns the subject on which a link is removed. One host carries it out.
    pub fn remove_link(&self) -> String {
        self.0.control("link.del")
    }

    /// Returns the subject of the events of 2021.
    pub fn events_of_2021(&self) -> String {
        self.0.events()
    }

    /// Returns the subject of an event of a host.
    ///
    /// # Errors
    /// `InvalidArgument` unless the host is a public key (`N...`) and the kind a word of lower-case letters, digits and `_`.
    pub fn event(&self, host: &str, kind: &str) -> Result<String> {
        Ok(self.0.control(&format!("event.{}.{}", expect_host(host)?, expect_kind(kind)?)))
    }

    /// Returns the subject of the events of one host or all, of one kind or all.
    ///
    /// # Errors
    /// As [`event`](Subjects::event).
    pub fn events(&self, host: Option<&str>, kind: Option<&str>) -> Result<String> {
        let host = host.map(expect_host).transpose()?.unwrap_or("*");
        let kind = kind.map(expect_kind).transpose()?.unwrap_or("*");
        Ok(self.0.control(&format!("event.{host}.{kind}")))
    }
}

fn expect_host(host: &str) -> Result<&str> {
    if is_host_key(host) {
        return Ok(host);
    }
    let message = format!("{:?} is not the public key of a host (N...)", shorten(host));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn expect_kind(kind: &str) -> Result<&str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !kind.is_empty() && kind.len() <= 64 && kind.bytes().all(is_plain) {
        return Ok(kind);
    }
    let message = format!("{:?} is not a kind of events, such as actor_started", shorten(kind));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "NCG4IPZSX75CRJJCYYSSNDWRZY7UUFYJ3D6YEATIPHBR3TO7G2YFJUQR";

    #[test]
    fn subjects_are_those_of_2021() {
        let subjects = Subjects::new(Namespace::default());
        let expected = format!("wasmbus.ctl.default.cmd.{HOST}.la");
        assert_eq!(subjects.command(HOST, Command::StartActor).unwrap(), expected);
        assert_eq!(subjects.inventory(HOST).unwrap(), format!("wasmbus.ctl.default.get.{HOST}.inv"));
        assert_eq!(subjects.actor_auction(), "wasmbus.ctl.default.auction.actor");
        assert_eq!(subjects.events(None, Some("actor_started")).unwrap(), "wasmbus.ctl.default.event.*.actor_started");
    }

    #[test]
    fn nothing_but_keys_and_kinds_becomes_part_of_a_subject() {
        let subjects = Subjects::new(Namespace::default());
        for bad in ["", ">", "*", "N", &HOST.replace('Q', "."), &format!("{HOST}.x")] {
            assert_eq!(subjects.command(bad, Command::Stop).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
        for bad in ["", "*", ">", "a.b", "Started", &"a".repeat(65)] {
            assert_eq!(subjects.event(HOST, bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn each_command_has_a_name_of_its_own() {
        for command in Command::ALL {
            assert_eq!(Command::from_name(command.name()), Some(command));
        }
        assert_eq!(Command::from_name("la "), None);
    }
}
