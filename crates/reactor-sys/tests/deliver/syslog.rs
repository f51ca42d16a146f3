//! A real rsyslogd, over a socket, UDP and TCP; and a server with TLS.

use std::io::Read as _;
use std::net::UdpSocket;
use std::process::Stdio;

use reactor_core::settings::notify::Syslog;

use super::*;
use crate::programs::{Running, library, program};
use crate::server::{Listener, Tls};
use crate::web::free_port;

fn syslog(address: &str, ca_file: Option<PathBuf>) -> NotifySettings {
    let syslog = Syslog { address: address.to_owned(), facility: 16, tag: "storage-reactor".to_owned(), ca_file };
    settings("log", Receiver::Syslog(syslog))
}

struct Rsyslogd {
    out: PathBuf,
    socket: PathBuf,
    udp: u16,
    tcp: u16,
    _running: Running,
}

impl Rsyslogd {
    fn start(home: &Home) -> Option<Self> {
        let (mut command, modules) = (program("rsyslogd")?, library("rsyslog")?);
        let (out, socket) = (home.path("out"), home.path("log.sock"));
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(), free_port());
        let text = format!(
            "global(workDirectory=\"{0}\")\n\
             module(load=\"imudp\")\ninput(type=\"imudp\" port=\"{udp}\" address=\"127.0.0.1\")\n\
             module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"{tcp}\" address=\"127.0.0.1\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{1}\")\n\
             template(name=\"all\" type=\"string\" string=\"%pri%|%hostname%|%app-name%|%msgid%|%timereported:::date-rfc3339%|%structured-data%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{2}\" template=\"all\")\n",
            home.0.display(),
            socket.display(),
            out.display()
        );
        let conf = home.path("rsyslog.conf");
        fs::write(&conf, text).unwrap();
        let log = fs::File::create(home.path("rsyslogd.log")).unwrap();
        command.arg("-n").arg("-f").arg(&conf).arg("-i").arg(home.path("pid")).arg("-M").arg(modules);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().ok()?;
        let running = Running(child);
        until("rsyslogd listens", || socket.exists() && std::net::TcpStream::connect(("127.0.0.1", tcp)).is_ok());
        Some(Self { out, socket, udp, tcp, _running: running })
    }

    /// Lines about notices.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        text.lines().filter(|line| line.contains("storage-reactor")).map(str::to_owned).collect()
    }
}

#[test]
fn a_real_syslogd_reads_notices_over_every_way() {
    let home = Home::new("rsyslog");
    let Some(rsyslogd) = Rsyslogd::start(&home) else { return skip("rsyslogd", "it is not installed") };
    let addresses = [
        format!("udp://127.0.0.1:{}", rsyslogd.udp),
        format!("tcp://localhost:{}", rsyslogd.tcp),
        rsyslogd.socket.display().to_string(),
    ];
    for (index, address) in addresses.iter().enumerate() {
        let deliveries = start(&home.path("state"), &[syslog(address, None)]);
        let mut message = message("log", "r\u{e4} \"lost\" ]its peer\nPRIORITY=0");
        message.notices.push(notice("the second"));
        message.notices[0].resources = vec!["r\"0]\\".to_owned()];
        deliveries.send(message);
        until(address, || rsyslogd.lines().len() == index * 2 + 2);
        assert!(deliveries.finish(LONG));
    }
    let lines = rsyslogd.lines();
    for over_network in [&lines[0], &lines[2]] {
        let fields: Vec<&str> = over_network.split('|').collect();
        assert_eq!(fields[..4], ["131", "n1", "storage-reactor", "connection-lost"], "{over_network}");
        assert_eq!(fields[4], "2026-11-28T19:11:13.898Z");
        assert!(
            fields[5].starts_with("[notice@32473 id=\"") && fields[5].contains(r#"resource="r\"0\]\\""#),
            "{}",
            fields[5]
        );
        assert!(
            fields[6].trim_start_matches(['\u{feff}', ' ']) == "r\u{e4} \"lost\" ]its peer PRIORITY=0",
            "{}",
            fields[6]
        );
    }
    assert!(lines[3].ends_with("the second"));
    let local: Vec<&str> = lines[4].split('|').collect();
    assert_eq!((local[0], local[2]), ("131", "storage-reactor"), "{}", lines[4]);
    assert!(local[6].trim_start() == "r\u{e4} \"lost\" ]its peer PRIORITY=0", "{}", lines[4]);
}

#[test]
fn over_tls_frames_are_counted_and_a_server_that_nobody_vouches_for_gets_none() {
    let (home, listener) = (Home::new("syslog-tls"), Listener::new());
    let tls = Tls::new(&home);
    let address = format!("tls://localhost:{}", listener.port());
    let stranger = Home::new("syslog-stranger");
    let deliveries = start(&home.path("state"), &[syslog(&address, Some(Tls::new(&stranger).ca))]);
    deliveries.send(message("log", "secret news"));
    let mut refused = Vec::new();
    assert!(tls.accept(listener.accept()).read_to_end(&mut refused).is_err());
    assert_eq!(refused, b"");
    until("the failure is told", || status(&deliveries, "log").trouble.is_some_and(|why| why.contains("certificate")));
    deliveries.apply(&[syslog(&address, Some(tls.ca.clone()))], Configured::Whole);
    let text = loop {
        let mut text = Vec::new();
        // One more attempt of before may come.
        if tls.accept(listener.accept()).read_to_end(&mut text).is_ok() && !text.is_empty() {
            break String::from_utf8(text).unwrap();
        }
    };
    let (length, rest) = text.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), rest.len());
    assert!(
        rest.starts_with("<131>1 2026-11-28T19:11:13.898Z n1 storage-reactor ") && rest.ends_with("] secret news"),
        "{rest}"
    );
    until("it has arrived", || status(&deliveries, "log").delivered == 1);
}

#[test]
fn a_server_that_dies_with_the_message_unread_gets_it_again() {
    let (home, listener) = (Home::new("syslog-reset"), Listener::new());
    let deliveries = start(&home.0, &[syslog(&format!("tcp://127.0.0.1:{}", listener.port()), None)]);
    deliveries.send(message("log", "news"));
    // Closed with something unread: the other side gets a reset.
    let first = listener.accept();
    first.peek(&mut [0]).unwrap();
    drop(first);
    let mut text = String::new();
    listener.accept().read_to_string(&mut text).unwrap();
    assert!(text.ends_with("news"), "{text}");
    until("it has arrived", || status(&deliveries, "log").delivered == 1);
    assert_eq!(status(&deliveries, "log").failed, 1);
}

#[test]
fn a_socket_that_is_away_is_waited_for() {
    let home = Home::new("syslog-socket");
    let path = home.path("dev-log");
    let deliveries = start(&home.path("state"), &[syslog(path.to_str().unwrap(), None)]);
    deliveries.send(message("log", "news"));
    until("it has failed", || status(&deliveries, "log").failed > 0);
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut buffer = [0; 4096];
    let size = socket.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
    assert!(text.starts_with("<131>") && text.ends_with("]: news"), "{text}");
}
