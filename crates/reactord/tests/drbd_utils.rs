//! drbd-utils' own handler scripts as rules with `on = "answer"`: each is run twice, by the real drbdadm from `handlers { }` and by our
//! daemon from a rule, as the kernel would call it, and has to do the same.
//!
//! What the scripts call (`mail`, `logger`, LVM, Pacemaker) are stubs that write down what they were given. The package need not be installed:
//! it is unpacked in `target/tools`.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Daemon, Folder};

/// Variables of ours, which drbdadm does not have.
const OURS: [&str; 6] =
    ["DRBD_RES_NAME", "DRBD_HELPER", "DRBD_HELPER_EVENT", "DRBD_EVENT_TYPE", "DRBD_EVENT_OBJECT", "DRBD_EVENT_RULE"];

/// Scripts, with the call that DRBD makes for each. `None` = about no volume.
const SCRIPTS: [(&str, &str, Option<u32>); 18] = [
    ("notify-split-brain.sh root", "split-brain", None),
    ("notify-out-of-sync.sh", "out-of-sync", None),
    ("notify-io-error.sh", "local-io-error", Some(0)),
    ("notify-pri-lost.sh", "pri-lost", Some(0)),
    ("notify-pri-lost-after-sb.sh", "pri-lost-after-sb", Some(0)),
    ("notify-pri-on-incon-degr.sh", "pri-on-incon-degr", Some(0)),
    ("notify-emergency-reboot.sh admin@example.org", "local-io-error", Some(0)),
    ("notify-emergency-shutdown.sh", "local-io-error", Some(0)),
    ("notify.sh", "initial-split-brain", None),
    ("snapshot-resync-target-lvm.sh", "before-resync-target", Some(0)),
    ("unsnapshot-resync-target-lvm.sh", "after-resync-target", Some(0)),
    ("crm-fence-peer.9.sh", "fence-peer", None),
    ("crm-unfence-peer.9.sh", "unfence-peer", None),
    ("crm-fence-peer.sh", "fence-peer", None),
    ("crm-unfence-peer.sh", "after-resync-target", Some(0)),
    ("outdate-peer.sh", "fence-peer", None),
    ("stonith_admin-fence-peer.sh", "fence-peer", None),
    ("rhcs_fence", "fence-peer", None),
];

/// Says by name what is not tested here and why; in CI nothing may be missing.
fn tools() -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").canonicalize().ok();
    let mut roots = fetched.into_iter().chain([PathBuf::from("/")]);
    let found = roots.find(|root| root.join("usr/lib/drbd/notify.sh").is_file() && drbdadm(root).is_file());
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "drbd-utils is needed in CI: cargo xtask ci fetches it");
        println!("SKIPPED: drbd-utils is not in target/tools");
    }
    found
}

/// The real one. Newer packages have it in `usr/sbin`.
fn drbdadm(tools: &Path) -> PathBuf {
    ["sbin", "usr/sbin"]
        .map(|folder| tools.join(folder).join("drbdadm"))
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_default()
}

struct Bench {
    folder: Folder,
    tools: PathBuf,
    path: String,
    daemon: Daemon,
}

/// What a run did.
#[derive(Debug, PartialEq)]
struct Outcome {
    exit: Option<i32>,
    /// Which stubs were called with what, and what the script said.
    did: Vec<String>,
}

impl Bench {
    fn new(name: &str) -> Option<Self> {
        let tools = tools()?;
        let folder = Folder::new(name);
        let dir = folder.path().display().to_string();
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        // Two volumes, the second without a disk; and one with a single volume.
        let dump = "exists resource name:two role:Secondary suspended:no may_promote:yes promotion_score:1
exists resource name:one role:Secondary suspended:no may_promote:yes promotion_score:1
exists connection name:two peer-node-id:1 conn-name:n2 connection:Connected role:Secondary congested:no
exists connection name:two peer-node-id:2 conn-name:n3 connection:Connected role:Secondary congested:no
exists connection name:one peer-node-id:1 conn-name:n2 connection:Connected role:Secondary congested:no
exists device name:two volume:0 minor:10 backing_dev:/dev/vg/a disk:UpToDate client:no quorum:yes size:1 open:no
exists device name:two volume:1 minor:11 backing_dev:none disk:Diskless client:yes quorum:yes size:1 open:no
exists device name:one volume:0 minor:20 backing_dev:/dev/vg/one disk:UpToDate client:no quorum:yes size:1 open:no
exists -
";
        folder.write("dump", dump);
        let show = r#"[{"resource": "'"$2"'", "_this_host": {"node-id": 0}}]"#;
        folder.drbd(&format!(
            "case $1 in events2) cat {dir}/dump; exec cat;; show) shift; echo '{}';; esac",
            show.replace("$2", "$3")
        ));
        let hosts = |minor: u32| {
            format!(
                "on \"{own}\" {{ node-id 0; address 127.0.0.1:70{minor}; }} on n2 {{ node-id 1; address 10.0.0.2:70{minor}; }}"
            )
        };
        let command = format!("sh -c \\\"$(cat {dir}/command)\\\"");
        let mut handlers: Vec<&str> = SCRIPTS.iter().map(|script| script.1).collect();
        handlers.sort_unstable();
        handlers.dedup();
        let handlers: String = handlers.iter().map(|helper| format!("{helper} \"{command}\"; ")).collect();
        folder.write(
            "drbd.conf",
            &format!(
                "common {{ handlers {{ {handlers} }} }}
resource one {{ device minor 20; disk /dev/vg/one; meta-disk internal; {} }}
resource two {{
  volume 0 {{ device minor 10; disk /dev/vg/a; meta-disk internal; }}
  volume 1 {{ device minor 11; disk none; }}
  {} on n3 {{ node-id 2; address 10.0.0.3:7010; }}
  connection-mesh {{ hosts \"{own}\" n2 n3; }}
}}
",
                hosts(20),
                hosts(10)
            ),
        );
        stubs(&folder);
        let path = format!("{dir}/stubs:/usr/sbin:/usr/bin:/sbin:/bin");
        folder.main_file(&format!(
            "[[umh]]\n[[umh.helper]]\non = \"answer\"\nname = \"script\"\ncommand = \"{command}\"\nenv = {{ PATH = \"{path}\" }}\n"
        ));
        let main = folder.path().join("main.toml");
        // The name of the node is the real one: drbdadm knows no other.
        fs::write(&main, fs::read_to_string(&main).unwrap().replace("node-name = \"n3\"\n", "")).unwrap();
        let daemon = Daemon::start(&folder, &[]);
        daemon.status_until("the dump", |status| status["source"]["state"] == "up");
        Some(Self { folder, tools, path, daemon })
    }

    /// What the kernel tells a helper.
    fn kernel(helper: &str, volume: Option<u32>, minor: u32) -> Vec<(&'static str, String)> {
        let mut env = vec![("DRBD_PEER_NODE_ID", "1".to_owned()), ("DRBD_CSTATE", "Connected".to_owned())];
        if helper == "fence-peer" {
            env.push(("UP_TO_DATE_NODES", "0x00000001".to_owned()));
        }
        match volume {
            Some(volume) => {
                env.push(("DRBD_VOLUME", volume.to_string()));
                env.push(("DRBD_MINOR", minor.to_string()));
                env.push(("DRBD_BACKING_DEV", "/dev/vg/one".to_owned()));
            }
            None => env.push(("DRBD_MINOR_0", minor.to_string())),
        }
        env
    }

    /// One call, of either program.
    fn call(&self, program: &mut Command, env: &[(&str, String)]) -> Outcome {
        let log = self.folder.path().join("did");
        let _ = fs::remove_file(&log);
        let status = program
            .env_clear()
            .env("PATH", &self.path)
            .env("STORAGE_REACTOR_HELPER_CONF", "/dev/null")
            .env("STORAGE_REACTOR_SOCKET", self.folder.path().join("run/control.sock"))
            .env("STORAGE_REACTOR_HELPER_WAIT", "0")
            .env("STORAGE_REACTOR_DRBDADM", "/nonexistent")
            .envs(env.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap()
            .status;
        // A script may leave its logger behind, which ends with its last line.
        let did = fs::read_to_string(&log).unwrap_or_default();
        let did = did.replace(&self.folder.path().join("drbd.conf").display().to_string(), "/etc/drbd.conf");
        let did = did.lines().filter(|line| !line.contains("DRBD_RESOURCE=")).map(str::to_owned).collect();
        Outcome { exit: status.code(), did }
    }

    fn both(&self, helper: &str, resource: &str, env: &[(&str, String)]) -> [Outcome; 2] {
        let mut real = Command::new(drbdadm(&self.tools));
        real.arg("-c").arg(self.folder.path().join("drbd.conf")).args([helper, resource]);
        let mut ours = Command::new(env!("CARGO_BIN_EXE_reactor-helper"));
        ours.args([helper, resource]);
        [self.call(&mut real, env), self.call(&mut ours, env)]
    }
}

/// Each writes down its name, arguments, and standard input where it has one.
fn stubs(folder: &Folder) {
    fs::create_dir_all(folder.path().join("stubs")).unwrap();
    let did = folder.path().join("did").display().to_string();
    let stub = |name: &str, body: &str| {
        folder.program(&format!("stubs/{name}"), &format!("#!/bin/sh\n{body}\n").replace("DID", &did));
    };
    for name in ["lvcreate", "lvremove", "stonith_admin", "cman_tool", "ssh"] {
        stub(name, &format!("echo {name} \"$@\" >> DID"));
    }
    for name in ["fence_tool", "cibadmin", "crm_attribute", "crmadmin"] {
        stub(name, &format!("echo {name} >> DID; exit 1"));
    }
    stub("mail", "{ echo mail \"$@\"; cat; } >> DID");
    // What the scripts log holds their process ids in its tag only.
    stub("logger", "exec cat > /dev/null");
    stub("drbdadm", "echo drbdadm \"$@\" >> DID; [ \"$1\" = sh-ll-dev ] && echo /dev/vg/one");
    stub("lvs", "echo lvs \"$@\" >> DID; echo vg one 2048");
    stub("sleep", "exit 0");
}

#[test]
fn every_script_of_drbd_utils_does_what_it_does_for_drbdadm() {
    let Some(bench) = Bench::new("scripts") else { return };
    let scripts = bench.tools.join("usr/lib/drbd");
    let mut tried: Vec<&str> = SCRIPTS.iter().filter_map(|script| script.0.split(' ').next()).collect();
    tried.sort_unstable();
    let mut all: Vec<String> = fs::read_dir(&scripts)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    all.sort();
    assert_eq!(tried, all, "each script of the package is in the list");
    for (script, helper, volume) in SCRIPTS {
        bench.folder.write("command", &format!("exec {}/{script}", scripts.display()));
        let [drbdadm, ours] = bench.both(helper, "one", &Bench::kernel(helper, volume, 20));
        assert_eq!(ours, drbdadm, "{script} for {helper}; log:\n{}", bench.daemon.log());
    }
}

/// The variables of DRBD that a handler is given.
fn variables(bench: &Bench, helper: &str, resource: &str, env: &[(&str, String)]) -> [BTreeMap<String, String>; 2] {
    let list = |outcome: Outcome| {
        let pairs = outcome.did.iter().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    // `DRBD_RESOURCE` is in lines that are not compared elsewhere.
    let text = format!(
        "env | grep -e ^DRBD_ -e ^UP_TO | sed s/^DRBD_RESOURCE=/resource=/ > {}/did",
        bench.folder.path().display()
    );
    bench.folder.write("command", &text);
    bench.both(helper, resource, env).map(list)
}

#[test]
fn a_rule_gets_the_variables_that_drbdadm_sets() {
    let Some(bench) = Bench::new("variables") else { return };
    for (helper, resource, volume) in
        [("fence-peer", "two", None), ("split-brain", "two", None), ("before-resync-target", "one", Some(0))]
    {
        let minor = if resource == "one" { 20 } else { 10 };
        let [mut drbdadm, mut ours] = variables(&bench, helper, resource, &Bench::kernel(helper, volume, minor));
        assert!(drbdadm.len() >= 9, "{drbdadm:?}");
        assert!(drbdadm.remove("DRBD_CONF").is_some() && ours.remove("DRBD_CONF").is_some());
        ours.retain(|name, _| !OURS.contains(&name.as_str()));
        for (name, value) in &drbdadm {
            assert_eq!(ours.get(name), Some(value), "{name} of {helper}: {ours:?}");
        }
        // Beyond these there is only what rules about changes have, too.
        let more: Vec<&String> = ours.keys().filter(|name| !drbdadm.contains_key(*name)).collect();
        assert!(
            more.iter().all(|name| ["DRBD_CONN_NAME", "DRBD_MINOR_0", "DRBD_BACKING_DEV_0", "DRBD_BACKING_DEV"]
                .contains(&name.as_str())),
            "{more:?}"
        );
    }
}

#[test]
fn a_call_about_one_of_two_volumes_gets_that_one() {
    // drbdadm lists all of them there, and the snapshot script cannot use that.
    let Some(bench) = Bench::new("one-of-two") else { return };
    let env = [("DRBD_VOLUME", "1".to_owned()), ("DRBD_MINOR", "11".to_owned()), ("DRBD_PEER_NODE_ID", "2".to_owned())];
    let [_, ours] = variables(&bench, "before-resync-target", "two", &env);
    let got = ["DRBD_VOLUME", "DRBD_MINOR", "DRBD_LL_DISK", "DRBD_NODE_ID_2"].map(|name| ours[name].as_str());
    assert_eq!(got, ["1", "11", "none", "n3"]);
}
