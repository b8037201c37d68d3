//! A call that failed, in the words of Go's client.

use std::io;

/// A call that got no answer. The text is what Go's client says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

impl CallError {
    /// Whether it took too long.
    pub fn is_late(&self) -> bool {
        self.0.ends_with(LATE)
    }
}

pub(super) const LATE: &str = "context deadline exceeded";

/// An error of the operating system as Go words it.
pub(super) fn io_text(doing: &str, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by peer",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::TimedOut => return "i/o timeout".to_owned(),
        io::ErrorKind::UnexpectedEof => return "EOF".to_owned(),
        _ => return format!("{doing}: {error}"),
    };
    format!("{doing}: {what}")
}
