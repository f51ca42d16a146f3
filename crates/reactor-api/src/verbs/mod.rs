//! The table of verbs.
//!
//! A new verb is a file here and a line in [`for_each_verb!`](crate::for_each_verb). The compiler then asks for its answer in the daemon
//! (`impl Answer<Verb> for Daemon`); its command is a file in `reactorctl`. ARCHITECTURE.md has the whole list.

mod block;
mod changes;
mod clear;
mod drain;
mod events;
mod helper;
mod history;
mod hold;
mod incidents;
mod leftovers;
mod ping;
mod plan;
mod release;
mod reload;
mod spans;
mod status;
mod stop;
mod survey;
mod undrain;
mod watch;
mod why;
mod yield_;

pub use block::{BlockInfo, BlockInfoReply};
pub use changes::{Changes, ChangesReply};
pub use clear::Clear;
pub use drain::Drain;
pub use events::{MonitorEvents, MonitorEventsReply, QueryEvents, QueryEventsReply};
pub use helper::{Helper, HelperReply};
pub use history::{History, HistoryReply};
pub use hold::{Hold, Outcome};
pub use incidents::{CloseIncident, Incidents, IncidentsReply};
pub use leftovers::{Leftovers, LeftoversReply};
pub use ping::{Ping, PingReply};
pub use plan::{Plan, PlanReply};
pub use release::Release;
pub use reload::{Reload, ReloadReply};
pub use spans::{Spans, SpansReply};
pub use status::{Status, StatusReply};
pub use stop::Stop;
pub use survey::{Survey, SurveyReply};
pub use undrain::Undrain;
pub use watch::{Watch, WatchReply};
pub use why::{Why, WhyReply};
pub use yield_::Yield;

use crate::parameter::{Object, Parameters};
use crate::verb::{Caller, Verb};

/// The table: gives all verbs, in the order of the documents, to a macro.
#[macro_export]
macro_rules! for_each_verb {
    ($use:ident) => {
        $use! { Status, Watch, Changes, Reload, Helper, Why, Plan, Hold, Stop, Yield, Release, Clear, Drain, Undrain, Leftovers, Survey, Ping, History, Spans, Incidents, CloseIncident, QueryEvents, MonitorEvents, BlockInfo }
    };
}

macro_rules! calls {
    ($($verb:ident),+) => {
        /// A call of one of the verbs, understood.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Call {
            $(
                #[doc = concat!("`", stringify!($verb), "`.")]
                $verb($verb),
            )+
        }

        $(
            impl From<$verb> for Call {
                fn from(verb: $verb) -> Self {
                    Self::$verb(verb)
                }
            }
        )+

        impl Call {
            /// Takes a call of the verb `name` out of `parameters`; `None` = there is no such verb; `Err` = a parameter is wrong.
            pub fn take(name: &str, parameters: &mut Parameters) -> Option<Result<Self, &'static str>> {
                match name {
                    $($verb::NAME => Some($verb::take(parameters).map(Self::$verb)),)+
                    _ => None,
                }
            }

            /// Who may make this call.
            pub fn caller(&self) -> Caller {
                match self {
                    $(Self::$verb(verb) => verb.caller(),)+
                }
            }

            /// The name of its verb.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$verb(_) => $verb::NAME,)+
                }
            }

            /// Its parameters, as they go over the wire.
            pub fn parameters(&self) -> serde_json::Value {
                match self {
                    $(Self::$verb(verb) => serde_json::to_value(verb).unwrap_or_default(),)+
                }
            }

            /// Whether who made it, and what became of it, is written down.
            pub fn is_audited(&self) -> bool {
                match self {
                    $(Self::$verb(verb) => verb.is_audited(),)+
                }
            }

            /// Whether it must be one with `more`.
            pub fn needs_more(&self) -> bool {
                match self {
                    $(Self::$verb(verb) => verb.needs_more(),)+
                }
            }
        }

        /// What there is to say of each verb, in the order of the table.
        pub(crate) fn all() -> Vec<Description> {
            vec![$(Description::of::<$verb>()),+]
        }
    };
}
for_each_verb!(calls);

/// What there is to say of a verb.
pub(crate) struct Description {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) caller: Caller,
    pub(crate) root_with: Option<&'static str>,
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) reply: Vec<(&'static str, String)>,
}

impl Description {
    fn of<V: Verb>() -> Self {
        Self {
            name: V::NAME,
            about: V::ABOUT,
            caller: V::CALLER,
            root_with: V::ROOT_WITH,
            parameters: V::members(),
            reply: V::Reply::members(),
        }
    }
}
