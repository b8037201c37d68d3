//! The client's side of SPDY/3.1, as far as streams of a kubelet need it: streams are opened, written, read and closed.
//!
//! In: bytes of a kubelet. Out: what happens on streams. Blocks of headers that a kubelet sends are not inflated,
//! since nothing in them matters here: however large they would become, they cost their own bytes and no more. Our own
//! are sent stored instead of compressed. There are no windows: the kubelets' library has none either, and streams are
//! held back by the connection. The protocol: <https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/>.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// A control frame that is larger ends the connection: those of a kubelet have a few words in them.
const CONTROL_BYTES_MAX: usize = 64 * 1024;
const VERSION: u16 = 0x8003;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const FLAG_FIN: u8 = 1;

/// What comes from a kubelet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The kubelet took a stream.
    Reply(u32),
    /// Bytes on a stream.
    Data(u32, Bytes),
    /// There are no more.
    Fin(u32),
    Reset(u32),
    Ping(u32),
    GoAway,
}

/// What goes to a kubelet.
pub(super) enum Sent<'a> {
    /// A new stream, with the headers that say what it is.
    Open(u32, &'a [(&'a str, &'a str)]),
    Data(u32, Bytes),
    Fin(u32),
    Ping(u32),
}

/// Frames of one connection.
#[derive(Default)]
pub(super) struct Frames {
    /// The stream, and how much of it is to come, of a frame of data that is being read.
    open: Option<(u32, usize, bool)>,
    /// What of the control frame being read is passed over.
    skipped: usize,
    /// Whether a block of headers was sent: only the first one begins as a zlib stream does.
    begun: bool,
}

fn bad(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned())
}

impl Decoder for Frames {
    type Item = Received;
    type Error = std::io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Received>, std::io::Error> {
        loop {
            let passed = self.skipped.min(source.len());
            source.advance(passed);
            self.skipped -= passed;
            if self.skipped > 0 {
                return Ok(None);
            }
            if let Some((stream, left, fin)) = self.open {
                return Ok(self.piece(stream, left, fin, source));
            }
            let Some(head) = source.get(..8) else { return Ok(None) };
            let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let (flags, length) =
                (head[4], usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]));
            if word >> 31 == 0 {
                source.advance(8);
                self.open = Some((word, length, flags & FLAG_FIN != 0));
                continue;
            }
            if (word >> 16) as u16 != VERSION {
                return Err(bad("a SPDY frame is of another version"));
            }
            if length > CONTROL_BYTES_MAX {
                return Err(bad("a SPDY control frame is too large"));
            }
            let kind = word as u16;
            if !matches!(kind, SYN_REPLY | RST_STREAM | PING | GOAWAY) {
                source.advance(8);
                self.skipped = length;
                continue;
            }
            let Some(number) = source.get(8..12) else {
                return if length < 4 { Err(bad("a SPDY control frame is too short")) } else { Ok(None) };
            };
            let number = u32::from_be_bytes([number[0], number[1], number[2], number[3]]) & 0x7fff_ffff;
            if length < 4 {
                return Err(bad("a SPDY control frame is too short"));
            }
            source.advance(12);
            self.skipped = length - 4;
            return Ok(Some(match kind {
                SYN_REPLY => Received::Reply(number),
                RST_STREAM => Received::Reset(number),
                PING => Received::Ping(number),
                _ => Received::GoAway,
            }));
        }
    }
}

impl Frames {
    fn piece(&mut self, stream: u32, left: usize, fin: bool, source: &mut BytesMut) -> Option<Received> {
        if left == 0 {
            self.open = None;
            return match fin {
                true => Some(Received::Fin(stream)),
                // An empty frame says nothing.
                false => Some(Received::Data(stream, Bytes::new())),
            };
        }
        if source.is_empty() {
            return None;
        }
        let length = left.min(source.len());
        let bytes = source.split_to(length).freeze();
        self.open = Some((stream, left - length, fin)).filter(|(_, left, fin)| *left > 0 || *fin);
        Some(Received::Data(stream, bytes))
    }
}

impl Encoder<Sent<'_>> for Frames {
    type Error = std::io::Error;

    fn encode(&mut self, sent: Sent<'_>, out: &mut BytesMut) -> Result<(), std::io::Error> {
        match sent {
            Sent::Open(stream, headers) => {
                let block = self.block(headers);
                control(out, SYN_STREAM, 10 + block.len());
                out.put_u32(stream);
                // No other stream belongs to it; neither priority nor slot.
                out.put_u32(0);
                out.put_u16(0);
                out.put(&block[..]);
            }
            Sent::Data(stream, bytes) => {
                for part in bytes.chunks(0xff_ffff) {
                    out.put_u32(stream);
                    out.put_u32(part.len() as u32);
                    out.put(part);
                }
            }
            Sent::Fin(stream) => {
                out.put_u32(stream);
                out.put_u32(u32::from(FLAG_FIN) << 24);
            }
            Sent::Ping(number) => {
                control(out, PING, 4);
                out.put_u32(number);
            }
        }
        Ok(())
    }
}

fn control(out: &mut BytesMut, kind: u16, length: usize) {
    out.put_u16(VERSION);
    out.put_u16(kind);
    out.put_u32(length as u32);
}

/// How a zlib stream begins whose reader knows SPDY's dictionary: method, flags, and the dictionary's checksum.
const ZLIB_HEAD: [u8; 6] = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];

/// An empty block, at which readers hand over what came before.
const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];

impl Frames {
    /// Headers as SPDY writes them, in a stored block of the connection's one deflate stream. They are a few words
    /// long: a stored block has room for 64 KiB.
    fn block(&mut self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut plain = Vec::new();
        plain.put_u32(headers.len() as u32);
        for word in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.put_u32(word.len() as u32);
            plain.put(word.as_bytes());
        }
        let mut block = Vec::with_capacity(plain.len() + 16);
        if !std::mem::replace(&mut self.begun, true) {
            block.put(&ZLIB_HEAD[..]);
        }
        block.put_u8(0);
        block.put_u16_le(plain.len() as u16);
        block.put_u16_le(!(plain.len() as u16));
        block.put(&plain[..]);
        block.put(&FLUSH[..]);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::{super::decoding::received, *};

    fn encoded(frames: &mut Frames, sent: Sent<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        frames.encode(sent, &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn only_the_first_block_of_headers_begins_the_stream() {
        let mut frames = Frames::default();
        let first = encoded(&mut frames, Sent::Open(1, &[("streamtype", "error")]));
        assert_eq!(first[..8], [0x80, 3, 0, 1, 0, 0, 0, 53]);
        assert_eq!(first[8..18], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(first[18..24], ZLIB_HEAD);
        assert_eq!(first[24..29], [0, 27, 0, 228, 255]);
        assert_eq!(first[29..56], *b"\0\0\0\x01\0\0\0\x0astreamtype\0\0\0\x05error");
        assert_eq!(first[56..], FLUSH);
        let second = encoded(&mut frames, Sent::Open(3, &[("streamtype", "stdin")]));
        assert_eq!(second[18..23], [0, 27, 0, 228, 255]);
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let mut frames = Frames::default();
        let mut bytes = encoded(&mut frames, Sent::Data(5, Bytes::from_static(b"hello")));
        bytes.extend(encoded(&mut frames, Sent::Ping(2)));
        // A reply with headers that nobody reads, settings that nobody asked for, and data that ends.
        bytes.extend([0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 5, 1, 2, 3, 4]);
        bytes.extend([0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0]);
        bytes.extend([0, 0, 0, 5, 1, 0, 0, 1, b'!']);
        bytes.extend(encoded(&mut frames, Sent::Fin(3)));
        bytes.extend([0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 1]);
        for size in [1, 3, usize::MAX] {
            let all = received::<Frames>(&bytes, size).unwrap();
            let data: Vec<u8> = all
                .iter()
                .flat_map(|one| match one {
                    Received::Data(5, bytes) => bytes.to_vec(),
                    _ => Vec::new(),
                })
                .collect();
            assert_eq!(data, b"hello!");
            let rest: Vec<_> = all.into_iter().filter(|one| !matches!(one, Received::Data(..))).collect();
            let want = [Received::Ping(2), Received::Reply(5), Received::Fin(5), Received::Fin(3), Received::Reset(7)];
            assert_eq!(rest, want);
        }
    }

    #[test]
    fn what_is_too_large_or_of_another_version_ends_the_connection() {
        for (bytes, why) in [
            ([0x80, 3, 0, 2, 0, 1, 0, 1, 0, 0, 0, 1], "a SPDY control frame is too large"),
            ([0x80, 2, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1], "a SPDY frame is of another version"),
            ([0x80, 3, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1], "a SPDY control frame is too short"),
        ] {
            assert_eq!(received::<Frames>(&bytes, usize::MAX).unwrap_err(), why);
        }
    }
}
