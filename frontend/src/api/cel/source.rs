//! The text of an expression, places in it, and errors that show the place as cel-go does.

use std::fmt;

/// A line counted from 1 and a column counted from 0, in code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub line: i64,
    pub column: i64,
}

impl Location {
    /// What cel-go says when it does not know.
    pub const NONE: Location = Location { line: -1, column: -1 };
}

/// One error of compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    pub at: Location,
    pub message: String,
}

/// All errors of one compilation; the text shows each with its line of the source, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issues {
    source: String,
    issues: Vec<Issue>,
    total: usize,
}

/// More errors are only counted.
const SHOWN_MAX: usize = 100;
/// Longer lines are not shown.
const SNIPPET_BYTES_MAX: usize = 16_384;

impl Issues {
    pub fn new(source: &str) -> Issues {
        Issues { source: source.to_owned(), issues: Vec::new(), total: 0 }
    }

    pub fn push(&mut self, at: Location, message: impl Into<String>) {
        self.total += 1;
        if self.total <= SHOWN_MAX {
            self.issues.push(Issue { at, message: message.into() });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.issues.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Issue> {
        self.issues.iter()
    }

    fn line(&self, number: i64) -> Option<&str> {
        let at = usize::try_from(number - 1).ok()?;
        self.source.split('\n').nth(at)
    }

    fn write_issue(&self, f: &mut fmt::Formatter<'_>, issue: &Issue) -> fmt::Result {
        let Location { line, column } = issue.at;
        write!(f, "ERROR: <input>:{line}:{}: {}", column + 1, issue.message)?;
        let Some(text) = self.line(line).filter(|text| column >= 0 && text.len() <= SNIPPET_BYTES_MAX) else {
            return Ok(());
        };
        let text = text.replace('\t', " ");
        write!(f, "\n | {text}\n | ")?;
        let mut letters = text.chars();
        for _ in 0..column {
            match letters.next() {
                Some(letter) if letter.len_utf8() > 1 => f.write_str("\u{ff0e}")?,
                Some(_) => f.write_str(".")?,
                None => break,
            }
        }
        f.write_str(if letters.next().is_some_and(|letter| letter.len_utf8() > 1) { "\u{ff3e}" } else { "^" })
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Issue> = self.issues.iter().collect();
        sorted.sort_by_key(|issue| issue.at);
        for (at, issue) in sorted.into_iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            self.write_issue(f, issue)?;
        }
        if self.total > SHOWN_MAX {
            write!(f, "\n{} more errors were truncated", self.total - SHOWN_MAX)?;
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}

/// Places of code point offsets.
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(source: &str) -> Lines {
        let mut starts = vec![0];
        starts.extend(source.chars().enumerate().filter(|(_, letter)| *letter == '\n').map(|(at, _)| at + 1));
        Lines { starts }
    }

    pub(super) fn location(&self, offset: usize) -> Location {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        Location { line: line as i64, column: (offset - start) as i64 }
    }
}
