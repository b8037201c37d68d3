//! Clients that others wrote, from their registries, against two shims of one PostgreSQL: etcd-client of Rust; clientv3
//! of Go with its packages; etcd3gw and aetcd of Python. What they check stands in `clients/`, and passes on an etcd
//! too.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use etcd_client::{
    Channel, Client, Compare, CompareOp, GetOptions, LockOptions, ProclaimOptions, PutOptions, Txn, TxnOp,
};
use tests::{
    cluster::{Cluster, Spec},
    find_program,
    plain::PlainShim,
    postgres,
    process::eventually,
    skipped,
};
use tokio::process::Command;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
/// What is built and installed there stays for the next run.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");
/// A registry may be far away.
const FETCHED_WITHIN: Duration = Duration::from_secs(300);
const CHECKED_WITHIN: Duration = Duration::from_secs(300);

/// Two shims on a database of their own, and its URL.
async fn two_shims(case: &str) -> Result<Option<(Cluster, String)>> {
    let Some(postgres) = postgres::shared(case) else { return Ok(None) };
    let database = postgres.database().await?;
    let cluster = Cluster::start(Spec { endpoint: Some(database.clone()), shims: 2, frontends: 0 }).await?;
    Ok(Some((cluster, database)))
}

fn urls(cluster: &Cluster) -> String {
    cluster.shims.iter().map(|shim| shim.url.as_str()).collect::<Vec<_>>().join(",")
}

/// Flags that name the files of a client certificate.
fn certificate(cluster: &Cluster) -> [String; 3] {
    [("cacert", "ca.crt"), ("cert", "frontend.crt"), ("key", "frontend.key")]
        .map(|(flag, file)| format!("--{flag}={}", cluster.path(&format!("pki/{file}")).display()))
}

struct Output {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

async fn run(command: &mut Command, within: Duration) -> Result<Output> {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let output = tokio::time::timeout(within, command.output()).await;
    let output = output.with_context(|| format!("{shown} took longer than {within:?}"))?.context(shown)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Output { succeeded: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// What asks a registry, which may be out of reach: that it never answers is a failure as any other.
async fn fetch(command: &mut Command) -> Output {
    let silent =
        |error: anyhow::Error| Output { succeeded: false, stdout: String::new(), stderr: format!("{error:#}") };
    run(command, FETCHED_WITHIN).await.unwrap_or_else(silent)
}

/// Runs a client's checks: one line each, PASS or FAIL.
async fn check(client: &mut Command) -> Result<()> {
    // What the machine tells its clients of the world outside would go before what we tell them: requests trusts these
    // files instead of ours.
    let client = client.env("NO_PROXY", "127.0.0.1").env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
    let output = run(client, CHECKED_WITHIN).await?;
    let failures: Vec<_> = output.stdout.lines().filter(|line| !line.starts_with("PASS ")).collect();
    let passed = output.stdout.lines().count() - failures.len();
    println!("{passed} checks passed");
    ensure!(output.succeeded && failures.is_empty() && passed > 0, "{}\n{}", failures.join("\n"), output.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_client_with_its_packages() -> Result<()> {
    let case = "gos_client_with_its_packages";
    let Some(go) = find_program("GO", &["go"]) else {
        skipped(case, "no go in PATH");
        return Ok(());
    };
    let source = Path::new(HERE).join("go");
    let in_source = |arguments: &[&OsStr]| {
        let mut command = Command::new(&go);
        command.args(arguments).current_dir(&source).env("GOFLAGS", "-mod=readonly -buildvcs=false");
        command
    };
    let list = fetch(in_source(&["list", "-deps", "."].map(OsStr::new)).env("CGO_ENABLED", "0")).await;
    if !list.succeeded {
        skipped(case, &format!("go cannot get the modules: {}", list.stderr.lines().last().unwrap_or_default()));
        return Ok(());
    }
    let program = Path::new(KEPT).join("client-go");
    let build = ["build".as_ref(), "-o".as_ref(), program.as_os_str(), ".".as_ref()];
    let build = run(in_source(&build).env("CGO_ENABLED", "0"), FETCHED_WITHIN).await?;
    ensure!(build.succeeded, "{}", build.stderr);

    let Some((cluster, _)) = two_shims(case).await? else { return Ok(()) };
    let endpoints = format!("--endpoints={}", urls(&cluster));
    check(Command::new(program).arg(endpoints).args(certificate(&cluster))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_clients_by_json_and_by_grpc() -> Result<()> {
    let case = "pythons_clients_by_json_and_by_grpc";
    let python = match python_with_clients().await? {
        Ok(python) => python,
        Err(reason) => {
            skipped(case, &reason);
            return Ok(());
        }
    };
    let Some((cluster, database)) = two_shims(case).await? else { return Ok(()) };
    // aetcd knows no TLS: it gets two more shims of the same database.
    let plain = [
        PlainShim::start(&database, &["--name=plain-0"]).await?,
        PlainShim::start(&database, &["--name=plain-1"]).await?,
    ];
    let gateway = format!("--gateway={}", urls(&cluster));
    let grpc = format!("--grpc={},{}", plain[0].url, plain[1].url);
    check(
        Command::new(python)
            .arg(Path::new(HERE).join("python/client.py"))
            .args([gateway, grpc])
            .args(certificate(&cluster)),
    )
    .await
}

/// The interpreter of an environment that has what requirements.txt names, or why there is none.
async fn python_with_clients() -> Result<Result<PathBuf, String>> {
    let Some(python) = find_program("PYTHON", &["python3"]) else { return Ok(Err("no python3 in PATH".to_owned())) };
    let environment = Path::new(KEPT).join("client-python");
    let (inside, stamp) = (environment.join("bin/python"), environment.join("installed"));
    let required = Path::new(HERE).join("python/requirements.txt");
    let wanted = std::fs::read_to_string(&required)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(inside));
    }
    let last = |output: Output| (output.stderr + &output.stdout).lines().last().unwrap_or_default().to_owned();
    let made = fetch(Command::new(python).args(["-m", "venv", "--clear"]).arg(&environment)).await;
    if !made.succeeded {
        return Ok(Err(format!("python3 makes no environment: {}", last(made))));
    }
    let mut install = Command::new(&inside);
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "-r"]).arg(&required);
    let installed = fetch(&mut install).await;
    if !installed.succeeded {
        return Ok(Err(format!("pip cannot get the packages: {}", last(installed))));
    }
    std::fs::write(stamp, wanted)?;
    Ok(Ok(inside))
}

async fn client(cluster: &Cluster, shim: usize) -> Result<Client> {
    Ok(Client::from_channel(Channel::Tonic(cluster.channel(shim).await?), None).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn rusts_client_locks_elects_and_leases_over_two_shims() -> Result<()> {
    let case = "rusts_client_locks_elects_and_leases_over_two_shims";
    let Some((cluster, _)) = two_shims(case).await? else { return Ok(()) };
    let clients = [client(&cluster, 0).await?, client(&cluster, 1).await?];
    locks(&clients).await.context("locks")?;
    elections(&clients).await.context("elections")?;
    leases(&clients).await.context("leases")?;
    one_leader(&clients).await.context("the leader")
}

/// Holders on both shims count in turns; each write proves that its holder still has the lock.
async fn locks(clients: &[Client; 2]) -> Result<()> {
    const HOLDERS: usize = 6;
    const TURNS: i64 = 5;
    let count = |mut client: Client| async move {
        for _ in 0..TURNS {
            let lease = client.lease_grant(30, None).await?.id();
            let lock = client.lock("locks/counter", Some(LockOptions::new().with_lease(lease))).await?;
            let held = client.get("locks/count", None).await?;
            let number: i64 = held.kvs().first().map_or(Ok("0"), |kv| kv.value_str())?.parse()?;
            let owns = Compare::create_revision(lock.key(), CompareOp::NotEqual, 0);
            let put = TxnOp::put("locks/count", (number + 1).to_string(), None);
            ensure!(client.txn(Txn::new().when([owns]).and_then([put])).await?.succeeded(), "the lock was lost");
            client.unlock(lock.key()).await?;
            client.lease_revoke(lease).await?;
        }
        anyhow::Ok(())
    };
    let holders: Vec<_> = (0..HOLDERS).map(|n| tokio::spawn(count(clients[n % 2].clone()))).collect();
    for holder in holders {
        tokio::time::timeout(CHECKED_WITHIN, holder).await???;
    }
    let counted = clients[0].clone().get("locks/count", None).await?;
    let counted: i64 = counted.kvs().first().context("nothing counted")?.value_str()?.parse()?;
    ensure!(counted == HOLDERS as i64 * TURNS, "counted {counted}");

    // A holder that is gone, with its lease, lets the next one in.
    let [mut one, mut two] = clients.clone();
    let lease = one.lease_grant(60, None).await?.id();
    one.lock("locks/dying", Some(LockOptions::new().with_lease(lease))).await?;
    let next = tokio::spawn(async move { two.lock("locks/dying", None).await.map(drop) });
    one.lease_revoke(lease).await?;
    Ok(tokio::time::timeout(CHECKED_WITHIN, next).await???)
}

/// The observer on one shim sees what the leader on the other proclaims, then the heir.
async fn elections(clients: &[Client; 2]) -> Result<()> {
    let [mut one, mut two] = clients.clone();
    let lease = one.lease_grant(60, None).await?.id();
    let other_lease = two.lease_grant(60, None).await?.id();
    let won = one.campaign("elections/name", "one", lease).await?;
    let leader = won.leader().context("no leader")?.clone();
    let mut observed = two.clone().observe("elections/name").await?;
    let mut seen = Vec::new();
    for step in 0..3 {
        let told = tokio::time::timeout(CHECKED_WITHIN, observed.message()).await??.context("observing ended")?;
        seen.push(told.kv().context("no leader")?.value_str()?.to_owned());
        match step {
            0 => {
                one.proclaim("still one", Some(ProclaimOptions::new().with_leader(leader.clone()))).await?;
            }
            1 => {
                let mut heir = two.clone();
                let campaign = tokio::spawn(async move { heir.campaign("elections/name", "two", other_lease).await });
                // In the queue, but not elected.
                let queued = || async {
                    let options = GetOptions::new().with_prefix().with_count_only();
                    let count = one.clone().get("elections/name/", Some(options)).await?.count();
                    ensure!(count == 2, "{count} candidates");
                    Ok(())
                };
                eventually("the heir's candidacy", Duration::from_secs(10), queued).await?;
                ensure!(!campaign.is_finished(), "two leaders");
                one.resign(Some(etcd_client::ResignOptions::new().with_leader(leader.clone()))).await?;
                tokio::time::timeout(CHECKED_WITHIN, campaign).await???;
            }
            _ => {}
        }
    }
    ensure!(seen == ["one", "still one", "two"], "{seen:?}");
    let now = one.leader("elections/name").await?;
    ensure!(now.kv().context("no leader")?.value_str()? == "two");
    let refused = one.proclaim("late", Some(ProclaimOptions::new().with_leader(leader))).await;
    ensure!(refused.is_err(), "a leader that has resigned proclaims");
    Ok(())
}

/// What one shim grants the other keeps alive and revokes, with all keys in one revision.
async fn leases(clients: &[Client; 2]) -> Result<()> {
    let [mut one, mut two] = clients.clone();
    let lease = one.lease_grant(60, None).await?.id();
    for key in ["leases/a", "leases/b"] {
        two.put(key, "", Some(PutOptions::new().with_lease(lease))).await?;
    }
    let (mut keeper, mut answers) = two.lease_keep_alive(lease).await?;
    keeper.keep_alive().await?;
    let ttl = answers.message().await?.context("keep-alives ended")?.ttl();
    ensure!(ttl == 60, "kept alive for {ttl}");
    let left = one.lease_time_to_live(lease, Some(etcd_client::LeaseTimeToLiveOptions::new().with_keys())).await?;
    ensure!(left.granted_ttl() == 60 && left.keys().len() == 2, "{left:?}");
    ensure!(one.leases().await?.leases().iter().any(|listed| listed.id() == lease));
    let before = one.get("leases/a", None).await?.header().context("no header")?.revision();
    two.lease_revoke(lease).await?;
    let after = one.get("leases/", Some(GetOptions::new().with_prefix())).await?;
    let revision = after.header().context("no header")?.revision();
    ensure!(after.count() == 0 && revision == before + 1, "{} keys left at {revision}, before {before}", after.count());
    let gone = one.lease_time_to_live(lease, None).await?.ttl();
    ensure!(gone == -1, "a revoked lease has {gone} seconds");
    Ok(())
}

/// Whoever is asked, one member is the leader, and only that one may be asked to hand over.
async fn one_leader(clients: &[Client; 2]) -> Result<()> {
    let [mut one, mut two] = clients.clone();
    let members = one.member_list().await?;
    // Not even a linearizable list: each asks anew.
    let ids: Vec<u64> = members.members().iter().map(etcd_client::Member::id).collect();
    ensure!(ids.len() == 2, "{members:?}");
    let leaders = [one.status().await?.leader(), two.status().await?.leader()];
    ensure!(leaders[0] == leaders[1] && ids.contains(&leaders[0]), "{leaders:?} of {ids:?}");
    for client in [&mut one, &mut two] {
        let own = client.status().await?.header().context("no header")?.member_id();
        match client.move_leader(leaders[0]).await {
            Ok(_) => ensure!(own == leaders[0], "{own} hands over what is not its own"),
            Err(error) if own == leaders[0] => bail!("the leader refuses itself: {error}"),
            Err(error) => ensure!(error.to_string().contains("etcdserver: not leader"), "{error}"),
        }
    }
    Ok(())
}
