//! Manifests in JSON, as they travel to hosts. They name modules and archives by references to registries, and secrets by
//! their sources.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::failure::ManifestFailures;
use super::{
    HostManifest, ManifestActor, ManifestCapability, ManifestIsolation, ManifestLimits, ManifestLink, ManifestRestart,
    ManifestSecret, invalid, reference, schema,
};

impl HostManifest {
    /// Returns the manifest in JSON, for a host on another machine. Secrets remain references, and the name of its file
    /// becomes the name of the manifest.
    ///
    /// ```
    /// use wasmcloud_host::HostManifest;
    ///
    /// let manifest = HostManifest::from_yaml("actors: ['registry.example/echo:1.0']")?;
    /// assert_eq!(HostManifest::from_json(&manifest.to_json()?)?.actors, manifest.actors);
    ///
    /// let refused = HostManifest::from_yaml("actors: [echo.wasm]")?.to_json().unwrap_err();
    /// assert!(refused.to_string().contains("wasmcloud registry push"));
    /// # Ok::<(), wasmcloud_host::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidManifest` if an entry names a file: it is on this machine only.
    pub fn to_json(&self) -> Result<String> {
        let mut failures = ManifestFailures::default();
        for (number, actor) in self.actors.iter().enumerate() {
            failures.record(format_args!("actors[{number}]"), reference::expect_portable(&actor.image_ref));
        }
        for (number, capability) in self.capabilities.iter().enumerate() {
            let checked = reference::expect_portable(&capability.image_ref);
            failures.record(format_args!("capabilities[{number}]"), checked);
        }
        failures.into_result(&self.title(), ErrorKind::InvalidManifest)?;
        let mut fields = Fields::default();
        fields.add("name", self.application_name());
        fields.add("labels", some(&self.labels));
        fields.add("actors", list(&self.actors, actor));
        fields.add("capabilities", list(&self.capabilities, capability));
        fields.add("links", list(&self.links, link));
        let text = serde_json::to_string(&fields.0);
        text.map_err(|error| Error::new(ErrorKind::Internal, "the manifest cannot be written").caused_by(error))
    }

    /// Reads a manifest from text in JSON that may come from another machine, such as that of [`HostManifest::to_json`].
    /// Variables are not expanded. A host refuses such a manifest if it names files, and limits the secrets that it may name:
    /// see [`ManifestSecret`].
    ///
    /// # Errors
    /// `InvalidManifest` if the manifest is malformed.
    pub fn from_json(text: &str) -> Result<HostManifest> {
        let read = wasmcloud_document::json::read(text)
            .and_then(schema::manifest)
            .map_err(|error| invalid(None, &error, ""))?;
        Ok(HostManifest { has_travelled: true, ..read })
    }
}

/// The keys of a mapping that have values.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
    }

    /// Returns the mapping, or `None` if it is empty.
    fn some(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }
}

fn some<'a>(values: impl IntoIterator<Item = (&'a String, &'a String)>) -> Option<Value> {
    let mut fields = Fields::default();
    values.into_iter().for_each(|(name, value)| fields.add(name, Some(value.as_str())));
    fields.some()
}

fn list<T>(entries: &[T], write: fn(&T) -> Value) -> Option<Value> {
    (!entries.is_empty()).then(|| entries.iter().map(write).collect())
}

fn actor(actor: &ManifestActor) -> Value {
    let ManifestActor { image_ref, instances, placement, limits, restart } = actor;
    let mut fields = Fields::default();
    fields.add("image_ref", Some(image_ref.as_str()));
    fields.add("instances", *instances);
    fields.add("placement", placement.as_ref().and_then(|placement| schema::word(&schema::PLACEMENTS, placement)));
    fields.add("limits", of_limits(limits));
    fields.add("restart", of_restart(restart));
    Value::Object(fields.0)
}

fn of_limits(limits: &ManifestLimits) -> Option<Value> {
    let ManifestLimits { memory_bytes, stack_bytes, message_bytes, table_elements, mailbox_length, call_deadline } =
        *limits;
    let mut fields = Fields::default();
    fields.add("memory_bytes", memory_bytes);
    fields.add("stack_bytes", stack_bytes);
    fields.add("message_bytes", message_bytes);
    fields.add("table_elements", table_elements);
    fields.add("mailbox_length", mailbox_length);
    fields.add("call_deadline", call_deadline.map(duration));
    fields.some()
}

fn of_restart(policy: &ManifestRestart) -> Option<Value> {
    let ManifestRestart { restart, intensity, period, in_a_row, second_delay, longest_delay } = *policy;
    let mut fields = Fields::default();
    fields.add("restart", restart.as_ref().and_then(|restart| schema::word(&schema::RESTARTS, restart)));
    fields.add("intensity", intensity);
    fields.add("period", period.map(duration));
    fields.add("in_a_row", in_a_row);
    fields.add("second_delay", second_delay.map(duration));
    fields.add("longest_delay", longest_delay.map(duration));
    fields.some()
}

fn capability(capability: &ManifestCapability) -> Value {
    let ManifestCapability { image_ref, link_name, isolation } = capability;
    let mut fields = Fields::default();
    fields.add("image_ref", Some(image_ref.as_str()));
    fields.add("link_name", link_name.clone());
    fields.add("isolation", isolation.map(of_isolation));
    Value::Object(fields.0)
}

fn of_isolation(isolation: ManifestIsolation) -> Value {
    match isolation {
        ManifestIsolation::InProcess => json!("in_process"),
        ManifestIsolation::Process { memory_bytes, open_files } => {
            let mut limits = Fields::default();
            limits.add("memory_bytes", memory_bytes);
            limits.add("open_files", open_files);
            limits.some().map_or_else(|| json!("process"), |limits| json!({ "process": limits }))
        }
    }
}

fn link(link: &ManifestLink) -> Value {
    let ManifestLink { actor, contract_id, provider_id, link_name, values, secrets } = link;
    let mut fields = Fields::default();
    fields.add("actor", Some(actor.as_str()));
    fields.add("contract_id", Some(contract_id.as_str()));
    fields.add("provider_id", Some(provider_id.as_str()));
    fields.add("link_name", link_name.clone());
    let mut all = Fields::default();
    values.iter().for_each(|(name, value)| all.add(name, Some(value.as_str())));
    for (name, secret) in secrets {
        let source = match secret {
            ManifestSecret::File(path) => json!({ "file": path }),
            ManifestSecret::Env(name) => json!({ "env": name }),
        };
        all.add(name, Some(json!({ "secret": source })));
    }
    fields.add("values", all.some());
    Value::Object(fields.0)
}

/// Returns a duration as manifests write it, rounded up to milliseconds.
fn duration(duration: Duration) -> String {
    format!("{}ms", duration.as_nanos().div_ceil(1_000_000).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_travels() {
        let text = "
            name: shop
            labels: {zone: cellar}
            actors:
              - registry.example/echo:1.0
              - image_ref: registry.example/cart@sha256:0011
                instances: 2
                placement: dedicated
                limits: {memory_bytes: 32MiB, stack_bytes: 64KiB, message_bytes: 1MiB, table_elements: 7,
                         mailbox_length: 9, call_deadline: 5s}
                restart: {restart: transient, intensity: 5, period: 1m, in_a_row: 3, second_delay: 1s, longest_delay: 1h}
            capabilities:
              - {image_ref: 'builtin:logging', link_name: aside}
              - {image_ref: registry.example/clock:1, isolation: process}
              - {image_ref: registry.example/clocks:1, isolation: {process: {memory_bytes: 1GiB, open_files: 64}}}
              - {image_ref: registry.example/clocked:1, isolation: in_process}
            links:
              - {actor: echo, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging', link_name: aside,
                 values: {LEVEL: warn, KEY: {secret: {file: tls/key}}, TOKEN: {secret: {env: WASMCLOUD_SECRET_TOKEN}}}}
              - {actor: echo, contract_id: 'a:b', provider_id: V}
            ";
        let manifest = HostManifest::from_yaml(text).unwrap();
        let travelled = HostManifest::from_json(&manifest.to_json().unwrap()).unwrap();
        assert!(travelled.has_travelled);
        assert_eq!(HostManifest { has_travelled: false, ..travelled }, manifest);
        let empty = HostManifest::default().to_json().unwrap();
        assert_eq!(empty, "{}");
    }

    #[test]
    fn durations_do_not_vanish() {
        assert_eq!(duration(Duration::from_nanos(1)), "1ms");
        assert_eq!(duration(Duration::from_micros(1500)), "2ms");
        assert_eq!(duration(Duration::from_secs(5)), "5000ms");
    }

    #[test]
    fn files_stay_where_they_are() {
        let text = "
            actors: [echo.wasm, 'registry.example/echo:1.0']
            capabilities: [{image_ref: 'builtin:logging'}, {image_ref: ./clock.par.gz}]
            ";
        let refused = HostManifest::from_yaml(text).unwrap().to_json().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        let refused = refused.to_string();
        assert!(refused.contains("actors[0]") && refused.contains("capabilities[1]"), "{refused}");
        assert!(!refused.contains("actors[1]") && !refused.contains("capabilities[0]"), "{refused}");
    }
}
