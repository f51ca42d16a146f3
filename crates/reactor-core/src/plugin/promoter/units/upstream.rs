//! What drbd-reactor would have generated for the same settings, so that users can see what is different (`reactorctl check
//! --against-upstream`). Our four differences are undone: `%` is not doubled, secrets are in the drop-in, the path of the shim is
//! the one that is built into drbd-reactor, and `drbd@NAME.service` is as drbd-utils has it. It knows nothing of DRBD 8.4.

use super::{Exiting, Manner, SHIM, build, is_secret};
use crate::action::GeneratedFile;
use crate::ids::ResourceName;
use crate::input::Dialect;
use crate::settings::promoter::{PromotedResource, Runner, StartEntry};

/// Stands in the place of a secret.
const HIDDEN: &str = "HIDDEN";

/// The files of drbd-reactor; none with the shell runner. They hold the secrets as they are: see [`without_secrets`].
pub fn upstream(resource: &ResourceName, settings: &PromotedResource) -> Vec<GeneratedFile> {
    if settings.runner == Runner::Shell {
        return Vec::new();
    }
    let manner = Manner {
        shim: SHIM,
        secrets: None,
        doubles_percent: false,
        keeps_what_is_up: None,
        after_services: "drbd-reactor.service",
    };
    build(resource, settings, Dialect::Drbd9, manner, Exiting::No)
}

/// The same settings with another word for each secret, for files that are printed.
pub fn without_secrets(settings: &PromotedResource) -> PromotedResource {
    let mut settings = settings.clone();
    for entry in &mut settings.start {
        if let StartEntry::Ocf { parameters, .. } = &mut entry.what {
            for (_, value) in parameters.iter_mut().filter(|(name, _)| is_secret(name)) {
                HIDDEN.clone_into(value);
            }
        }
    }
    settings
}
