//! The port of the dashboard, metrics and health.

use std::net::SocketAddr;

use wasmcloud_host::{HostBuilder, TelemetryOptions};
use zeroize::Zeroizing;

use super::catalogue::{TELEMETRY, TELEMETRY_NAME, TELEMETRY_TOKEN};
use super::origin::Origin;
use super::settings::Settings;
use crate::input;
use crate::outcome::{self, CommandResult};

/// The value that turns the port off.
const OFF: &str = "off";

/// Adds the port to a host.
///
/// # Errors
/// `Usage` for settings that are invalid, `Failed` for a file that cannot be read.
pub(super) fn configure(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    if settings.text(&TELEMETRY) == Some(OFF) {
        for setting in [&TELEMETRY_TOKEN, &TELEMETRY_NAME].into_iter().filter(|setting| settings.has(setting)) {
            outcome::warn(&format!("{} has no effect, since the telemetry is off", settings.place(setting)));
        }
        return Ok(builder);
    }
    let address = settings.read(&TELEMETRY, |text| {
        text.parse::<SocketAddr>().map_err(|_| "name an IP address and a port, such as 127.0.0.1:9464, or off")
    })?;
    let mut options = address.map_or_else(TelemetryOptions::default, TelemetryOptions::new);
    if settings.has(&TELEMETRY_TOKEN) {
        options = options.token(&token(settings)?).map_err(|error| settings.invalid(&TELEMETRY_TOKEN, error))?;
    }
    for name in settings.list(&TELEMETRY_NAME) {
        let alone = TelemetryOptions::default().name(name).validate();
        alone.map_err(|error| settings.invalid(&TELEMETRY_NAME, error))?;
        options = options.name(name);
    }
    if options.validate().is_err() {
        let reason = "other machines could read it: name a file with a token by --telemetry-token, or an address of this \
                      machine alone, such as 127.0.0.1:9464";
        return Err(settings.invalid(&TELEMETRY, reason));
    }
    Ok(builder.with_telemetry(options.unready("the manifests are not applied yet")))
}

/// Returns the token: the variable of the environment, or the contents of the file that is named.
fn token(settings: &Settings) -> CommandResult<Zeroizing<String>> {
    const LONGEST: usize = 4 * 1024;
    if settings.origin(&TELEMETRY_TOKEN) == Origin::Environment {
        return Ok(Zeroizing::new(settings.text(&TELEMETRY_TOKEN).unwrap_or_default().to_owned()));
    }
    let path = settings.path(&TELEMETRY_TOKEN).unwrap_or_default();
    if !path.is_file() {
        return Err(settings.invalid(&TELEMETRY_TOKEN, "it should be the path of a file with the token"));
    }
    let bytes = input::read_secret(&path, "the token in", LONGEST)?;
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| settings.invalid(&TELEMETRY_TOKEN, "the file is not UTF-8"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
