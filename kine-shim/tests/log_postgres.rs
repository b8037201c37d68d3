//! What only the PostgreSQL log can meet: several handles, foreign and newer schemas, lost connections, blocked
//! positions.

use std::{sync::Arc, time::Duration};

use kine_shim::{
    log::{Appended, Endpoint, Identity, Log, LogFault, Options, ReadIndexMode, open},
    model::{Batch, Entry, EntryKind, Grant, Head, Position},
};
use tests::{
    pki::{self, Leaf},
    postgres::{Disk, Postgres, execute, shared},
};
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

async fn open_at(url: &str) -> Result<Arc<dyn Log>, LogFault> {
    open(&url.parse::<Endpoint>().expect("endpoint"), &Options::default()).await
}

fn unusable(outcome: Result<Arc<dyn Log>, LogFault>) -> String {
    match outcome {
        Err(LogFault::Unusable(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
}

fn batch(head: Head) -> Batch {
    let revision = head.position.0 as i64 + 2;
    Batch {
        position: head.position.next(),
        id: Uuid::new_v4(),
        prev_id: head.id,
        first_revision: revision,
        last_revision: revision - 1,
        writer: Uuid::nil(),
        at_ms: 0,
        entries: Vec::new(),
    }
}

async fn database(case: &str) -> Option<(&'static Postgres, String)> {
    let server = shared(case)?;
    Some((server, server.database().await.expect("database")))
}

#[tokio::test]
async fn two_handles_race_for_positions() {
    let Some((_, url)) = database("two_handles_race_for_positions").await else { return };
    let logs = [open_at(&url).await.expect("open"), open_at(&url).await.expect("open")];
    let race = |log: Arc<dyn Log>| async move {
        let mut committed = Vec::new();
        while committed.len() < 50 {
            let next = batch(log.read_index(Position(0)).await.expect("read_index").head);
            if log.append(&next).await.expect("append") == Appended::Committed {
                committed.push(next.id);
            }
        }
        committed
    };
    let (a, b) = tokio::join!(tokio::spawn(race(logs[0].clone())), tokio::spawn(race(logs[1].clone())));
    let mut committed = [a.expect("racer"), b.expect("racer")].concat();
    let mut found: Vec<_> =
        logs[0].read(Position(0), 1 << 20).await.expect("read").batches.iter().map(|b| b.id).collect();
    committed.sort();
    found.sort();
    assert_eq!(committed, found);
}

#[tokio::test]
async fn many_programs_may_start_at_once_on_an_empty_database() {
    let Some((_, url)) = database("many_programs_may_start_at_once").await else { return };
    let opened = futures::future::join_all((0..12).map(|_| open_at(&url))).await;
    for log in opened {
        let read_index = log.expect("open").read_index(Position(0)).await.expect("read_index");
        assert_eq!(read_index.head, Head::default());
    }
}

#[tokio::test]
async fn an_append_is_heard_by_another_handle() {
    let Some((_, url)) = database("an_append_is_heard_by_another_handle").await else { return };
    let (writer, reader) = (open_at(&url).await.expect("open"), open_at(&url).await.expect("open"));
    // The first hint says no more than that the reader listens.
    timeout(Duration::from_secs(10), reader.changed()).await.expect("listening");
    assert_eq!(writer.append(&batch(Head::default())).await, Ok(Appended::Committed));
    timeout(Duration::from_secs(10), reader.changed()).await.expect("a hint");
}

#[tokio::test]
async fn a_reopened_log_keeps_everything() {
    let Some((_, url)) = database("a_reopened_log_keeps_everything").await else { return };
    let first = batch(Head::default());
    assert_eq!(open_at(&url).await.expect("open").append(&first).await, Ok(Appended::Committed));
    let log = open_at(&url).await.expect("open again");
    assert_eq!(log.read_index(Position(1)).await.expect("read_index").head, first.head());
    assert_eq!(log.append(&first).await, Ok(Appended::Committed));
}

#[tokio::test]
async fn stores_of_others_are_left_alone() {
    let Some((_, url)) = database("stores_of_others_are_left_alone").await else { return };
    execute(&url, "CREATE SCHEMA kine_shim; CREATE TABLE kine_shim.things (id int)").await.expect("prepare");
    assert!(unusable(open_at(&url).await).contains("not of this program"));
    execute(&url, "CREATE TABLE kine_shim.meta (id int)").await.expect("prepare");
    assert!(unusable(open_at(&url).await).contains("not of this program"));
}

#[tokio::test]
async fn newer_formats_are_refused_and_newer_schemas_alone_are_not() {
    let Some((_, url)) = database("newer_formats_are_refused").await else { return };
    drop(open_at(&url).await.expect("open"));
    execute(&url, "UPDATE kine_shim.meta SET schema_version = 99").await.expect("prepare");
    drop(open_at(&url).await.expect("a later release expanded the schema"));
    execute(&url, "UPDATE kine_shim.meta SET writer_format = 7").await.expect("prepare");
    let text = unusable(open_at(&url).await);
    assert!(text.contains("newer version") && text.contains("writer format 7") && text.contains("up to 1"), "{text}");
}

#[tokio::test]
async fn settings_that_break_promises_are_refused() {
    let Some((server, url)) = database("settings_that_break_promises_are_refused").await else { return };
    let name = url.rsplit('/').next().expect("name");
    for (setting, part) in [
        ("synchronous_commit = off", "synchronous_commit is off"),
        ("default_transaction_isolation = 'serializable'", "serializable"),
        ("default_transaction_read_only = on", "read-only"),
        ("client_min_messages = error", "client_min_messages is error"),
    ] {
        let (set, reset) = (format!("ALTER DATABASE {name} SET {setting}"), format!("ALTER DATABASE {name} RESET ALL"));
        server.execute("postgres", &set).await.expect("set");
        let text = unusable(open_at(&url).await);
        assert!(text.contains(part), "{text}");
        server.execute("postgres", &reset).await.expect("reset");
    }
    drop(open_at(&url).await.expect("open"));
}

/// A batch that takes longer than the role's statements may fails as such; those beside it do not, and a trim lifts the
/// limit.
#[tokio::test]
async fn a_statement_timeout_fails_the_large_batch_alone() {
    let Some((server, url)) = database("a_statement_timeout").await else { return };
    let name = url.rsplit('/').next().expect("name");
    drop(open_at(&url).await.expect("open"));
    let set = format!("ALTER DATABASE {name} SET statement_timeout = '250ms'");
    server.execute("postgres", &set).await.expect("set");
    let log = open_at(&url).await.expect("open");
    let first = batch(Head::default());
    assert_eq!(log.append(&first).await, Ok(Appended::Committed));
    let many = (0..300_000).map(|sub| (sub, Entry::plain(EntryKind::Delete))).collect();
    let wide = Batch { entries: many, ..batch(first.head()) };
    let failed = log.append(&wide).await;
    assert!(matches!(&failed, Err(LogFault::Failed(text)) if text.contains("statement timeout")), "{failed:?}");
    let second = batch(first.head());
    assert_eq!(log.append(&second).await, Ok(Appended::Committed));
    log.reclaim().await.expect("reclaim");
    let slow = "CREATE FUNCTION kine_shim.slow() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN PERFORM pg_sleep(0.5); RETURN old; END'; \
        CREATE TRIGGER slow BEFORE DELETE ON kine_shim.log FOR EACH ROW EXECUTE FUNCTION kine_shim.slow()";
    execute(&url, slow).await.expect("a slow disk");
    log.trim(Position(1), &[(Position(1), 0)]).await.expect("trim");
}

#[tokio::test]
async fn a_read_only_database_refuses_appends_but_serves_reads() {
    let Some((server, url)) = database("a_read_only_database").await else { return };
    let name = url.rsplit('/').next().expect("name");
    drop(open_at(&url).await.expect("open"));
    let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    server.execute("postgres", &set).await.expect("set");
    let log = open_at(&url).await.expect("the schema is there");
    let refused = log.append(&batch(Head::default())).await;
    assert!(matches!(&refused, Err(LogFault::NotApplied(text)) if text.contains("read-only")), "{refused:?}");
    assert_eq!(log.read_index(Position(0)).await.expect("read_index").head, Head::default());
}

/// As with kine; and the password comes from where libpq finds it.
#[tokio::test]
async fn a_url_without_a_database_means_one_that_is_made() {
    let server = Postgres::start(Disk::NoFsync).expect("start");
    let Some(server) = server else { return tests::skipped("a_url_without_a_database", "no PostgreSQL") };
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let opened = (open_at(url).await.expect("made"), open_at(&format!("{url}/")).await.expect("found"));
    assert_eq!(opened.0.append(&batch(Head::default())).await, Ok(Appended::Committed));
    let role = "CREATE ROLE shown LOGIN SUPERUSER PASSWORD 'se:cret'";
    server.execute("kubernetes", role).await.expect("a role with a password");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("pgpass");
    std::fs::write(&file, "*:*:*:shown:se\\:cret\n").expect("written");
    let mut options = Options::default();
    options.learn_password(&[("PGPASSFILE".into(), file.display().to_string())]);
    assert!(options.password.is_none() && options.password_file.is_some());
}

#[tokio::test]
async fn an_unreachable_or_unknown_database_is_named() {
    let refused = open_at("postgres://nobody@127.0.0.1:1/none").await.err().expect("no server there");
    assert!(matches!(refused, LogFault::NotApplied(_)), "{refused}");
    let Some((server, _)) = database("an_unreachable_or_unknown_database").await else { return };
    assert!(unusable(open_at(&server.url("no_such_database")).await).contains("no_such_database"));
}

const OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn lost_connections_come_back_and_outcomes_are_resolved() {
    let Some((_, url)) = database("lost_connections_come_back").await else { return };
    let log = open_at(&url).await.expect("open");
    let mut head = Head::default();
    for round in 0..5 {
        let next = batch(head);
        let (cut, mut outcome) = tokio::join!(execute(&url, OTHERS), log.append(&next));
        cut.expect("cut");
        let mut tries = 0;
        while let Err(fault) = outcome {
            assert!(!matches!(fault, LogFault::Unusable(_)), "round {round}: {fault}");
            tries += 1;
            assert!(tries < 50, "round {round}: {fault}");
            outcome = log.append(&next).await;
        }
        assert_eq!(outcome, Ok(Appended::Committed), "round {round}");
        head = next.head();
    }
    let read = || async { Ok(log.read(Position(0), 1 << 20).await?) };
    let page = tests::process::eventually("a read", Duration::from_secs(20), read).await;
    assert_eq!(page.expect("read").batches.len(), 5);
}

#[tokio::test]
async fn a_session_that_keeps_a_position_and_does_nothing_is_ended() {
    let Some((_, url)) = database("a_session_that_keeps_a_position").await else { return };
    let log = open_at(&url).await.expect("open");
    let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connect");
    let connection = tokio::spawn(connection);
    let stuck =
        "BEGIN; INSERT INTO kine_shim.batch SELECT 1, gen_random_uuid(), id, 2, 1, id, 0, 0 FROM kine_shim.batch";
    holder.batch_execute(stuck).await.expect("hold position 1");
    assert_eq!(log.append(&batch(Head::default())).await, Ok(Appended::Committed));
    assert!(connection.await.expect("join").is_err(), "the holder's session was ended");
}

#[tokio::test]
async fn each_sslmode_verifies_what_it_says() {
    let server = Postgres::start(Disk::NoFsync).expect("start");
    let Some(server) = server else { return tests::skipped("each_sslmode_verifies", "no PostgreSQL") };
    let folder = tempfile::tempdir().expect("folder");
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    for folder in [&own, &other] {
        pki::write(folder, &[Leaf { name: "db", common_name: "db", organization: None }]).expect("certificates");
    }
    let pem = |name: &str| std::fs::read(own.join(name)).expect("read");
    let url = server.database().await.expect("database");
    let refused = open_at(&format!("{url}?sslmode=require")).await.err().expect("no TLS yet");
    assert!(refused.to_string().contains("does not support TLS"), "{refused}");

    server.offer_tls(&pem("db.crt"), &pem("db.key")).await.expect("TLS");
    let (own, other) = (own.join("ca.crt"), other.join("ca.crt"));
    let cases = [
        ("sslmode=disable".to_owned(), true),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=verify-full&sslrootcert={}", own.display()), true),
        (format!("sslmode=verify-full&sslrootcert={}", other.display()), false),
        (format!("sslmode=verify-ca&sslrootcert={}", other.display()), false),
        (format!("sslmode=require&sslrootcert={}", other.display()), false),
        (format!("sslrootcert={}", own.display()), true),
    ];
    for (parameters, good) in cases {
        let opened = open_at(&format!("{url}?{parameters}")).await;
        assert_eq!(opened.is_ok(), good, "{parameters}: {:?}", opened.err());
    }
    // Another name for the same address: only verify-full minds.
    for (mode, good) in [("verify-ca", true), ("verify-full", false)] {
        let url = url.replace("127.0.0.1", "other.example");
        let parameters = format!("hostaddr=127.0.0.1&sslmode={mode}&sslrootcert={}", own.display());
        let opened = open_at(&format!("{url}?{parameters}")).await;
        assert_eq!(opened.is_ok(), good, "{parameters}: {:?}", opened.err());
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut probe: impl FnMut() -> F) {
    let looked = tests::process::eventually(what, Duration::from_secs(20), || {
        let seen = probe();
        async move { if seen.await { Ok(()) } else { anyhow::bail!("not yet") } }
    });
    looked.await.expect("in time");
}

/// Whether `condition` holds for some session of this database.
async fn some_session(url: &str, condition: &str) -> bool {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connect");
    let connection = tokio::spawn(connection);
    let query = format!("SELECT FROM pg_stat_activity WHERE datname = current_database() AND {condition}");
    let answer = client.simple_query(&query).await.expect("look");
    let found = answer.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_)));
    drop(client);
    let _ = connection.await;
    found
}

#[tokio::test]
async fn a_cancelled_wait_for_a_standby_is_no_success() {
    let server = Postgres::start(Disk::NoFsync).expect("start");
    let Some(server) = server else { return tests::skipped("a_cancelled_wait_for_a_standby", "no PostgreSQL") };
    let url = server.database().await.expect("database");
    let log = open_at(&url).await.expect("open");
    let standbys = async |names: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        server.execute("postgres", &set).await.expect("set");
        server.execute("postgres", "SELECT pg_reload_conf()").await.expect("reload");
    };
    standbys("nobody").await;
    // The setting arrives when it arrives: the first append that it catches is the one to look at.
    let mut caught = batch(Head::default());
    let waiting = loop {
        let (log, next) = (log.clone(), caught.clone());
        let mut append = tokio::spawn(async move { log.append(&next).await });
        tokio::select! {
            done = &mut append => assert_eq!(done.expect("join"), Ok(Appended::Committed)),
            () = until("a wait", || some_session(&url, "wait_event = 'SyncRep'")) => break append,
        }
        caught = batch(caught.head());
    };
    // Freeing stuck positions must leave this one alone; then somebody cancels it.
    let behind = batch(Head { position: Position(caught.position.0 - 1), id: caught.prev_id });
    let blocked = timeout(Duration::from_secs(3), log.append(&behind)).await;
    assert!(blocked.is_err(), "the commit is not to be seen before the standby has it: {blocked:?}");
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    execute(&url, cancel).await.expect("cancel");
    let outcome = waiting.await.expect("join");
    assert!(matches!(outcome, Err(LogFault::OutcomeUnknown(_))), "{outcome:?}");

    // The same batch again: found, but confirmed only with the standby.
    let again = {
        let (log, caught) = (log.clone(), caught.clone());
        tokio::spawn(async move { log.append(&caught).await })
    };
    until("a wait", || some_session(&url, "wait_event = 'SyncRep'")).await;
    assert!(!again.is_finished());
    standbys("").await;
    assert_eq!(again.await.expect("join"), Ok(Appended::Committed));
}

#[tokio::test]
async fn a_read_index_can_ride_on_a_commit() {
    let Some((_, url)) = database("a_read_index_can_ride_on_a_commit").await else { return };
    let options = Options { read_index: ReadIndexMode::Commit, ..Options::default() };
    let log = open(&url.parse::<Endpoint>().expect("endpoint"), &options).await.expect("open");
    let first = batch(Head::default());
    assert_eq!(log.append(&first).await, Ok(Appended::Committed));
    assert_eq!(log.read_index(Position(1)).await.expect("read_index").head, first.head());
}

async fn mark(log: &dyn Log, lease: Grant) -> Result<Vec<bool>, LogFault> {
    let life = log.lease_clocks(&[]).await?.life;
    log.mark_expiring(life, &[(lease, 0)]).await
}

#[tokio::test]
async fn only_the_trusted_server_is_written_to() {
    let Some((_, direct)) = database("only_the_trusted_server_is_written_to").await else { return };
    let pooled =
        tests::pooler::shared("only_the_trusted_server_behind_a_pooler").map(|(_, pooler)| pooler.url(&direct));
    let mut head = Head::default();
    for url in [Some(direct), pooled].into_iter().flatten() {
        let log = open_at(&url).await.expect("open");
        let identity = log.read_index(Position(0)).await.expect("read_index").identity;
        let other = Identity { timeline: identity.timeline + 1, ..identity.clone() };
        let first = batch(head);
        let lease = Grant { id: 1, at: first.position };
        log.trust(&other);
        let refused = log.append(&first).await;
        assert!(matches!(&refused, Err(LogFault::NotApplied(text)) if text.contains("is trusted")), "{refused:?}");
        assert!(log.trim(Position(1), &[]).await.is_err());
        assert!(mark(&*log, lease).await.is_err());
        let read_index = log.read_index(head.position).await.expect("read_index");
        assert_eq!((read_index.head, read_index.trimmed), (head, Position(0)), "nothing happened");

        log.trust(&identity);
        assert_eq!(log.append(&first).await, Ok(Appended::Committed));
        assert_eq!(mark(&*log, lease).await, Ok(vec![true]));
        head = first.head();
        assert!(execute(&url, "SELECT kine_shim.must_be(1)").await.is_err(), "no server runs since 1970");
    }
}

/// One row of each thousand survives: the old index would keep a page for each.
#[tokio::test]
async fn space_is_given_back_while_writes_go_on() {
    let Some((_, url)) = database("space_is_given_back_while_writes_go_on").await else { return };
    let log = open_at(&url).await.expect("open");
    let entry = Entry {
        kind: EntryKind::Put,
        revision: 2,
        sub_revision: 0,
        key: "k".into(),
        value: "v".into(),
        create_revision: 2,
        version: 1,
        lease: 0,
    };
    let mut head = Head::default();
    for _ in 0..40 {
        let wide = Batch { entries: (0..1_000).map(|sub| (sub, entry.clone())).collect(), ..batch(head) };
        assert_eq!(log.append(&wide).await, Ok(Appended::Committed));
        head = wide.head();
    }
    let pages = async || {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connect");
        let connection = tokio::spawn(connection);
        let size = "SELECT pg_relation_size('kine_shim.log_pkey') / 8192";
        let pages: i64 = client.query_one(size, &[]).await.expect("size").get(0);
        drop(client);
        let _ = connection.await;
        pages
    };
    let full = pages().await;
    for position in 1..=40 {
        let garbage: Vec<_> = (1..1_000).map(|sub| (Position(position), sub)).collect();
        log.trim(Position(40), &garbage).await.expect("trim");
    }
    let done = tokio_util::sync::CancellationToken::new();
    let (writer, stop) = (log.clone(), done.clone());
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while !stop.is_cancelled() {
            let next = batch(head);
            let appended = timeout(Duration::from_secs(5), writer.append(&next)).await.expect("a write was held up");
            assert_eq!(appended, Ok(Appended::Committed));
            (head, written) = (next.head(), written + 1);
        }
        written
    });
    log.reclaim().await.expect("reclaim");
    done.cancel();
    assert!(writing.await.expect("writer") > 0);
    let left = pages().await;
    assert!(left < full / 10, "{full} pages became {left}");
    log.reclaim().await.expect("again");
}
