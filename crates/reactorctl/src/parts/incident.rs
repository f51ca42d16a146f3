//! Storage incidents for people.

use std::io::{self, Write};

use jiff::Timestamp;
use reactor_api::client::Client;
use reactor_api::incident::{WireIncident, WireTrouble};
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Incidents;
use reactor_core::api;
use reactor_sys::history::read::Reader;

use crate::cli::Place;
use crate::commands::history::{is_away, say};
use crate::config;
use crate::daemon;
use crate::exit::Failure;
use crate::style::{BAD, DIM, END, NAME, WARN, harmless};
use crate::text::duration;

/// The open incidents of a daemon. A daemon that is older than the question has none.
pub(crate) fn open(client: &mut Client) -> Vec<WireIncident> {
    let reply = daemon::ask_over(client, &Incidents::default());
    reply.map(|reply| known(reply.incidents)).unwrap_or_default()
}

/// Those that a question of this finds: the daemon's answer, or what is in its file if none answers.
pub(crate) fn ask(place: &Place, verb: &Incidents) -> Result<Vec<WireIncident>, Failure> {
    match daemon::connect_if_it_answers(place, verb.limit().client())
        .and_then(|mut client| daemon::ask_over(&mut client, verb))
    {
        Err(failure) if place.node.is_none() && is_away(&failure) && (verb.id.is_some() || verb.past.is_some()) => {
            let dir = config::state_dir(place);
            let read = Reader::open(&dir).and_then(|reader| {
                let incidents = match (&verb.id, verb.past) {
                    (Some(id), _) => reader.incidents_named(&id.0)?,
                    (None, last) => reader.incidents(0, last.map_or(0, |last| last.0))?,
                };
                Ok((incidents, reader))
            });
            let (incidents, reader) = read.map_err(|source| Failure::History { source })?;
            let (why, file) = (failure.chain(), reader.path().display().to_string());
            say(&format!("{why}; this is read from {file}, as it was when the daemon wrote it"))?;
            Ok(incidents.iter().map(api::incident::incident).collect())
        }
        answer => Ok(known(answer?.incidents)),
    }
}

/// What we understand of them.
pub(crate) fn known(incidents: Vec<reactor_api::parameter::Described<WireIncident>>) -> Vec<WireIncident> {
    incidents.into_iter().filter_map(|incident| incident.known().ok()).collect()
}

/// The one of this id, or of the only id that begins so.
pub(crate) fn of(incidents: Vec<WireIncident>, id: &str) -> Result<WireIncident, Failure> {
    let mut found = incidents.into_iter().filter(|incident| !id.is_empty() && incident.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(incident), None) => Ok(incident),
        (Some(_), Some(_)) => {
            Err(Failure::NoSuchIncident { why: format!("more than one incident has an id that begins with {id}") })
        }
        (None, _) => Err(Failure::NoSuchIncident {
            why: format!("no storage incident has the id {id}: reactorctl incidents --all lists them"),
        }),
    }
}

/// One line: how bad, since when, what, and what it touches.
pub(crate) fn line(incident: &WireIncident, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let WireIncident { id, severity, title, .. } = incident;
    let state = match (&incident.end, incident.lasts) {
        (Some(end), _) => format!("over: {end}"),
        (None, true) => "lasts".to_owned(),
        (None, false) => "has passed".to_owned(),
    };
    let touches = touches(incident);
    let touches = if touches.is_empty() { String::new() } else { format!("; touches {touches}") };
    writeln!(
        out,
        "{DIM}{id}{END}  {}{severity:<8}{END}  {}  {NAME}{}{END}; {}{}",
        color(severity),
        ago(&incident.opened, now),
        harmless(title),
        harmless(&state),
        harmless(&touches),
    )
}

/// The whole of it.
pub(crate) fn story(incident: &WireIncident, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    line(incident, now, out)?;
    for trouble in &incident.events {
        let WireTrouble { kind, severity, count, message, .. } = trouble;
        let times = if *count > 1 { format!(", {count} times until {}", trouble.last) } else { String::new() };
        let state = match (trouble.state.as_str(), &trouble.cleared_by) {
            ("lasts", _) => ", and it lasts".to_owned(),
            ("cleared", Some(by)) => format!(", over: {by}"),
            _ => String::new(),
        };
        let cause =
            if trouble.is_cause && incident.events.len() > 1 { " (the cause, as far as can be told)" } else { "" };
        let of = |device: &WireTrouble| match &device.device_id {
            Some(id) if *id != device.device => format!("{} ({id})", device.device),
            _ => device.device.clone(),
        };
        writeln!(
            out,
            "  {}  {}{severity:<8}{END}  {kind} on {}{times}{state}{cause}",
            trouble.first,
            color(severity),
            harmless(&of(trouble)),
        )?;
        for said in message.lines() {
            writeln!(out, "      {DIM}{}{END}", harmless(said))?;
        }
    }
    if incident.more > 0 {
        writeln!(out, "  and {} more types and devices, which are not kept", incident.more)?;
    }
    for (word, text) in [("means", &incident.means), ("to do", &incident.todo)] {
        if let Some(text) = text {
            writeln!(out, "  {word}: {}", harmless(text))?;
        }
    }
    if let (Some(ended), Some(end)) = (&incident.ended, &incident.end) {
        writeln!(out, "  It was over at {ended}: {}", harmless(end))?;
    } else if incident.lasts {
        writeln!(out, "  It ends when what lasts is put right, or with: reactorctl incident close {}", incident.id)?;
    }
    Ok(())
}

fn touches(incident: &WireIncident) -> String {
    let resources = incident.resources.iter().map(|resource| format!("DRBD {resource}"));
    resources.chain(incident.mounts.iter().cloned()).collect::<Vec<_>>().join(", ")
}

fn color(severity: &str) -> anstyle::Style {
    if matches!(severity, "critical" | "error") { BAD } else { WARN }
}

fn ago(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => format!("{} ago", duration(now.duration_since(then).unsigned_abs())),
        Err(_) => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn sample() -> WireIncident {
        let trouble = |kind: &str, device: &str, state: &str, is_cause| WireTrouble {
            kind: kind.to_owned(),
            severity: "critical".to_owned(),
            device: device.to_owned(),
            device_id: Some(format!("naa.5000{device}")),
            message: format!("what the kernel says of {device}\nin two lines\u{1b}[31m"),
            count: 3,
            first: "2026-11-29T20:00:00Z".to_owned(),
            last: "2026-11-29T20:00:07Z".to_owned(),
            is_cause,
            state: state.to_owned(),
            cleared_by: (state == "cleared").then(|| "FS_MOUNTED".to_owned()),
        };
        WireIncident {
            id: "94f85de8d210ef98".to_owned(),
            severity: "critical".to_owned(),
            title: "SCSI_MEDIUM_ERROR on sda (naa.5000sda), 3 times".to_owned(),
            opened: "2026-11-29T20:00:00Z".to_owned(),
            last: "2026-11-29T20:00:07Z".to_owned(),
            lasts: true,
            ended: None,
            end: None,
            part_of: None,
            resources: vec!["r0".to_owned()],
            mounts: vec!["/srv/r0".to_owned()],
            events: vec![
                trouble("SCSI_MEDIUM_ERROR", "sda", "lasts", true),
                trouble("FS_READ_ONLY", "dm-1", "cleared", false),
            ],
            more: 2,
            means: Some("The disk cannot read or write a sector.".to_owned()),
            todo: Some("Replace the disk.".to_owned()),
        }
    }

    fn plain(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        print(&mut out).expect("it is memory");
        String::from_utf8(out.into_inner()).expect("it is text")
    }

    #[test]
    fn an_incident_is_a_line_and_a_story() {
        let now: Timestamp = "2026-11-29T21:30:00Z".parse().expect("a time");
        expect![[r#"
            94f85de8d210ef98  critical  1 h 30 min ago  SCSI_MEDIUM_ERROR on sda (naa.5000sda), 3 times; lasts; touches DRBD r0, /srv/r0
              2026-11-29T20:00:00Z  critical  SCSI_MEDIUM_ERROR on sda (naa.5000sda), 3 times until 2026-11-29T20:00:07Z, and it lasts (the cause, as far as can be told)
                  what the kernel says of sda
                  in two lines�[31m
              2026-11-29T20:00:00Z  critical  FS_READ_ONLY on dm-1 (naa.5000dm-1), 3 times until 2026-11-29T20:00:07Z, over: FS_MOUNTED
                  what the kernel says of dm-1
                  in two lines�[31m
              and 2 more types and devices, which are not kept
              means: The disk cannot read or write a sector.
              to do: Replace the disk.
              It ends when what lasts is put right, or with: reactorctl incident close 94f85de8d210ef98
        "#]]
        .assert_eq(&plain(|out| story(&sample(), now, out)));
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_if_only_one_has_it() {
        let all = || vec![sample(), WireIncident { id: "94ff".to_owned(), ..sample() }];
        assert_eq!(of(all(), "94f8").expect("one").id, sample().id);
        assert!(of(all(), "94f").is_err_and(|failure| failure.to_string().starts_with("more than one")));
        assert!(of(all(), "a").is_err_and(|failure| failure.to_string().starts_with("no storage incident")));
        assert!(of(all(), "").is_err());
    }
}
