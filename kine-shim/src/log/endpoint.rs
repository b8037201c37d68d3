//! Where the log lives: in goes what stands after `--endpoint`, out comes an [`Endpoint`]. No connection is made here.

use std::{fmt, path::PathBuf};

/// A parsed `--endpoint`. Its `Display` hides the password; there is no way to print the URL whole.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `postgres://…` or `postgresql://…`, unparsed: its parameters are checked by `log::postgres`.
    Postgres { url: String },
    /// `sqlite://FILE`.
    Sqlite { file: PathBuf },
    /// `memory:`; gone with the process.
    Memory,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(String);

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text == "memory:" || text == "memory://" {
            return Ok(Self::Memory);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres { url: text.to_owned() });
        }
        if let Some(rest) = text.strip_prefix("sqlite://") {
            // kine's URLs carry driver parameters such as ?_journal=WAL; ours are not to be chosen.
            let file = rest.split('?').next().unwrap_or_default();
            if file.is_empty() {
                return Err(EndpointError("sqlite:// needs a file, as in sqlite:///var/lib/kine-shim/state.db".into()));
            }
            return Ok(Self::Sqlite { file: PathBuf::from(file) });
        }
        // Whatever else was given may be secret.
        let found = text.split_once("://").map_or_else(String::new, |(scheme, _)| format!(" {scheme:?}"));
        Err(EndpointError(format!("unsupported scheme{found}: expected postgres://…, sqlite://FILE or memory:")))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite { file } => write!(f, "sqlite://{}", file.display()),
            Self::Postgres { url } => f.write_str(&super::postgres::shown(url)),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_how_they_are_shown() {
        let cases = [
            ("memory:", Ok("memory:")),
            ("sqlite:///var/x.db", Ok("sqlite:///var/x.db")),
            ("sqlite://./x.db?_journal=WAL", Ok("sqlite://./x.db")),
            ("postgres://u:secret@h/db", Ok("postgres://u@h/db")),
            ("postgres://u:sec%40ret@h:1,i/db?sslmode=disable", Ok("postgres://u@h:1,i/db?sslmode=disable")),
            ("postgresql://h/db?user=u&password=secret", Ok("postgres://u@h/db")),
            ("postgres://h/db?user=u&pass%77ord=secret", Ok("postgres://u@h/db")),
            // What the driver does not understand is not shown at all.
            ("postgres://h/db?sslpassword=secret", Ok("postgres://(a URL that is not understood)")),
            ("postgres:///db?host=/run/postgresql&user=u", Ok("postgres://u@/run/postgresql/db")),
            ("postgres://u:secret?x@h/db", Ok("postgres://u@h/db")),
            ("postgres://u:se@cr/et@h/db", Ok("postgres://(a URL that is not understood)")),
            ("host=h password=secret", Err("unsupported scheme: expected")),
            ("u:secret@h/db", Err("unsupported scheme: expected")),
            ("sqlite://", Err("needs a file")),
            ("mysql://h/db", Err("unsupported scheme \"mysql\"")),
            ("", Err("unsupported scheme: expected")),
        ];
        for (text, expected) in cases {
            match (text.parse::<Endpoint>(), expected) {
                (Ok(endpoint), Ok(shown)) => assert_eq!(endpoint.to_string(), shown),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
                (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
            }
        }
    }
}
