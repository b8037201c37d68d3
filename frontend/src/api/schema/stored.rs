//! What the store holds, in the encodings that clients ask for, made of the stored bytes without a tree in between.
//! Only for objects that are served as they are stored: of the same version, with all their defaults. Everybody else
//! decodes.

use super::{
    codec::{self, Message, Named, Spliced},
    defaults::is_settled,
    tables::Type,
};

/// A stored object that can be shown as it stands, at a revision.
pub struct Stored<'a> {
    kind: &'a Type,
    raw: &'a [u8],
    message: Message<'a>,
    revision: &'a str,
}

impl<'a> Stored<'a> {
    /// None where it has to be decoded. An empty revision is not shown.
    pub fn read(kind: &'a Type, bytes: &'a [u8], revision: &'a str) -> Option<Stored<'a>> {
        if kind.custom.is_some() {
            return None;
        }
        let raw = codec::message_of(&kind.gvk, bytes)?;
        let message = Message::read(&kind.root, raw)?;
        is_settled(&message).then_some(Stored { kind, raw, message, revision })
    }

    /// JSON without a newline at its end.
    pub fn json(&self, named: Named, out: &mut Vec<u8>) -> Option<()> {
        codec::write_stored_json(out, self.kind, &self.message, self.revision, named)
    }

    /// The message with its revision.
    pub fn protobuf(&self) -> Option<Spliced<'a>> {
        codec::splice(self.raw, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schema::{
        Schema, apply_defaults,
        codec::{StorageEncoding, decode_json, decode_stored, encode_json, encode_stored},
    };

    const POD: &str = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","annotations":{"k":"v"}},"spec":{
        "serviceAccountName":"s","volumes":[{"name":"v"}],"containers":[{"name":"c","image":"nginx",
        "resources":{"limits":{"cpu":"1"}},"ports":[{"containerPort":80}]}]},
        "status":{"podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}]}}"#;

    /// Whether the object is shown as it is stored; then it must be shown as decoding and its defaults show it.
    fn is_shown(json: &str, is_defaulted: bool) -> bool {
        let schema = Schema::builtin();
        let mut object = decode_json(&schema, json.as_bytes(), None).unwrap().object;
        if is_defaulted {
            apply_defaults(&mut object);
        }
        let kind = object.ty().clone();
        let bytes = encode_stored(&object, &kind, StorageEncoding::Protobuf);
        let mut shown = Vec::new();
        let stored = Stored::read(&kind, &bytes, "9");
        let is_shown = stored.and_then(|stored| stored.json(Named::Kind, &mut shown)).is_some();
        if is_shown {
            let mut expected = decode_stored(&schema, &bytes).unwrap();
            apply_defaults(&mut expected);
            expected.set_resource_version("9");
            let mut json = Vec::new();
            encode_json(&expected, &mut json);
            assert_eq!(String::from_utf8(shown).unwrap(), String::from_utf8(json).unwrap());
        }
        is_shown
    }

    #[test]
    fn what_has_its_defaults_is_shown_as_it_is_stored() {
        let others = [
            r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}}"#,
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"dg=="}}"#,
            r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"a"}}"#,
            r#"{"kind":"Node","apiVersion":"v1","metadata":{"name":"a"},"status":{"capacity":{"cpu":"4"}}}"#,
            r#"{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"a"},"spec":{"leaseDurationSeconds":9}}"#,
        ];
        for json in others.into_iter().chain([POD]) {
            assert!(is_shown(json, true), "{json}");
        }
    }

    #[test]
    fn what_defaults_would_change_is_not() {
        assert!(!is_shown(POD, false), "a pod without defaults");
        let cases = [
            ("\"limits\":{\"cpu\":\"1\"}", "\"limits\":{\"cpu\":\"1\"},\"requests\":{\"memory\":\"1\"}"),
            ("\"annotations\":{\"k\"", "\"annotations\":{\"pod.beta.kubernetes.io/init-containers\""),
            ("\"serviceAccountName\":\"s\"", "\"serviceAccountName\":\"s\",\"terminationGracePeriodSeconds\":-1"),
            ("\"podIP\":\"10.0.0.1\"", "\"podIP\":\"10.0.0.2\""),
            ("\"image\":\"nginx\"", "\"image\":\"nginx\",\"terminationMessagePath\":\"\""),
        ];
        let schema = Schema::builtin();
        let mut complete = decode_json(&schema, POD.as_bytes(), None).unwrap().object;
        apply_defaults(&mut complete);
        let mut json = Vec::new();
        encode_json(&complete, &mut json);
        let json = String::from_utf8(json).unwrap();
        assert!(is_shown(&json, false));
        for (from, to) in cases {
            // Each takes away, in what is otherwise complete, what a default would give again.
            let requests = json.replace(",\"requests\":{\"cpu\":\"1\"}", "");
            let changed = requests.replacen(from, to, 1);
            assert_ne!(changed, json);
            assert!(!is_shown(&changed, false), "{to}");
        }
    }

    #[test]
    fn a_message_is_found_again_by_its_offsets() {
        let schema = Schema::builtin();
        let object = decode_json(&schema, POD.as_bytes(), None).unwrap().object;
        let mut complete = object.clone();
        apply_defaults(&mut complete);
        let kind = object.ty().clone();
        let bytes = encode_stored(&complete, &kind, StorageEncoding::Protobuf);
        let spliced = Stored::read(&kind, &bytes, "").unwrap().protobuf().unwrap();
        let offsets = spliced.offsets_in(&bytes).unwrap();
        let mut found = Vec::new();
        Spliced::at(&bytes, offsets, "1234").unwrap().append(&mut found);
        let mut read = Vec::new();
        Stored::read(&kind, &bytes, "1234").unwrap().protobuf().unwrap().append(&mut read);
        assert_eq!(found, read);
        assert!(spliced.offsets_in(&bytes[..4]).is_none(), "not a slice of these");
        assert!(Spliced::at(&bytes[..bytes.len() - 8], offsets, "1").is_none());
    }
}
