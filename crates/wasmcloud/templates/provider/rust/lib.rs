//! The provider {{name}}: greets on behalf of actors. The value `GREETING` of an actor's link says how.

use std::collections::HashMap;
use std::sync::RwLock;

use wasmcloud_provider_sdk::{Call, Error, Host, Link, LogLevel, Provider, export_provider};

/// The contract that this provider serves.
const CONTRACT: &str = "{{contract}}";

/// The greeting of links without the value `GREETING`.
const DEFAULT: &str = "Hello";

/// The longest greeting, in bytes.
const LONGEST: usize = 100;

struct Greeter {
    host: Host,
    /// The greeting of each linked actor, by the actor's key.
    greetings: RwLock<HashMap<String, String>>,
}

export_provider!(Greeter);

impl Provider for Greeter {
    fn start(host: Host) -> Result<Self, Error> {
        Ok(Greeter {
            host,
            greetings: RwLock::default(),
        })
    }

    /// Links an actor, or replaces the values of its link. An error refuses the link.
    fn bind(&self, link: Link<'_>) -> Result<(), Error> {
        let greeting = link.values.get("GREETING").copied().unwrap_or(DEFAULT);
        check(greeting)?;
        self.greetings
            .write()?
            .insert(link.actor.to_owned(), greeting.to_owned());
        // Values may be secrets: they do not belong on the log.
        self.host.log(
            LogLevel::Info,
            &format!("the actor {} is linked", link.actor),
        );
        Ok(())
    }

    /// Releases all that is held for an actor.
    fn unbind(&self, actor: &str) -> Result<(), Error> {
        self.greetings.write()?.remove(actor);
        Ok(())
    }

    /// Serves a call of a linked actor. Several threads call this at once, and it may block.
    fn handle_call(&self, call: Call<'_>) -> Result<Vec<u8>, Error> {
        match call.operation {
            "Greet" => {
                let greetings = self.greetings.read()?;
                let greeting = greetings
                    .get(call.actor)
                    .ok_or_else(|| Error::new("the actor is not linked"))?;
                Ok(greet(greeting, call.message)?.into_bytes())
            }
            other => Err(Error::new(format!("{CONTRACT} has no operation {other:?}"))),
        }
    }
}

/// Checks a greeting of a link.
fn check(greeting: &str) -> Result<(), Error> {
    if greeting.is_empty() || greeting.len() > LONGEST {
        return Err(Error::new(format!(
            "GREETING must have 1 to {LONGEST} bytes, and has {}",
            greeting.len()
        )));
    }
    Ok(())
}

/// Greets by name. The name is the payload of a call: any bytes.
fn greet(greeting: &str, name: &[u8]) -> Result<String, Error> {
    let name = std::str::from_utf8(name)?;
    Ok(format!("{greeting}, {name}!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name() {
        assert_eq!(
            greet("Good morning", b"world").unwrap(),
            "Good morning, world!"
        );
    }

    #[test]
    fn refuses_a_name_that_is_no_text() {
        assert!(greet(DEFAULT, &[0xff]).is_err());
    }

    #[test]
    fn refuses_links_with_useless_greetings() {
        assert!(check(DEFAULT).is_ok());
        assert!(check("").is_err());
        assert!(
            check(&"x".repeat(LONGEST + 1))
                .unwrap_err()
                .to_string()
                .contains("1 to 100 bytes")
        );
    }
}
