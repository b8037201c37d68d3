//! Functions of named formats: `format.dns1123Label().validate(name)`.

use super::{
    super::{
        opaque::named_format::NAMED,
        value::{Evaluated, Val, no_such_overload},
    },
    row::{Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("format-validate", "kubernetes.NamedFormat::validate(string) optional(list(string))", validate),
    row("format-named", "format.named(string) optional(kubernetes.NamedFormat)", named),
    row("format.dns1123Label", "format.dns1123Label() kubernetes.NamedFormat", |_| by_place(0)),
    row("format.dns1123Subdomain", "format.dns1123Subdomain() kubernetes.NamedFormat", |_| by_place(1)),
    row("format.dns1035Label", "format.dns1035Label() kubernetes.NamedFormat", |_| by_place(2)),
    row("format.qualifiedName", "format.qualifiedName() kubernetes.NamedFormat", |_| by_place(3)),
    row("format.dns1123LabelPrefix", "format.dns1123LabelPrefix() kubernetes.NamedFormat", |_| by_place(4)),
    row("format.dns1123SubdomainPrefix", "format.dns1123SubdomainPrefix() kubernetes.NamedFormat", |_| by_place(5)),
    row("format.dns1035LabelPrefix", "format.dns1035LabelPrefix() kubernetes.NamedFormat", |_| by_place(6)),
    row("format.labelValue", "format.labelValue() kubernetes.NamedFormat", |_| by_place(7)),
    row("format.uri", "format.uri() kubernetes.NamedFormat", |_| by_place(8)),
    row("format.uuid", "format.uuid() kubernetes.NamedFormat", |_| by_place(9)),
    row("format.byte", "format.byte() kubernetes.NamedFormat", |_| by_place(10)),
    row("format.date", "format.date() kubernetes.NamedFormat", |_| by_place(11)),
    row("format.datetime", "format.datetime() kubernetes.NamedFormat", |_| by_place(12)),
];

fn by_place<'a>(at: usize) -> Evaluated<'a> {
    Ok(Val::Format(&NAMED[at]))
}

fn validate<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Format(format), Val::Str(text)] = args else { return no_such_overload() };
    let messages = (format.messages)(text);
    if messages.is_empty() {
        return Ok(Val::none());
    }
    Ok(Val::some(Val::from(messages.into_iter().map(Val::from).collect::<Vec<_>>())))
}

fn named<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    let [Val::Str(name)] = args else { return no_such_overload() };
    Ok(match NAMED.iter().find(|format| format.function == &**name) {
        Some(format) => Val::some(Val::Format(format)),
        None => Val::none(),
    })
}
