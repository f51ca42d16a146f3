//! `[ip#0]`: addresses.

use std::net::IpAddr;

use super::super::ini::SectionId;
use super::super::model::{Entry, Order, Step};
use super::super::view::View;
use super::super::words;
use super::{Missing, common, finish, without_standby};

/// The step of a section.
pub(super) fn step(view: &mut View<'_>, section: SectionId) -> Step {
    let mut common = common(view, section);
    without_standby(view, section, &mut common, "an address is on one node only");
    let entry = address(view, section, common.is_encapsulated);
    finish(view, section, Order::Ip, common, entry)
}

fn address(view: &mut View<'_>, section: SectionId, is_encapsulated: bool) -> Result<Entry, Missing> {
    let kind = view.take(section, "type", "an address of the host").map(|value| value.text.trim().to_lowercase());
    let name = view.take_any(section, &["ipname", "name", "address"], "{ ip = ... }").map(|value| value.text);
    let dev =
        view.take_any(section, &["ipdev", "dev", "interface", "netdev"], "`dev` of the entry").map(|value| value.text);
    let mask = view.take(section, "netmask", "the part of { ip = ... } behind the `/`");
    // `eth0:1` was an alias of eth0.
    let dev = dev.map(|dev| dev.split(':').next().unwrap_or_default().to_owned());
    let hint = format!("{{ ip = \"ADDRESS/24\", dev = {:?} }}", words::one_line(dev.as_deref().unwrap_or("INTERFACE")));
    let missing = |why: String| Err(Missing::new(why, hint.clone()));
    if let Some(kind) = kind.filter(|kind| !["", "host", "native"].contains(&kind.as_str())) {
        return missing(format!("an address of type {} is one of a container or of a cloud", words::one_line(&kind)));
    }
    if is_encapsulated {
        return missing(
            "it is inside the container: the container's own configuration gives it its address".to_owned(),
        );
    }
    let Some(name) = name else { return missing("the file does not say which address it is".to_owned()) };
    let (text, own_mask) = match name.split_once('/') {
        Some((text, mask)) => (text, Some(mask)),
        None => (name.as_str(), None),
    };
    let Ok(address) = text.trim().parse::<IpAddr>() else {
        return missing(format!(
            "{} is a name, and what address it has is not in the file: names are not looked up",
            words::one_line(&name)
        ));
    };
    if address.is_unspecified() || address.is_multicast() {
        return missing("it is no address that a node can have".to_owned());
    }
    if dev.as_ref().is_some_and(|dev| !words::is_interface(dev)) {
        return missing("its device is not the name of an interface".to_owned());
    }
    let prefix = match own_mask.map(str::to_owned).or_else(|| mask.as_ref().map(|mask| mask.text.clone())) {
        None => None,
        Some(mask) => match words::prefix(&mask, address) {
            Some(prefix) => Some(prefix),
            None => return missing("its netmask is not one for such an address".to_owned()),
        },
    };
    Ok(match prefix {
        Some(prefix) => Entry::Ip { address: format!("{address}/{prefix}"), dev },
        None => {
            // The agent takes the netmask of the network that the address is in.
            let mut parameters = vec![("ip", address.to_string())];
            parameters.extend(dev.map(|dev| ("nic", dev)));
            Entry::Ocf {
                agent: "ocf:heartbeat:IPaddr2",
                instance: format!("ip_{address}").replace(':', "-"),
                parameters,
            }
        }
    })
}
