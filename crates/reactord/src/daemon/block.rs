//! What clients ask about storage: events, incidents, block devices. The loop says what is known and where, and no more: the answer is made beside it.

use reactor_api::verbs::{BlockInfo, Incidents, MonitorEvents, QueryEvents};
use reactor_sys::control::{Asked, KnownIncidents, StorageEvents};
use reactor_sys::storage::blocks::Blocks;

use super::Daemon;
use super::requests::Answer;

impl Answer<QueryEvents> for Daemon {
    fn answer(&mut self, asked: Asked<QueryEvents>) {
        let blocks = self.blocks();
        let _ = asked.reply.send(self.chronicle.ledgers().map(|ledgers| StorageEvents { ledgers, blocks }));
    }
}

impl Answer<MonitorEvents> for Daemon {
    fn answer(&mut self, asked: Asked<MonitorEvents>) {
        let blocks = self.blocks();
        let _ = asked.reply.send(self.chronicle.ledgers().map(|ledgers| StorageEvents { ledgers, blocks }));
    }
}

impl Answer<Incidents> for Daemon {
    fn answer(&mut self, asked: Asked<Incidents>) {
        let (open, ledgers) = (self.core.incidents(), self.chronicle.ledgers());
        let _ = asked.reply.send(KnownIncidents { open, ledgers });
    }
}

impl Answer<BlockInfo> for Daemon {
    fn answer(&mut self, asked: Asked<BlockInfo>) {
        let _ = asked.reply.send(self.blocks());
    }
}

impl Daemon {
    fn blocks(&self) -> Blocks {
        let (live, users) = self.storage.blocks(self.configuration.settings());
        Blocks { live, resources: self.core.node().snapshot(), users }
    }
}
