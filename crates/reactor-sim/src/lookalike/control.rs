//! What `sim-ctl` can do: faults, and questions about the world.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::protocol::Reply;
use super::world::World;
use crate::drbd9::{Command, NodeIx, Placement, ResIx};

/// What it knows.
pub const USAGE: &str = "\
  status                      who is what
  kill NODE                   its power is cut
  boot NODE [up]              it has power again; `up`: its resources come up
  freeze NODE, thaw NODE      its CPU stops, and runs on
  cut NODE NODE [one-way]     the network between two nodes
  isolate NODE                the network of a node
  heal                        the whole network works again
  disk-fail NODE RES [VOL]    its disk fails
  disk-repair NODE RES [VOL]  its disk works again (attach it: drbdadm attach)
  truth                       what nobody in the cluster knows: diverged data, lost writes (JSON)
  quit                        the simulator ends
";

pub(super) fn carry_out(world: &mut World, args: &[String]) -> Reply {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match carry(world, &words) {
        Ok(text) => Reply::good(text),
        Err(why) => Reply::bad(1, why),
    }
}

fn carry(world: &mut World, words: &[&str]) -> Result<String, String> {
    match *words {
        ["status"] => return Ok(status(world)),
        ["truth"] => return Ok(truth(world)),
        ["quit"] => world.quit = true,
        ["kill", node] => {
            let node = find(world, node)?;
            world.crash(node);
        }
        ["boot", node] => {
            let node = find(world, node)?;
            world.cluster.boot(node);
        }
        ["boot", node, "up"] => {
            let node = find(world, node)?;
            world.cluster.boot(node);
            for resource in resources_of(world, node) {
                world.cluster.submit(node, Command::Up { resource });
            }
        }
        ["freeze", node] => {
            let node = find(world, node)?;
            world.cluster.freeze(node);
        }
        ["thaw", node] => {
            let node = find(world, node)?;
            world.thaw(node);
        }
        ["cut", one, other] => {
            let (one, other) = (find(world, one)?, find(world, other)?);
            world.cluster.set_link(one, other, false);
            world.cluster.set_link(other, one, false);
        }
        ["cut", from, to, "one-way"] => {
            let (from, to) = (find(world, from)?, find(world, to)?);
            world.cluster.set_link(from, to, false);
        }
        ["isolate", node] => {
            let node = find(world, node)?;
            for peer in (0..world.cluster.spec().nodes.len()).filter(|peer| *peer != node) {
                world.cluster.set_link(node, peer, false);
                world.cluster.set_link(peer, node, false);
            }
        }
        ["heal"] => heal(world),
        ["disk-fail", node, res] => disk(world, node, res, "0", true)?,
        ["disk-fail", node, res, volume] => disk(world, node, res, volume, true)?,
        ["disk-repair", node, res] => disk(world, node, res, "0", false)?,
        ["disk-repair", node, res, volume] => disk(world, node, res, volume, false)?,
        _ => return Err(format!("not understood: {}; sim-ctl knows\n{USAGE}", words.join(" "))),
    }
    Ok(String::new())
}

fn find(world: &World, name: &str) -> Result<NodeIx, String> {
    let all = || world.cluster.spec().nodes.join(", ");
    world.node(name).ok_or_else(|| format!("{name} is no node of the simulated cluster ({})\n", all()))
}

fn heal(world: &mut World) {
    let nodes = world.cluster.spec().nodes.len();
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from) {
            world.cluster.set_link(from, to, true);
        }
    }
}

fn disk(world: &mut World, node: &str, res: &str, volume: &str, fails: bool) -> Result<(), String> {
    let node = find(world, node)?;
    let position = world.cluster.spec().resources.iter().position(|resource| resource.name == res);
    let res: ResIx = position.ok_or_else(|| format!("{res} is no resource of the simulated cluster\n"))?;
    let volume = volume.parse().map_err(|_| format!("{volume} is no volume number\n"))?;
    if fails {
        world.cluster.fail_disk(node, res, volume);
    } else {
        world.cluster.repair_disk(node, res, volume, false);
    }
    Ok(())
}

fn resources_of(world: &World, node: NodeIx) -> Vec<String> {
    let here = world.cluster.spec().resources.iter().filter(|resource| resource.placement[node] != Placement::Absent);
    here.map(|resource| resource.name.clone()).collect()
}

/// A line per node and resource, from what the node itself would say.
fn status(world: &World) -> String {
    let mut out =
        format!("{:<10} {:<12} {:<10} {:<13} {:<7} {}\n", "NODE", "RESOURCE", "ROLE", "DISK", "QUORUM", "CONNECTIONS");
    let spec = world.cluster.spec();
    for (node, name) in spec.nodes.iter().enumerate() {
        if !world.cluster.alive(node) {
            let _ = writeln!(out, "{name:<10} without power");
            continue;
        }
        let frozen = if world.cluster.running(node) { "" } else { "(frozen)" };
        let all: Value = serde_json::from_str(&world.cluster.status_json(node, None)).unwrap_or_default();
        let resources = all.as_array().map_or(&[][..], Vec::as_slice);
        if resources.is_empty() {
            let _ = writeln!(out, "{name:<10} no resource is up {frozen}");
        }
        for resource in resources {
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let devices = resource["devices"].as_array().map_or(&[][..], Vec::as_slice);
            let disks: Vec<String> = devices.iter().map(|device| text(&device["disk-state"])).collect();
            let quorum = if devices.iter().all(|device| device["quorum"] == true) { "yes" } else { "no" };
            let connections: Vec<String> = resource["connections"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|peer| format!("{}:{}", text(&peer["name"]), text(&peer["connection-state"])))
                .collect();
            let line = format!(
                "{name:<10} {:<12} {:<10} {:<13} {quorum:<7} {} {frozen}",
                text(&resource["name"]),
                text(&resource["role"]),
                disks.join(","),
                connections.join(" ")
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out
}

fn truth(world: &World) -> String {
    let resources = world.cluster.spec().resources.iter().enumerate().map(|(ix, resource)| {
        let damage = world.cluster.damage(ix);
        let writers: Vec<&str> = world.cluster.spec().nodes.iter().enumerate()
            .filter(|(node, _)| world.cluster.truth(*node, ix).can_write)
            .map(|(_, name)| name.as_str())
            .collect();
        json!({"name": resource.name, "diverged": damage.diverged, "lost-writes": damage.lost_writes, "can-write": writers})
    });
    format!("{}\n", Value::Array(resources.collect()))
}
