//! The command line, spelled as kube-apiserver spells it.
//!
//! In: arguments. Out: a [`Config`] with everything checked, plus the names of flags that were given and do not act.
//! Not here: reading the files that flags name (net, authn).

mod audit;
mod authentication;
mod authorization;
mod flag;
mod levels;
mod parse;
mod removed;
mod table;
mod typed;
mod validated;
mod values;

pub use audit::{Audit, AuditBatch, AuditMode, AuditTruncate, AuditWebhook};
pub use authentication::{Authentication, Oidc, RequestHeader, ServiceAccounts, TokenWebhook};
pub use authorization::{Authorization, AuthorizationMode, AuthorizationWebhook};
use flag::Flag;
pub use flag::Kind;
pub use levels::Levels;
pub use parse::{Given, parse};
pub use validated::{AdmissionFlags, Config, Kubelet, Listen, ProxyIdentity, ReconcilerType, Routing};
pub use values::{first_address, parse_duration};

/// A command line that cannot be used; the text names the flag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlagError {
    #[error("unknown flag: {shown}{}", nearest.map_or(String::new(), |flag| format!(", did you mean --{flag}?")))]
    Unknown { shown: String, nearest: Option<&'static str> },
    #[error("unknown shorthand flag: '{0}' in -{1}")]
    UnknownShorthand(char, String),
    #[error("flag needs an argument: {0}")]
    MissingValue(String),
    #[error("invalid argument \"{value}\" for \"{flag}\" flag: {why}")]
    BadValue { flag: String, value: String, why: String },
    #[error("\"kube-apiserver\" does not take any arguments, got \"{0}\"")]
    Positional(String),
    #[error("{0}")]
    Invalid(String),
}

fn find(name: &str) -> Option<&'static Flag> {
    table::SECTIONS.iter().flat_map(|s| s.flags).find(|f| f.name == name).or_else(|| removed::find(name))
}

fn unknown(shown: &str) -> FlagError {
    let all = table::SECTIONS.iter().flat_map(|section| section.flags);
    FlagError::Unknown { shown: shown.to_owned(), nearest: nearest(shown.trim_start_matches('-'), all) }
}

/// The flag whose name takes the fewest changes of letters, if it is less than every third letter.
fn nearest(name: &str, flags: impl Iterator<Item = &'static Flag>) -> Option<&'static str> {
    let measured = flags.map(|flag| (distance(name, flag.name), flag.name));
    measured.min().filter(|(changes, _)| changes * 3 <= name.len()).map(|(_, flag)| flag)
}

/// Letters to insert, remove or replace to get from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (at, other) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

/// The text of `--help`, in the sections of kube-apiserver.
pub fn help() -> String {
    let mut out = String::from(
        "A stateless Kubernetes API server on an etcd v3 store.\n\nUsage:\n  frontend --etcd-servers=URL,... [flags]\n",
    );
    for section in table::SECTIONS {
        out.push_str(&format!("\n{} flags:\n\n", section.title));
        for flag in section.flags {
            let kind = match flag.kind {
                Kind::Bool => "",
                Kind::Int => " int",
                Kind::Float => " float",
                Kind::Duration => " duration",
                Kind::Ip => " ip",
                Kind::Text => " string",
                Kind::Strings => " strings",
                Kind::Texts => " stringArray",
            };
            let help = flag.help.unwrap_or("(accepted; does not act yet)");
            out.push_str(&format!("      --{}{kind}\n                {help}\n", flag.name));
        }
    }
    out
}

#[cfg(test)]
mod tests;
