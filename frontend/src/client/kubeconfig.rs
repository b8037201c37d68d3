//! Kubeconfig files, as operators give them for services that this server calls.
//!
//! In: a file. Out: where to call, whom to trust and what to show, of its current context. Not here: commands that
//! print credentials.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde::Deserialize;

use super::peer::{Identity, Peer};

/// One context of a file.
pub struct Kubeconfig {
    /// A URL.
    pub server: String,
    pub peer: Peer,
    /// The value of the Authorization header, where there is to be one.
    pub authorization: Option<HeaderValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    clusters: Vec<Named<Cluster>>,
    contexts: Vec<Named<Context>>,
    users: Vec<Named<User>>,
    current_context: String,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    of: T,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: PathBuf,
    certificate_authority_data: String,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    client_certificate: PathBuf,
    client_certificate_data: String,
    client_key: PathBuf,
    client_key_data: String,
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: PathBuf,
    username: String,
    password: String,
}

impl Kubeconfig {
    /// The current context of a file; without one, that of its only cluster and user.
    pub fn read(path: &Path) -> Result<Kubeconfig, String> {
        let text = read(path)?;
        let file: File = in_file(path, serde_saphyr::from_slice(&text))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        file.open(folder).map_err(|why| format!("{}: {why}", path.display()))
    }
}

impl File {
    fn open(&self, folder: &Path) -> Result<Kubeconfig, String> {
        let context = find(&self.contexts, &self.current_context, "context")?;
        let cluster = find(&self.clusters, context.map_or("", |context| &context.cluster), "cluster")?;
        let cluster = cluster.filter(|cluster| !cluster.server.is_empty()).ok_or("there is no server in it")?;
        let user = find(&self.users, context.map_or("", |context| &context.user), "user")?;
        let mut identity = None;
        let mut authorization = None;
        if let Some(user) = user {
            let certificates = data(folder, &user.client_certificate_data, &user.client_certificate)?;
            let key = data(folder, &user.client_key_data, &user.client_key)?;
            identity = certificates.zip(key).map(|(certificates, key)| Identity { certificates, key });
            authorization = user.authorization(folder)?;
        }
        let ca = data(folder, &cluster.certificate_authority_data, &cluster.certificate_authority)?;
        let peer = Peer {
            ca: ca.unwrap_or_default(),
            server_name: cluster.tls_server_name.clone(),
            identity,
            insecure: cluster.insecure_skip_tls_verify,
            address: None,
        };
        Ok(Kubeconfig { server: cluster.server.clone(), peer, authorization })
    }
}

impl User {
    fn authorization(&self, folder: &Path) -> Result<Option<HeaderValue>, String> {
        let file = data(folder, "", &self.token_file)?;
        let token = match file.as_deref() {
            Some(file) => String::from_utf8_lossy(file).trim().to_owned(),
            None => self.token.clone(),
        };
        let value = match (token.as_str(), self.username.as_str()) {
            ("", "") => return Ok(None),
            ("", name) => format!("Basic {}", STANDARD.encode(format!("{name}:{}", self.password))),
            (token, _) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| "its credentials are no header value")?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The entry of that name; without a name, the only one.
fn find<'f, T>(entries: &'f [Named<T>], name: &str, what: &str) -> Result<Option<&'f T>, String> {
    match (name, entries) {
        ("", [only]) => Ok(Some(&only.of)),
        ("", []) => Ok(None),
        ("", _) => Err(format!("it does not say which {what} counts")),
        (name, entries) => {
            let found = entries.iter().find(|entry| entry.name == name).map(|entry| Some(&entry.of));
            found.ok_or_else(|| format!("it has no {what} {name:?}"))
        }
    }
}

/// What is given in the file itself, or else in another.
fn data(folder: &Path, inline: &str, path: &Path) -> Result<Option<Vec<u8>>, String> {
    match (inline, path.as_os_str().is_empty()) {
        ("", true) => Ok(None),
        ("", false) => read(&folder.join(path)).map(Some),
        (inline, _) => STANDARD.decode(inline).map(Some).map_err(|error| error.to_string()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    in_file(path, fs::read(path))
}

fn in_file<T, E: Display>(path: &Path, outcome: Result<T, E>) -> Result<T, String> {
    outcome.map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Result<Kubeconfig, String> {
        serde_saphyr::from_str::<File>(text).unwrap().open(Path::new("/nowhere"))
    }

    #[test]
    fn the_current_context_counts() {
        let text = "
clusters:
- {name: a, cluster: {server: 'https://a', certificate-authority-data: Y2E=, tls-server-name: inside}}
- {name: b, cluster: {server: 'https://b'}}
users:
- {name: u, user: {token: secret}}
- {name: v, user: {username: x, password: y}}
contexts:
- {name: one, context: {cluster: a, user: u}}
- {name: two, context: {cluster: b, user: v}}
current-context: one
";
        let one = opened(text).unwrap();
        assert_eq!((one.server.as_str(), one.peer.ca.as_slice()), ("https://a", &b"ca"[..]));
        assert_eq!(one.peer.server_name.as_deref(), Some("inside"));
        assert_eq!(one.authorization.unwrap(), "Bearer secret");
        let two = opened(&text.replace("current-context: one", "current-context: two")).unwrap();
        assert_eq!((two.server.as_str(), two.authorization.unwrap().as_bytes()), ("https://b", &b"Basic eDp5"[..]));
        let three = opened(&text.replace("current-context: one", "current-context: three"));
        assert_eq!(three.err().as_deref(), Some("it has no context \"three\""));
    }

    #[test]
    fn without_a_context_the_only_cluster_counts() {
        let only = opened("clusters: [{name: a, cluster: {server: 'https://a'}}]").unwrap();
        assert!(only.authorization.is_none() && only.peer.identity.is_none());
        assert_eq!(opened("clusters: []").err().as_deref(), Some("there is no server in it"));
    }
}
