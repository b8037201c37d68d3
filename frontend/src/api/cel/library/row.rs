//! What a function is declared by: its name, its signature and what computes it.

use super::super::value::{Evaluated, Val};
use crate::api::schema::scalar::pattern::Regex;

/// What computes a call.
#[derive(Clone, Copy)]
pub(in super::super) enum Imp {
    /// Done by the evaluation itself.
    Special,
    Plain(for<'a> fn(&[Val<'a>]) -> Evaluated<'a>),
    /// The second argument is a pattern, compiled ahead where it is a literal.
    Pattern(for<'a> fn(&Regex, &[Val<'a>]) -> Evaluated<'a>),
}

/// One row: the overload's name, its signature, what computes it.
pub(super) struct Row(pub(super) &'static str, pub(super) &'static str, pub(super) Imp);

pub(super) const fn row(
    id: &'static str,
    signature: &'static str,
    imp: for<'a> fn(&[Val<'a>]) -> Evaluated<'a>,
) -> Row {
    Row(id, signature, Imp::Plain(imp))
}

/// Functions that look at their operand's kind themselves, for all their overloads; an operand of another kind has
/// none.
pub(in super::super) struct Shared {
    pub(super) function: &'static str,
    pub(super) operand: Option<Operand>,
    pub(super) imp: Imp,
}

/// What the first operand of an operator must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Operand {
    Added,
    Compared,
    Divided,
    Modulo,
    Multiplied,
    Negated,
    Subtracted,
    Matched,
    Sized,
    Listed,
}

impl Operand {
    pub(super) fn fits(self, val: &Val<'_>) -> bool {
        let number = matches!(val, Val::Int(_) | Val::Uint(_) | Val::Double(_));
        let time = matches!(val, Val::Duration(_) | Val::Timestamp(_));
        match self {
            Operand::Added => number || time || matches!(val, Val::Bytes(_) | Val::Str(_) | Val::List(_)),
            Operand::Compared => number || time || matches!(val, Val::Bytes(_) | Val::Str(_) | Val::Bool(_)),
            Operand::Divided | Operand::Multiplied => number,
            Operand::Modulo => matches!(val, Val::Int(_) | Val::Uint(_)),
            Operand::Negated => matches!(val, Val::Int(_) | Val::Double(_) | Val::Duration(_) | Val::Bool(_)),
            Operand::Subtracted => number || time,
            Operand::Matched => matches!(val, Val::Str(_)),
            Operand::Sized => matches!(val, Val::Bytes(_) | Val::Str(_) | Val::List(_) | Val::Map(_)),
            Operand::Listed => matches!(val, Val::List(_)),
        }
    }
}
