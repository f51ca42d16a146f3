//! What only DRBD 8.4's configuration files have, from what `drbdadm dump-xml` prints: the kernel keeps neither handlers nor names of peers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reactor_core::action::DrbdOptions;
use roxmltree::{Document, Node};

/// Adds to the options of `resource` its fence-peer handler, which may be that of all resources (`common`), and the name of the only peer.
/// `own_name` is this node's, as `uname -n` has it. Errors: what is wrong with the text, in one line.
pub(super) fn add(options: &mut DrbdOptions, text: &str, resource: &str, own_name: &str) -> Result<(), String> {
    let document = Document::parse(text).map_err(|error| format!("drbdadm dump-xml: {error}"))?;
    let config = document.root_element();
    let found = the_resource(config, resource)?;
    let common = children(config, "common").next();
    options.fence_peer = fence_peer(found).or_else(|| fence_peer(common?));
    let hosts = children(found, "host").filter_map(|host| host.attribute("name"));
    let others: Vec<&str> = hosts.filter(|name| *name != own_name).collect();
    // Hosts with floating addresses have no names.
    if let ([only], Some(connection)) = (others.as_slice(), options.connections.first_mut()) {
        connection.name = Some((*only).to_owned());
    }
    Ok(())
}

/// The fence-peer handler of each resource that has one, its own or that of all; nothing if the text is not understood. Of DRBD 9, too.
pub(crate) fn fence_peers_of(text: &str) -> BTreeMap<String, String> {
    let Ok(document) = Document::parse(text) else { return BTreeMap::new() };
    let config = document.root_element();
    let common = children(config, "common").next().and_then(fence_peer);
    let of = |resource: Node<'_, '_>| {
        Some((resource.attribute("name")?.to_owned(), fence_peer(resource).or_else(|| common.clone())?))
    };
    children(config, "resource").filter_map(of).collect()
}

/// The file that a resource is defined in, by what `drbdadm dump-xml` says of all or of this one (`conf-file-line="FILE:LINE"`).
///
/// # Errors
///
/// What is wrong with the text, in one line.
pub fn defined_in(text: &str, resource: &str) -> Result<PathBuf, String> {
    let document = Document::parse(text).map_err(|error| format!("drbdadm dump-xml: {error}"))?;
    let found = the_resource(document.root_element(), resource)?;
    let place = found.attribute("conf-file-line").and_then(|place| place.rsplit_once(':'));
    match place {
        Some((file, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => Ok(PathBuf::from(file)),
        Some(_) | None => Err(format!("drbdadm dump-xml does not say where {resource} is defined")),
    }
}

/// Asked for all, drbdadm prints a `config` of resources; asked for one, the resource and nothing around it.
fn the_resource<'a, 'input>(root: Node<'a, 'input>, name: &str) -> Result<Node<'a, 'input>, String> {
    let whole = root.has_tag_name("resource").then_some(root);
    let mut all = whole.into_iter().chain(children(root, "resource"));
    let found = all.find(|node| node.attribute("name") == Some(name));
    found.ok_or_else(|| format!("drbdadm dump-xml printed nothing about {name}"))
}

fn fence_peer(of: Node<'_, '_>) -> Option<String> {
    let sections = children(of, "section").filter(|section| section.attribute("name") == Some("handlers"));
    let handlers = sections.flat_map(|section| children(section, "option"));
    let is_it = |option: &Node<'_, '_>| option.attribute("name") == Some("fence-peer");
    let value = handlers.filter(is_it).find_map(|option| option.attribute("value"))?;
    (!value.trim().is_empty()).then(|| value.to_owned())
}

fn children<'a, 'input>(of: Node<'a, 'input>, name: &'static str) -> impl Iterator<Item = Node<'a, 'input>> {
    of.children().filter(move |node| node.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_core::action::ConnectionOptions;

    /// As drbd-utils 9.22 prints it for 8.4, shortened.
    const DUMP: &str = r#"<config file="/etc/drbd.conf">
    <common>
        <section name="handlers">
            <option name="split-brain" value="/bin/true"/>
            <option name="fence-peer" value="/usr/lib/drbd/rhcs_fence"/>
        </section>
    </common>
    <resource name="r0" conf-file-line="/etc/drbd.d/r0.res:1">
        <host name="n1">
            <volume vnr="0"><device minor="1">/dev/drbd1</device><disk>/dev/sda</disk></volume>
            <address family="ipv4" port="7001">10.77.0.1</address>
        </host>
        <host name="n2"><address family="ipv4" port="7001">10.77.0.2</address></host>
        <section name="disk"><option name="fencing" value="resource-only"/></section>
        <section name="handlers">
            <option name="fence-peer" value="/usr/local/sbin/fence --x=&quot;a&lt;b&quot;"/>
        </section>
    </resource>
    <resource name="r1" conf-file-line="/etc/drbd.d/r1.res:1">
        <host floating="1"><address family="ipv4" port="7002">10.77.0.1</address></host>
        <host floating="1"><address family="ipv4" port="7002">10.77.0.2</address></host>
    </resource>
</config>
"#;

    #[test]
    fn the_file_of_a_resource_is_the_one_that_is_said() {
        assert_eq!(defined_in(DUMP, "r1"), Ok(PathBuf::from("/etc/drbd.d/r1.res")));
        let with = |place: &str| DUMP.replace("/etc/drbd.d/r1.res:1", place);
        assert_eq!(defined_in(&with("/etc/a:b.res:12"), "r1"), Ok(PathBuf::from("/etc/a:b.res")));
        for (text, resource) in
            [(DUMP, "r2"), (&with("/etc/r1.res"), "r1"), (&with("/etc/r1.res:x"), "r1"), ("<", "r1")]
        {
            assert!(defined_in(text, resource).is_err(), "{resource} {text}");
        }
    }

    #[test]
    fn asked_for_one_resource_drbdadm_prints_it_by_itself() {
        let alone = "<resource name=\"data\" conf-file-line=\"/etc/drbd.d/data.res:2\">\n    <host name=\"n1\"/>\n</resource>\n";
        assert_eq!(defined_in(alone, "data"), Ok(PathBuf::from("/etc/drbd.d/data.res")));
        assert!(defined_in(alone, "r1").is_err());
    }

    fn read(text: &str, resource: &str) -> Result<(Option<String>, Option<String>), String> {
        let mut options = DrbdOptions { connections: vec![ConnectionOptions::default()], ..DrbdOptions::default() };
        add(&mut options, text, resource, "n1")?;
        Ok((options.fence_peer, options.connections.remove(0).name))
    }

    #[test]
    fn a_handler_is_of_the_resource_or_of_all() {
        let own = Some(r#"/usr/local/sbin/fence --x="a<b""#.to_owned());
        assert_eq!(read(DUMP, "r0"), Ok((own, Some("n2".to_owned()))));
        assert_eq!(read(DUMP, "r1"), Ok((Some("/usr/lib/drbd/rhcs_fence".to_owned()), None)));
        assert_eq!(read(&DUMP.replace("fence-peer", "pri-lost"), "r0"), Ok((None, Some("n2".to_owned()))));
    }

    #[test]
    fn the_handlers_of_all_are_read_at_once() {
        let own = [("r0", r#"/usr/local/sbin/fence --x="a<b""#), ("r1", "/usr/lib/drbd/rhcs_fence")];
        assert_eq!(fence_peers_of(DUMP), own.map(|(name, handler)| (name.to_owned(), handler.to_owned())).into());
        let none = DUMP.replace("fence-peer", "pri-lost");
        assert_eq!(fence_peers_of(&none), BTreeMap::new());
        assert_eq!(fence_peers_of(&DUMP[..400]), BTreeMap::new());
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(read(DUMP, "r2"), Err("drbdadm dump-xml printed nothing about r2".to_owned()));
        let error = read(&DUMP[..400], "r0").unwrap_err();
        assert!(error.starts_with("drbdadm dump-xml: "), "{error}");
    }
}
