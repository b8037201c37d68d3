//! Stored protobuf to JSON in one pass over the tables, without a tree in between: byte for byte what decoding and
//! encoding would print. None where only they can tell.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    json_encode::{write_absent, write_int},
    json_text::{write_compact, write_float, write_string},
    message::{Message, entry_of},
    wire::{Payload, Reader},
};
use crate::api::schema::{
    scalar::{
        duration, quantity,
        time::{Instant, format_micro_time, format_time},
    },
    tables::{Field, Kind, Presence, Shape, Type},
};

/// Whether the JSON says which kind it is of: items of a list do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Kind,
    Nothing,
}

/// Where in the object a message stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Metadata,
    Below,
}

/// Appends the JSON of a kind's message at a revision; an empty one is left out. Where it answers None, what it has
/// written is of no use.
pub(super) fn write(out: &mut Vec<u8>, kind: &Type, message: &Message<'_>, revision: &str, named: Named) -> Option<()> {
    let mut writer = Writer { out, kind, revision, named };
    writer.message(message, Level::Root).map(drop)
}

struct Writer<'w> {
    out: &'w mut Vec<u8>,
    kind: &'w Type,
    revision: &'w str,
    named: Named,
}

/// What a field came to: nothing was given for it, something that is not printed, or something that is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Nothing,
    Hidden,
    Printed,
}

impl Writer<'_> {
    /// True if anything was given in it.
    fn message<'a>(&mut self, message: &Message<'a>, level: Level) -> Option<bool> {
        self.out.push(b'{');
        let (mut is_first, mut is_any, mut at) = (true, false, 0);
        let all = message.all();
        for (slot, field) in message.def().fields.iter().enumerate() {
            let start = at;
            while all.get(at).is_some_and(|(of, _)| *of == slot) {
                at += 1;
            }
            let given = &all[start..at];
            let is_silent = matches!(field.presence, Presence::Omit | Presence::Pointer);
            if given.is_empty() && is_silent && level == Level::Below {
                continue;
            }
            let mark = self.out.len();
            if !is_first {
                self.out.push(b',');
            }
            self.out.push(b'"');
            self.out.extend_from_slice(field.name.as_bytes());
            self.out.extend_from_slice(b"\":");
            let came_to = match self.known(field, level) {
                Some(came_to) => came_to,
                None => self.field(message, field, given, level)?,
            };
            is_any |= came_to != Given::Nothing;
            match came_to {
                Given::Printed => is_first = false,
                Given::Nothing if !is_silent => {
                    write_absent(self.out, field);
                    is_first = false;
                }
                _ => self.out.truncate(mark),
            }
        }
        self.out.push(b'}');
        Some(is_any)
    }

    /// What is not in the bytes: the kind, and the revision, which the store knows.
    fn known(&mut self, field: &Field, level: Level) -> Option<Given> {
        let text = match (level, &*field.name) {
            (Level::Root, "kind") => self.kind.gvk.kind.clone(),
            (Level::Root, "apiVersion") => self.kind.gvk.api_version(),
            (Level::Metadata, "resourceVersion") if self.revision.is_empty() => return Some(Given::Nothing),
            (Level::Metadata, "resourceVersion") => self.revision.to_owned().into(),
            _ => return None,
        };
        if level == Level::Root && self.named == Named::Nothing {
            return Some(Given::Hidden);
        }
        write_string(self.out, &text);
        Some(Given::Printed)
    }

    fn field<'a>(
        &mut self,
        message: &Message<'a>,
        field: &'a Field,
        given: &[(usize, Payload<'a>)],
        level: Level,
    ) -> Option<Given> {
        let [(_, payload), ..] = given else { return Some(Given::Nothing) };
        match field.shape {
            Shape::List => self.list(message, field, given)?,
            Shape::Map => self.map(message, field, given)?,
            Shape::One => return self.one(message, field, payload, level),
        }
        Some(Given::Printed)
    }

    fn list<'a>(&mut self, message: &Message<'a>, field: &'a Field, given: &[(usize, Payload<'a>)]) -> Option<()> {
        self.out.push(b'[');
        for (at, (_, payload)) in given.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.value(message, field, payload, Level::Below)?;
        }
        self.out.push(b']');
        Some(())
    }

    /// Maps that are not in the order of their keys are left to those who sort them.
    fn map<'a>(&mut self, message: &Message<'a>, field: &'a Field, given: &[(usize, Payload<'a>)]) -> Option<()> {
        self.out.push(b'{');
        let mut last: Option<&[u8]> = None;
        for (_, payload) in given {
            let Payload::Bytes(entry) = payload else { return None };
            let (key, value) = entry_of(entry)?;
            if last.is_some_and(|last| last >= key) {
                return None;
            }
            if last.replace(key).is_some() {
                self.out.push(b',');
            }
            write_string(self.out, std::str::from_utf8(key).ok()?);
            self.out.push(b':');
            self.value(message, field, &value?, Level::Below)?;
        }
        self.out.push(b'}');
        Some(())
    }

    fn one<'a>(
        &mut self,
        message: &Message<'a>,
        field: &'a Field,
        payload: &Payload<'a>,
        level: Level,
    ) -> Option<Given> {
        let below = match (level, &*field.name) {
            (Level::Root, "metadata") => Level::Metadata,
            _ => Level::Below,
        };
        let start = self.out.len();
        let is_zero = self.value(message, field, payload, below)?;
        if !field.presence.is_plain() || !is_zero {
            return Some(Given::Printed);
        }
        let is_collection = matches!(field.kind, Kind::Bytes | Kind::StringItems);
        if is_collection && field.presence == Presence::Always {
            return Some(Given::Printed);
        }
        self.out.truncate(start);
        Some(if is_collection { Given::Hidden } else { Given::Nothing })
    }

    /// One value; true if it is what a plain field's zero is.
    fn value<'a>(
        &mut self,
        message: &Message<'a>,
        field: &'a Field,
        payload: &Payload<'a>,
        level: Level,
    ) -> Option<bool> {
        match (&field.kind, payload) {
            (Kind::Bool, Payload::Varint(number)) => {
                self.out.extend_from_slice(if *number != 0 { b"true" } else { b"false" });
                Some(*number == 0)
            }
            (Kind::Int32, Payload::Varint(number)) => Some(self.number((*number as i32).into())),
            (Kind::Int64, Payload::Varint(number)) => Some(self.number(*number as i64)),
            (Kind::Float64, Payload::Fixed64(bits)) => {
                let number = f64::from_bits(*bits);
                write_float(self.out, number);
                Some(number == 0.0)
            }
            (Kind::Str, Payload::Bytes(bytes)) => self.text(bytes),
            (Kind::Bytes, Payload::Bytes(bytes)) => {
                self.out.push(b'"');
                self.out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                self.out.push(b'"');
                Some(bytes.is_empty())
            }
            (Kind::Struct(_), payload) => {
                let inner = message.inner(field, payload)?;
                self.message(&inner, level).map(|is_any| !is_any)
            }
            (Kind::StringItems, Payload::Bytes(bytes)) => self.string_items(bytes),
            (kind, Payload::Bytes(bytes)) => self.special(kind, bytes),
            _ => None,
        }
    }

    fn number(&mut self, number: i64) -> bool {
        write_int(self.out, number);
        number == 0
    }

    fn text(&mut self, bytes: &[u8]) -> Option<bool> {
        write_string(self.out, std::str::from_utf8(bytes).ok()?);
        Some(bytes.is_empty())
    }

    fn string_items(&mut self, bytes: &[u8]) -> Option<bool> {
        let (mut reader, mut is_empty) = (Reader::new(bytes), true);
        self.out.push(b'[');
        while let Some((number, payload)) = reader.field().ok()? {
            let (1, Payload::Bytes(item)) = (number, payload) else { return None };
            if !is_empty {
                self.out.push(b',');
            }
            is_empty = false;
            self.text(item)?;
        }
        self.out.push(b']');
        Some(is_empty)
    }

    /// Messages that are not structs in JSON.
    fn special(&mut self, kind: &Kind, bytes: &[u8]) -> Option<bool> {
        let (mut numbers, mut texts) = ([0u64; 4], [None; 4]);
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.field().ok()? {
            let at = number.min(3) as usize;
            match payload {
                Payload::Varint(value) => numbers[at] = value,
                Payload::Bytes(value) => texts[at] = Some(value),
                _ => return None,
            }
        }
        let instant = Instant { seconds: numbers[1] as i64, nanos: numbers[2] as u32 };
        match kind {
            Kind::Time | Kind::MicroTime if bytes.is_empty() || instant.is_zero() => Some(self.null()),
            Kind::Time => Some(self.quoted(&format_time(instant))),
            Kind::MicroTime => Some(self.quoted(&format_micro_time(instant))),
            Kind::Duration => Some(self.quoted(&duration::format(numbers[1] as i64))),
            Kind::Quantity => {
                let text = std::str::from_utf8(texts[1].unwrap_or_default()).ok()?;
                let text = if text.is_empty() { "0" } else { text };
                Some(self.quoted(&quantity::canonical(text).ok()?))
            }
            Kind::IntOrString if numbers[1] == 1 => self.text(texts[3].unwrap_or_default()),
            Kind::IntOrString => Some(self.number((numbers[2] as i32).into())),
            Kind::Raw => match texts[1] {
                None => Some(self.null()),
                // Bytes that are there and empty.
                Some([]) => None,
                Some(raw) => {
                    write_compact(self.out, raw);
                    Some(false)
                }
            },
            _ => None,
        }
    }

    fn null(&mut self) -> bool {
        self.out.extend_from_slice(b"null");
        true
    }

    fn quoted(&mut self, text: &str) -> bool {
        write_string(self.out, text);
        false
    }
}
