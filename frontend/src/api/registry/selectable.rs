//! What can be selected by in field selectors, and how other labels are refused.

use std::borrow::Cow;

/// What an absent field counts as: Go's zero value, printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    Empty,
    False,
    Zero,
    /// The label is accepted but never has a value, in any object.
    Never,
}

impl Unset {
    pub fn as_str(self) -> &'static str {
        match self {
            Unset::Empty | Unset::Never => "",
            Unset::False => "false",
            Unset::Zero => "0",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectableField {
    pub label: Cow<'static, str>,
    pub key: Cow<'static, str>,
    /// JSON names in the storage version; the first path whose value is present and not empty wins.
    pub paths: Vec<Vec<Cow<'static, str>>>,
    pub unset: Unset,
}

/// How a label that is not selectable is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelRefusal {
    /// `"x" is not a known field selector: only "metadata.name", "metadata.namespace"`
    OnlyMetadata,
    /// `field label not supported: x`
    Plain,
    /// `field label "x" not supported for Job`
    Quoted,
    /// `field label not supported for group/version, Kind=Kind: x`
    Versioned,
}
