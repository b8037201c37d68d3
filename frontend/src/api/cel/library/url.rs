//! Functions of URLs.

use super::{
    super::{
        opaque::url::Url,
        value::{Entries, Evaluated, Map, Val, fail, no_such_overload},
    },
    row::{Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("string_to_url", "url(string) kubernetes.URL", url),
    row("url_get_scheme", "kubernetes.URL::getScheme() string", |args| part(args, |url| url.scheme.clone())),
    row("url_get_host", "kubernetes.URL::getHost() string", |args| part(args, |url| url.host.clone())),
    row("url_get_hostname", "kubernetes.URL::getHostname() string", |args| part(args, |url| url.host_and_port().0)),
    row("url_get_port", "kubernetes.URL::getPort() string", |args| part(args, |url| url.host_and_port().1)),
    row("url_get_escaped_path", "kubernetes.URL::getEscapedPath() string", |args| part(args, Url::escaped_path)),
    row("url_get_query", "kubernetes.URL::getQuery() map(string, list(string))", query),
    row("is_url_string", "isURL(string) bool", is_url),
];

fn url<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(raw)] = args else { return no_such_overload() };
    match Url::parse_request(raw).and_then(|_| Url::parse(raw)) {
        Ok(url) => Ok(Val::Url(url.into())),
        Err(error) => fail(format!("URL parse error during conversion from string: {error}")),
    }
}

fn is_url<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(raw)] = args else { return no_such_overload() };
    Ok(Val::Bool(Url::parse_request(raw).is_ok()))
}

fn part<'a>(args: &[Val<'a>], part: fn(&Url) -> String) -> Evaluated<'a> {
    match args {
        [Val::Url(url)] => Ok(Val::from(part(url))),
        _ => no_such_overload(),
    }
}

fn query<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Url(url)] = args else { return no_such_overload() };
    let mut entries = Entries::default();
    for (name, values) in url.query() {
        entries.set(Val::from(name), Val::from(values.into_iter().map(Val::from).collect::<Vec<_>>()))?;
    }
    Ok(Val::Map(Map::Owned(entries.into())))
}
