//! Proof that nothing was lost or changed on the way: SHA-256 over every record that etcd's file would hold, name and
//! value, in order. Computed from a source's own bytes and from the state that the target's log makes.

use prost::Message;
use sha2::{Digest, Sha256};

use super::schema;
use crate::state::Kept;

/// Records that are fetched at once.
const RECORDS: usize = 1024;

pub(super) type Sum = [u8; 32];

#[derive(Default)]
pub(super) struct Content(Sha256);

impl Content {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        for part in [key, value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    pub(super) fn finish(self) -> Sum {
        self.0.finalize().into()
    }

    pub(super) fn of(kept: &Kept) -> Sum {
        let (mut content, mut cursor) = (Self::default(), kept.start());
        loop {
            let page = kept.page(&mut cursor, RECORDS);
            if page.is_empty() {
                return content.finish();
            }
            for record in &page {
                let name = schema::revision_key(record.revision, record.sub_revision, record.is_delete);
                content.add(&name, &schema::stored(record).encode_to_vec());
            }
        }
    }
}
