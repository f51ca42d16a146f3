//! What a person, or the world, can do about a state.

use reactor_api::PromotedStatus;
use reactor_core::plugin::promoter::obstacle::ObstacleKind;

use crate::parts::promoted;

pub(super) fn way_out(report: &PromotedStatus) -> String {
    let name = &report.resource;
    match report.state.as_str() {
        "preparing" | "standby" => of_obstacle(report),
        "waiting" => "the delay ends, or another node is faster, or DRBD takes may_promote back".to_owned(),
        "starting" => "systemd says how the start went; DRBD itself decides the promotion".to_owned(),
        "running" => match report.policy.as_str() {
            "quorum" => "this node loses quorum or its disk, a unit fails, or somebody stops the target".to_owned(),
            _ => "this node loses its disk, a unit fails, or somebody stops the target".to_owned(),
        },
        "stopping" => "systemd says that everything has stopped".to_owned(),
        "frozen" => "quorum comes back: then its services go on; a freeze-timeout would stop them".to_owned(),
        "blocked" => format!("mend what failed, then: reactorctl clear {name}"),
        "held" => format!("reactorctl {} {name}", report.hold.as_ref().map_or("release", promoted::ends_hold)),
        "drained" => "reactorctl undrain".to_owned(),
        "unmanaged" => format!(
            "give {name} quorum (quorum majority; on-no-quorum io-error or suspend-io) or fencing in DRBD's configuration, then: \
             drbdadm adjust {name}"
        ),
        _ => "news of DRBD or of systemd".to_owned(),
    }
}

/// The same for what keeps it from running here.
fn of_obstacle(report: &PromotedStatus) -> String {
    let name = &report.resource;
    let obstacle = report.obstacle.as_ref();
    let Some(kind) = obstacle.and_then(|obstacle| ObstacleKind::of(&obstacle.kind)) else {
        // A daemon of another version: what it is stands above.
        return match report.state.as_str() {
            "preparing" => "the step that is under way ends".to_owned(),
            _ => "what keeps it from starting here ends".to_owned(),
        };
    };
    let unit = obstacle.and_then(|obstacle| obstacle.unit.as_deref()).unwrap_or("the unit");
    match kind {
        ObstacleKind::NoNews => "drbdsetup events2 answers again; it is started again by itself".to_owned(),
        ObstacleKind::NoSystemd => "systemd answers on its bus again; that is tried by itself".to_owned(),
        ObstacleKind::UnitNotTold => format!("systemd answers about {unit}; it is asked again by itself"),
        ObstacleKind::UnitFiles => "the generated unit files are written; that is tried by itself".to_owned(),
        ObstacleKind::LowerDevices => "the device appears; it is looked for by itself".to_owned(),
        ObstacleKind::DrbdadmFailed => {
            format!("drbdadm works; it is tried again by itself, and drbdadm adjust {name} shows what is wrong")
        }
        ObstacleKind::Adjusting => "drbdadm adjust ends; nothing else is needed".to_owned(),
        ObstacleKind::OptionsNotRead => "DRBD's options are read; that is tried by itself".to_owned(),
        ObstacleKind::NoResource => format!("drbdadm up {name}"),
        ObstacleKind::PeerPrimary => {
            format!("that node stops it, or goes down; reactorctl move {name} --to NODE moves it")
        }
        ObstacleKind::NotOurs => format!("whoever works on it ends that: drbdadm secondary {name}"),
        ObstacleKind::NoData => format!("a node with good data is reached again: drbdadm status {name}"),
        ObstacleKind::ForcedSecondary => format!("what has it open closes it: fuser -vm $(drbdadm sh-dev {name})"),
        ObstacleKind::NoQuorum => {
            format!("this node reaches enough of the others again: drbdadm status {name} shows which are missing")
        }
        ObstacleKind::Disk => format!("its disk here is UpToDate again, or reaches one that is: drbdadm status {name}"),
        ObstacleKind::MayNotPromote => {
            "DRBD says may_promote:yes here: no other node is Primary, and the data here is good".to_owned()
        }
        ObstacleKind::UnitMasked => format!("systemctl unmask {unit}"),
        ObstacleKind::UnitBroken => {
            format!("mend the unit (systemctl status {unit}), then: systemctl daemon-reload")
        }
    }
}
