//! syslog: RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587) and TLS (RFC 5425); over a socket of this machine in the older form
//! that everybody who listens there understands, as syslog(3) writes it.
//!
//! Each notice is a line. Over TCP a message has a connection of its own: syslog has no answers, and that the server closes after us, without a
//! reset, is the one sign that it has read everything.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use reactor_core::notice::Notice;
use reactor_core::settings::notify::Syslog as Settings;

use super::super::failure::Failure;
use super::super::parcel::{Parcel, line};
use super::super::roots;
use super::wire::{Wire, host_and_port};
use super::{Receiver, document, left};

/// RFC 5426's port, which TCP has, too; RFC 5425's.
const PORT: u16 = 514;
const PORT_TLS: u16 = 6514;

/// Every receiver has to take so much (RFC 5424: 480 and better 2048 bytes).
const MAX_BYTES: usize = 2048;

/// How long the server may take to close.
const GOODBYE: Duration = Duration::from_secs(5);

/// What the structured data is called: RFC 5424 wants the number of an enterprise, or the one that is for documentation.
const DATA: &str = "notice@32473";

/// A syslog server.
pub(super) struct Syslog {
    settings: Settings,
}

impl Syslog {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }

    /// RFC 5424.
    fn line(&self, parcel: &Parcel, index: usize) -> Vec<u8> {
        let notice = &parcel.message.notices[index];
        let priority = u16::from(self.settings.facility) * 8 + u16::from(notice.severity.syslog_level());
        let node = word(&parcel.message.node, 255);
        let tag = word(&self.settings.tag, 48);
        let id = word(&notice.what, 32);
        let data = data(parcel, index);
        let head = format!("<{priority}>1 {} {node} {tag} {} {id} {data} ", document::time(notice), std::process::id());
        // The text may be UTF-8, and says so by a mark.
        let mark = if notice.text.is_ascii() { "" } else { "\u{feff}" };
        let text = line(&notice.text, MAX_BYTES.saturating_sub(head.len() + mark.len()).max(64));
        format!("{head}{mark}{text}").into_bytes()
    }

    /// What /dev/log takes: the local time, and no host.
    fn local_line(&self, notice: &Notice) -> Vec<u8> {
        let priority = u16::from(self.settings.facility) * 8 + u16::from(notice.severity.syslog_level());
        let time = jiff::Timestamp::from_millisecond(i64::try_from(notice.unix_ms).unwrap_or(0)).unwrap_or_default();
        let time = time.to_zoned(TimeZone::system()).strftime("%b %e %H:%M:%S").to_string();
        let head = format!("<{priority}>{time} {}[{}]: ", word(&self.settings.tag, 48), std::process::id());
        let text = line(&notice.text, MAX_BYTES - head.len());
        format!("{head}{text}").into_bytes()
    }
}

impl Receiver for Syslog {
    fn deliver(&mut self, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure> {
        let address = self.settings.address.as_str();
        match address.split_once("://") {
            Some(("udp", to)) => self.by_udp(to, parcel, told, until),
            Some(("tcp", to)) => {
                let (host, port) = host_and_port(to, PORT)?;
                self.by_stream(Wire::connect(host, port, until)?, parcel)
            }
            Some(("tls", to)) => {
                let (host, port) = host_and_port(to, PORT_TLS)?;
                let tls = roots::tls(self.settings.ca_file.as_deref())?;
                let mut wire = Wire::connect(host, port, until)?;
                wire.start_tls(tls, host)?;
                self.by_stream(wire, parcel)
            }
            None if address.starts_with('/') => self.by_socket(parcel, told, until),
            _ => Err(Failure::again(format!("{address} is no address of a syslog server"))),
        }
    }
}

impl Syslog {
    fn by_socket(&self, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::of(&self.settings.address, &error);
        let socket = UnixDatagram::unbound().map_err(failed)?;
        socket.connect(&self.settings.address).map_err(failed)?;
        while let Some(notice) = parcel.message.notices.get(*told) {
            socket.set_write_timeout(Some(left(until)?)).map_err(failed)?;
            socket.send(&self.local_line(notice)).map_err(failed)?;
            *told += 1;
        }
        Ok(())
    }

    /// Nothing says whether it arrives; but a port where nobody listens is said by the second packet.
    fn by_udp(&self, to: &str, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::of(&self.settings.address, &error);
        let (host, port) = host_and_port(to, PORT)?;
        let socket = connect_udp(host, port).map_err(failed)?;
        socket.set_write_timeout(Some(left(until)?)).map_err(failed)?;
        while *told < parcel.message.notices.len() {
            socket.send(&self.line(parcel, *told)).map_err(failed)?;
            *told += 1;
        }
        match socket.take_error().map_err(failed)? {
            Some(error) => {
                *told = 0;
                Err(failed(error))
            }
            None => Ok(()),
        }
    }

    fn by_stream(&self, mut wire: Wire, parcel: &Parcel) -> Result<(), Failure> {
        let mut frames = Vec::new();
        for index in 0..parcel.message.notices.len() {
            let text = self.line(parcel, index);
            frames.extend_from_slice(format!("{} ", text.len()).as_bytes());
            frames.extend_from_slice(&text);
        }
        wire.send(&frames)?;
        wire.close(GOODBYE)
    }
}

fn connect_udp(host: &str, port: u16) -> std::io::Result<UdpSocket> {
    use std::net::ToSocketAddrs as _;
    let mut why = std::io::Error::from(std::io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => return Ok(socket),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The structured data: what a server may sort by.
fn data(parcel: &Parcel, index: usize) -> String {
    let notice = &parcel.message.notices[index];
    let mut text = format!("[{DATA}");
    let mut put = |name: &str, value: &str| text.push_str(&format!(" {name}=\"{}\"", escaped(&line(value, 128))));
    put("id", &parcel.notice_id(index));
    put("topic", notice.topic.as_str());
    put("what", &notice.what);
    put("severity", notice.severity.as_str());
    for resource in notice.resources.iter().take(4) {
        put("resource", resource);
    }
    if let Some(incident) = &notice.incident {
        put("incident", incident);
    }
    if let Some(device) = notice.event.as_ref().and_then(|event| event.device.as_ref()) {
        put("device", device.label());
        put("deviceId", &device.id);
    }
    text.push(']');
    text
}

/// RFC 5424 6.3.3: these three have a backslash before them.
fn escaped(value: &str) -> String {
    value.chars().fold(String::new(), |mut text, c| {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

/// A word of printable ASCII without blanks, as the head of a line has them; `-` if nothing is left.
fn word(text: &str, max: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}
