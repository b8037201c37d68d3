//! Where settings come from: the command line, else the environment (KINE_SHIM_NAME, then ETCD_NAME, then KINE_NAME),
//! else the file of --config-file. In go all three, out comes one command line with every flag at most once a source;
//! what the flags mean is not known here.

use std::{any::TypeId, collections::BTreeSet, ffi::OsString, path::Path};

use clap::Command;
use serde_json::Value;

use super::error::{ConfigError, wrong};

/// The environment's names begin so; the first wins.
const PREFIXES: [&str; 3] = [OWN, "ETCD_", KINE];
const OWN: &str = "KINE_SHIM_";
const KINE: &str = "KINE_";
/// What kine calls otherwise than etcd: its own certificate is the server's, and this one is shown to the database.
const OF_KINE: [(&str, &str); 2] = [("cert-file", "datastore-certfile"), ("key-file", "datastore-keyfile")];
/// Whoever gives one of these means kine's flags.
const KINE_ALONE: [&str; 3] = ["listen-address", "server-cert-file", "server-key-file"];
/// Flags of etcd and kine that have no meaning here, and whether a value follows.
const WITHOUT_EFFECT: &[(&str, bool)] = &[
    ("backend-batch-interval", true),
    ("backend-batch-limit", true),
    ("backend-bbolt-freelist-type", true),
    ("bootstrap-defrag-threshold-megabytes", true),
    ("client-cert-file", true),
    ("client-key-file", true),
    ("compact-batch-size", true),
    ("compact-hash-check-enabled", false),
    ("compact-hash-check-time", true),
    ("compact-interval", true),
    ("compact-min-retain", true),
    ("compact-timeout", true),
    ("compaction-batch-limit", true),
    ("compaction-sleep-interval", true),
    ("corrupt-check-time", true),
    ("datastore-connection-max-idle-lifetime", true),
    ("datastore-connection-max-lifetime", true),
    ("datastore-max-idle-connections", true),
    ("datastore-max-open-connections", true),
    ("discovery", true),
    ("discovery-cacert", true),
    ("discovery-cert", true),
    ("discovery-dial-timeout", true),
    ("discovery-endpoints", true),
    ("discovery-fallback", true),
    ("discovery-insecure-skip-tls-verify", false),
    ("discovery-insecure-transport", false),
    ("discovery-keepalive-time", true),
    ("discovery-keepalive-timeout", true),
    ("discovery-key", true),
    ("discovery-password", true),
    ("discovery-proxy", true),
    ("discovery-request-timeout", true),
    ("discovery-srv", true),
    ("discovery-srv-name", true),
    ("discovery-token", true),
    ("discovery-user", true),
    ("distributed-tracing-address", true),
    ("distributed-tracing-instance-id", true),
    ("distributed-tracing-sampling-rate", true),
    ("distributed-tracing-service-name", true),
    ("downgrade-check-time", true),
    ("election-timeout", true),
    ("emulated-etcd-version", true),
    ("enable-distributed-tracing", false),
    ("enable-lease-checkpoint", false),
    ("enable-lease-checkpoint-persist", false),
    ("enable-log-rotation", false),
    // Gone from etcd with its API of version 2.
    ("enable-v2", false),
    ("enable-v2v3", true),
    ("feature-gates", true),
    ("force-new-cluster", false),
    ("grpc-keepalive-min-time", true),
    ("heartbeat-interval", true),
    ("initial-advertise-peer-urls", true),
    ("initial-cluster", true),
    ("initial-cluster-state", true),
    ("initial-cluster-token", true),
    ("initial-corrupt-check", false),
    ("initial-election-tick-advance", false),
    ("listen-peer-urls", true),
    ("log-rotation-config-json", true),
    ("logger", true),
    ("max-learners", true),
    ("max-snapshots", true),
    ("max-wals", true),
    ("memory-mlock", false),
    ("metrics-bind-address", true),
    ("metrics-enable-profiling", false),
    ("notify-interval", true),
    ("peer-auto-tls", false),
    ("peer-cert-allowed-cn", true),
    ("peer-cert-allowed-hostname", true),
    ("peer-cert-file", true),
    ("peer-client-cert-auth", false),
    ("peer-client-cert-file", true),
    ("peer-client-key-file", true),
    ("peer-crl-file", true),
    ("peer-key-file", true),
    ("peer-skip-client-san-verification", false),
    ("peer-trusted-ca-file", true),
    ("poll-batch-size", true),
    ("proxy", true),
    ("proxy-dial-timeout", true),
    ("proxy-failure-wait", true),
    ("proxy-read-timeout", true),
    ("proxy-refresh-interval", true),
    ("proxy-write-timeout", true),
    ("pre-vote", false),
    ("raft-read-timeout", true),
    ("raft-write-timeout", true),
    ("slow-sql-threshold", true),
    ("slow-sql-warning-threshold", true),
    ("snapshot-catchup-entries", true),
    ("snapshot-count", true),
    ("stop-grpc-service-on-defrag", false),
    ("strict-reconfig-check", false),
    ("txn-mode-write-with-shared-buffer", false),
    ("v2-deprecation", true),
    ("wal-dir", true),
    ("warning-apply-duration", true),
    ("watch-progress-notify", false),
];

/// An etcd before 3.6 spells some of its flags so.
const OLD_PREFIX: &str = "experimental-";

fn without_effect(name: &str) -> Option<(&'static str, bool)> {
    let name = name.strip_prefix(OLD_PREFIX).unwrap_or(name);
    WITHOUT_EFFECT.iter().copied().find(|(known, _)| *known == name)
}

/// One command line out of all sources, and what the operator should know.
pub(super) struct CommandLine {
    pub(super) args: Vec<OsString>,
    pub(super) warnings: Vec<String>,
}

/// `command` says which flags there are.
pub(super) fn command_line(
    command: &Command,
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<CommandLine, ConfigError> {
    let known = Known::of(command);
    let args: Vec<OsString> = args.into_iter().collect();
    not_kines_certificate(&args)?;
    let mut line = CommandLine { args: Vec::new(), warnings: Vec::new() };
    let mut given = BTreeSet::new();
    let mut config_file = None;
    let rest = normalized(args, &known, &mut line.warnings);
    for arg in rest.iter().filter_map(|arg| arg.to_str()).filter(|arg| arg.starts_with("--")) {
        given.extend(known.canonical(arg.trim_start_matches('-').split('=').next().unwrap_or_default()));
    }
    let mut more = Vec::new();
    let mut take = |name: &str, value: &str, source: &str, warnings: &mut Vec<String>| -> bool {
        let Some(canonical) = known.canonical(name) else { return false };
        if given.insert(canonical) {
            more.push(OsString::from(format!("--{canonical}={}", known.as_meant(canonical, value))));
        } else {
            warnings.push(format!("{source} does not count: --{canonical} is given elsewhere"));
        }
        true
    };
    let environment: Vec<_> = environment.into_iter().collect();
    for prefix in PREFIXES {
        for (variable, value) in &environment {
            let Some(name) = variable.strip_prefix(prefix) else { continue };
            // As in etcd an empty one is none at all.
            if value.is_empty() || prefix == KINE && variable.starts_with(OWN) {
                continue;
            }
            let name = name.to_lowercase().replace('_', "-");
            let name = match OF_KINE.iter().find(|(of_kine, _)| prefix == KINE && *of_kine == name) {
                Some((_, ours)) => (*ours).to_owned(),
                None => name,
            };
            // etcd has no such flag: its libraries and others' read the variable.
            let is_foreign = prefix == "ETCD_" && name == "debug";
            if is_foreign || !take(&name, value, variable, &mut line.warnings) {
                let is_known = without_effect(&name).is_some();
                if prefix == KINE && !is_known {
                    return Err(wrong("endpoint", format!("{variable} in the environment is not a setting of kine's")));
                }
                let why = if is_known { "has no effect here" } else { "is not a setting" };
                line.warnings.push(format!("the environment's {variable} {why}"));
            }
        }
    }
    let at =
        rest.iter().rposition(|arg| arg.to_str().is_some_and(|arg| arg.split('=').next() == Some("--config-file")));
    if let Some(arg) = at.and_then(|at| rest[at].to_str().map(|arg| (at, arg))) {
        config_file = match arg.1.split_once('=') {
            Some((_, file)) => Some(OsString::from(file)),
            None => rest.get(arg.0 + 1).cloned(),
        };
    }
    let in_environment = || {
        let named = |prefix: &str| environment.iter().find(|(name, _)| *name == format!("{prefix}CONFIG_FILE"));
        PREFIXES.iter().find_map(|prefix| named(prefix)).map(|(_, file)| OsString::from(file))
    };
    if let Some(file) = config_file.or_else(in_environment) {
        for (name, value) in read(Path::new(&file))? {
            if take(&name, &value, &format!("{name} in --config-file"), &mut line.warnings) {
                continue;
            }
            if without_effect(&name).is_none() && !name.starts_with("peer-") {
                return Err(wrong("config-file", format!("unknown setting {name:?}")));
            }
            line.warnings.push(format!("{name} in --config-file has no effect here"));
        }
    }
    let mut rest = rest.into_iter();
    line.args.extend(rest.next());
    line.args.extend(more);
    line.args.extend(rest);
    Ok(line)
}

/// kine's --cert-file is shown to the database, etcd's is the server's: beside flags that only kine has nobody can know
/// which is meant.
fn not_kines_certificate(args: &[OsString]) -> Result<(), ConfigError> {
    let name = |arg: &OsString| {
        let name = arg.to_str()?.strip_prefix('-')?.trim_start_matches('-');
        Some(name.split('=').next().unwrap_or_default().to_owned())
    };
    let names: Vec<String> = args.iter().filter_map(name).collect();
    let given = |wanted: &str| names.iter().any(|name| name == wanted);
    let Some(of_kine) = KINE_ALONE.into_iter().find(|flag| given(flag)) else { return Ok(()) };
    match OF_KINE.into_iter().find(|(flag, _)| given(flag)) {
        Some((flag, meant)) => {
            let server = format!("--server-{flag}");
            let reason =
                format!("beside --{of_kine} it may be kine's: say --{meant} for the database, {server} for clients");
            Err(wrong(flag, reason))
        }
        None => Ok(()),
    }
}

/// As Go's strconv reads a truth.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The flags that clap knows, by every spelling.
struct Known {
    spellings: Vec<(String, String)>,
    /// Those that are true or false.
    truths: BTreeSet<String>,
}

impl Known {
    fn of(command: &Command) -> Self {
        let (mut names, mut truths) = (Vec::new(), BTreeSet::new());
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            if arg.get_value_parser().type_id() == TypeId::of::<bool>() {
                truths.insert(long.to_owned());
            }
            names.push((long.to_owned(), long.to_owned()));
            let aliases = arg.get_all_aliases().unwrap_or_default();
            names.extend(aliases.into_iter().map(|alias| (alias.to_owned(), long.to_owned())));
        }
        Self { spellings: names, truths }
    }

    /// A value as clap reads it.
    fn as_meant<'a>(&self, canonical: &str, value: &'a str) -> &'a str {
        match truth(value).filter(|_| self.truths.contains(canonical)) {
            Some(true) => "true",
            Some(false) => "false",
            None => value,
        }
    }

    fn canonical(&self, name: &str) -> Option<&str> {
        self.spellings.iter().find(|(spelling, _)| spelling == name).map(|(_, long)| long.as_str())
    }
}

/// Takes the flags without effect out, and gives single-dash flags, which Go's programs accept, their second dash.
fn normalized(args: Vec<OsString>, known: &Known, warnings: &mut Vec<String>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut args = args.into_iter();
    kept.extend(args.next());
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str().filter(|text| text.starts_with('-')) else {
            kept.push(arg);
            continue;
        };
        let is_short = !text.starts_with("--") && text.len() > 2;
        let name = text.trim_start_matches('-').split('=').next().unwrap_or_default();
        match without_effect(name) {
            Some((_, takes_value)) => {
                warnings.push(format!("--{name} has no effect here"));
                if takes_value && !text.contains('=') {
                    args.next();
                }
            }
            None => {
                let text = if is_short { format!("-{text}") } else { text.to_owned() };
                let meant = text.split_once('=').zip(known.canonical(name));
                kept.push(match meant {
                    Some(((flag, value), canonical)) => format!("{flag}={}", known.as_meant(canonical, value)).into(),
                    None => text.into(),
                });
            }
        }
    }
    kept
}

/// The file's settings in its order, as flags have them. etcd nests some.
fn read(file: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = |why: &dyn std::fmt::Display| wrong("config-file", format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let document: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(&error))?;
    let Value::Object(settings) = document else { return Err(wrong(&"not a mapping of settings")) };
    let mut flat = Vec::new();
    for (name, value) in settings {
        let prefix = match name.as_str() {
            "client-transport-security" => Some(""),
            "peer-transport-security" => Some("peer-"),
            "discovery-config" => Some("discovery-"),
            "socket-options" => Some("socket-"),
            _ => None,
        };
        match (prefix, value) {
            (Some(prefix), Value::Object(inner)) => {
                let inner = inner.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value));
                flat.extend(inner);
            }
            (Some(_), Value::Null) => {}
            (_, value) => flat.push((name, value)),
        }
    }
    let shown = |(name, value): (String, Value)| {
        let value = match value {
            Value::Null => return Ok(None),
            Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
            value => scalar(&value),
        };
        let value = value.ok_or_else(|| wrong(&format!("{name} is not a plain value")))?;
        // Go writes durations as nanoseconds where no unit is given.
        let is_time = ["-interval", "-time", "-timeout", "-duration"].iter().any(|end| name.ends_with(end));
        let is_bare = is_time && value != "0" && value.parse::<u64>().is_ok();
        Ok(Some((name, if is_bare { format!("{value}ns") } else { value })))
    };
    flat.into_iter().filter_map(|setting| shown(setting).transpose()).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
