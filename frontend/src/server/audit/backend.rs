//! What takes events: the lines of a file, or a service.

use bytes::Bytes;
use parking_lot::Mutex;

use super::{log::LogFile, webhook::Webhook};

/// What takes events.
pub enum Backend {
    Log(Mutex<LogFile>),
    Webhook(Box<Webhook>),
}

impl Backend {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Backend::Log(_) => "log",
            Backend::Webhook(_) => "webhook",
        }
    }

    pub(super) async fn take(&self, events: &[Bytes]) -> Result<(), String> {
        match self {
            Backend::Log(file) => {
                let mut file = file.lock();
                events.iter().try_for_each(|event| file.write(&line(event))).map_err(|error| error.to_string())
            }
            Backend::Webhook(webhook) => webhook.send(events).await,
        }
    }

    /// The same for those who cannot wait: the thread does.
    pub(super) fn take_now(&self, event: Bytes) -> Result<(), String> {
        match self {
            Backend::Log(file) => file.lock().write(&line(&event)).map_err(|error| error.to_string()),
            Backend::Webhook(webhook) => tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(webhook.send(std::slice::from_ref(&event)))
            }),
        }
    }
}

fn line(event: &[u8]) -> Vec<u8> {
    [event, b"\n"].concat()
}
