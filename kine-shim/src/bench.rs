//! What is different about a server that a test bench started: it ends with the program that started it, and has few
//! threads and no huge pages, since there may be forty of them. A file beside the program makes its folder a bench's;
//! elsewhere nothing of this acts.

use std::{fs, io, path::Path, thread::available_parallelism};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, getppid, pidfd_open},
    thread::disable_transparent_huge_pages,
};
use tokio::sync::oneshot;

/// The file that `deploy/testbench` puts beside the programs.
const MARK: &str = "testbench";
/// Set to anything, a server of a test bench outlives the program that started it.
const OUTLIVE: &str = "TESTBENCH_OUTLIVE_PARENT";
/// Of a bench's server.
const THREADS_MAX: usize = 2;

/// How many threads the runtime should have.
pub fn threads() -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    if is_here() { cores.min(THREADS_MAX) } else { cores }
}

/// Keeps a bench's server small: the allocator asks for huge pages, of which an empty store fills a tenth. To be called
/// first: what is there stays.
pub fn stay_small() {
    if is_here()
        && let Err(error) = disable_transparent_huge_pages(true)
    {
        eprintln!("huge pages stay: {error}");
    }
}

/// Resolves when this is a server of a test bench and the program that started it has ended, however that came about.
/// Never elsewhere, and never for a server with a session of its own: whoever gives it one means it to stay.
pub async fn orphaned() {
    let stays = std::env::var_os(OUTLIVE).is_some() || leads_a_session();
    if let Some(parent) = getppid().filter(|_| is_here() && !stays) {
        match ended(parent).await {
            Ok(()) => return tracing::warn!("the program that started this server has ended"),
            Err(error) => tracing::warn!(%error, "cannot watch the program that started this server"),
        }
    }
    std::future::pending().await
}

/// Read from the table of processes, since rustix (1.1) panics at a session that began outside of a container: to the
/// processes in it, its number is 0.
fn leads_a_session() -> bool {
    fs::read_to_string("/proc/self/stat").is_ok_and(|stat| is_leader(&stat))
}

/// proc_pid_stat(5): `pid (comm) state ppid pgrp session …`, where comm is any text.
fn is_leader(stat: &str) -> bool {
    let pid = stat.split(' ').next();
    let session = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(3));
    pid.is_some() && pid == session
}

fn is_here() -> bool {
    std::env::current_exe().is_ok_and(|program| is_bench(&program))
}

fn is_bench(program: &Path) -> bool {
    program.with_file_name(MARK).is_file()
}

/// A descriptor of a process is readable once it has ended. A signal on the parent's death would come when the thread
/// ends that started us, which Go's threads do. The thread that waits here ends with this process at the latest.
async fn ended(process: Pid) -> io::Result<()> {
    let descriptor = pidfd_open(process, PidfdFlags::empty())?;
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
        while let Err(Errno::INTR) = poll(&mut watched, None) {}
        let _ = tell.send(());
    })?;
    told.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_file_beside_the_program_makes_a_bench() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("etcd");
        assert!(!is_bench(&program));
        std::fs::write(folder.path().join(MARK), "").unwrap();
        assert!(is_bench(&program));
    }

    #[test]
    fn a_leader_has_the_number_of_its_session() {
        for (stat, leads) in [
            ("7 (etcd) S 1 7 7 0 -1", true),
            ("7 (a) b 7 7 7) S 1 7 7 0 -1", true),
            ("7 (etcd) S 1 7 3 0 -1", false),
            ("7 (etcd) S 0 0 0 0 -1", false),
            ("", false),
        ] {
            assert_eq!(is_leader(stat), leads, "{stat}");
        }
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let watched = tokio::spawn(ended(Pid::from_child(&child)));
        drop(child.stdin.take());
        watched.await.unwrap().unwrap();
        assert!(child.wait().unwrap().success());
    }
}
