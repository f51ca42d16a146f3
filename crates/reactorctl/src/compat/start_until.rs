//! `start-until`: the first services of a disabled snippet, by hand.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reactor_core::ids::ResourceName;
use reactor_core::plugin::Host;
use reactor_core::plugin::promoter::units::{self, Exiting, generate};
use reactor_core::settings::promoter::{Entry, PromotedResource, Runner, StartEntry};
use reactor_sys::units::UnitFiles;

use super::{Act, Reach};
use crate::cli::Place;
use crate::drbd::Known;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::program;
use crate::snippets::{Snippets, Wanted, content, list};
use crate::system;
use crate::systemctl::Systemctl;

/// How long an adjust may take, as for the daemon.
const ADJUST_LIMIT: Duration = Duration::from_secs(20);
/// The files that we wrote, apart from those of the daemon.
const MANIFEST: &str = "start-until.json";

/// Promote what a disabled snippet promotes, and start the first of its services
#[derive(Clone, Debug, Args)]
pub struct StartUntilArgs {
    /// The last to start: its place in `start`, counted from 1 (0 = promote only), or the entry
    #[arg(value_name = "UNTIL")]
    pub until: String,

    /// The snippet, which is disabled on all nodes
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

impl Act for StartUntilArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let mut selection = snippets.select(std::slice::from_ref(&self.file), Wanted::Disabled)?;
        for warning in &selection.warnings {
            io.warn(warning)?;
        }
        if let Some(error) = selection.errors.pop() {
            return Err(error.into());
        }
        let Some(snippet) = selection.snippets.pop() else { return Ok(Exit::NoSuchSnippet) };
        let content = content::read(&snippet, snippets.mode);
        if let Some(error) = content.error {
            return Err(error.into());
        }
        let path = snippet.path.display().to_string();
        let refused = |why: String| Failure::Refused { what: path.clone(), why: vec![why] };
        let mut promoted = content::promoted(&content.plugins);
        let (Some((name, resource)), None) = (promoted.next(), promoted.next()) else {
            return Err(refused("it does not have exactly one resource".to_owned()));
        };
        if resource.runner == Runner::Shell {
            return Err(refused(format!("{name} is run by a shell, and has no units")));
        }
        let entries = until(&self.until, resource).map_err(refused)?;
        let known = Known::ask(place, &snippets.daemon)?;
        if known.is_promoted(name.as_str()) {
            return Err(refused(format!("the daemon still promotes {name}: reactorctl reload")));
        }
        prepare(&snippets, name, resource, io)?;
        start(&snippets, name, entries, io)?;
        let target = units::target(name);
        writeln!(io.out, "INFO: To resume normal operation, execute:")?;
        writeln!(io.out, "- systemctl start {target} # on this node")?;
        writeln!(io.out, "- drbd-reactorctl enable {path} # on all cluster nodes")?;
        Ok(Exit::Ok)
    }

    fn reach(&self) -> Reach {
        Reach::ThisNode
    }
}

/// The entries that are to be started.
fn until<'r>(wanted: &str, resource: &'r PromotedResource) -> Result<&'r [Entry], String> {
    let count = resource.start.len();
    if let Ok(number) = wanted.parse::<usize>() {
        return resource.start.get(..number).ok_or_else(|| format!("`start` has {count} entries, not {number}"));
    }
    let is_wanted = |entry: &Entry| match &entry.what {
        StartEntry::Unit(unit) => unit == wanted,
        // As it is written, as far as that is without doubt.
        StartEntry::Ocf { vendor, agent, instance, .. } => {
            instance == wanted
                || wanted.split_whitespace().take(2).eq([format!("ocf:{vendor}:{agent}").as_str(), instance])
        }
        StartEntry::Command { instance, .. } => instance == wanted,
    };
    match resource.start.iter().position(is_wanted) {
        Some(at) => Ok(&resource.start[..=at]),
        None => {
            let entries: Vec<String> = resource.start.iter().map(list::written).collect();
            Err(format!("`start` has no entry {wanted}: it has {}", entries.join(", ")))
        }
    }
}

/// DRBD has the resource as it is configured, and systemd the files that the daemon would generate.
fn prepare(
    snippets: &Snippets,
    name: &ResourceName,
    resource: &PromotedResource,
    io: &mut Io<'_>,
) -> Result<(), Failure> {
    let daemon = &snippets.daemon;
    if resource.adjust_resource_on_start {
        // What DRBD has already can be promoted also if this fails, for example by a mistake in the file of another resource.
        match program::output(&daemon.drbdadm, &["adjust", name.as_str()], Some(ADJUST_LIMIT)) {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                io.warn(&format!("drbdadm adjust {name}: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
            }
            Err(error) => io.warn(&Failure::from(error).chain())?,
        }
    }
    let (shim, dialect) = system::shim_and_dialect(daemon);
    let secrets = daemon.runtime_dir.join("secrets");
    let drbdsetup = daemon.drbdsetup.display().to_string();
    let host = Host { shim, drbdsetup, secrets: secrets.clone(), ..Host::default() };
    let files = generate(name, resource, dialect, &host, Exiting::No);
    let store = UnitFiles::new(&daemon.unit_dir, &secrets, &daemon.runtime_dir.join(MANIFEST));
    store.write(name, &files).map_err(|why| Failure::Program { what: "the unit files".to_owned(), why })?;
    Ok(Systemctl::of(daemon).run(&["daemon-reload"])?)
}

/// One after the other; the first that fails ends it.
fn start(snippets: &Snippets, name: &ResourceName, entries: &[Entry], io: &mut Io<'_>) -> Result<(), Failure> {
    let systemctl = Systemctl::of(&snippets.daemon);
    let units = entries.iter().map(|entry| units::unit_of(name, &entry.what));
    for unit in std::iter::once(units::promote(name)).chain(units) {
        let unit = unit.to_string();
        io.say(&format!("Starting '{unit}'..."))?;
        systemctl.run(&["start", &unit])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use reactor_core::settings::Mode;

    use super::*;

    #[test]
    fn an_entry_is_named_or_counted() {
        let text = "[[promoter]]\n[promoter.resources.r0]\nstart = [\"a.mount\", \"ocf:heartbeat:IPaddr2 ip ip=10.0.0.1\", \"b.service\"]\n";
        let (plugins, _) = reactor_config::parse_snippet(Path::new("/s/a.toml"), text, Mode::Native);
        let (_, resource) = content::promoted(&plugins).next().unwrap();
        let count = |wanted: &str| until(wanted, resource).map(<[_]>::len);
        assert_eq!([count("0"), count("2"), count("a.mount"), count("b.service")], [Ok(0), Ok(2), Ok(1), Ok(3)]);
        assert_eq!([count("ip"), count("ocf:heartbeat:IPaddr2 ip ip=10.0.0.1")], [Ok(2), Ok(2)]);
        assert_eq!(count("4").unwrap_err(), "`start` has 3 entries, not 4");
        assert_eq!(
            count("x").unwrap_err(),
            "`start` has no entry x: it has a.mount, ocf:heartbeat:IPaddr2 ip ..., b.service"
        );
    }
}
