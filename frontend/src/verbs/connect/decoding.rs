//! How decoders of frames are tested: with bytes that come in pieces.

use bytes::BytesMut;
use tokio_util::codec::Decoder;

/// What a decoder makes of bytes that come so many at once.
pub(super) fn received<D>(bytes: &[u8], at_once: usize) -> Result<Vec<D::Item>, String>
where
    D: Decoder + Default,
    D::Error: std::fmt::Display,
{
    let (mut frames, mut source, mut all) = (D::default(), BytesMut::new(), Vec::new());
    for chunk in bytes.chunks(at_once) {
        source.extend_from_slice(chunk);
        while let Some(one) = frames.decode(&mut source).map_err(|error| error.to_string())? {
            all.push(one);
        }
    }
    Ok(all)
}
