//! High availability: services run where DRBD has good data, and nowhere else.

pub mod report;
pub mod units;

use crate::change::Change;
use crate::settings::promoter::PromoterSettings;
use crate::settings::{Detail, PluginKind};

use super::{Context, Plugin};

/// One `[[promoter]]` table.
pub struct Promoter {
    settings: PromoterSettings,
}

impl Promoter {
    /// One that has seen nothing yet.
    pub fn new(settings: PromoterSettings) -> Self {
        Self { settings }
    }
}

impl Plugin for Promoter {
    fn kind(&self) -> PluginKind {
        PluginKind::Promoter
    }

    fn wants(&self) -> Option<Detail> {
        (!self.settings.resources.is_empty()).then_some(Detail::State)
    }

    fn on_change(&mut self, _cx: &mut Context<'_>, _change: &Change) {}
}
