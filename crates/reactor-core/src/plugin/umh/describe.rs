//! What happened, in one line: the first reason of every handler.

use std::fmt::{Display, Write};

use crate::change::{Change, HelperEvent, What};
use crate::ids::{PeerNodeId, Volume};

/// One line about a change, for example `r1 volume 0: Change (live, seq 12): disk UpToDate -> Failed`.
pub(super) fn change(change: &Change) -> String {
    let mut line = Line(format!("{}", change.resource));
    match &change.what {
        What::Resource { .. } | What::Renamed { .. } => {}
        What::Device { volume, .. } => line.volume(*volume),
        What::Connection { peer, .. } => line.peer(*peer),
        What::PeerDevice { peer, volume, .. } => {
            line.volume(*volume);
            line.peer(*peer);
        }
        What::Path { peer, path, .. } => {
            line.peer(*peer);
            line.say(format_args!(" path {} {}", path.local, path.peer));
        }
        What::Helper(event) => return helper(line, change, event),
    }
    line.say(format_args!(": {} ({}, seq {})", change.kind.as_str(), change.origin.as_str(), change.seq));
    differences(&mut line, &change.what);
    line.0
}

fn helper(mut line: Line, change: &Change, event: &HelperEvent) -> String {
    if let Some(volume) = event.volume {
        line.volume(volume);
    }
    if let Some(peer) = event.peer {
        line.peer(peer);
    }
    match event.status {
        None => line.say(format_args!(": DRBD called helper {} (seq {})", event.helper, change.seq)),
        Some(status) => {
            line.say(format_args!(
                ": helper {} came back with wait status {status} (seq {})",
                event.helper, change.seq
            ));
        }
    }
    line.0
}

fn differences(line: &mut Line, what: &What) {
    match what {
        What::Resource { old, new } => {
            line.differs("role", Some(&old.role), Some(&new.role));
            line.differs("may_promote", Some(old.may_promote), Some(new.may_promote));
            line.differs("promotion_score", old.promotion_score, new.promotion_score);
            line.differs("suspended", Some(&old.suspended), Some(&new.suspended));
            line.differs("force-io-failures", old.force_io_failures, new.force_io_failures);
        }
        What::Device { old, new, .. } => {
            let (old, new) = (&old.state, &new.state);
            line.differs("disk", Some(&old.disk), Some(&new.disk));
            line.differs("client", old.client, new.client);
            line.differs("quorum", old.quorum, new.quorum);
            line.differs("size", old.size_kib, new.size_kib);
            line.differs("open", old.open, new.open);
        }
        What::Connection { old, new, .. } => {
            let (old, new) = (&old.state, &new.state);
            line.differs("conn-name", old.conn_name.as_ref(), new.conn_name.as_ref());
            line.differs("connection", Some(&old.connection), Some(&new.connection));
            line.differs("role", Some(&old.peer_role), Some(&new.peer_role));
            line.differs("congested", old.congested, new.congested);
        }
        What::PeerDevice { old, new, .. } => {
            let (old, new) = (&old.state, &new.state);
            line.differs("replication", Some(&old.replication), Some(&new.replication));
            line.differs("peer-disk", Some(&old.peer_disk), Some(&new.peer_disk));
            line.differs("peer-client", old.peer_client, new.peer_client);
            line.differs("resync-suspended", Some(&old.resync_suspended), Some(&new.resync_suspended));
        }
        What::Path { old, new, .. } => line.differs("established", old.established, new.established),
        What::Renamed { .. } | What::Helper(_) => {}
    }
}

struct Line(String);

impl Line {
    fn say(&mut self, what: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{what}");
    }

    fn volume(&mut self, volume: Volume) {
        self.say(format_args!(" volume {volume}"));
    }

    fn peer(&mut self, peer: PeerNodeId) {
        self.say(format_args!(" peer {peer}"));
    }

    fn differs<T: Display + PartialEq>(&mut self, field: &str, old: Option<T>, new: Option<T>) {
        if old == new {
            return;
        }
        self.say(format_args!(", {field} "));
        match old {
            Some(old) => self.say(old),
            None => self.say("?"),
        }
        self.say(" -> ");
        match new {
            Some(new) => self.say(new),
            None => self.say("?"),
        }
    }
}
