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

/// What to show to whom: the users of a file, each named after the servers that it is for.
#[derive(Default)]
pub struct Credentials {
    file: File,
    folder: PathBuf,
}

/// What one server is shown.
#[derive(Clone, Default)]
pub struct Shown {
    pub identity: Option<Identity>,
    pub authorization: Option<HeaderValue>,
}

impl Credentials {
    pub fn read(path: &Path) -> Result<Credentials, String> {
        let file = in_file(path, serde_saphyr::from_slice(&read(path)?))?;
        Ok(Credentials { file, folder: path.parent().unwrap_or(Path::new(".")).to_owned() })
    }

    /// For `host:port`: by its whole name, by the end of it after a star, both without the port where that is 443, by a
    /// star alone, or the user of the current context. Nothing is shown where none of them is there.
    pub fn for_server(&self, host: &str, port: u16) -> Result<Shown, String> {
        let with_port = format!("{host}:{port}");
        let mut names = starred(&with_port);
        if port == 443 {
            names.extend(starred(host));
        }
        names.push("*".to_owned());
        let by_name = |name: &str| self.file.users.iter().find(|user| user.name == name);
        let current = self.file.contexts.iter().find(|context| context.name == self.file.current_context);
        let found = names.iter().find_map(|name| by_name(name));
        match found.or_else(|| by_name(&current?.of.user)) {
            Some(user) => user.of.shown(&self.folder),
            None => Ok(Shown::default()),
        }
    }
}

/// `a.b.c`, `*.b.c`, `*.c`
fn starred(name: &str) -> Vec<String> {
    let ends = name.match_indices('.').map(|(at, _)| format!("*{}", &name[at..]));
    std::iter::once(name.to_owned()).chain(ends).collect()
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
        let Shown { identity, authorization } = user.map_or(Ok(Shown::default()), |user| user.shown(folder))?;
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
    fn shown(&self, folder: &Path) -> Result<Shown, String> {
        let certificates = data(folder, &self.client_certificate_data, &self.client_certificate)?;
        let key = data(folder, &self.client_key_data, &self.client_key)?;
        let identity = certificates.zip(key).map(|(certificates, key)| Identity { certificates, key });
        Ok(Shown { identity, authorization: self.authorization(folder)? })
    }

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

    #[test]
    fn servers_are_shown_what_is_named_after_them() {
        let users = ["a.ns.svc:8443", "*.ns.svc:8443", "b.ns.svc", "*.svc", "*"];
        let user = |name: &&str| format!("- {{name: '{name}', user: {{token: '{name}'}}}}\n");
        let text = format!("users:\n{}", users.iter().map(user).collect::<String>());
        let credentials = |text: &str| Credentials { file: serde_saphyr::from_str(text).unwrap(), folder: "/".into() };
        let shown = |credentials: &Credentials, host: &str, port: u16| {
            let value = credentials.for_server(host, port).unwrap().authorization;
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        for (host, port, token) in [
            ("a.ns.svc", 8443, "a.ns.svc:8443"),
            ("c.ns.svc", 8443, "*.ns.svc:8443"),
            ("b.ns.svc", 443, "b.ns.svc"),
            ("c.other.svc", 443, "*.svc"),
            ("b.ns.svc", 80, "*"),
            ("elsewhere", 443, "*"),
        ] {
            assert_eq!(shown(&credentials(&text), host, port), Some(format!("Bearer {token}")), "{host}:{port}");
        }
        let context = "users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {user: u}}]\n";
        assert_eq!(shown(&credentials(context), "a", 443), None);
        let current = format!("{context}current-context: c");
        assert_eq!(shown(&credentials(&current), "a", 443).as_deref(), Some("Bearer t"));
    }
}
