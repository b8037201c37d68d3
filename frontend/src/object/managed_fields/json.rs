//! The JSON of managedFields: sets of paths as objects within objects.

use std::borrow::Cow;

use super::{
    element::Element,
    json_text::{Escapes, escape},
    set::{Node, Set},
};

/// Sets nested deeper are not read: no object is.
const DEPTH_MAX: usize = 500;
/// A set's mark for "the place itself, not only what is below it".
const SELF: &str = ".";

impl<'a> Set<'a> {
    /// Reads the JSON of managedFields.
    pub fn from_json(json: &'a [u8]) -> Result<Set<'a>, String> {
        read_set(json)
    }

    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_set(self, &mut out);
        out
    }
}

fn write_set(set: &Set<'_>, out: &mut Vec<u8>) {
    let mut step = Vec::new();
    out.push(b'{');
    write_nodes(set, false, &mut step, out);
    out.push(b'}');
}

fn write_nodes(set: &Set<'_>, with_self: bool, step: &mut Vec<u8>, out: &mut Vec<u8>) {
    if with_self {
        out.extend_from_slice(b"\".\":{}");
    }
    let mut first = !with_self;
    for node in set.nodes() {
        if !first {
            out.push(b',');
        }
        first = false;
        step.clear();
        node.element.write(step);
        out.push(b'"');
        escape(out, step, Escapes::Plain);
        out.extend_from_slice(b"\":{");
        write_nodes(&node.children, node.member && !node.children.is_empty(), step, out);
        out.push(b'}');
    }
}

fn read_set(json: &[u8]) -> Result<Set<'_>, String> {
    let text = std::str::from_utf8(json).map_err(|error| error.to_string())?;
    let mut cursor = Cursor { text, at: 0 };
    let (set, _) = cursor.set(0)?;
    cursor.skip_space();
    if cursor.at < text.len() {
        return Err(format!("invalid character after the set at {}", cursor.at));
    }
    Ok(set)
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        match self.byte() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            found => Err(format!("expect {:?} at {}, but found {found:?}", char::from(wanted), self.at)),
        }
    }

    /// A set, and whether the place that it stands at is itself meant.
    fn set(&mut self, depth: usize) -> Result<(Set<'a>, bool), String> {
        if depth > DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        let mut nodes = Vec::new();
        let mut is_self = false;
        if self.byte() == Some(b'n') {
            self.skip_value()?;
            return Ok((Set::default(), true));
        }
        self.expect(b'{')?;
        if self.byte() == Some(b'}') {
            self.at += 1;
            return Ok((Set::default(), true));
        }
        loop {
            if self.byte() != Some(b'"') {
                return Err(format!("expect a step at {}", self.at));
            }
            let step = self.string()?;
            self.expect(b':')?;
            if step == SELF {
                is_self = true;
                self.skip_value()?;
            } else if let Some(element) = Element::parse(step)? {
                let (children, member) = self.set(depth + 1)?;
                nodes.push(Node { element, member, children });
            } else {
                self.skip_value()?;
            }
            match self.byte() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b'}')?;
                    break;
                }
            }
        }
        let set = Set::of(nodes);
        let member = is_self || set.is_empty();
        Ok((set, member))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        let bytes = self.text.as_bytes();
        let (start, mut escaped) = (self.at + 1, false);
        let mut end = start;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
                None => return Err("a string does not end".to_owned()),
            }
        }
        self.at = end + 1;
        if !escaped {
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        // The common escapes are those of quotes, which keys are full of.
        serde_json::from_str(&self.text[start - 1..=end]).map(Cow::Owned).map_err(|error| error.to_string())
    }

    /// Steps over a value of any kind.
    fn skip_value(&mut self) -> Result<(), String> {
        let mut depth = 0usize;
        loop {
            match self.byte() {
                None => return Err("a value is missing".to_owned()),
                Some(b'"') => drop(self.string()?),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') => {
                    depth = depth.checked_sub(1).ok_or("a value is missing")?;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    while let Some(b'a'..=b'z' | b'0'..=b'9' | b'-' | b'+' | b'.' | b'E') =
                        self.text.as_bytes().get(self.at)
                    {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
