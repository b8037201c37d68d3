//! Reading a file that may be anything: in goes a path, out come buckets and their items in order, or what is wrong
//! with the file. Every number in it is checked before it is used; no page is visited more often than a sound file
//! would ask for. Pages are read as they are needed, so that the file may be larger than the memory.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use bytes::{Buf, Bytes, BytesMut};

use super::{
    BRANCH_ELEMENT, BRANCH_PAGE, BUCKET_FLAG, BUCKET_HEADER, LEAF_ELEMENT, LEAF_PAGE, MAGIC, META_LEN, PAGE_HEADER,
    VERSION, checksum,
};

const PAGE_BYTES_MIN: usize = 1024;
const PAGE_BYTES_MAX: usize = 64 << 10;
/// Far above any value that a request limit lets through.
const ITEM_BYTES_MAX: usize = 1 << 30;
/// A branch has at least two children on average; nobody has 2^40 pages.
const DEPTH_MAX: usize = 40;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("not a database file of etcd: {0}")]
    Foreign(&'static str),
    #[error("the file is damaged: {0}")]
    Corrupt(String),
}

fn corrupt(what: impl Into<String>) -> ReadError {
    ReadError::Corrupt(what.into())
}

pub struct Db {
    file: File,
    page_bytes: usize,
    pages: u64,
    root: u64,
}

struct Meta {
    page_bytes: usize,
    root: u64,
    pages: u64,
    transaction: u64,
}

impl Db {
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let first = read_meta(&file, 0)?;
        let sizes = (0..).map(|shift| PAGE_BYTES_MIN << shift).take_while(|size| *size <= PAGE_BYTES_MAX);
        let mut metas: Vec<Meta> = first.into_iter().collect();
        for size in sizes {
            let second = read_meta(&file, size as u64)?.filter(|meta| meta.page_bytes == size);
            metas.extend(second);
        }
        let newest = metas.into_iter().max_by_key(|meta| meta.transaction);
        let Meta { page_bytes, root, pages, .. } = newest.ok_or(ReadError::Foreign("it has no valid meta page"))?;
        if pages.checked_mul(page_bytes as u64).is_none_or(|needed| needed > bytes) {
            return Err(corrupt(format!("it should have {pages} pages of {page_bytes} bytes, but has {bytes} bytes")));
        }
        Ok(Self { file, page_bytes, pages, root })
    }

    /// Bytes of the database in the file; a hash may follow.
    pub fn bytes(&self) -> u64 {
        self.pages * self.page_bytes as u64
    }

    /// The names of all buckets, in order.
    pub fn buckets(&self) -> Result<Vec<Bytes>, ReadError> {
        let mut names = Vec::new();
        let mut cursor = Cursor::at(self, self.root)?;
        while let Some((name, _)) = cursor.next_flagged(BUCKET_FLAG)? {
            names.push(name);
        }
        Ok(names)
    }

    /// The items of a bucket; `None` when there is no such bucket.
    pub fn bucket(&self, name: &str) -> Result<Option<Cursor<'_>>, ReadError> {
        let mut cursor = Cursor::at(self, self.root)?;
        while let Some((found, mut value)) = cursor.next_flagged(BUCKET_FLAG)? {
            if found != name.as_bytes() {
                continue;
            }
            if value.len() < BUCKET_HEADER {
                return Err(corrupt("a bucket without its header"));
            }
            let root = value.get_u64_le();
            value.advance(8);
            return Ok(Some(if root == 0 { Cursor::on(self, Page::parse(value)?) } else { Cursor::at(self, root)? }));
        }
        Ok(None)
    }

    fn page(&self, id: u64) -> Result<Page, ReadError> {
        if id < 2 || id >= self.pages {
            return Err(corrupt(format!("page {id} lies outside")));
        }
        let at = id * self.page_bytes as u64;
        let mut bytes = BytesMut::zeroed(self.page_bytes);
        self.file.read_exact_at(&mut bytes, at)?;
        let mut header = &bytes[..PAGE_HEADER];
        let found = header.get_u64_le();
        header.advance(4);
        let overflow = u64::from(header.get_u32_le());
        if found != id {
            return Err(corrupt(format!("page {id} calls itself {found}")));
        }
        let last = id.checked_add(overflow).filter(|last| *last < self.pages);
        let size = usize::try_from(overflow + 1).ok().and_then(|pages| pages.checked_mul(self.page_bytes));
        match size.filter(|size| last.is_some() && *size <= ITEM_BYTES_MAX) {
            None => Err(corrupt(format!("page {id} is too long"))),
            Some(size) => {
                bytes.resize(size, 0);
                self.file.read_exact_at(&mut bytes[self.page_bytes..], at + self.page_bytes as u64)?;
                Page::parse(bytes.freeze())
            }
        }
    }
}

/// `None` when no valid meta page stands there.
fn read_meta(file: &File, at: u64) -> Result<Option<Meta>, ReadError> {
    let mut bytes = [0; PAGE_HEADER + META_LEN];
    match file.read_exact_at(&mut bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let meta = &bytes[PAGE_HEADER..];
    let (mut fields, mut sum) = meta.split_at(META_LEN - 8);
    if sum.get_u64_le() != checksum(fields) || fields.get_u32_le() != MAGIC {
        return Ok(None);
    }
    if fields.get_u32_le() != VERSION {
        return Err(ReadError::Foreign("its bbolt format is of another version"));
    }
    let page_bytes = fields.get_u32_le() as usize;
    if !page_bytes.is_power_of_two() || !(PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&page_bytes) {
        return Err(corrupt(format!("pages of {page_bytes} bytes")));
    }
    fields.advance(4);
    let root = fields.get_u64_le();
    fields.advance(16);
    Ok(Some(Meta { page_bytes, root, pages: fields.get_u64_le(), transaction: fields.get_u64_le() }))
}

/// A page with all that overflows of it.
struct Page {
    bytes: Bytes,
    count: usize,
    is_leaf: bool,
}

impl Page {
    fn parse(bytes: Bytes) -> Result<Self, ReadError> {
        if bytes.len() < PAGE_HEADER {
            return Err(corrupt("a page without its header"));
        }
        let mut header = &bytes[8..PAGE_HEADER];
        let (flags, count) = (header.get_u16_le(), usize::from(header.get_u16_le()));
        let (is_leaf, element) = match flags {
            LEAF_PAGE => (true, LEAF_ELEMENT),
            BRANCH_PAGE => (false, BRANCH_ELEMENT),
            _ => return Err(corrupt(format!("a page of the kind {flags:#x} in a tree"))),
        };
        if PAGE_HEADER + count * element > bytes.len() {
            return Err(corrupt(format!("{count} elements in a page of {} bytes", bytes.len())));
        }
        Ok(Self { bytes, count, is_leaf })
    }

    /// Flags, key and value.
    fn item(&self, index: usize) -> Result<(u32, Bytes, Bytes), ReadError> {
        let at = PAGE_HEADER + index * LEAF_ELEMENT;
        let mut element = &self.bytes[at..at + LEAF_ELEMENT];
        let (flags, position) = (element.get_u32_le(), element.get_u32_le() as usize);
        let (key_len, value_len) = (element.get_u32_le() as usize, element.get_u32_le() as usize);
        let key = self.slice(at + position, key_len)?;
        Ok((flags, key, self.slice(at + position + key_len, value_len)?))
    }

    fn child(&self, index: usize) -> u64 {
        let at = PAGE_HEADER + index * BRANCH_ELEMENT;
        let mut element = &self.bytes[at + 8..at + BRANCH_ELEMENT];
        element.get_u64_le()
    }

    fn slice(&self, from: usize, len: usize) -> Result<Bytes, ReadError> {
        let end = from + len;
        if end > self.bytes.len() {
            return Err(corrupt("an item reaches beyond its page"));
        }
        Ok(self.bytes.slice(from..end))
    }
}

/// A walk over the items of a bucket, in the order of their keys.
pub struct Cursor<'a> {
    db: &'a Db,
    /// From the root to a leaf, each with its next element.
    path: Vec<(Page, usize)>,
    /// Visits that are left until a page must have been met twice.
    visits: u64,
    last_key: Bytes,
}

impl<'a> Cursor<'a> {
    fn on(db: &'a Db, root: Page) -> Self {
        Self { db, path: vec![(root, 0)], visits: db.pages, last_key: Bytes::new() }
    }

    fn at(db: &'a Db, root: u64) -> Result<Self, ReadError> {
        Ok(Self::on(db, db.page(root)?))
    }

    /// The next key and value.
    #[allow(clippy::should_implement_trait, reason = "it may fail, and then there is nothing after it")]
    pub fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, ReadError> {
        self.next_flagged(0)
    }

    fn next_flagged(&mut self, expected: u32) -> Result<Option<(Bytes, Bytes)>, ReadError> {
        while let Some((page, next)) = self.path.last_mut() {
            let index = *next;
            *next += 1;
            if index >= page.count {
                self.path.pop();
            } else if page.is_leaf {
                let (flags, key, value) = page.item(index)?;
                if flags != expected {
                    return Err(corrupt("a bucket where a value should be, or the other way round"));
                }
                if key <= self.last_key {
                    return Err(corrupt("keys do not rise"));
                }
                self.last_key = key.clone();
                return Ok(Some((key, value)));
            } else {
                let child = page.child(index);
                self.visits = self.visits.checked_sub(1).ok_or_else(|| corrupt("pages belong to several parents"))?;
                if self.path.len() == DEPTH_MAX {
                    return Err(corrupt("its tree is too deep"));
                }
                self.path.push((self.db.page(child)?, 0));
            }
        }
        Ok(None)
    }
}
