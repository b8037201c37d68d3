//! A file written from its first byte to its last. In go buckets in the order of their names, with their items in the
//! order of their keys; out come finished pages. What stands at the beginning, where the root is and how many pages
//! there are, is known only at the end, so everything is put in twice: once to be measured, which keeps nothing, and
//! once to be written. Both runs decide by the same code where a page ends. A page is finished when the next item does
//! not fit; then its parent learns of it. So only one open page a level is in memory, whatever the size of the file.

use std::mem;

use bytes::{Bytes, BytesMut};

use super::{
    BRANCH_ELEMENT, BRANCH_PAGE, BUCKET_FLAG, BUCKET_HEADER, LEAF_ELEMENT, LEAF_PAGE, MAGIC, META_LEN, META_PAGE,
    NO_FREELIST, PAGE_HEADER, VERSION, checksum,
};

const PAGE_BYTES: usize = 4096;
/// bbolt keeps a bucket inside its parent as long as its one page is not larger than this.
const INLINE_MAX: usize = PAGE_BYTES / 4;

/// What stands behind a key. Its size is asked for in both runs, its bytes only in the second.
pub trait Value {
    fn len(&self) -> usize;
    fn put(&self, out: &mut BytesMut);

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Value for [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn put(&self, out: &mut BytesMut) {
        out.extend_from_slice(self);
    }
}

/// What the first run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    root: u64,
    pages: u64,
}

impl Layout {
    pub fn bytes(&self) -> u64 {
        self.pages * PAGE_BYTES as u64
    }
}

pub struct Builder {
    pages: Pages,
    root: Tree,
    bucket: Option<(Bytes, Tree)>,
}

impl Builder {
    /// The first run: nothing comes out but the layout.
    pub fn measuring() -> Self {
        Self { pages: Pages { next: 2, out: None }, root: Tree::new(), bucket: None }
    }

    /// The second run, of the same contents.
    pub fn writing(layout: &Layout) -> Self {
        let mut out = BytesMut::new();
        // The page of the higher transaction counts; the other is the spare that a crash would need.
        for (page, transaction) in [(0, 2), (1, 1)] {
            put_header(&mut out, page, META_PAGE, 0, 0);
            let meta = meta(layout, transaction);
            out.extend_from_slice(&meta);
            out.resize(PAGE_BYTES * (page as usize + 1), 0);
        }
        Self { pages: Pages { next: 2, out: Some(out) }, root: Tree::new(), bucket: None }
    }

    /// Opens a bucket and closes the one before. Its name must be greater than that one's.
    pub fn bucket(&mut self, name: &'static str) {
        self.close();
        self.bucket = Some((Bytes::from_static(name.as_bytes()), Tree::new()));
    }

    /// Into the open bucket; the key must be greater than the one before and not empty.
    pub fn put(&mut self, key: &[u8], value: &(impl Value + ?Sized)) {
        if let Some((_, tree)) = &mut self.bucket {
            tree.put(&mut self.pages, 0, key, value);
        }
    }

    fn close(&mut self) {
        let Some((name, tree)) = self.bucket.take() else { return };
        let mut value = BytesMut::new();
        match tree.inlined() {
            Some(page) => {
                value.extend_from_slice(&[0; BUCKET_HEADER]);
                value.extend_from_slice(&page);
            }
            None => {
                value.extend_from_slice(&tree.finish(&mut self.pages).to_le_bytes());
                value.extend_from_slice(&[0; 8]);
            }
        }
        self.root.put(&mut self.pages, BUCKET_FLAG, &name, &value[..]);
    }

    /// Closes everything. What is still to be taken stays.
    pub fn finish(&mut self) -> Layout {
        self.close();
        let root = mem::replace(&mut self.root, Tree::new()).finish(&mut self.pages);
        Layout { root, pages: self.pages.next }
    }

    /// Bytes that can be taken.
    pub fn ready(&self) -> usize {
        self.pages.out.as_ref().map_or(0, BytesMut::len)
    }

    /// Takes finished pages, up to so many bytes.
    pub fn take(&mut self, max: usize) -> Bytes {
        let Some(out) = &mut self.pages.out else { return Bytes::new() };
        out.split_to(out.len().min(max)).freeze()
    }
}

fn meta(layout: &Layout, transaction: u64) -> [u8; META_LEN] {
    let mut meta = Vec::with_capacity(META_LEN);
    for number in [MAGIC, VERSION, PAGE_BYTES as u32, 0] {
        meta.extend(number.to_le_bytes());
    }
    for number in [layout.root, 0, NO_FREELIST, layout.pages, transaction] {
        meta.extend(number.to_le_bytes());
    }
    meta.extend(checksum(&meta).to_le_bytes());
    let mut page = [0; META_LEN];
    page.copy_from_slice(&meta);
    page
}

fn put_header(out: &mut BytesMut, page: u64, flags: u16, count: usize, overflow: usize) {
    out.extend_from_slice(&page.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    // A page of 4 KiB has room for 255 elements; a longer one has a single one.
    out.extend_from_slice(&(count as u16).to_le_bytes());
    out.extend_from_slice(&(overflow as u32).to_le_bytes());
}

/// The pages so far. `out` is `None` while measuring.
struct Pages {
    next: u64,
    out: Option<BytesMut>,
}

impl Pages {
    /// Gives the node its place and, when writing, its bytes.
    fn finish(&mut self, node: &Node) -> u64 {
        let (page, count) = (self.next, node.bytes().div_ceil(PAGE_BYTES));
        self.next += count as u64;
        if let Some(out) = &mut self.out {
            let end = out.len() + count * PAGE_BYTES;
            out.reserve(count * PAGE_BYTES);
            node.write(out, page, count - 1);
            out.resize(end, 0);
        }
        page
    }

    fn is_writing(&self) -> bool {
        self.out.is_some()
    }
}

/// One page in the making.
struct Node {
    elements: Vec<Element>,
    /// Keys and values, in turn; while measuring, keys only of the first element.
    data: BytesMut,
    data_len: usize,
    first_key: Bytes,
    is_leaf: bool,
}

/// Of a branch, `page` is the child; of a leaf, `flags` may say that the value is a bucket.
struct Element {
    flags: u32,
    key_len: usize,
    value_len: usize,
    page: u64,
}

impl Node {
    fn new(is_leaf: bool) -> Self {
        Self { elements: Vec::new(), data: BytesMut::new(), data_len: 0, first_key: Bytes::new(), is_leaf }
    }

    fn element_bytes(&self) -> usize {
        if self.is_leaf { LEAF_ELEMENT } else { BRANCH_ELEMENT }
    }

    fn bytes(&self) -> usize {
        PAGE_HEADER + self.elements.len() * self.element_bytes() + self.data_len
    }

    /// An item that fits no page stands alone in several.
    fn has_room(&self, key_len: usize, value_len: usize) -> bool {
        self.elements.is_empty() || self.bytes() + self.element_bytes() + key_len + value_len <= PAGE_BYTES
    }

    fn put(&mut self, element: Element, key: &[u8], value: Option<&(impl Value + ?Sized)>) {
        if self.elements.is_empty() {
            self.first_key = Bytes::copy_from_slice(key);
        }
        self.data_len += element.key_len + element.value_len;
        self.elements.push(element);
        if let Some(value) = value {
            self.data.extend_from_slice(key);
            value.put(&mut self.data);
        }
    }

    fn write(&self, out: &mut BytesMut, page: u64, overflow: usize) {
        let flags = if self.is_leaf { LEAF_PAGE } else { BRANCH_PAGE };
        put_header(out, page, flags, self.elements.len(), overflow);
        let mut position = self.elements.len() * self.element_bytes();
        for element in &self.elements {
            let sizes = (position as u32, element.key_len as u32, element.value_len as u32);
            if self.is_leaf {
                for number in [element.flags, sizes.0, sizes.1, sizes.2] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            } else {
                out.extend_from_slice(&sizes.0.to_le_bytes());
                out.extend_from_slice(&sizes.1.to_le_bytes());
                out.extend_from_slice(&element.page.to_le_bytes());
            }
            position = position - self.element_bytes() + element.key_len + element.value_len;
        }
        out.extend_from_slice(&self.data);
    }
}

/// A B+tree in the making: the open node of each level, the leaf first.
struct Tree(Vec<Node>);

impl Tree {
    fn new() -> Self {
        Self(vec![Node::new(true)])
    }

    fn put(&mut self, pages: &mut Pages, flags: u32, key: &[u8], value: &(impl Value + ?Sized)) {
        let element = Element { flags, key_len: key.len(), value_len: value.len(), page: 0 };
        self.make_room(pages, 0, element.key_len, element.value_len);
        self.0[0].put(element, key, pages.is_writing().then_some(value));
    }

    fn make_room(&mut self, pages: &mut Pages, level: usize, key_len: usize, value_len: usize) {
        if !self.0[level].has_room(key_len, value_len) {
            let is_leaf = self.0[level].is_leaf;
            let full = mem::replace(&mut self.0[level], Node::new(is_leaf));
            self.add_child(pages, level + 1, &full);
        }
    }

    /// Finishes a node and tells its parent at `level`.
    fn add_child(&mut self, pages: &mut Pages, level: usize, node: &Node) {
        let page = pages.finish(node);
        if level == self.0.len() {
            self.0.push(Node::new(false));
        }
        let key = &node.first_key;
        self.make_room(pages, level, key.len(), 0);
        let element = Element { flags: 0, key_len: key.len(), value_len: 0, page };
        self.0[level].put(element, key, pages.is_writing().then_some(&[][..]));
    }

    /// The one page of a small tree, as it stands inside a bucket's value. While measuring, only its size is right.
    fn inlined(&self) -> Option<BytesMut> {
        let [leaf] = &self.0[..] else { return None };
        if leaf.bytes() > INLINE_MAX {
            return None;
        }
        let mut page = BytesMut::new();
        leaf.write(&mut page, 0, 0);
        page.resize(leaf.bytes(), 0);
        Some(page)
    }

    /// The root's page.
    fn finish(mut self, pages: &mut Pages) -> u64 {
        let mut level = 0;
        loop {
            let node = mem::replace(&mut self.0[level], Node::new(true));
            let is_top = level + 1 == self.0.len();
            match &node.elements[..] {
                // A level that ended with its only child has no need to be.
                [only] if is_top && !node.is_leaf => return only.page,
                [] if !is_top => {}
                _ if is_top => return pages.finish(&node),
                _ => self.add_child(pages, level + 1, &node),
            }
            level += 1;
        }
    }
}
