//! Where the log lives: in goes what stands after `--endpoint`, out comes an [`Endpoint`]. No connection is made here.

use std::fmt;
use std::path::PathBuf;

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
        let scheme = text.split_once(':').map_or(text, |(scheme, _)| scheme);
        Err(EndpointError(format!("unsupported scheme {scheme:?}: expected postgres://…, sqlite://FILE or memory:")))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite { file } => write!(f, "sqlite://{}", file.display()),
            Self::Postgres { url } => f.write_str(&redacted(url)),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URL without its password, whether that stands before the host or among the parameters.
fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (place, parameters) =
        rest.split_once('?').map_or((rest, None), |(place, parameters)| (place, Some(parameters)));
    // A password may hold an unescaped '@' or '/': hide up to the last '@'.
    let place = match place.rsplit_once('@') {
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{user}:xxxxx@{host}"),
            None => format!("{user_info}@{host}"),
        },
        None => place.to_owned(),
    };
    let Some(parameters) = parameters else { return format!("{scheme}://{place}") };
    let shown: Vec<_> = parameters
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=xxxxx"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{scheme}://{place}?{}", shown.join("&"))
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
            ("postgres://u:secret@h/db", Ok("postgres://u:xxxxx@h/db")),
            ("postgres://u:se@cr/et@h/db?sslmode=disable", Ok("postgres://u:xxxxx@h/db?sslmode=disable")),
            ("postgresql://h/db?user=u&password=secret", Ok("postgresql://h/db?user=u&password=xxxxx")),
            ("sqlite://", Err("needs a file")),
            ("mysql://h/db", Err("unsupported scheme \"mysql\"")),
            ("", Err("unsupported scheme \"\"")),
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
