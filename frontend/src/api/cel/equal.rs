//! When two values are equal, and which is less.

use std::cmp::Ordering;

use super::{
    decl::ListKind,
    value::{EvalError, List, Map, Val, fail, no_such_overload},
};

/// `a == b`. An error where a type of Kubernetes' libraries is compared with another type.
pub(super) fn equal(a: &Val<'_>, b: &Val<'_>) -> Result<bool, EvalError> {
    if let (Val::Null, _) | (_, Val::Null) = (a, b) {
        return Ok(matches!((a, b), (Val::Null, Val::Null)));
    }
    Ok(match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(_) | Val::Uint(_) | Val::Double(_), Val::Int(_) | Val::Uint(_) | Val::Double(_)) => {
            compare_numbers(a, b) == Some(Ordering::Equal)
        }
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::Bytes(a), Val::Bytes(b)) => a == b,
        (Val::Duration(a), Val::Duration(b)) => a == b,
        (Val::Timestamp(a), Val::Timestamp(b)) => a.instant() == b.instant(),
        (Val::Type(a), Val::Type(b)) => a == b,
        (Val::List(a), Val::List(b)) => return lists(a, b),
        (Val::Map(a), Val::Map(b)) => return maps(a, b),
        (Val::Optional(Some(a)), Val::Optional(Some(b))) => return equal(a, b),
        (Val::Optional(a), Val::Optional(b)) => a.is_none() && b.is_none(),
        (Val::Url(a), Val::Url(b)) => a.text() == b.text(),
        (Val::Quantity(a), Val::Quantity(b)) => a.compare(b) == Ordering::Equal,
        (Val::Ip(a), Val::Ip(b)) => a == b,
        (Val::Cidr(a, p), Val::Cidr(b, q)) => a == b && p == q,
        (Val::Semver(a), Val::Semver(b)) => a.compare(b) == Ordering::Equal,
        (Val::Format(a), Val::Format(b)) => a.name == b.name,
        (Val::Url(_) | Val::Quantity(_) | Val::Ip(_) | Val::Cidr(..) | Val::Semver(_) | Val::Format(_), _) => {
            return no_such_overload();
        }
        (Val::Authz(_) | Val::Decision(_), _) => return no_such_overload(),
        (Val::List(List::Tree(tree)), _) | (Val::Map(Map::Tree(tree)), _) if tree.is_declared() => {
            return no_such_overload();
        }
        _ => false,
    })
}

/// The same where an error is only "not equal", as in lists that were computed.
pub(super) fn is_equal(a: &Val<'_>, b: &Val<'_>) -> Result<bool, EvalError> {
    match equal(a, b) {
        Err(EvalError::Failed(_)) => Ok(false),
        other => other,
    }
}

fn lists(a: &List<'_>, b: &List<'_>) -> Result<bool, EvalError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    match a.kind() {
        ListKind::Atomic => {}
        ListKind::Set => return all_found(a, b),
        ListKind::Map(keys) => return all_found_by(a, b, keys),
    }
    let declared = matches!(a, List::Tree(tree) if tree.is_declared());
    for (ours, theirs) in a.iter().zip(b.iter()) {
        match equal(&ours?, &theirs?) {
            Ok(true) => {}
            // A computed list takes what cannot be compared for equal.
            Err(EvalError::Failed(_)) if !declared => {}
            other => return other,
        }
    }
    Ok(true)
}

/// The order of a set does not count.
fn all_found(a: &List<'_>, b: &List<'_>) -> Result<bool, EvalError> {
    let ours = a.to_vec()?;
    for theirs in b.iter() {
        let theirs = theirs?;
        let mut found = false;
        for item in &ours {
            found |= is_equal(item, &theirs)?;
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The order of a list of keyed items does not count.
fn all_found_by(a: &List<'_>, b: &List<'_>, keys: &[String]) -> Result<bool, EvalError> {
    let ours = a.to_vec()?;
    for theirs in b.iter() {
        let theirs = theirs?;
        let mut same = None;
        for item in &ours {
            if same_keys(item, &theirs, keys)? {
                same = Some(item);
            }
        }
        match same {
            Some(item) if equal(item, &theirs)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

pub(super) fn same_keys(a: &Val<'_>, b: &Val<'_>, keys: &[String]) -> Result<bool, EvalError> {
    let (Val::Map(a), Val::Map(b)) = (a, b) else { return Ok(false) };
    for key in keys {
        let key = Val::from(key.as_str());
        let same = match (a.find(&key), b.find(&key)) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => is_equal(&ours?, &theirs?)?,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps(a: &Map<'_>, b: &Map<'_>) -> Result<bool, EvalError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    if let (Map::Tree(a), Map::Tree(b)) = (a, b)
        && a.is_declared()
        && !a.hidden_fields_equal(b)
    {
        return Ok(false);
    }
    let declared = matches!(a, Map::Tree(tree) if tree.is_declared());
    for key in a.keys() {
        let (ours, theirs) = match (a.find(&key), b.find(&key)) {
            (Some(ours), Some(theirs)) => (ours?, theirs?),
            (None, None) => continue,
            _ => return Ok(false),
        };
        match equal(&ours, &theirs) {
            Ok(true) => {}
            Err(EvalError::Failed(_)) if !declared => {}
            other => return other,
        }
    }
    Ok(true)
}

/// `a < b` and its kin. None for what is not a number, an error for what has no order.
pub(super) fn compare(a: &Val<'_>, b: &Val<'_>) -> Result<Ordering, EvalError> {
    Ok(match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => a.cmp(b),
        (Val::Int(_) | Val::Uint(_) | Val::Double(_), Val::Int(_) | Val::Uint(_) | Val::Double(_)) => {
            match compare_numbers(a, b) {
                Some(order) => order,
                None => return fail("NaN values cannot be ordered"),
            }
        }
        (Val::Str(a), Val::Str(b)) => (**a).cmp(&**b),
        (Val::Bytes(a), Val::Bytes(b)) => a.cmp(b),
        (Val::Duration(a), Val::Duration(b)) => a.cmp(b),
        (Val::Timestamp(a), Val::Timestamp(b)) => a.instant().cmp(&b.instant()),
        _ => return no_such_overload(),
    })
}

/// Numbers of different types compare by what they are worth; NaN with nothing.
fn compare_numbers(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    let whole = |val: &Val<'_>| match val {
        Val::Int(number) => Some(i128::from(*number)),
        Val::Uint(number) => Some(i128::from(*number)),
        _ => None,
    };
    match (a, b) {
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
        (Val::Double(a), b) => compare_double(*a, b),
        (a, Val::Double(b)) => compare_double(*b, a).map(Ordering::reverse),
        _ => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

fn compare_double(double: f64, other: &Val<'_>) -> Option<Ordering> {
    let (other, min, max) = match other {
        Val::Int(number) => (*number as f64, i64::MIN as f64, i64::MAX as f64),
        Val::Uint(number) => (*number as f64, 0.0, u64::MAX as f64),
        _ => return None,
    };
    if double < min {
        return Some(Ordering::Less);
    }
    if double > max {
        return Some(Ordering::Greater);
    }
    double.partial_cmp(&other)
}
