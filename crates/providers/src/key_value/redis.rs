//! Keys kept by a Redis server: one connection for each link, which all of its calls share.

use std::path::Path;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, ConnectionInfo, FromRedisValue, RedisError, RedisResult, TlsCertificates, cmd};

use super::error::Refusal;
use super::payloads::{Answer, Operation};

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a server may leave unanswered that bytes have reached it. Then the connection is another one's turn.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(10);

/// How many calls wait until there is room to send them.
const WAITING: usize = 1024;

/// Takes back what was added beyond the contract's numbers, unless the key has gone in the meantime.
const TAKE_BACK: &str = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECRBY', KEYS[1], ARGV[1]) end";

/// A connection that is made anew whenever it is lost.
pub(super) struct Redis {
    connection: ConnectionManager,
    /// Host and port.
    address: String,
}

impl Redis {
    /// Connects, and waits until the server has answered.
    ///
    /// # Errors
    /// A text that names the link value and the server, but no password.
    pub(super) async fn connect(server: &ConnectionInfo, certificates: Option<&Path>) -> Result<Redis, String> {
        let address = server.addr().to_string();
        let client = client(server, certificates).await?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // Each call has a time of its own, and is not waited for any longer.
            .set_response_timeout(None)
            // While the server is down, each call tries once, and fails at once if that fails.
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(WAITING);
        let explain = |error: RedisError| {
            format!(
                "the value URL names a Redis server at {address} that cannot be used ({}): start it, or correct URL",
                reason(&error)
            )
        };
        let connection = ConnectionManager::new_with_config(client, config).await.map_err(explain)?;
        let redis = Redis { connection, address: address.clone() };
        // Only now it is known whether the server lets this client do anything.
        redis.ask::<()>(cmd("PING")).await.map_err(explain)?;
        Ok(redis)
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) async fn health(&self) -> Result<(), Refusal> {
        self.ask::<()>(cmd("PING")).await.map_err(|error| self.refusal(&error))
    }

    pub(super) async fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        if let Operation::Add { key, value } = operation {
            return self.add(&key, value).await;
        }
        self.answer(operation).await.map_err(|error| self.refusal(&error))
    }

    async fn answer(&self, operation: Operation) -> RedisResult<Answer> {
        let command = command(&operation);
        Ok(match operation {
            Operation::Get { .. } => match self.ask::<Option<String>>(command).await? {
                Some(value) => Answer::Found { value, exists: true },
                None => Answer::Found { value: String::new(), exists: false },
            },
            Operation::KeyExists { .. } => Answer::Found { value: String::new(), exists: self.ask(command).await? },
            Operation::Add { .. } => Answer::Sum { value: self.ask(command).await? },
            Operation::Set { value, .. } => {
                self.ask::<()>(command).await?;
                Answer::Stored { value }
            }
            Operation::Delete { key } => {
                self.ask::<()>(command).await?;
                Answer::Deleted { key }
            }
            Operation::Push { .. } | Operation::ListItemDelete { .. } => {
                Answer::List { new_count: self.ask(command).await? }
            }
            Operation::SetAdd { .. } | Operation::SetRemove { .. } => {
                Answer::Members { new_count: self.ask(command).await? }
            }
            Operation::Range { .. }
            | Operation::SetUnion { .. }
            | Operation::SetIntersection { .. }
            | Operation::SetQuery { .. } => Answer::Values { values: self.ask(command).await? },
        })
    }

    /// Redis adds in 64 bits, the contract in 32. What goes beyond is taken back.
    async fn add(&self, key: &str, value: i32) -> Result<Answer, Refusal> {
        let mut add = cmd("INCRBY");
        add.arg(key).arg(value);
        let sum: i64 = self.ask(add).await.map_err(|error| self.refusal(&error))?;
        if let Ok(value) = i32::try_from(sum) {
            return Ok(Answer::Sum { value });
        }
        let mut take_back = cmd("EVAL");
        take_back.arg(TAKE_BACK).arg(1).arg(key).arg(value);
        self.ask::<()>(take_back).await.map_err(|error| self.refusal(&error))?;
        Err(Refusal::Overflow)
    }

    async fn ask<T: FromRedisValue>(&self, command: Cmd) -> RedisResult<T> {
        let answer = self.connection.clone().send_packed_command(&command).await?.extract_error()?;
        Ok(redis::from_redis_value(answer)?)
    }

    /// The same failure in the words of the contract.
    fn refusal(&self, error: &RedisError) -> Refusal {
        match (error.code(), error.detail().unwrap_or_default()) {
            (Some("WRONGTYPE"), _) => Refusal::WrongKind,
            (Some("ERR"), detail) if detail.contains("not an integer") => Refusal::NotANumber,
            (Some("ERR"), detail) if detail.contains("overflow") => Refusal::Overflow,
            _ => Refusal::Unavailable(format!("Redis at {}: {}", self.address, reason(error))),
        }
    }
}

/// What Redis is to do.
fn command(operation: &Operation) -> Cmd {
    let mut command = Cmd::new();
    match operation {
        Operation::Get { key } => command.arg("GET").arg(key),
        Operation::KeyExists { key } => command.arg("EXISTS").arg(key),
        Operation::Add { key, value } => command.arg("INCRBY").arg(key).arg(value),
        Operation::Set { key, value, expires } if *expires > 0 => {
            command.arg("SET").arg(key).arg(value).arg("EX").arg(expires)
        }
        Operation::Set { key, value, .. } => command.arg("SET").arg(key).arg(value),
        Operation::Delete { key } => command.arg("DEL").arg(key),
        Operation::Range { key, start, stop } => command.arg("LRANGE").arg(key).arg(start).arg(stop),
        Operation::Push { key, value } => command.arg("LPUSH").arg(key).arg(value),
        Operation::ListItemDelete { key, value } => command.arg("LREM").arg(key).arg(0).arg(value),
        Operation::SetAdd { key, value } => command.arg("SADD").arg(key).arg(value),
        Operation::SetRemove { key, value } => command.arg("SREM").arg(key).arg(value),
        Operation::SetUnion { keys } => command.arg("SUNION").arg(keys),
        Operation::SetIntersection { keys } => command.arg("SINTER").arg(keys),
        Operation::SetQuery { key } => command.arg("SMEMBERS").arg(key),
    };
    command
}

async fn client(server: &ConnectionInfo, certificates: Option<&Path>) -> Result<Client, String> {
    let server =
        server.clone().set_tcp_settings(TcpSettings::default().set_nodelay(true).set_user_timeout(UNREACHABLE_AFTER));
    let Some(path) = certificates else {
        return Client::open(server).map_err(|error| format!("the value URL cannot be used: {}", reason(&error)));
    };
    let describe = |error: &dyn std::fmt::Display| format!("the value CA_FILE={path:?} cannot be used: {error}");
    let certificates = tokio::fs::read(path).await.map_err(|error| describe(&error))?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(certificates) };
    Client::build_with_tls(server, certificates).map_err(|error| describe(&reason(&error)))
}

/// What a failure says, which holds neither the user's name nor the password.
fn reason(error: &RedisError) -> String {
    wasmcloud_core::text::printable(error.to_string().as_bytes())
}
