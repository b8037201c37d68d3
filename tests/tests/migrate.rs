//! Stores moved in and out by the programs an operator has: ours always; a real etcd with its etcdutl, and a kine,
//! where the variables ETCD, ETCDUTL and KINE name them. The proof is etcd's own HashKV, equal at every revision that
//! can be read.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use proto::{
    authpb,
    etcdserverpb::{
        self as pb, auth_client::AuthClient, kv_client::KvClient, lease_client::LeaseClient,
        maintenance_client::MaintenanceClient, request_op::Request as Op,
    },
    mvccpb::KeyValue,
};
use tempfile::TempDir;
use tests::{
    postgres,
    process::{Process, eventually, free_port, own_program},
    skipped,
};
use tonic::transport::{Channel, Endpoint};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that speaks etcd's protocol in clear text, whoever made it.
struct Server {
    process: Process,
    channel: Channel,
    url: String,
}

impl Server {
    async fn start(program: &Path, url: String, args: Vec<String>, log: PathBuf) -> Result<Self> {
        let mut process = Process::start(&program.display().to_string(), program, args, log)?;
        let endpoint = Endpoint::from_shared(url.clone())?;
        let answers = || async {
            let channel = endpoint.connect().await?;
            KvClient::new(channel.clone()).range(pb::RangeRequest { count_only: true, ..everything(0) }).await?;
            anyhow::Ok(channel)
        };
        let channel = eventually("an answer", PATIENCE, answers).await;
        process.check_alive()?;
        let channel = channel.with_context(|| process.output())?;
        Ok(Self { process, channel, url })
    }

    async fn shim(dir: &Path, store: &str) -> Result<Self> {
        let url = format!("http://127.0.0.1:{}", free_port()?);
        let args = vec![format!("--endpoint={store}"), format!("--listen-client-urls={url}")];
        Self::start(&own_program("kine-shim")?, url, args, dir.join("shim.log")).await
    }

    /// On the data that `data` holds already, or none.
    async fn etcd(program: &Path, dir: &Path, data: &Path) -> Result<Self> {
        let [client, peer] = [free_port()?, free_port()?].map(|port| format!("http://127.0.0.1:{port}"));
        let args = vec![
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            "--unsafe-no-fsync".to_owned(),
        ];
        Self::start(program, client, args, dir.join("etcd.log")).await
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    async fn put(&self, key: &str, value: impl Into<Bytes>, lease: i64) -> Result<()> {
        let put = pb::PutRequest { key: key.to_owned().into(), value: value.into(), lease, ..Default::default() };
        self.kv().put(put).await?;
        Ok(())
    }

    /// A history with everything that a file must carry: versions, deletions, several changes of one revision, leases,
    /// a compaction, values of many pages, users and roles.
    async fn fill(&self) -> Result<()> {
        let lease = pb::LeaseGrantRequest { ttl: 5_000, id: 0x7777 };
        LeaseClient::new(self.channel.clone()).lease_grant(lease).await?;
        for number in 0..300 {
            let key = format!("/registry/{}", number % 70);
            self.put(&key, format!("value {number}"), if number % 9 == 0 { 0x7777 } else { 0 }).await?;
            if number % 11 == 0 {
                self.delete(&format!("/registry/{}", (number * 3) % 70), "").await?;
            }
            if number == 200 {
                self.compact(self.revision().await? - 30).await?;
            }
        }
        self.put("/registry/large", vec![7; 300_000], 0).await?;
        self.delete("/registry/2", "/registry/3").await?;
        self.compact(self.revision().await?).await?;
        for number in 0..60 {
            self.put(&format!("/registry/{}", number % 7), format!("later {number}"), 0).await?;
        }
        let mut auth = AuthClient::new(self.channel.clone());
        auth.role_add(pb::AuthRoleAddRequest { name: "reader".into() }).await?;
        let perm = authpb::Permission { perm_type: 0, key: "/registry/".into(), range_end: "/registry0".into() };
        auth.role_grant_permission(pb::AuthRoleGrantPermissionRequest { name: "reader".into(), perm: Some(perm) })
            .await?;
        auth.user_add(pb::AuthUserAddRequest { name: "u".into(), password: "p".into(), ..Default::default() }).await?;
        auth.user_grant_role(pb::AuthUserGrantRoleRequest { user: "u".into(), role: "reader".into() }).await?;
        Ok(())
    }

    async fn delete(&self, key: &str, range_end: &str) -> Result<()> {
        let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
        self.kv().delete_range(pb::DeleteRangeRequest { key, range_end, prev_kv: false }).await?;
        Ok(())
    }

    async fn compact(&self, revision: i64) -> Result<()> {
        self.kv().compact(pb::CompactionRequest { revision, physical: true }).await?;
        Ok(())
    }

    async fn revision(&self) -> Result<i64> {
        let reply = self.kv().range(pb::RangeRequest { count_only: true, ..everything(0) }).await?.into_inner();
        Ok(reply.header.context("no header")?.revision)
    }

    async fn contents(&self) -> Result<Vec<KeyValue>> {
        Ok(self.kv().range(everything(0)).await?.into_inner().kvs)
    }

    /// The compacted revision, and the hash at each revision behind it. At that one an etcd remembers what it had
    /// before the compaction.
    async fn hashes(&self) -> Result<(i64, Vec<u32>)> {
        let mut client = MaintenanceClient::new(self.channel.clone());
        let newest = client.hash_kv(pb::HashKvRequest { revision: 0 }).await?.into_inner();
        let mut hashes = Vec::new();
        for revision in newest.compact_revision + 1..=newest.hash_revision {
            hashes.push(client.hash_kv(pb::HashKvRequest { revision }).await?.into_inner().hash);
        }
        Ok((newest.compact_revision, hashes))
    }

    /// Leases with their keys, users with their roles, roles with their permissions.
    async fn surroundings(&self) -> Result<String> {
        let mut leases = LeaseClient::new(self.channel.clone());
        let mut found = Vec::new();
        for lease in leases.lease_leases(pb::LeaseLeasesRequest {}).await?.into_inner().leases {
            let request = pb::LeaseTimeToLiveRequest { id: lease.id, keys: true };
            let mut reply = leases.lease_time_to_live(request).await?.into_inner();
            reply.keys.sort();
            found.push(format!("lease {:x} of {} s: {:?}", lease.id, reply.granted_ttl, reply.keys));
        }
        let mut auth = AuthClient::new(self.channel.clone());
        for name in auth.user_list(pb::AuthUserListRequest {}).await?.into_inner().users {
            let roles = auth.user_get(pb::AuthUserGetRequest { name: name.clone() }).await?.into_inner().roles;
            found.push(format!("user {name}: {roles:?}"));
        }
        for role in auth.role_list(pb::AuthRoleListRequest {}).await?.into_inner().roles {
            let reply = auth.role_get(pb::AuthRoleGetRequest { role: role.clone() }).await?.into_inner();
            found.push(format!("role {role}: {:?}", reply.perm));
        }
        Ok(found.join("\n"))
    }

    /// As `etcdctl snapshot save` does it.
    async fn save(&self, path: &Path) -> Result<()> {
        let mut client = MaintenanceClient::new(self.channel.clone());
        let mut stream = client.snapshot(pb::SnapshotRequest {}).await?.into_inner();
        let mut file = Vec::new();
        while let Some(piece) = stream.message().await? {
            file.extend(piece.blob);
        }
        Ok(std::fs::write(path, file)?)
    }
}

fn everything(revision: i64) -> pb::RangeRequest {
    pb::RangeRequest { key: "\0".into(), range_end: "\0".into(), revision, ..Default::default() }
}

fn run(program: &Path, args: &[String]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("{}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout))
}

fn import(store: &str, source: &[String]) -> Result<String> {
    run(&own_program("kine-shim")?, &[&["import".to_owned(), format!("--endpoint={store}")], source].concat())
}

fn sqlite(dir: &TempDir, name: &str) -> String {
    format!("sqlite://{}", dir.path().join(name).display())
}

async fn assert_same(one: &Server, other: &Server) -> Result<()> {
    let (expected, found) = (one.hashes().await?, other.hashes().await?);
    ensure!(expected.1.len() > 1 && expected == found, "HashKV: {expected:?} before, {found:?} after");
    let (expected, found) = (one.surroundings().await?, other.surroundings().await?);
    ensure!(expected == found, "before:\n{expected}\nafter:\n{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_between_databases_with_every_revision() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let old = Server::shim(dir.path(), "memory:").await?;
    old.fill().await?;
    let file = dir.path().join("snapshot.db");
    old.save(&file).await?;
    let mut stores = vec![sqlite(&dir, "one.db")];
    match postgres::shared("a_store_moves_between_databases_with_every_revision") {
        Some(postgres) => stores.push(postgres.database().await?),
        None => stores.push(sqlite(&dir, "two.db")),
    }
    for store in &stores {
        let told = import(store, &[format!("--from-snapshot={}", file.display())])?;
        ensure!(told.starts_with("imported: "), "{told}");
        let mut new = Server::shim(dir.path(), store).await?;
        assert_same(&old, &new).await.with_context(|| store.clone())?;
        new.put("/registry/first", "write", 0).await?;
        ensure!(new.revision().await? == old.revision().await? + 1, "the revision goes on where it was");

        let refused = import(store, &[format!("--from-snapshot={}", file.display())]);
        ensure!(refused.is_err(), "a store in use was imported into");
        let exported = dir.path().join("exported.db");
        let hashes = new.hashes().await?;
        new.process.terminate(PATIENCE)?;
        let args = ["export".to_owned(), format!("--endpoint={store}"), exported.display().to_string()];
        run(&own_program("kine-shim")?, &args)?;
        let back = sqlite(&dir, &format!("back-{}.db", store.len()));
        import(&back, &[format!("--from-snapshot={}", exported.display())])?;
        ensure!(Server::shim(dir.path(), &back).await?.hashes().await? == hashes, "after the way back");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_midway_serves_nothing_and_goes_on() -> Result<()> {
    let Some(postgres) = postgres::shared("an_import_killed_midway_serves_nothing_and_goes_on") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let old = Server::shim(dir.path(), "memory:").await?;
    for number in 0..60 {
        let put = |key| pb::PutRequest {
            key: format!("/registry/{number}/{key}").into(),
            value: vec![key; 8_000].into(),
            ..Default::default()
        };
        let success = (0..100).map(|key| pb::RequestOp { request: Some(Op::RequestPut(put(key))) });
        old.kv().txn(pb::TxnRequest { success: success.collect(), ..Default::default() }).await?;
    }
    let file = dir.path().join("snapshot.db");
    old.save(&file).await?;
    let (store, source) = (postgres.database().await?, format!("--from-snapshot={}", file.display()));

    let program = own_program("kine-shim")?;
    let args = vec!["import".to_owned(), format!("--endpoint={store}"), source.clone()];
    let mut first = Process::start("import", &program, args, dir.path().join("import.log"))?;
    let (client, connection) = tokio_postgres::connect(&store, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let has_begun = || async {
        let rows = client.query("SELECT count(*) FROM kine_shim.batch", &[]).await?;
        ensure!(rows[0].get::<_, i64>(0) > 3, "nothing yet");
        Ok(())
    };
    eventually("some batches", PATIENCE, has_begun).await.with_context(|| first.output())?;
    first.check_alive().context("it was to be killed midway")?;
    first.kill()?;
    let appended: i64 = client.query_one("SELECT max(position) FROM kine_shim.batch", &[]).await?.get(0);
    connection.abort();

    let serving = [format!("--endpoint={store}"), format!("--listen-client-urls=http://127.0.0.1:{}", free_port()?)];
    let refused = run(&program, &serving).expect_err("half a store was served").to_string();
    ensure!(refused.contains("an import into this store was begun"), "{refused}");
    import(&store, std::slice::from_ref(&source))?;
    let new = Server::shim(dir.path(), &store).await?;
    println!("killed after {appended} batches");
    let newest = |server: &Server| {
        let mut client = MaintenanceClient::new(server.channel.clone());
        async move { anyhow::Ok(client.hash_kv(pb::HashKvRequest { revision: 0 }).await?.into_inner()) }
    };
    let (expected, found) = (newest(&old).await?, newest(&new).await?);
    ensure!((expected.hash, expected.hash_revision) == (found.hash, found.hash_revision), "HashKV differs");
    Ok(())
}

fn named(variable: &str, case: &str) -> Option<PathBuf> {
    let program = std::env::var_os(variable).map(PathBuf::from);
    if program.is_none() {
        skipped(case, &format!("{variable} names no program"));
    }
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_moves_in_and_out_again() -> Result<()> {
    let case = "an_etcd_moves_in_and_out_again";
    let (Some(etcd), Some(etcdutl)) = (named("ETCD", case), named("ETCDUTL", case)) else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let old = Server::etcd(&etcd, dir.path(), &dir.path().join("old")).await?;
    old.fill().await?;
    let store = match postgres::shared(case) {
        Some(postgres) => postgres.database().await?,
        None => sqlite(&dir, "store.db"),
    };
    let fetched = dir.path().join("fetched.db");
    import(&store, &[format!("--from-etcd={}", old.url), format!("--snapshot-file={}", fetched.display())])?;
    let shim = Server::shim(dir.path(), &store).await?;
    assert_same(&old, &shim).await.context("etcd -> shim")?;
    shim.put("/registry/between", "x", 0).await?;

    let (saved, data) = (dir.path().join("saved.db"), dir.path().join("new"));
    shim.save(&saved).await?;
    let args = ["snapshot", "status", "--write-out=json", &saved.display().to_string()].map(str::to_owned);
    let status: serde_json::Value = serde_json::from_str(&run(&etcdutl, &args)?)?;
    let expected = (shim.revision().await?, shim.contents().await?.len() as i64);
    ensure!(
        (status["revision"].as_i64(), status["totalKey"].as_i64()) == (Some(expected.0), Some(expected.1)),
        "{status}"
    );
    let args = [
        "snapshot".to_owned(),
        "restore".to_owned(),
        saved.display().to_string(),
        format!("--data-dir={}", data.display()),
    ];
    run(&etcdutl, &args)?;
    let new = Server::etcd(&etcd, dir.path(), &data).await?;
    assert_same(&shim, &new).await.context("shim -> etcd")?;
    ensure!(shim.contents().await? == new.contents().await?, "the contents differ");
    new.put("/registry/after", "x", 0).await?;
    ensure!(new.revision().await? == expected.0 + 1, "the revision goes on where it was");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kine_moves_in() -> Result<()> {
    let case = "a_kine_moves_in";
    let Some(kine) = named("KINE", case) else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let mut tables = vec![sqlite(&dir, "kine.db")];
    if let Some(postgres) = postgres::shared(case) {
        tables.push(postgres.database().await?);
    }
    for table in tables {
        let (port, metrics) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{port}");
        let with = if table.starts_with("sqlite") { "?_journal=WAL" } else { "?sslmode=disable" };
        let args = vec![
            format!("--endpoint={table}{with}"),
            format!("--listen-address=tcp://127.0.0.1:{port}"),
            format!("--metrics-bind-address=127.0.0.1:{metrics}"),
        ];
        let mut old = Server::start_kine(&kine, url, args, dir.path().join("kine.log")).await?;
        for number in 0..120 {
            old.write_as_api_server(&format!("/registry/pods/{}", number % 40), number).await?;
        }
        let expected = old.pods().await?;
        ensure!(expected.len() > 20, "{} keys", expected.len());
        old.process.terminate(PATIENCE)?;

        let store = sqlite(&dir, &format!("from-kine-{}.db", table.len()));
        import(&store, &[format!("--from-kine={table}")])?;
        let new = Server::shim(dir.path(), &store).await?;
        let found = new.pods().await?;
        // kine counts no versions, and its lease is a number of seconds.
        let seen =
            |kv: &KeyValue| (kv.key.clone(), kv.value.clone(), kv.create_revision, kv.mod_revision, kv.lease > 0);
        let (expected, found): (Vec<_>, Vec<_>) =
            (expected.iter().map(seen).collect(), found.iter().map(seen).collect());
        ensure!(expected == found, "kine had {expected:?}, we have {found:?}");
        ensure!(found.iter().any(|kv| kv.4), "no key has a lease");
        let last = found.iter().map(|kv| kv.3).max().unwrap_or_default();
        ensure!(new.revision().await? >= last, "the revision went back");
    }
    Ok(())
}

impl Server {
    /// kine answers only what API servers ask.
    async fn start_kine(program: &Path, url: String, args: Vec<String>, log: PathBuf) -> Result<Self> {
        let mut process = Process::start("kine", program, args, log)?;
        let endpoint = Endpoint::from_shared(url.clone())?;
        let answers = || async {
            let channel = endpoint.connect().await?;
            let health = pb::RangeRequest { key: "/registry/health".into(), ..Default::default() };
            let found = KvClient::new(channel.clone()).range(health).await?.into_inner();
            ensure!(found.count > 0, "not begun");
            anyhow::Ok(channel)
        };
        let channel = eventually("an answer", PATIENCE, answers).await;
        process.check_alive()?;
        let channel = channel.with_context(|| process.output())?;
        Ok(Self { process, channel, url })
    }

    async fn pods(&self) -> Result<Vec<KeyValue>> {
        let (key, range_end) = ("/registry/pods/".into(), "/registry/pods0".into());
        Ok(self.kv().range(pb::RangeRequest { key, range_end, ..Default::default() }).await?.into_inner().kvs)
    }

    /// Creates, updates or, now and then, deletes, in the transactions of kube-apiserver.
    async fn write_as_api_server(&self, key: &str, number: i64) -> Result<()> {
        let key = Bytes::from(key.to_owned());
        let get = pb::RangeRequest { key: key.clone(), ..Default::default() };
        let found = self.kv().range(get.clone()).await?.into_inner().kvs.pop();
        let mod_revision = found.as_ref().map_or(0, |kv| kv.mod_revision);
        let lease = match number % 5 {
            0 => {
                LeaseClient::new(self.channel.clone()).lease_grant(pb::LeaseGrantRequest { ttl: 3_600, id: 0 }).await?
            }
            _ => tonic::Response::new(pb::LeaseGrantResponse::default()),
        };
        let put = pb::PutRequest {
            key: key.clone(),
            value: format!("value {number}").into(),
            lease: lease.into_inner().id,
            ..Default::default()
        };
        let delete = pb::DeleteRangeRequest { key: key.clone(), ..Default::default() };
        let is_deletion = found.is_some() && number % 7 == 0;
        let write = if is_deletion { Op::RequestDeleteRange(delete) } else { Op::RequestPut(put) };
        let compare = pb::Compare {
            result: pb::compare::CompareResult::Equal as i32,
            target: pb::compare::CompareTarget::Mod as i32,
            key,
            target_union: Some(pb::compare::TargetUnion::ModRevision(mod_revision)),
            ..Default::default()
        };
        let otherwise =
            if found.is_some() { vec![pb::RequestOp { request: Some(Op::RequestRange(get)) }] } else { Vec::new() };
        let txn = pb::TxnRequest {
            compare: vec![compare],
            success: vec![pb::RequestOp { request: Some(write) }],
            failure: otherwise,
        };
        ensure!(self.kv().txn(txn).await?.into_inner().succeeded, "somebody else wrote");
        Ok(())
    }
}
