//! What to listen on: parsed URLs, and kine's plain addresses.

use std::{fmt, path::PathBuf, str::FromStr};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// HOST:PORT; port 0 takes a free one.
    Tcp(String),
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: Address,
    pub tls: bool,
}

impl Listener {
    /// kine's `--listen-address`: TLS when there is a certificate.
    pub(super) fn from_kine(text: &str, tls: bool) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            return Ok(Self { address: unix(path)?, tls: false });
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text);
        let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
        Ok(Self { address: tcp(&address)?, tls })
    }

    /// Reachable from this machine alone.
    pub(super) fn is_local(&self) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp(address) => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                host == "localhost" || host == "[::1]" || host.starts_with("127.")
            }
        }
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(format!("{url:?} is not a URL such as https://0.0.0.0:2379"));
        };
        match scheme {
            "http" | "https" => Ok(Self { address: tcp(rest.trim_end_matches('/'))?, tls: scheme == "https" }),
            "unix" | "unixs" => Ok(Self { address: unix(rest)?, tls: scheme == "unixs" }),
            _ => Err(format!("{url:?}: unknown scheme {scheme:?}; expected http, https or unix")),
        }
    }
}

fn unix(path: &str) -> Result<Address, String> {
    if path.is_empty() { Err("unix:// needs a path".into()) } else { Ok(Address::Unix(PathBuf::from(path))) }
}

/// Both a host and a port, and nothing behind.
fn tcp(address: &str) -> Result<Address, String> {
    let wrong = |why: &str| Err(format!("{address:?} is not HOST:PORT: {why}"));
    let Some((host, port)) = address.rsplit_once(':') else { return wrong("the port is missing") };
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) || host.contains(['/', '@', ' ']) {
        return wrong("bad host");
    }
    if port.parse::<u16>().is_err() {
        return wrong("bad port");
    }
    Ok(Address::Tcp(address.to_owned()))
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, self.tls) {
            (Address::Tcp(address), true) => write!(f, "https://{address}"),
            (Address::Tcp(address), false) => write!(f, "http://{address}"),
            (Address::Unix(path), true) => write!(f, "unixs://{}", path.display()),
            (Address::Unix(path), false) => write!(f, "unix://{}", path.display()),
        }
    }
}
