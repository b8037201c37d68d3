//! Comments of the proto files: their text as OpenAPI shows it, and the markers in it.

/// A comment, split.
#[derive(Default, Clone)]
pub(crate) struct Doc {
    pub(crate) text: String,
    /// Lines that began with a plus sign, without it.
    pub(crate) markers: Vec<String>,
}

impl Doc {
    pub(crate) fn parse(comment: &str) -> Doc {
        let mut doc = Doc::default();
        let mut text = String::new();
        let mut cut = false;
        for line in comment.trim_end().split('\n') {
            let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
            let leading = line.trim_start();
            if let Some(marker) = leading.strip_prefix('+') {
                doc.markers.push(marker.trim().to_owned());
            } else if line == "---" {
                cut = true;
            } else if !cut {
                append(&mut text, line, leading);
            }
        }
        doc.text = text.trim().to_owned();
        doc
    }

    pub(crate) fn has(&self, marker: &str) -> bool {
        self.markers.iter().any(|line| line == marker)
    }

    /// The values of `+name=value`, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let value = |line: &'_ String| -> Option<usize> { line.strip_prefix(name)?.strip_prefix('=').map(str::len) };
        self.markers.iter().filter_map(|line| Some(&line[line.len() - value(line)?..])).collect()
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        self.values(name).first().copied().unwrap_or("")
    }
}

/// Lines of a paragraph are joined by spaces; empty lines separate paragraphs; indented lines stand alone.
fn append(text: &mut String, line: &str, leading: &str) {
    if leading.is_empty() {
        text.pop();
        text.push_str("\n\n");
    } else if leading.starts_with("TODO") {
    } else if line.starts_with(' ') || line.starts_with('\t') {
        text.pop();
        text.push('\n');
        text.push_str(line);
        text.push('\n');
    } else {
        text.push_str(line);
        text.push(' ');
    }
}
