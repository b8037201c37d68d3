//! Names and texts as the JSON of managedFields writes them.

/// A name, as the library that writes managedFields prints it: without HTML escapes.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text.as_bytes(), Escapes::Plain);
    out.push(b'"');
}

/// A value that is a text: with HTML escapes.
pub(super) fn write_value_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text.as_bytes(), Escapes::Html);
    out.push(b'"');
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Escapes {
    Plain,
    Html,
}

pub(super) fn escape(out: &mut Vec<u8>, text: &[u8], escapes: Escapes) {
    let mut done = 0;
    let html = escapes == Escapes::Html;
    for (at, byte) in text.iter().enumerate() {
        let (escape, length): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            b'\t' => (b"\\t", 1),
            b'<' if html => (b"\\u003c", 1),
            b'>' if html => (b"\\u003e", 1),
            b'&' if html => (b"\\u0026", 1),
            0xe2 if html && text[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            0xe2 if html && text[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            0..=0x1f => {
                out.extend_from_slice(&text[done..at]);
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                done = at + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&text[done..at]);
        out.extend_from_slice(escape);
        done = at + length;
    }
    out.extend_from_slice(&text[done..]);
}
