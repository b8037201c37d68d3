//! The whole log as it is at one moment: one binary COPY in one transaction, decoded by a task of its own while the
//! state is built from what came before. In goes a connection, out come batches in position order.

use std::{collections::VecDeque, pin::Pin};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::{sync::mpsc, time::timeout};
use tokio_postgres::{Client, CopyOutStream};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    query::{ANSWER_WITHIN, Driver, as_position, query, unsent},
    url::Connector,
};
use crate::{
    log::{LogFault, Snapshot, page},
    model::{Batch, Entry, EntryKind, Position},
};

/// A load may take longer than limits that are meant for people's queries. Both tables are read along their primary
/// keys: the planner, knowing nothing of fresh tables, would sort or hash gigabytes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off; \
    SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = off";
const COPY: &str = "COPY (SELECT b.position, b.id, b.prev_id, b.first_revision, b.last_revision, b.writer, b.at_ms, \
        l.sub, l.kind, l.revision, l.sub_revision, l.create_revision, l.version, l.lease, l.key, l.value \
    FROM kine_shim.batch b LEFT JOIN kine_shim.log l ON l.position = b.position \
    WHERE b.position > 0 ORDER BY b.position, l.sub) TO STDOUT (FORMAT binary)";
const FIELDS: i16 = 16;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Pieces that are decoded ahead.
const AHEAD: usize = 2;
/// The bytes of each, about.
const PIECE_BYTES: usize = 4 << 20;

/// A transaction on a connection of its own, which has seen nothing later than its first statement.
pub(super) struct PostgresSnapshot {
    trimmed: Position,
    pieces: mpsc::Receiver<Result<Vec<Batch>, LogFault>>,
    /// Of the last piece.
    left: VecDeque<Batch>,
    _decoder: AbortOnDropHandle<()>,
    _client: Client,
    _driver: Driver,
}

impl PostgresSnapshot {
    pub(super) async fn open(connector: &Connector) -> Result<Self, LogFault> {
        let connecting = connector.config.connect(connector.tls.clone());
        let (client, connection) = connecting.await.map_err(|error| unsent(&error))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(connection));
        client.batch_execute(BEGIN).await.map_err(|error| unsent(&error))?;
        let rows = query(&client, "SELECT trimmed FROM kine_shim.meta", &[]).await?;
        let row = rows.first().ok_or_else(|| LogFault::Unusable("kine_shim.meta is empty".into()))?;
        let trimmed = as_position(row.get(0));
        let copy = client.copy_out(COPY).await.map_err(|error| unsent(&error))?;
        let (sender, pieces) = mpsc::channel(AHEAD);
        let decoder = AbortOnDropHandle::new(tokio::spawn(decode(Box::pin(copy), sender)));
        Ok(Self { trimmed, pieces, left: VecDeque::new(), _decoder: decoder, _client: client, _driver: driver })
    }
}

#[async_trait]
impl Snapshot for PostgresSnapshot {
    fn trimmed(&self) -> Position {
        self.trimmed
    }

    async fn next(&mut self, max_bytes: usize) -> Result<Vec<Batch>, LogFault> {
        if self.left.is_empty() {
            self.left = self.pieces.recv().await.unwrap_or(Ok(Vec::new()))?.into();
        }
        let mut bytes = 0;
        let cut = self.left.iter().position(|batch| {
            bytes += page::batch_bytes(batch);
            bytes >= max_bytes
        });
        let count = cut.map_or(self.left.len(), |at| at + 1);
        Ok(self.left.drain(..count).collect())
    }
}

/// Sends piece after piece, or the fault that ended it. A stream that breaks off is never taken for a whole one: COPY
/// ends with a trailer.
async fn decode(mut copy: Pin<Box<CopyOutStream>>, pieces: mpsc::Sender<Result<Vec<Batch>, LogFault>>) {
    let mut decoder = Decoder::default();
    loop {
        let outcome = match timeout(ANSWER_WITHIN, copy.next()).await {
            Ok(Some(Ok(message))) => decoder.take(message),
            Ok(Some(Err(error))) => Err(unsent(&error)),
            Ok(None) if decoder.is_done => Ok(()),
            Ok(None) => Err(LogFault::NotApplied("the log broke off".into())),
            Err(_) => Err(LogFault::NotApplied("the database does not answer".into())),
        };
        let (is_last, piece) = match outcome {
            Err(fault) => (true, Some(Err(fault))),
            Ok(()) if decoder.is_done => (true, Some(Ok(std::mem::take(&mut decoder.batches)))),
            Ok(()) => (false, decoder.whole().map(Ok)),
        };
        if let Some(piece) = piece.filter(|piece| !piece.as_ref().is_ok_and(Vec::is_empty))
            && pieces.send(piece).await.is_err()
        {
            return;
        }
        if is_last {
            return;
        }
    }
}

/// PostgreSQL's binary format of COPY: a header, then rows; a message holds whole rows.
#[derive(Default)]
struct Decoder {
    has_begun: bool,
    is_done: bool,
    batches: Vec<Batch>,
    bytes: usize,
}

impl Decoder {
    fn take(&mut self, mut message: Bytes) -> Result<(), LogFault> {
        let broken = || LogFault::Unusable("the database's copy of the log cannot be read".into());
        if !self.has_begun {
            self.has_begun = true;
            self.header(&mut message).ok_or_else(broken)?;
        }
        while message.has_remaining() && !self.is_done {
            self.bytes += message.len();
            match message.try_get_i16().map_err(|_| broken())? {
                -1 => self.is_done = true,
                FIELDS => self.row(&mut message)?.ok_or_else(broken)?,
                _ => return Err(broken()),
            }
            self.bytes -= message.len();
        }
        Ok(())
    }

    fn header(&self, message: &mut Bytes) -> Option<()> {
        let is_signed = message.get(..SIGNATURE.len())? == SIGNATURE;
        message.advance(SIGNATURE.len());
        let _flags = message.try_get_i32().ok()?;
        let extension = usize::try_from(message.try_get_i32().ok()?).ok()?;
        (is_signed && message.len() >= extension).then(|| message.advance(extension))
    }

    /// `None` when it is cut off.
    fn row(&mut self, message: &mut Bytes) -> Result<Option<()>, LogFault> {
        let Some((batch, entry)) = read(message) else { return Ok(None) };
        if self.batches.last().is_none_or(|last| last.position != batch.position) {
            self.batches.push(batch);
        }
        if let (Some((sub, kind, entry)), Some(batch)) = (entry, self.batches.last_mut()) {
            let kind = EntryKind::try_from(kind)
                .map_err(|kind| LogFault::Unusable(format!("the log holds an entry of the unknown kind {kind}")))?;
            batch.entries.push((sub, Entry { kind, ..entry }));
        }
        Ok(Some(()))
    }

    /// What is decoded but for the last batch, of which more may come, once it is enough for a piece.
    fn whole(&mut self) -> Option<Vec<Batch>> {
        if self.bytes < PIECE_BYTES || self.batches.len() < 2 {
            return None;
        }
        self.bytes = 0;
        let last = self.batches.pop()?;
        Some(std::mem::replace(&mut self.batches, vec![last]))
    }
}

type Row = (Batch, Option<(u32, i16, Entry)>);

fn read(message: &mut Bytes) -> Option<Row> {
    let batch = Batch {
        position: as_position(int8(message)?),
        id: uuid(message)?,
        prev_id: uuid(message)?,
        first_revision: int8(message)?,
        last_revision: int8(message)?,
        writer: uuid(message)?,
        at_ms: int8(message)?,
        entries: Vec::new(),
    };
    // A batch of which no row is left.
    let Some(mut sub) = field(message)? else {
        for _ in 8..FIELDS {
            field(message)?;
        }
        return Some((batch, None));
    };
    let sub = sub.try_get_i32().ok()?.cast_unsigned();
    let kind = field(message)??.try_get_i16().ok()?;
    let entry = Entry {
        kind: EntryKind::Put,
        revision: int8(message)?,
        sub_revision: field(message)??.try_get_i32().ok()?.cast_unsigned(),
        create_revision: int8(message)?,
        version: int8(message)?,
        lease: int8(message)?,
        key: field(message)??,
        value: field(message)??,
    };
    Some((batch, Some((sub, kind, entry))))
}

/// The outer `None`: cut off; the inner: NULL.
fn field(message: &mut Bytes) -> Option<Option<Bytes>> {
    match message.try_get_i32().ok()? {
        -1 => Some(None),
        length => {
            let length = usize::try_from(length).ok().filter(|length| *length <= message.len())?;
            Some(Some(message.split_to(length)))
        }
    }
}

fn int8(message: &mut Bytes) -> Option<i64> {
    field(message)??.try_get_i64().ok()
}

fn uuid(message: &mut Bytes) -> Option<Uuid> {
    Uuid::from_slice(&field(message)??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: i64, sub: Option<i32>, key: &[u8]) -> Vec<u8> {
        let mut row = FIELDS.to_be_bytes().to_vec();
        let mut put = |bytes: &[u8]| {
            row.extend((bytes.len() as i32).to_be_bytes());
            row.extend(bytes);
        };
        put(&position.to_be_bytes());
        put(&[1; 16]);
        put(&[2; 16]);
        put(&7_i64.to_be_bytes());
        put(&8_i64.to_be_bytes());
        put(&[3; 16]);
        put(&9_i64.to_be_bytes());
        let Some(sub) = sub else {
            (7..FIELDS).for_each(|_| row.extend((-1_i32).to_be_bytes()));
            return row;
        };
        put(&sub.to_be_bytes());
        put(&(EntryKind::Put as i16).to_be_bytes());
        put(&8_i64.to_be_bytes());
        put(&0_i32.to_be_bytes());
        put(&8_i64.to_be_bytes());
        put(&1_i64.to_be_bytes());
        put(&0_i64.to_be_bytes());
        put(key);
        put(b"");
        row
    }

    fn header() -> Vec<u8> {
        [SIGNATURE, &[0; 8]].concat()
    }

    fn taken(messages: Vec<Vec<u8>>) -> Result<Decoder, LogFault> {
        let mut decoder = Decoder::default();
        messages.into_iter().try_for_each(|message| decoder.take(message.into()))?;
        Ok(decoder)
    }

    #[test]
    fn rows_become_batches() {
        let first = [header(), row(3, Some(0), b"a")].concat();
        let messages = vec![first, row(3, Some(2), b"b"), row(4, None, b""), row(6, Some(1), b"c"), vec![255, 255]];
        let decoder = taken(messages).unwrap();
        assert!(decoder.is_done);
        let seen: Vec<_> = decoder
            .batches
            .iter()
            .map(|batch| {
                (batch.position.0, batch.entries.iter().map(|(sub, entry)| (*sub, &entry.key[..])).collect::<Vec<_>>())
            })
            .collect();
        let expected = [(3, vec![(0, &b"a"[..]), (2, b"b")]), (4, vec![]), (6, vec![(1, b"c")])];
        assert_eq!(seen, expected);
        assert_eq!((decoder.batches[0].first_revision, decoder.batches[0].last_revision), (7, 8));
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_a_fault() {
        let whole = [header(), row(3, Some(0), b"key")].concat();
        for length in 1..whole.len() {
            let cut = taken(vec![whole[..length].to_vec()]);
            assert!(cut.is_err() || length == header().len(), "{length}");
        }
        assert!(taken(vec![b"PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec()]).is_err());
        let mut other = row(3, Some(0), b"key");
        other[1] = 15;
        assert!(taken(vec![header(), other]).is_err());
    }
}
