//! Answers of others that count for a while.
//!
//! In: a question's digest and how to ask it. Out: the answer. Those who ask the same at one time share one call. So
//! many answers are kept; beyond, those that nobody asked for lately are forgotten first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::{sync::OnceCell, time::Instant};

/// What a question is known by: whole questions would keep tokens in memory.
pub(super) type Key = [u8; 32];

/// The digest of several texts, none of which can pass for a part of its neighbour.
pub(super) fn key<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Key {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// In two generations: what is asked for stays, what is not goes.
pub(super) struct Kept<V> {
    max: usize,
    generations: Mutex<Generations<V>>,
    open: Mutex<HashMap<Key, Arc<OnceCell<V>>>>,
}

type Generation<V> = HashMap<Key, (V, Instant)>;

struct Generations<V> {
    young: Generation<V>,
    old: Generation<V>,
}

impl<V: Clone + Send + Sync> Kept<V> {
    pub(super) fn new(max: usize) -> Kept<V> {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Kept { max, generations: Mutex::new(generations), open: Mutex::default() }
    }

    /// `time` says how long an answer counts; none: it is not kept.
    pub(super) async fn get_or_ask(
        &self,
        key: Key,
        ask: impl Future<Output = V>,
        time: impl FnOnce(&V) -> Option<Duration>,
    ) -> V {
        if let Some(known) = self.get(&key) {
            return known;
        }
        let cell = Arc::clone(self.open.lock().entry(key).or_default());
        let answer = cell.get_or_init(|| ask).await.clone();
        let mut open = self.open.lock();
        if open.get(&key).is_some_and(|now| Arc::ptr_eq(now, &cell)) {
            open.remove(&key);
            if let Some(time) = time(&answer).filter(|time| !time.is_zero()) {
                self.put(key, (answer.clone(), Instant::now() + time));
            }
        }
        answer
    }

    pub(super) fn knows(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &Key) -> Option<V> {
        let mut generations = self.generations.lock();
        if let Some((answer, until)) = generations.young.get(key) {
            return (Instant::now() < *until).then(|| answer.clone());
        }
        let found = generations.old.remove(key).filter(|(_, until)| Instant::now() < *until)?;
        let answer = found.0.clone();
        generations.put(*key, found, self.max);
        Some(answer)
    }

    fn put(&self, key: Key, answer: (V, Instant)) {
        self.generations.lock().put(key, answer, self.max);
    }
}

impl<V> Generations<V> {
    fn put(&mut self, key: Key, answer: (V, Instant), max: usize) {
        if self.young.len() >= max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn answers_count_for_their_time() {
        let kept = Kept::new(100);
        let asked = AtomicUsize::new(0);
        let get = |name: &'static str, time: Option<Duration>| {
            let ask = async {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::Relaxed)
            };
            kept.get_or_ask(key([name.as_bytes()]), ask, move |_| time)
        };
        let both = futures::future::join(get("a", Some(10 * SECOND)), get("a", Some(10 * SECOND))).await;
        assert_eq!(both, (0, 0), "those who ask at one time share a call");
        tokio::time::advance(9 * SECOND).await;
        assert_eq!(get("a", None).await, 0);
        tokio::time::advance(SECOND).await;
        assert_eq!(get("a", None).await, 1);
        assert_eq!(get("a", Some(SECOND)).await, 2, "what is not to be kept is not");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_kept() {
        let kept = Kept::new(8);
        for n in 0..100_u64 {
            kept.get_or_ask(key([&n.to_be_bytes()[..]]), async { n }, |_| Some(SECOND)).await;
            kept.get_or_ask(key([&b"often"[..]]), async { n }, |_| Some(SECOND)).await;
        }
        let generations = kept.generations.lock();
        assert!(generations.young.len() + generations.old.len() <= 8);
        drop(generations);
        assert_eq!(kept.get(&key([&b"often"[..]])), Some(0), "what is asked for stays");
    }
}
