//! What is written is read again, whatever its shape, and no file, however damaged, does more than fail to be read.

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Builder, Cursor, Db, Layout, ReadError};

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;
type Items = Vec<(Bytes, Bytes)>;

fn put_all(builder: &mut Builder, buckets: &[(&'static str, Bucket)]) -> Layout {
    for (name, items) in buckets {
        builder.bucket(name);
        for (key, value) in items {
            builder.put(key, &value[..]);
        }
    }
    builder.finish()
}

fn file_of(buckets: &[(&'static str, Bucket)]) -> Vec<u8> {
    let layout = put_all(&mut Builder::measuring(), buckets);
    let mut builder = Builder::writing(&layout);
    assert_eq!(put_all(&mut builder, buckets), layout, "both runs lay the file out alike");
    assert_eq!(builder.ready() as u64, layout.bytes());
    let mut file = Vec::new();
    while builder.ready() > 0 {
        file.extend(builder.take(10_000));
    }
    file
}

fn rest(mut cursor: Cursor<'_>) -> Result<Items, ReadError> {
    let mut items = Vec::new();
    while let Some(item) = cursor.next()? {
        items.push(item);
    }
    Ok(items)
}

/// Everything that a file holds.
fn read(path: &Path) -> Result<Vec<(Bytes, Items)>, ReadError> {
    let db = Db::open(path)?;
    let mut all = Vec::new();
    for name in db.buckets()? {
        let text = std::str::from_utf8(&name).map_err(|_| ReadError::Corrupt("a name".into()))?;
        let items = db.bucket(text)?.map(rest).transpose()?.unwrap_or_default();
        all.push((name, items));
    }
    Ok(all)
}

fn some_bucket(rng: &mut StdRng, items: usize, value_max: usize) -> Bucket {
    let bytes =
        |rng: &mut StdRng, max: usize| (0..rng.random_range(0..=max)).map(|_| rng.random()).collect::<Vec<u8>>();
    let mut bucket = Bucket::new();
    while bucket.len() < items {
        let mut key = bytes(rng, 24);
        key.push(rng.random());
        bucket.insert(key, bytes(rng, value_max));
    }
    bucket
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    // None, inside the parent, a page, a branch, branches over branches; small values and such that take several pages.
    let shapes = [(0, 0), (1, 10), (30, 10), (40, 60), (3_000, 40), (30_000, 8), (200, 5_000), (3, 1_500_000)];
    for (seed, (items, value_max)) in shapes.into_iter().enumerate() {
        let mut rng = StdRng::seed_from_u64(seed as u64);
        let buckets = [
            ("alarm", Bucket::new()),
            ("key", some_bucket(&mut rng, items, value_max)),
            ("lease", some_bucket(&mut rng, items / 7, value_max / 3)),
            ("meta", some_bucket(&mut rng, 3, 20)),
        ];
        fs::write(&path, file_of(&buckets)).unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found.len(), buckets.len(), "seed {seed}");
        for ((found_name, found), (name, expected)) in found.into_iter().zip(&buckets) {
            assert_eq!(found_name, name.as_bytes(), "seed {seed}");
            assert_eq!(found.len(), expected.len(), "seed {seed}, bucket {name}");
            let same =
                found.iter().zip(expected).all(|(found, expected)| found.0 == expected.0 && found.1 == expected.1);
            assert!(same, "seed {seed}, bucket {name}");
        }
        assert!(Db::open(&path).unwrap().bucket("nothing").unwrap().is_none());
    }
}

#[test]
fn a_damaged_file_is_refused_or_read_and_never_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mut rng = StdRng::seed_from_u64(7);
    let buckets =
        [("key", some_bucket(&mut rng, 900, 60)), ("lease", some_bucket(&mut rng, 5, 9_000)), ("meta", Bucket::new())];
    let sound = file_of(&buckets);
    let mut refused = 0;
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut damaged = sound.clone();
        // Meta pages carry a sum; most harm is done behind them.
        for _ in 0..rng.random_range(1..4) {
            let at = if rng.random_range(0..8) == 0 {
                rng.random_range(0..8_192)
            } else {
                rng.random_range(8_192..sound.len())
            };
            // Headers and elements are worth more hits than values.
            let at = if rng.random() { at & !4_095 | rng.random_range(0..64) } else { at };
            damaged[at] ^= 1 << rng.random_range(0..8);
        }
        if rng.random_range(0..5) == 0 {
            damaged.truncate(rng.random_range(0..sound.len()));
        }
        fs::write(&path, &damaged).unwrap();
        println!("seed {seed}");
        refused += usize::from(read(&path).is_err());
    }
    assert!(refused > 150, "only {refused} damaged files were noticed");
}

/// A valid sum over numbers that make no sense.
#[test]
fn a_forged_meta_page_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let sound = file_of(&[("key", some_bucket(&mut StdRng::seed_from_u64(1), 900, 60))]);
    // Offsets inside the page: page size, root, pages.
    for (at, forged) in
        [(24, u64::MAX), (24, 0), (24, 3), (32, 0), (32, 1), (32, u64::MAX), (56, u64::MAX), (56, 0), (56, 3)]
    {
        let mut file = sound.clone();
        for page in [0, 4_096] {
            file[page + at..page + at + 8].copy_from_slice(&forged.to_le_bytes());
            let sum = super::checksum(&file[page + 16..page + 72]);
            file[page + 72..page + 80].copy_from_slice(&sum.to_le_bytes());
        }
        fs::write(&path, &file).unwrap();
        assert!(read(&path).is_err(), "{forged} at {at}");
    }
}

/// A page that is its own child must not keep the reader for ever.
#[test]
fn a_tree_that_bites_its_tail_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let sound = file_of(&[("key", some_bucket(&mut StdRng::seed_from_u64(1), 900, 60))]);
    let branches: Vec<_> = (2..sound.len() / 4_096).filter(|page| sound[page * 4_096 + 8] == 1).collect();
    for page in branches {
        let mut file = sound.clone();
        let child = page * 4_096 + 16 + 8;
        file[child..child + 8].copy_from_slice(&(page as u64).to_le_bytes());
        fs::write(&path, &file).unwrap();
        assert!(matches!(read(&path), Err(ReadError::Corrupt(_))));
    }
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for file in [&b""[..], b"SQLite format 3\0", &[0; 100_000]] {
        fs::write(&path, file).unwrap();
        assert!(matches!(read(&path), Err(ReadError::Foreign(_))));
    }
}
