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
    in_circle: bool,
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

    /// Raises every room above those that it uses. Rooms that use each other in a circle lie on one floor.
    fn find_floors(&mut self) {
        let uses: BTreeMap<&String, &BTreeSet<String>> =
            self.rooms.iter().map(|(name, room)| (name, &room.uses)).collect();
        let reached = |from: &String| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(at) = open.pop() {
                open.extend(
                    uses.get(&at).into_iter().copied().flatten().filter(|to| reached.insert((*to).clone())).cloned(),
                );
            }
            reached
        };
        let reach: BTreeMap<String, BTreeSet<String>> =
            self.rooms.keys().map(|name| (name.clone(), reached(name))).collect();
        let is_circle = |a: &String, b: &String| reach[a].contains(b) && reach[b].contains(a);
        for _ in 0..self.rooms.len() {
            let floors: BTreeMap<String, usize> =
                self.rooms.iter().map(|(name, room)| (name.clone(), room.floor)).collect();
            for (name, room) in &mut self.rooms {
                let circle = || reach.keys().filter(|other| is_circle(name, other));
                let above = room.uses.iter().filter(|other| !is_circle(name, other)).map(|other| floors[other] + 1);
                room.floor = above.chain(circle().map(|other| floors[other])).max().unwrap_or(0).max(room.floor);
                room.in_circle = circle().next().is_some();
            }
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
            "{name}: {rooms} rooms on {} floors, {arrows} arrows between them, {} rooms in circles, {files} files, {lines} lines",
            floors.len(),
            self.rooms.values().filter(|room| room.in_circle).count()
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
