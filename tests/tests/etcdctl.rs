//! etcdctl 3.6, every command, against the shim: the transcript must be the one that a real etcd gave.
//! `tests/data/etcdctl.txt` holds it: commands after `$` (or `$N`: interrupted once it has printed N lines), their
//! input after `<`, then what they print, identities and clocks masked. With RECORD naming the URL of a fresh etcd, the
//! file is written anew.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{find_program, plain::PlainShim, process::eventually, skipped};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_what_it_prints_for_an_etcd() -> Result<()> {
    let Some(program) = etcdctl("every_command_prints_what_it_prints_for_an_etcd") else { return Ok(()) };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/etcdctl.txt");
    let wanted = std::fs::read_to_string(&file)?;
    let shim = Shim::start().await?;
    let record = std::env::var("RECORD").ok();
    let mut session = Session {
        program,
        endpoint: record.clone().unwrap_or_else(|| shim.0.url.clone()),
        dir: shim.0.dir.path().to_owned(),
        lease: String::new(),
    };
    let mut transcript = String::new();
    for block in blocks(&wanted) {
        transcript += &session.play(&block).with_context(|| format!("$ {}", block.command))?;
    }
    if record.is_some() {
        return Ok(std::fs::write(&file, transcript)?);
    }
    let differences = differences(&wanted, &transcript);
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_follows() -> Result<()> {
    let Some(program) = etcdctl("a_mirror_follows") else { return Ok(()) };
    let (from, to) = (Shim::start().await?, Shim::start().await?);
    from.run(&program, &["put", "before", "1"])?;
    let mut mirror = Command::new(&program);
    mirror.args(["--endpoints", &from.0.url, "make-mirror", &to.0.url]).stdout(Stdio::null()).stderr(Stdio::null());
    let _mirror = Running(mirror.spawn()?);
    let holds = async |key: &str, value: &str| {
        eventually("the mirror to follow", PATIENCE, async || {
            let found = to.run(&program, &["get", key, "--print-value-only"])?;
            ensure!(found.trim() == value, "{key} is {found:?}");
            Ok(())
        })
        .await
    };
    holds("before", "1").await?;
    from.run(&program, &["put", "after", "2"])?;
    holds("after", "2").await?;
    from.run(&program, &["del", "before"])?;
    holds("before", "").await
}

/// Memory is read from the metrics, before and after. How fast it went is for `tests/bench` to say.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_data_scale_passes() -> Result<()> {
    let Some(program) = etcdctl("the_check_of_the_data_scale_passes") else { return Ok(()) };
    let shim = Shim::start().await?;
    let printed = shim.run(&program, &["check", "datascale", "--load=s", "--auto-compact", "--auto-defrag"])?;
    ensure!(printed.contains("PASS: Approximate system memory used"), "{printed}");
    let left = shim.run(&program, &["get", "", "--prefix", "--count-only", "--write-out=fields"])?;
    ensure!(left.contains("\"Count\" : 0"), "{left}");
    Ok(())
}

/// A minute of 150 puts a second. On a machine that runs other tests as well single ones may be slow, which the check
/// does not forgive.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_the_performance_ends_without_errors() -> Result<()> {
    let Some(program) = etcdctl("the_check_of_the_performance_ends_without_errors") else { return Ok(()) };
    let shim = Shim::start().await?;
    let command = Command::new(&program).args(["--endpoints", &shim.0.url, "check", "perf"]).output()?;
    let printed = String::from_utf8(command.stdout)?;
    ensure!(printed.contains("PASS: Throughput is ") && !printed.contains("ERROR"), "{printed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdutl_reads_restores_and_defragments_a_snapshot() -> Result<()> {
    let case = "etcdutl_reads_restores_and_defragments_a_snapshot";
    let (Some(program), Some(etcdutl)) = (etcdctl(case), version_3_6("ETCDUTL", "etcdutl", case)) else {
        return Ok(());
    };
    let shim = Shim::start().await?;
    for value in ["1", "2", "3"] {
        shim.run(&program, &["put", "a", value])?;
    }
    shim.run(&program, &["compaction", "3"])?;
    let (file, data) = (shim.path("snapshot.db"), shim.path("restored"));
    shim.run(&program, &["snapshot", "save", &file])?;

    output(&etcdutl, &["snapshot", "restore", &file, "--data-dir", &data])?;
    // These write to the file, which no longer has the checksum at its end then.
    let status: Value = serde_json::from_str(&output(&etcdutl, &["snapshot", "status", &file, "--write-out=json"])?)?;
    ensure!((&status["revision"], &status["totalKey"]) == (&json!(4), &json!(1)), "{status}");
    let hash = shim.run(&program, &["endpoint", "hashkv", "--write-out=json"])?;
    let hash: Value = serde_json::from_str(&hash)?;
    let stored: Value = serde_json::from_str(&output(&etcdutl, &["hashkv", &file, "--write-out=json"])?)?;
    ensure!(stored["hash"] == hash[0]["HashKV"]["hash"] && !stored["hash"].is_null(), "{stored} is not {hash}");

    output(&etcdutl, &["defrag", "--data-dir", &data])?;
    let restored = format!("{data}/member/snap/db");
    let again: Value = serde_json::from_str(&output(&etcdutl, &["hashkv", &restored, "--write-out=json"])?)?;
    ensure!(again["hash"] == stored["hash"], "{again} is not {stored}");
    Ok(())
}

fn etcdctl(case: &str) -> Option<PathBuf> {
    version_3_6("ETCDCTL", "etcdctl", case)
}

/// What a distribution calls so may be older and print something else.
fn version_3_6(variable: &str, name: &str, case: &str) -> Option<PathBuf> {
    let program = find_program(variable, &[name])
        .filter(|program| output(program, &["version"]).is_ok_and(|printed| printed.contains("version: 3.6.")));
    if program.is_none() {
        skipped(case, &format!("no {name} 3.6 on this machine (set {variable})"));
    }
    program
}

fn output(program: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output()?;
    ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

struct Shim(PlainShim);

impl Shim {
    async fn start() -> Result<Self> {
        // A build that is not optimised needs seconds for a password at etcd's default.
        Ok(Self(PlainShim::start("memory:", &["--bcrypt-cost=4"]).await?))
    }

    fn path(&self, name: &str) -> String {
        self.0.dir.path().join(name).display().to_string()
    }

    fn run(&self, program: &Path, args: &[&str]) -> Result<String> {
        output(program, &[&["--endpoints", &self.0.url], args].concat())
    }
}

struct Block {
    command: String,
    /// The command is interrupted after this many lines.
    lines: Option<usize>,
    input: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix('$') {
            let (lines, command) = rest.split_once(' ').unwrap_or((rest, ""));
            blocks.push(Block { command: command.to_owned(), lines: lines.parse().ok(), input: Vec::new() });
        } else if let (Some(input), Some(block)) = (line.strip_prefix('<'), blocks.last_mut()) {
            block.input.push(input.trim_start().to_owned());
        }
    }
    blocks
}

struct Session {
    program: PathBuf,
    endpoint: String,
    dir: PathBuf,
    /// The one granted last.
    lease: String,
}

impl Session {
    fn play(&mut self, block: &Block) -> Result<String> {
        let dir = self.dir.display().to_string();
        let words = block.command.split(' ').map(|word| match word {
            "''" => String::new(),
            word => word.replace("$LEASE", &self.lease).replace("$DIR", &dir),
        });
        let mut command = Command::new(&self.program);
        command.arg("--endpoints").arg(&self.endpoint).args(words).env_clear();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        for line in &block.input {
            writeln!(input, "{line}")?;
        }
        drop(input);
        let printed = match block.lines {
            Some(lines) => first_lines(child, lines)?,
            None => self.whole(child)?,
        };
        let mark = block.lines.map_or_else(String::new, |lines| lines.to_string());
        let input: String = block.input.iter().map(|line| format!("< {line}\n")).collect();
        Ok(format!("${mark} {}\n{input}{}", block.command, self.masked(&block.command, &printed)))
    }

    fn whole(&mut self, child: Child) -> Result<String> {
        let output = child.wait_with_output()?;
        let mut printed = String::from_utf8(output.stdout)?;
        if let Some(granted) = printed.strip_prefix("lease ").and_then(|rest| rest.split_once(" granted")) {
            self.lease = granted.0.to_owned();
        }
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        // Its log goes there, too.
        for line in String::from_utf8(output.stderr)?.lines().filter(|line| line.starts_with("Error")) {
            printed += &format!("{line}\n");
        }
        if let Some(code) = output.status.code().filter(|code| *code != 0) {
            printed += &format!("exit {code}\n");
        }
        Ok(printed)
    }

    fn masked(&self, command: &str, printed: &str) -> String {
        let printed = printed.replace(&self.endpoint, "URL").replace(&self.dir.display().to_string(), "$DIR");
        let columns: &[usize] = match command {
            _ if command.starts_with("endpoint status") => &[0, 2, 3, 8, 9, 13, 14, 15],
            _ if command.starts_with("member list") => &[1, 2, 4, 5],
            _ => &[],
        };
        let mut text = String::new();
        for line in printed.lines() {
            let words = words(line);
            if columns.is_empty() {
                text += &words;
            } else {
                let all: Vec<_> = words.split(", ").collect();
                let kept: Vec<_> = columns.iter().filter_map(|column| all.get(*column).copied()).collect();
                text += &kept.join(", ");
            }
            text.push('\n');
        }
        text
    }
}

/// Identities and times give way to names.
fn words(line: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '.';
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            text += &rest[..next];
            rest = &rest[next..];
            continue;
        }
        let word = &rest[..end];
        let number = ["ms", "µs", "s"].iter().find_map(|unit| word.strip_suffix(unit));
        let is_after = |name: &str| text.ends_with(&format!("\"{name}\":"));
        text += match word {
            _ if word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit()) => "ID",
            _ if number.is_some_and(|number| number.parse::<f64>().is_ok()) => "TIME",
            _ if is_after("raft_term") || is_after("hash") || text.ends_with("\"RaftTerm\" : ") => "N",
            word => word,
        };
        rest = &rest[end..];
    }
    text
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn first_lines(mut child: Child, count: usize) -> Result<String> {
    let output = child.stdout.take().context("no output")?;
    let _running = Running(child);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
    });
    let mut printed = String::new();
    for at in 0..count {
        let line =
            lines.recv_timeout(PATIENCE).with_context(|| format!("line {} of {count} after {printed:?}", at + 1))?;
        printed += &format!("{line}\n");
    }
    Ok(printed)
}

/// Command by command.
fn differences(wanted: &str, got: &str) -> String {
    let split = |text: &str| -> Vec<String> { text.split("\n$").map(str::to_owned).collect() };
    let pairs = split(wanted).into_iter().zip(split(got));
    pairs
        .filter(|(wanted, got)| wanted.trim() != got.trim())
        .map(|(a, b)| format!("etcd: {a}\nshim: {b}\n\n"))
        .collect()
}
