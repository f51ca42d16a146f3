//! Commands: what `drbdadm` and `drbdsetup` are asked, how they end.

use reactor_core::drbd::types::{ConnectionState, DiskState};

use super::Cluster;
use super::command::{Command, Reply, Ticket};
use super::lost::fence_steps;
use super::node::Flag;
use super::queue::{Agreed, Event, Message, Step};
use super::spec::{Fencing, NodeIx, Placement, Range, ResIx};
use super::twopc::Refused;

impl Cluster {
    /// Gives a command on a node. A node that is down never answers, a frozen one when it runs on.
    pub fn submit(&mut self, node: NodeIx, command: Command) -> Ticket {
        let ticket = Ticket(self.number());
        let boot = self.nodes[node].boot;
        self.after(self.spec.times.command, Event::Command { node, boot, ticket, command, tries: 0 });
        ticket
    }

    /// The index of a configured resource, by the name it has on this node now.
    pub(super) fn named(&self, node: NodeIx, name: &str) -> Option<ResIx> {
        let renamed = self.nodes[node].resources.iter().find(|(_, resource)| resource.name == name).map(|(ix, _)| *ix);
        renamed.or_else(|| {
            let ix = self.spec.resources.iter().position(|resource| resource.name == name)?;
            (self.spec.resources[ix].placement[node] != Placement::Absent).then_some(ix)
        })
    }

    pub(super) fn end_command(&mut self, node: NodeIx, ticket: Option<Ticket>, code: i32, stderr: &str) {
        self.answer(node, ticket, code, String::new(), stderr.to_owned());
    }

    fn answer(&mut self, node: NodeIx, ticket: Option<Ticket>, code: i32, stdout: String, stderr: String) {
        if let Some(ticket) = ticket {
            self.replies.push(Reply { ticket, node, at: self.now, code, stdout, stderr });
        }
    }

    /// Carries a command out, or begins to.
    pub(super) fn run_command(&mut self, node: NodeIx, ticket: Ticket, command: Command, tries: u32) {
        match &command {
            Command::Status { resource } => {
                let text = self.status_json(node, resource.as_deref());
                return self.answer(node, Some(ticket), 0, text, String::new());
            }
            Command::Show { resource } => {
                let text = self.show_json(node, resource.as_deref());
                return self.answer(node, Some(ticket), 0, text, String::new());
            }
            _ => {}
        }
        let name = command.resource().to_owned();
        let Some(res) = self.named(node, &name) else {
            let text = format!("'{name}' not defined in your config (for this host).\n");
            return self.end_command(node, Some(ticket), 1, &text);
        };
        let configured = matches!(
            command,
            Command::Up { .. } | Command::Adjust { .. } | Command::AdjustLinks { .. } | Command::ShLlDev { .. }
        );
        let down = matches!(command, Command::Down { .. });
        if !self.nodes[node].resources.contains_key(&res) && !configured {
            let code = if down { 0 } else { 10 };
            let text = if down { String::new() } else { format!("{name}: Failure: (158) Unknown resource\n") };
            return self.end_command(node, Some(ticket), code, &text);
        }
        self.run_on(node, res, ticket, command, tries);
    }

    fn run_on(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, command: Command, tries: u32) {
        match command {
            Command::Primary { .. } | Command::Secondary { .. } => self.change_role(node, res, ticket, command, tries),
            Command::Up { .. } | Command::Adjust { .. } => {
                let mut steps = self.steps_to_configuration(node, res);
                steps.push(Step::Done);
                self.start_job(node, res, Some(ticket), steps);
            }
            Command::AdjustLinks { .. } => {
                let mut steps = self.steps_to_configuration(node, res);
                steps.retain(|step| !matches!(step, Step::Attaching(_) | Step::Attached(_)));
                steps.push(Step::Done);
                self.start_job(node, res, Some(ticket), steps);
            }
            Command::Down { .. } => self.down(node, res, ticket),
            Command::Connect { peer, discard_my_data, .. } => self.connect(node, res, ticket, peer, discard_my_data),
            Command::Disconnect { peer, .. } => {
                let peers = peer.map_or_else(|| self.configured_peers(node, res), |peer| vec![peer]);
                let mut steps: Vec<Step> =
                    peers.iter().flat_map(|peer| self.steps_to_disconnect(node, res, *peer)).collect();
                steps.push(Step::Done);
                self.start_job(node, res, Some(ticket), steps);
            }
            Command::Attach { volume, .. } => self.attach(node, res, ticket, volume),
            Command::Detach { volume, .. } => self.detach(node, res, ticket, volume),
            Command::NewCurrentUuid { volume, .. } => self.skip_initial_sync(node, res, ticket, volume),
            Command::Invalidate { volume, .. } => self.invalidate(node, res, ticket, volume),
            Command::SuspendIo { .. } | Command::ResumeIo { .. } => {
                let suspend = matches!(command, Command::SuspendIo { .. });
                self.alter(node, res, |r| r.suspended_user = suspend);
                self.end_command(node, Some(ticket), 0, "");
            }
            Command::Rename { resource, new_name } => {
                if let Some(there) = self.res_mut(node, res) {
                    there.name.clone_from(&new_name);
                }
                self.emit_rename(node, &resource, &new_name);
                self.end_command(node, Some(ticket), 0, "");
            }
            Command::ShLlDev { .. } => {
                let diskful = self.spec.resources[res].placement[node] == Placement::Diskful;
                let line = |volume: &super::VolumeSpec| {
                    format!("{}\n", if diskful { volume.backing.as_str() } else { "none" })
                };
                let text = self.spec.resources[res].volumes.iter().map(line).collect();
                self.answer(node, Some(ticket), 0, text, String::new());
            }
            Command::Status { .. } | Command::Show { .. } => {}
        }
    }

    // ---- roles ----

    /// `primary` and `secondary`: looked at again while the cluster is busy.
    fn change_role(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, command: Command, tries: u32) {
        let (promote, force) = match &command {
            Command::Primary { force, .. } => (true, *force),
            Command::Secondary { force, .. } => (false, *force),
            _ => return,
        };
        let Some(resource) = self.res(node, res) else { return };
        if resource.primary() == promote {
            return self.end_command(node, Some(ticket), 0, "");
        }
        if !promote && !force && resource.opens() > 0 {
            return self.refuse(node, res, Some(ticket), Refused::HeldOpen);
        }
        let boot = self.nodes[node].boot;
        let members = self.reach(node, res);
        if self.probe(&members, res) {
            let again = Event::Command { node, boot, ticket, command, tries };
            return self.after(Range::ms(100, 200), again);
        }
        if let Some(lock) = self.locked_by(&members, res) {
            if promote && lock.promotes && lock.owner != node && tries == 0 && self.rng.below(3) == 0 {
                return self.refuse_later(node, ticket, &command, Refused::DeclinedBy(lock.owner));
            }
            let again = Event::Command { node, boot, ticket, command, tries: tries + 1 };
            return self.after(Range::ms(20, 60), again);
        }
        let settling = |member: &NodeIx| {
            self.res(*member, res).is_some_and(|r| r.devices.iter().any(|d| d.disk == DiskState::Consistent))
        };
        if promote && !force && tries < 200 && members.iter().any(settling) {
            let again = Event::Command { node, boot, ticket, command, tries: tries + 1 };
            return self.after(Range::ms(20, 60), again);
        }
        if promote {
            if let Some(refused) = self.promotion_refused(node, res, force) {
                if refused == Refused::TwoPrimaries {
                    return self.refuse_later(node, ticket, &command, refused);
                }
                return self.refuse(node, res, Some(ticket), refused);
            }
            if self.fence_before(node, res, ticket, &command) {
                return;
            }
            self.prepare(node, res, Agreed::Promote { force }, Some(ticket));
        } else {
            self.prepare(node, res, Agreed::Demote { force }, Some(ticket));
        }
    }

    /// A commit fell through because the cluster changed: once more.
    pub(super) fn retry_role(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, promote: bool, force: bool) {
        let Some(resource) = self.res(node, res) else { return };
        let resource = resource.name.clone();
        let command =
            if promote { Command::Primary { resource, force } } else { Command::Secondary { resource, force } };
        let boot = self.nodes[node].boot;
        self.after(Range::ms(20, 80), Event::Command { node, boot, ticket, command, tries: 1 });
    }

    /// In fencing mode the handler decides first. Gives whether it was called.
    fn fence_before(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, command: &Command) -> bool {
        let options = self.options(res);
        let (true, Some(exit)) = (options.fencing != Fencing::DontCare, options.fence_peer) else { return false };
        let Some(resource) = self.res(node, res) else { return false };
        let unknown = resource.connections.iter().find(|(peer, c)| {
            self.spec.resources[res].placement[**peer] == Placement::Diskful
                && c.peer_devices.iter().any(|device| device.disk == DiskState::DUnknown)
        });
        let Some((peer, _)) = unknown else { return false };
        let mut steps = fence_steps(*peer, exit);
        if matches!(exit, 4..=7) {
            steps.push(Step::Again(command.clone()));
            self.start_job(node, res, Some(ticket), steps);
        } else {
            self.start_job(node, res, None, steps);
            let text = refusal_text(command.resource(), "-7", "Refusing to be Primary while peer is not outdated", "");
            self.end_command(node, Some(ticket), 11, &text);
        }
        true
    }

    fn refuse_later(&mut self, node: NodeIx, ticket: Ticket, command: &Command, refused: Refused) {
        let text = self.refusal(node, command.resource(), refused);
        let at = self.now.after(self.draw(self.spec.times.race_lost));
        self.at(at, Event::Refuse { node, boot: self.nodes[node].boot, ticket, text });
    }

    pub(super) fn refuse(&mut self, node: NodeIx, res: ResIx, ticket: Option<Ticket>, refused: Refused) {
        let name = self.res(node, res).map_or(String::new(), |resource| resource.name.clone());
        let text = self.refusal(node, &name, refused);
        self.end_command(node, ticket, 11, &text);
    }

    fn refusal(&self, node: NodeIx, name: &str, refused: Refused) -> String {
        let res = self.named(node, name);
        match refused {
            Refused::TwoPrimaries => refusal_text(name, "-1", "Multiple primaries not allowed by config", ""),
            Refused::NoUpToDateDisk => refusal_text(name, "-2", "Need access to UpToDate data", ""),
            Refused::DeclinedBy(peer) => {
                let more =
                    format!("Declined by peer {} (id: {peer}), see the kernel log there\n", self.spec.nodes[peer]);
                refusal_text(name, "-10", "State change was refused by peer node", &more)
            }
            Refused::HeldOpen => {
                let mut more = String::new();
                for (volume, device) in
                    res.and_then(|res| self.res(node, res)).map_or(&[][..], |r| &r.devices).iter().enumerate()
                {
                    if device.opens > 0 {
                        let minor = res.map_or(0, |res| self.spec.resources[res].volumes[volume].minor);
                        let line = format!(
                            "/dev/drbd{minor} open_cnt:{}, writable:{}; list of openers follows\n",
                            device.opens, device.opens
                        );
                        more.push_str(&line);
                    }
                }
                refusal_text(name, "-12", "Device is held open by someone", &more)
            }
            Refused::NoQuorum => {
                let seen = res.map_or(1, |res| self.reach(node, res).len());
                let all = res.map_or(1, |res| self.configured_peers(node, res).len() + 1);
                refusal_text(name, "-25", "No quorum", &format!("{seen} of {all} nodes visible\n"))
            }
        }
    }

    // ---- the others ----

    fn down(&mut self, node: NodeIx, res: ResIx, ticket: Ticket) {
        let Some(resource) = self.res_mut(node, res) else { return };
        if resource.opens() > 0 {
            return self.refuse(node, res, Some(ticket), Refused::HeldOpen);
        }
        if resource.primary() {
            resource.role = reactor_core::drbd::types::Role::Secondary;
            self.changed(node, res);
            self.tell_role(node, res);
        }
        let mut steps = self.steps_to_down(node, res);
        steps.push(Step::Done);
        self.start_job(node, res, Some(ticket), steps);
    }

    fn connect(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, peer: Option<NodeIx>, discard: bool) {
        let peers = peer.map_or_else(|| self.configured_peers(node, res), |peer| vec![peer]);
        let mut steps = Vec::new();
        for peer in peers {
            let Some(connection) = self.res_mut(node, res).and_then(|r| r.connections.get_mut(&peer)) else { continue };
            if connection.state == ConnectionState::StandAlone {
                connection.discard = discard;
                steps.push(Step::Connect(peer));
            }
        }
        steps.push(Step::Done);
        self.start_job(node, res, Some(ticket), steps);
    }

    /// The index of a volume number.
    pub(super) fn volume(&self, res: ResIx, number: u32) -> Option<usize> {
        self.spec.resources[res].volumes.iter().position(|volume| volume.number == number)
    }

    fn attach(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, number: u32) {
        let volume = self.volume(res, number);
        let usable = volume
            .filter(|volume| self.nodes[node].disks[res][*volume].is_some_and(|disk| !disk.failing))
            .filter(|volume| self.res(node, res).is_some_and(|r| r.devices[*volume].disk == DiskState::Diskless));
        let Some(volume) = usable else {
            return self.end_command(
                node,
                Some(ticket),
                20,
                "the device is attached already, or its disk does not work\n",
            );
        };
        let steps = vec![Step::Attaching(volume), Step::Attached(volume), Step::Done];
        self.start_job(node, res, Some(ticket), steps);
    }

    fn detach(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, number: u32) {
        let (Some(volume), Some(resource)) = (self.volume(res, number), self.res(node, res)) else { return };
        if resource.devices[volume].disk == DiskState::Diskless {
            return self.end_command(node, Some(ticket), 0, "");
        }
        let elsewhere = resource.connected().any(|(_, c)| c.peer_devices[volume].disk == DiskState::UpToDate);
        if resource.primary() && !elsewhere {
            return self.refuse(node, res, Some(ticket), Refused::NoUpToDateDisk);
        }
        let steps = vec![Step::Detaching(volume), Step::Detached(volume), Step::Done];
        self.start_job(node, res, Some(ticket), steps);
    }
}

/// What is done to the data by hand.
impl Cluster {
    /// `new-current-uuid --clear-bitmap`: all disks of a volume count as equal and good from now on.
    fn skip_initial_sync(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, number: u32) {
        let Some(volume) = self.volume(res, number) else { return };
        self.alter(node, res, |r| {
            r.devices[volume].disk = DiskState::UpToDate;
            for connection in r.connections.values_mut() {
                let device = &mut connection.peer_devices[volume];
                if device.disk == DiskState::Inconsistent {
                    device.disk = DiskState::UpToDate;
                }
            }
        });
        if let Some(disk) = &mut self.nodes[node].disks[res][volume] {
            disk.flag = Flag::Good;
        }
        for peer in self.connected_peers(node, res) {
            self.unfence(node, res, peer, false);
            self.send(node, peer, res, Message::Cleared { volume });
        }
        self.end_command(node, Some(ticket), 0, "");
    }

    /// `invalidate`: the local data is thrown away and synced from a peer.
    fn invalidate(&mut self, node: NodeIx, res: ResIx, ticket: Ticket, number: u32) {
        let Some(volume) = self.volume(res, number) else { return };
        let elsewhere = self
            .res(node, res)
            .is_some_and(|r| r.connected().any(|(_, c)| c.peer_devices[volume].disk == DiskState::UpToDate));
        if !elsewhere {
            return self.refuse(node, res, Some(ticket), Refused::NoUpToDateDisk);
        }
        self.alter(node, res, |r| r.devices[volume].disk = DiskState::Outdated);
        if let Some(disk) = &mut self.nodes[node].disks[res][volume] {
            disk.flag = Flag::Inconsistent;
        }
        self.tell_disks(node, res);
        self.maybe_resync(node, res);
        self.end_command(node, Some(ticket), 0, "");
    }
}

impl Command {
    /// The resource that it is about; empty when it is about all.
    pub fn resource(&self) -> &str {
        match self {
            Self::Primary { resource, .. }
            | Self::Secondary { resource, .. }
            | Self::Adjust { resource }
            | Self::AdjustLinks { resource }
            | Self::Up { resource }
            | Self::Down { resource }
            | Self::Connect { resource, .. }
            | Self::Disconnect { resource, .. }
            | Self::Attach { resource, .. }
            | Self::Detach { resource, .. }
            | Self::NewCurrentUuid { resource, .. }
            | Self::Invalidate { resource, .. }
            | Self::SuspendIo { resource }
            | Self::ResumeIo { resource }
            | Self::Rename { resource, .. }
            | Self::ShLlDev { resource } => resource,
            Self::Show { resource } | Self::Status { resource } => resource.as_deref().unwrap_or_default(),
        }
    }
}

fn refusal_text(name: &str, number: &str, text: &str, more: &str) -> String {
    let info = if more.is_empty() { "" } else { "additional info from kernel:\n" };
    format!("{name}: State change failed: ({number}) {text}\n{info}{more}")
}
