//! Which representation a client gets, and which one it sent.
//!
//! In: headers and query. Out: an [`Output`] or an input [`MediaType`], or the 406 or 415 of the real server. Not here:
//! the encoding itself (schema), tables (registry).

mod accept;

use http::{HeaderMap, HeaderValue, header};

use crate::request::{info::Query, status::ApiError};
use accept::Clause;

/// An encoding of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    Json,
    Yaml,
    Protobuf,
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

impl MediaType {
    pub fn name(self) -> &'static str {
        match self {
            MediaType::Json => JSON,
            MediaType::Yaml => YAML,
            MediaType::Protobuf => PROTOBUF,
        }
    }

    /// The content type of a watch in this encoding.
    pub fn watch_name(self) -> &'static str {
        match self {
            MediaType::Json => JSON,
            MediaType::Yaml => "application/yaml;stream=watch",
            MediaType::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        }
    }

    fn subtype(self) -> &'static str {
        &self.name()["application/".len()..]
    }
}

/// The version of meta.k8s.io in which a transformed answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    pub fn api_version(self) -> &'static str {
        match self {
            MetaVersion::V1 => "meta.k8s.io/v1",
            MetaVersion::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// What the client wants instead of the object itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    None,
    Table(MetaVersion),
    PartialObjectMetadata(MetaVersion),
    PartialObjectMetadataList(MetaVersion),
}

/// The agreed representation of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub media: MediaType,
    pub pretty: bool,
    pub transform: Transform,
}

/// What an endpoint can produce.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// In order of preference.
    pub media: &'static [MediaType],
    /// `as=Table` and `as=PartialObjectMetadata` are possible.
    pub transforms: bool,
    /// The router in front compares media types by text and knows no `application/*`, as for all built-in resources.
    pub routed: bool,
}

impl Offer {
    /// Objects of built-in resources.
    pub const OBJECTS: Offer =
        Offer { media: &[MediaType::Json, MediaType::Yaml, MediaType::Protobuf], transforms: true, routed: true };
    /// Custom resources have no protobuf and no router in front; metadata transforms exist.
    pub const CUSTOM: Offer = Offer { media: &[MediaType::Json, MediaType::Yaml], transforms: true, routed: false };
    /// Discovery documents and Status answers.
    pub const DOCUMENTS: Offer = Offer { transforms: false, ..Offer::OBJECTS };
    /// The same where no router stands in front.
    pub const UNROUTED_DOCUMENTS: Offer = Offer { routed: false, ..Offer::DOCUMENTS };
    /// Documents that exist in JSON alone.
    pub const JSON: Offer = Offer { media: &[MediaType::Json], ..Offer::DOCUMENTS };

    fn names(&self) -> Vec<&'static str> {
        // Custom resources name protobuf among what they accept, and accept it for nothing.
        let unkept = (!self.routed && !self.media.contains(&MediaType::Protobuf)).then_some(PROTOBUF);
        self.media.iter().map(|m| m.name()).chain(unkept).collect()
    }

    /// The forms of a watch.
    fn streams(&self) -> Vec<&'static str> {
        let streamed = self.media.iter().filter(|m| **m != MediaType::Yaml);
        streamed.map(|m| if *m == MediaType::Json { "application/json;stream=watch" } else { m.watch_name() }).collect()
    }
}

/// Agrees on the representation of an answer that is not a watch.
pub fn output(headers: &HeaderMap, query: &Query, offer: &Offer) -> Result<Output, ApiError> {
    let header = joined(headers, header::ACCEPT);
    routed(headers, offer)?;
    let chosen = choose(&header, offer).ok_or_else(|| ApiError::not_acceptable(&offer.names()))?;
    Ok(Output { pretty: chosen.pretty || is_pretty(headers, query), ..chosen })
}

/// What the router in front says, which knows the names of media types and nothing of their parameters.
pub fn routed(headers: &HeaderMap, offer: &Offer) -> Result<(), ApiError> {
    if offer.routed { routed_to(headers, &offer.names()) } else { Ok(()) }
}

/// The same of documents that have types of their own.
pub fn routed_to(headers: &HeaderMap, offered: &[&str]) -> Result<(), ApiError> {
    match accept::route_accepts(&joined(headers, header::ACCEPT), offered) {
        true => Ok(()),
        false => Err(ApiError::not_acceptable_route(offered)),
    }
}

/// What is accepted where success is plain text: the route names that as well, and yet an object must be acceptable.
pub fn text_output(headers: &HeaderMap, offer: &Offer) -> Result<(), ApiError> {
    let (header, names) = (joined(headers, header::ACCEPT), offer.names());
    let routed = [&["text/plain"][..], &names].concat();
    match choose(&header, offer) {
        _ if !accept::route_accepts(&header, &routed) => Err(ApiError::not_acceptable_route(&routed)),
        None => Err(ApiError::not_acceptable(&names)),
        Some(_) => Ok(()),
    }
}

/// Agrees on the representation of a watch: JSON or protobuf frames, never pretty.
pub fn watch_output(headers: &HeaderMap, query: &Query, offer: &Offer) -> Result<Output, ApiError> {
    let streams = offer.streams();
    let chosen = match collection_output(headers, query, offer) {
        Err(error) if error.details.is_some() => return Err(error),
        other => other.ok().filter(|chosen| chosen.media != MediaType::Yaml),
    };
    chosen.map(|chosen| Output { pretty: false, ..chosen }).ok_or_else(|| ApiError::not_acceptable(&streams))
}

/// Agrees on the representation of a list, or of a watch in the making: one route answers both, and names both forms
/// where it has to refuse.
pub fn collection_output(headers: &HeaderMap, query: &Query, offer: &Offer) -> Result<Output, ApiError> {
    if offer.routed && !accept::route_accepts(&joined(headers, header::ACCEPT), &offer.names()) {
        return Err(ApiError::not_acceptable_route(&[offer.names(), offer.streams()].concat()));
    }
    output(headers, query, offer)
}

/// How an error is written for this client: its first choice among the offers, else JSON, which is indented then.
pub fn error_output(headers: &HeaderMap, query: &Query) -> Output {
    let chosen = choose(&joined(headers, header::ACCEPT), &Offer::DOCUMENTS);
    chosen.map_or(Output { media: MediaType::Json, pretty: true, transform: Transform::None }, |chosen| Output {
        pretty: chosen.pretty || is_pretty(headers, query),
        ..chosen
    })
}

/// The encoding of a request body; without a content type it is JSON.
pub fn input(headers: &HeaderMap, offer: &Offer) -> Result<MediaType, ApiError> {
    let header = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if header.is_empty() {
        return Ok(MediaType::Json);
    }
    let essence = essence(header);
    offer
        .media
        .iter()
        .copied()
        .find(|m| essence.as_deref() == Some(m.name()))
        .ok_or_else(|| ApiError::unsupported_media_type(&offer.names()))
}

/// The way a PATCH body is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchType {
    Json,
    Merge,
    StrategicMerge,
    ApplyYaml,
    ApplyCbor,
}

impl PatchType {
    pub fn name(self) -> &'static str {
        match self {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::StrategicMerge => "application/strategic-merge-patch+json",
            PatchType::ApplyYaml => "application/apply-patch+yaml",
            PatchType::ApplyCbor => "application/apply-patch+cbor",
        }
    }
}

/// Reads the content type of a PATCH among those that the resource supports.
pub fn patch_type(headers: &HeaderMap, supported: &[PatchType]) -> Result<PatchType, ApiError> {
    let header = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // Only what stands before a semicolon counts, and in the very letters.
    let essence = header.split(';').next().unwrap_or_default().trim();
    supported
        .iter()
        .copied()
        .find(|p| p.name() == essence)
        .ok_or_else(|| ApiError::unsupported_media_type(&supported.iter().map(|p| p.name()).collect::<Vec<_>>()))
}

/// Browsers and command-line HTTP tools get indented JSON; `pretty=` overrides.
pub fn is_pretty(headers: &HeaderMap, query: &Query) -> bool {
    if let Some(wish) = query.non_empty("pretty") {
        return matches!(wish, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|known| agent.starts_with(known))
}

/// The content type of an answer in this encoding, as a header value.
pub fn content_type(media: MediaType) -> HeaderValue {
    HeaderValue::from_static(media.name())
}

fn joined(headers: &HeaderMap, name: header::HeaderName) -> String {
    // Only the first header counts, as for Go's Header.Get.
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

/// The media type in lower case, without parameters; none where it is malformed.
fn essence(header: &str) -> Option<String> {
    let essence = header.split(';').next()?.trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    (!kind.is_empty() && !subtype.is_empty() && !subtype.contains('/')).then_some(essence)
}

fn choose(header: &str, offer: &Offer) -> Option<Output> {
    if header.is_empty() {
        let media = *offer.media.first()?;
        return Some(Output { media, pretty: false, transform: Transform::None });
    }
    accept::parse(header).iter().find_map(|clause| {
        let matching = offer.media.iter().filter(|m| clause.matches(m.subtype()));
        matching.copied().find_map(|media| accept_clause(clause, media, offer))
    })
}

/// An offer under the parameters of a clause; none where the parameters ask for something impossible.
fn accept_clause(clause: &Clause, media: MediaType, offer: &Offer) -> Option<Output> {
    let stream = clause.param("stream").unwrap_or_default();
    if !stream.is_empty() && (stream != "watch" || media == MediaType::Yaml) {
        return None;
    }
    let transform = transform(clause, media, offer)?;
    Some(Output { media, pretty: clause.param("pretty") == Some("1"), transform })
}

fn transform(clause: &Clause, media: MediaType, offer: &Offer) -> Option<Transform> {
    let (kind, group, version) = (clause.param("as"), clause.param("g"), clause.param("v"));
    if kind.is_none() && group.is_none() && version.is_none() {
        return Some(Transform::None);
    }
    if !offer.transforms || group != Some("meta.k8s.io") {
        return None;
    }
    let version = match version? {
        "v1" => MetaVersion::V1,
        "v1beta1" => MetaVersion::V1Beta1,
        _ => return None,
    };
    match kind? {
        "Table" if media != MediaType::Protobuf => Some(Transform::Table(version)),
        "PartialObjectMetadata" => Some(Transform::PartialObjectMetadata(version)),
        "PartialObjectMetadataList" => Some(Transform::PartialObjectMetadataList(version)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
