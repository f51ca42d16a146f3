//! Nodes as QEMU machines: an ordinary kernel with its modules, several CPUs, NVMe and SCSI disks, and slower.
//!
//! The processors are emulated (TCG), so neither root nor /dev/kvm is needed. The kernel is started without a boot
//! loader, with a small initramfs of ours that mounts the image. Interfaces, serial lines and the shared folder are
//! what they are with User-Mode Linux: sockets of the switch, sockets of the lab, and a folder (by 9p).

mod qmp;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::{AGENT, Backend, BackendError, NodeSpec, POWER, Request, SHELL, make_disks, net_fd};
use crate::image::{Bus, Emulator};
use crate::keeper::{Launch, MARK, PanicSign};
use crate::switch::mac;
use qmp::{Qmp, QmpError};

/// The code with which QEMU ends after a panic, and after its own errors, and what its log says of a panic only.
const PANIC_CODE: i32 = 1;
const PANIC_TEXT: &str = "Guest crashed";
/// What a node may take to let go of a disk.
const EJECT: Duration = Duration::from_secs(30);
/// MiB for translated code; by default it would be a GiB.
const TRANSLATED_MIB: u32 = 256;

/// The QEMU of this machine, a kernel, and the image its nodes run.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// The programs, and what the machine has.
    pub emulator: Emulator,
    /// The kernel's image.
    pub kernel: PathBuf,
    /// The folder of its modules as it is to be at /lib/modules, with a folder for each version.
    pub modules: PathBuf,
    /// The image of the root file system. It must not change while a node's own file refers to it.
    pub base: PathBuf,
    /// The cluster's run folder, by which its processes are known.
    pub run: PathBuf,
    /// The size of a data disk that has to be made, in MiB. The file is sparse.
    pub disk_mib: u64,
}

fn root_of(node: &NodeSpec) -> PathBuf {
    node.dir.join("root.qcow2")
}

fn monitor_of(node: &NodeSpec) -> PathBuf {
    node.dir.join("qmp")
}

/// A path as a value among others with commas in between.
fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

fn disk_id(disk: u8) -> String {
    format!("disk{disk}")
}

impl Qemu {
    /// The properties of a data disk's device.
    fn disk_properties(&self, disk: u8) -> BTreeMap<&'static str, String> {
        let id = disk_id(disk);
        let mut properties = BTreeMap::from([("drive", id.clone()), ("serial", id.clone()), ("id", id)]);
        let driver = match self.emulator.bus {
            Bus::Virtio => "virtio-blk-pci",
            Bus::Nvme => "nvme",
            Bus::Scsi => {
                properties.insert("bus", "scsi.0".to_owned());
                properties.insert("scsi-id", disk.to_string());
                "scsi-hd"
            }
        };
        properties.insert("driver", driver.to_owned());
        properties
    }

    fn kernel_line(&self, node: &NodeSpec) -> String {
        let mut words: Vec<String> = [
            "console=ttyS3,115200",
            "quiet",
            "net.ifnames=0",
            // The console is nobody's terminal.
            "systemd.getty_auto=no",
            // An NMI is how the lab lets the kernel panic.
            "unknown_nmi_panic=1",
            // Each costs time on an emulated processor, and guards against nobody.
            "mitigations=off",
            "audit=0",
            // An emulated processor's clocks are as good as this machine's load lets them be.
            "tsc=unstable",
            // A machine that waits for its turn here misses ticks, and the kernel's test of its timer fails.
            "no_timer_check",
            "lab.mod=modules",
            "lab.share=share",
        ]
        .map(str::to_owned)
        .into();
        words.push(format!("lab.bus={}", self.emulator.bus));
        words.push(format!("lab.name={}", node.name));
        words.push(format!("systemd.machine_id={}", node.machine_id));
        let devices: Vec<String> = (1..).zip(&node.disks).map(|(disk, _)| self.disk_device(disk)).collect();
        words.push(format!("lab.devices={}", devices.join(",")));
        words.extend(node.nets.iter().map(|net| format!("lab.net{}={}/24", net.0, node.address(*net))));
        words.extend(node.words.iter().cloned());
        words.join(" ")
    }

    /// The disks, the networks and the shared folders.
    fn devices(&self, node: &NodeSpec) -> Vec<String> {
        // What the node has synced is in this machine's memory at least, and outlives QEMU there.
        let no_flush = "cache.no-flush=on";
        let mut args = Vec::new();
        let mut pair = |option: &str, value: String| args.extend([option.to_owned(), value]);
        // Other programs' locks on the image are none of ours: nobody writes to it.
        pair(
            "-blockdev",
            format!(
                "driver=qcow2,node-name=root,{no_flush},file.driver=file,file.filename={},file.locking=off,\
                 backing.driver=raw,backing.read-only=on,backing.file.driver=file,backing.file.filename={},\
                 backing.file.locking=off",
                value(&root_of(node)),
                value(&self.base),
            ),
        );
        pair("-device", "virtio-blk-pci,drive=root,serial=root".to_owned());
        if self.emulator.bus == Bus::Scsi {
            pair("-device", "virtio-scsi-pci,id=scsi".to_owned());
        }
        for (disk, path) in (1..).zip(&node.disks) {
            let file = format!("file.driver=file,file.filename={}", value(path));
            pair("-blockdev", format!("driver=raw,node-name={},{no_flush},{file}", disk_id(disk)));
            let mut properties = self.disk_properties(disk);
            let driver = properties.remove("driver").unwrap_or_default();
            let rest: String = properties.iter().map(|(name, value)| format!(",{name}={value}")).collect();
            pair("-device", driver + &rest);
        }
        for net in &node.nets {
            let (id, mac) = (net_fd(*net), mac(*net, node.port));
            pair("-netdev", format!("dgram,id={id},local.type=fd,local.str={{{id}}}"));
            pair("-device", format!("virtio-net-pci,netdev={id},mac={mac},romfile="));
        }
        for (tag, path, options) in
            [("share", &node.share, ",multidevs=remap"), ("modules", &self.modules, ",readonly=on")]
        {
            pair("-fsdev", format!("local,id={tag},path={},security_model=none{options}", value(path)));
            pair("-device", format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
        }
        args
    }
}

impl Backend for Qemu {
    fn prepare(&self, node: &NodeSpec) -> Result<(), BackendError> {
        for path in [&node.dir, &node.share] {
            fs::create_dir_all(path).map_err(|source| BackendError::Prepare { path: path.clone(), source })?;
        }
        make_disks(node, self.disk_mib)?;
        let root = root_of(node);
        if root.exists() {
            return Ok(());
        }
        let mut command = Command::new(&self.emulator.img);
        command.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(&self.base).arg(&root);
        // Its size is that of the image, which is not opened: somebody may have a lock on it.
        let size = fs::metadata(&self.base).map(|data| data.len());
        let size = size.map_err(|source| BackendError::Prepare { path: root.clone(), source })?;
        command.arg("-u").arg(size.to_string()).envs(self.emulator.libraries()).stdin(Stdio::null());
        let made = command.output().map_err(|source| BackendError::Prepare { path: root.clone(), source })?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            return Err(BackendError::Tool { path: root, said });
        }
        Ok(())
    }

    fn launch(&self, node: &NodeSpec) -> Launch {
        let log = node.dir.join("qemu.log");
        let mut args: Vec<String> = Vec::new();
        for folder in self.emulator.firmware() {
            args.extend(["-L".to_owned(), folder.display().to_string()]);
        }
        let monitor = format!("unix:{},server=on,wait=off", value(&monitor_of(node)));
        let pairs = [
            ("-name", node.name.clone()),
            ("-machine", "pc,usb=off".to_owned()),
            ("-accel", format!("tcg,thread=multi,tb-size={TRANSLATED_MIB}")),
            ("-cpu", "max".to_owned()),
            ("-smp", self.emulator.cpus.to_string()),
            ("-m", format!("{}M", node.memory_mib)),
            ("-display", "none".to_owned()),
            ("-kernel", self.kernel.display().to_string()),
            ("-initrd", self.emulator.initrd.display().to_string()),
            ("-append", self.kernel_line(node)),
            ("-qmp", monitor),
            // A panic ends the machine, and its log says that it was one.
            ("-device", "pvpanic".to_owned()),
            ("-action", "panic=exit-failure".to_owned()),
            ("-d", "guest_errors".to_owned()),
            ("-D", log.display().to_string()),
        ];
        args.extend(["-nodefaults".to_owned(), "-no-user-config".to_owned()]);
        args.extend(pairs.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        // Ports of their own interrupts: shared ones lose some.
        for (index, (name, irq)) in [(AGENT, 4), (SHELL, 3), (POWER, 5), ("console", 7)].into_iter().enumerate() {
            let line = if name == "console" {
                "file,id=console,path=/proc/self/fd/{console}".to_owned()
            } else {
                format!("socket,id={name},fd={{{name}}}")
            };
            args.extend(["-chardev".to_owned(), line]);
            args.extend(["-device".to_owned(), format!("isa-serial,chardev={name},index={index},irq={irq}")]);
        }
        args.extend(self.devices(node));
        let mut env = BTreeMap::from([
            ("HOME".to_owned(), "/nonexistent".to_owned()),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            (MARK.to_owned(), self.run.display().to_string()),
        ]);
        env.extend(self.emulator.libraries());
        let panic = PanicSign { code: PANIC_CODE, file: log, text: PANIC_TEXT.to_owned() };
        let program = self.emulator.program.clone();
        Launch { program, library: None, args, env, console: node.console(), fds: Vec::new(), panic: Some(panic) }
    }

    fn ask(&self, node: &NodeSpec, request: &Request) -> Result<(), BackendError> {
        let refused =
            |answer: String| BackendError::Refused { node: node.name.clone(), request: request.clone(), answer };
        if let Request::RemoveDisk(disk) | Request::AddDisk(disk) = request
            && (*disk == 0 || usize::from(*disk) > node.disks.len())
        {
            return Err(refused(format!("it has {} data disks", node.disks.len())));
        }
        self.converse(node, request).map_err(|error| match error {
            QmpError::Refused(answer) => refused(answer),
            QmpError::Silent(source) => {
                BackendError::Silent { node: node.name.clone(), request: request.clone(), source }
            }
        })
    }

    fn disk_device(&self, disk: u8) -> String {
        // The root file system is the first one of virtio's.
        let letter = |first: u8| char::from(first + disk.min(7));
        match self.emulator.bus {
            Bus::Virtio => format!("/dev/vd{}", letter(b'a')),
            Bus::Nvme => format!("/dev/nvme{}n1", disk.saturating_sub(1)),
            Bus::Scsi => format!("/dev/sd{}", letter(b'a' - 1)),
        }
    }

    fn pulls_disks_in_use(&self) -> bool {
        true
    }
}

impl Qemu {
    fn converse(&self, node: &NodeSpec, request: &Request) -> Result<(), QmpError> {
        let mut monitor = Qmp::connect(&monitor_of(node))?;
        match request {
            Request::PowerButton => monitor.execute("system_powerdown", &json!({})).map(drop),
            Request::Crash => monitor.execute("inject-nmi", &json!({})).map(drop),
            Request::RemoveDisk(disk) => {
                let id = disk_id(*disk);
                monitor.execute("device_del", &json!({ "id": id }))?;
                let gone = |event: &Value| event["event"] == "DEVICE_DELETED" && event["data"]["device"] == *id;
                monitor.wait_for(gone, EJECT)
            }
            Request::AddDisk(disk) => monitor.execute("device_add", &json!(self.disk_properties(*disk))).map(drop),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
