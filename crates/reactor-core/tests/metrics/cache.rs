//! The cache shows what is, and writes only what changed.

use reactor_core::input::{Dialect, Input};
use reactor_core::metrics::{Body, Cache, Enums, Health};

use crate::{EVERYTHING, core, text};

fn cached(cache: &mut Cache, core: &reactor_core::core::Core, enums: Enums) -> String {
    let snapshot = cache.refresh(core.node().resources(), enums);
    assert_eq!(snapshot.resources(), core.node().resources().count());
    String::from_utf8(Body::new(snapshot, &Health::default()).into_text()).unwrap()
}

#[test]
fn the_cache_follows_every_kind_of_change() {
    let mut core = core(Dialect::Drbd9, EVERYTHING);
    let mut cache = Cache::new();
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
    for step in steps {
        core.step(reactor_core::ids::Mono::ZERO, &Input::Lines(step.clone()), &mut Vec::new());
        for enums in [Enums::Off, Enums::On] {
            assert_eq!(cached(&mut cache, &core, enums), text(core.node().resources(), enums), "{step}");
        }
    }
}

#[test]
fn pieces_of_any_size_give_the_same_text() {
    let mut lines = EVERYTHING.to_owned();
    for number in 0..20 {
        lines.push_str(
            &EVERYTHING.replace("name:r1", &format!("name:x{number}")).replace("minor:1", &format!("minor:{number}")),
        );
    }
    let core = core(Dialect::Drbd9, &lines);
    let whole = text(core.node().resources(), Enums::On);
    for size in [1, 50, 777, 4096, 100_000, usize::MAX] {
        let mut body = Body::new(Cache::new().refresh(core.node().resources(), Enums::On), &Health::default());
        assert_eq!(body.len(), whole.len() as u64);
        let mut all = Vec::new();
        loop {
            let before = all.len();
            body.next_piece(size, &mut all);
            if all.len() == before {
                break;
            }
        }
        assert!(String::from_utf8(all).unwrap() == whole, "pieces of {size}");
    }
}
