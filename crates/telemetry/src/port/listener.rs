//! Opens the port.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::options::TelemetryOptions;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;

/// Opens the address of the options, or another port of it if they allow that.
///
/// # Errors
/// `Io` if neither can be used.
pub(super) fn open(options: &TelemetryOptions) -> Result<TcpListener> {
    let address = options.address();
    match listen(address) {
        Err(error) if options.takes_another_port() && error.kind() == io::ErrorKind::AddrInUse => {
            let listener = listen(SocketAddr::new(address.ip(), 0)).map_err(|error| cannot_open(address, error))?;
            log::warn!("another program uses {address}: telemetry takes a free port instead");
            Ok(listener)
        }
        opened => opened.map_err(|error| cannot_open(address, error)),
    }
}

/// Returns the address of a listener.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener
        .local_addr()
        .map_err(|error| Error::new(ErrorKind::Io, "the address of the telemetry cannot be read").caused_by(error))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // On Windows, another program could take the address over.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn cannot_open(address: SocketAddr, error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => format!("another program uses {address}: serve telemetry on another port"),
        io::ErrorKind::AddrNotAvailable => format!("this machine has no address {}", address.ip()),
        _ => format!("telemetry cannot be served on {address}"),
    };
    Error::new(ErrorKind::Io, message).caused_by(error)
}
