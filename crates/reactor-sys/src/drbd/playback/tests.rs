//! Recordings of real clusters, and broken ones.

use reactor_core::core::Core;
use reactor_core::input::Dialect;

use super::*;
use crate::chain::chain;

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings")
}

/// A folder that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reactor-playback-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn all_text_recordings() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dialect in ["drbd9", "drbd84"] {
        for scenario in std::fs::read_dir(recordings().join(dialect)).unwrap() {
            for file in std::fs::read_dir(scenario.unwrap().path()).into_iter().flatten() {
                let file = file.unwrap().path();
                let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
                if extension.starts_with("events2") && extension != "chunks" {
                    found.push(file);
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_recording_plays_whole_and_in_order() {
    let files = all_text_recordings();
    assert!(files.len() > 50, "{} recordings", files.len());
    for file in files {
        let recording = Recording::open(&file).unwrap();
        let mut text = String::new();
        let mut last = Mono::ZERO;
        let mut ended = true;
        for (index, (at, input)) in recording.steps().enumerate() {
            assert!(at >= last, "{}: time goes back", file.display());
            last = at;
            match input {
                Input::Source(SourceId::Drbd, SourceEvent::Started { dialect, .. }) => {
                    assert_eq!(index, 0);
                    let eight = file.to_string_lossy().contains("/drbd84/");
                    assert_eq!(*dialect == Some(Dialect::Drbd84), eight, "{}", file.display());
                }
                Input::Lines(SourceId::Drbd, lines) => {
                    text.push_str(lines);
                    ended = false;
                }
                Input::BurstEnd(SourceId::Drbd) => {
                    assert!(!ended, "{}: a burst ends twice", file.display());
                    ended = true;
                }
                other => panic!("{}: {other:?}", file.display()),
            }
        }
        assert!(ended, "{}: the last burst does not end", file.display());
        assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{}", file.display());
    }
}

/// The snapshot at the end, without what differs between polled and unpolled streams.
fn final_states(recording: &Recording) -> Vec<String> {
    let mut core = Core::new();
    let mut actions = Vec::new();
    for (at, input) in recording.steps() {
        core.step(at, input, &mut actions);
    }
    let mut out = Vec::new();
    for resource in core.node().resources() {
        out.push(format!("{} {} {:?}", resource.name, resource.state.role, resource.state.promotion_score));
        out.extend(resource.devices.iter().map(|(volume, device)| format!("{volume} {}", device.state.disk)));
    }
    out
}

#[test]
fn times_from_reads_and_from_stamps_lead_to_the_same_end() {
    for scenario in ["r2-failover-node-killed", "h2-freeze-force-secondary", "k1-down-up-rename-path", "j-split-brain"]
    {
        let node = |extension: &str| {
            Recording::open(&recordings().join("drbd9").join(scenario).join(format!("n2.{extension}")))
        };
        let (reads, stamps) = (node("events2").unwrap(), node("events2-ts").unwrap());
        assert_eq!(final_states(&reads), final_states(&stamps), "{scenario}");
        assert!(!final_states(&reads).is_empty(), "{scenario}");
        assert!(reads.length() > Duration::from_secs(1), "{scenario}");
    }
}

#[test]
fn several_files_are_restarts_of_the_source() {
    let segments: Vec<PathBuf> = ["n1.seg1.events2", "n1.seg2.events2", "n1.seg3.events2", "n1.events2"]
        .iter()
        .map(|name| recordings().join("drbd9/o-events2-restart").join(name))
        .collect();
    let recording = Recording::open_all(&segments).unwrap();
    let sources: Vec<String> = recording
        .steps()
        .filter_map(|(at, input)| match input {
            Input::Source(SourceId::Drbd, SourceEvent::Started { .. }) => Some(format!("{at} started")),
            Input::Source(SourceId::Drbd, SourceEvent::Ended { .. }) => Some("ended".to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(
        sources,
        ["0.000s started", "ended", "3.935s started", "ended", "8.462s started", "ended", "21.652s started"],
        "the pauses are the real ones"
    );
    let wall = recording.wall(Mono::ZERO).unwrap();
    assert!(wall.to_string().starts_with("2026-11-21T"), "{wall}");
}

#[test]
fn plain_text_is_cut_where_the_order_begins_anew() {
    let scratch = Scratch::new("plain");
    let file = scratch.file(
        "plain",
        "exists resource name:a role:Secondary may_promote:no\nexists device name:a volume:0\nexists -\n\
         change resource name:a role:Primary\nchange connection name:a peer-node-id:1\nchange device name:a volume:0\n\
         change device name:a volume:1\nchange resource name:a role:Secondary\nchange resource name:b role:Primary\n\
         call helper name:b helper:x\nresponse helper name:b helper:x status:0\n",
    );
    let recording = Recording::open(&file).unwrap();
    let bursts: Vec<usize> = recording
        .steps()
        .filter_map(
            |(_, input)| if let Input::Lines(SourceId::Drbd, text) = input { Some(text.lines().count()) } else { None },
        )
        .collect();
    assert_eq!(bursts, [3, 4, 1, 1, 1, 1]);
    assert!(recording.steps().all(|(at, _)| at == Mono::ZERO));
}

#[test]
fn broken_recordings_say_where() {
    let scratch = Scratch::new("broken");
    let error = |path: &Path| chain(&Recording::open(path).unwrap_err()).to_string();
    let text = "exists -\nchange resource name:a\n";
    let file = scratch.file("a.events2", text);
    for (chunks, expected) in [
        ("1.0 0 9\n1.1 10 22\n", ":2: this read begins at byte 10, but the one before ended at 9"),
        ("1.0 0 900\n", ":1: this read ends at byte 900, but the recording has only 32"),
        ("1.0 0 9\n\n-4 9 2\n", ":3: \"-4\" is no time"),
        ("1.0 0\n", ":1: expected \"TIME OFFSET LENGTH\""),
        ("1.0 0 x\n", ":1: \"x\" is no number of bytes"),
    ] {
        let beside = scratch.file("a.events2.chunks", chunks);
        let error = error(&file);
        assert!(error.starts_with(&format!("{}{expected}", beside.display())), "{error}");
    }
    assert!(error(&scratch.0.join("a.events2.chunks")).contains("without .chunks"));
    assert!(error(&scratch.0.join("none")).contains("No such file"));
    assert!(error(&scratch.0).contains("no recording in"));
    assert!(error(Path::new("/dev/zero")).contains("not a regular file"));
    let newer = scratch.file("b", "{\"v\":7,\"all\":\"new\"}\n");
    assert!(error(&newer).contains("b:1: this recording has version 7 of the format"), "{}", error(&newer));
    let other = scratch.file("c", "{\"some\":\"json\"}\n");
    assert!(error(&other).contains("c:1: not a line of a recording"), "{}", error(&other));
}

#[tokio::test(start_paused = true)]
async fn a_player_keeps_the_pace_and_ends() {
    let play = async |speed: &str| {
        let recording = Recording::open(&recordings().join("drbd9/r2-failover-node-killed/n2.events2")).unwrap();
        let length = recording.length();
        let steps = recording.steps().count();
        let (tx, mut rx) = mpsc::channel(4);
        let start = Instant::now();
        let _player = Player::spawn(recording, speed.parse().unwrap(), tx);
        let mut inputs = Vec::new();
        while let Some(input) = rx.recv().await {
            inputs.push(input);
        }
        assert_eq!(inputs.len(), steps + 1);
        assert!(matches!(inputs.last(), Some(Input::Source(SourceId::Drbd, SourceEvent::Ended { .. }))));
        start.elapsed().as_secs_f64() / length.as_secs_f64()
    };
    assert!((play("1").await - 1.0).abs() < 0.01);
    assert!((play("10").await - 0.1).abs() < 0.01);
    assert!(play("max").await < 0.001);
}

#[test]
fn speeds() {
    assert_eq!("2.5".parse(), Ok(Speed::Times(2.5)));
    assert_eq!("max".parse(), Ok(Speed::Max));
    for bad in ["0", "-1", "inf", "NaN", "", "fast"] {
        assert!(bad.parse::<Speed>().is_err(), "{bad}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_and_no_times_make_playback_panic(
        lines in proptest::collection::vec("(9999-12-31T23:59:59Z |1970-01-01T00:00:00.5Z |[0-9]{1,4}-)?(exists|change|rename|call) (resource|path|-)( name:[ab])?\u{fc}?\n?", 0..20),
        chunks in proptest::option::of("(([0-9]{1,12}(.[0-9]{0,10})?|18446744073709551615) ([0-9]{1,2}|POLL|99999999999999999999) ?([0-9]{1,2})?\n){0,6}"),
    ) {
        let mut texts = TextRecording::default();
        let chunks = chunks.map(|text| (PathBuf::from("x.chunks"), text));
        let all = lines.concat();
        for _ in 0..2 {
            let _ = texts.read(Path::new("x"), all.as_bytes(), chunks.clone());
        }
        proptest::prop_assert!(texts.steps.is_sorted_by_key(|(at, _)| *at));
    }
}
