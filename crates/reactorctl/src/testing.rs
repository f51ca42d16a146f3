//! What the tests share.

use reactor_api::Status;
use reactor_api::status::SourceState;
use reactor_core::api::status;
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

/// A core that was told `events2`.
pub(crate) fn core_of(events2: &str) -> Core {
    let mut core = Core::new();
    let started = SourceEvent::Started { command: "drbdsetup events2".to_owned(), dialect: Some(Dialect::Drbd9) };
    for input in [
        Input::Source(SourceId::Drbd, started),
        Input::Lines(SourceId::Drbd, events2.to_owned()),
        Input::BurstEnd(SourceId::Drbd),
    ] {
        core.step(Mono::ZERO, &input, &mut Vec::new());
    }
    core
}

/// The status of a daemon that was told `events2`.
pub(crate) fn status_of(events2: &str) -> Status {
    let core = core_of(events2);
    let mut status = Status {
        version: "1.2.3".to_owned(),
        pid: 812,
        node: "n1".to_owned(),
        mode: "native".to_owned(),
        started: "2026-11-21T02:40:00.000Z".to_owned(),
        now: "2026-11-21T05:52:10.000Z".to_owned(),
        resources: status::resources(core.node()),
        counters: status::counters(&core),
        ..Status::default()
    };
    status.source.state = SourceState::Up;
    status.source.command = Some("drbdsetup events2 --full --poll".to_owned());
    status.source.kernel_version = Some("9.3.3".to_owned());
    status.source.utils_version = Some("9.34.0".to_owned());
    status
}

/// A resource as it should be: Primary here, one peer, a diskless client.
pub(crate) const GOOD: &str = "\
exists resource name:r0 role:Primary suspended:no force-io-failures:no write-ordering:flush may_promote:no promotion_score:10102
exists connection name:r0 peer-node-id:2 conn-name:n3 connection:Connected role:Secondary congested:no ap-in-flight:0 rs-in-flight:0
exists connection name:r0 peer-node-id:1 conn-name:n2 connection:Connected role:Secondary congested:no ap-in-flight:0 rs-in-flight:0
exists device name:r0 volume:0 minor:10 backing_dev:/dev/vg/r0 disk:UpToDate client:no open:yes quorum:yes size:65496 read:65496 written:0 al-writes:0 bm-writes:3 upper-pending:0 lower-pending:0 al-suspended:no blocked:no
exists peer-device name:r0 peer-node-id:2 conn-name:n3 volume:0 replication:Established peer-disk:Diskless peer-client:yes resync-suspended:no received:0 sent:0 out-of-sync:0 pending:0 unacked:0
exists path name:r0 peer-node-id:2 conn-name:n3 local:ipv4:10.77.0.1:7000 peer:ipv4:10.77.0.3:7000 established:yes
exists peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no received:0 sent:65496 out-of-sync:0 pending:0 unacked:0
exists path name:r0 peer-node-id:1 conn-name:n2 local:ipv4:10.77.0.1:7000 peer:ipv4:10.77.0.2:7000 established:yes
exists -
";

/// Resources in all kinds of trouble.
pub(crate) const BAD: &str = "\
exists resource name:a role:Primary suspended:quorum force-io-failures:no write-ordering:flush may_promote:no promotion_score:0
exists connection name:a peer-node-id:2 conn-name:n3 connection:StandAlone role:Unknown congested:no ap-in-flight:0 rs-in-flight:0
exists connection name:a peer-node-id:1 conn-name:n2 connection:Connecting role:Unknown congested:no ap-in-flight:0 rs-in-flight:0
exists device name:a volume:0 minor:10 backing_dev:/dev/vg/a disk:UpToDate client:no open:yes quorum:no size:65496 read:0 written:0 al-writes:0 bm-writes:3 upper-pending:0 lower-pending:0 al-suspended:no blocked:no
exists peer-device name:a peer-node-id:2 conn-name:n3 volume:0 replication:Off peer-disk:DUnknown peer-client:no resync-suspended:no received:0 sent:0 out-of-sync:0 pending:0 unacked:0
exists path name:a peer-node-id:2 conn-name:n3 local:ipv4:10.77.0.1:7000 peer:ipv4:10.77.0.3:7000 established:no
exists peer-device name:a peer-node-id:1 conn-name:n2 volume:0 replication:Off peer-disk:Outdated peer-client:no resync-suspended:no received:0 sent:65496 out-of-sync:0 pending:0 unacked:0
exists resource name:b role:Secondary suspended:no force-io-failures:yes write-ordering:flush may_promote:no promotion_score:1
exists connection name:b peer-node-id:1 conn-name:n2 connection:Connected role:Primary congested:no ap-in-flight:0 rs-in-flight:0
exists device name:b volume:1 minor:21 backing_dev:none disk:Diskless client:no open:no quorum:yes size:65496 read:0 written:0 al-writes:0 bm-writes:3 upper-pending:0 lower-pending:0 al-suspended:no blocked:no
exists device name:b volume:0 minor:20 backing_dev:/dev/vg/b disk:Inconsistent client:no open:no quorum:yes size:65496 read:0 written:0 al-writes:0 bm-writes:3 upper-pending:0 lower-pending:0 al-suspended:no blocked:no
exists peer-device name:b peer-node-id:1 conn-name:n2 volume:1 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no received:0 sent:0 out-of-sync:96 pending:0 unacked:0
exists peer-device name:b peer-node-id:1 conn-name:n2 volume:0 replication:SyncTarget peer-disk:UpToDate peer-client:no resync-suspended:user,peer received:0 sent:0 out-of-sync:32000 pending:0 unacked:0 done:51.14 eta:11
exists path name:b peer-node-id:1 conn-name:n2 local:ipv4:10.77.0.1:7000 peer:ipv4:10.77.0.2:7000 established:yes
exists path name:b peer-node-id:1 conn-name:n2 local:ipv4:10.78.0.1:7000 peer:ipv4:10.78.0.2:7000 established:no
exists -
";

/// A folder of one test, which nobody else can write.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reactorctl-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, private).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
