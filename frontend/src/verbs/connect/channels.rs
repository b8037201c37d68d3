//! The channels of `v5.channel.k8s.io` and what messages on them mean, and the SPDY streams that kubelets have for
//! them.

use bytes::Bytes;

use crate::api::schema::Object;

pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// By channel.
pub(super) const STREAM_TYPES: [&str; 5] = ["stdin", "stdout", "stderr", "error", "resize"];

/// Which channels a client asked for.
#[derive(Clone, Copy)]
pub(super) struct Channels(pub(super) [bool; 5]);

impl Channels {
    pub(super) fn of(options: &Object) -> Channels {
        let wants = |field| options.get_bool(&[field]).unwrap_or_default();
        let tty = wants("tty");
        // A terminal has one output, and a size.
        Channels([wants("stdin"), wants("stdout"), wants("stderr") && !tty, true, tty])
    }

    pub(super) fn has(self, channel: u8) -> bool {
        self.0.get(usize::from(channel)).copied().unwrap_or_default()
    }
}

/// The SPDY stream of a channel: a client's are odd; the error stream is opened first.
pub(super) fn stream_of(channel: u8) -> u32 {
    match channel {
        ERROR => 1,
        RESIZE => 9,
        other => 3 + 2 * u32::from(other),
    }
}

pub(super) fn channel_of(stream: u32) -> Option<u8> {
    (STDIN..=RESIZE).find(|channel| stream_of(*channel) == stream)
}

/// A message of a client, read piece by piece.
#[derive(Default)]
pub(super) struct Message {
    channel: Option<u8>,
    closes: Option<u8>,
}

/// What a piece of a message means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Data(u8, Bytes),
    Close(u8),
    Wrong,
}

impl Message {
    pub(super) fn take(&mut self, first: bool, last: bool, mut bytes: Bytes) -> Option<Part> {
        if first {
            *self = Message::default();
        }
        if self.channel.is_none() && !bytes.is_empty() {
            self.channel = Some(bytes.split_to(1)[0]);
        }
        let channel = self.channel?;
        if channel != CLOSE {
            return (!bytes.is_empty()).then_some(Part::Data(channel, bytes));
        }
        for byte in bytes {
            if self.closes.replace(byte).is_some() {
                return Some(Part::Wrong);
            }
        }
        match self.closes {
            _ if !last => None,
            Some(closed) if closed <= RESIZE => Some(Part::Close(closed)),
            _ => Some(Part::Wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_a_stream_of_its_own() {
        let mut streams: Vec<u32> = (STDIN..=RESIZE).map(stream_of).collect();
        assert!((STDIN..=RESIZE).all(|channel| channel_of(stream_of(channel)) == Some(channel)));
        assert_eq!(channel_of(2), None);
        streams.sort_unstable();
        assert_eq!(streams, [1, 3, 5, 7, 9]);
    }

    #[test]
    fn messages_are_understood_piece_by_piece() {
        type Cut = (bool, bool, &'static [u8]);
        let cases: [(&[Cut], Option<Part>); 8] = [
            (&[(true, true, b"\0x")], Some(Part::Data(0, Bytes::from_static(b"x")))),
            (&[(true, false, b""), (false, true, b"\x04y")], Some(Part::Data(4, Bytes::from_static(b"y")))),
            (&[(true, false, b"\0"), (false, true, b"z")], Some(Part::Data(0, Bytes::from_static(b"z")))),
            (&[(true, true, b"")], None),
            (&[(true, true, b"\xff\0")], Some(Part::Close(0))),
            (&[(true, false, b"\xff"), (false, true, b"\0")], Some(Part::Close(0))),
            (&[(true, true, b"\xff\0\0")], Some(Part::Wrong)),
            (&[(true, true, b"\xff\x05")], Some(Part::Wrong)),
        ];
        for (cuts, want) in cases {
            let mut message = Message::default();
            let mut got = None;
            for (first, last, bytes) in cuts {
                got = message.take(*first, *last, Bytes::from_static(bytes));
            }
            assert_eq!(got, want, "{cuts:?}");
        }
    }
}
