//! The sheet shows what is, writes only what changed, and leaves those alone who still read what was.

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input};
use reactor_core::metrics::{Body, Choice, Enums, Extent, Health, Sheet};

use crate::{EVERYTHING, core, refreshed, text};

fn sheet(enums: Enums) -> Sheet {
    Sheet::new(Choice { enums, extent: Extent::All })
}

fn step(core: &mut Core, lines: &str) {
    core.step(Mono::ZERO, &Input::Lines(lines.to_owned()), &mut Vec::new());
}

#[test]
fn the_sheet_follows_every_kind_of_change() {
    let mut core = core(Dialect::Drbd9, EVERYTHING);
    let mut sheets = [Enums::Off, Enums::On].map(|enums| (enums, sheet(enums)));
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
        for (enums, sheet) in &mut sheets {
            let resources: Vec<_> = core.node().resources().collect();
            assert_eq!(refreshed(sheet, &resources), text(core.node().resources(), *enums), "{lines}");
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
    for (number, reads) in [[6, 7, 8], [60, 7, 8], [6, 700, 8], [9, 701, 9], [9, 701, 10]].into_iter().enumerate() {
        for (name, read) in [3, 255, 256].into_iter().zip(reads) {
            step(&mut core, &line("change", name, read));
        }
        let resources: Vec<_> = core.node().resources().collect();
        assert!(refreshed(&mut sheet, &resources) == text(core.node().resources(), Enums::Off), "step {number}");
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
