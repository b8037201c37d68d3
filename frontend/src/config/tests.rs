use std::time::Duration;

use super::*;

fn read(args: &[&str]) -> Result<Given, FlagError> {
    parse(args.iter().map(|a| (*a).to_owned()))
}

fn config(args: &[&str]) -> Result<Config, FlagError> {
    Config::from_flags(&read(&[&["--etcd-servers=http://e:2379"], args].concat())?)
}

#[test]
fn values_come_with_an_equals_sign_or_as_the_next_argument() {
    let given =
        read(&["--etcd-servers", "http://a,http://b", "--secure_port=1", "--anonymous-auth=false", "-v", "4"]).unwrap();
    assert_eq!(given.all("etcd-servers"), ["http://a", "http://b"]);
    assert_eq!(given.last("secure-port"), Some("1"));
    assert!(!given.is_true("anonymous-auth"));
    assert_eq!(given.last("v"), Some("4"));
}

#[test]
fn a_switch_does_not_take_the_next_argument() {
    let error = read(&["--profiling", "false"]).unwrap_err();
    assert_eq!(error, FlagError::Positional("false".into()));
}

#[test]
fn refusals_name_the_flag() {
    assert_eq!(read(&["--nosuch=1"]).unwrap_err().to_string(), "unknown flag: --nosuch");
    assert_eq!(
        read(&["--etcd_server=http://e"]).unwrap_err().to_string(),
        "unknown flag: --etcd_server, did you mean --etcd-servers?"
    );
    assert_eq!(read(&["--secure-port"]).unwrap_err().to_string(), "flag needs an argument: --secure-port");
    assert_eq!(
        read(&["--request-timeout=x"]).unwrap_err().to_string(),
        "invalid argument \"x\" for \"--request-timeout\" flag: time: invalid duration \"x\""
    );
    assert!(config(&["--secure-port=70000"]).unwrap_err().to_string().contains("--secure-port 70000"));
    assert!(config(&["--authorization-mode=Magic"]).unwrap_err().to_string().contains("Magic"));
    assert!(config(&["--tls-cert-file=a"]).unwrap_err().to_string().contains("--tls-private-key-file"));
    assert_eq!(Config::from_flags(&Given::default()).unwrap_err().to_string(), "--etcd-servers must be specified");
}

#[test]
fn flags_that_do_not_act_are_named() {
    let given = read(&["--profiling=false", "--v=2"]).unwrap();
    assert_eq!(given.ignored(), ["profiling"]);
}

#[test]
fn durations_are_those_of_go() {
    let cases = [("1h30m", 5400.0), ("1.5s", 1.5), ("300ms", 0.3), ("0", 0.0), ("2m0s", 120.0)];
    for (text, seconds) in cases {
        assert_eq!(parse_duration(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
    }
    for text in ["", "1", "x", "1x", "-1s", "1s1"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn defaults_are_those_of_the_real_server_but_for_loopback() {
    let config = config(&["--service-cluster-ip-range=10.96.5.7/12"]).unwrap();
    assert!(config.listen.address.is_loopback());
    assert_eq!(config.listen.port, 6443);
    assert_eq!(config.service_cidrs[0].to_string(), "10.96.0.0/12");
    assert_eq!(first_address(&config.service_cidrs[0]).to_string(), "10.96.0.1");
    assert_eq!(config.etcd.prefix, "/registry");
}

#[test]
fn every_flag_has_one_row() {
    let mut names: Vec<&str> = table::SECTIONS.iter().flat_map(|s| s.flags).map(|f| f.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(help().contains("--etcd-servers"));
}

#[test]
fn audit_events_are_gathered_as_flags_say() {
    let audit = |args: &[&str]| config(args).map(|config| config.audit);
    let by_default = audit(&[]).unwrap().log_batch;
    assert_eq!((by_default.batch_max, by_default.waiting_max, by_default.throttle), (1, 10_000, None));
    let said = audit(&[
        "--audit-log-batch-max-size=20",
        "--audit-log-batch-max-wait=3s",
        "--audit-log-batch-throttle-enable",
        "--audit-log-batch-throttle-qps=5",
        "--audit-log-batch-throttle-burst=7",
    ]);
    let said = said.unwrap().log_batch;
    assert_eq!((said.batch_max, said.wait_max, said.throttle), (20, Duration::from_secs(3), Some((5.0, 7))));
    let webhook = audit(&["--audit-webhook-config-file=f"]).unwrap().webhook.unwrap().batch;
    assert_eq!((webhook.batch_max, webhook.throttle), (400, Some((10.0, 15))));
    for (flag, why) in [
        ("--audit-log-batch-throttle-enable", "invalid audit batch log throttle QPS 0, must be a positive number"),
        ("--audit-log-batch-max-size=0", "invalid audit batch log max batch size 0, must be a positive number"),
    ] {
        assert_eq!(audit(&[flag]).unwrap_err().to_string(), why);
    }
}
