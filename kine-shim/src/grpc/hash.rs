//! etcd's HashKV: CRC-32C over the bucket's name and every record as etcd stores it, so that equal contents give equal
//! hashes on both.

use prost::Message;

use crate::{
    migrate::schema,
    model::{ReadAt, Refusal},
    state::{Scrub, State},
};

pub(crate) fn of(scrub: &Scrub) -> u32 {
    let mut hash = Crc32c::new();
    hash.update(b"key");
    for record in &scrub.records {
        hash.update(&schema::revision_key(record.revision, record.sub_revision, record.is_delete));
        hash.update(&schema::stored(record).encode_to_vec());
    }
    hash.finish()
}

/// Over all that the log says: the keys as above, leases, records.
pub(super) fn of_all(state: &State) -> Result<u32, Refusal> {
    let mut hash = Crc32c::new();
    hash.update(&of(&state.scrub(ReadAt::Latest)?).to_be_bytes());
    for lease in state.leases() {
        hash.update(&lease.id.to_be_bytes());
        hash.update(&lease.ttl.to_be_bytes());
    }
    for (name, value) in state.records() {
        hash.update(&name);
        hash.update(&value);
    }
    Ok(hash.finish())
}

struct Crc32c(u32);

/// Castagnoli's polynomial, reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

impl Crc32c {
    fn new() -> Self {
        Self(!0)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 >> 8) ^ TABLE[((self.0 ^ u32::from(*byte)) & 0xFF) as usize];
        }
    }

    fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32c;

    #[test]
    fn the_sum_is_castagnolis() {
        let mut hash = Crc32c::new();
        hash.update(b"123456789");
        assert_eq!(hash.finish(), 0xE306_9283);
    }
}
