//! `[fs#1]`: file systems.

use super::super::ini::SectionId;
use super::super::model::{Entry, Order, Step};
use super::super::view::View;
use super::super::words;
use super::{Around, Missing, common, finish, without_standby};

/// Types of OpenSVC's that are no file system, or none that is mounted by its device.
const NOT_MOUNTED: [&str; 8] = ["directory", "docker_volume", "flag", "switch", "zfs", "shm", "shmfs", "host"];

/// The step of a section.
pub(super) fn step(view: &mut View<'_>, section: SectionId, around: &Around) -> Step {
    let mut common = common(view, section);
    let why =
        "what is on DRBD can't be mounted where it is Secondary; what is not is a matter of /etc/fstab, on every node";
    without_standby(view, section, &mut common, why);
    let entry = if common.is_encapsulated {
        let why = "it is mounted inside the container: the container's own configuration can do it";
        Err(Missing::new(why, "{ unit = \"NAME.mount\" }"))
    } else {
        mount(view, section, around)
    };
    finish(view, section, Order::Fs, common, entry)
}

fn mount(view: &mut View<'_>, section: SectionId, around: &Around) -> Result<Entry, Missing> {
    let directory = view.take(section, "mnt", "{ fs = ... }").map(|value| words::tidy_path(&value.text));
    let device = view.take(section, "dev", "`device` of the entry").map(|value| value.text);
    let kind = view.take(section, "type", "`type` of the entry").map(|value| value.text.trim().to_lowercase());
    let options =
        view.take_any(section, &["mnt_opt", "mount_options"], "`options` of the entry").map(|value| value.text);
    let shown = |value: &Option<String>, what: &str| words::one_line(value.as_deref().unwrap_or(what));
    let hint =
        format!("{{ fs = {:?}, device = {:?} }}", shown(&directory, "/MOUNT/POINT"), shown(&device, "/dev/DEVICE"));
    let missing = |why: String| Err(Missing::new(why, hint.clone()));
    if let Some(kind) = &kind {
        if NOT_MOUNTED.contains(&kind.as_str()) {
            return missing(format!("there is no short form for a file system of type {kind}"));
        }
        if !words::is_plain_name(kind) {
            return missing("its type is not the name of a file system".to_owned());
        }
    }
    let Some(directory) = directory else {
        return missing("the file does not say where it is mounted (`mnt`)".to_owned());
    };
    if !words::is_path(&directory) || directory == "/" {
        return missing("its mount point is not a plain absolute path".to_owned());
    }
    let Some(device) = device else { return missing("the file does not say which device it is on (`dev`)".to_owned()) };
    if !is_device(&device) {
        return missing("its device is neither a path, nor LABEL=, UUID= or HOST:/PATH".to_owned());
    }
    if let Some(other) = on_another(&device, &around.resource) {
        return missing(format!("it is on another DRBD resource, {other}"));
    }
    let options = options.filter(|options| !options.is_empty() && options != "defaults");
    if options.as_ref().is_some_and(|options| !is_options(options)) {
        return missing("its options have characters that mount options do not have".to_owned());
    }
    Ok(entry(directory, device, kind, options))
}

/// The short form, where it can say it; else the agent itself.
fn entry(directory: String, device: String, kind: Option<String>, options: Option<String>) -> Entry {
    let kind = kind.unwrap_or_default();
    if device.starts_with('/') && !kind.is_empty() {
        // OpenSVC checks these before it mounts them.
        let check = matches!(kind.as_str(), "ext2" | "ext3" | "ext4");
        return Entry::Fs { directory, device, kind, options, check };
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let instance = format!("fs{}", directory.chars().map(plain).collect::<String>());
    let mut parameters = vec![("device", device), ("directory", directory)];
    if !kind.is_empty() {
        parameters.push(("fstype", kind));
    }
    parameters.extend(options.map(|options| ("options", options)));
    Entry::Ocf { agent: "ocf:heartbeat:Filesystem", instance, parameters }
}

/// A path, or a name that mount finds.
fn is_device(text: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if let Some(name) = text.strip_prefix("LABEL=").or_else(|| text.strip_prefix("UUID=")) {
        return plain(name);
    }
    match text.split_once(":/") {
        Some((host, path)) if !text.starts_with('/') => plain(host) && words::is_path(&format!("/{path}")),
        _ => words::is_path(text) && text.len() > 1,
    }
}

fn is_options(text: &str) -> bool {
    text.len() <= 500 && text.chars().all(|c| c.is_ascii_alphanumeric() || ",=_-.:/+@%".contains(c))
}

/// The other DRBD resource that a device belongs to by its name.
fn on_another<'d>(device: &'d str, resource: &str) -> Option<&'d str> {
    let other = device.strip_prefix("/dev/drbd/by-res/")?.split('/').next()?;
    (other != resource).then_some(other)
}
