//! What others want the sequencer to do when it is idle.

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Hints {
    /// There is something to read.
    pub(crate) behind: Notify,
    /// The database may not be the one it was.
    pub(crate) suspicious: Notify,
}
