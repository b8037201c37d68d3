//! Functions of texts. Places in a text are counted in code points.

use super::{
    super::value::{Evaluated, Val, fail, no_such_overload},
    row::{Imp, Row, row},
    text_format,
};

/// Of the language itself.
pub(super) const STANDARD: &[Row] = &[
    row("contains_string", "string::contains(string) bool", |args| test(args, |text, part| text.contains(part))),
    row("ends_with_string", "string::endsWith(string) bool", |args| test(args, |text, part| text.ends_with(part))),
    row("starts_with_string", "string::startsWith(string) bool", |args| {
        test(args, |text, part| text.starts_with(part))
    }),
    Row("matches", "matches(string, string) bool", Imp::Special),
    Row("matches_string", "string::matches(string) bool", Imp::Special),
];

pub(super) const ROWS: &[Row] = &[
    row("string_char_at_int", "string::charAt(int) string", char_at),
    row("string_index_of_string", "string::indexOf(string) int", index_of),
    row("string_index_of_string_int", "string::indexOf(string, int) int", index_of),
    row("string_last_index_of_string", "string::lastIndexOf(string) int", last_index_of),
    row("string_last_index_of_string_int", "string::lastIndexOf(string, int) int", last_index_of),
    row("string_lower_ascii", "string::lowerAscii() string", |args| change(args, |text| text.to_ascii_lowercase())),
    row("string_replace_string_string", "string::replace(string, string) string", replace),
    row("string_replace_string_string_int", "string::replace(string, string, int) string", replace),
    row("string_split_string", "string::split(string) list(string)", split),
    row("string_split_string_int", "string::split(string, int) list(string)", split),
    row("string_substring_int", "string::substring(int) string", substring),
    row("string_substring_int_int", "string::substring(int, int) string", substring),
    row("string_trim", "string::trim() string", |args| change(args, |text| text.trim().to_owned())),
    row("string_upper_ascii", "string::upperAscii() string", |args| change(args, |text| text.to_ascii_uppercase())),
    row("string_format", "string::format(list(dyn)) string", text_format::format),
    row("strings_quote", "strings.quote(string) string", |args| change(args, quote)),
    row("list_join", "list(string)::join() string", join),
    row("list_join_string", "list(string)::join(string) string", join),
];

fn test<'a>(args: &[Val<'a>], holds: fn(&str, &str) -> bool) -> Evaluated<'a> {
    match args {
        [Val::Str(text), Val::Str(part)] => Ok(Val::Bool(holds(text, part))),
        _ => no_such_overload(),
    }
}

fn change<'a>(args: &[Val<'a>], change: fn(&str) -> String) -> Evaluated<'a> {
    match args {
        [Val::Str(text)] => Ok(Val::from(change(text))),
        _ => no_such_overload(),
    }
}

fn out_of_range<'a>(at: i64) -> Evaluated<'a> {
    fail(format!("index out of range: {at}"))
}

fn char_at<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text), Val::Int(at)] = args else { return no_such_overload() };
    let letters: Vec<char> = text.chars().collect();
    match usize::try_from(*at) {
        Ok(place) if place < letters.len() => Ok(Val::from(letters[place].to_string())),
        Ok(place) if place == letters.len() => Ok(Val::from("")),
        _ => out_of_range(*at),
    }
}

fn index_of<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let (text, part, from) = match args {
        [Val::Str(text), Val::Str(part)] => (text, part, 0),
        [Val::Str(text), Val::Str(part), Val::Int(from)] => (text, part, *from),
        _ => return no_such_overload(),
    };
    if part.is_empty() {
        return Ok(Val::Int(from));
    }
    let Ok(start) = usize::try_from(from) else { return out_of_range(from) };
    let (letters, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    let found = letters.windows(part.len()).enumerate().skip(start).find(|(_, window)| *window == part);
    Ok(Val::Int(found.map_or(-1, |(at, _)| at as i64)))
}

fn last_index_of<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let (text, part, from) = match args {
        [Val::Str(text), Val::Str(part)] => (text, part, None),
        [Val::Str(text), Val::Str(part), Val::Int(from)] => (text, part, Some(*from)),
        _ => return no_such_overload(),
    };
    let (letters, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    if part.is_empty() {
        return Ok(Val::Int(from.unwrap_or(letters.len() as i64)));
    }
    if from.is_none() && text.len() < part.iter().map(|letter| letter.len_utf8()).sum() {
        return Ok(Val::Int(-1));
    }
    let from = from.unwrap_or(letters.len() as i64 - 1);
    let Ok(last) = usize::try_from(from) else { return out_of_range(from) };
    if last >= letters.len() {
        return Ok(Val::Int(-1));
    }
    let mut windows = letters.windows(part.len()).enumerate().rev();
    let found = windows.find(|(at, window)| *at <= last && *window == part);
    Ok(Val::Int(found.map_or(-1, |(at, _)| at as i64)))
}

fn replace<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let (text, old, new, limit) = match args {
        [Val::Str(text), Val::Str(old), Val::Str(new)] => (text, old, new, -1),
        [Val::Str(text), Val::Str(old), Val::Str(new), Val::Int(limit)] => (text, old, new, *limit),
        _ => return no_such_overload(),
    };
    let replaced = match usize::try_from(limit) {
        Ok(limit) => text.replacen(&**old, new, limit),
        Err(_) => text.replace(&**old, new),
    };
    Ok(Val::from(replaced))
}

fn split<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let (text, separator, limit) = match args {
        [Val::Str(text), Val::Str(separator)] => (text, separator, -1),
        [Val::Str(text), Val::Str(separator), Val::Int(limit)] => (text, separator, *limit),
        _ => return no_such_overload(),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<String> = if limit == 0 {
        Vec::new()
    } else if separator.is_empty() {
        letters(text, limit)
    } else {
        text.splitn(limit, &**separator).map(str::to_owned).collect()
    };
    Ok(Val::from(parts.into_iter().map(Val::from).collect::<Vec<_>>()))
}

/// At most so many parts of one code point each; the last has the rest.
fn letters(text: &str, limit: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest.to_owned());
            return parts;
        }
        parts.push(letter.to_string());
        rest = &rest[letter.len_utf8()..];
    }
    parts
}

fn substring<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let (text, start, end) = match args {
        [Val::Str(text), Val::Int(start)] => (text, *start, None),
        [Val::Str(text), Val::Int(start), Val::Int(end)] => (text, *start, Some(*end)),
        _ => return no_such_overload(),
    };
    let length = text.chars().count();
    if let Some(end) = end
        && start > end
    {
        return fail(format!("invalid substring range. start: {start}, end: {end}"));
    }
    let place = |at: i64| usize::try_from(at).ok().filter(|place| *place <= length);
    let Some(from) = place(start) else { return out_of_range(start) };
    let to = match end {
        None => length,
        Some(end) => match place(end) {
            Some(to) => to,
            None => return out_of_range(end),
        },
    };
    Ok(Val::from(text.chars().skip(from).take(to - from).collect::<String>()))
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn join<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let (list, separator) = match args {
        [Val::List(list)] => (list, ""),
        [Val::List(list), Val::Str(separator)] => (list, &**separator),
        _ => return no_such_overload(),
    };
    let mut out = String::new();
    for (at, item) in list.iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        match item? {
            Val::Str(text) => out.push_str(&text),
            other => return fail(format!("join: invalid input: {}", other.shown())),
        }
    }
    Ok(Val::from(out))
}
