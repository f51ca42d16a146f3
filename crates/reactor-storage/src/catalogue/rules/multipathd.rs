//! multipathd.

use crate::catalogue::rule::{is, rules};

rules! {
    "multipathd-failed" => MPATH_PATH_FAILED, "multipathd.failed"; No; [] {
        "" "checker failed path {path:number} in map {map:dm}" ["checker failed path 8:48 in map mpatha"];
        "" "{path:kernel}: mark as failed" ["sdd: mark as failed"];
    }
    "multipathd-reinstated" => MPATH_PATH_REINSTATED, "multipathd.reinstated"; No; [] {
        "" "{path:number}: reinstated" ["8:48: reinstated"];
        "" "{path:kernel} : reinstate the path after err recovery time" ["sdd : reinstate the path after err recovery time"];
        "" "{map:dm}: {path!:kernel} - {checker:word} checker reports path is up" ["mpatha: sda - tur checker reports path is up"];
    }
    "multipathd-flapping" => MPATH_FLAPPING, "multipathd.flapping"; No; [] {
        "" "{path:kernel} : hit error threshold. Delaying path reinstatement" ["sdd : hit error threshold. Delaying path reinstatement"];
    }
    "multipathd-paths-left" => MPATH_PATHS_LEFT, "multipathd.paths-left"; No; [is("paths", &["0"]) => MPATH_ALL_PATHS_DOWN] {
        "" "{map:dm}: remaining active paths: {paths:num}" [
            "mpatha: remaining active paths: 1",
            "mpatha: remaining active paths: 0",
        ];
    }
    "multipathd-recovery-mode" => MPATH_ALL_PATHS_DOWN, "multipathd.recovery-mode"; No; [] {
        "" "{map:dm}: Entering recovery mode: max_retries={retries:num}" ["mpatha: Entering recovery mode: max_retries=12"];
    }
    "multipathd-recovered" => MPATH_RECOVERED, "multipathd.recovery-mode"; No; [] {
        "" "{map:dm}: Recovered to normal mode" ["mpatha: Recovered to normal mode"];
        "" "{map:dm}: queue_if_no_path enabled" ["mpatha: queue_if_no_path enabled"];
    }
    "multipathd-queueing-off" => MPATH_QUEUE_OFF, "multipathd.queue-off"; No; [] {
        "" "{map:dm}: {:queueing disabled|Disable queueing}" ["mpatha: queueing disabled", "mpatha: Disable queueing"];
        "" "{map:dm}{?:} Last path deleted, disabling queueing" [
            "mpatha Last path deleted, disabling queueing",
            "mpatha: Last path deleted, disabling queueing",
        ];
    }
    "multipathd-checker" => MPATH_CHECKER_DOWN, "multipathd.checker"; No; [] {
        "" "{map:dm}: {path!:kernel} - {checker:word} checker {why:reports path is down|reports path is ghost|reports path is removed|timed out|reported failure}{detail:any}" [
            "mpatha: sdd - tur checker reports path is down",
            "mpatha: sdd - rdac checker reports path is down: lun not connected",
        ];
        "" "{map:dm}: {path!:kernel} - {why:=path offline}" ["sdd: sdd - path offline", "mpatha: sdd - path offline"];
    }
    "multipathd-marginal" => MPATH_MARGINAL, "multipathd.marginal"; No; [] {
        "" "{path:kernel}: path is now marginal" ["sdd: path is now marginal"];
    }
    "multipathd-marginal-over" => MPATH_MARGINAL_OVER, "multipathd.marginal"; No; [] {
        "" "{?{path:kernel}: }path is no longer marginal" ["sdd: path is no longer marginal", "path is no longer marginal"];
    }
    "multipathd-wwid-changed" => MPATH_WWID_CHANGED, "multipathd.wwid"; No; [] {
        "" "{path:kernel}: path wwid changed from '{old:text}' to '{new:text}'{:any}" ["sdd: path wwid changed from 'A' to 'B'"];
        "" "{?{path:kernel}: }path wwid change detected. Removing" ["sdd: path wwid change detected. Removing", "path wwid change detected. Removing"];
    }
    "multipathd-topology" => MPATH_TOPOLOGY, "multipathd.topology"; No; [] {
        "" "{map:dm}: {what:load table|addmap|reload} [{table:text}]" [
            "mpatha: load table [0 20971520 multipath 2 queue_if_no_path 1 alua 1 1 service-time 0 1 1 8:48 1]",
            "mpatha: reload [0 262144 multipath 1 queue_if_no_path 1 alua 1 1 service-time 0 1 1 8:0 1]",
        ];
        "" "{path:kernel} [{number:number}]: path {what:=added} to devmap {map:dm}" ["sdd [8:48]: path added to devmap mpatha"];
        "" "{?{number:number}: }{?{path:kernel}: }path {what:=removed} from map {map:dm}" [
            "sdd: path removed from map mpatha",
            "8:16: path removed from map mpatha",
        ];
        "" "{map:kernel}: {what:remove map|add map} (uevent)" ["dm-3: remove map (uevent)"];
        "" "{map:dm}: {what:=switch to path group} #{group:num}" ["mpatha: switch to path group #2"];
    }
}
