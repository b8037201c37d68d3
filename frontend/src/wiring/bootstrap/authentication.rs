//! What others must know to trust who this server trusts: a ConfigMap with the authorities of clients and proxies, for
//! servers behind the aggregator; and since when uses of legacy tokens are recorded.

use serde_json::{Map, Value, json};

use super::SelfClient;
use crate::{config::RequestHeader, request::status::ApiError, wiring::access::Authorities};

const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-system/configmaps";
const NAME: &str = "extension-apiserver-authentication";
const TRACKING: &str = "kube-apiserver-legacy-service-account-token-tracking";

/// Publishes this server's part; that of other servers stays.
pub(crate) async fn publish(
    client: &SelfClient,
    authorities: &Authorities,
    headers: Option<&RequestHeader>,
) -> Result<(), ApiError> {
    let wanted = data(authorities, headers);
    if wanted.is_empty() {
        return Ok(());
    }
    let path = format!("{CONFIG_MAPS}/{NAME}");
    let Some(mut found) = client.get(&path).await? else {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": "kube-system"}, "data": wanted,
        });
        return client.create(CONFIG_MAPS, &object).await;
    };
    let before = found["data"].clone();
    for (key, value) in wanted {
        let kept = found["data"][&key].as_str().unwrap_or_default().to_owned();
        found["data"][&key] = json!(combined(&kept, value.as_str().unwrap_or_default()));
    }
    if found["data"] == before { Ok(()) } else { client.replace(&path, &found).await }
}

fn data(authorities: &Authorities, headers: Option<&RequestHeader>) -> Map<String, Value> {
    let mut data = Map::new();
    let mut add = |key: &str, value: String| drop(data.insert(key.to_owned(), json!(value)));
    if let Some(clients) = &authorities.clients {
        add("client-ca-file", clients.pem());
    }
    if let (Some(proxies), Some(headers)) = (&authorities.proxies, headers) {
        // As flags spell them, not as HTTP/2 does.
        let shown = |names: &[String]| json!(names.iter().map(|name| canonical(name)).collect::<Vec<_>>()).to_string();
        add("requestheader-client-ca-file", proxies.pem());
        add("requestheader-allowed-names", json!(headers.allowed_names).to_string());
        add("requestheader-extra-headers-prefix", shown(&headers.extra_prefixes));
        add("requestheader-group-headers", shown(&headers.group_headers));
        add("requestheader-uid-headers", shown(&headers.uid_headers));
        add("requestheader-username-headers", shown(&headers.username_headers));
    }
    data
}

/// `x-remote-user` as `X-Remote-User`.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// Both lists of names, or both bundles of certificates, each entry once.
fn combined(kept: &str, mine: &str) -> String {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).ok();
    if let (Some(mut all), Some(mine)) = (list(kept), list(mine)) {
        let new: Vec<String> = mine.into_iter().filter(|name| !all.contains(name)).collect();
        all.extend(new);
        return json!(all).to_string();
    }
    const END: &str = "-----END CERTIFICATE-----\n";
    let mut all = kept.to_owned();
    for certificate in mine.split_inclusive(END) {
        if !certificate.trim().is_empty() && !all.contains(certificate.trim()) {
            all.push_str(certificate);
        }
    }
    all
}

/// The day from which on every use of a legacy token leaves a mark.
pub(crate) async fn track_legacy_tokens(client: &SelfClient) -> Result<(), ApiError> {
    let since = client.context.cluster.clock.now().strftime("%Y-%m-%d").to_string();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": TRACKING, "namespace": "kube-system"}, "data": {"since": since},
    });
    client.ensure(CONFIG_MAPS, &object).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_servers_published_stays() {
        let certificate = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let (a, b) = (certificate("a"), certificate("b"));
        let cases = [
            ("", a.as_str(), a.clone()),
            (a.as_str(), a.as_str(), a.clone()),
            (a.as_str(), b.as_str(), format!("{a}{b}")),
            ("[\"x\"]", "[\"x\",\"y\"]", "[\"x\",\"y\"]".to_owned()),
            ("[]", "[]", "[]".to_owned()),
        ];
        for (kept, mine, both) in cases {
            assert_eq!(combined(kept, mine), both, "{kept} + {mine}");
        }
        assert_eq!(canonical("x-remote-extra-"), "X-Remote-Extra-");
    }
}
