//! What a key costs. Run by name: `cargo test -p kine-shim --release --lib state::tests::weight -- --ignored
//! --nocapture`.

use std::time::Instant;

use super::{batch_id, key, put};
use crate::{model::Op, state::State};

const KEYS: usize = 1_000_000;

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
#[ignore = "a measurement, not a check"]
fn bytes_a_key() {
    let name = |at: usize| format!("/registry/pods/namespace-{}/pod-{}", at % 1_000, at.wrapping_mul(7_919) % KEYS);
    let before = resident_bytes();
    let start = Instant::now();
    let mut state = State::new();
    for batch in 0..KEYS / 1_000 {
        let mut draft = state.draft();
        for at in 0..1_000 {
            draft.evaluate(&Op::Put(put(&name(batch * 1_000 + at), ""))).unwrap();
        }
        state = draft.finish(batch_id(batch as u64), batch_id(0), 0).1;
    }
    let written = start.elapsed();
    let whole = (resident_bytes() - before) / state.len();
    let start = Instant::now();
    let revision = state.revision();
    super::commit(&mut state, Op::Compact { revision }).unwrap();
    let compacted = start.elapsed();
    let left = (resident_bytes() - before) / state.len();
    let start = Instant::now();
    let listed = state.range(&super::read(super::everything())).unwrap().kvs.len();
    println!(
        "{} keys of about {} bytes: {whole} bytes each, {left} after compaction; written in {written:?}, \
         compacted in {compacted:?}, {listed} listed in {:?}",
        state.len(),
        key(&name(KEYS / 2)).len(),
        start.elapsed()
    );
}
