//! The bitmap of taken ports as it is stored: a RangeAllocation of the core group in protobuf, whose data is one large
//! number with its most significant byte first.

/// Field and wire type of length-delimited fields 1 to 3.
const FIRST: u8 = 0x0a;
const SECOND: u8 = 0x12;
const THIRD: u8 = 0x1a;
/// What begins every stored protobuf.
const MAGIC: &[u8] = b"k8s\0";

/// Which numbers are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bitmap {
    /// Least significant byte first.
    bytes: Vec<u8>,
    /// The metadata as it was stored.
    metadata: Vec<u8>,
}

fn place(at: i64) -> Option<(usize, u8)> {
    let at = usize::try_from(at).ok()?;
    Some((at / 8, 1 << (at % 8)))
}

impl Bitmap {
    pub(super) fn has(&self, at: i64) -> bool {
        place(at).is_some_and(|(byte, bit)| self.bytes.get(byte).is_some_and(|bits| bits & bit != 0))
    }

    pub(super) fn set(&mut self, at: i64) {
        let Some((byte, bit)) = place(at) else { return };
        self.bytes.resize(self.bytes.len().max(byte + 1), 0);
        self.bytes[byte] |= bit;
    }

    pub(super) fn clear(&mut self, at: i64) {
        let Some((byte, bit)) = place(at) else { return };
        if let Some(bits) = self.bytes.get_mut(byte) {
            *bits &= !bit;
        }
    }

    /// What cannot be read is taken for empty: ports of Services are known beside it.
    pub(super) fn decode(stored: &[u8]) -> Bitmap {
        let raw = stored.strip_prefix(MAGIC).and_then(|unknown| field(unknown, SECOND)).unwrap_or_default();
        let mut bytes = field(raw, THIRD).unwrap_or_default().to_vec();
        bytes.reverse();
        Bitmap { bytes, metadata: field(raw, FIRST).unwrap_or_default().to_vec() }
    }

    pub(super) fn encode(&self, range: &str) -> Vec<u8> {
        const EMPTY_METADATA: &[u8] = &[0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0, 0x2a, 0, 0x32, 0, 0x38, 0, 0x42, 0];
        let mut data: Vec<u8> = self.bytes.iter().rev().copied().skip_while(|byte| *byte == 0).collect();
        let mut raw = Vec::new();
        write(&mut raw, FIRST, if self.metadata.is_empty() { EMPTY_METADATA } else { &self.metadata });
        write(&mut raw, SECOND, range.as_bytes());
        write(&mut raw, THIRD, &std::mem::take(&mut data));
        let mut kind = Vec::new();
        write(&mut kind, FIRST, b"v1");
        write(&mut kind, SECOND, b"RangeAllocation");
        let mut stored = MAGIC.to_vec();
        write(&mut stored, FIRST, &kind);
        write(&mut stored, SECOND, &raw);
        write(&mut stored, THIRD, b"");
        write(&mut stored, 0x22, b"");
        stored
    }
}

fn write(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let mut length = bytes.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

/// A length-delimited field of a message that has no others.
fn field(mut message: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((tag, rest)) = message.split_first() {
        let mut length = 0usize;
        let mut used = 0usize;
        for byte in rest.iter().take(4) {
            length |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let value = rest.get(used..used.checked_add(length)?)?;
        if *tag == wanted {
            return Some(value);
        }
        message = &rest[used + length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_stored_as_one_large_number() {
        let mut bitmap = Bitmap::default();
        for at in [0, 9, 2767] {
            bitmap.set(at);
        }
        bitmap.clear(2767);
        let stored = bitmap.encode("30000-32767");
        assert!(stored.starts_with(b"k8s\0\x0a\x15\x0a\x02v1\x12\x0fRangeAllocation\x12"));
        assert!(stored.ends_with(&[0x1a, 2, 0x02, 0x01, 0x1a, 0, 0x22, 0]));
        let read = Bitmap::decode(&stored);
        assert!(read.has(0) && read.has(9) && !read.has(1) && !read.has(2767) && !read.has(-1));
        assert_eq!(Bitmap::decode(b"not a bitmap"), Bitmap::default());
    }
}
