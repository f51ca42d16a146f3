//! The status for people.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anstyle::Style;

use super::gather::{Item, Promoted, Runs, SnippetReport, Unit};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::drbd::PrimaryOn;
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, harmless};

/// How long an address may take to answer.
const TRY: Duration = Duration::from_secs(2);

pub(super) fn print(snippets: &[SnippetReport], is_verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for snippet in snippets {
        writeln!(out, "{NAME}{}:{END}", harmless(&snippet.path))?;
        if let Some(differs) = &snippet.differs {
            warn(differs, out)?;
        }
        let off = if snippet.is_enabled { "" } else { " (disabled)" };
        for item in &snippet.items {
            match item {
                Item::Promoter(promoted) => promoter(promoted, snippet.is_enabled, out)?,
                Item::Prometheus { address, runs } => {
                    listener(&format!("Prometheus{off}"), "listening on", address, runs, is_verbose, out)?;
                }
                Item::Agentx { address, runs } => {
                    listener(&format!("AgentX{off}"), "connecting to main agent at", address, runs, is_verbose, out)?;
                }
                Item::Umh { runs } => plain(&format!("UMH{off}"), runs, out)?,
                Item::Debugger { runs } => plain(&format!("Debugger{off}"), runs, out)?,
                Item::Events { runs } => plain(&format!("Events{off}"), runs, out)?,
                Item::Notify { name, runs } => plain(&format!("Notify{off} {}", harmless(name)), runs, out)?,
                Item::NoPrimary { runs } => plain(&format!("No-Primary{off}"), runs, out)?,
            }
        }
    }
    Ok(())
}

fn warn(text: impl Display, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{WARN}WARN:{END} {}", harmless(&text.to_string()))
}

fn promoter(promoted: &Promoted, is_enabled: bool, out: &mut dyn Write) -> io::Result<()> {
    let resource = harmless(&promoted.resource);
    let off = if is_enabled { "" } else { " (disabled)" };
    let place = match &promoted.primary_on {
        PrimaryOn::ThisNode => "this node".to_owned(),
        PrimaryOn::Node(name) => format!("node '{}'", harmless(name)),
        PrimaryOn::Unknown => "<unknown>".to_owned(),
    };
    writeln!(out, "Promoter: Resource {NAME}{resource}{END}{off} currently active on {place}")?;
    if !is_enabled {
        return match promoted.primary_on {
            PrimaryOn::ThisNode => warn("disabled but Primary", out),
            _ => Ok(()),
        };
    }
    match &promoted.runs {
        Runs::Yes => {}
        Runs::No(why) | Runs::Failed(why) => warn(format!("it is not promoted here: {why}"), out)?,
        Runs::Unknown(why) => warn(format!("whether it is promoted here is not known: {why}"), out)?,
    }
    if !promoted.has_units {
        return writeln!(out, "{DIM}run by a shell: no units{END}");
    }
    unit(&promoted.target, "", out)?;
    for (index, dependency) in promoted.dependencies.iter().enumerate() {
        let branch = if index + 1 == promoted.dependencies.len() { "└─ " } else { "├─ " };
        unit(dependency, branch, out)?;
    }
    Ok(())
}

fn unit(unit: &Unit, branch: &str, out: &mut dyn Write) -> io::Result<()> {
    let (symbol, style) = symbol(&unit.state.active);
    let freezer = match unit.state.freezer.as_str() {
        "running" | "unknown" | "" => String::new(),
        other => format!(" ({})", harmless(other)),
    };
    writeln!(out, "{style}{symbol}{END} {branch}{}{freezer}", harmless(&unit.name))
}

fn symbol(active: &str) -> (&'static str, Style) {
    match active {
        "active" => ("●", GOOD),
        "reloading" | "refreshing" => ("↻", GOOD),
        "inactive" | "maintenance" => ("○", Style::new()),
        "failed" => ("×", BAD),
        "activating" | "deactivating" => ("●", Style::new()),
        _ => ("?", WARN),
    }
}

fn listener(
    name: &str,
    does: &str,
    address: &str,
    runs: &Runs,
    is_verbose: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let address = harmless(address);
    match runs {
        Runs::Yes => writeln!(out, "{name}: {does} {address}")?,
        Runs::No(why) | Runs::Failed(why) => writeln!(out, "{name}: not {does} {address}: {}", harmless(why))?,
        Runs::Unknown(why) => writeln!(out, "{name}: unknown whether {does} {address}: {}", harmless(why))?,
    }
    if is_verbose {
        let result = match try_address(&address) {
            Ok(()) => "success".to_owned(),
            Err(error) => format!("failed ({error})"),
        };
        let how = if socket_path(&address).is_some() { "Unix" } else { "TCP" };
        writeln!(out, "{how} Connect ({address}): {result}")?;
    }
    Ok(())
}

fn plain(name: &str, runs: &Runs, out: &mut dyn Write) -> io::Result<()> {
    match runs {
        Runs::Yes => writeln!(out, "{name}: started"),
        Runs::No(why) | Runs::Failed(why) => writeln!(out, "{name}: not started: {}", harmless(why)),
        Runs::Unknown(why) => writeln!(out, "{name}: unknown whether started: {}", harmless(why)),
    }
}

/// The path of a unix socket, if an address is one.
fn socket_path(address: &str) -> Option<&str> {
    address.strip_prefix("unix:").or_else(|| address.starts_with('/').then_some(address))
}

/// Whether somebody listens there. `:PORT` is all addresses, ours among them.
fn try_address(address: &str) -> io::Result<()> {
    if let Some(path) = socket_path(address) {
        // A socket of this machine answers at once, or its queue is full and it counts as hanging.
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
        return Ok(rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?);
    }
    let named = if address.starts_with(':') { format!("localhost{address}") } else { address.to_owned() };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in named.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TRY) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use expect_test::expect;

    use super::*;
    use crate::systemctl::UnitState;

    fn shown(name: &str, active: &str, freezer: &str, branch: &str) -> String {
        let state = UnitState { active: active.to_owned(), freezer: freezer.to_owned() };
        let mut out = Vec::new();
        unit(&Unit { name: name.to_owned(), state }, branch, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn each_state_has_its_symbol() {
        let lines = [
            shown("drbd-services@r0.target", "active", "running", ""),
            shown("a.service", "active", "frozen", "├─ "),
            shown("b.service", "reloading", "", "├─ "),
            shown("c.service", "inactive", "unknown", "├─ "),
            shown("d.service", "failed", "running", "├─ "),
            shown("e.service", "activating", "running", "├─ "),
            shown("f.service", "unknown", "unknown", "└─ "),
        ];
        expect![[r"
            ● drbd-services@r0.target
            ● ├─ a.service (frozen)
            ↻ ├─ b.service
            ○ ├─ c.service
            × ├─ d.service
            ● ├─ e.service
            ? └─ f.service
        "]]
        .assert_eq(&lines.concat());
    }

    #[test]
    fn an_address_is_tried() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        try_address(&address.to_string()).unwrap();
        drop(server);
        assert!(try_address(&address.to_string()).is_err());
        assert!(try_address("no port").is_err());
        let path = std::env::temp_dir().join(format!("reactorctl-try-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let server = std::os::unix::net::UnixListener::bind(&path).unwrap();
        try_address(&format!("unix:{}", path.display())).unwrap();
        try_address(&path.display().to_string()).unwrap();
        drop(server);
        std::fs::remove_file(&path).unwrap();
        assert!(try_address(&path.display().to_string()).is_err());
    }
}
