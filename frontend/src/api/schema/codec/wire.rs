//! Protobuf's wire: a reader over a slice, and a writer that fills its buffer from the end, so that lengths are known
//! when they are written.

use super::DecodeError;

/// In front of every protobuf object.
pub(super) const ENVELOPE_MAGIC: &[u8] = b"k8s\0";

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;
/// Groups nested deeper are refused.
const GROUP_DEPTH_MAX: usize = 100;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// One field: its number and what stands there.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// A group or a fixed32: no field of ours has that type.
    Skipped(u8),
}

impl Payload<'_> {
    pub(super) fn wire_type(&self) -> u8 {
        match self {
            Payload::Varint(_) => VARINT,
            Payload::Fixed64(_) => FIXED64,
            Payload::Bytes(_) => BYTES,
            Payload::Skipped(wire_type) => *wire_type,
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field; None at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Payload<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let (number, wire_type) = ((tag >> 3) as u32, (tag & 7) as u8);
        if number == 0 {
            return Err(malformed(format!("proto: illegal tag {number} (wire type {wire_type})")));
        }
        let payload = match wire_type {
            VARINT => Payload::Varint(self.varint()?),
            FIXED64 => {
                let bytes = self.take(8)?;
                Payload::Fixed64(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            }
            BYTES => {
                let length = self.varint()?;
                Payload::Bytes(self.take(usize::try_from(length).map_err(|_| unexpected_end())?)?)
            }
            _ => {
                self.skip(wire_type)?;
                Payload::Skipped(wire_type)
            }
        };
        Ok(Some((number, payload)))
    }

    fn skip(&mut self, wire_type: u8) -> Result<(), DecodeError> {
        let mut depth = 0usize;
        let mut wire_type = wire_type;
        loop {
            match wire_type {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.take(8)?),
                FIXED32 => drop(self.take(4)?),
                BYTES => {
                    let length = self.varint()?;
                    self.take(usize::try_from(length).map_err(|_| unexpected_end())?)?;
                }
                GROUP_START if depth < GROUP_DEPTH_MAX => depth += 1,
                GROUP_END if depth > 0 => depth -= 1,
                _ => return Err(malformed(format!("proto: illegal wireType {wire_type}"))),
            }
            if depth == 0 {
                return Ok(());
            }
            wire_type = (self.varint()? & 7) as u8;
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or_else(unexpected_end)?;
        self.rest = tail;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().enumerate() {
            if at == 10 {
                return Err(malformed("proto: integer overflow".to_owned()));
            }
            value |= u64::from(byte & 0x7f) << (7 * at as u32).min(63);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(unexpected_end())
    }
}

fn unexpected_end() -> DecodeError {
    malformed("unexpected EOF".to_owned())
}

fn malformed(message: String) -> DecodeError {
    DecodeError::Malformed(message)
}

/// Written from the last byte to the first.
pub(super) struct Writer {
    buffer: Vec<u8>,
    start: usize,
}

impl Writer {
    pub(super) fn new() -> Writer {
        let capacity = 1024;
        Writer { buffer: vec![0; capacity], start: capacity }
    }

    /// How much was written.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() > self.start {
            self.grow(bytes.len());
        }
        self.start -= bytes.len();
        self.buffer[self.start..self.start + bytes.len()].copy_from_slice(bytes);
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let written = self.len();
        let size = (self.buffer.len() * 2).max(written + more);
        let mut buffer = vec![0; size];
        buffer[size - written..].copy_from_slice(&self.buffer[self.start..]);
        self.start = size - written;
        self.buffer = buffer;
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        if value < 0x80 {
            return self.bytes(&[value as u8]);
        }
        let mut bytes = [0u8; 10];
        let mut length = 0;
        while value >= 0x80 {
            bytes[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value as u8;
        self.bytes(&bytes[..=length]);
    }

    pub(super) fn tag(&mut self, number: u32, wire_type: u8) {
        self.varint(u64::from(number) << 3 | u64::from(wire_type));
    }

    /// Closes what was written since `mark` (a former `len`) as a length-delimited field.
    pub(super) fn close(&mut self, number: u32, mark: usize) {
        self.varint((self.len() - mark) as u64);
        self.tag(number, BYTES);
    }

    pub(super) fn bytes_field(&mut self, number: u32, bytes: &[u8]) {
        self.bytes(bytes);
        self.varint(bytes.len() as u64);
        self.tag(number, BYTES);
    }

    pub(super) fn varint_field(&mut self, number: u32, value: u64) {
        self.varint(value);
        self.tag(number, VARINT);
    }

    pub(super) fn finish(self) -> bytes::Bytes {
        bytes::Bytes::from(self.buffer).slice(self.start..)
    }
}
