//! `/healthz`, `/livez`, `/readyz`: named checks, in order, with the texts of the real server.
//!
//! In: checks, registered once by the wiring. Out: answers. Not here: what a check looks at.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::future::BoxFuture;
use http::Response;

use crate::{
    request::{body::Body, info::Query, status::go_quote},
    server::respond,
};

/// Something that can be in order or not. The reason is for the log alone.
pub trait Check: Send + Sync {
    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), String>>;
}

/// Which endpoints ask a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Everywhere,
    /// By /readyz alone.
    ForReadiness,
}

struct Row {
    name: &'static str,
    asked: Asked,
    check: Arc<dyn Check>,
}

/// All checks of a server.
#[derive(Default)]
pub struct HealthChecks {
    rows: Vec<Row>,
}

/// In order once somebody says so; `shutdown` is one that starts in order and fails later.
#[derive(Debug)]
pub struct Latch(AtomicBool);

impl Latch {
    pub fn new(in_order: bool) -> Arc<Latch> {
        Arc::new(Latch(AtomicBool::new(in_order)))
    }

    pub fn set(&self, in_order: bool) {
        self.0.store(in_order, Ordering::SeqCst);
    }
}

impl Check for Latch {
    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { if self.0.load(Ordering::SeqCst) { Ok(()) } else { Err("not finished".to_owned()) } })
    }
}

impl HealthChecks {
    pub fn with(mut self, name: &'static str, asked: Asked, check: Arc<dyn Check>) -> Self {
        self.rows.push(Row { name, asked, check });
        self
    }

    /// Every path below which something is checked, for the index.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.rows.iter().flat_map(|row| {
            let endpoints: &[&str] = match row.asked {
                Asked::Everywhere => &["/healthz", "/livez", "/readyz"],
                Asked::ForReadiness => &["/readyz"],
            };
            endpoints.iter().map(|endpoint| format!("{endpoint}/{}", row.name))
        })
    }

    /// Answers one of the health paths; none for any other path.
    pub async fn answer(&self, path: &str, query: &Query) -> Option<Response<Body>> {
        let (endpoint, rest) = match path.strip_prefix('/')?.split_once('/') {
            Some((endpoint, rest)) => (endpoint, Some(rest)),
            None => (&path[1..], None),
        };
        if !matches!(endpoint, "healthz" | "livez" | "readyz") {
            return None;
        }
        let rows = self.rows.iter().filter(|r| endpoint == "readyz" || r.asked == Asked::Everywhere);
        match rest {
            None => Some(all(endpoint, rows, query).await),
            Some(name) => {
                let row = rows.into_iter().find(|r| r.name == name)?;
                Some(match row.check.check().await {
                    Ok(()) => respond::bare_text(200, "ok"),
                    Err(why) => respond::text_error(500, &format!("internal server error: {why}")),
                })
            }
        }
    }
}

async fn all(endpoint: &str, rows: impl Iterator<Item = &Row>, query: &Query) -> Response<Body> {
    let mut unmatched: Vec<&str> = query.all("exclude").collect();
    unmatched.sort_unstable();
    unmatched.dedup();
    let (mut lines, mut failed) = (String::new(), false);
    for row in rows {
        let name = row.name;
        if let Some(at) = unmatched.iter().position(|excluded| *excluded == name) {
            unmatched.remove(at);
            lines.push_str(&format!("[+]{name} excluded: ok\n"));
            continue;
        }
        match row.check.check().await {
            Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
            Err(why) => {
                tracing::info!(check = name, endpoint, why, "health check failed");
                failed = true;
                lines.push_str(&format!("[-]{name} failed: reason withheld\n"));
            }
        }
    }
    if !unmatched.is_empty() {
        let names = unmatched.iter().map(|n| go_quote(n)).collect::<Vec<_>>().join(",");
        lines.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    if failed {
        return respond::text_error(500, &format!("{lines}{endpoint} check failed"));
    }
    match query.get("verbose") {
        Some(_) => respond::text(200, format!("{lines}{endpoint} check passed\n")),
        None => respond::text(200, "ok"),
    }
}

/// Always in order: that the answer comes is the point.
pub struct Ping;

impl Check for Ping {
    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn get(checks: &HealthChecks, path: &str, query: &str) -> (u16, String) {
        let response = checks.answer(path, &Query::parse(query)).await.unwrap();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn checks_are_listed_when_asked_for_or_when_one_fails() {
        let shutdown = Latch::new(true);
        let checks = HealthChecks::default().with("ping", Asked::Everywhere, Arc::new(Ping)).with(
            "shutdown",
            Asked::ForReadiness,
            shutdown.clone(),
        );
        assert_eq!(get(&checks, "/readyz", "").await, (200, "ok".into()));
        let verbose = "[+]ping ok\n[+]shutdown ok\nreadyz check passed\n";
        assert_eq!(get(&checks, "/readyz", "verbose").await, (200, verbose.into()));
        shutdown.set(false);
        let failed = "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n";
        assert_eq!(get(&checks, "/readyz", "").await, (500, failed.into()));
        assert_eq!(get(&checks, "/livez", "").await, (200, "ok".into()));
        let excluded = "[+]ping ok\n[+]shutdown excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n";
        assert_eq!(get(&checks, "/readyz", "verbose&exclude=shutdown&exclude=x").await, (200, excluded.into()));
        assert_eq!(get(&checks, "/readyz/ping", "").await, (200, "ok".into()));
        assert!(checks.answer("/readyz/nosuch", &Query::default()).await.is_none());
        assert!(checks.answer("/livez/shutdown", &Query::default()).await.is_none());
    }
}
