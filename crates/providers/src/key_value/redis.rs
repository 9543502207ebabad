//! The backend that stores keys in Redis. Each link has one connection, which its operations share.

use std::path::Path;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, ConnectionInfo, FromRedisValue, RedisError, RedisResult, TlsCertificates, cmd};

use super::error::KeyValueError;
use super::payloads::{KeyValueOperation, KeyValueResponse};

/// Maximum duration of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for sent bytes to be acknowledged (TCP). After that, the connection is replaced.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of commands that wait to be sent.
const MAX_QUEUED_COMMANDS: usize = 1024;

/// Lua script that subtracts what was added, unless the key has been removed meanwhile.
const UNDO_ADD: &str = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECRBY', KEYS[1], ARGV[1]) end";

/// A connection that reconnects by itself.
pub(super) struct RedisBackend {
    connection: ConnectionManager,
    /// Host and port.
    address: String,
}

impl RedisBackend {
    /// Connects, and waits until the server has answered.
    ///
    /// # Errors
    /// Names the link value and the server. Credentials are not shown.
    pub(super) async fn connect(server: &ConnectionInfo, ca_file: Option<&Path>) -> Result<RedisBackend, String> {
        let address = server.addr().to_string();
        let client = open_client(server, ca_file).await?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // The deadline of the call limits the wait.
            .set_response_timeout(None)
            // While the server is down, each command tries to connect once.
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(MAX_QUEUED_COMMANDS);
        let explain = |error: RedisError| {
            format!(
                "the value URL names a Redis server at {address} that cannot be used ({}): start it, or correct URL",
                reason(&error)
            )
        };
        let connection = ConnectionManager::new_with_config(client, config).await.map_err(explain)?;
        let redis = RedisBackend { connection, address: address.clone() };
        // The server reports missing permissions only now.
        redis.send_command::<()>(cmd("PING")).await.map_err(explain)?;
        Ok(redis)
    }

    /// Checks that the server answers.
    ///
    /// # Errors
    /// `Unavailable` if it does not.
    pub(super) async fn health(&self) -> Result<(), KeyValueError> {
        self.send_command::<()>(cmd("PING")).await.map_err(|error| self.to_error(&error))
    }

    pub(super) async fn execute(&self, operation: KeyValueOperation) -> Result<KeyValueResponse, KeyValueError> {
        if let KeyValueOperation::Add { key, value } = operation {
            return self.add(&key, value).await;
        }
        self.run_operation(operation).await.map_err(|error| self.to_error(&error))
    }

    async fn run_operation(&self, operation: KeyValueOperation) -> RedisResult<KeyValueResponse> {
        let command = build_command(&operation);
        Ok(match operation {
            KeyValueOperation::Get { .. } => match self.send_command::<Option<String>>(command).await? {
                Some(value) => KeyValueResponse::Found { value, exists: true },
                None => KeyValueResponse::Found { value: String::new(), exists: false },
            },
            KeyValueOperation::KeyExists { .. } => {
                KeyValueResponse::Found { value: String::new(), exists: self.send_command(command).await? }
            }
            KeyValueOperation::Add { .. } => KeyValueResponse::Sum { value: self.send_command(command).await? },
            KeyValueOperation::Set { value, .. } => {
                self.send_command::<()>(command).await?;
                KeyValueResponse::Stored { value }
            }
            KeyValueOperation::Delete { key } => {
                self.send_command::<()>(command).await?;
                KeyValueResponse::Deleted { key }
            }
            KeyValueOperation::Push { .. } | KeyValueOperation::ListItemDelete { .. } => {
                KeyValueResponse::List { new_count: self.send_command(command).await? }
            }
            KeyValueOperation::SetAdd { .. } | KeyValueOperation::SetRemove { .. } => {
                KeyValueResponse::Members { new_count: self.send_command(command).await? }
            }
            KeyValueOperation::Range { .. }
            | KeyValueOperation::SetUnion { .. }
            | KeyValueOperation::SetIntersection { .. }
            | KeyValueOperation::SetQuery { .. } => {
                KeyValueResponse::Values { values: self.send_command(command).await? }
            }
        })
    }

    /// Adds to a counter. Redis counts in 64 bits, the contract in 32, so a sum that does not fit is undone.
    async fn add(&self, key: &str, value: i32) -> Result<KeyValueResponse, KeyValueError> {
        let mut add = cmd("INCRBY");
        add.arg(key).arg(value);
        let sum: i64 = self.send_command(add).await.map_err(|error| self.to_error(&error))?;
        if let Ok(value) = i32::try_from(sum) {
            return Ok(KeyValueResponse::Sum { value });
        }
        let mut undo = cmd("EVAL");
        undo.arg(UNDO_ADD).arg(1).arg(key).arg(value);
        self.send_command::<()>(undo).await.map_err(|error| self.to_error(&error))?;
        Err(KeyValueError::Overflow)
    }

    async fn send_command<T: FromRedisValue>(&self, command: Cmd) -> RedisResult<T> {
        let answer = self.connection.clone().send_packed_command(&command).await?.extract_error()?;
        Ok(redis::from_redis_value(answer)?)
    }

    /// Converts an error of Redis to an error of the contract.
    fn to_error(&self, error: &RedisError) -> KeyValueError {
        match (error.code(), error.detail().unwrap_or_default()) {
            (Some("WRONGTYPE"), _) => KeyValueError::WrongType,
            (Some("ERR"), detail) if detail.contains("not an integer") => KeyValueError::NotANumber,
            (Some("ERR"), detail) if detail.contains("overflow") => KeyValueError::Overflow,
            _ => KeyValueError::Unavailable(format!("Redis at {}: {}", self.address, reason(error))),
        }
    }
}

/// Builds the Redis command of an operation.
fn build_command(operation: &KeyValueOperation) -> Cmd {
    let mut command = Cmd::new();
    match operation {
        KeyValueOperation::Get { key } => command.arg("GET").arg(key),
        KeyValueOperation::KeyExists { key } => command.arg("EXISTS").arg(key),
        KeyValueOperation::Add { key, value } => command.arg("INCRBY").arg(key).arg(value),
        KeyValueOperation::Set { key, value, expires } if *expires > 0 => {
            command.arg("SET").arg(key).arg(value).arg("EX").arg(expires)
        }
        KeyValueOperation::Set { key, value, .. } => command.arg("SET").arg(key).arg(value),
        KeyValueOperation::Delete { key } => command.arg("DEL").arg(key),
        KeyValueOperation::Range { key, start, stop } => command.arg("LRANGE").arg(key).arg(start).arg(stop),
        KeyValueOperation::Push { key, value } => command.arg("LPUSH").arg(key).arg(value),
        KeyValueOperation::ListItemDelete { key, value } => command.arg("LREM").arg(key).arg(0).arg(value),
        KeyValueOperation::SetAdd { key, value } => command.arg("SADD").arg(key).arg(value),
        KeyValueOperation::SetRemove { key, value } => command.arg("SREM").arg(key).arg(value),
        KeyValueOperation::SetUnion { keys } => command.arg("SUNION").arg(keys),
        KeyValueOperation::SetIntersection { keys } => command.arg("SINTER").arg(keys),
        KeyValueOperation::SetQuery { key } => command.arg("SMEMBERS").arg(key),
    };
    command
}

async fn open_client(server: &ConnectionInfo, ca_file: Option<&Path>) -> Result<Client, String> {
    let server =
        server.clone().set_tcp_settings(TcpSettings::default().set_nodelay(true).set_user_timeout(USER_TIMEOUT));
    let Some(path) = ca_file else {
        return Client::open(server).map_err(|error| format!("the value URL cannot be used: {}", reason(&error)));
    };
    let describe = |error: &dyn std::fmt::Display| format!("the value CA_FILE={path:?} cannot be used: {error}");
    let ca_file = tokio::fs::read(path).await.map_err(|error| describe(&error))?;
    let ca_file = TlsCertificates { client_tls: None, root_cert: Some(ca_file) };
    Client::build_with_tls(server, ca_file).map_err(|error| describe(&reason(&error)))
}

/// Returns the text of an error. It contains neither the user name nor the password.
fn reason(error: &RedisError) -> String {
    wasmcloud_core::text::printable(error.to_string().as_bytes())
}
