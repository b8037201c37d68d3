//! Stored protobuf at its revision: the stored bytes, with the revision put into the metadata, in which the store keeps
//! none.

use super::wire::{BYTES, Payload, Reader};

/// `metadata` in every object, `resourceVersion` in it.
const METADATA: u32 = 1;
const RESOURCE_VERSION: u32 = 6;

/// A message whose metadata comes first and ends somewhere, as everybody writes it.
#[derive(Clone, Copy)]
pub struct Spliced<'a> {
    /// Metadata before the revision and behind it, and what follows the metadata.
    before: &'a [u8],
    behind: &'a [u8],
    rest: &'a [u8],
    revision: &'a str,
}

impl<'a> Spliced<'a> {
    pub(super) fn new(raw: &'a [u8], revision: &'a str) -> Option<Spliced<'a>> {
        let mut reader = Reader::new(raw);
        let Some((METADATA, Payload::Bytes(metadata))) = reader.field().ok()? else { return None };
        let rest = reader.rest();
        let mut reader = Reader::new(metadata);
        loop {
            let start = metadata.len() - reader.rest().len();
            match reader.field().ok()? {
                Some((number, _)) if number < RESOURCE_VERSION => {}
                Some((RESOURCE_VERSION, Payload::Bytes(_))) => {
                    return Some(Spliced { before: &metadata[..start], behind: reader.rest(), rest, revision });
                }
                _ => return None,
            }
        }
    }

    /// Where the parts lie in the bytes that they are slices of: where the metadata begins, where the revision does and
    /// where it ends, where the metadata ends, where the message does. By that the message is found without reading it.
    pub fn offsets_in(&self, bytes: &[u8]) -> Option<[u32; 5]> {
        let offset = |end: &[u8]| {
            let offset = (end.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
            u32::try_from(offset).ok().filter(|_| offset <= bytes.len())
        };
        let end = |part: &'a [u8]| &part[part.len()..];
        Some([
            offset(self.before)?,
            offset(end(self.before))?,
            offset(self.behind)?,
            offset(self.rest)?,
            offset(end(self.rest))?,
        ])
    }

    /// The message whose parts lie there.
    pub fn at(bytes: &'a [u8], offsets: [u32; 5], revision: &'a str) -> Option<Spliced<'a>> {
        let [metadata, revision_at, behind, rest, end] = offsets.map(|offset| offset as usize);
        let (before, behind) = (bytes.get(metadata..revision_at)?, bytes.get(behind..rest)?);
        Some(Spliced { before, behind, rest: bytes.get(rest..end)?, revision })
    }

    fn metadata_len(&self) -> usize {
        self.before.len() + 1 + varint_len(self.revision.len()) + self.revision.len() + self.behind.len()
    }

    /// How long the message is.
    pub fn length(&self) -> usize {
        let metadata = self.metadata_len();
        1 + varint_len(metadata) + metadata + self.rest.len()
    }

    pub fn append(&self, out: &mut Vec<u8>) {
        put_head(out, METADATA, self.metadata_len());
        out.extend_from_slice(self.before);
        put_head(out, RESOURCE_VERSION, self.revision.len());
        out.extend_from_slice(self.revision.as_bytes());
        out.extend_from_slice(self.behind);
        out.extend_from_slice(self.rest);
    }
}

/// Tag and length of a field of bytes whose number is below 16.
pub fn put_head(out: &mut Vec<u8>, number: u32, length: usize) {
    out.push((number << 3) as u8 | BYTES);
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub fn varint_len(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}
