//! A protobuf message as it stands in its bytes, seen by the tables: which fields were given, and where. No tree is
//! made. What a tree would not show as it stands (a field that the tables do not know, a singular one that comes twice,
//! text that is no UTF-8) makes the whole message unreadable here: such an object is read by `proto_decode`.

use std::borrow::Cow;

use super::wire::{Payload, Reader};
use crate::api::schema::tables::{Field, Kind, Shape, StructDef, Wire, WireTarget};

/// Messages nested deeper are left to the decoder, which refuses them.
const DEPTH_MAX: usize = 100;

/// The fields of one message, in the order in which JSON prints them.
pub struct Message<'a> {
    def: &'a StructDef,
    found: Vec<(usize, Payload<'a>)>,
    depth: usize,
}

impl<'a> Message<'a> {
    pub fn read(def: &'a StructDef, bytes: &'a [u8]) -> Option<Message<'a>> {
        Message::at_depth(def, bytes, 0)
    }

    fn at_depth(def: &'a StructDef, bytes: &'a [u8], depth: usize) -> Option<Message<'a>> {
        if depth > DEPTH_MAX || def.open {
            return None;
        }
        let mut found = Vec::with_capacity(16);
        scan(&def.wire, bytes, &mut found, depth)?;
        // Fields mostly come in this order already; items of one list must stay in theirs.
        if !found.is_sorted_by_key(|(slot, _)| *slot) {
            found.sort_by_key(|(slot, _)| *slot);
        }
        let is_twice =
            |pair: &[(usize, Payload<'_>)]| pair[0].0 == pair[1].0 && def.fields[pair[0].0].shape == Shape::One;
        if found.windows(2).any(is_twice) {
            return None;
        }
        Some(Message { def, found, depth })
    }

    pub fn def(&self) -> &'a StructDef {
        self.def
    }

    /// The message of a field that holds one, or an item of it.
    pub(super) fn inner(&self, field: &'a Field, payload: &Payload<'a>) -> Option<Message<'a>> {
        match (&field.kind, payload) {
            (Kind::Struct(def), Payload::Bytes(bytes)) => Message::at_depth(def, bytes, self.depth + 1),
            _ => None,
        }
    }

    /// What was given for a slot: none, one, or the items of a list or map.
    pub(super) fn slot(&self, slot: usize) -> &[(usize, Payload<'a>)] {
        let start = self.found.partition_point(|(at, _)| *at < slot);
        let count = self.found[start..].iter().take_while(|(at, _)| *at == slot).count();
        &self.found[start..start + count]
    }

    pub(super) fn all(&self) -> &[(usize, Payload<'a>)] {
        &self.found
    }

    /// The messages of a slot: of a struct, or of the items of a list. None in one that cannot be read.
    pub fn messages(&self, slot: usize) -> impl Iterator<Item = Option<Message<'a>>> {
        let field = &self.def.fields[slot];
        self.slot(slot).iter().map(move |(_, payload)| match (field.shape, payload) {
            (Shape::Map, Payload::Bytes(entry)) => self.inner(field, &entry_of(entry)?.1?),
            _ => self.inner(field, payload),
        })
    }

    /// The same by the field's name; nothing where the type has no such field.
    pub fn messages_of(&self, name: &str) -> impl Iterator<Item = Option<Message<'a>>> {
        self.def.slot_of(name).into_iter().flat_map(move |slot| self.messages(slot))
    }

    /// Text of a field; "" when nothing was given.
    pub fn text(&self, name: &str) -> &'a str {
        let given = self.def.slot_of(name).and_then(|slot| self.slot(slot).first());
        match given {
            Some((_, Payload::Bytes(bytes))) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        }
    }

    /// A number or truth.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.slot(self.def.slot_of(name)?).first()?.1 {
            Payload::Varint(number) => Some(number as i64),
            _ => None,
        }
    }

    /// A text, number or truth at a path of field names, as text.
    pub fn printed(&self, path: &[&str]) -> Option<Cow<'a, str>> {
        let (name, rest) = path.split_first()?;
        let slot = self.def.slot_of(name)?;
        let (field, (_, payload)) = (&self.def.fields[slot], self.slot(slot).first()?);
        if !rest.is_empty() {
            return self.inner(field, payload)?.printed(rest);
        }
        if field.shape != Shape::One || !self.has(&[name]) {
            return None;
        }
        match (&field.kind, payload) {
            (Kind::Str, Payload::Bytes(bytes)) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            (Kind::Bool, Payload::Varint(number)) => Some((*number != 0).to_string().into()),
            (Kind::Int32, Payload::Varint(number)) => Some((*number as i32).to_string().into()),
            (Kind::Int64, Payload::Varint(number)) => Some((*number as i64).to_string().into()),
            _ => None,
        }
    }

    /// Keys and texts of a map in a slot.
    pub fn entries(&self, slot: usize) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        self.slot(slot).iter().filter_map(|(_, payload)| {
            let Payload::Bytes(entry) = payload else { return None };
            let (key, value) = entry_of(entry)?;
            let value = match value {
                Some(Payload::Bytes(bytes)) => Some(bytes),
                _ => None,
            };
            Some((std::str::from_utf8(key).ok()?, value))
        })
    }

    pub fn entries_of(&self, name: &str) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        self.def.slot_of(name).into_iter().flat_map(move |slot| self.entries(slot))
    }

    /// Whether anything stands at a path of field names; zeros of plain fields are nothing.
    pub fn has(&self, path: &[&str]) -> bool {
        let [name, rest @ ..] = path else { return true };
        let Some(slot) = self.def.slot_of(name) else { return false };
        let Some((_, payload)) = self.slot(slot).first() else { return false };
        let field = &self.def.fields[slot];
        if !rest.is_empty() {
            return self.inner(field, payload).is_some_and(|inner| inner.has(rest));
        }
        !field.is_plain() || !self.is_zero(field, payload)
    }

    /// A plain field's zero is the same as nothing. What cannot be read counts as one.
    fn is_zero(&self, field: &'a Field, payload: &Payload<'a>) -> bool {
        match (&field.kind, payload) {
            (Kind::Struct(_), payload) => self.inner(field, payload).is_none_or(|inner| inner.is_nothing()),
            (_, Payload::Varint(number)) => *number == 0,
            (_, Payload::Fixed64(bits)) => f64::from_bits(*bits) == 0.0,
            (Kind::Quantity | Kind::Duration, _) => false,
            (_, Payload::Bytes(bytes)) => bytes.is_empty(),
            _ => true,
        }
    }

    fn is_nothing(&self) -> bool {
        self.found.iter().all(|(slot, payload)| {
            let field = &self.def.fields[*slot];
            field.is_plain() && self.is_zero(field, payload)
        })
    }
}

fn scan<'a>(wires: &[Wire], bytes: &'a [u8], found: &mut Vec<(usize, Payload<'a>)>, depth: usize) -> Option<()> {
    let (mut reader, mut hint) = (Reader::new(bytes), 0);
    while let Some((number, payload)) = reader.field().ok()? {
        let ahead = wires[hint..].iter().position(|wire| wire.number == number).map(|at| at + hint);
        let at = ahead.or_else(|| wires[..hint].iter().position(|wire| wire.number == number))?;
        hint = at;
        match (&wires[at].target, payload) {
            (WireTarget::Slot(slot), payload) => found.push((usize::from(*slot), payload)),
            (WireTarget::Inline(inner), Payload::Bytes(bytes)) if depth < DEPTH_MAX => {
                scan(inner, bytes, found, depth + 1)?;
            }
            _ => return None,
        }
    }
    Some(())
}

/// Key and value of a map's entry.
pub(super) fn entry_of(bytes: &[u8]) -> Option<(&[u8], Option<Payload<'_>>)> {
    let (mut key, mut value): (&[u8], _) = (b"", None);
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.field().ok()? {
        match (number, payload) {
            (1, Payload::Bytes(bytes)) => key = bytes,
            (2, payload) => value = Some(payload),
            _ => return None,
        }
    }
    Some((key, value))
}
