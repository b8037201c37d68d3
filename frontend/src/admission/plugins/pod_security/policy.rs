//! What a namespace asks of its pods: a level and a version for each of three modes, read from its labels.

use std::fmt;

use crate::request::status::FieldError;

/// How strict; the order is that of strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

const LEVELS: [(&str, Level); 3] =
    [("privileged", Level::Privileged), ("baseline", Level::Baseline), ("restricted", Level::Restricted)];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LEVELS.iter().find(|(_, level)| level == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// The Kubernetes version whose rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Minor(u32),
    Latest,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Minor(minor) => write!(f, "v1.{minor}"),
            Version::Latest => f.write_str("latest"),
        }
    }
}

pub(super) fn parse_level(text: &str) -> Result<Level, &'static str> {
    let found = LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level);
    found.ok_or("must be one of privileged, baseline, restricted")
}

pub(super) fn parse_version(text: &str) -> Result<Version, &'static str> {
    if text == "latest" {
        return Ok(Version::Latest);
    }
    let minor = text.strip_prefix("v1.").filter(|digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (*digits == "0" || !digits.starts_with('0'))
    });
    minor.and_then(|digits| digits.parse().ok()).map(Version::Minor).ok_or("must be \"latest\" or \"v1.x\"")
}

/// A level as of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: Version,
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level, self.version)
    }
}

impl Standard {
    pub(super) const PRIVILEGED: Standard = Standard { level: Level::Privileged, version: Version::Latest };

    fn is_equivalent(&self, other: &Standard) -> bool {
        self == other || (self.level == Level::Privileged && other.level == Level::Privileged)
    }
}

/// The standards of the three modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: Standard,
    pub(super) audit: Standard,
    pub(super) warn: Standard,
}

const PREFIX: &str = "pod-security.kubernetes.io/";

impl Policy {
    pub(super) fn is_privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn].iter().all(|standard| standard.level == Level::Privileged)
    }

    pub(super) fn is_equivalent(&self, other: &Policy) -> bool {
        self.enforce.is_equivalent(&other.enforce)
            && self.audit.is_equivalent(&other.audit)
            && self.warn.is_equivalent(&other.warn)
    }

    /// The labels of a namespace over the defaults, and what is wrong with them. A bad label that enforces means the
    /// strictest, one that audits or warns nothing.
    pub(super) fn of_labels<'a>(
        label: impl Fn(&str) -> Option<&'a str>,
        defaults: &Policy,
    ) -> (Policy, Vec<FieldError>) {
        let mut policy = *defaults;
        let mut errors = Vec::new();
        let of = |name: &str| label(&format!("{PREFIX}{name}"));
        let mut invalid = |name: &str, value: &str, why: &str| {
            errors.push(FieldError::invalid(format!("metadata.labels[{PREFIX}{name}]"), value, why));
        };
        let mut enforces = false;
        for (mode, standard, fallback) in [
            ("enforce", &mut policy.enforce, Level::Restricted),
            ("audit", &mut policy.audit, Level::Privileged),
            ("warn", &mut policy.warn, Level::Privileged),
        ] {
            if let Some(text) = of(mode) {
                let level = parse_level(text);
                enforces |= mode == "enforce" && level.is_ok();
                standard.level = level.unwrap_or_else(|why| {
                    invalid(mode, text, why);
                    fallback
                });
            }
            let versioned = format!("{mode}-version");
            if let Some(text) = of(&versioned) {
                standard.version = parse_version(text).unwrap_or_else(|why| {
                    invalid(&versioned, text, why);
                    Version::Latest
                });
            }
        }
        // What is refused is at least warned of, where workloads are only looked at.
        if of("warn").is_none() && enforces && policy.enforce.level > policy.warn.level {
            policy.warn.level = policy.enforce.level;
            if of("warn-version").is_none() {
                policy.warn.version = policy.enforce.version;
            }
        }
        (policy, errors)
    }

    /// What labels ask for in vain in a namespace that is exempt.
    pub(super) fn ignored<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> String {
        let modes = [("enforce", self.enforce), ("audit", self.audit), ("warn", self.warn)];
        let labelled = |mode: &str| {
            label(&format!("{PREFIX}{mode}")).is_some() || label(&format!("{PREFIX}{mode}-version")).is_some()
        };
        let asked = modes.iter().filter(|(mode, standard)| standard.level != Level::Privileged && labelled(mode));
        asked.map(|(mode, standard)| format!("{mode}={standard}")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(labels: &[(&str, &'static str)]) -> (String, Vec<String>) {
        let find = |key: &str| {
            let name = key.strip_prefix(PREFIX)?;
            labels.iter().find(|(label, _)| *label == name).map(|(_, value)| *value)
        };
        let none = Standard::PRIVILEGED;
        let (policy, errors) = Policy::of_labels(find, &Policy { enforce: none, audit: none, warn: none });
        let text = format!("{} {} {}", policy.enforce, policy.audit, policy.warn);
        (text, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn labels_say_what_is_enforced_audited_and_warned_of() {
        for (labels, expected) in [
            (&[][..], "privileged:latest privileged:latest privileged:latest"),
            (&[("enforce", "baseline")][..], "baseline:latest privileged:latest baseline:latest"),
            (
                &[("enforce", "restricted"), ("enforce-version", "v1.20"), ("warn", "baseline")][..],
                "restricted:v1.20 privileged:latest baseline:latest",
            ),
            (
                &[("enforce", "restricted"), ("warn-version", "v1.22")][..],
                "restricted:latest privileged:latest restricted:v1.22",
            ),
            (
                &[("audit", "restricted"), ("audit-version", "v1.0")][..],
                "privileged:latest restricted:v1.0 privileged:latest",
            ),
        ] {
            assert_eq!(policy(labels), (expected.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn bad_labels_are_told_of() {
        let (text, errors) = policy(&[("enforce", "strict"), ("audit", "x"), ("warn-version", "v1.01")]);
        assert_eq!(text, "restricted:latest privileged:latest privileged:latest");
        assert_eq!(
            errors,
            [
                "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted",
                "metadata.labels[pod-security.kubernetes.io/audit]: Invalid value: \"x\": must be one of privileged, baseline, restricted",
                "metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"v1.01\": must be \"latest\" or \"v1.x\"",
            ]
        );
    }
}
