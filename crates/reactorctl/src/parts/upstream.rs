//! `reactorctl check --against-upstream`: the unit files that the daemon would generate, beside those of drbd-reactor.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use reactor_core::action::{FilePlace, GeneratedFile};
use reactor_core::ids::ResourceName;
use reactor_core::input::Dialect;
use reactor_core::plugin::Host;
use reactor_core::plugin::promoter::units::upstream::{upstream, without_secrets};
use reactor_core::plugin::promoter::units::{Exiting, generate};
use reactor_core::settings::promoter::{PromotedResource, Runner};
use reactor_core::settings::{PluginEntry, PluginSettings};
use similar::{ChangeTag, TextDiff};

use crate::exit::Failure;
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, harmless};

/// Lines of context around a difference.
const CONTEXT: usize = 2;

/// What the files depend on besides the settings.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) dialect: Dialect,
}

/// How many files there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    resources: u64,
    same: u64,
    differ: u64,
    /// Only one of the two generates them.
    single: u64,
}

/// Prints the comparison for every resource that a promoter runs with systemd.
pub(crate) fn print(plugins: &[PluginEntry], machine: &Machine, out: &mut dyn Write) -> Result<(), Failure> {
    let mut tally = Tally::default();
    for entry in plugins {
        let PluginSettings::Promoter(promoter) = &entry.settings else { continue };
        let systemd = promoter.resources.iter().filter(|(_, settings)| settings.runner == Runner::Systemd);
        for (name, settings) in systemd {
            tally.resources += 1;
            let place = format!("{}:{}", entry.file.display(), entry.line);
            writeln!(out, "{NAME}{}{END} {DIM}{}{END}", harmless(name.as_str()), harmless(&place))?;
            resource(name, settings, machine, &mut tally, out)?;
            writeln!(out)?;
        }
    }
    if tally.resources == 0 {
        writeln!(out, "no promoter has a resource with the systemd runner: nothing is generated\n")?;
        return Ok(());
    }
    let files = count(tally.same + tally.differ + tally.single, "generated file");
    let resources = count(tally.resources, "resource");
    let Tally { same, differ, single, .. } = tally;
    writeln!(
        out,
        "against drbd-reactor: {resources}, {files}: {same} same, {differ} different, {single} in one of the two only\n"
    )?;
    Ok(())
}

fn resource(
    name: &ResourceName,
    settings: &PromotedResource,
    machine: &Machine,
    tally: &mut Tally,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // What we print may end in a ticket.
    let settings = without_secrets(settings);
    let ours = by_path(generate(name, &settings, machine.dialect, &machine.host, Exiting::No), &machine.host.secrets);
    let theirs = by_path(upstream(name, &settings), &machine.host.secrets);
    let paths: BTreeSet<&PathBuf> = ours.keys().chain(theirs.keys()).collect();
    for path in paths {
        let shown = path.display().to_string();
        let shown = harmless(&shown);
        match (ours.get(path), theirs.get(path)) {
            (Some(ours), Some(theirs)) if ours == theirs => {
                tally.same += 1;
                writeln!(out, "  {GOOD}same{END}  {shown}")?;
            }
            (Some(ours), Some(theirs)) => {
                tally.differ += 1;
                writeln!(out, "  {WARN}diff{END}  {shown}")?;
                diff(theirs, ours, out)?;
            }
            (ours, theirs) => {
                tally.single += 1;
                let who = if ours.is_some() { "storage-reactor" } else { "drbd-reactor" };
                writeln!(out, "  {WARN}only{END}  {shown} {DIM}({who}){END}")?;
                let text = |text: Option<&String>| text.cloned().unwrap_or_default();
                diff(&text(theirs), &text(ours), out)?;
            }
        }
    }
    Ok(())
}

/// Unit files by their path below the unit folder, secret ones by their whole path.
fn by_path(files: Vec<GeneratedFile>, secrets: &Path) -> BTreeMap<PathBuf, String> {
    let path = |place| match place {
        FilePlace::Unit(path) => path,
        FilePlace::Secret(path) => secrets.join(path),
    };
    files.into_iter().map(|file| (path(file.place), file.content)).collect()
}

/// A unified diff, indented: `-` is drbd-reactor's line, `+` is ours.
fn diff(theirs: &str, ours: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let diff = TextDiff::from_lines(theirs, ours);
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        writeln!(out, "        {DIM}{}{END}", hunk.header())?;
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches('\n');
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', BAD),
                ChangeTag::Insert => ('+', GOOD),
                ChangeTag::Equal => (' ', DIM),
            };
            match (sign, line) {
                // No blanks at the end of a line.
                (' ', "") => writeln!(out)?,
                _ => writeln!(out, "        {style}{sign}{}{END}", harmless(line))?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};
    use reactor_core::settings::PromoterSettings;
    use reactor_core::settings::promoter::StartEntry;

    use super::*;

    fn ocf(parameters: &[(&str, &str)]) -> StartEntry {
        StartEntry::Ocf {
            vendor: "heartbeat".to_owned(),
            agent: "iSCSITarget".to_owned(),
            instance: "target".to_owned(),
            parameters: parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn check(start: Vec<StartEntry>, machine: &Machine, expected: &Expect) {
        let start = start.into_iter().map(Into::into).collect();
        let settings = PromotedResource { start, ..PromotedResource::default() };
        let resources = [(ResourceName::new("r0"), settings)].into();
        let plugins = [PluginEntry {
            file: PathBuf::from("/etc/storage-reactor.d/r0.toml"),
            line: 1,
            settings: PluginSettings::Promoter(PromoterSettings { resources }),
        }];
        let mut out = Vec::new();
        print(&plugins, machine, &mut out).expect("memory takes everything");
        let plain = anstream::adapter::strip_bytes(&out).into_vec();
        expected.assert_eq(&String::from_utf8(plain).expect("text"));
    }

    fn machine() -> Machine {
        let secrets = Path::new("/run/storage-reactor/secrets").to_owned();
        Machine { host: Host { secrets, ..Host::default() }, dialect: Dialect::Drbd9 }
    }

    #[test]
    fn plain_units_are_the_same_but_for_two() {
        let start = ["srv.mount", "app.service"].map(|unit| StartEntry::Unit(unit.to_owned())).to_vec();
        check(
            start,
            &machine(),
            &expect![[r#"
                r0 /etc/storage-reactor.d/r0.toml:1
                  same  app.service.d/reactor.conf
                  same  drbd-promote@r0.service.d/reactor.conf
                  diff  drbd-services@r0.target.d/reactor-50-before.conf
                        @@ -1,4 +1,4 @@
                         # Auto-generated by drbd-reactor, DO NOT EDIT
                         [Unit]
                        -Before=drbd-reactor.service
                        +Before=storage-reactor-services.target

                  same  drbd-services@r0.target.d/reactor.conf
                  only  drbd@r0.service.d/reactor.conf (storage-reactor)
                        @@ -0,0 +1,5 @@
                        +# Auto-generated by drbd-reactor, DO NOT EDIT
                        +# Its ExecStopPost= takes the resource down if this fails: what DRBD has is kept.
                        +[Service]
                        +ExecStart=
                        +ExecStart=/bin/sh -c 'up() { "$$1" events2 --now "$$3" | grep -q "^exists resource "; }; up "$$@" || "$$2" adjust "$$3" || up "$$@"' sh drbdsetup /usr/lib/drbd/scripts/drbd-service-shim.sh %I
                  same  srv.mount.d/reactor-50-mount.conf
                  same  srv.mount.d/reactor.conf

                against drbd-reactor: 1 resource, 7 generated files: 5 same, 1 different, 1 in one of the two only

            "#]],
        );
    }

    #[test]
    fn the_differences_and_no_secret() {
        let mut machine = machine();
        machine.host.shim = "/usr/libexec/drbd/drbd-service-shim.sh".to_owned();
        let parameters =
            [("iqn", "iqn.2026-11.example:a"), ("chap_password", "tell no one"), ("additional_parameters", "a%zb")];
        check(
            vec![ocf(&parameters)],
            &machine,
            &expect![[r#"
                r0 /etc/storage-reactor.d/r0.toml:1
                  only  /run/storage-reactor/secrets/target_r0.env (storage-reactor)
                        @@ -0,0 +1,2 @@
                        +# Auto-generated by drbd-reactor, DO NOT EDIT
                        +OCF_RESKEY_chap_password="HIDDEN"
                  diff  drbd-promote@r0.service.d/reactor.conf
                        @@ -2,5 +2,5 @@
                         [Service]
                         ExecStop=
                        -ExecStop=/usr/lib/drbd/scripts/drbd-service-shim.sh secondary-secondary-force %I
                        +ExecStop=/usr/libexec/drbd/drbd-service-shim.sh secondary-secondary-force %I
                         [Unit]

                  diff  drbd-services@r0.target.d/reactor-50-before.conf
                        @@ -1,4 +1,4 @@
                         # Auto-generated by drbd-reactor, DO NOT EDIT
                         [Unit]
                        -Before=drbd-reactor.service
                        +Before=storage-reactor-services.target

                  same  drbd-services@r0.target.d/reactor.conf
                  only  drbd@r0.service.d/reactor.conf (storage-reactor)
                        @@ -0,0 +1,5 @@
                        +# Auto-generated by drbd-reactor, DO NOT EDIT
                        +# Its ExecStopPost= takes the resource down if this fails: what DRBD has is kept.
                        +[Service]
                        +ExecStart=
                        +ExecStart=/bin/sh -c 'up() { "$$1" events2 --now "$$3" | grep -q "^exists resource "; }; up "$$@" || "$$2" adjust "$$3" || up "$$@"' sh drbdsetup /usr/libexec/drbd/drbd-service-shim.sh %I
                  diff  ocf.rs@target_r0.service.d/reactor.conf
                        @@ -10,5 +10,5 @@
                         [Service]
                         Environment= OCF_RESKEY_iqn=iqn.2026\x2d11.example:a
                        -Environment= OCF_RESKEY_chap_password=HIDDEN
                        -Environment= OCF_RESKEY_additional_parameters=a\x25zb
                        +Environment= OCF_RESKEY_additional_parameters=a%%zb
                         Environment= AGENT=/usr/lib/ocf/resource.d/heartbeat/iSCSITarget
                        +EnvironmentFile=/run/storage-reactor/secrets/target_r0.env

                against drbd-reactor: 1 resource, 6 generated files: 1 same, 3 different, 2 in one of the two only

            "#]],
        );
    }

    #[test]
    fn drbd_84_has_a_file_more() {
        let machine = Machine { dialect: Dialect::Drbd84, ..machine() };
        check(
            Vec::new(),
            &machine,
            &expect![[r#"
                r0 /etc/storage-reactor.d/r0.toml:1
                  only  drbd-promote@r0.service.d/reactor-84.conf (storage-reactor)
                        @@ -0,0 +1,6 @@
                        +# Auto-generated by drbd-reactor, DO NOT EDIT
                        +[Service]
                        +ExecCondition=
                        +ExecCondition=/usr/sbin/drbdadm primary %I
                        +ExecStop=
                        +ExecStop=/usr/sbin/drbdadm secondary %I
                  only  drbd-promote@r0.service.d/reactor.conf (drbd-reactor)
                        @@ -1,6 +0,0 @@
                        -# Auto-generated by drbd-reactor, DO NOT EDIT
                        -[Service]
                        -ExecStop=
                        -ExecStop=/usr/lib/drbd/scripts/drbd-service-shim.sh secondary-secondary-force %I
                        -[Unit]
                        -
                  diff  drbd-services@r0.target.d/reactor-50-before.conf
                        @@ -1,4 +1,4 @@
                         # Auto-generated by drbd-reactor, DO NOT EDIT
                         [Unit]
                        -Before=drbd-reactor.service
                        +Before=storage-reactor-services.target

                  only  drbd@r0.service.d/reactor.conf (storage-reactor)
                        @@ -0,0 +1,5 @@
                        +# Auto-generated by drbd-reactor, DO NOT EDIT
                        +# Its ExecStopPost= takes the resource down if this fails: what DRBD has is kept.
                        +[Service]
                        +ExecStart=
                        +ExecStart=/bin/sh -c 'up() { "$$1" events2 --now "$$3" | grep -q "^exists resource "; }; up "$$@" || "$$2" adjust "$$3" || up "$$@"' sh drbdsetup /usr/lib/drbd/scripts/drbd-service-shim.sh %I

                against drbd-reactor: 1 resource, 4 generated files: 0 same, 1 different, 3 in one of the two only

            "#]],
        );
    }

    #[test]
    fn without_promoters_there_is_nothing() {
        let mut out = Vec::new();
        print(&[], &machine(), &mut out).expect("memory takes everything");
        assert!(String::from_utf8_lossy(&out).starts_with("no promoter has a resource"));
    }
}
