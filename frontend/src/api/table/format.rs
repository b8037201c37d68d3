//! How values read in a cell: durations, selectors, lists that are cut short.

use crate::api::schema::Value;

use super::value::text_in;

const NONE: &str = "<none>";

pub(super) fn or_none(text: String) -> String {
    if text.is_empty() { NONE.to_owned() } else { text }
}

/// A duration in two or three significant figures, as kubectl shows ages.
pub(super) fn human_duration(millis: i128) -> String {
    let seconds = millis / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    let with = |value: i128, unit: &str, rest: i128, small: &str| match rest {
        0 => format!("{value}{unit}"),
        rest => format!("{value}{unit}{rest}{small}"),
    };
    match () {
        // A clock that runs a little behind is no error.
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => with(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => with(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => with(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => with(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// Labels as `a=b,c=d` in the order of their keys.
pub(super) fn labels(map: Option<&Value>) -> String {
    let entries = map.and_then(Value::as_map).into_iter().flat_map(|map| map.iter());
    let pairs: Vec<String> = entries.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or(""))).collect();
    or_none(pairs.join(","))
}

/// A label selector as text; empty when it selects everything or nothing.
pub(super) fn label_selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return String::new() };
    let mut requirements: Vec<(String, String)> = Vec::new();
    for (key, value) in selector.child("matchLabels").and_then(Value::as_map).into_iter().flat_map(|map| map.iter()) {
        requirements.push((key.to_owned(), format!("{key}={}", value.as_str().unwrap_or(""))));
    }
    for expression in selector.child("matchExpressions").and_then(Value::as_list).unwrap_or(&[]) {
        let key = text_in(expression, &["key"]);
        let values = expression.child("values").and_then(Value::as_list).unwrap_or(&[]);
        let mut values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match text_in(expression, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return "<error>".to_owned(),
        };
        requirements.push((key.to_owned(), text));
    }
    requirements.sort_by(|a, b| a.0.cmp(&b.0));
    let texts: Vec<String> = requirements.into_iter().map(|(_, text)| text).collect();
    texts.join(",")
}

/// The first `shown` items, and how many of `total` there are more.
pub(super) fn cut(items: &[String], total: usize, shown: usize, separator: &str) -> String {
    let text = items.iter().take(shown).cloned().collect::<Vec<_>>().join(separator);
    if total > shown { format!("{text} + {} more...", total - shown) } else { text }
}

/// Access modes in their short forms and one fixed order.
pub(super) fn access_modes(modes: &[Value]) -> String {
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let has = |mode: &str| modes.iter().any(|m| m.as_str() == Some(mode));
    let short: Vec<&str> = known.into_iter().filter(|(mode, _)| has(mode)).map(|(_, short)| short).collect();
    short.join(",")
}

/// The addresses of a load balancer's status, sorted and each once.
pub(super) fn load_balancer(ingress: &[Value]) -> String {
    let address = |point: &Value| match (text_in(point, &["ip"]), text_in(point, &["hostname"])) {
        ("", "") => None,
        ("", hostname) => Some(hostname.to_owned()),
        (ip, _) => Some(ip.to_owned()),
    };
    let addresses: std::collections::BTreeSet<String> = ingress.iter().filter_map(address).collect();
    addresses.into_iter().collect::<Vec<_>>().join(",")
}

/// host:port, with brackets around an address that has colons itself.
pub(super) fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A number or text.
pub(super) fn int_or_string(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        other => other.as_str().unwrap_or("").to_owned(),
    }
}
