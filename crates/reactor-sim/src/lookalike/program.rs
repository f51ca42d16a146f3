//! What the look-alike programs do: ask the simulator, print, and end as it says.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::client::{Client, Sender};
use super::control::USAGE;
use super::identity::Identity;
use super::protocol::{Program, Reply, Request};

/// What the look-alikes end with when the simulator is not there: what `drbdsetup` ends with when it cannot talk to the kernel.
const NO_KERNEL: u8 = 20;

/// The `main` of a look-alike.
pub fn run(program: Program) -> ExitCode {
    let name = match program {
        Program::Drbdsetup => "drbdsetup",
        Program::Drbdadm => "drbdadm",
    };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let events = program == Program::Drbdsetup && args.first().is_some_and(|verb| verb == "events2");
    exit(name, if events { events2(&args[1..]) } else { once(program, args) })
}

/// What a program of this name does; `None` if it is none of ours. For a test that stands in for all of them.
pub fn by_name(name: &str) -> Option<ExitCode> {
    match name {
        "drbdsetup" | "sim-drbdsetup" => Some(run(Program::Drbdsetup)),
        "drbdadm" | "sim-drbdadm" => Some(run(Program::Drbdadm)),
        "sim-drbd" => Some(super::simulator::main()),
        "sim-counter" => Some(super::counting::main()),
        "sim-ctl" => Some(control()),
        _ => None,
    }
}

/// The `main` of `sim-ctl`.
pub fn control() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    exit("sim-ctl", order(args))
}

fn order(args: Vec<String>) -> Result<u8> {
    if args.is_empty() || args.iter().any(|arg| arg == "--help" || arg == "-h") {
        write!(std::io::stdout(), "sim-ctl: faults for the simulated cluster\n{USAGE}")?;
        return Ok(u8::from(args.is_empty()));
    }
    match Client::connect(&Identity::find()?.socket)?.ask(&Request::Control { args })? {
        Reply::Done { code, stdout, stderr } => print(code, &stdout, &stderr),
        other => bail!("the simulator answers {other:?}"),
    }
}

/// Ends with a code, or says why there is none.
pub fn exit(name: &str, end: Result<u8>) -> ExitCode {
    match end {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{name}: {error:#}");
            ExitCode::from(NO_KERNEL)
        }
    }
}

/// Prints what a program prints; gives its exit code.
pub fn print(code: i32, stdout: &str, stderr: &str) -> Result<u8> {
    std::io::stdout().write_all(stdout.as_bytes())?;
    std::io::stderr().write_all(stderr.as_bytes())?;
    Ok(u8::try_from(code).unwrap_or(NO_KERNEL))
}

fn once(program: Program, args: Vec<String>) -> Result<u8> {
    let identity = Identity::find()?;
    let request = Request::Run { node: identity.node, program, args };
    match Client::connect(&identity.socket)?.ask(&request)? {
        Reply::Done { code, stdout, stderr } => print(code, &stdout, &stderr),
        other => bail!("the simulator answers {other:?}"),
    }
}

/// `events2`: the dump, then what happens. With `--poll` it ends when its standard input is closed, as the real one does.
fn events2(args: &[String]) -> Result<u8> {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let known = ["--timestamps", "--full", "--poll", "--statistics", "--now"];
    if let Some(unknown) = args.iter().find(|arg| arg.starts_with('-') && !known.contains(&arg.as_str())) {
        return print(20, "", &format!("drbdsetup: unrecognized option '{unknown}'\n"));
    }
    let identity = Identity::find()?;
    let resource = args.iter().find(|arg| !arg.starts_with('-') && *arg != "all").cloned();
    let (now, timestamps) = (has("--now"), has("--timestamps"));
    let mut client = Client::connect(&identity.socket)?;
    client.send(&Request::Events { node: identity.node, resource, now, timestamps })?;
    let (mut receive, sender) = client.split();
    if has("--poll") {
        std::thread::spawn(move || polls(sender));
    }
    let mut out = std::io::stdout().lock();
    loop {
        match receive()? {
            Some(Reply::Text { text }) => {
                // Nobody reads any more: a broken pipe would end the real one too.
                if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                    return Ok(0);
                }
            }
            Some(Reply::Done { code, stdout, stderr }) => {
                drop(out);
                return print(code, &stdout, &stderr);
            }
            Some(other) => bail!("the simulator answers {other:?}"),
            None => bail!("the simulated node has no power any more"),
        }
    }
}

fn polls(mut sender: Sender) {
    let mut bytes = [0; 256];
    loop {
        match std::io::stdin().lock().read(&mut bytes) {
            Ok(0) | Err(_) => std::process::exit(0),
            Ok(count) => {
                let asked = bytes[..count].contains(&b'n');
                if asked && sender.send(&Request::Poll).is_err() {
                    return;
                }
            }
        }
    }
}
