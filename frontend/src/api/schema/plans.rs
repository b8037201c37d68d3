//! What is to be done in which built-in struct, found once: an engine that walks an object looks a struct up here and
//! goes only where there is something to do. Structs that are added at run time have no plan.

use std::collections::{HashMap, HashSet};

use super::{
    builtin,
    tables::{Field, StructDef, StructRef},
};

pub struct Plan<W> {
    /// What is to be done in the struct itself.
    pub work: W,
    /// Slots below which something is to be done.
    pub visit: Vec<usize>,
}

/// Plans by the address of the definition, which lives as long as the program.
pub struct Plans<W>(HashMap<usize, Plan<W>>);

impl<W> Plans<W> {
    /// `work_in` tells for a struct and its name ("core.v1.PodSpec": package without "api.", struct) the work, and
    /// whether there is any.
    pub fn new(mut work_in: impl FnMut(&StructRef, &str) -> (W, bool)) -> Self {
        let structs = all_structs();
        let (mut plans, mut busy) = (HashMap::new(), HashSet::new());
        for (at, def) in &structs {
            let name = format!("{}.{}", def.package.strip_prefix("api.").unwrap_or(&def.package), def.name);
            let (work, is_any) = work_in(def, &name);
            if is_any {
                busy.insert(*at);
            }
            plans.insert(*at, Plan { work, visit: Vec::new() });
        }
        let leads_on = |field: &Field, busy: &HashSet<usize>| {
            field.struct_ref().is_some_and(|inner| busy.contains(&address(inner)))
        };
        // Repeated until nothing is added, since types may contain themselves.
        loop {
            let before = busy.len();
            for (at, def) in &structs {
                if def.fields.iter().any(|field| leads_on(field, &busy)) {
                    busy.insert(*at);
                }
            }
            if busy.len() == before {
                break;
            }
        }
        plans.retain(|at, _| busy.contains(at));
        for (at, plan) in &mut plans {
            let fields = structs[at].fields.iter().enumerate();
            plan.visit = fields.filter(|(_, field)| leads_on(field, &busy)).map(|(slot, _)| slot).collect();
        }
        Self(plans)
    }

    /// `None`: nothing is to be done in it, nor below it.
    pub fn of(&self, def: &StructDef) -> Option<&Plan<W>> {
        self.0.get(&address(def))
    }
}

fn address(def: &StructDef) -> usize {
    std::ptr::from_ref(def).addr()
}

fn all_structs() -> HashMap<usize, StructRef> {
    let mut structs = HashMap::new();
    let mut open: Vec<StructRef> = builtin::KINDS.iter().map(|kind| kind.root.clone()).collect();
    while let Some(def) = open.pop() {
        let inner: Vec<StructRef> = def.fields.iter().filter_map(Field::struct_ref).cloned().collect();
        if structs.insert(address(&def), def).is_none() {
            open.extend(inner);
        }
    }
    structs
}
