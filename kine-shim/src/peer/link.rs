//! The two ends of a connection between shims. The one that opened it hands operations over and hears of batches; the
//! other evaluates the operations and tells what it commits. A batch is told before the answers that rest on it.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::frames::{Answer, Ask, Frame, Said, WireBatch};
use crate::{
    sequencer::{Forwarded, ForwardedOutcome as Outcome, Told},
    shim::Shim,
};

/// Whoever has nothing to say says that it lives.
const ALIVE_EVERY: Duration = Duration::from_millis(500);
/// Silence after which the other end counts as gone.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Operations on their way over one connection, in each direction.
const UNDER_WAY_MAX: usize = 2048;
/// Written at once, about.
const WRITE_BYTES: usize = 256 << 10;
const READ_BYTES: usize = 64 << 10;

/// An operation that is sent and not answered.
type Sent = (Forwarded, OwnedSemaphorePermit);
type Pending = Mutex<HashMap<u64, Sent>>;

/// Hands over what goes to `writer`, until the connection ends.
pub(super) async fn follow<S>(stream: S, shim: &Shim, writer: Uuid) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (reading, writing) = tokio::io::split(stream);
    let pending = Pending::default();
    // As many as may be under way, so that nobody waits to hand one over.
    let (answered, mut answers) = mpsc::channel::<(Sent, Outcome)>(UNDER_WAY_MAX);
    // On its own: what is answered stays answered when the connection ends.
    tokio::spawn(async move {
        while let Some(((forwarded, _permit), outcome)) = answers.recv().await {
            forwarded.settle(outcome).await;
        }
    });
    let mut way = shim.forwarding().open_way(writer);
    let ended = tokio::select! {
        biased;
        ended = receive(shim, reading, &pending, &answered) => ended,
        ended = send(&mut way, writing, &pending) => ended,
    };
    way.close();
    while let Ok(forwarded) = way.try_recv() {
        forwarded.settle(Outcome::Left).await;
    }
    let unanswered = std::mem::take(&mut *pending.lock());
    for (forwarded, _permit) in unanswered.into_values() {
        forwarded.settle(Outcome::Unknown("the shim that was to write it does not answer any more".into())).await;
    }
    ended
}

async fn send<S: AsyncWrite>(
    way: &mut mpsc::Receiver<Forwarded>,
    mut writing: WriteHalf<S>,
    pending: &Pending,
) -> io::Result<()> {
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let (mut buffer, mut next_id) = (BytesMut::new(), 0);
    loop {
        let alive_at = Instant::now() + ALIVE_EVERY;
        let permit = under_way.clone().acquire_owned();
        let first = async { (permit.await, way.recv().await) };
        let mut next = tokio::select! {
            biased;
            (permit, forwarded) = first => match (permit, forwarded) {
                (Ok(permit), Some(forwarded)) => Some((forwarded, permit)),
                _ => return Ok(()),
            },
            () = sleep_until(alive_at) => None,
        };
        if next.is_none() {
            Frame::default().write(&mut buffer);
        }
        while let Some((forwarded, permit)) = next.take() {
            match Ask::of(next_id, forwarded.op(), forwarded.caller()) {
                Some(ask) => {
                    Frame::from(Said::Ask(ask)).write(&mut buffer);
                    pending.lock().insert(next_id, (forwarded, permit));
                    next_id += 1;
                }
                None => forwarded.settle(Outcome::Left).await,
            }
            if buffer.len() < WRITE_BYTES
                && let Ok(permit) = under_way.clone().try_acquire_owned()
                && let Ok(forwarded) = way.try_recv()
            {
                next = Some((forwarded, permit));
            }
        }
        write(&mut writing, &mut buffer).await?;
    }
}

async fn receive<S: AsyncRead>(
    shim: &Shim,
    mut reading: ReadHalf<S>,
    pending: &Pending,
    answered: &mpsc::Sender<(Sent, Outcome)>,
) -> io::Result<()> {
    let mut received = BytesMut::new();
    loop {
        while let Some(frame) = Frame::read(&mut received).map_err(io::Error::other)? {
            match frame.said {
                Some(Said::Told(batch)) => shim.forwarding().hear(batch.read().map_err(io::Error::other)?),
                Some(Said::Answer(answer)) => {
                    let sent = pending.lock().remove(&answer.id);
                    if let Some(sent) = sent {
                        // There is room for all that are under way.
                        let _ = answered.send((sent, answer.read())).await;
                    }
                }
                // A later release may say more.
                Some(Said::Ask(_)) | None => {}
            }
        }
        read(&mut reading, &mut received).await?;
    }
}

/// Evaluates what the other end hands over and tells it what is committed, until the connection ends. What nobody waits
/// for any more then, and was not sent to the database, is dropped.
pub(super) async fn serve<S>(stream: S, shim: &Shim) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (reading, writing) = tokio::io::split(stream);
    let told = shim.forwarding().listen();
    let (asked, asks) = mpsc::channel(UNDER_WAY_MAX);
    tokio::select! {
        biased;
        ended = take_asks(reading, &asked) => ended,
        ended = answer(shim, asks, told, writing) => ended,
    }
}

async fn take_asks<S: AsyncRead>(mut reading: ReadHalf<S>, asked: &mpsc::Sender<Ask>) -> io::Result<()> {
    let mut received = BytesMut::new();
    loop {
        while let Some(frame) = Frame::read(&mut received).map_err(io::Error::other)? {
            if let Some(Said::Ask(ask)) = frame.said
                && asked.send(ask).await.is_err()
            {
                return Ok(());
            }
        }
        read(&mut reading, &mut received).await?;
    }
}

async fn answer<S: AsyncWrite>(
    shim: &Shim,
    mut asks: mpsc::Receiver<Ask>,
    mut told: mpsc::Receiver<Told>,
    mut writing: WriteHalf<S>,
) -> io::Result<()> {
    let (mut running, mut asked) = (FuturesUnordered::new(), Vec::new());
    let (mut buffer, mut answers) = (BytesMut::new(), Vec::new());
    loop {
        let alive_at = Instant::now() + ALIVE_EVERY;
        let room = UNDER_WAY_MAX - running.len();
        tokio::select! {
            biased;
            Some(answer) = running.next(), if !running.is_empty() => answers.push(answer),
            Some(batch) = told.recv() => tell(&mut buffer, &batch),
            count = asks.recv_many(&mut asked, room), if room > 0 => if count == 0 {
                return Ok(());
            },
            () = sleep_until(alive_at) => Frame::default().write(&mut buffer),
        }
        for ask in asked.drain(..) {
            let (id, op, caller) = ask.read().map_err(io::Error::other)?;
            let shim = shim.clone();
            running.push(async move { Answer::of(id, shim.write_forwarded(op, caller).await) });
        }
        while let Some(Some(answer)) = running.next().now_or_never() {
            answers.push(answer);
        }
        // The batches behind these answers were told before the answers came.
        while let Ok(batch) = told.try_recv() {
            tell(&mut buffer, &batch);
        }
        answers.drain(..).for_each(|answer| Frame::from(Said::Answer(answer)).write(&mut buffer));
        write(&mut writing, &mut buffer).await?;
    }
}

fn tell(buffer: &mut BytesMut, told: &Told) {
    Frame::from(Said::Told(WireBatch::of(told))).write(buffer);
}

async fn write<S: AsyncWrite>(writing: &mut WriteHalf<S>, buffer: &mut BytesMut) -> io::Result<()> {
    if !buffer.is_empty() {
        writing.write_all(buffer).await?;
        writing.flush().await?;
        buffer.clear();
    }
    Ok(())
}

async fn read<S: AsyncRead>(reading: &mut ReadHalf<S>, received: &mut BytesMut) -> io::Result<()> {
    received.reserve(READ_BYTES);
    match timeout(SILENCE_MAX, reading.read_buf(received)).await {
        Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
