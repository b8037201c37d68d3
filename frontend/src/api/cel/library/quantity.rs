//! Functions of quantities.

use std::cmp::Ordering;

use super::{
    super::{
        opaque::quantity::Quantity,
        value::{Evaluated, Val, fail, no_such_overload},
    },
    row::{Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("string_to_quantity", "quantity(string) kubernetes.Quantity", to_quantity),
    row("is_quantity_string", "isQuantity(string) bool", is_quantity),
    row("quantity_sign", "sign(kubernetes.Quantity) int", sign),
    row("quantity_is_greater_than", "kubernetes.Quantity::isGreaterThan(kubernetes.Quantity) bool", |args| {
        compared(args, |order| Val::Bool(order.is_gt()))
    }),
    row("quantity_is_less_than", "kubernetes.Quantity::isLessThan(kubernetes.Quantity) bool", |args| {
        compared(args, |order| Val::Bool(order.is_lt()))
    }),
    row("quantity_compare_to", "kubernetes.Quantity::compareTo(kubernetes.Quantity) int", |args| {
        compared(args, |order| Val::Int(order as i64))
    }),
    row("quantity_get_float", "kubernetes.Quantity::asApproximateFloat() double", as_float),
    row("quantity_get_int", "kubernetes.Quantity::asInteger() int", as_integer),
    row("quantity_is_integer", "kubernetes.Quantity::isInteger() bool", is_integer),
    row("quantity_add", "kubernetes.Quantity::add(kubernetes.Quantity) kubernetes.Quantity", add),
    row("quantity_add_int", "kubernetes.Quantity::add(int) kubernetes.Quantity", add),
    row("quantity_sub", "kubernetes.Quantity::sub(kubernetes.Quantity) kubernetes.Quantity", sub),
    row("quantity_sub_int", "kubernetes.Quantity::sub(int) kubernetes.Quantity", sub),
];

fn to_quantity<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    Quantity::parse(text).map_or_else(fail, |quantity| Ok(Val::Quantity(quantity.into())))
}

fn is_quantity<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(text)] = args else { return no_such_overload() };
    Ok(Val::Bool(Quantity::parse(text).is_ok()))
}

fn sign<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    Ok(Val::Int(quantity.sign()))
}

fn compared<'a>(args: &[Val<'a>], result: fn(Ordering) -> Val<'a>) -> Evaluated<'a> {
    match args {
        [Val::Quantity(a), Val::Quantity(b)] => Ok(result(a.compare(b))),
        _ => no_such_overload(),
    }
}

fn as_float<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    Ok(Val::Double(quantity.as_f64()))
}

fn as_integer<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    match quantity.as_i64() {
        Some(number) => Ok(Val::Int(number)),
        None => fail("cannot convert value to integer"),
    }
}

fn is_integer<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Quantity(quantity)] = args else { return no_such_overload() };
    Ok(Val::Bool(quantity.as_i64().is_some()))
}

fn sum<'a>(args: &[Val<'a>], sum: fn(&Quantity, &Quantity) -> Quantity) -> Evaluated<'a> {
    let (quantity, other) = match args {
        [Val::Quantity(quantity), Val::Quantity(other)] => (quantity, **other),
        [Val::Quantity(quantity), Val::Int(other)] => (quantity, Quantity::of_int(*other)),
        _ => return no_such_overload(),
    };
    Ok(Val::Quantity(sum(quantity, &other).into()))
}

fn add<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    sum(args, Quantity::plus)
}

fn sub<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    sum(args, Quantity::minus)
}
