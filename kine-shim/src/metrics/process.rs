//! What the process uses, as Linux tells it and as Go's programs show it. Nothing is shown where nothing is told.

use std::fmt::Write;

use rustix::process::{Resource, getrlimit};

use crate::http::open_files;

/// Of clock_gettime's ticks in /proc: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

pub(super) fn append(page: &mut String) {
    let mut show = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(page, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    // Behind the name in parentheses, which may hold anything; its first field is the third of the file.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let stat = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |at: usize| stat.split_whitespace().nth(at - 3).and_then(|value| value.parse::<f64>().ok());
    let booted = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok());
    let used = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    let limit = open_files().map(|files| files as f64);
    let addresses = getrlimit(Resource::As).current.unwrap_or(u64::MAX) as f64;
    // Of the network namespace, as Go's programs show it.
    let octets = |name: &str| network(&std::fs::read_to_string("/proc/self/net/netstat").ok()?, name);
    let seconds = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND);
    let started = field(22).zip(booted).map(|(ticks, booted)| booted + ticks / TICKS_PER_SECOND);
    show("process_cpu_seconds_total", "counter", "Processor time used", seconds);
    show("process_resident_memory_bytes", "gauge", "Resident memory", field(24).map(|pages| pages * PAGE_BYTES));
    show("process_virtual_memory_bytes", "gauge", "Virtual memory", field(23));
    show("process_virtual_memory_max_bytes", "gauge", "Virtual memory that may be used", Some(addresses));
    show("process_network_receive_bytes_total", "counter", "Bytes received over the network", octets("InOctets"));
    show("process_network_transmit_bytes_total", "counter", "Bytes sent over the network", octets("OutOctets"));
    show("process_start_time_seconds", "gauge", "Start, since 1970", started);
    show("process_open_fds", "gauge", "Open files", used);
    show("process_max_fds", "gauge", "Files that may be open", limit);
    show("os_fd_used", "gauge", "Open files", used);
    show("os_fd_limit", "gauge", "Files that may be open", limit);
}

/// One count of the table of the internet protocol: a line of names, then one of counts.
fn network(tables: &str, name: &str) -> Option<f64> {
    let mut rows = tables.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let at = rows.next()?.split_whitespace().position(|known| known == name)?;
    rows.next()?.split_whitespace().nth(at)?.parse().ok()
}
