//! Custom resources from JSON: read as a free tree, which no type can refuse, and fitted to the tables. Metadata alone
//! is read as the type that it is.

use super::{
    DecodeError, Decoded, StrictError,
    json_decoder::{Decoder, KnownKeys, decode_struct_json},
    json_text::Token,
};
use crate::api::schema::{
    fit::{Fitting, Nulls, fit_struct},
    object::Object,
    tables::Type,
    text::Text,
    value::Value,
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads an object of a custom kind, whatever kind it says it is.
pub(super) fn decode(kind: &Type, bytes: &[u8]) -> Result<Decoded> {
    read(kind, bytes, Nulls::Dropped)
}

/// The same of one that was merged.
pub(super) fn decode_merged(kind: &Type, bytes: &[u8]) -> Result<Decoded> {
    read(kind, bytes, Nulls::Kept).map_err(|error| error.of_kind(&kind.gvk))
}

fn read(kind: &Type, bytes: &[u8], nulls: Nulls) -> Result<Decoded> {
    let mut decoder = Decoder::new(bytes);
    let (mut members, mut metadata, mut known) = (Vec::new(), None, KnownKeys::default());
    match decoder.cursor.token()? {
        Token::Object => {
            let mut more = decoder.cursor.open(b'}');
            while more {
                let name = Text::from(&*decoder.cursor.key()?);
                decoder.note_duplicate(&mut known, &members, &name);
                decoder.path.push(super::json_decoder::Step::Key(name.to_string().into()));
                decoder.cursor.skip_space();
                let start = decoder.cursor.at;
                let value = decoder.any()?;
                decoder.path.pop();
                if &*name == "metadata" {
                    metadata = Some(&bytes[start..decoder.cursor.at]);
                }
                members.push((name, value));
                more = decoder.cursor.more(b'}')?;
            }
        }
        _ => drop(decoder.any()?),
    }
    decoder.cursor.end()?;
    if let Some(why) = decoder.type_error.take() {
        return Err(DecodeError::Malformed(why));
    }
    let mut strict = std::mem::take(&mut decoder.strict);
    if let Some(json) = metadata {
        read_metadata(kind, json, &mut members, &mut strict)?;
    }
    let mut fitting = Fitting::with(nulls);
    let root = fit_struct(members, &kind.root, &mut fitting);
    if let Some(why) = fitting.malformed {
        return Err(DecodeError::Malformed(why));
    }
    fitting.unknown.sort();
    fitting.unknown_metadata.sort();
    strict.extend(fitting.unknown.into_iter().chain(fitting.unknown_metadata).map(StrictError::UnknownField));
    Ok(Decoded { object: Object::from_root(kind, root), warnings: strict })
}

/// Puts typed metadata in the place of the free tree.
fn read_metadata(
    kind: &Type,
    json: &[u8],
    members: &mut Vec<(Text, Value)>,
    strict: &mut Vec<StrictError>,
) -> Result<()> {
    let Some(def) = kind.root.field("metadata").and_then(|field| field.struct_ref()) else { return Ok(()) };
    let (metadata, found) = decode_struct_json(def, json)?;
    strict.extend(found.into_iter().filter_map(|error| match error {
        StrictError::UnknownField(name) => Some(StrictError::UnknownField(format!("metadata.{name}"))),
        // Found before, with the whole tree.
        StrictError::DuplicateField(_) | StrictError::RepeatedKeys(_) => None,
    }));
    members.retain(|(name, _)| &**name != "metadata");
    members.push(("metadata".into(), metadata.into()));
    Ok(())
}
