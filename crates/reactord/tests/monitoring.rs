//! A real Prometheus that scrapes a real daemon: the dashboard, the rules, and what drbd-reactor's users ask for all get answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use reactor_sim::certificates::Authority;
use serde_json::Value;
use support::{Daemon, Folder, LIMIT, recording};

const DASHBOARD: &str = include_str!("../../../dist/grafana/storage-reactor.json");

/// The metrics that drbd-reactor's own dashboard and the rules of others are made of. `enums` of `[[prometheus]]` is on, as they need it.
const THEIRS: &[&str] = &[
    "drbdreactor_up",
    "drbd_version",
    "drbd_resource_resources",
    "drbd_resource_role{drbd_resource_role=\"Secondary\"} == 1",
    "sum by (name) (drbd_resource_suspended)",
    "drbd_resource_maypromote",
    "drbd_resource_promotionscore",
    "drbd_resource_forceiofailures",
    "sum by (name) (drbd_connection_state{drbd_connection_state=\"Connected\"}) > 0",
    "drbd_connection_state{drbd_connection_state!=\"Connected\"} == 0",
    "drbd_connection_congested",
    "drbd_connection_apinflight_bytes",
    "drbd_connection_rsinflight_bytes",
    "delta(drbd_peerdevice_outofsync_bytes[5m]) >= 0",
    "rate(drbd_peerdevice_sent_bytes[5m])",
    "rate(drbd_peerdevice_received_bytes[5m])",
    "sum by (name) (drbd_device_state{drbd_device_state=\"UpToDate\"}) > 0",
    "drbd_device_state{drbd_device_state=~\"Failed|Inconsistent\"} == 0",
    "drbd_device_client",
    "sum(drbd_device_unintentionaldiskless)",
    "drbd_device_quorum == 1",
    "drbd_device_open",
    "drbd_device_alsuspended",
    "drbd_device_size_bytes",
    "rate(drbd_device_read_bytes_total[5m])",
    "rate(drbd_device_written_bytes_total[5m])",
    "drbd_device_alwrites_total",
    "drbd_device_bmwrites_total",
    "drbd_device_upperpending",
    "drbd_device_lowerpending",
];

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    port: u16,
    log: std::path::PathBuf,
}

impl Prometheus {
    /// Scrapes the port each second, as `how` says, and has the rules; `None` = there is no Prometheus on this machine.
    fn start(folder: &Folder, scraped: u16, how: &str) -> Option<Self> {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/prometheus/storage-reactor.rules.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [\"{}\"]\nscrape_configs:\n\
             - job_name: storage-reactor\n  static_configs:\n  - targets: [\"127.0.0.1:{scraped}\"]\n{how}",
            rules.display()
        );
        let config = folder.write("prometheus.yml", &config);
        let port = reactor_sim::daemon::free_port().unwrap();
        let log = folder.path().join("prometheus.log");
        let started = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn();
        match started {
            Ok(child) => Some(Self { child, port, log }),
            Err(error) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "prometheus is needed in CI: {error}");
                println!("SKIPPED: prometheus: {error}");
                None
            }
        }
    }

    /// What its API answers; `None` = it is not there yet.
    fn get(&self, path: &str) -> Option<Value> {
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        // Of this version of HTTP answers come in one piece.
        write!(server, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        server.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Asks until it is so.
    fn until(&self, path: &str, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.get(path);
            if let Some(answer) = answer.as_ref().filter(|answer| done(answer)) {
                return answer.clone();
            }
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(began.elapsed() < LIMIT, "never came: {what}; last: {answer:?}; log:\n{}", log());
            std::thread::yield_now();
        }
    }

    /// Asks until there is data.
    fn has(&self, expression: &str) {
        let mut query = String::new();
        for byte in expression.bytes() {
            write!(query, "%{byte:02x}").unwrap();
        }
        let answer = self.until(&format!("/api/v1/query?query={query}"), expression, |answer| {
            answer["status"] == "error" || answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty())
        });
        assert_eq!(answer["status"], "success", "{expression}: {answer:#}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node in the middle of a resync, as it was recorded, with a promoter that reaches no systemd; and a Prometheus.
fn watched(name: &str) -> Option<(Folder, Daemon, Prometheus)> {
    watched_as(name, |_| (String::new(), String::new()))
}

/// The same with more keys for `[[prometheus]]`, and with what Prometheus has to do for it.
fn watched_as(name: &str, setup: impl FnOnce(&Folder) -> (String, String)) -> Option<(Folder, Daemon, Prometheus)> {
    let folder = Folder::new(name);
    let (keys, how) = setup(&folder);
    let text = fs::read_to_string(recording("drbd9/g-pause-resume-sync/n1.events2-ts")).unwrap();
    let begins = text.lines().position(|line| line.contains("replication:SyncSource")).unwrap();
    let begun: Vec<&str> = text.lines().take(begins + 1).collect();
    let events = folder.write("events", &(begun.join("\n") + "\n"));
    folder.drbd(&format!(
        "case \"$*\" in events2*) ;; *) echo \"no $*\" >&2; exit 20 ;; esac\ncat {}\nexec cat",
        events.display()
    ));
    let bus = folder.path().join("no-bus").display().to_string();
    let main = fs::read_to_string(folder.main_file("")).unwrap();
    folder.write("main.toml", &format!("{main}bus = \"unix:path={bus}\"\n"));
    folder.write("snippets/ha.toml", "[[promoter]]\n[promoter.resources.r1]\nstart = [\"reactord-test.service\"]\n");
    let port = reactor_sim::daemon::free_port().unwrap();
    folder.write(
        "snippets/metrics.toml",
        &format!("[[prometheus]]\naddress = \"127.0.0.1:{port}\"\nenums = true\n{keys}"),
    );
    let daemon = Daemon::start(&folder, &[]);
    let prometheus = Prometheus::start(&folder, port, &how)?;
    Some((folder, daemon, prometheus))
}

/// Every query of the dashboard, its variables as Grafana fills them in.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let queries = targets.map(|target| {
        let query = target["expr"].as_str().unwrap().to_owned();
        let query = query.replace("$instance", ".*").replace("$resource", ".*").replace("$__rate_interval", "5m");
        assert!(!query.contains('$'), "{query}");
        query
    });
    let queries: Vec<String> = queries.collect();
    assert!(queries.len() > 25, "{queries:?}");
    queries
}

#[test]
fn every_query_of_the_dashboard_and_of_drbd_reactors_has_data_and_every_rule_can_be_judged() {
    let Some((_folder, _daemon, prometheus)) = watched("monitoring") else { return };
    for query in queries().iter().map(String::as_str).chain(THEIRS.iter().copied()) {
        prometheus.has(query);
    }
    // Also those that a query does without.
    let words = queries().join(" ");
    let words = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = |word: &&str| word.starts_with("drbd_") || word.starts_with("storage_reactor_");
    for metric in words.filter(metrics).collect::<BTreeSet<_>>() {
        prometheus.has(metric);
    }
    let rules = |answer: &Value| -> Vec<Value> {
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
    };
    let answer = prometheus.until("/api/v1/rules", "all rules are judged", |answer| {
        let rules = rules(answer);
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    });
    for rule in rules(&answer) {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        let text = rule["alerts"].to_string();
        assert!(!text.contains("error expanding"), "{text}");
    }
    // The promoter of this daemon reaches no systemd; the runbook names what it is about.
    prometheus.has("ALERTS{alertname=\"StorageReactorSystemdDown\"}");
}

/// TLS, a certificate of the client, and a password: as docs/monitoring.md has it.
#[test]
fn prometheus_comes_in_over_tls_with_a_certificate_and_a_password() {
    let ca = Authority::new("the authority");
    let setup = |folder: &Folder| {
        let home = folder.path();
        ca.write(&home.join("ca.crt"));
        ca.sign(home, "node", &["127.0.0.1"], 2090);
        ca.sign(home, "prometheus", &["prometheus.example.org"], 2090);
        folder.write(
            "web.yml",
            "tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n  client_ca_file: ca.crt\n  \
             client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.example.org]\n\
             basic_auth_users:\n  prometheus: $2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n",
        );
        let shown = home.display();
        let how = format!(
            "  scheme: https\n  tls_config: {{ca_file: {shown}/ca.crt, cert_file: {shown}/prometheus.crt, key_file: {shown}/prometheus.key}}\n  \
             basic_auth: {{username: prometheus, password: secret}}\n"
        );
        (format!("web-config-file = \"{shown}/web.yml\"\n"), how)
    };
    let Some((_folder, _daemon, prometheus)) = watched_as("monitoring-tls", setup) else { return };
    prometheus.has("drbd_resource_role_info");
    prometheus.has("storage_reactor_http_web_config_ok == 1");
    prometheus.has("storage_reactor_http_certificate_expiry_timestamp_seconds > time()");
}
