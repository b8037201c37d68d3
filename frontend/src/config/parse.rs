//! From arguments to names with values, by pflag's rules.

use std::collections::BTreeMap;

use super::{FlagError, Kind, find, removed::REMOVED, unknown, values};

/// The flags that were given, checked one by one.
#[derive(Debug, Default)]
pub struct Given {
    values: BTreeMap<&'static str, Vec<String>>,
    ignored: Vec<&'static str>,
}

impl Given {
    /// The last value of a flag.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|all| all.last()).map(String::as_str)
    }

    /// Also with an empty list.
    pub fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// All values of a flag, in order.
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.last(name).is_some_and(|v| values::parse_bool(v) == Some(true))
    }

    /// Flags that were given and do not act here.
    pub fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }

    /// All flags as they will be used, for the log. None of them carries a secret, only names of files.
    pub fn effective(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().map(|(name, all)| (*name, all.join(",")))
    }

    /// Flags of older versions that were given, each with what took their place.
    pub fn removed(&self) -> Vec<(&'static str, &'static str)> {
        let used = REMOVED.iter().filter(|(flag, _)| self.values.contains_key(flag.name));
        used.map(|(flag, instead)| (flag.name, *instead)).collect()
    }

    fn set(&mut self, name: &str, shown: &str, value: &str) -> Result<(), FlagError> {
        let flag = find(name).ok_or_else(|| unknown(shown))?;
        let parts = values::split(flag.kind, value).map_err(|why| FlagError::BadValue {
            flag: shown.to_owned(),
            value: value.to_owned(),
            why,
        })?;
        if flag.help.is_none() && !self.ignored.contains(&flag.name) {
            self.ignored.push(flag.name);
        }
        self.values.entry(flag.name).or_default().extend(parts);
        Ok(())
    }
}

/// Reads `--name=value`, `--name value`, `--switch`, `-v 2`. Underscores in names count as dashes.
pub fn parse<I: IntoIterator<Item = String>>(args: I) -> Result<Given, FlagError> {
    let mut given = Given::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if let Some(body) = arg.strip_prefix("--").filter(|b| !b.is_empty()) {
            long(&mut given, body, &mut args)?;
        } else if let Some(body) = arg.strip_prefix('-').filter(|b| !b.is_empty() && *b != "-") {
            short(&mut given, body, &mut args)?;
        } else if arg == "--" {
            return args.next().map_or(Ok(given), |rest| Err(FlagError::Positional(rest)));
        } else {
            return Err(FlagError::Positional(arg));
        }
    }
    Ok(given)
}

fn long(given: &mut Given, body: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), FlagError> {
    let (name, inline) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (body, None),
    };
    let shown = format!("--{name}");
    let name = name.replace('_', "-");
    let flag = find(&name).ok_or_else(|| unknown(&shown))?;
    let value = match inline {
        Some(value) => value,
        None if flag.kind == Kind::Bool => "true".to_owned(),
        None => rest.next().ok_or_else(|| FlagError::MissingValue(shown.clone()))?,
    };
    given.set(&name, &shown, &value)
}

fn short(given: &mut Given, body: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), FlagError> {
    let mut letters = body.chars();
    match letters.next() {
        Some('h') => given.set("help", "-h", "true"),
        Some('v') => {
            let inline = letters.as_str();
            let value = match inline.strip_prefix('=').unwrap_or(inline) {
                "" => rest.next().ok_or_else(|| FlagError::MissingValue("'v' in -v".to_owned()))?,
                value => value.to_owned(),
            };
            given.set("v", "-v", &value)
        }
        other => Err(FlagError::UnknownShorthand(other.unwrap_or('-'), body.to_owned())),
    }
}
