//! Instants as expressions have them.

use crate::api::schema::scalar;

/// An instant, and the offset in seconds with which it is printed.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    pub seconds: i64,
    pub nanos: u32,
    pub offset: i32,
}

impl Timestamp {
    pub(super) const MIN: i64 = -62_135_596_800;
    pub(super) const MAX: i64 = 253_402_300_799;

    pub(super) fn utc(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp { seconds, nanos, offset: 0 }
    }

    pub(super) fn instant(self) -> (i64, u32) {
        (self.seconds, self.nanos)
    }

    /// RFC 3339, with the offset that it was written with.
    pub(super) fn parse(text: &str) -> Option<Timestamp> {
        let at = scalar::time::parse_time(text).ok()?;
        let offset = match text.get(text.len().checked_sub(6)?..) {
            Some(offset) if offset.starts_with(['+', '-']) => {
                let number = |range: std::ops::Range<usize>| offset.get(range)?.parse::<i32>().ok();
                let size = number(1..3)? * 3600 + number(4..6)? * 60;
                if offset.starts_with('-') { -size } else { size }
            }
            _ => 0,
        };
        Some(Timestamp { seconds: at.seconds, nanos: at.nanos, offset })
    }
}
