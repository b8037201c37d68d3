//! Scalars with a text form of their own: times, durations, quantities, patterns. Text in, canonical text or numbers
//! out.

pub mod duration;
pub mod names;
pub mod pattern;
pub mod quantity;
pub mod time;
