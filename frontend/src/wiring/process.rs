//! What this program asks of the system it runs on: open files, and whether the program that started it still lives.
//!
//! Not here: signals (the wiring).

use std::path::Path;

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Resource, Rlimit, getppid, getrlimit, pidfd_open, setrlimit},
};
use tokio::sync::oneshot;

/// The name by which test benches start this program.
const BENCH_NAME: &str = "kube-apiserver";
/// Set to anything, a server of a test bench outlives the program that started it.
const OUTLIVE: &str = "TESTBENCH_OUTLIVE_PARENT";

/// Lets this process open as many files as it may let itself, as every Go program does: shells and service managers
/// give few at first.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, files = limit.current, "the limit of open files stays");
    }
}

/// Resolves when this is a server of a test bench and the program that started it has ended, however that came about.
/// Never elsewhere: a server that an operator started goes on without its shell.
pub(super) async fn orphaned() {
    let bench = std::env::args_os().next().is_some_and(|path| is_bench(Path::new(&path)));
    if bench
        && std::env::var_os(OUTLIVE).is_none()
        && let Some(parent) = getppid()
    {
        match ended(parent).await {
            Ok(()) => return tracing::warn!("the program that started this server has ended"),
            Err(error) => tracing::warn!(%error, "cannot watch the program that started this server"),
        }
    }
    std::future::pending().await
}

fn is_bench(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == BENCH_NAME)
}

/// A descriptor of a process is readable once it has ended. A signal on the parent's death would come when the thread
/// ends that started us, which Go's threads do. The thread that waits here ends with this process at the latest.
async fn ended(process: Pid) -> std::io::Result<()> {
    let descriptor = pidfd_open(process, PidfdFlags::empty())?;
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
        while let Err(rustix::io::Errno::INTR) = poll(&mut watched, None) {}
        let _ = tell.send(());
    })?;
    told.await.map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        for (program, bench) in [("/x/kube-apiserver", true), ("kube-apiserver", true), ("/x/frontend", false)] {
            assert_eq!(is_bench(Path::new(program)), bench, "{program}");
        }
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let watched = tokio::spawn(ended(pid));
        drop(child.stdin.take());
        watched.await.unwrap().unwrap();
        assert!(child.wait().unwrap().success());
    }
}
