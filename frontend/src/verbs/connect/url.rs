//! URLs as Go writes them: paths joined, cleaned and escaped, queries sorted by name.

/// Percent-encodes all bytes but letters, digits and those of `plain`.
fn escape(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            _ if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || plain.contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A decoded path as it stands in a request line.
pub(super) fn escape_path(path: &str) -> String {
    escape(path, b"$&+,/:;=@")
}

/// Names and values as a query, in the order of the names.
pub(super) fn query(mut pairs: Vec<(&str, String)>) -> String {
    pairs.sort_by_key(|(name, _)| *name);
    let escaped = |text: &str| escape(text, b" ").replace(' ', "+");
    let written = pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    written.collect::<Vec<_>>().join("&")
}

/// The path without empty, `.` and `..` segments; one that ends in a slash keeps it.
pub(super) fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let rooted = format!("/{}", kept.join("/"));
    match path {
        "" => String::new(),
        path if path.ends_with('/') && rooted != "/" => rooted + "/",
        _ => rooted,
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn join_host_port(host: &str, port: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_written_as_go_writes_them() {
        assert_eq!(escape_path("/a b/ü?%/(x)*"), "/a%20b/%C3%BC%3F%25/%28x%29%2A");
        assert_eq!(escape_path("/$&+,:;=@~"), "/$&+,:;=@~");
        let pairs = vec![("b", "x y&".to_owned()), ("a", "1".to_owned()), ("b", "/".to_owned())];
        assert_eq!(query(pairs), "a=1&b=x+y%26&b=%2F");
    }

    #[test]
    fn paths_cannot_leave_their_root() {
        for (path, cleaned) in
            [("", ""), ("/", "/"), ("/a//b/./c/", "/a/b/c/"), ("/../../a/..", "/"), ("/a/../b/", "/b/"), ("a", "/a")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn addresses_of_both_families_are_hosts() {
        assert_eq!(join_host_port("10.0.0.1", "80"), "10.0.0.1:80");
        assert_eq!(join_host_port("fd00::1", "80"), "[fd00::1]:80");
    }
}
