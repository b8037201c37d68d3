//! Expressions that select devices: what they may speak of, and what they may cost. Not here: the engine (`api::cel`).

use std::sync::{Arc, LazyLock};

use super::super::{
    error_list::ErrorList,
    field_path::{FieldPath, Nth},
    rule::{Rule, with},
};
use crate::api::cel::{self, DeclType, Env, Type, decl::Text};

pub(super) static RULES: &[Rule] = &[with("resource.v1.DeviceSelector", selector, &[])];

const EXPRESSION_BYTES_MAX: usize = 10 * 1024;
const COST_MAX: u64 = 1_000_000;
/// Of attributes and capacities of one device.
const ENTRIES_MAX: i64 = 32;
const ATTRIBUTE_BYTES_MAX: i64 = 64;
const DRIVER_BYTES_MAX: i64 = 63;

static DEVICE: LazyLock<Env> = LazyLock::new(|| {
    let by_domain = |of: DeclType| {
        let within = DeclType::map(of, Some(ENTRIES_MAX));
        DeclType::map(within, Some(ENTRIES_MAX))
    };
    let mut driver = DeclType::string(&Text::default());
    driver.max_elements = DRIVER_BYTES_MAX;
    let device = Arc::new(DeclType::record(
        "kubernetes.DRADevice",
        [
            ("driver", driver),
            ("attributes", by_domain(DeclType::any(ATTRIBUTE_BYTES_MAX))),
            ("capacity", by_domain(DeclType::quantity())),
        ],
    ));
    Env::new().declare("device", &device).sized_by(&device).with_bind()
});

fn selector<'t>(path: &FieldPath<'_, 't>, errors: &mut ErrorList<'t>) {
    let Some(cel) = path.child("cel") else { return errors.required(path, "cel", "") };
    let cel = path.below("cel", Nth::Only, cel);
    let expression = cel.text("expression");
    if expression.len() > EXPRESSION_BYTES_MAX {
        return errors.too_long(&cel, "expression", EXPRESSION_BYTES_MAX);
    }
    match cost(expression) {
        Err(why) => errors.invalid(&cel, "expression", expression, why),
        Ok(cost) if cost > COST_MAX => errors.forbidden(&cel, "expression", "too complex, exceeds cost limit"),
        Ok(_) => {}
    }
}

/// What an expression may cost at most; or why it selects no devices.
fn cost(expression: &str) -> Result<u64, String> {
    let compiled = cel::compile(expression, &DEVICE).map_err(|issues| format!("compilation failed: {issues}"))?;
    let found = compiled.output_type();
    if !matches!(found, Type::Bool | Type::Any) {
        return Err(format!("must evaluate to bool or the unknown type, not {found}"));
    }
    compiled.program().map_err(|why| format!("program instantiation failed: {why}"))?;
    Ok(compiled.estimate().max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_about_devices_are_told_from_others() {
        for good in [
            "true",
            "device.driver == 'gpu.example.com'",
            "device.attributes['gpu.example.com'].healthy",
            "cel.bind(gpu, device.attributes['gpu.example.com'], gpu.healthy && gpu.model == 'a')",
            "device.attributes['gpu.example.com'].model == 'a' && 'x' in device.attributes",
            "device.capacity['gpu.example.com'].memory.isGreaterThan(quantity('1Gi'))",
        ] {
            assert!(cost(good).is_ok_and(|cost| cost <= COST_MAX), "{good}: {:?}", cost(good));
        }
        for (bad, why) in [
            ("1", "must evaluate to bool or the unknown type, not int"),
            ("device.driver", "must evaluate to bool or the unknown type, not string"),
            ("device.nosuch == 1", "compilation failed: ERROR: <input>:1:7: undefined field 'nosuch'"),
            ("", "compilation failed: ERROR: <input>:1:0: Syntax error"),
        ] {
            let said = cost(bad).err().unwrap_or_default();
            assert!(said.starts_with(why), "{bad}: {said}");
        }
        assert!(cost("device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, device.attributes.all(e, a == b)))))").is_ok_and(|cost| cost > COST_MAX));
    }
}
