//! The frames of a watch, in the representation that its client asked for.

use bytes::Bytes;
use prost::Message;

use super::{
    encodings::{self, Form},
    respond::{not_a_list, partial_metadata},
    table::{self, TableStyle},
};
use crate::{
    api::schema::{
        Object,
        codec::{self, Named},
    },
    cluster::{Target, known_kind},
    request::{
        info::Query,
        negotiate::{MediaType, MetaVersion, Output, Transform},
        status::ApiError,
    },
    store::{CacheEvent, Entry},
    verbs::Context,
};

const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventType {
    Added,
    Modified,
    Deleted,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            EventType::Added => "ADDED",
            EventType::Modified => "MODIFIED",
            EventType::Deleted => "DELETED",
        }
    }

    fn form(self, media: MediaType) -> Form {
        match (self, media) {
            (EventType::Added, MediaType::Protobuf) => Form::AddedProtobuf,
            (EventType::Modified, MediaType::Protobuf) => Form::ModifiedProtobuf,
            (EventType::Deleted, MediaType::Protobuf) => Form::DeletedProtobuf,
            (EventType::Added, _) => Form::Added,
            (EventType::Modified, _) => Form::Modified,
            (EventType::Deleted, _) => Form::Deleted,
        }
    }
}

/// What the objects of a watch are shown as.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Objects,
    Metadata(MetaVersion),
    /// Columns are told once.
    Tables {
        style: TableStyle,
        headers: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    media: MediaType,
    shown: Shown,
}

/// `meta.k8s.io/v1 WatchEvent` on the wire.
#[derive(Clone, PartialEq, Message)]
struct WatchEvent {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(message, optional, tag = "2")]
    object: Option<Raw>,
}

#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
}

impl Frames {
    pub(super) fn new(target: &Target, query: &Query, output: Output) -> Result<Frames, ApiError> {
        let shown = match output.transform {
            Transform::None => Shown::Objects,
            Transform::PartialObjectMetadata(version) => Shown::Metadata(version),
            Transform::Table(version) => Shown::Tables { style: TableStyle::parse(query, version)?, headers: true },
            Transform::PartialObjectMetadataList(_) => {
                return Err(not_a_list(target));
            }
        };
        Ok(Frames { media: output.media, shown })
    }

    /// A change, and the view that it is told with. Frames of whole objects are shared by all watchers.
    pub(super) fn of_event(
        &mut self,
        ctx: &Context,
        target: &Target,
        kind: EventType,
        event: &CacheEvent,
        view: &Entry,
    ) -> Result<Bytes, ApiError> {
        if matches!(self.shown, Shown::Objects) {
            let id = encodings::id(&target.kind, kind.form(self.media));
            let media = self.media;
            return event.frame(id, |_| of_whole_view(media, kind.name(), target, view));
        }
        self.of_view(ctx, target, kind, view)
    }

    pub(super) fn of_view(
        &mut self,
        ctx: &Context,
        target: &Target,
        kind: EventType,
        view: &Entry,
    ) -> Result<Bytes, ApiError> {
        if matches!(self.shown, Shown::Objects) {
            return of_whole_view(self.media, kind.name(), target, view);
        }
        self.of_object(ctx, target, kind.name(), &encodings::object(target, view)?)
    }

    fn of_object(&mut self, ctx: &Context, target: &Target, name: &str, object: &Object) -> Result<Bytes, ApiError> {
        match &mut self.shown {
            Shown::Objects => whole(self.media, name, object),
            Shown::Metadata(version) => {
                whole(self.media, name, &partial_metadata(&target.api.schema, object, *version)?)
            }
            Shown::Tables { style, headers } => {
                let json = table::one(ctx, target, object, *style, std::mem::take(headers))?;
                let json = json.strip_suffix(b"\n").unwrap_or(&json);
                Ok(json_frame(name, json))
            }
        }
    }

    /// Tells a client that it has seen everything up to a revision.
    pub(super) fn bookmark(
        &mut self,
        ctx: &Context,
        target: &Target,
        revision: i64,
        ends_state: bool,
    ) -> Result<Bytes, ApiError> {
        let mut object = Object::new(&target.kind);
        object.set_resource_version(&revision.to_string());
        if ends_state {
            object.set_annotation(INITIAL_EVENTS_END, "true");
        }
        self.of_object(ctx, target, "BOOKMARK", &object)
    }

    /// The last frame of a watch that cannot go on.
    pub(super) fn error(&self, error: &ApiError) -> Result<Bytes, ApiError> {
        let json = error.to_json();
        let json = json.strip_suffix(b"\n").unwrap_or(&json);
        if self.media != MediaType::Protobuf {
            return Ok(json_frame("ERROR", json));
        }
        let schema = crate::api::schema::Schema::builtin();
        let kind = known_kind(&schema, "", "v1", "Status")?;
        let status = codec::decode_json(&schema, json, Some(&kind.gvk)).map_err(ApiError::internal)?.object;
        whole(self.media, "ERROR", &status)
    }
}

fn of_whole_view(media: MediaType, name: &str, target: &Target, view: &Entry) -> Result<Bytes, ApiError> {
    if media == MediaType::Protobuf {
        return protobuf_frame(name, encodings::protobuf(target, view)?);
    }
    Ok(json_frame(name, &encodings::json(target, view, Named::Kind)?))
}

fn whole(media: MediaType, name: &str, object: &Object) -> Result<Bytes, ApiError> {
    if media == MediaType::Protobuf {
        return protobuf_frame(name, codec::encode_protobuf(object));
    }
    let mut json = Vec::new();
    codec::encode_json(object, &mut json);
    Ok(json_frame(name, &json))
}

fn json_frame(name: &str, object: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + 40);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    out.into()
}

/// Four bytes of length, then the event; the object in it is a whole envelope again.
fn protobuf_frame(name: &str, envelope: Bytes) -> Result<Bytes, ApiError> {
    let event = WatchEvent { kind: name.to_owned(), object: Some(Raw { raw: envelope }) }.encode_to_vec();
    let length = u32::try_from(event.len()).map_err(|_| ApiError::internal("an event is too large for a frame"))?;
    let mut out = Vec::with_capacity(event.len() + 4);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&event);
    Ok(out.into())
}
