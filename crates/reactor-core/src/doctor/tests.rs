use expect_test::{Expect, expect};
use reactor_api::PromotedStatus;
use reactor_api::objects::{WireConnection, WireDevice, WirePath, WirePeerDevice, WireResource, WireSplitBrain};
use reactor_api::promoted::UnitStatus;
use reactor_api::survey::{FileFacts, Reworded, UnitFile, Wordings};

use super::*;
use crate::settings::promoter::{OnQuorumLoss, PromoterSettings, StartEntry};
use crate::settings::{EventsSettings, Mode, PluginEntry};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn settings(change: impl FnOnce(&mut PromotedResource)) -> Settings {
    let mut resource = PromotedResource {
        start: vec![
            StartEntry::Ocf {
                vendor: "heartbeat".to_owned(),
                agent: "IPaddr2".to_owned(),
                instance: "vip".to_owned(),
                parameters: vec![("ip".to_owned(), "192.0.2.1".to_owned())],
            }
            .into(),
        ],
        ..PromotedResource::default()
    };
    change(&mut resource);
    let promoter = PromoterSettings { resources: [(ResourceName::new("r0"), resource)].into() };
    let entry = PluginEntry { file: "a.toml".into(), line: 1, settings: PluginSettings::Promoter(promoter) };
    Settings::of_plugins(Mode::Native, vec![entry])
}

/// A node of two on which all is well.
fn node(name: &str, peer: &str) -> Node {
    let good = [
        ("auto-promote", "no"),
        ("quorum", "majority"),
        ("on-no-quorum", "io-error"),
        ("on-no-data-accessible", "io-error"),
        ("on-suspended-primary-outdated", "force-secondary"),
    ];
    let net = [("ping-int", "2"), ("ping-timeout", "5"), ("protocol", "C"), ("fencing", "dont-care")];
    let resource = ResourceFacts {
        name: "r0".to_owned(),
        options: map(&good),
        volumes: [(0, map(&[("on-io-error", "detach")]))].into(),
        connections: [(peer.to_owned(), map(&net))].into(),
        fence_peer: None,
    };
    let file = FileFacts { path: "/etc/drbd.d/r0.res".to_owned(), bytes: 1, checksum: "1".to_owned() };
    let facts = NodeFacts {
        node: name.to_owned(),
        files: vec![file],
        usermode_helper: Some("/sbin/drbdadm".to_owned()),
        resources: vec![resource],
        ..NodeFacts::default()
    };
    let mut device = WireDevice::default();
    device.fields.disk_state = "UpToDate".to_owned();
    let mut connection = WireConnection { peer_devices: vec![WirePeerDevice::default()], ..WireConnection::default() };
    connection.fields.name = Some(peer.to_owned());
    connection.fields.connection_state = "Connected".to_owned();
    let mut drbd = WireResource {
        name: "r0".to_owned(),
        devices: vec![device],
        connections: vec![connection],
        ..WireResource::default()
    };
    drbd.fields.role = "Secondary".to_owned();
    let status = Status { node: name.to_owned(), version: "1".to_owned(), resources: vec![drbd], ..Status::default() };
    Node { name: name.to_owned(), facts: Some(facts), status: Some(status), clock: Some((3, 10)), ..Node::default() }
}

fn two() -> Vec<Node> {
    // The first is the one on which this is asked: no clock is compared with itself.
    vec![Node { clock: None, ..node("n1", "n2") }, node("n2", "n1")]
}

/// Three nodes, all connected.
fn three() -> Vec<Node> {
    let names = ["n1", "n2", "n3"];
    let with_peers = |name: &&str| {
        let peers: Vec<&str> = names.into_iter().filter(|peer| peer != name).collect();
        let mut one = node(name, peers[0]);
        let mut other = node(name, peers[1]).drbd().connections.remove(0);
        other.peer_node_id = 1;
        one.drbd().connections.push(other);
        one
    };
    names.iter().map(with_peers).collect()
}

impl Node {
    fn resource(&mut self) -> &mut ResourceFacts {
        &mut self.facts.as_mut().unwrap().resources[0]
    }

    fn option(&mut self, key: &str, value: &str) {
        self.resource().options.insert(key.to_owned(), value.to_owned());
    }

    fn net(&mut self, key: &str, value: &str) {
        for net in self.resource().connections.values_mut() {
            net.insert(key.to_owned(), value.to_owned());
        }
    }

    fn drbd(&mut self) -> &mut WireResource {
        &mut self.status.as_mut().unwrap().resources[0]
    }

    fn connection(&mut self, peer: &str) -> &mut WireConnection {
        let found = self.drbd().connections.iter_mut().find(|one| one.fields.name.as_deref() == Some(peer));
        found.unwrap()
    }

    /// Its connection to this peer is lost for so many seconds.
    fn loses(&mut self, peer: &str, seconds: u64) {
        self.connection(peer).fields.connection_state = "Connecting".to_owned();
        let path = WirePath {
            local: "ipv4:192.0.2.1:7000".to_owned(),
            peer: "ipv6:[2001:db8::2]:7000".to_owned(),
            ..WirePath::default()
        };
        self.connection(peer).paths = vec![path];
        let lost = Lost { since: "10:00".to_owned(), seconds, at_least: seconds > 7200 };
        self.lost.insert(("r0".to_owned(), peer.to_owned()), lost);
    }

    fn promotes(&mut self, state: &str, because: &str) -> &mut PromotedStatus {
        let because = vec![because.to_owned()];
        let one = PromotedStatus { resource: "r0".to_owned(), state: state.to_owned(), because, ..Default::default() };
        let promoted = &mut self.status.as_mut().unwrap().promoted;
        *promoted = vec![one];
        &mut promoted[0]
    }

    /// Its daemon hangs, or nobody reaches it.
    fn falls_silent(&mut self) {
        self.status = None;
        self.facts = None;
        self.silent = Some(Silent { why: "timed out".to_owned(), mend: vec!["ssh it".to_owned()] });
    }
}

fn known_agents() -> BTreeMap<Agent, AgentMetaData> {
    let agent = Agent { vendor: "heartbeat".to_owned(), agent: "IPaddr2".to_owned() };
    let parameters = [("ip".to_owned(), Parameter { required: true }), ("nic".to_owned(), Parameter::default())];
    [(agent, AgentMetaData { parameters: parameters.into() })].into()
}

fn text(settings: &Settings, nodes: &[Node]) -> String {
    let agents = known_agents();
    let findings = examine(&Cluster { settings, nodes, agents: &agents });
    let one = |finding: &Finding| {
        let mend: String = finding.mend.iter().map(|line| format!("    {line}\n")).collect();
        let Finding { severity, check, resource, place, what, facts, .. } = finding;
        let mend: String = facts.iter().map(|line| format!("  - {line}\n")).chain([mend]).collect();
        assert!(!finding.why.is_empty() || check == "drift", "{what}: why does it matter");
        format!(
            "{severity:?} {check} {}| {place}: {what}\n{mend}",
            resource.as_ref().map_or(String::new(), |name| format!("{name} "))
        )
    };
    findings.iter().map(one).collect()
}

fn check(settings: &Settings, nodes: &[Node], expect: &Expect) {
    expect.assert_eq(&text(settings, nodes));
}

#[test]
fn where_all_is_well_nothing_is_found() {
    assert_eq!(text(&settings(|_| {}), &two()), "");
    // Nor where nobody knows anything.
    assert_eq!(text(&settings(|_| {}), &[Node::default()]), "");
}

#[test]
fn options_that_a_promoter_can_not_live_with_are_named_once_with_their_nodes() {
    let mut nodes = two();
    for node in &mut nodes {
        node.option("auto-promote", "yes");
        node.option("on-no-quorum", "suspend-io");
        node.net("protocol", "A");
    }
    nodes[1].resource().volumes.insert(0, map(&[("on-io-error", "pass_on")]));
    nodes[1].net("allow-two-primaries", "yes");
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error options r0 | n1, n2: auto-promote is yes, it should be no
            in the file of r0 in /etc/drbd.d: options { auto-promote no; }
            drbdadm adjust r0
        Error options r0 | n2: allow-two-primaries to n1 is yes
            in the file of r0 in /etc/drbd.d: net { allow-two-primaries no; }
            drbdadm adjust r0
        Warning options r0 | n1, n2: on-no-quorum is suspend-io, it should be io-error
            in the file of r0 in /etc/drbd.d: options { on-no-quorum io-error; }
            drbdadm adjust r0
        Warning options r0 | n1: protocol to n2 is A, it should be C
            in the file of r0 in /etc/drbd.d: net { protocol C; }
            drbdadm adjust r0
        Warning options r0 | n2: on-io-error of volume 0 is pass_on, it should be detach
            in the file of r0 in /etc/drbd.d: disk { on-io-error detach; }
            drbdadm adjust r0
        Warning options r0 | n2: protocol to n1 is A, it should be C
            in the file of r0 in /etc/drbd.d: net { protocol C; }
            drbdadm adjust r0
    "#]],
    );
    let mut nodes = two();
    for node in &mut nodes {
        node.option("quorum", "off");
    }
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error options r0 | n1, n2: neither quorum nor fencing
            in the file of r0 in /etc/drbd.d: options { quorum majority; }
            in the file of r0 in /etc/drbd.d: options { on-no-quorum io-error; }
            drbdadm adjust r0
    "#]],
    );
    nodes[0].net("fencing", "resource-only");
    nodes[1].net("fencing", "resource-only");
    nodes[1].resource().fence_peer = Some("/fence".to_owned());
    check(
        &settings(|one| one.on_quorum_loss = OnQuorumLoss::Freeze),
        &nodes,
        &expect![[r#"
        Warning options r0 | n1: fencing is set, and there is no fence-peer handler
            in the file of r0 in /etc/drbd.d: handlers { fence-peer "/usr/lib/drbd/crm-fence-peer.9.sh"; }
            or a fence-peer rule of a [[umh]] plugin
            drbdadm adjust r0
    "#]],
    );
}

#[test]
fn a_dead_peer_that_is_noticed_late_is_advice() {
    let mut nodes = two();
    nodes[1].net("ping-int", "10");
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Note links r0 | n2: ping-int is 10: that a node has died is noticed after up to 10.5 s
            in the file of r0 in /etc/drbd.d: net { ping-int 2; }
            drbdadm adjust r0
    "#]],
    );
}

#[test]
fn a_network_that_loses_connections_is_told_from_one_that_lost_one() {
    let lost = |at: u64| {
        serde_json::from_value(serde_json::json!({
            "seq": at, "time": format!("2026-11-29T10:00:{at:02}Z"), "event": "Change", "origin": "live", "is-state": true, "resource": "r0",
            "object": "connection", "peer-node-id": 1,
            "old": {"connection-state": "Connected", "name": "n2"}, "new": {"connection-state": "NetworkFailure", "name": "n2"},
        }))
        .unwrap()
    };
    let mut nodes = two();
    nodes[0].changes = (1..3).map(lost).collect();
    assert_eq!(text(&settings(|_| {}), &nodes), "");
    nodes[0].changes = (1..5).map(lost).collect();
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
            Warning links r0 | between n1 and n2: lost 4 times between 2026-11-29T10:00:01Z and 2026-11-29T10:00:04Z
                on n1: ping -c 1000 -i 0.01 -s 1400 -M do ADDRESS-OF-n2     (lost packets, a smaller MTU on the way)
                ip -s link; ethtool -S INTERFACE | grep -iE 'err|drop|crc'     (a cable, a port, a full queue)
                journalctl -k -g 'drbd r0 .*(PingAck|timed out|sock)'
        "#]],
    );
}

#[test]
fn names_that_no_node_has() {
    let settings = settings(|one| one.preferred_nodes = ["n1", "n2.example.com", "n9"].map(str::to_owned).into());
    check(
        &settings,
        &two(),
        &expect![[r#"
        Warning names r0 | preferred-nodes of r0: no node is called n9: DRBD knows n1 and n2
            in preferred-nodes of r0: one of n1 and n2, or take it out
    "#]],
    );
    // Two long names are the same only if they are equal, and a nickname is nobody's name to the promoter.
    let mut nodes = vec![node("n1", "n2.example.com"), node("n2.example.com", "n1")];
    nodes[0].name = "left".to_owned();
    let settings = self::settings(|one| one.preferred_nodes = ["n2.example.org", "left"].map(str::to_owned).into());
    check(
        &settings,
        &nodes,
        &expect![[r#"
        Warning names r0 | preferred-nodes of r0: no node is called n2.example.org: DRBD knows n1 and n2.example.com
            in preferred-nodes of r0: "n2.example.com" in place of "n2.example.org"
        Warning names r0 | preferred-nodes of r0: no node is called left: DRBD knows n1 and n2.example.com
            in preferred-nodes of r0: one of n1 and n2.example.com, or take it out
    "#]],
    );
}

#[test]
fn files_that_differ_or_are_missing() {
    let mut nodes = vec![node("n1", "n2"), node("n2", "n1"), node("n3", "n1")];
    let file =
        |path: &str, checksum: &str| FileFacts { path: path.to_owned(), bytes: 1, checksum: checksum.to_owned() };
    nodes[2].facts.as_mut().unwrap().files[0].checksum = "2".to_owned();
    for node in &mut nodes[..2] {
        node.facts.as_mut().unwrap().files.push(file("/etc/storage-reactor.d/a.toml", "3"));
    }
    nodes[1].facts.as_mut().unwrap().unknown.push("DRBD's options: no drbdsetup".to_owned());
    // What could not be read on one node is neither another text there nor missing.
    for (node, checksum) in [(0, "4"), (1, ""), (2, "4")] {
        nodes[node].facts.as_mut().unwrap().files.push(file("/etc/drbd.d/closed.res", checksum));
    }
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Warning drift | /etc/drbd.d/r0.res: another text on n3 than on n1 and n2
            ssh n1 cat /etc/drbd.d/r0.res | ssh n3 diff - /etc/drbd.d/r0.res
            scp -p n1:/etc/drbd.d/r0.res n3:/etc/drbd.d/r0.res && ssh n3 drbdadm adjust all     (or the other way round)
        Warning drift | /etc/storage-reactor.d/a.toml: missing on n3
            ssh n1 cat /etc/storage-reactor.d/a.toml | ssh n3 diff - /etc/storage-reactor.d/a.toml
            scp -p n1:/etc/storage-reactor.d/a.toml n3:/etc/storage-reactor.d/a.toml && ssh n3 reactorctl reload     (or the other way round)
        Note drift | n2: not looked at: DRBD's options: no drbdsetup
    "#]],
    );
}

#[test]
fn masks_and_forgotten_drop_ins() {
    let mut nodes = two();
    let unit = |path: &str, unit: &str, mask| UnitFile { path: path.to_owned(), unit: unit.to_owned(), mask };
    nodes[1].facts.as_mut().unwrap().units = vec![
        unit("/run/systemd/system/drbd-services@r0.target", "drbd-services@r0.target", true),
        unit("/etc/systemd/system/ocf.rs@vip_r0.service.d", "ocf.rs@vip_r0.service", false),
        unit("/etc/systemd/system/ocf.rs@vip_r00.service.d", "ocf.rs@vip_r00.service", false),
        unit("/etc/systemd/system/drbd-promote@old.service", "drbd-promote@old.service", true),
        unit("/run/systemd/system/drbd-promote@old.service.d", "drbd-promote@old.service", false),
    ];
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error units r0 | n2: /run/systemd/system/drbd-services@r0.target: drbd-services@r0.target is masked
            systemctl unmask --runtime drbd-services@r0.target
        Warning units | n2: /etc/systemd/system/ocf.rs@vip_r00.service.d: drop-ins for ocf.rs@vip_r00.service, which no promoter uses
            systemctl cat ocf.rs@vip_r00.service
            rm -r /etc/systemd/system/ocf.rs@vip_r00.service.d && systemctl daemon-reload
        Note units | n2: /etc/systemd/system/drbd-promote@old.service: drbd-promote@old.service is masked
            systemctl unmask drbd-promote@old.service
    "#]],
    );
}

#[test]
fn clocks_versions_and_a_kernel_that_calls_no_handler() {
    let mut nodes = two();
    nodes[1].clock = Some((-61_500, 200));
    nodes[1].status.as_mut().unwrap().version = "2".to_owned();
    nodes[0].facts.as_mut().unwrap().usermode_helper = Some("disabled".to_owned());
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
            Warning clocks | n2: its clock is 61.5 s behind that of n1
                on n2: timedatectl     (is NTP active, and synchronized?)
                systemctl restart systemd-timesyncd, or chronyc makestep
            Note kernel | n1: usermode_helper=disabled: DRBD calls no handlers
                LINSTOR sets it: leave it so there
            Note versions | all nodes: different versions: 1 on n1, 2 on n2
        "#]],
    );
    // A slow way to a node is no wrong clock.
    let mut nodes = two();
    nodes[1].clock = Some((2_500, 2_000));
    assert_eq!(text(&settings(|_| {}), &nodes), "");
}

#[test]
fn a_kernel_with_other_words_than_our_rules() {
    let with_events = || {
        let mut settings = settings(|_| {});
        let events = PluginSettings::Events(EventsSettings::default());
        settings.plugins.push(PluginEntry { file: "a.toml".into(), line: 9, settings: events });
        settings
    };
    let nodes = |wordings: [Wordings; 2]| {
        let mut nodes = two();
        for (node, mut wordings) in nodes.iter_mut().zip(wordings) {
            wordings.kernel = "6.12.1".to_owned();
            node.facts.as_mut().unwrap().wordings = Some(wordings);
        }
        nodes
    };
    let reworded = |event: &str, severity: &str| Reworded {
        event: event.to_owned(),
        severity: severity.to_owned(),
        files: vec!["drivers/md/dm-mpath.c".to_owned()],
    };
    let two = [reworded("MPATH_PATH_FAILED", "error"), reworded("MPATH_PATH_REINSTATED", "notice")];
    let bad = Wordings { judged: 90, reworded: two.to_vec(), ..Wordings::default() };
    let good = Wordings { judged: 90, ..Wordings::default() };
    check(
        &with_events(),
        &nodes([bad, good.clone()]),
        &expect![[r#"
        Warning wordings | n1: kernel 6.12.1 words 2 of the types of storage events otherwise than our rules know: they may be missed
          - MPATH_PATH_FAILED (error): nothing like it in drivers/md/dm-mpath.c
          - MPATH_PATH_REINSTATED (notice): nothing like it in drivers/md/dm-mpath.c
            a newer version of Storage Reactor may know them; until then write rules for the new words: [[events.rule]]
        Note wordings | n2: kernel 6.12.1 has the messages of all 90 storage rules that it could be asked for
    "#]],
    );
    let many = Wordings { judged: 90, reworded: vec![reworded("A", "notice"); 12], ..Wordings::default() };
    let none =
        Wordings { why_not: Some("debugfs is not mounted at /sys/kernel/debug".to_owned()), ..Wordings::default() };
    check(
        &with_events(),
        &nodes([many, none]),
        &expect![[r#"
        Note wordings | n1: kernel 6.12.1 words 12 of the types of storage events otherwise than our rules know: they may be missed
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - A (notice): nothing like it in drivers/md/dm-mpath.c
          - and 4 more
            a newer version of Storage Reactor may know them; until then write rules for the new words: [[events.rule]]
        Note wordings | n2: whether kernel 6.12.1 words its messages of storage as our rules know them was not checked
    "#]],
    );
    assert_eq!(text(&settings(|_| {}), &nodes([good.clone(), good])), "", "nobody wants to know of events");
}

#[test]
fn parameters_of_agents() {
    let with = |parameters: &[(&str, &str)]| {
        settings(|one| {
            if let StartEntry::Ocf { parameters: given, .. } = &mut one.start[0].what {
                *given = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            }
        })
    };
    check(
        &with(&[("adress", "192.0.2.1"), ("nic", "eth0")]),
        &two(),
        &expect![[r#"
        Error agents r0 | start of r0: ocf:heartbeat:IPaddr2 vip: the parameter ip is missing
            OCF_ROOT=/usr/lib/ocf /usr/lib/ocf/resource.d/heartbeat/IPaddr2 meta-data
        Warning agents r0 | start of r0: ocf:heartbeat:IPaddr2 vip: the agent has no parameter adress
            OCF_ROOT=/usr/lib/ocf /usr/lib/ocf/resource.d/heartbeat/IPaddr2 meta-data
    "#]],
    );
}

/// DRBD has found it: then it is one, whatever the numbers say, and also where only one side answers, or the connection is gone as with DRBD 8.4.
#[test]
fn a_split_brain_that_drbd_has_found_is_one() {
    let split = |node: &mut Node, peer: &str| {
        let id = node.connection(peer).peer_node_id;
        let found = WireSplitBrain { peer_node_id: id, peer: Some(peer.to_owned()), evidence: "kernel".to_owned() };
        node.drbd().split_brains = vec![found];
        node.connection(peer).fields.connection_state = "StandAlone".to_owned();
    };
    let mut nodes = two();
    split(&mut nodes[0], "n2");
    split(&mut nodes[1], "n1");
    let said = text(&settings(|_| {}), &nodes);
    assert!(said.contains("r0 between n1 and n2: split brain"), "{said}");
    let alone = text(&settings(|_| {}), &nodes[..1]);
    assert!(alone.contains("n1 connection to n2: split brain") && !alone.contains("journalctl"), "{alone}");
    // A daemon that starts then is shown a connection, and not to whom it was: that is the same one.
    nodes[1].drbd().connections.clear();
    nodes[0].connection("n2").fields.name = None;
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error split-brain r0 | r0 on n1 and n2: split brain
          - n1: Secondary, StandAlone, 0 KiB written since they parted, volume 0 UpToDate
          - n2: Secondary, no connection, volume 0 UpToDate
            first look at the data of both sides: what is thrown away is gone. Then
            on the node whose data is thrown away, if a promoter has it: reactorctl stop r0
            on the same: drbdadm secondary r0
            on the same: drbdadm connect --discard-my-data r0
            on the other one: drbdadm connect r0
            on the first, when it is UpToDate: reactorctl start r0
    "#]],
    );
    for node in &mut nodes {
        node.drbd().connections.clear();
    }
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error split-brain r0 | r0 on n1 and n2: split brain
          - n1: Secondary, no connection, volume 0 UpToDate
          - n2: Secondary, no connection, volume 0 UpToDate
            first look at the data of both sides: what is thrown away is gone. Then
            on the node whose data is thrown away, if a promoter has it: reactorctl stop r0
            on the same: drbdadm secondary r0
            on the same: drbdadm connect --discard-my-data r0
            on the other one: drbdadm connect r0
            on the first, when it is UpToDate: reactorctl start r0
    "#]],
    );
}

#[test]
fn split_brain_says_who_would_lose_how_much_and_the_commands() {
    let mut nodes = two();
    for (node, kib, role) in [(0, 5_000, "Primary"), (1, 12, "Secondary")] {
        let resource = nodes[node].drbd();
        resource.fields.role = role.to_owned();
        resource.connections[0].fields.connection_state = "StandAlone".to_owned();
        resource.connections[0].peer_devices[0].fields.out_of_sync_kib = Some(kib);
    }
    nodes[1].status.as_mut().unwrap().promoted =
        vec![PromotedStatus { resource: "r0".to_owned(), ..PromotedStatus::default() }];
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
            Error split-brain r0 | r0 between n1 and n2: split brain
              - n1: Primary, StandAlone, 4.8 MiB written since they parted, volume 0 UpToDate
              - n2: Secondary, StandAlone, 12 KiB written since they parted, volume 0 UpToDate
                first look at the data of both sides: what is thrown away is gone. Then one of the two
                to throw away the 12 KiB that n2 has written:
                on n2: reactorctl stop r0
                on n2: drbdadm disconnect r0:n1
                on n2: drbdadm secondary r0
                on n2: drbdadm connect --discard-my-data r0:n1
                on n1: drbdadm connect r0:n2
                on n2, when it is UpToDate: reactorctl start r0
                or, to throw away the 4.8 MiB that n1 has written:
                on n1: drbdadm disconnect r0:n2
                on n1: drbdadm secondary r0
                on n1: drbdadm connect --discard-my-data r0:n2
                on n2: drbdadm connect r0:n1
        "#]],
    );
    // Whoever asks may call the nodes otherwise than DRBD does: a nickname, a long name. Its tools want DRBD's.
    let mut otherwise = nodes.clone();
    (otherwise[0].name, otherwise[1].name) = ("left".to_owned(), "n2.example.com".to_owned());
    let said = text(&settings(|_| {}), &otherwise);
    assert!(said.contains("r0 between left and n2.example.com: split brain"), "{said}");
    assert!(said.contains("on n2.example.com: drbdadm connect --discard-my-data r0:n1\n"), "{said}");
    assert!(said.contains("on left: drbdadm connect r0:n2\n"), "{said}");
    // Only one side has written: no data is lost.
    nodes[1].drbd().connections[0].peer_devices[0].fields.out_of_sync_kib = Some(0);
    nodes[1].drbd().connections[0].fields.connection_state = "Connecting".to_owned();
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
            Error split-brain r0 | r0 between n1 and n2: StandAlone on n1
              - n1: Primary, StandAlone, 4.8 MiB written since they parted, volume 0 UpToDate
              - n2: Secondary, Connecting, 0 KiB written since they parted, volume 0 UpToDate
                on n1: drbdadm connect r0:n2
        "#]],
    );
    // The other side says nothing.
    check(
        &settings(|_| {}),
        &nodes[..1],
        &expect![[r#"
            Error split-brain r0 | n1 connection to n2: StandAlone
              - n1: Primary, StandAlone, 4.8 MiB written since they parted, volume 0 UpToDate
                journalctl -k -g 'drbd r0.*Split-Brain'     (on both nodes: was it one?)
                if it was none: drbdadm connect r0:n2
                if it was: reactorctl doctor --context NAME, with both nodes in the context, names what each side would lose
        "#]],
    );
}

/// It stayed a warning for ever, and said neither since when nor what to look at.
#[test]
fn a_connection_that_does_not_come_back_is_an_error_of_both_ends_once() {
    let mut nodes = three();
    nodes[0].loses("n2", 599);
    nodes[1].loses("n1", 12);
    let all = settings(|_| {});
    check(
        &all,
        &nodes,
        &expect![[r#"
        Warning links r0 | between n1 and n2: not connected, for 9 min
          - n1 to n2: r0: Connecting, since 10:00
          - n2 to n1: r0: Connecting, since 10:00
            on n1: ping -c 3 2001:db8::2; nc -zv 2001:db8::2 7000     (a cable, a switch, a firewall)
            on both: journalctl -k -n 50 -g 'drbd r0'     (what DRBD says of each attempt)
    "#]],
    );
    nodes[0].loses("n2", 600);
    assert!(text(&all, &nodes).starts_with("Error links r0 | between n1 and n2: not connected, for 10 min\n"));
    // DRBD there does not know the resource.
    nodes[1].drbd().name = "r1".to_owned();
    nodes[1].connection("n1").fields.connection_state = "Connected".to_owned();
    check(
        &all,
        &nodes,
        &expect![[r#"
        Error links r0 | between n1 and n2: not connected, for 10 min
          - n1 to n2: r0: Connecting, since 10:00
          - n2: DRBD does not have r0 there
            on n2: drbdadm up r0
    "#]],
    );
}

#[test]
fn a_node_that_has_lost_all_others_is_one_finding() {
    let mut nodes = three();
    for (node, peer) in [(0, "n2"), (1, "n1"), (1, "n3"), (2, "n2")] {
        nodes[node].loses(peer, 100_000);
    }
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error links r0 | n2: cut off: not connected with n1 and n3, for at least 27 h
          - n1 to n2: r0: Connecting, since 10:00
          - n2 to n1: r0: Connecting, since 10:00
          - n2 to n3: r0: Connecting, since 10:00
          - n3 to n2: r0: Connecting, since 10:00
            on n1: ping -c 3 2001:db8::2; nc -zv 2001:db8::2 7000     (a cable, a switch, a firewall)
            on both: journalctl -k -n 50 -g 'drbd r0'     (what DRBD says of each attempt)
    "#]],
    );
    // Nobody has asked them.
    let mut alone = three().remove(0);
    alone.loses("n2", 30);
    check(
        &settings(|_| {}),
        &[alone],
        &expect![[r#"
        Warning links r0 | n1 connection to n2: not connected, for 30 s
          - n1 to n2: r0: Connecting, since 10:00
            does n2 have power, and a network? Its console says; and there: drbdadm status r0
            on n1: ping -c 3 2001:db8::2; nc -zv 2001:db8::2 7000     (a cable, a switch, a firewall)
            on both: journalctl -k -n 50 -g 'drbd r0'     (what DRBD says of each attempt)
    "#]],
    );
}

/// It was said that nothing is known of it, and that it is one node less to take over.
#[test]
fn of_a_node_that_does_not_answer_its_peers_tell() {
    let mut nodes = three();
    nodes[2].falls_silent();
    for node in &mut nodes[..2] {
        node.connection("n3").fields.peer_role = "Primary".to_owned();
        node.promotes("standby", "n3 is Primary");
    }
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error daemon | n3: no answer: timed out; the node is up: n1 and n2 are connected to its DRBD
          - Primary there: r0
            ssh it
    "#]],
    );
    for node in &mut nodes[..2] {
        node.connection("n3").fields.peer_role = "Unknown".to_owned();
        node.loses("n3", 300);
        node.promotes("running", "");
    }
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error daemon | n3: no answer: timed out; n1 and n2 are not connected to it either, for 5 min
            does n3 have power, and a network? Its console says
            ssh it
    "#]],
    );
    let mut nobody = Node { name: "n1".to_owned(), ..Node::default() };
    nobody.falls_silent();
    check(
        &settings(|_| {}),
        &[nobody],
        &expect![[r#"
        Error daemon | n1: no answer: timed out
            ssh it
    "#]],
    );
}

#[test]
fn what_runs_nowhere_is_said_with_the_reason_of_each_node() {
    let mut nodes = three();
    let blocked = nodes[0].promotes("blocked", "it failed 3 times within 10 min");
    blocked.last_failure = Some("db.service: exit-code".to_owned());
    blocked.units =
        vec![UnitStatus { unit: "db.service".to_owned(), active: "failed".to_owned(), ..UnitStatus::default() }];
    nodes[1].promotes("held", "held by root: disk");
    let all = settings(|_| {});
    check(
        &all,
        &nodes,
        &expect![[r#"
        Error nowhere r0 | r0: runs nowhere
          - n1: blocked: it failed 3 times within 10 min; db.service: exit-code; unit db.service has failed
          - n2: held: held by root: disk
          - n3: no promoter has it there
            on n1: systemctl status db.service
            on n1, when that is mended: reactorctl clear r0
            on n2: reactorctl release r0     (whoever said so may have a reason)
    "#]],
    );
    // The third does not answer, and nobody is connected to it: it may run there.
    nodes[2].falls_silent();
    nodes[0].loses("n3", 30);
    nodes[1].loses("n3", 30);
    let said = text(&all, &nodes);
    assert!(said.contains("runs nowhere, as far as is known: nobody who answers sees n3\n"), "{said}");
    // It does, as one of them sees.
    nodes[0].connection("n3").fields.connection_state = "Connected".to_owned();
    nodes[0].connection("n3").fields.peer_role = "Primary".to_owned();
    assert!(!text(&all, &nodes).contains("nowhere"));
    // It was asked for; it is about to start.
    let mut nodes = three();
    for (state, expected) in [
        ("drained", "Warning nowhere r0 | r0: runs nowhere: it was asked for\n"),
        ("waiting", "Warning nowhere r0 | r0: runs nowhere just now\n"),
        ("standby", "Error nowhere r0 | r0: runs nowhere\n"),
        ("running", ""),
    ] {
        nodes[0].promotes(state, "so");
        nodes[1].promotes("held", "held by root");
        let said = text(&all, &nodes);
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }
}

/// Without a context: as far as this node and its peers know.
#[test]
fn what_runs_nowhere_as_far_as_one_node_knows() {
    let mut nodes = three();
    nodes.truncate(1);
    nodes[0].promotes("standby", "DRBD says may_promote:no");
    nodes[0].loses("n3", 30);
    check(
        &settings(|_| {}),
        &nodes,
        &expect![[r#"
        Error nowhere r0 | r0: runs nowhere, as far as is known: nobody who answers sees n3
          - n1: standby: DRBD says may_promote:no
          - n2: not asked; , as n1 says
          - n3: not asked, and not connected
            on n1: reactorctl why r0
        Warning links r0 | n1 connection to n3: not connected, for 30 s
          - n1 to n3: r0: Connecting, since 10:00
            does n3 have power, and a network? Its console says; and there: drbdadm status r0
            on n1: ping -c 3 2001:db8::2; nc -zv 2001:db8::2 7000     (a cable, a switch, a firewall)
            on both: journalctl -k -n 50 -g 'drbd r0'     (what DRBD says of each attempt)
    "#]],
    );
}

#[test]
fn the_same_at_several_places_is_told_once() {
    let one = |place: &str, what: &str| finding(Severity::Note, "config", place, what);
    let all = told(vec![one("n1", "a"), one("n1", "b"), one("n2", "a"), one("n2", "a")]);
    assert_eq!(all, [one("n1, n2", "a"), one("n1", "b")]);
}
