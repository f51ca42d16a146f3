//! The daemon: follows DRBD and reacts. `daemon/` has the loop, this file what comes before it.

mod args;
mod clock;
mod daemon;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reactor_config::LoadOptions;
use reactor_core::settings::Mode;
use reactor_sys::notify::Notifier;

use args::Args;
use daemon::Daemon;

/// How long what still runs in threads of its own may take when the daemon ends.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// How long log files may take to be opened at the start.
const LOG_FILES: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let (args, mode) = Args::read();
    match run(&args, mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the log is set up, and for systemctl status: the last word goes to standard error.
            #[expect(clippy::print_stderr, reason = "there may be no log yet")]
            {
                eprintln!("reactord: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, mode: Mode) -> Result<()> {
    let on_terminal =
        std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
    if on_terminal && !args.allow_tty {
        bail!(
            "this is a terminal, and the daemon would end with it: start the service (systemctl start storage-reactor), \
             or use --allow-tty to try it here"
        );
    }
    // Before anything has a thread: what we start must not speak to systemd in our name.
    let notify = Notifier::from_env();
    let options = LoadOptions::new(args.config(mode), mode);
    let loaded = reactor_config::load(&options, None);
    if !loaded.usable {
        bail!("can't start with this configuration\n{}", daemon::render(&loaded));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start")?;
    let (log, mut opening) = reactor_sys::log::init(&loaded.settings.log).context("can't log as configured")?;
    let opened = runtime.block_on(async { tokio::time::timeout(LOG_FILES, &mut opening).await });
    // A disk that hangs is not waited for: lines go to standard error or the journal until it answers.
    let opening = opened.is_err().then_some(opening);
    daemon::log_problems(&opened.map(Result::unwrap_or_default).unwrap_or_default());
    if opening.is_some() {
        tracing::error!("log files can't be opened yet: their disk does not answer");
    }
    for finding in &loaded.findings {
        daemon::log_finding(finding);
    }
    log_panics();
    let result = runtime.block_on(Daemon::run(args, options, loaded, (log, opening), notify));
    // A reload that waits for a disk that hangs must not keep us from ending.
    runtime.shutdown_timeout(LEFT_BEHIND);
    result
}

/// A panic goes to the log with its place; the core says which plugin it was.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(place = panic.location().map(ToString::to_string), "panic: {panic}");
    }));
}
