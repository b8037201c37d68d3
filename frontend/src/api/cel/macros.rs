//! Macros: calls that are rewritten while they are parsed. In: the call's target and arguments. Out: the tree that
//! takes its place, or what is wrong with the arguments.

use super::ast::{Call, Comprehension, Element, Entry, Expr, Field, Id, Kind, Literal, Select, SourceInfo, Test};

/// The variable of a comprehension's result; no expression can name it.
pub(super) const ACCUMULATOR: &str = "@result";
/// What it was called once, still not to be used.
const OLD_ACCUMULATOR: &str = "__result__";
const UNUSED: &str = "#unused";
const SORT_INPUT: &str = "@__sortBy_input__";

/// What is wrong, and with which node.
pub(super) struct MacroError {
    pub(super) id: Id,
    pub(super) message: String,
}

type Expansion = Result<Expr, MacroError>;

/// Which macros an environment has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Macros {
    #[default]
    Common,
    /// `cel.bind(name, value, expression)` too.
    WithBind,
}

/// How a macro is found, and what expands it.
struct Macro {
    name: &'static str,
    args: usize,
    style: Style,
    expand: fn(&mut Expander<'_>, Option<Expr>, Vec<Expr>) -> Expansion,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Global,
    Receiver,
}

const fn receiver(
    name: &'static str,
    args: usize,
    expand: fn(&mut Expander<'_>, Option<Expr>, Vec<Expr>) -> Expansion,
) -> Macro {
    Macro { name, args, style: Style::Receiver, expand }
}

const MACROS: [Macro; 20] = [
    Macro { name: "has", args: 1, style: Style::Global, expand: |ex, _, args| ex.has(args) },
    receiver("all", 2, |ex, target, args| ex.quantifier(Quantifier::All, target, args)),
    receiver("exists", 2, |ex, target, args| ex.quantifier(Quantifier::Exists, target, args)),
    receiver("exists_one", 2, |ex, target, args| ex.quantifier(Quantifier::ExistsOne, target, args)),
    receiver("map", 2, |ex, target, args| ex.map(target, args)),
    receiver("map", 3, |ex, target, args| ex.map(target, args)),
    receiver("filter", 2, |ex, target, args| ex.filter(target, args)),
    receiver("all", 3, |ex, target, args| ex.quantifier(Quantifier::All, target, args)),
    receiver("exists", 3, |ex, target, args| ex.quantifier(Quantifier::Exists, target, args)),
    receiver("exists_one", 3, |ex, target, args| ex.quantifier(Quantifier::ExistsOne, target, args)),
    receiver("existsOne", 3, |ex, target, args| ex.quantifier(Quantifier::ExistsOne, target, args)),
    receiver("transformList", 3, |ex, target, args| ex.transform(Transform::List, target, args)),
    receiver("transformList", 4, |ex, target, args| ex.transform(Transform::List, target, args)),
    receiver("transformMap", 3, |ex, target, args| ex.transform(Transform::Map, target, args)),
    receiver("transformMap", 4, |ex, target, args| ex.transform(Transform::Map, target, args)),
    receiver("transformMapEntry", 3, |ex, target, args| ex.transform(Transform::Entry, target, args)),
    receiver("transformMapEntry", 4, |ex, target, args| ex.transform(Transform::Entry, target, args)),
    receiver("optMap", 2, |ex, target, args| ex.optional_map("optMap", target, args)),
    receiver("optFlatMap", 2, |ex, target, args| ex.optional_map("optFlatMap", target, args)),
    receiver("sortBy", 2, |ex, target, args| ex.sort_by(target, args)),
];

#[derive(Clone, Copy)]
enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

#[derive(Clone, Copy)]
enum Transform {
    List,
    Map,
    Entry,
}

/// Expands the call if it is a macro; gives target and arguments back if it is none.
pub(super) fn expand(
    macros: Macros,
    source_info: &mut SourceInfo,
    id: Id,
    name: &str,
    target: Option<Expr>,
    args: Vec<Expr>,
) -> Result<Expansion, (Option<Expr>, Vec<Expr>)> {
    let is_bind = name == "bind" && target.as_ref().and_then(Expr::as_ident) == Some("cel");
    if macros == Macros::WithBind && is_bind && args.len() == 3 {
        return Ok(Expander { source_info, id }.named(args));
    }
    let style = if target.is_some() { Style::Receiver } else { Style::Global };
    let found = MACROS.iter().find(|row| row.name == name && row.args == args.len() && row.style == style);
    match found {
        Some(row) => Ok((row.expand)(&mut Expander { source_info, id }, target, args)),
        None => Err((target, args)),
    }
}

/// What all comprehensions of one macro call share.
struct Expander<'p> {
    source_info: &'p mut SourceInfo,
    id: Id,
}

/// The variables of a loop.
struct Variables {
    iter: String,
    iter2: Option<String>,
}

/// The parts of a loop beside its range and its variables.
struct Loop {
    init: Expr,
    condition: Expr,
    step: Expr,
    result: Expr,
}

impl Expander<'_> {
    /// A node at the place of the macro call.
    fn node(&mut self, kind: Kind) -> Expr {
        let offset = self.source_info.offset(self.id);
        Expr { id: self.source_info.add(offset), kind }
    }

    fn literal(&mut self, value: Literal) -> Expr {
        self.node(Kind::Literal(value))
    }

    fn ident(&mut self, name: &str) -> Expr {
        self.node(Kind::Ident(name.to_owned()))
    }

    fn accu(&mut self) -> Expr {
        self.ident(ACCUMULATOR)
    }

    fn list(&mut self, elements: Vec<Expr>) -> Expr {
        let elements = elements.into_iter().map(|value| Element { value, optional: false }).collect();
        self.node(Kind::List(elements))
    }

    fn call(&mut self, function: &str, args: Vec<Expr>) -> Expr {
        self.node(Kind::Call(Box::new(Call { function: function.to_owned(), target: None, args })))
    }

    fn member(&mut self, function: &str, target: Expr, args: Vec<Expr>) -> Expr {
        self.node(Kind::Call(Box::new(Call { function: function.to_owned(), target: Some(target), args })))
    }

    fn fold(&mut self, range: Option<Expr>, variables: Variables, parts: Loop) -> Expr {
        let range = range.unwrap_or(Expr { id: self.id, kind: Kind::Unspecified });
        let Loop { init, condition, step, result } = parts;
        let Variables { iter, iter2 } = variables;
        let accu = ACCUMULATOR.to_owned();
        self.node(Kind::Comprehension(Box::new(Comprehension {
            range,
            iter,
            iter2,
            accu,
            init,
            condition,
            step,
            result,
        })))
    }

    fn has(&mut self, mut args: Vec<Expr>) -> Expansion {
        let arg = args.swap_remove(0);
        let id = arg.id;
        match arg.kind {
            Kind::Select(select) => {
                let Select { operand, field, .. } = *select;
                Ok(self.node(Kind::Select(Box::new(Select { operand, field, test: Test::Presence }))))
            }
            _ => Err(MacroError { id, message: "invalid argument to has() macro".to_owned() }),
        }
    }

    /// One name, or of two-variable macros two.
    fn variables(&self, args: &[Expr], message: &str) -> Result<Variables, MacroError> {
        let wrong = |arg: &Expr, message: &str| MacroError { id: arg.id, message: message.to_owned() };
        let names: Vec<&str> =
            args.iter().map(|arg| arg.as_ident().ok_or_else(|| wrong(arg, message))).collect::<Result<_, _>>()?;
        if let [one, two] = names[..]
            && one == two
        {
            return Err(MacroError { id: args[1].id, message: format!("duplicate variable name: {one}") });
        }
        for (name, arg) in names.iter().zip(args) {
            if [ACCUMULATOR, OLD_ACCUMULATOR].contains(name) {
                return Err(wrong(arg, "iteration variable overwrites accumulator variable"));
            }
        }
        Ok(Variables { iter: names[0].to_owned(), iter2: names.get(1).map(|name| (*name).to_owned()) })
    }

    fn quantifier(&mut self, quantifier: Quantifier, target: Option<Expr>, mut args: Vec<Expr>) -> Expansion {
        let predicate = args.pop().unwrap_or(Expr { id: self.id, kind: Kind::Unspecified });
        let variables = self.variables(&args, "argument must be a simple name")?;
        let parts = match quantifier {
            Quantifier::All => {
                let init = self.literal(Literal::Bool(true));
                let accu = self.accu();
                let condition = self.call("@not_strictly_false", vec![accu]);
                let accu = self.accu();
                let step = self.call("_&&_", vec![accu, predicate]);
                Loop { init, condition, step, result: self.accu() }
            }
            Quantifier::Exists => {
                let init = self.literal(Literal::Bool(false));
                let accu = self.accu();
                let not = self.call("!_", vec![accu]);
                let condition = self.call("@not_strictly_false", vec![not]);
                let accu = self.accu();
                let step = self.call("_||_", vec![accu, predicate]);
                Loop { init, condition, step, result: self.accu() }
            }
            Quantifier::ExistsOne => {
                let init = self.literal(Literal::Int(0));
                let condition = self.literal(Literal::Bool(true));
                let (accu, one) = (self.accu(), self.literal(Literal::Int(1)));
                let add = self.call("_+_", vec![accu, one]);
                let accu = self.accu();
                let step = self.call("_?_:_", vec![predicate, add, accu]);
                let (accu, one) = (self.accu(), self.literal(Literal::Int(1)));
                Loop { init, condition, step, result: self.call("_==_", vec![accu, one]) }
            }
        };
        Ok(self.fold(target, variables, parts))
    }

    /// `filter ? step : accumulator`, where there is a filter.
    fn filtered(&mut self, filter: Option<Expr>, step: Expr) -> Expr {
        match filter {
            Some(filter) => {
                let accu = self.accu();
                self.call("_?_:_", vec![filter, step, accu])
            }
            None => step,
        }
    }

    /// A loop that begins with an empty list or map and looks at everything.
    fn collect(&mut self, target: Option<Expr>, variables: Variables, init: Expr, step: Expr) -> Expr {
        let condition = self.literal(Literal::Bool(true));
        let result = self.accu();
        self.fold(target, variables, Loop { init, condition, step, result })
    }

    fn append(&mut self, element: Expr, filter: Option<Expr>) -> Expr {
        let (accu, list) = (self.accu(), self.list(vec![element]));
        let step = self.call("_+_", vec![accu, list]);
        self.filtered(filter, step)
    }

    fn map(&mut self, target: Option<Expr>, mut args: Vec<Expr>) -> Expansion {
        let variables = self.variables(&args[..1], "argument is not an identifier")?;
        let transform = args.remove(args.len() - 1);
        let filter = (args.len() == 2).then(|| args.remove(1));
        let init = self.list(Vec::new());
        let step = self.append(transform, filter);
        Ok(self.collect(target, variables, init, step))
    }

    fn filter(&mut self, target: Option<Expr>, mut args: Vec<Expr>) -> Expansion {
        let variables = self.variables(&args[..1], "argument is not an identifier")?;
        let predicate = args.remove(1);
        let element = args.remove(0);
        let init = self.list(Vec::new());
        let step = self.append(element, Some(predicate));
        Ok(self.collect(target, variables, init, step))
    }

    fn transform(&mut self, to: Transform, target: Option<Expr>, mut args: Vec<Expr>) -> Expansion {
        let variables = self.variables(&args[..2], "argument must be a simple name")?;
        let transform = args.remove(args.len() - 1);
        let filter = (args.len() == 3).then(|| args.remove(2));
        let (init, step) = match to {
            Transform::List => {
                let step = self.append(transform, filter);
                (self.list(Vec::new()), step)
            }
            Transform::Map | Transform::Entry => {
                let mut inserted = vec![self.accu()];
                if let Transform::Map = to {
                    inserted.push(self.ident(&variables.iter));
                }
                inserted.push(transform);
                let step = self.call("cel.@mapInsert", inserted);
                let step = self.filtered(filter, step);
                (self.node(Kind::Map(Vec::new())), step)
            }
        };
        Ok(self.collect(target, variables, init, step))
    }

    /// `target.hasValue() ? <result with a variable for target.value()> : optional.none()`
    fn optional_map(&mut self, name: &str, target: Option<Expr>, mut args: Vec<Expr>) -> Expansion {
        let body = args.remove(1);
        let variable = args.remove(0);
        let Some(variable) = variable.as_ident().map(str::to_owned) else {
            let message = format!("{name}() variable name must be a simple identifier");
            return Err(MacroError { id: variable.id, message });
        };
        let target = target.unwrap_or(Expr { id: self.id, kind: Kind::Unspecified });
        let copy = self.copy(&target);
        let has = self.member("hasValue", target, Vec::new());
        let range = self.list(Vec::new());
        let value = self.member("value", copy, Vec::new());
        let mut mapped = self.bind(range, &variable, value, body);
        if name == "optMap" {
            mapped = self.call("optional.of", vec![mapped]);
        }
        let none = self.call("optional.none", Vec::new());
        Ok(self.call("_?_:_", vec![has, mapped, none]))
    }

    /// `cel.bind(name, value, expression)`
    fn named(&mut self, mut args: Vec<Expr>) -> Expansion {
        let (body, value, variable) = (args.remove(2), args.remove(1), args.remove(0));
        let Some(name) = variable.as_ident() else {
            let message = "cel.bind() variable names must be simple identifiers".to_owned();
            return Err(MacroError { id: variable.id, message });
        };
        let range = self.list(Vec::new());
        Ok(self.bind(range, name, value, body))
    }

    /// A comprehension over nothing, whose accumulator is a variable of `body`.
    fn bind(&mut self, range: Expr, variable: &str, value: Expr, body: Expr) -> Expr {
        let condition = self.literal(Literal::Bool(false));
        let step = self.ident(variable);
        self.node(Kind::Comprehension(Box::new(Comprehension {
            range,
            iter: UNUSED.to_owned(),
            iter2: None,
            accu: variable.to_owned(),
            init: value,
            condition,
            step,
            result: body,
        })))
    }

    fn sort_by(&mut self, target: Option<Expr>, args: Vec<Expr>) -> Expansion {
        let target = target.unwrap_or(Expr { id: self.id, kind: Kind::Unspecified });
        let sortable = matches!(
            target.kind,
            Kind::List(_) | Kind::Select(_) | Kind::Ident(_) | Kind::Comprehension(_) | Kind::Call(_)
        );
        if !sortable {
            let message = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return Err(MacroError { id: target.id, message: message.to_owned() });
        }
        let input = self.ident(SORT_INPUT);
        let keys = self.map(Some(input), args)?;
        let input = self.ident(SORT_INPUT);
        let sorted = self.member("@sortByAssociatedKeys", input, vec![keys]);
        let range = self.list(Vec::new());
        Ok(self.bind(range, SORT_INPUT, target, sorted))
    }

    /// The same tree with numbers of its own.
    fn copy(&mut self, expr: &Expr) -> Expr {
        let offset = self.source_info.offset(expr.id);
        let id = self.source_info.add(offset);
        let kind = match &expr.kind {
            Kind::Literal(_) | Kind::Ident(_) | Kind::Unspecified => expr.kind.clone(),
            Kind::Select(select) => Kind::Select(Box::new(Select {
                operand: self.copy(&select.operand),
                field: select.field.clone(),
                test: select.test,
            })),
            Kind::Call(call) => {
                let args = call.args.iter().map(|arg| self.copy(arg)).collect();
                let target = call.target.as_ref().map(|target| self.copy(target));
                Kind::Call(Box::new(Call { function: call.function.clone(), target, args }))
            }
            Kind::List(elements) => Kind::List(
                elements
                    .iter()
                    .map(|element| Element { value: self.copy(&element.value), optional: element.optional })
                    .collect(),
            ),
            Kind::Map(entries) => Kind::Map(
                entries
                    .iter()
                    .map(|entry| Entry {
                        key: self.copy(&entry.key),
                        value: self.copy(&entry.value),
                        optional: entry.optional,
                    })
                    .collect(),
            ),
            Kind::Struct(name, fields) => Kind::Struct(
                name.clone(),
                fields
                    .iter()
                    .map(|field| Field { id: field.id, name: field.name.clone(), value: self.copy(&field.value) })
                    .collect(),
            ),
            Kind::Comprehension(fold) => Kind::Comprehension(Box::new(Comprehension {
                range: self.copy(&fold.range),
                iter: fold.iter.clone(),
                iter2: fold.iter2.clone(),
                accu: fold.accu.clone(),
                init: self.copy(&fold.init),
                condition: self.copy(&fold.condition),
                step: self.copy(&fold.step),
                result: self.copy(&fold.result),
            })),
        };
        Expr { id, kind }
    }
}
