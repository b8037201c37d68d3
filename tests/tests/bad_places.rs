//! Where a pair of a test bench may be started: without a network, without a host's name, as a user that nobody knows,
//! on a clock that jumps, on a full disk, beside what others left behind. In namespaces of the kernel where it lets us
//! make them; what needs one runs there as this same program again.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    bench::{self, Pair},
    find_program,
    process::{Process, eventually, free_port},
    rest::Rest,
    skipped,
};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WITHIN: Duration = Duration::from_secs(60);
/// Where an inner test finds what its outer one made.
const PLACE: &str = "BAD_PLACES_FOLDER";
/// Sets the clock of a program that it is loaded into, by what a file says.
const CLOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/bench/clock.c");

fn config_map(name: &str, bytes: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": "x".repeat(bytes)}})
}

fn rest(pair: &Pair) -> Result<Rest> {
    Ok(Rest::new(pair.admin_client()?, vec![pair.url.clone()]))
}

/// This program again, for the one ignored test, behind `prefix`, which may need rights that are not there.
fn inner(prefix: &[&str], test: &str, place: &Path) -> Command {
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(std::env::current_exe().unwrap_or_default());
    command.args(["--ignored", "--exact", test, "--nocapture"]).env(PLACE, place).stdin(Stdio::null());
    command
}

/// `None`, and a word about it, where `prefix` cannot be had here.
fn run_inner(case: &str, prefix: &[&str], test: &str, place: &Path) -> Result<Option<Output>> {
    let mut trial = Command::new(prefix[0]);
    let trial = trial.args(&prefix[1..]).arg(std::env::current_exe()?).arg("--list").output();
    if !trial.is_ok_and(|trial| trial.status.success()) {
        skipped(case, "the system gives no such place to this user");
        return Ok(None);
    }
    Ok(Some(inner(prefix, test, place).output()?))
}

#[test]
fn a_pair_starts_in_poor_places() -> Result<()> {
    let places: &[(&str, &[&str])] = &[
        ("without_a_default_route", &["unshare", "-rn", "sh", "-c", "ip link set lo up && exec \"$@\"", "-"]),
        (
            "without_a_host_name",
            &[
                "unshare",
                "-r",
                "--uts",
                "sh",
                "-c",
                "echo >/proc/sys/kernel/hostname && unset HOSTNAME && exec \"$@\"",
                "-",
            ],
        ),
        (
            "as_a_user_that_nobody_knows",
            &["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "env", "-u", "HOME", "-u", "USER"],
        ),
    ];
    for (case, prefix) in places {
        let place = tempfile::tempdir()?;
        let Some(output) = run_inner(case, prefix, "a_pair_is_of_use", place.path())? else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "{case}:\n{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run in another place by a_pair_starts_in_poor_places"]
async fn a_pair_is_of_use() -> Result<()> {
    let bench = bench::folder()?;
    // What envtest passes, and without its address, when a server looks for one by itself.
    for flags in [&[][..], &["--bind-address=0.0.0.0".to_owned()][..]] {
        let mut pair = Pair::start_with(bench.path(), &[], flags)?;
        pair.ready().await?;
        rest(&pair)?.must(Method::POST, CONFIG_MAPS, Some(&config_map("here", 1))).await?;
        pair.etcd.signal_to_stop()?;
        ensure!(pair.apiserver.terminate(WITHIN)? == Some(0), "{}", pair.apiserver.output());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_are_gone_are_named_and_ignored() -> Result<()> {
    let bench = bench::folder()?;
    let etcd = ["--enable-v2=true", "--proxy=off", "--experimental-initial-corrupt-check=true"].map(str::to_owned);
    let apiserver = ["--insecure-port=0", "--kubelet-https=true", "--target-ram-mb=100"].map(str::to_owned);
    let mut pair = Pair::start_with(bench.path(), &etcd, &apiserver)?;
    pair.ready().await?;
    for (process, flags) in [(&pair.etcd, &etcd), (&pair.apiserver, &apiserver)] {
        let log = process.output();
        for flag in flags {
            let name = flag.split('=').next().context("a name")?;
            let warned = |line: &str| line.contains("WARN") && line.contains(name.trim_start_matches('-'));
            ensure!(log.lines().any(warned), "{flag}:\n{log}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_folder_left_half_written_is_made_whole_or_named() -> Result<()> {
    let bench = bench::folder()?;
    let server = bench.path().join("kube-apiserver");
    let made_by_itself = |folder: &Path, port: u16| {
        vec![
            "--etcd-servers=http://127.0.0.1:1".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", folder.display()),
        ]
    };
    // Without its other half, either file is made anew.
    for left in ["apiserver.crt", "apiserver.key"] {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(left), "-----BEGIN CERT")?;
        let (port, log) = (free_port()?, folder.path().join("log"));
        let mut process = Process::start("kube-apiserver", &server, made_by_itself(folder.path(), port), log)?;
        let listens = || async { Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop)?) };
        eventually("it listens", WITHIN, listens).await.with_context(|| process.output())?;
        process.kill()?;
    }
    // A pair that cannot be read may be somebody's: it is named, and left.
    let folder = tempfile::tempdir()?;
    for (name, text) in [("apiserver.crt", "-----BEGIN CERT"), ("apiserver.key", "")] {
        fs::write(folder.path().join(name), text)?;
    }
    let output = Command::new(&server).args(made_by_itself(folder.path(), free_port()?)).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default();
    let named = ["--cert-dir", "apiserver.crt", "remove apiserver.crt and apiserver.key"];
    ensure!(output.status.code() == Some(1) && named.iter().all(|word| line.contains(word)), "{said}");
    Ok(())
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mount = format!("mount -t tmpfs -o size=4m none {} && exec \"$@\"", place.path().display());
    let prefix = ["unshare", "-rm", "sh", "-c", &mount, "-"];
    let case = "a_full_disk_refuses_writes_and_nothing_else";
    let Some(output) = run_inner(case, &prefix, "a_disk_fills", place.path())? else { return Ok(()) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run on a small disk by a_full_disk_refuses_writes_and_nothing_else"]
async fn a_disk_fills() -> Result<()> {
    let disk = PathBuf::from(std::env::var_os(PLACE).context("no disk")?);
    let bench = bench::folder()?;
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![0; 1 << 20])?;
    let data = [format!("--data-dir={}", disk.join("data").display())];
    let mut pair = Pair::start(bench.path(), &data)?;
    pair.ready().await?;
    let client = rest(&pair)?;
    client.must(Method::POST, CONFIG_MAPS, Some(&config_map("before", 1))).await?;
    let mut refused = None;
    for number in 0..100 {
        let map = config_map(&format!("large-{number}"), 200_000);
        if client.must(Method::POST, CONFIG_MAPS, Some(&map)).await.is_err() {
            refused = Some(number);
            break;
        }
    }
    ensure!(refused.is_some_and(|number| number > 0), "refused {refused:?}");
    client.must(Method::GET, &format!("{CONFIG_MAPS}/before"), None).await?;
    pair.etcd.check_alive()?;
    // A second one finds no room for its own store: a line, and at once.
    let filled = fs::write(disk.join("rest"), vec![0; 8 << 20]);
    ensure!(filled.is_err(), "the disk is not full");
    let etcd = Command::new(bench.path().join("etcd"))
        .arg(format!("--data-dir={}", disk.join("second").display()))
        .arg("--listen-client-urls=http://127.0.0.1:0")
        .output()?;
    let said = String::from_utf8_lossy(&etcd.stderr).into_owned();
    ensure!(etcd.status.code() == Some(1) && said.contains("full"), "{said}");
    // With room again, writes are taken again.
    fs::remove_file(&ballast)?;
    let after = config_map("after", 1);
    let again = || async { client.must(Method::POST, CONFIG_MAPS, Some(&after)).await };
    eventually("a write is taken", WITHIN, again).await?;
    Ok(())
}

/// The two programs with a clock that a file sets: `--data-dir` and all else as envtest has them.
struct Clocked {
    folder: TempDir,
    offset: PathBuf,
}

impl Clocked {
    /// `None` where no C compiler is at hand.
    fn new(case: &str) -> Result<Option<Self>> {
        let Some(compiler) = find_program("CC", &["cc", "gcc", "clang"]) else {
            skipped(case, "no C compiler in PATH");
            return Ok(None);
        };
        let folder = bench::folder()?;
        let (library, offset) = (folder.path().join("clock.so"), folder.path().join("offset"));
        let built = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(CLOCK).output()?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::write(&offset, 0_i64.to_ne_bytes())?;
        fs::create_dir(folder.path().join("real"))?;
        for name in ["etcd", "kube-apiserver"] {
            // By their names, since these decide.
            let (program, real) = (folder.path().join(name), folder.path().join("real").join(name));
            fs::rename(&program, &real)?;
            let script = format!(
                "#!/bin/sh\nLD_PRELOAD={} CLOCK_OFFSET={} exec {} \"$@\"\n",
                library.display(),
                offset.display(),
                real.display()
            );
            fs::write(&program, script)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Some(Self { folder, offset }))
    }

    /// In place: the programs have the file mapped.
    fn set(&self, seconds: i64) -> Result<()> {
        Ok(fs::File::options().write(true).open(&self.offset)?.write_all(&seconds.to_ne_bytes())?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ends_nothing() -> Result<()> {
    let Some(clocked) = Clocked::new("a_clock_that_jumps_ends_nothing")? else { return Ok(()) };
    let mut pair = Pair::start(clocked.folder.path(), &[])?;
    pair.ready().await?;
    let client = rest(&pair)?;
    // An Event lives for an hour by a lease of the store.
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {
        "kind": "ConfigMap", "name": "before", "namespace": "default"}});
    client.must(Method::POST, "/api/v1/namespaces/default/events", Some(&event)).await?;
    client.must(Method::POST, CONFIG_MAPS, Some(&config_map("before", 1))).await?;
    for (name, seconds) in [("ahead", 3 * 3600), ("back", -3 * 3600), ("right", 0)] {
        clocked.set(seconds)?;
        let made = client.must(Method::POST, CONFIG_MAPS, Some(&config_map(name, 1))).await?;
        let stamp: jiff::Timestamp = made["metadata"]["creationTimestamp"].as_str().context("a time")?.parse()?;
        let off = stamp.as_second() - jiff::Timestamp::now().as_second() - seconds;
        ensure!(off.abs() < 60, "{name}: the clock was not set: {stamp}");
        let begun = Instant::now();
        // Longer than leases and watches are looked at.
        while begun.elapsed() < Duration::from_secs(2) {
            client.must(Method::GET, "/api/v1/namespaces/default/events/e", None).await?;
            client.must(Method::GET, &format!("{CONFIG_MAPS}/before"), None).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        pair.etcd.check_alive()?;
        pair.apiserver.check_alive()?;
    }
    Ok(())
}
