//! The functions that expressions may call, as a Kubernetes 1.35 serves them: one row an overload.
//!
//! A row names the overload, says its signature in a line (`string::contains(string) bool` is called on a string,
//! `size(string) int` is not) and what computes it. Not here: operators that decide which operand is evaluated
//! (`plan`).

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use super::{
    types::{OPTIONAL, Type},
    value::{Evaluated, Val, fail},
};
use crate::api::schema::scalar::pattern::Regex;

mod authz;
mod bundle;
mod conversions;
mod format;
mod ip;
mod lists;
mod operators;
mod optional;
mod quantity;
mod row;
mod semver;
mod strings;
mod text_format;
mod time;
mod url;

use row::{Imp, Row, Shared};

pub(super) use text_format::{Clause, FormatArgs, check_format};

/// The sum of two values.
pub(super) fn add<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    operators::add(args)
}

/// A map with more entries.
pub(super) fn insert<'a>(map: Val<'a>, added: Vec<Val<'a>>) -> Evaluated<'a> {
    bundle::insert(map, added)
}

pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) overloads: Vec<Overload>,
    pub(super) shared: Option<&'static Shared>,
    /// Whether arguments are compared with the declared types before the call.
    pub(super) guarded: bool,
}

pub(super) struct Overload {
    pub(super) id: &'static str,
    pub(super) member: bool,
    pub(super) args: Vec<Type>,
    pub(super) result: Type,
    pub(super) imp: Imp,
}

impl Overload {
    fn takes(&self, args: &[Val<'_>]) -> bool {
        self.args.len() == args.len() && self.args.iter().zip(args).all(|(of, val)| is_of(of, val))
    }
}

/// Whether a value may be an argument of a declared type; of lists and maps the first element speaks for all.
fn is_of(of: &Type, val: &Val<'_>) -> bool {
    match (of, val) {
        (Type::Dyn | Type::Any | Type::Param(_) | Type::Var(_), _) => true,
        (Type::List(of), Val::List(list)) => match list.get(0) {
            Some(Ok(first)) => is_of(of, &first),
            _ => true,
        },
        (Type::Map(of), Val::Map(map)) => match map.entries() {
            Ok(entries) => entries.first().is_none_or(|(key, value)| is_of(&of.0, key) && is_of(&of.1, value)),
            Err(_) => true,
        },
        (of, val) => of.name() == val.type_name(),
    }
}

const GROUPS: [&[Row]; 13] = [
    operators::ROWS,
    conversions::ROWS,
    time::ROWS,
    strings::STANDARD,
    url::ROWS,
    bundle::REGEX,
    lists::ROWS,
    optional::ROWS,
    quantity::ROWS,
    strings::ROWS,
    ip::ROWS,
    format::ROWS,
    semver::ROWS,
];
const LATER_GROUPS: [&[Row]; 2] = [authz::ROWS, bundle::ROWS];

const SHARED: [&[Shared]; 3] = [operators::SHARED, lists::SHARED, conversions::SHARED];

/// Their arguments are not looked at before the call.
const UNGUARDED: [&str; 4] = ["contains", "endsWith", "startsWith", "flatten"];

static FUNCTIONS: LazyLock<HashMap<&'static str, Function>> = LazyLock::new(|| {
    let mut functions: HashMap<&'static str, Function> = HashMap::new();
    let shared = |name: &str| SHARED.iter().flat_map(|rows| rows.iter()).find(|row| row.function == name);
    for Row(id, signature, imp) in GROUPS.iter().chain(&LATER_GROUPS).flat_map(|rows| rows.iter()) {
        let Signature { member, name, args, result } = Signature::parse(signature);
        let function = functions.entry(name).or_insert_with(|| Function {
            name,
            overloads: Vec::new(),
            shared: shared(name),
            guarded: !UNGUARDED.contains(&name),
        });
        function.overloads.push(Overload { id, member, args, result, imp: *imp });
    }
    functions
});

pub(super) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name)
}

impl Function {
    /// Calls the overload that was chosen ahead, or the one that the values fit.
    pub(super) fn call<'a>(&self, chosen: Option<&Overload>, args: &[Val<'a>], regex: Option<&Regex>) -> Evaluated<'a> {
        if let Some(shared) = self.shared {
            return self.call_shared(shared, args, regex);
        }
        if let Some(overload) = chosen {
            if self.guarded && !overload.takes(args) {
                return fail(self.no_overload_for(args));
            }
            return self.run(overload.imp, args, regex);
        }
        match self.overloads.iter().find(|overload| overload.takes(args)) {
            Some(overload) => self.run(overload.imp, args, regex),
            None => fail(self.no_overload_for(args)),
        }
    }

    fn call_shared<'a>(&self, shared: &Shared, args: &[Val<'a>], regex: Option<&Regex>) -> Evaluated<'a> {
        let fits = args.first().is_none_or(|first| shared.operand.is_none_or(|operand| operand.fits(first)));
        if fits {
            return run(shared.imp, args, regex);
        }
        // Texts and times have methods of their own, among which the function is looked for.
        if let Some(Val::Str(_) | Val::Duration(_) | Val::Timestamp(_)) = args.first() {
            return fail("no such overload");
        }
        fail(format!("no such overload: {}", self.name))
    }

    fn run<'a>(&self, imp: Imp, args: &[Val<'a>], regex: Option<&Regex>) -> Evaluated<'a> {
        match (imp, regex, args) {
            (Imp::Pattern(search), None, [_, Val::Str(pattern), ..]) => match Regex::new(pattern) {
                Ok(regex) => search(&regex, args),
                Err(error) => fail(format!("Illegal regex: {error}")),
            },
            _ => run(imp, args, regex),
        }
    }

    fn no_overload_for(&self, args: &[Val<'_>]) -> String {
        let types: Vec<&str> = args.iter().map(Val::type_name).collect();
        format!("no such overload: {}({})", self.name, types.join(", "))
    }
}

fn run<'a>(imp: Imp, args: &[Val<'a>], regex: Option<&Regex>) -> Evaluated<'a> {
    match (imp, regex) {
        (Imp::Plain(imp), _) => imp(args),
        (Imp::Pattern(imp), Some(regex)) => imp(regex, args),
        (Imp::Pattern(imp), None) => match args.get(1) {
            Some(Val::Str(pattern)) => match Regex::new(pattern) {
                Ok(regex) => imp(&regex, args),
                Err(error) => fail(error),
            },
            _ => fail("no such overload"),
        },
        (Imp::Special, _) => fail("no such overload"),
    }
}

/// The line of a row, taken apart.
struct Signature {
    member: bool,
    name: &'static str,
    args: Vec<Type>,
    result: Type,
}

impl Signature {
    fn parse(text: &'static str) -> Signature {
        let (target, rest) = match text.split_once("::") {
            Some((target, rest)) => (Some(target), rest),
            None => (None, text),
        };
        let open = rest.find('(').unwrap_or(rest.len());
        let close = matching(rest, open);
        let listed = split_types(&rest[open + 1..close]);
        let args = target.into_iter().chain(listed).map(parse_type).collect();
        let result = parse_type(rest[close + 1..].trim());
        Signature { member: target.is_some(), name: &rest[..open], args, result }
    }
}

/// Where the parenthesis at `open` is closed.
fn matching(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn split_types(text: &'static str) -> Vec<&'static str> {
    let (mut depth, mut start, mut out) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        out.push(text[start..].trim());
    }
    out
}

fn parse_type(text: &'static str) -> Type {
    let (name, params) = match text.find('(') {
        Some(open) => (&text[..open], split_types(&text[open + 1..text.len() - 1])),
        None => (text, Vec::new()),
    };
    let mut params = params.into_iter().map(parse_type);
    let mut next = || params.next().unwrap_or(Type::Dyn);
    match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "dyn" => Type::Dyn,
        "list" => Type::list(next()),
        "map" => {
            let key = next();
            Type::map(key, next())
        }
        "type" => Type::type_of(next()),
        "optional" => Type::Opaque(Cow::Borrowed(OPTIONAL), vec![next()].into()),
        _ if name.starts_with("net.") => Type::Opaque(Cow::Borrowed(name), Vec::new().into()),
        _ => match name.as_bytes() {
            [letter] => Type::Param(char::from(*letter)),
            _ => Type::Object(Cow::Borrowed(name)),
        },
    }
}

/// The names of types, which are expressions too.
pub(super) fn type_by_name(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "google.protobuf.Duration" => Type::Duration,
        "google.protobuf.Timestamp" => Type::Timestamp,
        "int" => Type::Int,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "string" => Type::String,
        "type" => Type::Type(None),
        "uint" => Type::Uint,
        OPTIONAL => Type::Opaque(Cow::Borrowed(OPTIONAL), Vec::new().into()),
        "net.IP" => Type::Opaque(Cow::Borrowed("net.IP"), Vec::new().into()),
        "net.CIDR" => Type::Opaque(Cow::Borrowed("net.CIDR"), Vec::new().into()),
        _ => return None,
    })
}
