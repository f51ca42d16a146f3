//! What `reactorctl` wants of the configuration: whether it is good, what it says, and where the daemon lives.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reactor_config::{Finding, LoadOptions, Severity, Style, Trust};
use reactor_core::plugin::Host;
use reactor_core::settings::{DaemonSettings, EventsSettings, PluginEntry, PluginSettings, Settings};
use reactor_storage::catalogue::UserRule;

use crate::cli::Place;
use crate::exit::Failure;
use crate::parts::upstream::Machine;
use crate::system;

/// The outcome of a check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many files were read.
    pub(crate) files: u64,
    /// How many findings are errors.
    pub(crate) errors: u64,
    /// How many findings are warnings.
    pub(crate) warnings: u64,
    /// The findings with the lines of the files and carets, in colour.
    pub(crate) report: String,
    /// The same as values.
    pub(crate) findings: Vec<reactor_api::doctor::Finding>,
}

fn options(place: &Place, trust: Trust) -> LoadOptions {
    LoadOptions { trust, ..LoadOptions::new(&place.config, place.mode) }
}

/// Checks `files`, or the whole configuration of `place` if there are none. With `system`, this machine is asked for what they need; its block devices
/// are described below that folder.
pub(crate) fn check(place: &Place, files: &[PathBuf], system: Option<&Path>) -> Checked {
    let mut checked = reactor_config::check(files, &options(place, Trust::Enforce));
    let questions = checked.needs.questions();
    if let Some(root) = system.filter(|_| !questions.is_empty()) {
        // Snippets do not say where the bus and drbdadm are; the main file does.
        let facts = system::ask_at(&questions, &loaded(place).daemon, root);
        checked.findings.extend(checked.needs.check(&facts));
        checked.findings.extend(checked.needs.remarks(&facts));
    }
    let number = |severity| checked.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    Checked {
        files: checked.files.len() as u64,
        errors: number(Severity::Error),
        warnings: number(Severity::Warning),
        report: report(&checked.findings),
        findings: checked.findings.iter().map(diagnosed).collect(),
    }
}

/// The resources that the promoters of these settings have.
pub(crate) fn promoted(settings: &Settings) -> Vec<String> {
    let promoters = settings.plugins.iter().filter_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => Some(promoter),
        _ => None,
    });
    promoters.flat_map(|promoter| promoter.resources.keys()).map(ToString::to_string).collect()
}

/// What runs here, or would, and what is wrong with it on this machine; also secrets that others can read. For `doctor`.
pub(crate) fn diagnose(place: &Place) -> (Settings, Vec<reactor_api::doctor::Finding>) {
    let mut loaded = reactor_config::load(&options(place, Trust::Enforce), None);
    let questions = loaded.needs.questions();
    if !questions.is_empty() {
        loaded.findings.extend(loaded.needs.check(&system::ask(&questions, &loaded.settings.daemon)));
    }
    let mut findings: Vec<_> = loaded.findings.iter().map(diagnosed).collect();
    for file in &loaded.files {
        let mode = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.permissions().mode());
        let is_read = || std::fs::read_to_string(&file.path).is_ok_and(|text| reactor_config::has_secret(&text));
        if mode & 0o004 != 0 && is_read() {
            findings.push(reactor_api::doctor::Finding {
                severity: reactor_api::doctor::Severity::Warning,
                check: "config".to_owned(),
                place: file.path.display().to_string(),
                what: "there is a secret in it, and everybody on this machine can read it".to_owned(),
                why: "whoever can log in as any user has the password".to_owned(),
                mend: vec![format!("chmod 640 {}", file.path.display())],
                ..reactor_api::doctor::Finding::default()
            });
        }
    }
    (loaded.settings, findings)
}

/// A finding about a file, as the doctor says it.
fn diagnosed(finding: &Finding) -> reactor_api::doctor::Finding {
    use reactor_api::doctor::Severity as Bad;
    let file = finding.file.display();
    reactor_api::doctor::Finding {
        severity: match finding.severity {
            Severity::Error => Bad::Error,
            Severity::Warning => Bad::Warning,
            Severity::Note => Bad::Note,
        },
        check: "config".to_owned(),
        place: if finding.line() == 0 {
            file.to_string()
        } else {
            format!("{file}:{}:{}", finding.line(), finding.column())
        },
        what: finding.message.clone(),
        mend: finding.hint.iter().cloned().collect(),
        ..reactor_api::doctor::Finding::default()
    }
}

/// The plugins of `files`, or of the whole configuration of `place` if there are none, and what their generated files depend on. Files with
/// errors count as far as a daemon would take them. Without `system`, this machine is taken to be as drbd-utils and DRBD 9 make it.
pub(crate) fn against_upstream(place: &Place, files: &[PathBuf], system: bool) -> (Vec<PluginEntry>, Machine) {
    let whole = loaded(place);
    let secrets = whole.daemon.runtime_dir.join("secrets");
    let drbdsetup = whole.daemon.drbdsetup.display().to_string();
    let (shim, dialect) = if system { system::shim_and_dialect(&whole.daemon) } else { Default::default() };
    let plugins = match files {
        [] => whole.plugins,
        files => files.iter().flat_map(|file| load(file, place).plugins).collect(),
    };
    (plugins, Machine { host: Host { shim, drbdsetup, secrets, ..Host::default() }, dialect })
}

/// The settings that a daemon would run with, and what is wrong with them. Here they only say what would be done, so it does not
/// matter who could have written them.
pub(crate) fn settings(place: &Place) -> Result<(Settings, String), Failure> {
    let loaded = reactor_config::load(&options(place, Trust::Warn), None);
    let report = report(&loaded.findings);
    if loaded.usable {
        Ok((loaded.settings, report))
    } else {
        Err(Failure::Configuration { path: place.config.clone(), report })
    }
}

/// The settings that a daemon would run with, of files that nobody else could have written: what they say is done on other nodes.
pub(crate) fn trusted(place: &Place) -> Result<Settings, Failure> {
    let loaded = reactor_config::load(&options(place, Trust::Enforce), None);
    let report = report(&loaded.findings);
    if loaded.usable { Ok(loaded.settings) } else { Err(Failure::Configuration { path: place.config.clone(), report }) }
}

/// The runtime folder of the daemon. With a configuration that cannot be read it is the default: the daemon that runs may still
/// be reached there, and `status` then says what is wrong with the file.
pub(crate) fn runtime_dir(place: &Place) -> PathBuf {
    loaded(place).daemon.runtime_dir
}

/// The state folder of the daemon.
pub(crate) fn state_dir(place: &Place) -> PathBuf {
    loaded(place).daemon.state_dir
}

/// What the main file says of the daemon and of this machine.
pub(crate) fn daemon(place: &Place) -> DaemonSettings {
    loaded(place).daemon
}

/// The settings of the main file, or the defaults if it can't be read.
fn loaded(place: &Place) -> Settings {
    load(&place.config, place)
}

/// The user's rules for storage events, of all tables. Without a configuration that can be read there are none.
pub(crate) fn event_rules(place: &Place) -> Vec<UserRule> {
    let plugins = loaded(place).plugins;
    let events = plugins.iter().filter_map(|entry| match &entry.settings {
        PluginSettings::Events(events) => Some(events),
        _ => None,
    });
    // Each was compiled when it was read: none is lost here.
    events.flat_map(EventsSettings::user_rules).filter_map(|rule| rule.clone().compile().ok()).collect()
}

fn load(file: &Path, place: &Place) -> Settings {
    let options = LoadOptions { trust: Trust::Warn, ..LoadOptions::new(file, place.mode) };
    reactor_config::load(&options, None).settings
}

fn report(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.render(Style::Coloured)).collect::<Vec<_>>().join("\n\n")
}
