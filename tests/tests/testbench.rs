//! The folder that test benches start their `etcd` and `kube-apiserver` from: names, start, stop, no orphans, one line
//! for what is in the way; and how operators' tests in several languages use it, from `clients/bench`.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;
use tests::{
    bench::{self, Pair},
    find_program,
    process::{Process, eventually},
    rest::Rest,
    skipped,
};

/// In a release on an idle machine a tenth of a second; this is a debug build beside other tests.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
const FETCHED_WITHIN: Duration = Duration::from_secs(300);
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/bench");
/// What is built and installed there stays for the next run.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");

fn run(program: &Path, flags: &[&str]) -> Result<Output> {
    Ok(Command::new(program).args(flags).stdin(Stdio::null()).output()?)
}

#[test]
fn the_names_decide() -> Result<()> {
    let bench = bench::folder()?;
    let said = |name: &str, flag: &str| -> Result<String> {
        Ok(String::from_utf8(run(&bench.path().join(name), &[flag])?.stdout)?)
    };
    // What kwokctl and kubeadm read, and the flags that envtest looks for, each at the beginning of a line.
    ensure!(said("etcd", "--version")?.starts_with("etcd Version: 3.6."));
    ensure!(said("kube-apiserver", "--version")?.starts_with("Kubernetes v1.35."));
    let has = |help: &str, flag: &str| help.lines().any(|line| line.trim_start().starts_with(flag));
    ensure!(has(&said("etcd", "--help")?, "--unsafe-no-fsync"));
    let help = said("kube-apiserver", "--help")?;
    ensure!(has(&help, "--secure-port") && !has(&help, "--insecure-port"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_gone_soon_after_it_is_told_to_stop() -> Result<()> {
    let bench = bench::folder()?;
    for (order, watch) in [("both", false), ("both", true), ("the store first", false)] {
        let mut pair = Pair::start(bench.path(), &[])?;
        pair.ready().await?;
        let rest = Rest::new(pair.admin_client()?, vec![pair.url.clone()]);
        let _events = if watch { Some(rest.watch("/api/v1/pods?watch=true").await?) } else { None };
        pair.etcd.signal_to_stop()?;
        if order != "both" {
            pair.etcd.wait(GONE_WITHIN)?;
        }
        let stopped = (pair.apiserver.terminate(GONE_WITHIN)?, pair.etcd.wait(GONE_WITHIN)?);
        ensure!(stopped == (Some(0), Some(0)), "{order}: {stopped:?}");
    }
    Ok(())
}

/// What the allocator asks for in huge pages, an empty store does not fill: 20 MB a program.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_at_rest_takes_little_memory() -> Result<()> {
    const HEAP_BYTES_MAX: u64 = 16 << 20;
    let bench = bench::folder()?;
    let mut pair = Pair::start(bench.path(), &[])?;
    pair.ready().await?;
    for pid in pair.pids() {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let heap = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
        let heap = heap.context("no RssAnon")?.trim().parse::<u64>()? << 10;
        ensure!(heap < HEAP_BYTES_MAX, "{heap} bytes:\n{status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_end_with_the_program_that_started_them() -> Result<()> {
    let bench = bench::folder()?;
    let etcd = bench.path().join("etcd");
    // Who starts the server, and whether it then outlives that.
    let starters = [("", false), ("TESTBENCH_OUTLIVE_PARENT=1 ", true), ("setsid ", true)];
    for (how, stays) in starters {
        let dir = tempfile::tempdir()?;
        let port = tests::process::free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let script = format!(
            "cd {dir} || exit; {how}{etcd} --listen-client-urls={url} --advertise-client-urls={url} >log 2>&1 & echo $!; wait",
            dir = dir.path().display(),
            etcd = etcd.display(),
        );
        let mut starter = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn()?;
        let serving = || async { Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop)?) };
        eventually("the server listens", GONE_WITHIN * 2, serving).await?;
        starter.kill()?;
        let pid = starter.wait_with_output()?.stdout;
        let pid = String::from_utf8(pid)?.trim().to_owned();
        if stays {
            tokio::time::sleep(Duration::from_millis(300)).await;
            serving().await.with_context(|| format!("{how:?} ended with its starter"))?;
        } else {
            let gone = || async {
                ensure!(serving().await.is_err(), "it still listens");
                Ok(())
            };
            eventually("the server ends", GONE_WITHIN, gone).await?;
        }
        Command::new("kill").args(["-9", &pid]).stderr(Stdio::null()).status()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_said_in_a_line_and_at_once() -> Result<()> {
    let bench = bench::folder()?;
    let mut pair = Pair::start(bench.path(), &[])?;
    pair.ready().await?;
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("file"), "")?;
    fs::create_dir_all(dir.path().join("real/member/snap"))?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let (own, used) = (format!("--data-dir={}", dir.path().join("own").display()), pair.path("data"));
    let url = format!("--listen-client-urls=http://127.0.0.1:{port}");
    let free = "--listen-client-urls=http://127.0.0.1:0".to_owned();
    let cases: &[(&str, Vec<String>, &str)] = &[
        ("etcd", vec![own.clone(), url], "Address already in use"),
        ("etcd", vec![format!("--data-dir={}", dir.path().join("file/x").display()), free.clone()], "cannot create"),
        ("etcd", vec![format!("--data-dir={}", used.display()), free.clone()], "in use by another process"),
        ("etcd", vec![format!("--data-dir={}", dir.path().join("real").display()), free], "kine-shim import"),
        ("etcd", vec![own, "--data-dirr=x".to_owned()], "exists: '--data-dir'"),
        ("kube-apiserver", apiserver_flags(port, dir.path(), "own"), "Address already in use"),
        ("kube-apiserver", apiserver_flags(0, dir.path(), "file/x"), "Not a directory"),
        ("kube-apiserver", vec!["--etcd-server=http://e".to_owned()], "did you mean --etcd-servers?"),
    ];
    for (name, flags, said) in cases {
        let begun = Instant::now();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let output = run(&bench.path().join(name), &flags)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = text.lines().filter(|line| line.contains(said)).count();
        ensure!(lines == 1 && output.status.code().is_some_and(|code| code > 0), "{name} {flags:?}: {text}");
        ensure!(begun.elapsed() < REFUSED_WITHIN, "{name} {flags:?} took {:?}", begun.elapsed());
    }
    Ok(())
}

fn apiserver_flags(port: u16, dir: &Path, certificates: &str) -> Vec<String> {
    vec![
        "--etcd-servers=http://127.0.0.1:1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", dir.join(certificates).display()),
    ]
}

/// After SIGKILL the same folder serves again, with what was in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_was_killed_starts_again() -> Result<()> {
    let bench = bench::folder()?;
    let mut pair = Pair::start(bench.path(), &[])?;
    pair.ready().await?;
    let rest = Rest::new(pair.admin_client()?, vec![pair.url.clone()]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}});
    rest.must(Method::POST, maps, Some(&map)).await?;
    for process in [&mut pair.etcd, &mut pair.apiserver] {
        process.restart()?;
    }
    pair.ready().await?;
    rest.must(Method::GET, &format!("{maps}/kept"), None).await?;
    Ok(())
}

/// What `kwokctl snapshot` asks of the two tools: a snapshot of a running pair becomes a data directory of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_saved_and_restored_by_their_names() -> Result<()> {
    let bench = bench::folder()?;
    let mut pair = Pair::start(bench.path(), &[])?;
    pair.ready().await?;
    let rest = Rest::new(pair.admin_client()?, vec![pair.url.clone()]);
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |name| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let before = rest.must(Method::POST, maps, Some(&map("before"))).await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let tool = |name: &str, flags: &[&str]| run(&bench.path().join(name), flags);
    let endpoint = pair.store.trim_start_matches("http://");
    let saved = tool("etcdctl", &["--endpoints", endpoint, "snapshot", "save", &path("snapshot.db")])?;
    ensure!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    rest.must(Method::POST, maps, Some(&map("after"))).await?;
    let restore = ["snapshot", "restore", &path("snapshot.db"), "--data-dir", &path("data")];
    let restored = tool("etcdutl", &restore)?;
    ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let again = tool("etcdutl", &restore)?;
    ensure!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is not empty"));
    let other = tool("etcdctl", &["get", "a"])?;
    ensure!(String::from_utf8_lossy(&other.stderr).contains("unrecognized subcommand 'get'"));
    let mut second = Pair::start(bench.path(), &[format!("--data-dir={}", path("data"))])?;
    second.ready().await?;
    let rest = Rest::new(second.admin_client()?, vec![second.url.clone()]);
    let found = rest.must(Method::GET, &format!("{maps}/before"), None).await?;
    ensure!(found == before, "{found}, {before}");
    let (status, _) = rest.once(Method::GET, &format!("{maps}/after"), None).await?;
    ensure!(status == 404, "{status}");
    Ok(())
}

/// The example for kube-rs: the fixture starts the pair, the test is a client.
#[tokio::test(flavor = "multi_thread")]
async fn kube_rs() -> Result<()> {
    let bench = bench::folder()?;
    let mut pair = Pair::start(bench.path(), &[])?;
    pair.ready().await?;
    let client = kube::Client::try_from(pair.kube_config().await?)?;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let map = serde_json::from_value(json!({"metadata": {"name": "greeting"}, "data": {"hello": "world"}}))?;
    maps.create(&PostParams::default(), &map).await?;
    ensure!(maps.get("greeting").await?.data.is_some_and(|data| data["hello"] == "world"));
    Ok(())
}

#[test]
fn go_with_envtest() -> Result<()> {
    // The client library alone takes minutes to compile the first time.
    let compile = ["test", "-vet=off", "-run=^$", "./..."];
    let test = ["test", "-vet=off", "-count=1", "./..."];
    example("go_with_envtest", ("GO", "go"), "go", &[&["mod", "download"], &compile], &test)
}

#[test]
fn java_with_fabric8() -> Result<()> {
    let fetch = ["-q", "-B", "test-compile"];
    example("java_with_fabric8", ("MVN", "mvn"), "java", &[&fetch], &["-q", "-B", "test"])
}

#[test]
fn python_with_kubernetes() -> Result<()> {
    let environment = Path::new(KEPT).join("bench-python");
    let inside = environment.join("bin/python");
    let Some(python) = find_program("PYTHON", &["python3"]) else {
        skipped("python_with_kubernetes", "no python3 in PATH");
        return Ok(());
    };
    if !inside.is_file() {
        let made = Command::new(python).args(["-m".as_ref(), "venv".as_ref(), environment.as_os_str()]).output()?;
        if !made.status.success() {
            skipped("python_with_kubernetes", "python3 cannot make a virtual environment");
            return Ok(());
        }
    }
    let fetch = ["-m", "pip", "install", "-q", "-r", "requirements.txt"];
    let program = ("TESTBENCH_PYTHON_OF_THE_ENVIRONMENT", inside.to_str().context("a path of UTF-8")?);
    example("python_with_kubernetes", program, "python", &[&fetch], &["-m", "unittest", "-q"])
}

/// Runs a project of `clients/bench` as its author would, with KUBEBUILDER_ASSETS and nothing else.
fn example(case: &str, program: (&str, &str), folder: &str, fetch: &[&[&str]], test: &[&str]) -> Result<()> {
    let (variable, name) = program;
    let named = Path::new(name).is_absolute().then(|| name.into());
    let Some(program) = named.or_else(|| find_program(variable, &[name])) else {
        skipped(case, &format!("no {name} in PATH"));
        return Ok(());
    };
    let bench = bench::folder()?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new("timeout");
        command.arg(FETCHED_WITHIN.as_secs().to_string()).arg(&program).args(arguments);
        command.current_dir(Path::new(CLIENTS).join(folder)).env("KUBEBUILDER_ASSETS", bench.path());
        command.env("NO_PROXY", "127.0.0.1").env("GOFLAGS", "-mod=readonly -buildvcs=false").stdin(Stdio::null());
        command.env("BENCH_TARGET", KEPT).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    for arguments in fetch {
        let fetched = command(arguments).output()?;
        if !fetched.status.success() {
            let reason = String::from_utf8_lossy(&fetched.stderr).lines().last().unwrap_or_default().to_owned();
            skipped(case, &format!("{name} cannot get what the example needs: {reason}"));
            return Ok(());
        }
    }
    let tested = command(test).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(tested.status.success(), "{}\n{}", text(&tested.stdout), text(&tested.stderr));
    Ok(())
}

/// Forty that start in the same moment do not disturb each other; here fewer, for the suite's time.
#[tokio::test(flavor = "multi_thread")]
async fn several_pairs_start_at_once() -> Result<()> {
    let bench = bench::folder()?;
    let mut pairs = (0..4).map(|_| Pair::start(bench.path(), &[])).collect::<Result<Vec<_>>>()?;
    for pair in &mut pairs {
        pair.ready().await?;
    }
    let alive = |process: &mut Process| process.check_alive();
    pairs.iter_mut().try_for_each(|pair| alive(&mut pair.etcd).and_then(|()| alive(&mut pair.apiserver)))
}
