//! One call: asked, followed by its job if it has one, and ended in any case.

use std::future::Future;
use std::sync::Arc;

use reactor_core::action::UnitCall;
use reactor_core::systemd::{FreezerState, UnitEnd, UnitVerb};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use zbus::{DBusError as _, Error, Message};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::state::{UNIT, path};
use super::{CALL, Live, MANAGER, MANAGER_PATH, SYSTEMD};

/// See the module's head.
pub(super) async fn carry_out(live: &Live, lives: watch::Receiver<Option<Live>>, call: &UnitCall) -> UnitEnd {
    let end = unless_gone(live, lives, ask_and_wait(live, call)).await;
    end.unwrap_or_else(|| UnitEnd::NoBus { why: "the connection was lost before the outcome was known".to_owned() })
}

/// Waits for `work`; `None` = the connection that it was begun on is no longer the one that works.
pub(super) async fn unless_gone<T>(
    live: &Live,
    mut lives: watch::Receiver<Option<Live>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let is_gone = |now: &Option<Live>| now.as_ref().is_none_or(|now| !Arc::ptr_eq(&now.jobs, &live.jobs));
    tokio::select! {
        result = work => Some(result),
        // An error says that the task that keeps the connection up is gone too.
        _ = lives.wait_for(is_gone) => None,
    }
}

async fn ask_and_wait(live: &Live, call: &UnitCall) -> UnitEnd {
    let deadline = Instant::now() + call.deadline;
    let unit = call.unit.as_str();
    for unit in &call.reset {
        reset_failed(live, unit.as_str()).await;
    }
    let asked = match call.verb {
        UnitVerb::Start => ask(live, "StartUnit", &(unit, "replace")).await,
        UnitVerb::Stop => ask(live, "StopUnit", &(unit, "replace")).await,
        UnitVerb::Freeze => ask(live, "FreezeUnit", &(unit,)).await,
        UnitVerb::Thaw => ask(live, "ThawUnit", &(unit,)).await,
    };
    let reply = match asked {
        Ok(reply) => reply,
        Err(end) => return end,
    };
    match call.verb {
        UnitVerb::Freeze => verify(live, unit, &[FreezerState::Frozen, FreezerState::Freezing]).await,
        UnitVerb::Thaw => verify(live, unit, &[FreezerState::Running, FreezerState::Thawing]).await,
        UnitVerb::Start | UnitVerb::Stop => {
            let Ok(job) = reply.body().deserialize::<OwnedObjectPath>() else {
                return UnitEnd::NoBus { why: "systemd's answer names no job".to_owned() };
            };
            match timeout_at(deadline, live.jobs.wait(job.as_str())).await {
                Ok(Ok(result)) if result == "done" => UnitEnd::Done,
                Ok(Ok(result)) => UnitEnd::Job(result),
                Ok(Err(_)) => UnitEnd::NoBus { why: "the connection is gone".to_owned() },
                Err(_) => UnitEnd::TimedOut,
            }
        }
    }
}

/// Only sends the question: systemd carries out what comes on one connection in order, so the call that follows finds the failure reset.
/// Whether there was one to reset does not matter.
async fn reset_failed(live: &Live, unit: &str) {
    let message = Message::method_call(MANAGER_PATH, "ResetFailedUnit")
        .destination(SYSTEMD)
        .interface(MANAGER)
        .with_flags(zbus::message::Flags::NO_REPLY_EXPECTED)
        .build(&(unit,));
    match message {
        // That the connection is gone is told by the next call.
        Ok(message) => drop(live.connection.send(&message).await),
        Err(error) => tracing::error!(unit, %error, "can't ask for a reset"),
    }
}

/// Asks the manager.
async fn ask<B>(live: &Live, method: &str, body: &B) -> Result<Message, UnitEnd>
where
    B: serde::Serialize + zbus::DynamicType,
{
    answer(live, live.connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), method, body)).await
}

/// Waits for an answer, as long as systemd may be busy with something else.
async fn answer(live: &Live, call: impl Future<Output = zbus::Result<Message>>) -> Result<Message, UnitEnd> {
    let waiting = live.calls.begin();
    tokio::select! {
        result = call => result.map_err(refused),
        () = live.calls.late(waiting.asked, CALL) => Err(UnitEnd::TimedOut),
    }
}

fn refused(error: Error) -> UnitEnd {
    match error {
        Error::MethodError(name, message, _) => {
            UnitEnd::Refused { error: name.to_string(), message: message.unwrap_or_else(|| "no message".to_owned()) }
        }
        Error::FDO(error) => {
            let name = error.name().to_string();
            let is_bus =
                ["Disconnected", "NoServer", "NameHasNoOwner", "ServiceUnknown", "NoReply", "Timeout", "TimedOut"];
            if is_bus.iter().any(|word| name.ends_with(&format!(".{word}"))) {
                return UnitEnd::NoBus { why: error.to_string() };
            }
            UnitEnd::Refused { message: error.description().unwrap_or("no message").to_owned(), error: name }
        }
        error => UnitEnd::NoBus { why: error.to_string() },
    }
}

/// A property of a unit that is a word.
pub(super) async fn property(live: &Live, unit: &str, name: &str) -> Result<String, UnitEnd> {
    let properties = "org.freedesktop.DBus.Properties";
    let what = (UNIT, name);
    let get = live.connection.call_method(Some(SYSTEMD), path(unit), Some(properties), "Get", &what);
    let reply = answer(live, get).await?;
    match reply.body().deserialize::<OwnedVariant>().as_deref() {
        Ok(Variant::Str(word)) => Ok(word.as_str().to_owned()),
        _ => Err(UnitEnd::NoBus { why: format!("systemd does not say {name}") }),
    }
}

/// Whether the freezer did what it was asked for.
async fn verify(live: &Live, unit: &str, wanted: &[FreezerState]) -> UnitEnd {
    let state = match property(live, unit, "FreezerState").await {
        Ok(word) => FreezerState::from(word.as_str()),
        Err(end) => return end,
    };
    if wanted.contains(&state) {
        return UnitEnd::Done;
    }
    UnitEnd::Refused { error: "FreezerState".to_owned(), message: format!("{unit} is {state}") }
}
