//! Both sides of SPDY/3.1, for the kubelet stand-in and for a client: frames in, frames out, headers inflated and
//! deflated with the protocol's dictionary.

use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio_util::codec::{Decoder, Encoder};

/// The words with which the dictionary begins, each behind its length.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
     accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
     content-length content-location content-md5 content-range content-type date etag expect expires from host \
     if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
     proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
     user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
     keep-alive origin";
/// What follows them.
const REST: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
     203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
     404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable\
     Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
     chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,\
     publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut out = Vec::new();
    for word in WORDS.split(' ') {
        out.put_u32(word.len() as u32);
        out.extend(word.replace('_', " ").bytes());
    }
    out.extend(REST.bytes());
    out
});

/// Method, flags, and the checksum of the dictionary.
const ZLIB_HEAD: [u8; 6] = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];
const VERSION: u16 = 0x8003;

pub type Headers = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Open(u32, Headers),
    Reply(u32),
    Data(u32, Bytes, Fin),
    Reset(u32),
    Ping(u32),
    GoAway,
}

/// Whether a frame is the last of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fin {
    Yes,
    No,
}

/// One connection.
pub struct Frames {
    inflate: Decompress,
    deflate: Compress,
    inflated: bool,
    deflated: bool,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::fast(), false),
            inflated: false,
            deflated: false,
        }
    }
}

fn bad(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned())
}

impl Frames {
    /// A preset dictionary is history: a stored block puts it there, for a raw inflater of any make.
    fn inflate(&mut self, mut block: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(64 * 1024);
        if !std::mem::replace(&mut self.inflated, true) {
            block = block.strip_prefix(&ZLIB_HEAD[2..]).or(block.get(6..)).ok_or_else(|| bad("no zlib head"))?;
            let length = DICTIONARY.len() as u16;
            let mut history = vec![0];
            history.put_u16_le(length);
            history.put_u16_le(!length);
            history.extend_from_slice(&DICTIONARY);
            self.inflate.decompress_vec(&history, &mut out, FlushDecompress::Sync)?;
            out.clear();
        }
        self.inflate.decompress_vec(block, &mut out, FlushDecompress::Sync)?;
        Ok(out)
    }

    fn deflate(&mut self, plain: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(plain.len() + 256);
        if !std::mem::replace(&mut self.deflated, true) {
            out.extend(ZLIB_HEAD);
        }
        self.deflate.compress_vec(plain, &mut out, FlushCompress::Sync)?;
        Ok(out)
    }

    fn headers(&mut self, block: &[u8]) -> std::io::Result<Headers> {
        let plain = self.inflate(block)?;
        let mut rest = &plain[..];
        let number = |rest: &mut &[u8]| match rest.len() {
            0..4 => Err(bad("headers are cut")),
            _ => Ok(rest.get_u32() as usize),
        };
        let count = number(&mut rest)?;
        let word = |rest: &mut &[u8]| {
            let length = number(rest)?;
            let word = rest.get(..length).ok_or_else(|| bad("headers are cut"))?;
            let word = String::from_utf8_lossy(word).into_owned();
            rest.advance(length);
            Ok::<_, std::io::Error>(word)
        };
        (0..count).map(|_| Ok((word(&mut rest)?, word(&mut rest)?))).collect()
    }
}

impl Decoder for Frames {
    type Item = Frame;
    type Error = std::io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> std::io::Result<Option<Frame>> {
        loop {
            let Some(head) = source.get(..8) else { return Ok(None) };
            let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let flags = head[4];
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            if source.len() < 8 + length {
                return Ok(None);
            }
            source.advance(8);
            let mut body = source.split_to(length).freeze();
            if word >> 31 == 0 {
                let fin = if flags & 1 == 1 { Fin::Yes } else { Fin::No };
                return Ok(Some(Frame::Data(word, body, fin)));
            }
            let kind = word as u16;
            if !matches!(kind, 1 | 2 | 3 | 6 | 7) {
                continue;
            }
            if body.len() < 4 {
                return Err(bad("a control frame is cut"));
            }
            let number = body.get_u32() & 0x7fff_ffff;
            return Ok(Some(match kind {
                1 => Frame::Open(number, self.headers(body.get(6..).unwrap_or_default())?),
                2 => Frame::Reply(number),
                3 => Frame::Reset(number),
                6 => Frame::Ping(number),
                _ => Frame::GoAway,
            }));
        }
    }
}

impl Encoder<Frame> for Frames {
    type Error = std::io::Error;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> std::io::Result<()> {
        let mut control = |kind: u16, body: &[u8]| {
            out.put_u16(VERSION);
            out.put_u16(kind);
            out.put_u32(body.len() as u32);
            out.put(body);
        };
        match frame {
            Frame::Open(stream, headers) => {
                let mut plain = Vec::new();
                plain.put_u32(headers.len() as u32);
                for word in headers.iter().flat_map(|(name, value)| [name, value]) {
                    plain.put_u32(word.len() as u32);
                    plain.extend(word.bytes());
                }
                let mut body = Vec::new();
                body.put_u32(stream);
                body.put_u32(0);
                body.put_u16(0);
                body.extend(self.deflate(&plain)?);
                control(1, &body);
            }
            Frame::Reply(stream) => {
                let mut body = stream.to_be_bytes().to_vec();
                body.extend(self.deflate(&[0; 4])?);
                control(2, &body);
            }
            Frame::Reset(stream) => control(3, &[stream.to_be_bytes(), 5_u32.to_be_bytes()].concat()),
            Frame::Ping(number) => control(6, &number.to_be_bytes()),
            Frame::GoAway => control(7, &[0; 8]),
            Frame::Data(stream, bytes, fin) => {
                out.put_u32(stream);
                out.put_u32(bytes.len() as u32 | u32::from(fin == Fin::Yes) << 24);
                out.put(bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!((b << 16 | a).to_be_bytes(), ZLIB_HEAD[2..]);
    }

    #[test]
    fn what_is_written_is_read() {
        let (mut ours, mut theirs, mut wire) = (Frames::default(), Frames::default(), BytesMut::new());
        let headers =
            |kind: &str| vec![("streamtype".to_owned(), kind.to_owned()), ("port".to_owned(), "80".to_owned())];
        let frames = [
            Frame::Open(1, headers("error")),
            Frame::Open(3, headers("data")),
            Frame::Reply(1),
            Frame::Data(3, Bytes::from_static(b"x"), Fin::Yes),
            Frame::Reset(3),
            Frame::Ping(2),
            Frame::GoAway,
        ];
        for frame in frames {
            ours.encode(frame.clone(), &mut wire).unwrap();
            assert_eq!(theirs.decode(&mut wire).unwrap(), Some(frame));
        }
    }
}
