//! `sync`: from the node that runs a resource to others. Each node is a folder; ssh is a program that puts the other node's in the place where this one's was,
//! so that both have the same paths, and runs `receive` there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use assert_cmd::Command;
use expect_test::{Expect, expect};
use reactor_api::PromotedStatus;
use reactor_api::status::ReloadResult;

use crate::daemon::{Daemon, KILLED, reactorctl, reloaded, status};

/// Nodes n1, where we are, n2, which is reached, and n3 and dr1, which are not.
struct Cluster {
    folder: PathBuf,
}

const SNIPPET: &str = "[[promoter]]\n[promoter.resources.r1]\nstart = [\"app.service\"]\n\
    sync = { nodes = [\"n1\", \"n2\", \"n3\"], drpnodes = [\"dr1\"], files = [\"LIVE/etc/foo.conf\"], every = \"10min\" }\n";

impl Cluster {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("reactorctl-sync-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let cluster = Self { folder };
        for node in ["n1", "n2"] {
            for part in ["", "main.d", "drbd.d", "etc", "state", "run"] {
                let path = cluster.folder.join(node).join(part);
                fs::create_dir_all(&path).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            let live = cluster.live();
            let main = format!(
                "snippets = \"LIVE/main.d\"\n[daemon]\nnode-name = \"{node}\"\nstate-dir = \"LIVE/state\"\nruntime-dir = \"LIVE/run\"\ndrbdadm = \"LIVE/drbdadm\"\n"
            );
            cluster.put(node, "main.toml", &main.replace("LIVE", &live));
            cluster.put(node, "main.d/r1.toml", &SNIPPET.replace("LIVE", &live));
            cluster.put(node, "etc/foo.conf", "foo\n");
            cluster.put(node, "drbd.d/r1.res", "resource r1 {}\n");
        }
        let dump = "<resource name=\"r1\" conf-file-line=\"LIVE/drbd.d/r1.res:1\"/>";
        cluster.program("n1/drbdadm", &format!("echo '{dump}'\n").replace("LIVE", &cluster.live()));
        cluster.goes_to("n1");
        let program = format!(
            "for last; do :; done\ncase \"$*\" in\n\
             *BatchMode=yes*root@n2*) [ \"$last\" = 'reactorctl receive' ] || exit 1\n\
             ln -sfn {here}/n2 {here}/live.new && mv -T {here}/live.new {here}/live\n\
             exec {reactorctl} -c {here}/live/main.toml receive --res-folder {here}/live/drbd.d ;;\n\
             esac\necho 'ssh: connect to host: No route to host' >&2\nexit 255\n",
            here = cluster.folder.display(),
            reactorctl = env!("CARGO_BIN_EXE_reactorctl"),
        );
        fs::create_dir_all(cluster.folder.join("bin")).unwrap();
        cluster.program("bin/ssh", &program);
        cluster
    }

    fn live(&self) -> String {
        self.folder.join("live").display().to_string()
    }

    /// Which node this is.
    fn goes_to(&self, node: &str) {
        let _ = fs::remove_file(self.folder.join("live"));
        symlink(self.folder.join(node), self.folder.join("live")).unwrap();
    }

    fn put(&self, node: &str, name: &str, text: &str) {
        let path = self.folder.join(node).join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(self.folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, node: &str, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(node).join(name)).ok()
    }

    /// On n1.
    fn run(&self, daemon: Option<&Daemon>, args: &[&str]) -> Command {
        self.goes_to("n1");
        let mut command = reactorctl();
        let path = format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).env("XDG_CONFIG_HOME", &self.folder);
        command.arg("-c").arg(self.folder.join("live/main.toml"));
        if let Some(daemon) = daemon {
            command.arg("--socket").arg(daemon.folder.join(reactor_sys::control::SOCKET_NAME));
        }
        command.args(args);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A daemon on whose node r1 runs, and not as well as it should.
fn running() -> Daemon {
    Daemon::with(|state| {
        state.status = status(&state.core);
        state.promoted = vec![PromotedStatus {
            resource: "r1".to_owned(),
            state: "running".to_owned(),
            availability: "warn".to_owned(),
            degraded: vec!["n2 is not connected: StandAlone".to_owned()],
            ..PromotedStatus::default()
        }];
    })
}

/// What it prints, without where the test lives.
fn says(mut command: Command, cluster: &Cluster, expect: &Expect) {
    let output = command.output().unwrap();
    let here = cluster.folder.display().to_string();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replace(&here, "DIR").replace(&here.trim_start_matches('/').replace('/', "%2F"), "DIR")
    };
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let err = if err.is_empty() { err } else { format!("--- stderr\n{err}") };
    expect.assert_eq(&format!("{out}{err}--- exit {}\n", output.status.code().unwrap()));
}

#[test]
fn what_differs_is_sent_and_a_dead_node_costs_only_itself() {
    let (cluster, daemon) = (Cluster::new("send"), running());
    cluster.put("n1", "drbd.d/r1.res", "resource r1 { # new\n}\n");
    fs::remove_file(cluster.folder.join("n2/etc/foo.conf")).unwrap();
    says(
        cluster.run(Some(&daemon), &["sync", "r1", "--dry-run", "--to", "n2"]),
        &cluster,
        &expect![[r#"
            n2: differs, 2 files of 3
              differs  DIR/live/drbd.d/r1.res
              missing  DIR/live/etc/foo.conf
            --- exit 12
        "#]],
    );
    assert_eq!(cluster.read("n2", "drbd.d/r1.res").as_deref(), Some("resource r1 {}\n"));
    says(
        cluster.run(Some(&daemon), &["sync", "r1"]),
        &cluster,
        &expect![[r#"
        n2: sent, 2 files of 3
          sent  DIR/live/drbd.d/r1.res  before: DIR/live/state/sync/backup/DIR%2Flive%2Fdrbd.d%2Fr1.res.1
          sent  DIR/live/etc/foo.conf
        n3: failed: ssh: connect to host: No route to host
        dr1 (disaster recovery): failed: ssh: connect to host: No route to host
        --- exit 12
    "#]],
    );
    for (name, text) in [("drbd.d/r1.res", "resource r1 { # new\n}\n"), ("etc/foo.conf", "foo\n")] {
        assert_eq!(cluster.read("n2", name).as_deref(), Some(text), "{name}");
    }
    // Again: it is there.
    says(
        cluster.run(Some(&daemon), &["sync", "r1", "--to", "n2"]),
        &cluster,
        &expect![[r#"
        n2: the same, 3 files
        --- exit 0
    "#]],
    );
    let json = cluster.run(Some(&daemon), &["sync", "r1", "--json"]).output().unwrap();
    assert_eq!(crate::schemas::check("sync", &json.stdout), 1);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["nodes"][0]["since-good-s"], 0, "{report:#}");
    assert_eq!(report["nodes"][1]["state"], "unknown", "{report:#}");
    assert_eq!(report["nodes"][2]["is-drp"], true, "{report:#}");
}

#[test]
fn what_the_other_node_does_not_list_is_refused_there_and_the_rest_is_sent() {
    let (cluster, daemon) = (Cluster::new("refused"), running());
    cluster.put("n1", "etc/foo.conf", "new\n");
    cluster.put("n1", "main.d/r1.toml", &format!("{}# new\n", SNIPPET.replace("LIVE", &cluster.live())));
    cluster.put("n2", "main.d/r1.toml", "[[promoter]]\n[promoter.resources.r1]\nstart = [\"app.service\"]\n");
    says(
        cluster.run(Some(&daemon), &["sync", "r1", "--to", "n2"]),
        &cluster,
        &expect![[r#"
        n2: differs, 1 file of 3
          refused  DIR/live/etc/foo.conf: it is neither a .res file, nor a snippet, nor does `sync` of this node list it
          sent  DIR/live/main.d/r1.toml  before: DIR/live/state/sync/backup/DIR%2Flive%2Fmain.d%2Fr1.toml.1
        --- exit 12
    "#]],
    );
    assert_eq!(cluster.read("n2", "etc/foo.conf").as_deref(), Some("foo\n"));
    // By now it has the snippet, which lists the file.
    says(
        cluster.run(Some(&daemon), &["sync", "r1", "--to", "n2"]),
        &cluster,
        &expect![[r#"
        n2: sent, 1 file of 3
          sent  DIR/live/etc/foo.conf  before: DIR/live/state/sync/backup/DIR%2Flive%2Fetc%2Ffoo.conf.1
        --- exit 0
    "#]],
    );
    assert_eq!(cluster.read("n2", "etc/foo.conf").as_deref(), Some("new\n"));
}

#[test]
fn files_come_from_where_it_runs_unless_a_person_insists() {
    let cluster = Cluster::new("where");
    let standby = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    says(
        cluster.run(Some(&standby), &["sync", "r1", "--to", "n2"]),
        &cluster,
        &expect![[r#"
        --- stderr
        reactorctl: r1, nothing was done: it does not run here: n3 is Primary. Run this there; --force sends from here all the same
        --- exit 10
    "#]],
    );
    says(
        cluster.run(None, &["sync", "r1", "--to", "n2"]),
        &cluster,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon serves DIR/live/run/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
    says(
        cluster.run(None, &["sync", "r1", "--to", "n2", "--force"]),
        &cluster,
        &expect![[r#"
        n2: the same, 3 files
        --- exit 0
    "#]],
    );
    says(
        cluster.run(None, &["sync", "r7"]),
        &cluster,
        &expect![[r#"
        --- stderr
        reactorctl: no promoter has the resource r7
          reactorctl status shows those that are promoted
        --- exit 8
    "#]],
    );
    says(
        cluster.run(None, &["sync", "r1", "--to", "n9"]),
        &cluster,
        &expect![[r#"
        --- stderr
        reactorctl: r1, nothing was done: `sync` names no other node n9; it has n2, n3, dr1
        --- exit 10
    "#]],
    );
}

/// What is killed, or cut off, between the first byte and the last has changed nothing.
#[test]
fn a_receiver_that_dies_in_the_middle_has_written_nothing() {
    let cluster = Cluster::new("killed");
    cluster.goes_to("n2");
    let live = PathBuf::from(cluster.live());
    let before: Vec<_> = ["drbd.d", "state"].map(|part| names(&cluster.folder.join("n2").join(part))).into();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let path = live.join("drbd.d/r1.res");
    let group = rustix::process::getegid().as_raw();
    let offer = format!(
        "{{\"storage-reactor-sync\":1,\"resource\":\"r1\",\"files\":[{{\"path\":\"{}\",\"mode\":420,\"group\":\"{group}\",\"size\":3,\"sha256\":\"{sha256}\"}}]}}\n",
        path.display()
    );
    let receive = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_reactorctl"))
            .arg("-c")
            .arg(live.join("main.toml"))
            .args(["receive", "--res-folder"])
            .arg(live.join("drbd.d"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // Cut off.
    let mut child = receive();
    child.stdin.take().unwrap().write_all(format!("{offer}{{\"send\":[0]}}\nab").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("{\"files\":[{\"state\":\"differs\"}]}\n"), "{said}");
    // Killed, when it has answered and so is in the middle.
    let mut child = receive();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{offer}{{\"send\":[0]}}\nab").as_bytes()).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert!(line.contains("differs"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    let after: Vec<_> = ["drbd.d", "state"].map(|part| names(&cluster.folder.join("n2").join(part))).into();
    assert_eq!(after, before);
    assert_eq!(cluster.read("n2", "drbd.d/r1.res").as_deref(), Some("resource r1 {}\n"));
    // The same, to its end.
    let mut child = receive();
    child.stdin.take().unwrap().write_all(format!("{offer}{{\"send\":[0]}}\nabcend\n").as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(cluster.read("n2", "drbd.d/r1.res").as_deref(), Some("abc"));
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}
