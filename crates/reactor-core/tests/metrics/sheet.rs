//! The sheet shows what is, writes only what changed, and leaves those alone who still read what was.

use std::collections::{BTreeMap, BTreeSet};

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceId};
use reactor_core::metrics::{Body, Choice, Enums, Extent, Health, Sheet, Snapshot};

use proptest::prelude::*;

use crate::{EVERYTHING, core, refreshed, text};

fn sheet(enums: Enums) -> Sheet {
    Sheet::new(Choice { enums, extent: Extent::All })
}

fn step(core: &mut Core, lines: &str) {
    core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, lines.to_owned()), &mut Vec::new());
}

/// What was made of a piece is kept by its stamp: no stamp may ever stand for two texts.
#[derive(Default)]
struct Stamps(BTreeMap<u64, Vec<u8>>);

impl Stamps {
    fn check(&mut self, snapshot: Snapshot) {
        let body = Body::new(snapshot, &Health::default());
        let mut met = BTreeSet::new();
        for number in 0..body.pieces() {
            let piece = body.piece(number).unwrap();
            let Some(stamp) = body.stamp(number) else {
                assert!(number == 0 || number + 1 == body.pieces(), "piece {number} has no stamp");
                continue;
            };
            assert!(met.insert(stamp), "two pieces have the stamp {stamp}");
            let before = self.0.entry(stamp).or_insert_with(|| piece.to_vec());
            assert!(*before == **piece, "stamp {stamp}: {}", String::from_utf8_lossy(piece));
        }
    }
}

#[test]
fn the_sheet_follows_every_kind_of_change() {
    let mut core = core(Dialect::Drbd9, EVERYTHING);
    let mut sheets = [Enums::Off, Enums::On].map(|enums| (enums, sheet(enums), Stamps::default()));
    let resource = |verb: &str, name: &str| {
        format!("{verb} resource name:{name} role:Secondary suspended:no may_promote:no promotion_score:1\n")
    };
    let steps = [
        String::new(),
        resource("create", "a"),
        resource("create", "z"),
        resource("create", "m"),
        "change device name:r1 volume:0 minor:1000 disk:Failed client:no quorum:yes size:7\n".to_owned(),
        "change peer-device name:r1 peer-node-id:2 conn-name:n3 volume:0 replication:Established peer-disk:UpToDate\n"
            .to_owned(),
        "destroy path name:r1 peer-node-id:2 conn-name:n3 local:ipv4:10.0.0.1:7001 peer:ipv4:10.0.0.3:7001\n"
            .to_owned(),
        "destroy connection name:r1 peer-node-id:2 conn-name:n3\n".to_owned(),
        "destroy device name:r1 volume:1\n".to_owned(),
        "rename resource name:m new_name:b\n".to_owned(),
        "destroy resource name:a\n".to_owned(),
        "rename resource name:z new_name:a\n".to_owned(),
        "destroy resource name:r1\n".to_owned(),
        "destroy resource name:a\n".to_owned(),
        "destroy resource name:b\n".to_owned(),
        resource("create", "a"),
    ];
    for lines in steps {
        step(&mut core, &lines);
        for (enums, sheet, stamps) in &mut sheets {
            let resources: Vec<_> = core.node().resources().collect();
            assert_eq!(refreshed(sheet, &resources), text(core.node().resources(), *enums), "{lines}");
            stamps.check(sheet.snapshot());
        }
    }
}

/// More resources than a group has, of which some change: digits that fit are written over, others move the rest.
#[test]
fn numbers_of_any_length_are_written_over_each_other() {
    let line = |verb: &str, name: usize, read: u64| {
        format!(
            "{verb} device name:r{name:03} volume:0 minor:{name} disk:UpToDate client:no quorum:yes size:7 read:{read} \
             written:0 al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no blocked:no\n"
        )
    };
    let mut lines = String::new();
    for name in 0..600 {
        lines +=
            &format!("create resource name:r{name:03} role:Secondary suspended:no may_promote:no promotion_score:1\n");
        lines += &line("create", name, 5);
    }
    let mut core = core(Dialect::Drbd9, &lines);
    let mut sheet = sheet(Enums::Off);
    let mut stamps = Stamps::default();
    for (number, reads) in [[6, 7, 8], [60, 7, 8], [6, 700, 8], [9, 701, 9], [9, 701, 10]].into_iter().enumerate() {
        for (name, read) in [3, 255, 256].into_iter().zip(reads) {
            step(&mut core, &line("change", name, read));
        }
        let resources: Vec<_> = core.node().resources().collect();
        assert!(refreshed(&mut sheet, &resources) == text(core.node().resources(), Enums::Off), "step {number}");
        let before = stamps.0.len();
        stamps.check(sheet.snapshot());
        // Two groups of one family have changed; what has not changed has the stamp that it had.
        let new = stamps.0.len() - before;
        assert!(number == 0 || (1..=2).contains(&new), "step {number}: {new}");
    }
}

/// A slow client has a text for half a minute; whoever comes later gets the present, and neither sees anything of the other.
#[test]
fn who_still_reads_keeps_what_was() {
    let mut core = core(Dialect::Drbd9, EVERYTHING);
    let mut sheet = sheet(Enums::Off);
    let before = sheet.refresh(&core.node().snapshot());
    let text_before = text(core.node().resources(), Enums::Off);
    // Same lengths: without a reader the digits would be written over.
    step(&mut core, &EVERYTHING.replace("create device", "change device").replace("read:10 ", "read:11 "));
    let after = sheet.refresh(&core.node().snapshot());
    let text_after = text(core.node().resources(), Enums::Off);
    assert_ne!(text_before, text_after);
    let written = |snapshot| String::from_utf8(Body::new(snapshot, &Health::default()).to_text()).unwrap();
    assert_eq!(written(before.clone()), text_before);
    assert_eq!(written(after), text_after);
    drop(before);
}

#[test]
fn the_pieces_are_the_text() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    let whole = text(core.node().resources(), Enums::On);
    let body = Body::new(sheet(Enums::On).refresh(&core.node().snapshot()), &Health::default());
    let pieces: Vec<u8> = (0..body.pieces()).flat_map(|number| body.piece(number).unwrap().to_vec()).collect();
    assert_eq!(body.piece(body.pieces()), None);
    assert_eq!(body.len(), whole.len() as u64);
    assert!(String::from_utf8(pieces).unwrap() == whole);
}

/// A line about one of a few objects: numbers of any length, resyncs that come and go, states that change now and then.
fn line() -> impl Strategy<Value = String> {
    let number = prop_oneof![0..12_u64, 0..2_000_000_u64, any::<u32>().prop_map(u64::from)];
    let word = prop_oneof![4 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    (0..3_u32, 1..3_u32, 0..5, number, word, prop::option::of(0..9999_u64)).prop_map(|(r, peer, kind, n, word, eta)| {
        let connection = format!("name:r{r} peer-node-id:{peer} conn-name:n{peer}");
        match kind {
            0 => format!(
                "change device name:r{r} volume:0 minor:{r} disk:{} client:no quorum:yes open:no size:7 read:{n} written:{} \
                 al-writes:{n} bm-writes:0 upper-pending:{} lower-pending:0 al-suspended:no blocked:{}\n",
                ["UpToDate", "Failed", "Diskless"][word],
                n / 7,
                n % 20,
                if n % 5 == 0 { "upper" } else { "no" },
            ),
            1 => {
                let resync = eta.map_or(String::new(), |eta| format!(" done:{}.50 dbdt1:{}.25 eta:{eta}", eta / 100, eta));
                format!(
                    "change peer-device {connection} volume:0 replication:{} peer-disk:UpToDate peer-client:no \
                     resync-suspended:no{resync} received:{n} sent:{} out-of-sync:{} pending:0 unacked:0\n",
                    ["Established", "SyncSource", "VerifyS"][word],
                    n / 3,
                    n % 11,
                )
            }
            2 => format!(
                "change connection {connection} connection:{} role:Secondary congested:no ap-in-flight:{n} rs-in-flight:0\n",
                ["Connected", "Connected", "Unconnected"][word],
            ),
            3 => format!(
                "change resource name:r{r} role:{} suspended:no may_promote:no promotion_score:{n}\n",
                ["Secondary", "Primary", "Secondary"][word],
            ),
            _ => format!("change path {connection} local:ipv4:10.0.0.1:1 peer:ipv4:10.0.0.2:1 established:yes\n"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_is_told_the_sheet_shows_what_is(steps in prop::collection::vec(prop::collection::vec(line(), 1..5), 1..30)) {
        let mut dump = String::new();
        for r in 0..3 {
            dump += &format!("create resource name:r{r} role:Secondary suspended:no may_promote:no promotion_score:1\n");
            for peer in 1..3 {
                dump += &format!("create connection name:r{r} peer-node-id:{peer} conn-name:n{peer} connection:Connected role:Secondary\n");
            }
        }
        let mut core = core(Dialect::Drbd9, &dump);
        let mut sheets = [Enums::Off, Enums::On].map(|enums| (enums, sheet(enums)));
        for lines in steps {
            step(&mut core, &lines.concat());
            for (enums, sheet) in &mut sheets {
                let resources: Vec<_> = core.node().resources().collect();
                prop_assert_eq!(refreshed(sheet, &resources), text(core.node().resources(), *enums));
            }
        }
    }
}
