//! Asks DRBD's tools for what the promoter wants: each call with a deadline, the name of the resource as an argument and never as
//! shell text.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use reactor_core::action::{AskDrbd, DrbdAnswer, DrbdCall, DrbdOptions, LowerDevice};
use reactor_core::drbd::refusal;
use reactor_core::ids::ResourceName;
use reactor_core::input::Dialect;

use super::command::{self, CommandError, Output, run};
use super::survivors::Survivors;
use super::{config84, options};
use crate::thread;

/// `drbdadm adjust` may attach disks and load the module.
const ADJUST: Duration = Duration::from_secs(120);
/// `drbdsetup connect` does not wait for the peer.
const CONNECT: Duration = Duration::from_secs(20);
/// Everything that only asks.
const ASK: Duration = Duration::from_secs(20);
/// `drbdsetup secondary --force` returns at once, unless the kernel hangs.
const FORCE: Duration = Duration::from_secs(20);
/// What a handler is to be told: DRBD waits meanwhile.
const FOR_HANDLER: Duration = Duration::from_secs(2);
/// The journal may take this long to reach the disk; nobody waits for it.
const JOURNAL: Duration = Duration::from_secs(1);
/// Largest output that is read.
const MAX_OUTPUT: usize = 4 << 20;
/// Length of a reason at most.
const MAX_WHY: usize = 300;

/// The two programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// `drbdsetup`.
    pub drbdsetup: PathBuf,
    /// `drbdadm`.
    pub drbdadm: PathBuf,
    /// What the kernel module speaks.
    pub dialect: Dialect,
    /// Calls that hang in the kernel.
    pub survivors: Survivors,
}

impl Tools {
    /// Carries out a call.
    pub async fn call(&self, resource: &ResourceName, call: DrbdCall) -> DrbdAnswer {
        let name = resource.as_str();
        if name.starts_with('-') {
            return DrbdAnswer::Failed {
                why: format!("{name} begins with a dash: the tools would take it for an option"),
            };
        }
        match call {
            DrbdCall::Adjust => self.change(&self.drbdadm, &["adjust", name], ADJUST).await,
            DrbdCall::AdjustLinks => {
                // Only the drbdadm for DRBD 9 has it.
                let args = ["adjust", "--skip-disk", name];
                let args = if self.dialect == Dialect::Drbd9 { &args[..] } else { &["adjust", name] };
                self.change(&self.drbdadm, args, ADJUST).await
            }
            DrbdCall::Connect { peer } => {
                self.change(&self.drbdsetup, &["connect", name, &peer.to_string()], CONNECT).await
            }
            DrbdCall::SecondaryForce => self.change(&self.drbdsetup, &["secondary", "--force", name], FORCE).await,
            DrbdCall::LowerDevices => match self.ask(&self.drbdadm, &["sh-ll-dev", name], ASK).await {
                Ok(text) => lower_devices(&text, ASK, is_block_device).await,
                Err(why) => failed(why),
            },
            DrbdCall::Options => self.options(name).await,
        }
    }

    /// What drbdadm tells a handler and no event does. What cannot be found out in time is left out: a handler that starts late is worse,
    /// because DRBD waits for it. `own_name` is this node's.
    pub async fn for_handler(&self, about: &AskDrbd, own_name: &str) -> Vec<(String, String)> {
        let name = about.resource.as_str();
        if name.starts_with('-') {
            return Vec::new();
        }
        let find_out = async {
            let mut found = Vec::new();
            let mut tell = |name: String, value: String| found.push((name, value));
            let options = self.read_options(name).await.ok();
            if let Some(id) = options.as_ref().and_then(|options| options.node_id) {
                tell("DRBD_MY_NODE_ID".to_owned(), id.to_string());
                tell(format!("DRBD_NODE_ID_{id}"), own_name.to_owned());
            }
            if self.dialect == Dialect::Drbd84 {
                if let Some(peer) = options.and_then(|options| options.connections.into_iter().next()?.name) {
                    tell("DRBD_PEER".to_owned(), peer.clone());
                    tell("DRBD_PEERS".to_owned(), peer);
                }
                let of = about.volume.map_or_else(|| name.to_owned(), |volume| format!("{name}/{volume}"));
                if let Ok(text) = self.ask(&self.drbdadm, &["sh-ll-dev", &of], FOR_HANDLER).await {
                    tell("DRBD_LL_DISK".to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" "));
                }
            }
            found
        };
        tokio::time::timeout(FOR_HANDLER, find_out).await.unwrap_or_default()
    }

    async fn options(&self, name: &str) -> DrbdAnswer {
        self.read_options(name).await.map_or_else(failed, |options| DrbdAnswer::Options(Box::new(options)))
    }

    async fn read_options(&self, name: &str) -> Result<DrbdOptions, String> {
        let (args, parse): (&[&str], fn(&str, &str) -> _) = match self.dialect {
            Dialect::Drbd9 => (&["show", "--show-defaults", "--json", name], options::from_json),
            Dialect::Drbd84 => (&["show", name], options::from_text84),
        };
        let text = self.ask(&self.drbdsetup, args, ASK).await?;
        let mut options = parse(&text, name).ok_or_else(|| format!("drbdsetup show printed nothing about {name}"))?;
        if self.dialect == Dialect::Drbd84 {
            // Of all resources: what is dumped of one does not have what is common.
            let text = self.ask(&self.drbdadm, &["dump-xml"], ASK).await?;
            let uname = rustix::system::uname();
            config84::add(&mut options, &text, name, &uname.nodename().to_string_lossy())?;
        }
        Ok(options)
    }
}

fn failed(why: String) -> DrbdAnswer {
    DrbdAnswer::Failed { why }
}

impl Tools {
    /// Runs a program that changes something; what it prints on standard output is nobody's business.
    async fn change(&self, program: &Path, args: &[&str], deadline: Duration) -> DrbdAnswer {
        match self.once(program, args, command::change(program, args, deadline)).await {
            Ok(_) => DrbdAnswer::Done,
            Err(why) => failed(why),
        }
    }

    /// Runs a program; its standard output, or why there is none.
    async fn ask(&self, program: &Path, args: &[&str], deadline: Duration) -> Result<String, String> {
        self.once(program, args, run(program, args, deadline, MAX_OUTPUT)).await
    }

    /// Runs a call, unless the last one hangs in the kernel and is still there: each would leave one more behind.
    async fn once(
        &self,
        program: &Path,
        args: &[&str],
        call: impl Future<Output = Result<Output, CommandError>>,
    ) -> Result<String, String> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("{name} {}", args.join(" "));
        if let Some(pid) = self.survivors.of(&what) {
            return Err(format!(
                "{what} was run before, hangs in the kernel and cannot be killed (process {pid}): it is not run again before that has ended"
            ));
        }
        match call.await {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(why(&output)),
            Err(error) => {
                let text = crate::chain::chain(&error).to_string();
                if let CommandError::Hangs { child, .. } = error {
                    self.survivors.keep(what, *child);
                }
                Err(text)
            }
        }
    }
}

/// What a program said when it failed: its first lines that say something, its last one, and how it ended.
fn why(output: &Output) -> String {
    let said: Vec<&str> =
        output.stderr.lines().chain(output.stdout.lines()).map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut text = match said.as_slice() {
        [] => "it said nothing".to_owned(),
        [first, second, .., last] if said.len() > 3 => {
            format!("{}; ...; {}", cut(&format!("{first} {second}")), cut(last))
        }
        few => cut(&few.join(" ")),
    };
    match output.status.code() {
        Some(code) => text.push_str(&format!(" (exit code {code})")),
        None => text.push_str(" (ended by a signal)"),
    }
    // The code 10 of drbdadm is about its files as often as about DRBD, and its words say which.
    let by_code = || refusal::of_exit_code(output.status.code().filter(|code| *code != 10)?);
    if let Some(meaning) = refusal::of_lines(said.iter().copied()).or_else(by_code) {
        text.push_str(&format!(": {meaning}"));
    }
    text
}

/// Not too long, and without control characters.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_WHY).collect()
}

/// Paths one below the other; `none` = diskless on purpose. In threads, and not for longer than `limit`: a path may lead through a file
/// system that hangs. One that does keeps no other resource's from being looked at.
async fn lower_devices(text: &str, limit: Duration, is_ready: fn(&Path) -> bool) -> DrbdAnswer {
    let mut devices = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "none" {
            devices.push(LowerDevice { path: None, ready: true });
            continue;
        }
        let path = PathBuf::from(line);
        let look = move || is_ready(&path);
        let Some(ready) = thread::run(Path::new(line), 1, limit, look).await else {
            return failed(format!("looking at {} has not ended within {} s", cut(line), limit.as_secs()));
        };
        devices.push(LowerDevice { path: Some(line.to_owned()), ready });
    }
    DrbdAnswer::LowerDevices(devices)
}

fn is_block_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device())
}

/// Lets the journal reach the disk, because this node may go down hard soon. In the background: a log disk that hangs holds nothing up. One
/// at a time for all resources, which usually lose quorum together: what is asked for meanwhile is one more time.
#[derive(Clone, Debug)]
pub struct JournalSync {
    journalctl: PathBuf,
    deadline: Duration,
    wanted: Arc<AtomicU8>,
}

/// Nothing runs.
const IDLE: u8 = 0;
/// One runs.
const RUNS: u8 = 1;
/// One runs, and not all that was logged may be in it.
const AGAIN: u8 = 2;

impl Default for JournalSync {
    fn default() -> Self {
        Self::new(Path::new("journalctl"), JOURNAL)
    }
}

impl JournalSync {
    /// One that calls this program twice, and gives each call this time.
    pub fn new(journalctl: &Path, deadline: Duration) -> Self {
        Self { journalctl: journalctl.to_owned(), deadline, wanted: Arc::default() }
    }

    /// Asks for it. Needs a tokio runtime.
    pub fn ask(&self) {
        if self.wanted.fetch_max(AGAIN, Ordering::AcqRel) != IDLE {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move { this.run().await });
    }

    async fn run(&self) {
        loop {
            self.wanted.store(RUNS, Ordering::Release);
            for verb in ["--flush", "--sync"] {
                // Whether it worked does not matter for what comes next.
                let _ = command::change(&self.journalctl, &[verb], self.deadline).await;
            }
            if self.wanted.compare_exchange(RUNS, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use reactor_core::ids::Volume;

    /// Tools that are this script.
    fn tools(name: &str, script: &str, dialect: Dialect) -> (Tools, PathBuf) {
        let folder = std::env::temp_dir().join(format!("storage-reactor-tools-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let program = folder.join("tool");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        (Tools { drbdsetup: program.clone(), drbdadm: program, dialect, survivors: Survivors::default() }, folder)
    }

    async fn call(name: &str, script: &str, call: DrbdCall) -> DrbdAnswer {
        let (tools, folder) = tools(name, script, Dialect::Drbd9);
        let answer = tools.call(&ResourceName::new("r0"), call).await;
        std::fs::remove_dir_all(folder).expect("removed");
        answer
    }

    #[tokio::test]
    async fn each_call_has_its_arguments() {
        let script = |args: &str| format!("test \"$*\" = '{args}'");
        assert_eq!(call("adjust", &script("adjust r0"), DrbdCall::Adjust).await, DrbdAnswer::Done);
        let links = script("adjust --skip-disk r0");
        assert_eq!(call("links", &links, DrbdCall::AdjustLinks).await, DrbdAnswer::Done);
        let (eight, folder) = tools("links84", &script("adjust r0"), Dialect::Drbd84);
        assert_eq!(eight.call(&ResourceName::new("r0"), DrbdCall::AdjustLinks).await, DrbdAnswer::Done);
        std::fs::remove_dir_all(folder).expect("removed");
        let connect = script("connect r0 2");
        assert_eq!(call("connect", &connect, DrbdCall::Connect { peer: 2 }).await, DrbdAnswer::Done);
        assert_eq!(call("force", &script("secondary --force r0"), DrbdCall::SecondaryForce).await, DrbdAnswer::Done);
        let json = script("show --show-defaults --json r0")
            + " && echo '[{\"resource\":\"r0\",\"options\":{\"quorum\":\"majority\"}}]'";
        let DrbdAnswer::Options(options) = call("options", &json, DrbdCall::Options).await else {
            panic!("no options")
        };
        assert_eq!(options.quorum.as_deref(), Some("majority"));
    }

    #[tokio::test]
    async fn the_handler_of_drbd_84_is_read_from_its_configuration() {
        let script = "case \"$*\" in 'show r0') printf 'resource r0 {\\n _remote_host {\\n }\\n}\\n' ;;\n\
            dump-xml) echo '<config><common><section name=\"handlers\"><option name=\"fence-peer\" value=\"/fence\"/>\
            </section></common><resource name=\"r0\"/></config>' ;; *) exit 1 ;; esac";
        let (tools, folder) = tools("options84", script, Dialect::Drbd84);
        let answer = tools.call(&ResourceName::new("r0"), DrbdCall::Options).await;
        std::fs::remove_dir_all(folder).expect("removed");
        let DrbdAnswer::Options(options) = answer else { panic!("{answer:?}") };
        assert_eq!(options.fence_peer.as_deref(), Some("/fence"));
    }

    #[tokio::test]
    async fn a_handler_is_told_what_only_the_tools_know() {
        let told = async |name: &str, script: &str, dialect, volume| {
            let (tools, folder) = tools(name, script, dialect);
            let about = AskDrbd { resource: ResourceName::new("r0"), volume };
            let told = tools.for_handler(&about, "n1").await;
            std::fs::remove_dir_all(folder).expect("removed");
            told.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let nine = "test \"$1 $4\" = 'show r0' && echo '[{\"resource\":\"r0\",\"_this_host\":{\"node-id\":3}}]'";
        let both = ["DRBD_MY_NODE_ID=3", "DRBD_NODE_ID_3=n1"];
        assert_eq!(told("handler9", nine, Dialect::Drbd9, None).await, both);
        let eight = "case \"$*\" in 'show r0') printf 'resource r0 {\\n _remote_host {\\n }\\n}\\n' ;;\n\
            dump-xml) echo \"<config><resource name=\\\"r0\\\"><host name=\\\"$(uname -n)\\\"/><host name=\\\"n2\\\"/></resource></config>\" ;;\n\
            'sh-ll-dev r0') echo /dev/a; echo /dev/b ;; 'sh-ll-dev r0/1') echo /dev/b ;; *) exit 1 ;; esac";
        let all = ["DRBD_PEER=n2", "DRBD_PEERS=n2", "DRBD_LL_DISK=/dev/a /dev/b"];
        assert_eq!(told("handler84", eight, Dialect::Drbd84, None).await, all);
        let one = ["DRBD_PEER=n2", "DRBD_PEERS=n2", "DRBD_LL_DISK=/dev/b"];
        assert_eq!(told("handler84v", eight, Dialect::Drbd84, Some(Volume(1))).await, one);
        assert_eq!(told("handlerno", "exit 1", Dialect::Drbd9, None).await, [""; 0]);
    }

    /// The look was taken on the loop: one device on a file system that hangs stopped all.
    #[tokio::test]
    async fn a_lower_device_that_hangs_is_named_and_keeps_no_other_from_being_looked_at() {
        let is_ready = |path: &Path| {
            if path.ends_with("hangs") {
                // A FIFO that nobody writes to, in place of the file system.
                return std::fs::read(path).is_ok();
            }
            true
        };
        let folder = std::env::temp_dir().join(format!("storage-reactor-lower-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let hangs = folder.join("hangs");
        rustix::fs::mknodat(rustix::fs::CWD, &hangs, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a FIFO");
        let text = hangs.display().to_string();
        let answer = lower_devices(&text, Duration::from_millis(20), is_ready).await;
        assert!(matches!(&answer, DrbdAnswer::Failed { why } if why.contains(&text)), "{answer:?}");
        let other = lower_devices("none\n/dev/other", Duration::from_secs(300), is_ready).await;
        assert!(matches!(&other, DrbdAnswer::LowerDevices(devices) if devices.iter().all(|one| one.ready)));
        drop(std::fs::OpenOptions::new().write(true).open(&hangs).expect("it is read"));
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn lower_devices_are_looked_at() {
        let answer = call("lower", "echo none; echo /dev/null; echo /nowhere", DrbdCall::LowerDevices).await;
        let device = |path: Option<&str>, ready| LowerDevice { path: path.map(str::to_owned), ready };
        assert_eq!(
            answer,
            DrbdAnswer::LowerDevices(vec![
                device(None, true),
                device(Some("/dev/null"), false),
                device(Some("/nowhere"), false)
            ])
        );
    }

    #[tokio::test]
    async fn a_failure_says_what_the_tool_said() {
        let answer = call("fails", "echo >&2; echo \"no resources defined!\" >&2; exit 3", DrbdCall::Adjust).await;
        assert_eq!(answer, failed("no resources defined! (exit code 3)".to_owned()));
        let (tools, folder) = tools("missing", "", Dialect::Drbd9);
        std::fs::remove_dir_all(folder).expect("removed");
        let DrbdAnswer::Failed { why } = tools.call(&ResourceName::new("r0"), DrbdCall::Adjust).await else {
            panic!("it ran")
        };
        assert!(why.contains("can't start"), "{why}");
    }

    #[tokio::test]
    async fn what_a_tool_said_is_its_first_lines_and_its_last_one() {
        let said = |text: &str| format!("printf '{text}' >&2; exit 10");
        let why = |text: &str| DrbdAnswer::Failed { why: format!("{text} (exit code 10)") };
        let two = "drbd.d/other.res:12: Parse error: disk expected,\\n\\tbut got dsk (TK 281)\\n";
        let whole = "drbd.d/other.res:12: Parse error: disk expected, but got dsk (TK 281)";
        assert_eq!(call("two", &said(two), DrbdCall::Adjust).await, why(whole));
        assert_eq!(call("many", &said("a\\nb\\nc\\nd\\n"), DrbdCall::Adjust).await, why("a b; ...; d"));
    }

    /// Each exit code of drbdsetup, with and without the number that says more.
    #[tokio::test]
    async fn what_a_tool_that_failed_means_is_said_by_its_number_or_its_exit_code() {
        let rows = [
            ("-2", "State change failed", 17, "no good data can be reached"),
            ("-4", "State change failed", 16, "there is no disk on this node"),
            ("-16", "State change failed", 5, "the disk is worse than outdated already"),
            ("-12", "State change failed", 11, "somebody has the device open"),
            ("-19", "State change failed", 11, "another node changed something at the same moment"),
            ("-10", "State change failed", 11, "a peer refused it"),
            ("-1", "State change failed", 11, "another node is Primary"),
            ("102", "Failure", 10, "the own address and port are in use"),
            ("119", "Failure", 10, "there is no metadata of DRBD on the disk"),
        ];
        for (at, (number, head, code, means)) in rows.into_iter().enumerate() {
            let script = format!("echo 'r0: {head}: ({number}) in its own words' >&2; exit {code}");
            let answer = call(&format!("number-{at}"), &script, DrbdCall::Adjust).await;
            let DrbdAnswer::Failed { why } = &answer else { panic!("{answer:?}") };
            let begin = format!("r0: {head}: ({number}) in its own words (exit code {code}): {means}");
            assert!(why.starts_with(&begin), "{why}");
        }
        let rows = [
            (5, "the disk was worse than outdated already"),
            (11, "DRBD refused the change of state"),
            (16, "there is no disk on this node"),
            (17, "no good data can be reached"),
            (20, "DRBD's kernel part was not reached"),
        ];
        for (code, means) in rows {
            let answer = call(&format!("code-{code}"), &format!("exit {code}"), DrbdCall::SecondaryForce).await;
            let DrbdAnswer::Failed { why } = &answer else { panic!("{answer:?}") };
            assert!(why.starts_with(&format!("it said nothing (exit code {code}): {means}")), "{why}");
        }
        // What it means that drbdadm does not know is not made up.
        let unknown = DrbdAnswer::Failed { why: "it said nothing (exit code 3)".to_owned() };
        assert_eq!(call("code-3", "exit 3", DrbdCall::Adjust).await, unknown);
    }

    /// Another agent kept a command that had ended, and looked at its old exit code until its time was over.
    #[tokio::test]
    async fn each_try_is_a_process_of_its_own_and_has_an_end_of_its_own() {
        // Refused twice because another node changed something at the same moment, then not.
        let script = r#"n=$(cat "$0.tries" 2>/dev/null || echo 0); echo $((n + 1)) > "$0.tries"; test $n -ge 2 && exit 0
            echo 'r0: State change failed: (-19) Concurrent state changes detected and aborted' >&2; exit 11"#;
        let (tools, folder) = tools("tries", script, Dialect::Drbd9);
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(tools.call(&ResourceName::new("r0"), DrbdCall::Adjust).await);
        }
        let tries = std::fs::read_to_string(folder.join("tool.tries")).expect("it ran");
        std::fs::remove_dir_all(folder).expect("removed");
        assert_eq!(tries.trim(), "3");
        let passes =
            |answer: &DrbdAnswer| matches!(answer, DrbdAnswer::Failed { why } if why.contains("that passes by itself"));
        assert!(answers[..2].iter().all(passes), "{answers:?}");
        assert_eq!(answers[2], DrbdAnswer::Done);
    }

    const ALL_CALLS: [DrbdCall; 6] = [
        DrbdCall::Adjust,
        DrbdCall::AdjustLinks,
        DrbdCall::Connect { peer: 1 },
        DrbdCall::LowerDevices,
        DrbdCall::Options,
        DrbdCall::SecondaryForce,
    ];

    /// `up` of what another one is just bringing up ends in "minor exists already", and after `down` the disk is in use for a while. Who promotes is systemd.
    #[tokio::test]
    async fn no_call_of_ours_is_up_or_down_or_primary() {
        for call in ALL_CALLS {
            // A call that is new has to have its word here.
            let word = match call {
                DrbdCall::Adjust | DrbdCall::AdjustLinks => "adjust",
                DrbdCall::Connect { .. } => "connect",
                DrbdCall::LowerDevices => "sh-ll-dev",
                DrbdCall::Options => "show",
                DrbdCall::SecondaryForce => "secondary",
            };
            for dialect in [Dialect::Drbd9, Dialect::Drbd84] {
                let script = r#"echo "$1" >> "$0.words""#;
                let (tools, folder) = tools(&format!("words-{}-{dialect:?}", call.as_str()), script, dialect);
                tools.call(&ResourceName::new("r0"), call).await;
                let words = std::fs::read_to_string(folder.join("tool.words")).expect("it ran");
                std::fs::remove_dir_all(folder).expect("removed");
                let all: Vec<&str> = words.lines().filter(|other| *other != "dump-xml").collect();
                assert_eq!(all, [word], "{call:?}");
            }
        }
    }

    #[tokio::test]
    async fn tools_that_are_not_installed_are_an_answer_to_each_call() {
        let (tools, folder) = tools("none", "", Dialect::Drbd9);
        std::fs::remove_dir_all(folder).expect("removed");
        for call in ALL_CALLS {
            let answer = tools.call(&ResourceName::new("r0"), call).await;
            let DrbdAnswer::Failed { why } = &answer else { panic!("{call:?}: {answer:?}") };
            assert!(why.contains("can't start"), "{call:?}: {why}");
        }
    }

    /// As an adjust of many volumes that warns of each: it was ended after 4 KiB, wherever it was.
    #[tokio::test]
    async fn an_adjust_that_warns_much_is_not_ended_halfway() {
        let script =
            "i=0; while test $i -lt 2000; do echo \"volume $i: warning\" >&2 || exit 9; i=$((i+1)); done; exit 0";
        assert_eq!(call("warns", script, DrbdCall::Adjust).await, DrbdAnswer::Done);
        let script = "head -c 5000000 /dev/zero || exit 9; exit 0";
        assert_eq!(call("prints", script, DrbdCall::Adjust).await, DrbdAnswer::Done);
    }

    #[tokio::test]
    async fn a_thousand_resources_that_lose_quorum_sync_the_journal_one_after_the_other() {
        // The first call waits until all have asked.
        let script = "cd $(dirname $0); echo $1 >> calls; until test -e go; do sleep 0.01; done";
        let (tools, folder) = tools("journal", script, Dialect::Drbd9);
        let journal = JournalSync::new(&tools.drbdadm, Duration::from_secs(300));
        let calls = || std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
        journal.ask();
        while calls().is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 1..1000 {
            journal.ask();
            tokio::task::yield_now().await;
        }
        assert_eq!(calls(), "--flush\n");
        std::fs::write(folder.join("go"), "").expect("a file");
        while journal.wanted.load(Ordering::Acquire) != IDLE {
            tokio::task::yield_now().await;
        }
        assert_eq!(calls(), "--flush\n--sync\n--flush\n--sync\n", "once more for what was logged meanwhile");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    /// Ten tries of an adjust that hangs in the kernel left ten processes that nothing ends.
    #[tokio::test]
    async fn a_call_that_hangs_in_the_kernel_is_there_once_and_shown() {
        let (tools, folder) = tools("survivor", "exit 0", Dialect::Drbd9);
        // Stands for one that cannot be killed.
        let hangs = command::command(Path::new("/bin/sleep"), ["600"]).spawn().expect("it starts");
        let pid = hangs.id().expect("it runs");
        tools.survivors.keep("tool adjust r0".to_owned(), hangs);
        let adjust = async |name: &str| tools.call(&ResourceName::new(name), DrbdCall::Adjust).await;
        let DrbdAnswer::Failed { why } = adjust("r0").await else { panic!("a second one was started") };
        assert!(why.contains("hangs in the kernel") && why.contains(&format!("process {pid}")), "{why}");
        assert_eq!(adjust("r1").await, DrbdAnswer::Done, "others go on");
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
        while tools.survivors.of("tool adjust r0").is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(adjust("r0").await, DrbdAnswer::Done);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn a_name_is_never_an_option() {
        let (tools, folder) = tools("dash", "exit 0", Dialect::Drbd9);
        let answer = tools.call(&ResourceName::new("--help"), DrbdCall::Adjust).await;
        std::fs::remove_dir_all(folder).expect("removed");
        assert!(matches!(answer, DrbdAnswer::Failed { .. }));
    }
}
