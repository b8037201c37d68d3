use super::*;

#[test]
fn durations_in_two_or_three_figures() {
    let cases: [(i128, &str); 16] = [
        (-3, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (7 * 3600 + 5 * 60, "7h5m"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(format::human_duration(seconds * 1000), text, "{seconds}");
    }
}

#[test]
fn include_object_is_one_of_three() {
    assert_eq!(IncludeObject::parse("").unwrap(), IncludeObject::Metadata);
    assert_eq!(IncludeObject::parse("None").unwrap(), IncludeObject::None);
    assert_eq!(
        IncludeObject::parse("All").unwrap_err().message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": \
         must be 'Metadata', 'Object', 'None', or empty"
    );
}

mod recorded {
    //! Compares with answers recorded from the original, where RECORDED_CONVERSATIONS names their folder.

    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    use super::*;
    use crate::registry::Registry;
    use crate::request_info::{Query, RequestInfo};

    fn resource_at(path: &str) -> Option<RequestInfo> {
        let path = path.replace("${ns}", "ns").split('?').next()?.to_owned();
        RequestInfo::parse(&http::Method::GET, &path.parse().ok()?, &Query::parse("")).ok()
    }

    #[test]
    fn headers_are_equal() {
        let Ok(folder) = std::env::var("RECORDED_CONVERSATIONS") else { return };
        let (registry, schema) = (Registry::builtin(), Schema::builtin());
        let (mut compared, mut different) = (0, BTreeSet::new());
        for file in std::fs::read_dir(folder).unwrap() {
            let Ok(file) = serde_json::from_slice::<Json>(&std::fs::read(file.unwrap().path()).unwrap()) else {
                continue;
            };
            for step in file["steps"].as_array().into_iter().flatten() {
                let recorded = &step["response"]["body"];
                if recorded["kind"] != "Table" {
                    continue;
                }
                let Some(info) = step["path"].as_str().and_then(resource_at) else { continue };
                let Some(resource) = registry.get(&info.group, &info.version, &info.resource) else { continue };
                let item = match resource.subresource(&info.subresource) {
                    Some(subresource) => Item::of_subresource(resource, subresource),
                    None => Item::of(resource),
                };
                let options = Options {
                    include: IncludeObject::None,
                    headers: true,
                    version: MetaVersion::V1,
                    now: Timestamp::UNIX_EPOCH,
                };
                let ours = table(&schema, &item, [], &ListMeta::default(), &options).unwrap();
                let ours: Json = serde_json::from_slice(&ours).unwrap();
                let pairs = [&ours, recorded].map(|t| t["columnDefinitions"].as_array().cloned().unwrap_or_default());
                assert_eq!(pairs[0].len(), pairs[1].len(), "{item:?}");
                for (ours, theirs) in pairs[0].iter().zip(&pairs[1]) {
                    compared += 1;
                    if ours != theirs {
                        different.insert(format!("{}\n  {ours}\n  {theirs}", item.gvk.kind));
                    }
                }
            }
        }
        assert!(compared > 100, "{compared}");
        assert!(different.is_empty(), "{}", different.into_iter().collect::<Vec<_>>().join("\n"));
    }
}
