//! `prpt list`: all devices.

use std::io::Write;

use clap::Args;
use reactor_storage::device::{Device, Kind};

use super::blk_info::BlkInfo;
use super::print::{FormArgs, Printer};
use super::{Machine, MachineArgs};
use crate::exit::Failure;

/// Show all block devices, and what each is built on
///
/// The device mapper's come first. Paths of a multipath disk are shown with that.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    /// All that is known of each
    #[arg(short = 'D', conflicts_with_all = ["pretty", "format"])]
    pub(super) detailed: bool,

    /// How they are printed.
    #[command(flatten)]
    pub(super) form: FormArgs,

    /// Whose devices.
    #[command(flatten)]
    pub(super) machine: MachineArgs,
}

impl ListArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Machine { map, .. } = self.machine.read()?;
        let (mut devices, others): (Vec<&Device>, Vec<&Device>) =
            map.in_order().into_iter().partition(|device| device.dm.is_some());
        let is_path = |device: &Device| map.next_above(device).iter().any(|above| above.kind == Kind::Multipath);
        devices.extend(others.into_iter().filter(|device| !is_path(device)));
        let mut printer = Printer::new(self.form.form(), out);
        for device in devices {
            let info = BlkInfo::of(&map, device);
            printer.gap()?;
            printer.object(&info, |out| if self.detailed { info.print(out) } else { info.print_short(out) })?;
        }
        Ok(())
    }
}
