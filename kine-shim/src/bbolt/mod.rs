//! bbolt's file format, version 2: what etcd keeps its database in, and what its snapshots are. In go buckets of keys
//! and values, out comes a file, and the other way round. What the buckets mean is not known here (see `migrate`).
//!
//! Source: go.etcd.io/bbolt 1.4, internal/common. A file is pages of one size. The first two are meta pages; each names
//! the root page of a B+tree whose values are buckets: the root page of a tree of their own, or, if small, that page
//! itself. Numbers are little-endian.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use self::{
    read::{Cursor, Db, ReadError},
    write::{Builder, Layout, Value},
};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// No page lists the free ones; whoever opens the file finds them by walking the trees, as in every file of etcd.
const NO_FREELIST: u64 = u64::MAX;

/// Page id, flags, count of elements, pages that follow as part of this one.
const PAGE_HEADER: usize = 16;
/// Flags, position, key size, value size; the position counts from the element's own start.
const LEAF_ELEMENT: usize = 16;
/// Position, key size, page id.
const BRANCH_ELEMENT: usize = 16;
/// Root page id and a sequence that etcd does not use.
const BUCKET_HEADER: usize = 16;
/// Magic, version, page size, flags, root bucket, freelist, number of pages, transaction, checksum.
const META_LEN: usize = 64;

const BRANCH_PAGE: u16 = 0x01;
const LEAF_PAGE: u16 = 0x02;
const META_PAGE: u16 = 0x04;
const BUCKET_FLAG: u32 = 0x01;

/// Of a meta page, over what stands before it.
fn checksum(meta: &[u8]) -> u64 {
    meta.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
