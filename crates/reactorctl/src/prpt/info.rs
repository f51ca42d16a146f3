//! `prpt info`: one device.

use std::io::Write;

use clap::Args;

use super::blk_info::BlkInfo;
use super::print::{FormArgs, Printer};
use super::{Machine, MachineArgs};
use crate::exit::Failure;

/// Show a block device, and what it is built on
#[derive(Clone, Debug, Args)]
pub(super) struct InfoArgs {
    /// The device, by any name: `/dev/sda`, `sda`, `8:0`, `6:0:0:0`, `mpatha`, a WWID, a UUID, a mount point
    #[arg(value_name = "DEVICE")]
    pub(super) device: String,

    /// How it is printed.
    #[command(flatten)]
    pub(super) form: FormArgs,

    /// Whose devices.
    #[command(flatten)]
    pub(super) machine: MachineArgs,
}

impl InfoArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Machine { map, .. } = self.machine.read()?;
        let found = map.find(&self.device).map_err(|source| Failure::NoSuchDevice { source })?;
        let info = BlkInfo::of(&map, found.device);
        Ok(Printer::new(self.form.form(), out).object(&info, |out| info.print(out))?)
    }
}
