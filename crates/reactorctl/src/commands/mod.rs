//! One module per command.

pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod operator;
mod promoted;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod status;
mod tree;
pub(crate) mod upstream;
pub(crate) mod why;
