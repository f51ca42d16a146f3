//! The command line, and what is refused without a machine.

use super::*;

fn node(dir: &Path, bus: Bus) -> (Qemu, NodeSpec) {
    let qemu = Qemu {
        emulator: Emulator {
            program: "/cache/qemu/usr/bin/qemu-system-x86_64".into(),
            img: "/usr/bin/qemu-img".into(),
            root: Some("/cache/qemu".into()),
            initrd: "/cache/initrd-1/initrd".into(),
            cpus: 2,
            bus,
        },
        kernel: "/cache/vmlinuz".into(),
        modules: "/cache/lib/modules".into(),
        base: "/cache/base.img".into(),
        run: dir.into(),
        disk_mib: 64,
    };
    (qemu, NodeSpec::second(dir, "lab.disks=2"))
}

/// The values of an option.
fn values<'a>(args: &'a [String], option: &str) -> Vec<&'a str> {
    args.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1].as_str()).collect()
}

#[test]
fn the_command_line_has_every_disk_net_line_and_folder() {
    let (qemu, spec) = node(Path::new("/run/lab"), Bus::Virtio);
    let launch = qemu.launch(&spec);
    for (option, expected) in [
        ("-device", "virtio-blk-pci,drive=disk2,id=disk2,serial=disk2"),
        ("-netdev", "dgram,id=net1,local.type=fd,local.str={net1}"),
        ("-device", "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:02,romfile="),
        ("-chardev", "socket,id=agent,fd={agent}"),
        ("-device", "isa-serial,chardev=agent,index=0,irq=4"),
        ("-device", "isa-serial,chardev=power,index=2,irq=5"),
        ("-chardev", "file,id=console,path=/proc/self/fd/{console}"),
        ("-device", "virtio-9p-pci,fsdev=share,mount_tag=share"),
        ("-smp", "2"),
        ("-m", "384M"),
        ("-L", "/cache/qemu/usr/share/seabios"),
    ] {
        let values = values(&launch.args, option);
        assert!(values.contains(&expected), "{option} {expected} is not in {values:#?}");
    }
    let line = values(&launch.args, "-append")[0];
    for word in
        ["lab.name=n2", "lab.net1=10.78.0.2/24", "lab.devices=/dev/vdb,/dev/vdc", "lab.disks=2", "lab.share=share"]
    {
        assert!(line.split(' ').any(|other| other == word), "{word} is not in {line}");
    }
    assert!(launch.env["LD_LIBRARY_PATH"].starts_with("/cache/qemu/"));
    assert_eq!(launch.panic.unwrap().code, 1);
}

#[test]
fn an_installed_qemu_has_its_own_libraries_and_firmware() {
    let (mut qemu, spec) = node(Path::new("/run/lab"), Bus::Virtio);
    qemu.emulator.root = None;
    let launch = qemu.launch(&spec);
    assert!(!launch.env.contains_key("LD_LIBRARY_PATH"));
    assert!(values(&launch.args, "-L").is_empty());
}

#[test]
fn data_disks_can_be_of_other_kinds() {
    let (nvme, spec) = node(Path::new("/run/lab"), Bus::Nvme);
    assert_eq!([1, 2].map(|disk| nvme.disk_device(disk)), ["/dev/nvme0n1", "/dev/nvme1n1"]);
    assert!(values(&nvme.launch(&spec).args, "-device").contains(&"nvme,drive=disk1,id=disk1,serial=disk1"));
    let (scsi, spec) = node(Path::new("/run/lab"), Bus::Scsi);
    assert_eq!([1, 2].map(|disk| scsi.disk_device(disk)), ["/dev/sda", "/dev/sdb"]);
    let args = scsi.launch(&spec).args;
    let devices = values(&args, "-device");
    assert!(devices.contains(&"virtio-scsi-pci,id=scsi"), "{devices:#?}");
    assert!(devices.contains(&"scsi-hd,bus=scsi.0,drive=disk1,id=disk1,scsi-id=1,serial=disk1"), "{devices:#?}");
}

#[test]
fn commas_in_paths_are_no_separators() {
    let (qemu, spec) = node(Path::new("/run/a,b"), Bus::Virtio);
    let args = qemu.launch(&spec).args;
    assert!(values(&args, "-fsdev").iter().any(|share| share.contains("path=/run/a,,b/n2/share,")));
}

#[test]
fn a_disk_that_is_not_there_is_refused_without_asking_the_machine() {
    let (qemu, spec) = node(Path::new("/nonexistent"), Bus::Virtio);
    for request in [Request::AddDisk(3), Request::RemoveDisk(0)] {
        let error = qemu.ask(&spec, &request).unwrap_err().to_string();
        assert!(error.ends_with("it has 2 data disks"), "{error}");
    }
    assert!(matches!(qemu.ask(&spec, &Request::PowerButton), Err(BackendError::Silent { .. })));
}

#[test]
fn a_tool_that_fails_is_quoted() {
    let dir = std::env::temp_dir().join(format!("lab-qemu-{}", std::process::id()));
    let (mut qemu, spec) = node(&dir, Bus::Virtio);
    let tool = dir.join("img");
    fs::create_dir_all(&dir).unwrap();
    fs::write(&tool, "").unwrap();
    qemu.base = tool;
    qemu.emulator.img = "/bin/false".into();
    let error = qemu.prepare(&spec).unwrap_err();
    assert!(matches!(error, BackendError::Tool { .. }), "{error}");
    assert_eq!(fs::metadata(&spec.disks[1]).unwrap().len(), 64 << 20);
    fs::remove_dir_all(dir).unwrap();
}
