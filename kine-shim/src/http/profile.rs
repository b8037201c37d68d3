//! /debug/pprof/: a profile of the processor's time, sampled while somebody waits for it, in the format that `go tool
//! pprof` reads (github.com/google/pprof, proto/profile.proto). Other profiles of Go's have no counterpart here.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{Response, StatusCode, Uri};
use pprof::{ProfilerGuardBuilder, Report, Symbol};
use prost::Message;
use tonic::body::Body;

use super::pages::{TEXT, not_found, page, query};

const SAMPLES_PER_SECOND: i32 = 100;
const SECONDS_DEFAULT: u64 = 30;
const SECONDS_MAX: u64 = 300;
/// Unwinding in them from a signal may wait for a lock that the interrupted thread holds.
const NOT_UNWOUND: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// One at a time: the timer is the process's.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);

/// The one profile that is being taken.
struct Running;

impl Running {
    fn begin() -> Option<Self> {
        (!UNDER_WAY.swap(true, Ordering::AcqRel)).then_some(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        UNDER_WAY.store(false, Ordering::Release);
    }
}

pub(super) async fn answer(uri: &Uri, settings: &str) -> Response<Body> {
    match uri.path() {
        "/debug/pprof/" => page(StatusCode::OK, TEXT, "profile?seconds=30\ncmdline\n"),
        "/debug/pprof/cmdline" => page(StatusCode::OK, TEXT, settings.to_owned()),
        "/debug/pprof/profile" => {
            let asked = query(uri.query(), "seconds").next().map(str::parse::<u64>);
            match asked.unwrap_or(Ok(SECONDS_DEFAULT)) {
                Ok(seconds @ 1..=SECONDS_MAX) => profiled(Duration::from_secs(seconds)).await,
                _ => page(StatusCode::BAD_REQUEST, TEXT, format!("seconds must be from 1 to {SECONDS_MAX}\n")),
            }
        }
        _ => not_found(),
    }
}

/// Dropping the future stops the sampling.
async fn profiled(time: Duration) -> Response<Body> {
    let failed = |error: &dyn std::fmt::Display| {
        page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("could not profile: {error}\n"))
    };
    let Some(_running) = Running::begin() else { return failed(&"another profile is being taken") };
    let started = SystemTime::now();
    let sampling = ProfilerGuardBuilder::default().frequency(SAMPLES_PER_SECOND).blocklist(&NOT_UNWOUND).build();
    let sampling = match sampling {
        Ok(sampling) => sampling,
        Err(error) => return failed(&error),
    };
    tokio::time::sleep(time).await;
    // Finding the names of functions takes a moment.
    let report = tokio::task::block_in_place(|| sampling.report().build());
    match report {
        Ok(report) => page(StatusCode::OK, "application/octet-stream", encoded(&report, started, time)),
        Err(error) => failed(&error),
    }
}

fn encoded(report: &Report, started: SystemTime, time: Duration) -> Vec<u8> {
    let mut profile = Profile { string_table: vec![String::new()], ..Profile::default() };
    let mut known = HashMap::new();
    let mut functions = HashMap::new();
    let (samples, count) = (profile.text("samples", &mut known), profile.text("count", &mut known));
    let (cpu, nanoseconds) = (profile.text("cpu", &mut known), profile.text("nanoseconds", &mut known));
    profile.sample_type = vec![ValueType { kind: samples, unit: count }, ValueType { kind: cpu, unit: nanoseconds }];
    profile.period_type = Some(ValueType { kind: cpu, unit: nanoseconds });
    profile.period = 1_000_000_000 / i64::from(SAMPLES_PER_SECOND);
    profile.time_nanos = as_i64(started.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
    profile.duration_nanos = as_i64(time.as_nanos());
    for (frames, count) in &report.data {
        let mut places = Vec::new();
        for symbol in frames.frames.iter().skip_while(|symbols| is_sampling(symbols)).flatten() {
            let (name, file) = (symbol.name(), symbol.filename().into_owned());
            let line = i64::from(symbol.lineno());
            let next = profile.location.len() as u64 + 1;
            let place = *functions.entry((name.clone(), line)).or_insert(next);
            if place == next {
                let (name, filename) = (profile.text(&name, &mut known), profile.text(&file, &mut known));
                profile.function.push(Function { id: next, name, system_name: name, filename, start_line: 0 });
                profile.location.push(Location { id: next, line: vec![Line { function_id: next, line }] });
            }
            places.push(place);
        }
        let count = *count as i64;
        profile.sample.push(Sample { location_id: places, value: vec![count, count * profile.period] });
    }
    profile.encode_to_vec()
}

/// The innermost frames are those of the one who looks.
fn is_sampling(symbols: &[Symbol]) -> bool {
    symbols.iter().any(|symbol| symbol.name().starts_with("backtrace::") || symbol.name().starts_with("pprof::"))
}

fn as_i64(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Profile {
    /// Its place among the texts.
    fn text(&mut self, text: &str, known: &mut HashMap<String, i64>) -> i64 {
        let next = self.string_table.len() as i64;
        let at = *known.entry(text.to_owned()).or_insert(next);
        if at == next {
            self.string_table.push(text.to_owned());
        }
        at
    }
}

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
    #[prost(int64, tag = "5")]
    start_line: i64,
}
