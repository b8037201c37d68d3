//! From the text of an expression to something that runs.

use super::{
    ast::Kind,
    checker::{self, Checked},
    cost::{self, CostRange},
    env::Env,
    eval::{LazyFields, Machine, Slot},
    parser, plan,
    source::Issues,
    types::Type,
    validators,
    value::{Evaluated, Val},
};

/// The limit of one evaluation.
pub const CALL_COST_MAX: u64 = 1_000_000;

/// An expression whose types are right.
pub struct Compiled {
    checked: Checked,
    env: Env,
}

/// Parses an expression and finds its types.
pub fn compile(source: &str, env: &Env) -> Result<Compiled, Issues> {
    let ast = parser::parse(source, env.macros())?;
    let checked = checker::check(source, ast, env)?;
    validators::validate(source, &checked)?;
    Ok(Compiled { checked, env: env.clone() })
}

impl Compiled {
    pub fn output_type(&self) -> &Type {
        self.checked.type_of(&self.checked.root)
    }

    /// Whether the expression speaks of a variable.
    pub fn uses(&self, variable: &str) -> bool {
        let mut found = false;
        self.checked.root.walk(&mut |expr| found |= expr.as_ident() == Some(variable));
        found
    }

    /// Whether the expression reads a field of a variable, and be it to see whether it is there.
    pub fn reads(&self, variable: &str, field: &str) -> bool {
        let mut found = false;
        self.checked.root.walk(&mut |expr| {
            found |= match &expr.kind {
                Kind::Select(select) => select.operand.as_ident() == Some(variable) && select.field == field,
                Kind::Call(call) if call.function == "_?._" => match call.args.as_slice() {
                    [operand, name] => operand.as_ident() == Some(variable) && name.as_string() == Some(field),
                    _ => false,
                },
                _ => false,
            }
        });
        found
    }

    /// What an evaluation costs at least and at most, by the declared sizes.
    pub fn estimate(&self) -> CostRange {
        cost::estimate(&self.checked, &self.env)
    }

    /// The error says why it cannot run though its types are right: a literal that converts to nothing, for example.
    pub fn program(&self) -> Result<Program, String> {
        Ok(Program { plan: plan::plan(&self.checked, &self.env)? })
    }
}

/// An expression that is ready to run, any number of times and anywhere.
pub struct Program {
    plan: plan::Plan,
}

/// Values of variables for one run.
#[derive(Default)]
pub struct Activation<'a, 'm> {
    values: Vec<(&'m str, Val<'a>)>,
    lazy: Option<&'m dyn LazyFields<'a>>,
}

impl<'a, 'm> Activation<'a, 'm> {
    pub fn new() -> Activation<'a, 'm> {
        Activation::default()
    }

    pub fn with(mut self, name: &'m str, val: Val<'a>) -> Activation<'a, 'm> {
        self.values.push((name, val));
        self
    }

    /// The fields of the variable that was declared lazy.
    pub fn lazy(mut self, fields: &'m dyn LazyFields<'a>) -> Activation<'a, 'm> {
        self.lazy = Some(fields);
        self
    }
}

/// The end of a run.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub result: Evaluated<'a>,
    pub cost: u64,
}

impl Program {
    /// Stops with an error when the run has cost more than `limit`.
    pub fn eval<'a>(&'a self, activation: &Activation<'a, '_>, limit: u64) -> Outcome<'a> {
        let value =
            |name: &String| activation.values.iter().find(|(known, _)| known == name).map(|(_, val)| val.clone());
        let mut machine = Machine {
            variables: self.plan.variables.iter().map(value).collect(),
            names: &self.plan.variables,
            lazy: activation.lazy,
            locals: vec![Slot::Empty; self.plan.slots],
            cost: 0,
            limit,
        };
        let result = machine.eval(&self.plan.root);
        Outcome { result, cost: machine.cost }
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("variables", &self.plan.variables).finish_non_exhaustive()
    }
}
