//! Who may ask by plain HTTP, as far as headers tell: the host names of --host-whitelist, against rebinding of names
//! (CVE-2018-5702), and the origins of --cors. gRPC is not asked: no browser speaks it.

use http::{
    HeaderMap, Request, Response,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HOST, HeaderValue,
        ORIGIN,
    },
};

pub(super) struct Access {
    origins: List,
    hosts: List,
}

/// `None` is everything.
struct List(Option<Vec<String>>);

impl List {
    fn new(names: &[String]) -> Self {
        let names: Vec<String> =
            names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        Self(Some(names).filter(|names| !names.is_empty() && !names.iter().any(|name| name == "*")))
    }

    fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|known| known == name))
    }
}

impl Access {
    pub(super) fn new(origins: &[String], hosts: &[String]) -> Self {
        Self { origins: List::new(origins), hosts: List::new(hosts) }
    }

    /// The host that is asked for, if it may not be.
    pub(super) fn refused_host<B>(&self, request: &Request<B>) -> Option<String> {
        let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().host().or(named).unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        (!self.hosts.has(name)).then(|| name.to_owned())
    }

    /// Tells the browser that the origin's scripts may read the answer.
    pub(super) fn allow<B>(&self, asked: &HeaderMap, response: &mut Response<B>) {
        let origin = match (&self.origins.0, asked.get(ORIGIN)) {
            (None, _) => HeaderValue::from_static("*"),
            (Some(_), Some(origin)) if origin.to_str().is_ok_and(|origin| self.origins.has(origin)) => origin.clone(),
            _ => return,
        };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("accept, content-type, authorization"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &str) -> Vec<String> {
        names.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn hosts_are_compared_without_their_ports() {
        let ask = |hosts: &str, host: &str| {
            let request = Request::get("/health").header(HOST, host).body(()).expect("request");
            Access::new(&[], &list(hosts)).refused_host(&request)
        };
        assert_eq!(ask("*", "evil.example"), None);
        assert_eq!(ask("", "evil.example"), None);
        assert_eq!(ask("localhost,h", "localhost:2379"), None);
        assert_eq!(ask("localhost,h", "h"), None);
        assert_eq!(ask("localhost", "evil.example:2379"), Some("evil.example".into()));
        assert_eq!(ask("localhost", ""), Some(String::new()));
    }

    #[test]
    fn origins_are_told_back_when_they_are_allowed() {
        let ask = |origins: &str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
            let mut response = Response::new(());
            Access::new(&list(origins), &[]).allow(&headers, &mut response);
            response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).cloned()
        };
        assert_eq!(ask("*", None), Some(HeaderValue::from_static("*")));
        assert_eq!(ask("http://a", Some("http://a")), Some(HeaderValue::from_static("http://a")));
        assert_eq!(ask("http://a", Some("http://b")), None);
        assert_eq!(ask("http://a", None), None);
    }
}
