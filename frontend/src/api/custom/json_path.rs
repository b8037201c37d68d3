//! JSONPath as kubectl and printer columns write it, without ranges: `.spec.list[?(@.a=="b")].c`.
//!
//! In: a path without its braces, and an object. Out: what it selects. An error while looking is no answer, as in the
//! original, where a column then stays empty.

use std::borrow::Cow;

use crate::api::schema::{Value, codec, fit};

/// A parsed path.
#[derive(Clone, Debug)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    /// Start, end and step; the end may follow from the start alone.
    Slice {
        from: Option<i64>,
        to: Option<i64>,
        derived: bool,
        by: Option<i64>,
    },
    Union(Vec<JsonPath>),
    Filter {
        left: JsonPath,
        operator: String,
        right: JsonPath,
    },
    Constant(Value),
    /// A word that is no field: a path may hold it, and finds nothing then.
    Identifier,
}

type Found<'a> = Vec<Cow<'a, Value>>;

/// Recursion may find no more than this.
const FOUND_MAX: usize = 100_000;

impl JsonPath {
    /// Reads a path; the error is the original's.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        let chars: Vec<char> = text.chars().collect();
        let mut parser = Parser { chars: &chars, at: 0 };
        parser.steps().map(JsonPath)
    }

    /// What the path selects in the value; None when it cannot be looked for.
    pub fn find<'a>(&self, value: &'a Value) -> Option<Found<'a>> {
        self.walk(vec![Cow::Borrowed(value)])
    }

    fn walk<'a>(&self, mut found: Found<'a>) -> Option<Found<'a>> {
        for step in &self.0 {
            found = step.apply(found)?;
        }
        Some(found)
    }
}

struct Parser<'c> {
    chars: &'c [char],
    at: usize,
}

fn is_terminator(letter: Option<char>) -> bool {
    letter.is_none_or(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'))
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        self.chars[self.at..].starts_with(&letters)
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.chars[from..to.min(self.chars.len())].iter().collect()
    }

    fn steps(&mut self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        while let Some(letter) = self.peek() {
            match letter {
                '[' if self.starts_with("[?(") => steps.push(self.filter()?),
                '.' if self.starts_with("..") => {
                    if matches!(steps.last(), Some(Step::Recursive)) {
                        return Err("invalid multiple recursive descent".to_owned());
                    }
                    self.at += 2;
                    steps.push(Step::Recursive);
                    if self.peek().is_some_and(|c| c == '_' || c.is_alphanumeric()) {
                        steps.push(self.field());
                    }
                }
                ' ' | '@' | '$' => self.at += 1,
                '[' => steps.extend(self.array()?),
                '"' | '\'' => steps.push(self.quoted(letter)?),
                '.' => {
                    self.at += 1;
                    steps.push(self.field());
                }
                '+' | '-' | '0'..='9' => steps.push(self.number()?),
                c if c == '_' || c.is_alphabetic() => steps.push(self.identifier()),
                '}' => return Err("unclosed action".to_owned()),
                '\r' | '\n' => return Err("unclosed action".to_owned()),
                other => return Err(format!("unrecognized character in action: U+{:04X} '{other}'", other as u32)),
            }
        }
        Ok(steps)
    }

    fn field(&mut self) -> Step {
        let start = self.at;
        while !is_terminator(self.peek()) {
            self.at += if self.peek() == Some('\\') { 2 } else { 1 };
        }
        match self.text(start, self.at).as_str() {
            "*" => Step::Wildcard,
            name => Step::Field(name.replace('\\', "")),
        }
    }

    fn identifier(&mut self) -> Step {
        let start = self.at;
        while !is_terminator(self.peek()) {
            self.at += 1;
        }
        match self.text(start, self.at).as_str() {
            "true" => Step::Constant(Value::Bool(true)),
            "false" => Step::Constant(Value::Bool(false)),
            _ => Step::Identifier,
        }
    }

    fn number(&mut self) -> Result<Step, String> {
        let start = self.at;
        self.at += 1;
        while self.peek().is_some_and(|c| c == '.' || c.is_ascii_digit()) {
            self.at += 1;
        }
        let text = self.text(start, self.at);
        let whole = text.parse::<i64>().map(Value::Int);
        let value = whole.or_else(|_| text.parse::<f64>().map(Value::Float));
        value.map(Step::Constant).map_err(|_| format!("cannot parse number {text}"))
    }

    fn quoted(&mut self, quote: char) -> Result<Step, String> {
        let start = self.at + 1;
        self.at = start;
        loop {
            match self.peek() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote && self.chars[self.at - 1] != '\\' => break,
                Some(_) => self.at += 1,
            }
        }
        let text = self.text(start, self.at).replace(&format!("\\{quote}"), &quote.to_string());
        self.at += 1;
        Ok(Step::Constant(Value::from(text)))
    }

    fn array(&mut self) -> Result<Vec<Step>, String> {
        let start = self.at + 1;
        while self.peek() != Some(']') {
            if matches!(self.peek(), None | Some('\n')) {
                return Err("unterminated array".to_owned());
            }
            self.at += 1;
        }
        let text = self.text(start, self.at);
        self.at += 1;
        if text.contains(',') {
            let parts = text.split(',').map(|part| JsonPath::parse(&format!("[{}]", part.trim_matches(' '))));
            return Ok(vec![Step::Union(parts.collect::<Result<_, _>>()?)]);
        }
        let key = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).filter(|key| !key.contains('\''));
        if let Some(key) = key {
            return JsonPath::parse(&format!(".{key}")).map(|path| path.0);
        }
        slice(if text == "*" { ":" } else { &text }).map(|slice| vec![slice])
    }

    fn filter(&mut self) -> Result<Step, String> {
        self.at += 3;
        let start = self.at;
        let mut pair: Option<char> = None;
        let mut closed = false;
        loop {
            let letter = self.peek();
            self.at += 1;
            match letter {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(c @ ('"' | '\'')) => match pair {
                    None => pair = Some(c),
                    Some(open) => closed |= c == open && self.chars[self.at - 2] != '\\',
                },
                Some(')') if pair.is_some() == closed => break,
                Some(_) => {}
            }
        }
        let text = self.text(start, self.at - 1);
        if self.peek() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        self.at += 1;
        let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let from = text.find(is_operator).filter(|from| *from > 0);
        let Some(from) = from else {
            return Ok(Step::Filter {
                left: JsonPath::parse(&text)?,
                operator: String::new(),
                right: JsonPath(vec![]),
            });
        };
        let to = from + text[from..].find(|c| !is_operator(c)).unwrap_or(text.len() - from);
        Ok(Step::Filter {
            left: JsonPath::parse(&text[..from])?,
            operator: text[from..to].to_owned(),
            right: JsonPath::parse(&text[to..])?,
        })
    }
}

fn slice(text: &str) -> Result<Step, String> {
    let bad = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return Err(bad());
    }
    let mut bounds = [None; 3];
    for (bound, part) in bounds.iter_mut().zip(&parts) {
        if !part.is_empty() {
            *bound = Some(part.parse::<i64>().map_err(|_| bad())?);
        }
    }
    let [from, to, by] = bounds;
    let derived = parts.len() == 1;
    let to = if derived { Some(from.unwrap_or(0) + 1) } else { to };
    Ok(Step::Slice { from, to, derived, by })
}

fn members<'a>(value: &Cow<'a, Value>) -> Found<'a> {
    fn of(value: &Value) -> Vec<&Value> {
        match value {
            Value::Struct(fields) => fields.members().map(|(_, member)| member).collect(),
            Value::Map(map) => map.iter().map(|(_, member)| member).collect(),
            Value::List(items) => items.iter().collect(),
            _ => Vec::new(),
        }
    }
    match value {
        Cow::Borrowed(value) => of(value).into_iter().map(Cow::Borrowed).collect(),
        Cow::Owned(value) => of(value).into_iter().map(|member| Cow::Owned(member.clone())).collect(),
    }
}

fn member<'a>(value: &Cow<'a, Value>, name: &str) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(value) => value.child(name).map(Cow::Borrowed),
        Cow::Owned(value) => value.child(name).cloned().map(Cow::Owned),
    }
}

impl Step {
    fn apply<'a>(&self, found: Found<'a>) -> Option<Found<'a>> {
        match self {
            Step::Field(name) => Some(found.iter().filter_map(|value| member(value, name)).collect()),
            Step::Wildcard => Some(found.iter().flat_map(members).collect()),
            Step::Recursive => {
                let mut all = Vec::new();
                descend(&found, &mut all)?;
                Some(all)
            }
            Step::Slice { from, to, derived, by } => {
                let mut out = Vec::new();
                for value in found.iter().filter(|value| ***value != Value::Null) {
                    value.as_list()?;
                    out.extend(cut(members(value), (*from, *to), *derived, *by)?);
                }
                Some(out)
            }
            Step::Union(paths) => {
                let parts: Option<Vec<Found<'a>>> = paths.iter().map(|path| path.walk(found.clone())).collect();
                Some(parts?.into_iter().flatten().collect())
            }
            Step::Filter { left, operator, right } => {
                let mut out = Vec::new();
                for value in &found {
                    value.as_list()?;
                    for item in members(value) {
                        if passes(&item, left, operator, right)? {
                            out.push(item);
                        }
                    }
                }
                Some(out)
            }
            Step::Identifier => None,
            Step::Constant(value) => Some(found.iter().map(|_| Cow::Owned(value.clone())).collect()),
        }
    }
}

fn descend<'a>(found: &[Cow<'a, Value>], all: &mut Found<'a>) -> Option<()> {
    for value in found {
        let inner = members(value);
        if !inner.is_empty() {
            all.push(value.clone());
            descend(&inner, all)?;
        }
        if all.len() > FOUND_MAX {
            return None;
        }
    }
    Some(())
}

fn cut<'a>(
    items: Found<'a>,
    (from, to): (Option<i64>, Option<i64>),
    derived: bool,
    by: Option<i64>,
) -> Option<Found<'a>> {
    let length = i64::try_from(items.len()).ok()?;
    let mut from = from.unwrap_or(0);
    if from < 0 {
        from += length;
    }
    let mut to = to.unwrap_or(length);
    if to < 0 || (to == 0 && derived) {
        to += length;
    }
    if from == to {
        return Some(Vec::new());
    }
    if from < 0 || from >= length || to < 0 || to > length || from > to {
        return None;
    }
    let by = match by {
        Some(by) if by <= 0 => return None,
        by => usize::try_from(by.unwrap_or(1)).ok()?,
    };
    let (from, count) = (usize::try_from(from).ok()?, usize::try_from(to - from).ok()?);
    Some(items.into_iter().skip(from).take(count).step_by(by).collect())
}

fn passes(item: &Value, left: &JsonPath, operator: &str, right: &JsonPath) -> Option<bool> {
    let lefts = left.walk(vec![Cow::Borrowed(item)]);
    if operator.is_empty() {
        return Some(lefts.is_some_and(|found| !found.is_empty()));
    }
    let (lefts, rights) = (lefts?, right.walk(vec![Cow::Borrowed(item)])?);
    let (left, right) = match (lefts.as_slice(), rights.as_slice()) {
        ([], _) | (_, []) => return Some(false),
        ([left], [right]) => (left, right),
        _ => return None,
    };
    let order = compare(left, right)?;
    Some(match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => return None,
    })
}

/// Only values of one type can be compared.
fn compare(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// A value as kubectl prints it: JSON of lists and objects, texts as they are.
pub fn printed(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::Null => "<no value>".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => crate::request::status::go_float(*number),
        other => {
            let mut json = Vec::new();
            codec::encode_free(&fit::free(other.clone()), &mut json);
            String::from_utf8_lossy(&json).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, json: &str, expected: Option<&[&str]>) {
        let value = codec::decode_free(json.as_bytes()).unwrap();
        let found = JsonPath::parse(path).unwrap();
        let found = found.find(&value);
        let printed: Option<Vec<String>> = found.map(|found| found.iter().map(|value| printed(value)).collect());
        let expected = expected.map(|texts| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(printed, expected, "{path}");
    }

    #[test]
    fn paths_select_what_kubectl_selects() {
        let json = r#"{"a":{"b":"x","c.d":1},"l":[{"n":"p","v":1},{"n":"q","v":2,"w":true}],"e":[]}"#;
        check(".a.b", json, Some(&["x"]));
        check(r".a.c\.d", json, Some(&["1"]));
        check(".a['b']", json, Some(&["x"]));
        check(".nothing.b", json, Some(&[]));
        check(".l[0].n", json, Some(&["p"]));
        check(".l[-1].n", json, Some(&["q"]));
        check(".l[*].v", json, Some(&["1", "2"]));
        check(".l[5].n", json, None);
        check(".e[0]", json, None);
        check(r#".l[?(@.n=="q")].v"#, json, Some(&["2"]));
        check(".l[?(@.v>1)].n", json, Some(&["q"]));
        check(".l[?(@.w)].n", json, Some(&["q"]));
        check("..v", json, Some(&["1", "2"]));
        check(".l[0,1].n", json, Some(&["p", "q"]));
        check(".a", json, Some(&[r#"{"b":"x","c.d":1}"#]));
        assert!(JsonPath::parse(".a[").is_err());
        assert!(JsonPath::parse(".a[x]").is_err());
    }
}
