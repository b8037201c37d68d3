//! What is wrong with the settings.

use std::fmt;

/// Says which flag is wrong and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// clap's own: unknown flags, missing values, and --help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    #[error("--{flag}: {reason}")]
    Flag { flag: &'static str, reason: String },
}

pub(super) fn wrong(flag: &'static str, reason: impl fmt::Display) -> ConfigError {
    ConfigError::Flag { flag, reason: reason.to_string() }
}
