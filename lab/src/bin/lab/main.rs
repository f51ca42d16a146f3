//! The tool of the lab. `lab --help` says what it does, docs/lab.md how to begin.

mod chaos;
mod cli;
mod client;
mod demo;
mod failover;
mod server;
mod shell;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use lab::cluster::rundir::{self, RunDir};
use lab::image::Image;
use lab::switch::PartsPerMillion;

use crate::cli::{Between, Cli, Command, Up};
use crate::client::{ask, say};
use crate::wire::{Fault, PowerOrder, Request};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            let _closed = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("lab: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<client::Code> {
    let backend = cli.backend.as_deref();
    match cli.command {
        Command::Keep => {
            lab::keeper::keep()?;
            Ok(0)
        }
        Command::RunNode { library, program, args } => {
            let library = library.as_deref().map(serde_json::from_str).transpose()?;
            match lab::keeper::run_node(&program, library.as_ref(), &args)? {}
        }
        Command::Serve(up) => {
            server::serve(&cli.cluster, &up, image(backend, &up)?)?;
            Ok(0)
        }
        Command::Image { explain, newest } => {
            let options = options(backend);
            if newest {
                lab::kernel::forget(&options)?;
            }
            let choice = lab::kernel::choose(&options, &mut tell)?;
            let text = if explain { choice.explanation() } else { choice.image.base.display().to_string() };
            say(text.trim_end())?;
            Ok(0)
        }
        Command::Chaos { rounds, seed, first, plan: true, keep } => {
            chaos::plan(&chaos::Wanted { rounds, seed, first, keep })
        }
        Command::Console { node } => client::console(&cli.cluster, &node),
        Command::Clean => {
            for folder in rundir::clean(&RunDir::base())? {
                say(&format!("removed {}", folder.display()))?;
            }
            Ok(0)
        }
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(talk(&cli.cluster, backend, command))
        }
    }
}

/// What the nodes run: as given, or as built before, or built now.
fn image(backend: Option<&str>, up: &Up) -> Result<Image> {
    if let Some(given) = &up.given {
        return serde_json::from_str(given).context("the image that `lab up` has named");
    }
    let mut image = match &up.kernel {
        Some(kernel) => {
            let modules = up.modules.clone().or_else(|| beside(kernel)).with_context(|| {
                format!("{} has no modules at ../lib/uml/modules: name them with --modules", kernel.display())
            })?;
            let (kernel, modules) = (absolute(kernel)?, absolute(&modules)?);
            lab::kernel::image_with(kernel, modules, up.image.as_deref(), &options(backend), &mut tell)?
        }
        None => built(backend)?,
    };
    if let Some(base) = &up.image {
        image.base = absolute(base)?;
    }
    Ok(image)
}

/// Where Debian's package has the modules of its kernel.
fn beside(kernel: &Path) -> Option<PathBuf> {
    let modules = kernel.parent()?.parent()?.join("lib/uml/modules");
    modules.is_dir().then_some(modules)
}

/// The image for the backend of this name, or that of the environment.
fn built(backend: Option<&str>) -> Result<Image> {
    Ok(lab::kernel::image(&options(backend), &mut tell)?)
}

fn options(backend: Option<&str>) -> lab::image::Options {
    let mut options = lab::image::Options::from_env();
    if let Some(backend) = backend {
        options.backend = lab::image::Kind::named(backend);
    }
    options
}

/// Says what takes long.
fn tell(what: &str) {
    let _closed = say(what);
}

/// The name of a cluster that lives as long as one command, unless another one is given.
fn own<'a>(given: &'a str, otherwise: &'a str) -> &'a str {
    if given == cli::CLUSTER { otherwise } else { given }
}

/// The commands that need the cluster's process.
async fn talk(cluster: &str, backend: Option<&str>, command: Command) -> Result<client::Code> {
    let power = |nodes: cli::Nodes, order| Request::Power { nodes: nodes.nodes, order };
    let fault = |between: Between, fault| Request::Fault {
        from: between.a,
        to: Some(between.b),
        one_way: between.one_way,
        fault,
    };
    let request = match command {
        Command::Demo(up) => return demo::demo(cluster, &up, &image(backend, &up)?).await,
        Command::Up(up) => return client::up(cluster, &up, &image(backend, &up)?).await,
        Command::Failover { ping_int, repeat, markdown } => {
            return failover::run(own(cluster, "failover"), &ping_int, repeat, markdown, built(backend)?).await;
        }
        Command::Chaos { rounds, seed, first, keep, .. } => {
            return chaos::run(own(cluster, "chaos"), &chaos::Wanted { rounds, seed, first, keep }, built(backend)?)
                .await;
        }
        Command::Down { force } => return client::down(cluster, force).await,
        Command::Status => Request::Status,
        Command::Exec { node, timeout, command } => {
            Request::Exec { node, command: server::shell_line(&command), within: timeout }
        }
        Command::Shell { node } => Request::Shell { node, terminal: shell::terminal() },
        Command::Push { node, from, to } => Request::Push { node, from: absolute(&from)?, to },
        Command::Pull { node, from, to } => Request::Pull { node, from, to: absolute(&to)? },
        Command::Cut(between) => fault(between, Fault::Cut),
        Command::Isolate { node } => Request::Fault { from: node, to: None, one_way: false, fault: Fault::Cut },
        Command::Heal { a: Some(a), b: Some(b) } => fault(Between { a, b, one_way: false }, Fault::Heal),
        Command::Heal { .. } => Request::HealAll,
        Command::Delay { between, delay, jitter } => fault(between, Fault::Delay { delay, jitter }),
        Command::Loss { between, percent } => {
            let parts_per_million = PartsPerMillion::from_percent(percent).0;
            fault(between, Fault::Loss { parts_per_million })
        }
        Command::Flap { between, down, up } => fault(between, Fault::Flap { down, up }),
        Command::Capture { file } => Request::Capture { file: file.as_deref().map(absolute).transpose()? },
        Command::Kill(nodes) => power(nodes, PowerOrder::Kill),
        Command::Boot(nodes) => power(nodes, PowerOrder::Boot),
        Command::Off(nodes) => power(nodes, PowerOrder::Off),
        Command::Reboot(nodes) => power(nodes, PowerOrder::Reboot),
        Command::Crash(nodes) => power(nodes, PowerOrder::Crash),
        Command::Hang(nodes) => power(nodes, PowerOrder::Hang),
        Command::Resume(nodes) => power(nodes, PowerOrder::Resume),
        Command::Disk { order, node, disk } => Request::Disk { node, disk, order },
        Command::Console { .. }
        | Command::Clean
        | Command::Image { .. }
        | Command::Serve(_)
        | Command::Keep
        | Command::RunNode { .. } => {
            return Ok(0);
        }
    };
    ask(cluster, &request).await
}

/// The cluster's process has a working directory of its own.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}
