//! Whom a client calls, and how both know each other.

/// Whom a client calls, and how it knows them.
#[derive(Clone, Default)]
pub struct Peer {
    /// PEM of the authorities that are trusted; empty: those of the system.
    pub ca: Vec<u8>,
    /// The name in the peer's certificate, where it is not the host of the URL.
    pub server_name: Option<String>,
    /// What this server shows when it is asked for a certificate.
    pub identity: Option<Identity>,
    /// Any certificate will do.
    pub insecure: bool,
    /// Where to connect to, when it is not the host of the URL: for peers without a name in DNS, such as Services.
    pub address: Option<Address>,
}

/// A certificate chain and its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificates: Vec<u8>,
    pub key: Vec<u8>,
}

/// Where to connect to instead of the host of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    /// As it stands in a URL.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_version_6_stand_in_brackets() {
        for (host, authority) in [("10.0.0.1", "10.0.0.1:443"), ("fd00::1", "[fd00::1]:443"), ("web.x", "web.x:443")] {
            assert_eq!(Address { host: host.to_owned(), port: 443 }.authority(), authority);
        }
    }
}
