//! Where the time of a request goes, for the line that explains one that was slow.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// A request has at most this many steps; what comes after is told as one.
const STEPS_MAX: usize = 64;

/// What was done for a request, and when each of it was done. Clones share it.
#[derive(Clone, Debug)]
pub struct Steps {
    began: Instant,
    done: Arc<Mutex<Vec<(&'static str, Duration)>>>,
}

impl Steps {
    pub fn since(began: Instant) -> Steps {
        Steps { began, done: Arc::default() }
    }

    /// This is done now.
    pub fn done(&self, what: &'static str) {
        self.done_at(what, Instant::now());
    }

    /// The same for those who have looked at the clock anyway.
    pub fn done_at(&self, what: &'static str, at: Instant) {
        let mut done = self.done.lock();
        if done.len() < STEPS_MAX {
            done.push((what, at.saturating_duration_since(self.began)));
        }
    }

    /// Each step with the time it took, as `---"what" 12ms (at 40ms)`, and what was left until `end`.
    pub fn told(&self, end: Duration) -> String {
        let (mut text, mut last) = (String::new(), Duration::ZERO);
        for (what, at) in self.done.lock().iter().copied().chain([("answered", end)]) {
            // Writing into a String cannot fail.
            let _ = write!(text, " ---{what:?} {}ms (at {}ms)", at.saturating_sub(last).as_millis(), at.as_millis());
            last = at;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_with_the_time_that_each_took() {
        let (began, ms) = (Instant::now(), Duration::from_millis);
        let steps = Steps::since(began);
        steps.done_at("decoded", began + ms(2));
        steps.clone().done_at("Priority admitted", began + ms(602));
        steps.done_at("stored", began + ms(610));
        let told = " ---\"decoded\" 2ms (at 2ms) ---\"Priority admitted\" 600ms (at 602ms) ---\"stored\" 8ms (at 610ms) \
                    ---\"answered\" 1ms (at 611ms)";
        assert_eq!(steps.told(ms(611)), told);
        (0..100).for_each(|_| steps.done("again"));
        assert!(steps.told(ms(700)).matches("again").count() < STEPS_MAX);
    }
}
