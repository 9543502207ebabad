//! The settings of `wasmcloud run`. Each is a flag, a variable of the environment and a key of the settings file: this list
//! is where all three come from.

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The name of the flag and of the key in the settings file.
    pub(crate) name: &'static str,
    /// The variable of the environment.
    pub(crate) variable: &'static str,
    /// The short form of the flag.
    pub(crate) short: Option<char>,
    pub(crate) shape: Shape,
    /// The default, as it is shown.
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
    /// Whether its value is a secret, unless it is the path of a file.
    pub(crate) is_secret: bool,
}

/// How many values a setting has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value, by this name in the help.
    Value(&'static str),
    /// Any number of values. In the environment they are separated by commas.
    List(&'static str),
    /// `true` or `false`.
    Switch,
}

impl Setting {
    const fn new(name: &'static str, variable: &'static str, shape: Shape, help: &'static str) -> Setting {
        Setting { name, variable, short: None, shape, default: "none", help, is_secret: false }
    }

    const fn short(mut self, short: char) -> Setting {
        self.short = Some(short);
        self
    }

    const fn default(mut self, default: &'static str) -> Setting {
        self.default = default;
        self
    }

    const fn secret(mut self) -> Setting {
        self.is_secret = true;
        self
    }
}

const fn value(name: &'static str, variable: &'static str, what: &'static str, help: &'static str) -> Setting {
    Setting::new(name, variable, Shape::Value(what), help)
}

const fn list(name: &'static str, variable: &'static str, what: &'static str, help: &'static str) -> Setting {
    Setting::new(name, variable, Shape::List(what), help)
}

const fn switch(name: &'static str, variable: &'static str, help: &'static str) -> Setting {
    Setting::new(name, variable, Shape::Switch, help).default("false")
}

pub(crate) static MANIFEST: Setting =
    list("manifest", "WASMCLOUD_MANIFEST", "FILE", "A manifest to apply, beside those without a flag").short('m');
pub(crate) static LABEL: Setting =
    list("label", "WASMCLOUD_LABEL", "KEY=VALUE", "A label of the host. In the settings file also a table").short('l');
pub(crate) static WATCH: Setting =
    switch("watch", "WASMCLOUD_WATCH", "Applies the manifests again when one of them changes");
pub(crate) static STATE_FOLDER: Setting = value(
    "state-folder",
    "WASMCLOUD_STATE_FOLDER",
    "FOLDER",
    "The folder whose lock keeps two hosts from working in one place",
)
.default(".wasmcloud");
pub(crate) static LOG_LEVEL: Setting =
    value("log-level", "RUST_LOG", "LEVEL", "What is logged: a level, or levels of targets")
        .default("warn,wasmcloud=info");
pub(crate) static LOG_FORMAT: Setting = value(
    "log-format",
    "WASMCLOUD_LOG_FORMAT",
    "FORMAT",
    "The form of the log: text, or json for an object in each line",
)
.default("text");
pub(crate) static SECRETS_FOLDER: Setting = value(
    "secrets-folder",
    "WASMCLOUD_SECRETS_FOLDER",
    "FOLDER",
    "The folder of the secrets that manifests from other machines may name",
);

pub(crate) static RPC_HOST: Setting =
    value("rpc-host", "RPC_HOST", "HOST", "The NATS server that carries calls, with tls:// before it to insist on TLS")
        .default("none: the host runs alone");
pub(crate) static RPC_PORT: Setting = value("rpc-port", "RPC_PORT", "PORT", "The port of that server").default("4222");
pub(crate) static RPC_JWT: Setting =
    value("rpc-jwt", "RPC_JWT", "TOKEN or FILE", "The user's JWT for that server, or a file that holds it").secret();
pub(crate) static RPC_SEED: Setting = value(
    "rpc-seed",
    "RPC_SEED",
    "FILE",
    "A file with the user's seed for that server. In the environment also the seed itself",
)
.secret();
pub(crate) static RPC_CREDS: Setting =
    value("rpc-creds", "RPC_CREDS", "FILE", "A file with the user's credentials for that server");
pub(crate) static CONTROL_HOST: Setting = value(
    "control-host",
    "CONTROL_HOST",
    "HOST",
    "The NATS server that carries the control interface, over a connection of its own",
)
.default("the one that carries calls");
pub(crate) static CONTROL_PORT: Setting =
    value("control-port", "CONTROL_PORT", "PORT", "The port of that server").default("4222");
pub(crate) static CONTROL_JWT: Setting = value(
    "control-jwt",
    "CONTROL_JWT",
    "TOKEN or FILE",
    "The user's JWT for the control connection, or a file that holds it",
)
.secret();
pub(crate) static CONTROL_SEED: Setting = value(
    "control-seed",
    "CONTROL_SEED",
    "FILE",
    "A file with the user's seed for the control connection. In the environment also the seed itself",
)
.secret();
pub(crate) static CONTROL_CREDS: Setting =
    value("control-creds", "CONTROL_CREDS", "FILE", "A file with the user's credentials for the control connection");
pub(crate) static NATS_CA_FILE: Setting = value(
    "nats-ca-file",
    "WASMCLOUD_NATS_CA_FILE",
    "FILE",
    "The authorities (PEM) that may sign the servers' certificates",
)
.default("those of the system");
pub(crate) static REQUIRE_NATS: Setting = value(
    "require-nats",
    "WASMCLOUD_REQUIRE_NATS",
    "DURATION",
    "How long the start waits for the lattice before it fails with exit code 4",
)
.default("the host starts alone and joins later");
pub(crate) static NSPREFIX: Setting =
    value("nsprefix", "WASMCLOUD_NSPREFIX", "NAME", "The namespace of the lattice").default("default");
pub(crate) static HEARTBEAT_INTERVAL_S: Setting =
    value("heartbeat-interval-s", "HEARTBEAT_INTERVAL_S", "SECONDS", "The time between heartbeats").default("30");
pub(crate) static REGISTRY_REPLICAS: Setting = value(
    "registry-replicas",
    "WASMCLOUD_REGISTRY_REPLICAS",
    "NUMBER",
    "How many servers of a NATS cluster store the lattice's claims and links: 1 to 5",
)
.default("1");

pub(crate) static HOST_SEED_FILE: Setting =
    value("host-seed-file", "WASMCLOUD_HOST_SEED_FILE", "FILE", "The seed of the host (SN...)")
        .default("a new key for each start");
pub(crate) static CLUSTER_SEED_FILE: Setting = value(
    "cluster-seed-file",
    "WASMCLOUD_CLUSTER_SEED_FILE",
    "FILE",
    "The seed of the cluster (SC...) that the host belongs to. Hosts of the cluster are trusted",
);
pub(crate) static TRUSTED_HOST: Setting =
    list("trusted-host", "WASMCLOUD_TRUSTED_HOST", "PUBLIC KEY", "A host (N...) whose messages are accepted")
        .default("any host, unless a cluster is trusted");
pub(crate) static TRUSTED_CLUSTER: Setting =
    list("trusted-cluster", "WASMCLOUD_TRUSTED_CLUSTER", "PUBLIC KEY", "A cluster (C...) whose hosts are trusted");
pub(crate) static TRUSTED_ISSUER: Setting = list(
    "trusted-issuer",
    "WASMCLOUD_TRUSTED_ISSUER",
    "PUBLIC KEY",
    "An account (A...) whose actors and provider archives may run",
)
.default("any account");
pub(crate) static REVOKED_ISSUER: Setting = list(
    "revoked-issuer",
    "WASMCLOUD_REVOKED_ISSUER",
    "PUBLIC KEY",
    "An account (A...) whose actors and provider archives may not run, even if it is trusted",
);
pub(crate) static CONTROL_ISSUER: Setting = list(
    "control-issuer",
    "WASMCLOUD_CONTROL_ISSUER",
    "PUBLIC KEY",
    "An account, user or cluster (A..., U..., C...) that may control the host over its lattice",
)
.default("any program that can publish there");
pub(crate) static ACCEPT_UNSIGNED_CLAIMS: Setting = switch(
    "accept-unsigned-claims",
    "WASMCLOUD_ACCEPT_UNSIGNED_CLAIMS",
    "Believes the unsigned claims of hosts of 2021",
);

pub(crate) static ALLOW_LIVE_UPDATES: Setting = switch(
    "allow-live-updates",
    "WASMCLOUD_ALLOW_LIVE_UPDATES",
    "Allows a running actor to be replaced by a new revision",
);
pub(crate) static DISABLE_STRICT_UPDATE_CHECK: Setting = switch(
    "disable-strict-update-check",
    "WASMCLOUD_DISABLE_STRICT_UPDATE_CHECK",
    "Lets a new revision have other capabilities than the one before",
);
pub(crate) static ALLOW_OCI_LATEST: Setting = switch(
    "allow-oci-latest",
    "WASMCLOUD_ALLOW_OCI_LATEST",
    "Allows references to registries with the tag latest or without a tag",
);
pub(crate) static ALLOWED_INSECURE: Setting = list(
    "allowed-insecure",
    "WASMCLOUD_ALLOWED_INSECURE",
    "REGISTRY",
    "A registry that is reached without TLS, such as localhost:5000",
);
pub(crate) static OCI_REGISTRY: Setting =
    value("oci-registry", "OCI_REGISTRY", "REGISTRY", "The only registry that gets the user's name and password")
        .default("the first that asks and that Docker's configuration does not know");
pub(crate) static OCI_REGISTRY_USER: Setting =
    value("oci-registry-user", "OCI_REGISTRY_USER", "NAME", "The user's name at the registry");
pub(crate) static OCI_REGISTRY_PASSWORD: Setting = value(
    "oci-registry-password",
    "OCI_REGISTRY_PASSWORD",
    "FILE",
    "A file with the user's password. In the environment the password itself",
)
.secret();
pub(crate) static OCI_CA_FILE: Setting = value(
    "oci-ca-file",
    "WASMCLOUD_OCI_CA_FILE",
    "FILE",
    "Authorities (PEM) that may sign the registries' certificates, beside those of the system",
);
pub(crate) static OCI_CACHE: Setting =
    value("oci-cache", "WASMCLOUD_OCI_CACHE", "FOLDER", "The folder that keeps what was pulled from registries")
        .default("$XDG_CACHE_HOME/wasmcloud/oci");

pub(crate) static COMPILER: Setting =
    value("compiler", "WASMCLOUD_COMPILER", "NAME", "The compiler of actors: cranelift or singlepass")
        .default("cranelift");
pub(crate) static CACHE: Setting = value(
    "cache",
    "WASMCLOUD_CACHE",
    "FOLDER",
    "The folder that keeps compiled actors, or none to compile at each start",
)
.default("$XDG_CACHE_HOME/wasmcloud/artifacts");
pub(crate) static SHARDS: Setting =
    value("shards", "WASMCLOUD_SHARDS", "NUMBER", "The number of threads that run actors and providers")
        .default("the number of cores");
pub(crate) static CALL_DEADLINE: Setting =
    value("call-deadline", "WASMCLOUD_CALL_DEADLINE", "DURATION", "The time that a call may take, such as 500ms or 5s")
        .default("30s");
pub(crate) static STOP_GRACE: Setting =
    value("stop-grace", "WASMCLOUD_STOP_GRACE", "DURATION", "The time that a stop waits for calls in progress")
        .default("that of a call");
pub(crate) static MEMORY_LIMIT: Setting =
    value("memory-limit", "WASMCLOUD_MEMORY_LIMIT", "SIZE", "The memory of one actor, such as 64MiB").default("256MiB");
pub(crate) static MESSAGE_LIMIT: Setting =
    value("message-limit", "WASMCLOUD_MESSAGE_LIMIT", "SIZE", "The largest payload of a call, such as 1MiB")
        .default("64MiB");

pub(crate) static OTLP_ENDPOINT: Setting = value(
    "otlp-endpoint",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "URL",
    "The OTLP collector that the spans of calls are sent to over HTTP, with /v1/traces added. Needs a build with the feature otlp",
)
// Other programs read the variable too, and some take a user's name and password in it.
.secret();
pub(crate) static TRACE_SAMPLING: Setting = value(
    "trace-sampling",
    "WASMCLOUD_TRACE_SAMPLING",
    "SHARE",
    "The share of traces that are sampled, of those that begin in this host",
)
.default("1");
pub(crate) static TELEMETRY: Setting = value(
    "telemetry",
    "WASMCLOUD_TELEMETRY",
    "ADDRESS:PORT",
    "Where the dashboard, metrics and health are served, or off. Other addresses than those of this machine need a token",
)
.default("127.0.0.1:9464, or a free port if that is taken");
pub(crate) static TELEMETRY_TOKEN: Setting = value(
    "telemetry-token",
    "WASMCLOUD_TELEMETRY_TOKEN",
    "FILE",
    "A file with the token that readers of the telemetry need. In the environment the token itself",
)
.secret();
pub(crate) static TELEMETRY_NAME: Setting = list(
    "telemetry-name",
    "WASMCLOUD_TELEMETRY_NAME",
    "HOST NAME",
    "A name by which browsers may reach the telemetry without a token, beside localhost and addresses",
);

/// All settings, in the order of the help.
pub(crate) static ALL: &[&Setting] = &[
    &MANIFEST,
    &LABEL,
    &WATCH,
    &STATE_FOLDER,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &SECRETS_FOLDER,
    &RPC_HOST,
    &RPC_PORT,
    &RPC_JWT,
    &RPC_SEED,
    &RPC_CREDS,
    &CONTROL_HOST,
    &CONTROL_PORT,
    &CONTROL_JWT,
    &CONTROL_SEED,
    &CONTROL_CREDS,
    &NATS_CA_FILE,
    &REQUIRE_NATS,
    &NSPREFIX,
    &HEARTBEAT_INTERVAL_S,
    &REGISTRY_REPLICAS,
    &HOST_SEED_FILE,
    &CLUSTER_SEED_FILE,
    &TRUSTED_HOST,
    &TRUSTED_CLUSTER,
    &TRUSTED_ISSUER,
    &REVOKED_ISSUER,
    &CONTROL_ISSUER,
    &ACCEPT_UNSIGNED_CLAIMS,
    &ALLOW_LIVE_UPDATES,
    &DISABLE_STRICT_UPDATE_CHECK,
    &ALLOW_OCI_LATEST,
    &ALLOWED_INSECURE,
    &OCI_REGISTRY,
    &OCI_REGISTRY_USER,
    &OCI_REGISTRY_PASSWORD,
    &OCI_CA_FILE,
    &OCI_CACHE,
    &COMPILER,
    &CACHE,
    &SHARDS,
    &CALL_DEADLINE,
    &STOP_GRACE,
    &MEMORY_LIMIT,
    &MESSAGE_LIMIT,
    &OTLP_ENDPOINT,
    &TRACE_SAMPLING,
    &TELEMETRY,
    &TELEMETRY_TOKEN,
    &TELEMETRY_NAME,
];
