//! A container, as far as its kubelet is concerned: a process of this host with pipes.

use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::mpsc,
};

/// Channels by their numbers.
pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
pub const ERROR: u8 = 3;
pub const RESIZE: u8 = 4;

/// Where a client's bytes come from and where its own go to. No bytes: the channel ends.
pub struct Channels {
    pub stdin: mpsc::Receiver<Bytes>,
    pub out: mpsc::Sender<(u8, Option<Bytes>)>,
}

async fn drain(mut from: impl AsyncRead + Unpin, channel: u8, out: mpsc::Sender<(u8, Option<Bytes>)>) {
    let mut chunk = BytesMut::with_capacity(32 * 1024);
    while let Ok(1..) = from.read_buf(&mut chunk).await {
        if out.send((channel, Some(chunk.split().freeze()))).await.is_err() {
            return;
        }
        chunk.reserve(32 * 1024);
    }
}

fn status(code: Option<i32>) -> serde_json::Value {
    match code {
        Some(0) => json!({"metadata": {}, "status": "Success"}),
        code => {
            let code = code.unwrap_or(137).to_string();
            let message = format!("command terminated with non-zero exit code: exit status {code}");
            let details = json!({"causes": [{"reason": "ExitCode", "message": code}]});
            json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": details})
        }
    }
}

/// Runs a command until it ends; then tells how.
pub async fn run(command: &[String], mut channels: Channels) {
    let Some((program, arguments)) = command.split_first() else { return };
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let out = channels.out;
    let outcome = match spawned {
        Ok(mut child) => {
            let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let feeding = tokio::spawn(async move {
                let Some(mut stdin) = stdin else { return };
                while let Some(bytes) = channels.stdin.recv().await {
                    if stdin.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            });
            let drains = [
                stdout.map(|pipe| tokio::spawn(drain(pipe, STDOUT, out.clone()))),
                stderr.map(|pipe| tokio::spawn(drain(pipe, STDERR, out.clone()))),
            ];
            for drain in drains.into_iter().flatten() {
                let _ = drain.await;
            }
            let ended = child.wait().await;
            feeding.abort();
            status(ended.ok().and_then(|status| status.code()))
        }
        Err(error) => {
            let message = format!("error executing command in container: {error}");
            json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "message": message, "code": 500})
        }
    };
    let told = Bytes::from(outcome.to_string());
    for said in [(STDOUT, None), (STDERR, None), (ERROR, Some(told)), (ERROR, None)] {
        let _ = out.send(said).await;
    }
}
