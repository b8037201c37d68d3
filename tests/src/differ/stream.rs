//! What a client learns from one watch stream. Servers may cut events into responses as they please, so the content is
//! taken apart by watcher: control responses and events in their order. The rules that hold for any cut are checked on
//! the way.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb as pb;

use super::player::{KEEPER, is_progress};

#[derive(Default)]
pub struct View {
    watchers: BTreeMap<i64, Watcher>,
    /// By watcher, since the last drain.
    news: BTreeMap<i64, Vec<String>>,
}

#[derive(Default)]
struct Watcher {
    /// Of its last event.
    revision: i64,
    /// Everything up to here has been sent, as a progress response said.
    floor: i64,
    /// The last response said that more of it follows.
    is_cut: bool,
}

impl View {
    /// `now` is the highest revision there can be.
    pub fn take(&mut self, responses: &[Bytes], now: i64) -> Result<()> {
        for response in responses {
            let response = pb::WatchResponse::decode(response.clone())?;
            let revision = response.header.as_ref().context("no header")?.revision;
            ensure!(revision <= now, "a header of revision {revision}, which is not there yet");
            let rules = self.rules(&response, revision);
            rules.with_context(|| format!("the rules of watch streams are broken by {response:?}"))?;
            self.show(response, revision);
        }
        Ok(())
    }

    /// The content since the last call.
    pub fn drain(&mut self) -> String {
        let mut text = String::new();
        for (watcher, news) in std::mem::take(&mut self.news) {
            text += &format!("watcher {watcher}:\n  {}\n", news.join("\n  "));
        }
        text
    }

    fn rules(&mut self, response: &pb::WatchResponse, revision: i64) -> Result<()> {
        if is_progress(response) {
            ensure!(response.events.is_empty(), "progress with events");
            self.watchers.values_mut().for_each(|watcher| watcher.floor = watcher.floor.max(revision));
            return Ok(());
        }
        if response.created && !response.canceled {
            self.watchers.insert(response.watch_id, Watcher::default());
        }
        if response.watch_id == -1 || response.watch_id == KEEPER {
            return Ok(());
        }
        let watcher = self.watchers.get_mut(&response.watch_id).context("the watcher was not created")?;
        let was_cut = std::mem::replace(&mut watcher.is_cut, response.fragment);
        for (at, event) in response.events.iter().enumerate() {
            let event = event.kv.as_ref().context("an event without a key")?.mod_revision;
            ensure!(event > watcher.floor, "progress at {} overtook an event", watcher.floor);
            ensure!(event <= revision, "an event later than its header");
            let may_be_same = at > 0 || was_cut;
            ensure!(event > watcher.revision || (event == watcher.revision && may_be_same), "out of order, or cut");
            watcher.revision = event;
        }
        Ok(())
    }

    fn show(&mut self, mut response: pb::WatchResponse, revision: i64) {
        if is_progress(&response) {
            return;
        }
        let news = self.news.entry(response.watch_id).or_default();
        for event in std::mem::take(&mut response.events) {
            news.push(format!("{event:?}"));
        }
        let is_control = response.created || response.canceled || response.compact_revision != 0;
        if is_control {
            response.header = Some(pb::ResponseHeader { revision, ..Default::default() });
            news.push(format!("{response:?}"));
        }
    }
}
