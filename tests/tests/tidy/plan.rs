//! The plan of a crate: its rooms (top-level modules), how large they are, which uses which, and on which floor each
//! lies.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Formatter, Result},
};

use crate::{
    graph::{self, Arrows},
    source::Crate,
};

pub(crate) struct Plan {
    name: String,
    rooms: BTreeMap<String, Room>,
}

#[derive(Default)]
struct Room {
    files: usize,
    lines: usize,
    uses: BTreeSet<String>,
    /// 0 for a room that uses no other; else one more than the highest of those that it uses.
    floor: usize,
}

impl Plan {
    pub(crate) fn of(own: &Crate) -> Plan {
        let mut rooms: BTreeMap<String, Room> = BTreeMap::new();
        for (path, module) in &own.modules {
            let Some(name) = path.first() else { continue };
            let room = rooms.entry(name.clone()).or_default();
            room.files += 1;
            room.lines += module.text.lines().count();
        }
        let arrows: Arrows = graph::arrows(own);
        for (from, to) in &arrows {
            let Some(room) = from.first().and_then(|name| rooms.get_mut(name)) else { continue };
            let others = to.keys().filter_map(|path| path.first()).filter(|other| Some(*other) != from.first());
            room.uses.extend(others.cloned());
        }
        let mut plan = Plan { name: own.name.clone(), rooms };
        plan.find_floors();
        plan
    }

    /// Raises every room above those that it uses. In a circle of rooms nobody is highest: there it ends after as many
    /// rounds as there are rooms.
    fn find_floors(&mut self) {
        for _ in 0..self.rooms.len() {
            let floors: BTreeMap<String, usize> =
                self.rooms.iter().map(|(name, room)| (name.clone(), room.floor)).collect();
            let above = |room: &Room| room.uses.iter().filter_map(|other| floors.get(other)).max().map_or(0, |f| f + 1);
            let last = self.rooms.len() - 1;
            self.rooms.values_mut().for_each(|room| room.floor = above(room).min(last));
        }
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let floors: BTreeSet<usize> = self.rooms.values().map(|room| room.floor).collect();
        let sum = |of: fn(&Room) -> usize| self.rooms.values().map(of).sum::<usize>();
        let (files, lines, arrows) = (sum(|room| room.files), sum(|room| room.lines), sum(|room| room.uses.len()));
        let (name, rooms) = (&self.name, self.rooms.len());
        writeln!(
            f,
            "{name}: {rooms} rooms on {} floors, {arrows} arrows between them, {files} files, {lines} lines",
            floors.len()
        )?;
        let mut sorted: Vec<(&String, &Room)> = self.rooms.iter().collect();
        sorted.sort_by_key(|(name, room)| (room.floor, *name));
        writeln!(f, "{:>5}  {:<12} {:>5} {:>6}  uses", "floor", "room", "files", "lines")?;
        for (name, room) in sorted {
            let uses: Vec<&str> = room.uses.iter().map(String::as_str).collect();
            writeln!(f, "{:>5}  {name:<12} {:>5} {:>6}  {}", room.floor, room.files, room.lines, uses.join(" "))?;
        }
        Ok(())
    }
}
