//! What depends on the name that this program was started by. Called `etcd`, as tools start one, it needs no other
//! word: it says that it is one, and keeps its data where an etcd would.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::Command;

use super::error::{ConfigError, wrong};
use crate::grpc::ETCD_VERSION;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Etcd,
    Own,
}

impl Program {
    pub(super) fn called(arg: Option<&OsStr>) -> Self {
        match arg.and_then(|arg| Path::new(arg).file_name()) {
            Some(name) if name == "etcd" => Self::Etcd,
            _ => Self::Own,
        }
    }

    /// How it is spoken of in `--help`, and its answer to `--version`, which tools read.
    pub(super) fn names(self, command: Command) -> Command {
        match self {
            Self::Own => command,
            Self::Etcd => command.name("etcd").version(format!(
                "Version: {ETCD_VERSION}\nProvided by: kine-shim {}\nOS/Arch: {}/{}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS,
                std::env::consts::ARCH,
            )),
        }
    }

    /// Where `--data-dir` is without that flag.
    pub(super) fn data_dir(self, name: &str) -> PathBuf {
        match self {
            Self::Etcd => PathBuf::from(format!("{name}.etcd")),
            Self::Own => PathBuf::from("data"),
        }
    }
}

/// An etcd's own data is not ours to read while we serve: nobody should find an empty store instead of it.
pub(super) fn refuse_etcds(data_dir: &Path) -> Result<(), ConfigError> {
    if !data_dir.join("member").is_dir() {
        return Ok(());
    }
    let database = data_dir.join("member").join("snap").join("db");
    let reason = format!(
        "{} holds the data of an etcd. To take it over, while that etcd is stopped: kine-shim import --endpoint \
         sqlite://NEW/state.db --from-snapshot {} --skip-hash-check, then start with --data-dir NEW",
        data_dir.display(),
        database.display(),
    );
    Err(wrong("data-dir", reason))
}
