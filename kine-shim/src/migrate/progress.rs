//! What a sub-command tells its operator on stderr: a line a second, and the figures at the end of each step.

use std::time::{Duration, Instant};

use crate::model::Revision;

const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Progress {
    step: &'static str,
    started: Instant,
    told: Instant,
    records: u64,
    bytes: u64,
    revision: Revision,
}

impl Progress {
    pub(super) fn of(step: &'static str) -> Self {
        let now = Instant::now();
        Self { step, started: now, told: now, records: 0, bytes: 0, revision: 0 }
    }

    pub(super) fn count(&mut self, bytes: usize, revision: Revision) {
        self.records += 1;
        self.bytes += bytes as u64;
        self.revision = self.revision.max(revision);
    }

    pub(super) fn tell(&mut self) {
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.line("");
        }
    }

    pub(super) fn done(&self) {
        self.line(", done");
    }

    fn line(&self, end: &str) {
        let Self { step, records, revision, .. } = self;
        let (mib, seconds) = (self.bytes as f64 / f64::from(1 << 20), self.started.elapsed().as_secs_f64());
        say(&format!("{step}: {records} records, {mib:.1} MiB, revision {revision}, {seconds:.1} s{end}"));
    }
}

/// Standard error is for people; the result goes to standard output.
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}
