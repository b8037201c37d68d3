//! Go's syntax of patterns in that of the `regex` crate.

/// The same pattern as the crate writes it, or what is wrong with it in Go's words.
pub(super) fn translate(pattern: &str) -> Result<String, Flaw<'_>> {
    let mut translation = Translation { pattern, rest: pattern, out: String::new(), open: 0 };
    translation.run()?;
    Ok(translation.out)
}

/// A repetition may not ask for more.
const REPEAT_MAX: u32 = 1000;

/// What is wrong, and the part of the pattern that Go shows for it.
pub(super) struct Flaw<'p> {
    pub(super) what: &'static str,
    pub(super) text: &'p str,
}

type Step<'p> = Result<(), Flaw<'p>>;

struct Translation<'p> {
    pattern: &'p str,
    rest: &'p str,
    out: String,
    /// Groups that are not closed yet.
    open: usize,
}

/// Whether a repetition may follow, and of what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before<'p> {
    Nothing,
    Something,
    /// The text of a repetition, which another one must not follow.
    Repetition(&'p str),
}

impl<'p> Translation<'p> {
    fn run(&mut self) -> Step<'p> {
        let mut before = Before::Nothing;
        while let Some(letter) = self.rest.chars().next() {
            before = match letter {
                '*' | '+' | '?' => self.repeat(1, before)?,
                '{' => match repeat_range(self.rest) {
                    Some((length, fits)) => {
                        if !fits {
                            return Err(Flaw { what: "invalid repeat count", text: &self.rest[..length] });
                        }
                        self.repeat(length, before)?
                    }
                    None => {
                        self.out.push_str("\\{");
                        self.skip(1);
                        Before::Something
                    }
                },
                '(' => {
                    self.group()?;
                    Before::Nothing
                }
                ')' => {
                    if self.open == 0 {
                        return Err(Flaw { what: "unexpected )", text: self.pattern });
                    }
                    self.open -= 1;
                    self.copy(1);
                    Before::Something
                }
                '|' => {
                    self.copy(1);
                    Before::Nothing
                }
                '[' => {
                    self.class()?;
                    Before::Something
                }
                '\\' => {
                    self.escape()?;
                    Before::Something
                }
                '^' | '$' | '.' => {
                    self.copy(1);
                    Before::Something
                }
                _ => {
                    self.literal(letter);
                    self.skip(letter.len_utf8());
                    Before::Something
                }
            };
        }
        if self.open > 0 {
            return Err(Flaw { what: "missing closing )", text: self.pattern });
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.rest[..bytes]);
        self.skip(bytes);
    }

    fn literal(&mut self, letter: char) {
        if letter.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(letter);
    }

    fn repeat(&mut self, length: usize, before: Before<'p>) -> Result<Before<'p>, Flaw<'p>> {
        let lazy = usize::from(self.rest[length..].starts_with('?'));
        let text = &self.rest[..length + lazy];
        match before {
            Before::Nothing => Err(Flaw { what: "missing argument to repetition operator", text }),
            Before::Repetition(first) => {
                let start = self.pattern.len() - self.rest.len() - first.len();
                let text = &self.pattern[start..start + first.len() + text.len()];
                Err(Flaw { what: "invalid nested repetition operator", text })
            }
            Before::Something => {
                self.copy(text.len());
                Ok(Before::Repetition(text))
            }
        }
    }

    /// `(`, `(?:`, `(?i)`, `(?i:`, `(?P<name>`, `(?<name>`
    fn group(&mut self) -> Step<'p> {
        let Some(flags) = self.rest.strip_prefix("(?") else {
            self.open += 1;
            self.copy(1);
            return Ok(());
        };
        if flags.starts_with("P<") || flags.starts_with('<') {
            return self.named_group();
        }
        let invalid = "invalid or unsupported Perl syntax";
        for (at, letter) in flags.char_indices() {
            let length = 2 + at + letter.len_utf8();
            match letter {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' | ')' => {
                    let set = &flags[..at];
                    let (on, off) = set.split_once('-').unwrap_or((set, ""));
                    if off.contains('-') || set.ends_with('-') || (on.is_empty() && off.is_empty() && letter == ')') {
                        return Err(Flaw { what: invalid, text: &self.rest[..length] });
                    }
                    self.open += usize::from(letter == ':');
                    self.copy(length);
                    return Ok(());
                }
                _ => return Err(Flaw { what: invalid, text: &self.rest[..length] }),
            }
        }
        Err(Flaw { what: "missing closing )", text: self.pattern })
    }

    fn named_group(&mut self) -> Step<'p> {
        let start = if self.rest.starts_with("(?P") { 4 } else { 3 };
        let Some(end) = self.rest.find('>') else {
            return Err(Flaw { what: "invalid named capture", text: self.rest });
        };
        let (name, text) = (&self.rest[start..end], &self.rest[..end + 1]);
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            return Err(Flaw { what: "invalid named capture", text });
        }
        self.open += 1;
        // The name itself is not asked for.
        self.out.push('(');
        self.skip(text.len());
        Ok(())
    }

    fn escape(&mut self) -> Step<'p> {
        let Some(letter) = self.rest[1..].chars().next() else {
            return Err(Flaw { what: "trailing backslash at end of expression", text: "" });
        };
        match letter {
            'A' | 'z' => {
                self.copy(2);
                Ok(())
            }
            'b' | 'B' => {
                self.out.push_str(if letter == 'b' { "(?-u:\\b)" } else { "(?-u:\\B)" });
                self.skip(2);
                Ok(())
            }
            'C' => {
                self.out.push_str("(?s:.)");
                self.skip(2);
                Ok(())
            }
            'Q' => {
                let quoted = &self.rest[2..];
                let end = quoted.find("\\E").unwrap_or(quoted.len());
                for letter in quoted[..end].chars() {
                    self.literal(letter);
                }
                self.skip((2 + end + 2).min(self.rest.len()));
                Ok(())
            }
            _ => self.class_escape(),
        }
    }

    /// An escape that also may stand in a class.
    fn class_escape(&mut self) -> Step<'p> {
        let letter = self.rest[1..].chars().next().unwrap_or_default();
        let set = match letter {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => "[\\t\\n\\f\\r ]",
            'S' => "[^\\t\\n\\f\\r ]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            'p' | 'P' => return self.unicode_class(),
            _ => {
                let letter = self.escaped_letter()?;
                self.out.push_str(&format!("\\x{{{:x}}}", letter as u32));
                return Ok(());
            }
        };
        self.out.push_str(set);
        self.skip(2);
        Ok(())
    }

    /// The letter that an escape stands for.
    fn escaped_letter(&mut self) -> Result<char, Flaw<'p>> {
        let letter = self.rest[1..].chars().next().unwrap_or_default();
        let invalid = |length: usize| Flaw { what: "invalid escape sequence", text: &self.rest[..length] };
        let (value, length) = match letter {
            'a' => (7, 2),
            'f' => (12, 2),
            'n' => (10, 2),
            'r' => (13, 2),
            't' => (9, 2),
            'v' => (11, 2),
            'x' => hex_escape(self.rest).ok_or_else(|| invalid(self.rest.len().min(3)))?,
            '0'..='7' => {
                let digits = self.rest[1..].bytes().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
                if letter != '0' && digits == 1 {
                    return Err(invalid(2));
                }
                (u32::from_str_radix(&self.rest[1..1 + digits], 8).unwrap_or_default(), 1 + digits)
            }
            letter if letter.is_ascii_punctuation() => (u32::from(letter), 2),
            letter => return Err(invalid(1 + letter.len_utf8())),
        };
        let found = char::from_u32(value).ok_or_else(|| invalid(length))?;
        self.skip(length);
        Ok(found)
    }

    fn unicode_class(&mut self) -> Step<'p> {
        let length = match self.rest[2..].chars().next() {
            Some('{') => self.rest.find('}').map_or(self.rest.len(), |end| end + 1),
            Some(letter) => 2 + letter.len_utf8(),
            None => self.rest.len(),
        };
        let text = &self.rest[..length];
        if regex::Regex::new(text).is_err() {
            return Err(Flaw { what: "invalid character class range", text });
        }
        self.copy(length);
        Ok(())
    }

    fn class(&mut self) -> Step<'p> {
        let whole = self.rest;
        let missing = Flaw { what: "missing closing ]", text: whole };
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        loop {
            let Some(letter) = self.rest.chars().next() else { return Err(missing) };
            if letter == ']' && !first {
                self.copy(1);
                return Ok(());
            }
            // A dash stands for itself only at the ends.
            if letter == '-' && !first && !self.rest.starts_with("-]") {
                let length = 1 + self.rest[1..].chars().next().map_or(0, char::len_utf8);
                return Err(Flaw { what: "invalid character class range", text: &self.rest[..length] });
            }
            first = false;
            if letter == '[' && self.rest.starts_with("[:") && self.rest.contains(":]") {
                self.posix_class()?;
                continue;
            }
            if letter == '\\' && self.rest[1..].starts_with(['d', 'D', 's', 'S', 'w', 'W', 'p', 'P']) {
                self.class_escape()?;
                continue;
            }
            self.class_range(whole)?;
        }
    }

    fn posix_class(&mut self) -> Step<'p> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        let end = self.rest.find(":]").map_or(self.rest.len(), |end| end + 2);
        let text = &self.rest[..end];
        let name = text[2..end - 2].trim_start_matches('^');
        if !NAMES.contains(&name) {
            return Err(Flaw { what: "invalid character class range", text });
        }
        self.copy(end);
        Ok(())
    }

    /// One letter of a class, or two with a dash between them.
    fn class_range(&mut self, whole: &'p str) -> Step<'p> {
        let start = self.rest;
        let low = self.class_letter(whole)?;
        let mut high = low;
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
            self.skip(1);
            high = self.class_letter(whole)?;
            if high < low {
                let text = &start[..start.len() - self.rest.len()];
                return Err(Flaw { what: "invalid character class range", text });
            }
        }
        self.out.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", low as u32, high as u32));
        Ok(())
    }

    fn class_letter(&mut self, whole: &'p str) -> Result<char, Flaw<'p>> {
        match self.rest.chars().next() {
            None => Err(Flaw { what: "missing closing ]", text: whole }),
            Some('\\') if self.rest.len() == 1 => {
                Err(Flaw { what: "trailing backslash at end of expression", text: "" })
            }
            Some('\\') => self.escaped_letter(),
            Some(letter) => {
                self.skip(letter.len_utf8());
                Ok(letter)
            }
        }
    }
}

fn hex_escape(text: &str) -> Option<(u32, usize)> {
    let digits = &text[2..];
    if let Some(braced) = digits.strip_prefix('{') {
        let end = braced.find('}')?;
        let value = u32::from_str_radix(&braced[..end], 16).ok()?;
        return Some((value, 2 + 1 + end + 1));
    }
    let value = u32::from_str_radix(digits.get(..2)?, 16).ok()?;
    Some((value, 4))
}

/// The length of `{2}`, `{2,}` or `{2,3}`, and whether its numbers are right; None where the brace is only a brace.
fn repeat_range(text: &str) -> Option<(usize, bool)> {
    let end = text.find('}')?;
    let (min, max) = text[1..end].split_once(',').unwrap_or((&text[1..end], &text[1..end]));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(min) || !(max.is_empty() || is_number(max)) {
        return None;
    }
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    let (min, max) = (number(min), if max.is_empty() { None } else { Some(number(max)) });
    let fits = min <= REPEAT_MAX && max.is_none_or(|max| max <= REPEAT_MAX && min <= max);
    Some((end + 1, fits))
}
