//! What is wrong with a text, and where.

/// A place in the text, counted in characters from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Why a text is no YAML, or none that JSON can say. The texts are those of Go's reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) text: String,
}

impl YamlError {
    pub(super) fn plain(problem: impl std::fmt::Display) -> YamlError {
        YamlError { text: format!("yaml: {problem}") }
    }

    /// The scanner counts lines from 0, and speaks of the next; but where it speaks of the context's line.
    pub(super) fn scanner(context: Mark, at: Mark, problem: &str) -> YamlError {
        YamlError::at(if at.line > 0 { at.line + 1 } else { context.line }, problem)
    }

    /// The parser speaks of lines as they are counted, from 0.
    pub(super) fn parser(context: Option<Mark>, at: Mark, problem: &str) -> YamlError {
        let line = if at.line > 0 { at.line } else { context.map_or(0, |mark| mark.line) };
        YamlError::at(line, problem)
    }

    pub(super) fn at(line: usize, problem: &str) -> YamlError {
        match line {
            0 => YamlError::plain(problem),
            line => YamlError::plain(format!("line {line}: {problem}")),
        }
    }
}
