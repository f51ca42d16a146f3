//! What people are told, on its way from the core to whoever delivers it.

use reactor_core::notice::Message;
use tracing::info;

/// Hands a message on.
pub(super) fn tell(message: &Message) {
    info!(receiver = message.receiver, notices = message.notices.len(), "{}", message.title());
}
