//! Scalars with a text form of their own: times, durations, quantities. Text in, canonical text or numbers out.

pub mod duration;
pub mod names;
pub mod quantity;
pub mod time;
