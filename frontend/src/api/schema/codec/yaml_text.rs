//! Printing YAML in the style of Go's encoder: block style, two spaces, sequences not indented, keys in natural order.

use serde_json::Value;

pub(super) fn write_document(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) if !map.is_empty() => write_map(map, 0, false, out),
        Value::Array(items) if !items.is_empty() => write_list(items, 0, out),
        other => {
            write_scalar(other, 0, out);
            out.push(b'\n');
        }
    }
}

/// `inline`: the first key stands on the line that is already begun.
fn write_map(map: &serde_json::Map<String, Value>, depth: usize, inline: bool, out: &mut Vec<u8>) {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by(|a, b| natural(a, b));
    for (at, key) in keys.into_iter().enumerate() {
        if at > 0 || !inline {
            indent(depth, out);
        }
        write_text(key, depth, true, out);
        out.push(b':');
        match &map[key] {
            Value::Object(inner) if !inner.is_empty() => {
                out.push(b'\n');
                write_map(inner, depth + 1, false, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push(b'\n');
                write_list(items, depth, out);
            }
            scalar => {
                out.push(b' ');
                write_scalar(scalar, depth, out);
                out.push(b'\n');
            }
        }
    }
}

fn write_list(items: &[Value], depth: usize, out: &mut Vec<u8>) {
    for (at, item) in items.iter().enumerate() {
        // The first dash of a nested list stands on the line that is already begun.
        if at > 0 || !out.ends_with(b"- ") {
            indent(depth, out);
        }
        out.extend_from_slice(b"- ");
        match item {
            Value::Object(map) if !map.is_empty() => write_map(map, depth + 1, true, out),
            Value::Array(inner) if !inner.is_empty() => write_list(inner, depth + 1, out),
            scalar => {
                write_scalar(scalar, depth, out);
                out.push(b'\n');
            }
        }
    }
}

fn indent(depth: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * depth, b' ');
}

fn write_scalar(value: &Value, depth: usize, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_text(text, depth, false, out),
        Value::Array(_) => out.extend_from_slice(b"[]"),
        Value::Object(_) => out.extend_from_slice(b"{}"),
    }
}

fn write_text(text: &str, depth: usize, key: bool, out: &mut Vec<u8>) {
    let special = text.chars().any(|letter| !is_printable(letter) && letter != '\n');
    let lead = text.starts_with([' ', '\n', '\t']);
    if text.contains('\n') && !special && !key && !lead && !text.lines().any(|line| line.ends_with([' ', '\t'])) {
        return write_block(text, depth, out);
    }
    if special || text.contains('\n') {
        return write_double(text, out);
    }
    if resolves(text) {
        // What would be read as another type.
        return write_double(text, out);
    }
    if is_plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.push(b'\'');
        out.extend_from_slice(text.replace('\'', "''").as_bytes());
        out.push(b'\'');
    }
}

fn is_printable(letter: char) -> bool {
    matches!(letter, ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{feff}')
}

/// A literal block: each line as it is.
fn write_block(text: &str, depth: usize, out: &mut Vec<u8>) {
    let body = text.trim_end_matches('\n');
    out.push(b'|');
    match text.len() - body.len() {
        0 => out.push(b'-'),
        1 => {}
        _ => out.push(b'+'),
    }
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        out.push(b'\n');
        if !line.is_empty() {
            indent(depth + 1, out);
            out.extend_from_slice(line.as_bytes());
        }
    }
}

fn write_double(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for letter in text.chars() {
        let escape = match letter {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\u{1b}' => "\\e",
            '\u{85}' => "\\N",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            letter if is_printable(letter) => {
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            letter => {
                let code = u32::from(letter);
                let text = if code <= 0xff { format!("\\x{code:02X}") } else { format!("\\u{code:04X}") };
                out.extend_from_slice(text.as_bytes());
                continue;
            }
        };
        out.extend_from_slice(escape.as_bytes());
    }
    out.push(b'"');
}

/// Whether a plain scalar of this text would be something else than a string.
fn resolves(text: &str) -> bool {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "true", "false", "on", "off", "null", ".nan", ".inf", "-.inf"];
    let lower = text.to_ascii_lowercase();
    if matches!(text, "" | "~" | "<<" | "+.inf") || WORDS.contains(&&*lower) {
        return true;
    }
    let Some(first) = text.bytes().next() else { return true };
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return false;
    }
    is_number(text) || is_date(text) || is_sexagesimal(text)
}

fn is_number(text: &str) -> bool {
    let digits = text.replace('_', "");
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
    let radix = |prefix: &str, radix: u32| {
        unsigned.strip_prefix(prefix).is_some_and(|rest| u64::from_str_radix(rest, radix).is_ok())
    };
    let float = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok();
    float || radix("0x", 16) || radix("0b", 2) || radix("0o", 8)
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits == 4
        && bytes.len() >= 8
        && bytes[4] == b'-'
        && bytes[5..].iter().filter(|byte| **byte == b'-').count() >= 1
        && bytes[5..].iter().all(|byte| byte.is_ascii_digit() || b"-TtZz:.+ ".contains(byte))
}

fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.contains(':')
        && unsigned.split([':', '.']).all(|part| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'))
}

fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
    if b"#,[]{}&*!|>'\"%@`".contains(&first) || first == b' ' || last == b' ' || last == b':' {
        return false;
    }
    if matches!(first, b'-' | b'?' | b':') && (bytes.len() == 1 || bytes[1] == b' ') {
        return false;
    }
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    !text.contains(": ") && !text.contains(" #")
}

/// Letters after everything else, runs of digits by their number.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = left.iter().zip(&right).position(|(one, other)| one != other) else {
        return left.len().cmp(&right.len());
    };
    let (one, other) = (left[at], right[at]);
    match (one.is_alphabetic(), other.is_alphabetic()) {
        (true, true) => return one.cmp(&other),
        (true, false) => return std::cmp::Ordering::Greater,
        (false, true) => return std::cmp::Ordering::Less,
        (false, false) => {}
    }
    let run = |letters: &[char]| -> String { letters[at..].iter().take_while(|letter| letter.is_numeric()).collect() };
    let (one_run, other_run) = (run(&left), run(&right));
    let number = |run: &str| run.parse::<u64>().unwrap_or(0);
    let numbers = number(&one_run).cmp(&number(&other_run));
    numbers.then(one_run.len().cmp(&other_run.len())).then(one.cmp(&other))
}
