//! What a node costs on which nothing happens, and how long a start takes until somebody is answered.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reactor_sim::daemon::free_port;
use reactor_sim::workload::Shape;

use crate::report::{quantile, sorted, verdict};
use crate::setup::{Setup, prometheus, rules};

/// Resources of the node.
const RESOURCES: u32 = 200;
/// Wake-ups of all threads in a minute.
const TARGET_WAKEUPS: f64 = 1.0;
/// Milliseconds from the start to the first answer of the control socket.
const TARGET_ANSWER_MS: f64 = 3.1;
/// Longest a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let shape = Shape { resources: RESOURCES, volumes: 1, peers: 2 };
    let mut text = format!(
        "\nA node where nothing happens: {RESOURCES} resources, metrics, 20 umh rules\n\n{:<44}{:>12}{:>16}\n",
        "", "measured", "target"
    );
    let mut row = |what: &str, value: f64, target: f64| {
        text += &format!("{what:<44}{value:>12.2}{:>16}\n", format!("<={target}{}", verdict(value, target)));
    };
    row("wake-ups of all threads a minute", wakeups(setup, shape)?, TARGET_WAKEUPS);
    let (mut answers, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..setup.choose(20, 5) {
        let (answer, all) = first_answer(setup, shape)?;
        answers.push(answer);
        whole.push(all);
    }
    let median = |values| quantile(&sorted(values), 0.5);
    row("start to the first answer (control), ms", median(answers), TARGET_ANSWER_MS);
    let whole = median(whole);
    Ok(text + &format!("{:<44}{whole:>12.2}\n", "start to a status with all resources, ms"))
}

/// A thread wakes up when it has slept, and each time that it sleeps is counted by the kernel.
fn wakeups(setup: &Setup, shape: Shape) -> Result<f64> {
    let mut run = setup.start(shape, &(prometheus(free_port()?) + &rules(20)))?;
    run.daemon.must_run()?;
    // Threads that wait for work end after ten seconds without it, and a second after news the daemon looks after itself.
    std::thread::sleep(setup.choose(Duration::from_secs(15), Duration::from_secs(3)));
    let time = setup.choose(Duration::from_secs(60), Duration::from_secs(10));
    let before = run.daemon.sleeps()?;
    std::thread::sleep(time);
    let count = run.daemon.sleeps()?.saturating_sub(before);
    run.daemon.stop()?;
    Ok(count as f64 * 60.0 / time.as_secs_f64())
}

/// Milliseconds to the first answer of all, and to a status that has all resources.
fn first_answer(setup: &Setup, shape: Shape) -> Result<(f64, f64)> {
    let asks = "{\"method\":\"org.varlink.service.GetInfo\"}";
    let status = "{\"method\":\"io.storagereactor.Control.Status\"}";
    let begun = setup.begin(shape, "")?;
    let began = begun.at;
    let socket = begun.daemon.socket();
    let mut stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_micros(100)),
            Err(error) => return Err(error).context("connecting to the control socket"),
        }
    };
    ask(&mut stream, asks)?;
    let first = began.elapsed();
    let last = format!("\"{}\"", reactor_sim::workload::resource_name(shape.resources - 1));
    while !ask(&mut stream, status)?.contains(&last) {
        if began.elapsed() > PATIENCE {
            bail!("the daemon never had all resources");
        }
    }
    let all = began.elapsed();
    begun.stop()?;
    Ok((first.as_secs_f64() * 1e3, all.as_secs_f64() * 1e3))
}

fn ask(stream: &mut UnixStream, what: &str) -> Result<String> {
    stream.write_all(what.as_bytes())?;
    stream.write_all(&[0])?;
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut buffer)? {
            0 => bail!("the daemon closed the connection"),
            count => answer.extend_from_slice(&buffer[..count]),
        }
        if answer.pop_if(|last| *last == 0).is_some() {
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
    }
}
