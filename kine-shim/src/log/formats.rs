//! The versions of what is stored, apart from the tables' own. A format number rises when a program that does not know
//! it would misread (reader) or damage (writer) the store; neighbouring releases know each other's.

use super::LogFault;

/// The newest formats this program knows.
const READER_FORMAT_KNOWN: i32 = 1;
const WRITER_FORMAT_KNOWN: i32 = 1;

/// Refuses a store that asks for more than this program knows.
pub(super) fn check(reader: i32, writer: i32) -> Result<(), LogFault> {
    let newer = |what: &str, needed: i32, known: i32| {
        let versions = format!("it needs {what} format {needed}, this program knows up to {known}");
        Err(LogFault::Unusable(format!("the store was written by a newer version: {versions}")))
    };
    if reader > READER_FORMAT_KNOWN {
        return newer("reader", reader, READER_FORMAT_KNOWN);
    }
    if writer > WRITER_FORMAT_KNOWN {
        return newer("writer", writer, WRITER_FORMAT_KNOWN);
    }
    Ok(())
}
