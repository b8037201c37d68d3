//! Many connections that say nothing after the first frames of HTTP/2: what they cost a server, and what they cost the
//! one client that writes beside them.

use std::{io, time::Duration};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use proto::etcdserverpb::PutRequest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Measured, cpu_of, etcd::connect, press, resident_bytes};

pub struct Plan {
    /// In clear text.
    pub endpoint: String,
    pub pids: Vec<u32>,
    pub connections: usize,
    pub seconds: f64,
}

/// RFC 9113: the client's preface, and frames by their type (section 6) without a payload or with one.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const SETTINGS_ACK: &[u8] = &[0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0];
const PING_BYTES: usize = 8;
const OPENED_AT_ONCE: usize = 64;

/// Prints the writer's row without and with the connections, and what these cost.
pub async fn run(plan: Plan) -> Result<()> {
    let address = plan.endpoint.strip_prefix("http://").context("only http:// is known here")?.to_owned();
    let duration = Duration::from_secs_f64(plan.seconds);
    let kv = connect(&plan.endpoint).await?;
    let writes = |work: &'static str| {
        let kv = kv.clone();
        press(work, 1, duration, &plan.pids, move |_, sequence| {
            let mut kv = kv.clone();
            let put = PutRequest { key: format!("/load/idle/{}", sequence % 1000).into(), ..Default::default() };
            async move { kv.put(put).await.map(|_| ()).context("a put") }
        })
    };
    println!("{}", Measured::head());
    println!("{}", writes("put, alone").await?.row());
    let (empty, start) = (resident_bytes(&plan.pids), Instant::now());
    let opening = (0..plan.connections).map(|_| open(&address));
    let connections: Vec<_> = futures::stream::iter(opening).buffered(OPENED_AT_ONCE).try_collect().await?;
    let opened = start.elapsed();
    println!("{}", writes("put, beside the idle").await?.row());
    let (cpu, since) = (cpu_of(&plan.pids), Instant::now());
    tokio::time::sleep(duration).await;
    let share = cpu_of(&plan.pids).saturating_sub(cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    let full = resident_bytes(&plan.pids);
    println!(
        "{} connections opened in {:.1} s, {} still open; {:.1} KB resident each, {:.1} MB in all; {:.2} % of a core",
        plan.connections,
        opened.as_secs_f64(),
        connections.iter().filter(|connection| !connection.is_finished()).count(),
        full.saturating_sub(empty) as f64 / 1e3 / plan.connections as f64,
        full as f64 / 1e6,
        share * 100.0
    );
    Ok(())
}

/// Returns when the server has greeted it.
async fn open(address: &str) -> Result<AbortOnDropHandle<io::Result<()>>> {
    let mut stream = TcpStream::connect(address).await.context("a connection")?;
    stream.write_all(PREFACE).await?;
    while answer(&mut stream).await.context("a connection ended at once")? != SETTINGS {}
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            answer(&mut stream).await?;
        }
    })))
}

/// Reads one frame and answers it, where it wants that; its type.
async fn answer(stream: &mut TcpStream) -> io::Result<u8> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let [a, b, c, kind, flags, ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).await?;
    match kind {
        SETTINGS if flags & ACK == 0 => stream.write_all(SETTINGS_ACK).await?,
        PING if flags & ACK == 0 && payload.len() == PING_BYTES => {
            let mut pong = vec![0, 0, PING_BYTES as u8, PING, ACK, 0, 0, 0, 0];
            pong.append(&mut payload);
            stream.write_all(&pong).await?;
        }
        _ => {}
    }
    Ok(kind)
}
