//! A flag as a row of the table, and the sections that `--help` shows.

/// What a flag's value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Duration,
    Ip,
    Text,
    /// Separated by commas; may be given several times.
    Strings,
    /// One value each time; may be given several times.
    Texts,
}

/// One row of the table. A flag without help is known and does not act.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: Option<&'static str>,
}

#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) flags: &'static [Flag],
}
