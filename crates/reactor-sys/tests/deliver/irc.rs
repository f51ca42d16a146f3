//! IRC: a real ngircd, and a server of ours for what that does not know or does not do.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reactor_core::settings::notify::Irc;

use super::*;
use crate::programs::{Running, program};
use crate::server::{Lines, Listener, Tls};
use crate::web::free_port;

fn irc(port: u16) -> Irc {
    Irc {
        server: format!("localhost:{port}"),
        tls: false,
        ca_file: None,
        nick: None,
        channel: "#storage".to_owned(),
        channel_key_file: None,
        password_file: None,
    }
}

fn by_irc(irc: Irc) -> NotifySettings {
    settings("chat", Receiver::Irc(irc))
}

fn secret(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

struct Ngircd {
    port: u16,
    tls_port: u16,
    _running: Running,
}

impl Ngircd {
    fn start(home: &Home, tls: &Tls) -> Option<Self> {
        let mut command = program("ngircd")?;
        let (port, tls_port) = (free_port(), free_port());
        let motd = home.path("motd");
        fs::write(&motd, "welcome\n").unwrap();
        let text = format!(
            "[Global]\nName = irc.test.example\nInfo = test\nListen = 127.0.0.1\nPorts = {port}\nMotdFile = {}\n\
             [Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\nMaxNickLength = 12\n[Options]\nDNS = no\nIdent = no\nPAM = no\n\
             [SSL]\nCertFile = {}\nKeyFile = {}\nPorts = {tls_port}\n\
             [Channel]\nName = #storage\nTopic = test\nModes = nt\n",
            motd.display(),
            tls.cert.display(),
            tls.key.display()
        );
        let conf = home.path("ngircd.conf");
        fs::write(&conf, text).unwrap();
        let log = fs::File::create(home.path("ngircd.log")).unwrap();
        command.arg("-n").arg("-f").arg(&conf);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().ok()?;
        let running = Running(child);
        until("ngircd listens", || TcpStream::connect(("127.0.0.1", tls_port)).is_ok());
        Some(Self { port, tls_port, _running: running })
    }
}

/// Somebody in the channel.
struct Person(Lines);

impl Person {
    fn join(port: u16, nick: &str) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let mut person = Self(Lines::new(socket));
        person.0.say(&format!("NICK {nick}\r\nUSER {nick} 0 * :somebody"));
        person.hears(" 001 ");
        person.0.say("JOIN #storage");
        person.hears(" 366 ");
        person
    }

    /// The next line that has this.
    fn hears(&mut self, text: &str) -> String {
        loop {
            let line = self.0.next();
            assert_ne!(line, "", "the server has gone, and nobody said {text}");
            if let Some(token) = line.strip_prefix("PING ") {
                self.0.say(&format!("PONG {token}"));
            }
            if line.contains(text) {
                return line;
            }
        }
    }
}

#[test]
fn a_real_ircd_tells_the_channel_over_tls_and_in_the_clear() {
    let home = Home::new("ngircd");
    let tls = Tls::new(&home);
    let Some(ngircd) = Ngircd::start(&home, &tls) else { return skip("ngircd", "it is not installed") };
    let mut person = Person::join(ngircd.port, "alice");
    // Somebody has the name of our node.
    let _other = Person::join(ngircd.port, "n1");
    person.hears("JOIN");
    let over_tls = Irc { tls: true, ca_file: Some(tls.ca.clone()), ..irc(ngircd.tls_port) };
    let deliveries = start(&home.path("state"), &[by_irc(over_tls)]);
    deliveries.send(message("chat", "r0 lost its peer\r\nQUIT :bye"));
    let line = person.hears("PRIVMSG #storage");
    assert!(line.starts_with(":n1_1!") && line.ends_with(":n1: error: r0 lost its peer  QUIT :bye"), "{line}");
    let long = "\u{1f4be} disk ".repeat(60);
    deliveries.send(message("chat", &long));
    let mut told = String::new();
    while told.matches("disk").count() < 60 {
        let line = person.hears("PRIVMSG #storage");
        assert!(line.len() <= 510, "{}", line.len());
        told.push_str(line.split_once(" :").unwrap().1);
        told.push(' ');
    }
    assert_eq!(told.matches('\u{1f4be}').count(), 60, "no character is broken: {told}");
    until("both have arrived", || status(&deliveries, "chat").delivered == 2);
    // The same connection: nobody has come or gone between.
    let mut group = message("chat", "first of two");
    group.notices.push(notice("second of two"));
    group.left_out = 3;
    deliveries.send(group);
    for text in [
        ":n1: first of two (and 4 more)",
        ":error: first of two",
        ":error: second of two",
        ":3 more were left out, see the log of n1",
    ] {
        let line = person.hears("");
        assert!(line.ends_with(text), "{line}");
    }
    // A new address is a new connection.
    deliveries.apply(&[by_irc(irc(ngircd.port))], Configured::Whole);
    deliveries.send(message("chat", "in the clear"));
    person.hears("in the clear");
}

/// A server of ours, up to where the client is in the channel.
fn registered(listener: &Listener) -> Lines {
    let mut lines = Lines::new(listener.accept());
    lines.expect("NICK n1", "");
    lines.expect("USER n1 0 * :Storage Reactor", ":s 001 n1 :Welcome");
    lines.expect("JOIN #storage", ":n1!u@h JOIN #storage\r\n:s 353 n1 = #storage :n1\r\n:s 366 n1 #storage :End");
    lines
}

/// Takes a message, and confirms it or not.
fn takes(lines: &mut Lines, text: &str, answer: impl Fn(&str) -> String) {
    assert_eq!(lines.next(), format!("PRIVMSG #storage :n1: error: {text}"));
    let ping = lines.next();
    let token = ping.strip_prefix("PING :").unwrap_or_else(|| panic!("{ping}"));
    lines.say(&answer(token));
}

fn pong(token: &str) -> String {
    format!(":s PONG s :{token}")
}

#[test]
fn what_the_server_has_not_confirmed_is_told_again() {
    let (home, listener) = (Home::new("irc-again"), Listener::new());
    let deliveries = start(&home.0, &[by_irc(irc(listener.port()))]);
    deliveries.send(message("chat", "one"));
    // It takes the line, and dies.
    let mut first = registered(&listener);
    first.expect("PRIVMSG #storage :n1: error: one", "");
    drop(first);
    let mut second = registered(&listener);
    takes(&mut second, "one", |_| ":s 404 n1 #storage :Cannot send to channel".to_owned());
    let mut third = registered(&listener);
    takes(&mut third, "one", |token| format!("PING :alive\r\n{}", pong(token)));
    until("it has arrived", || status(&deliveries, "chat").delivered == 1);
    assert_eq!(status(&deliveries, "chat").failed, 2);
    assert_eq!(third.next(), "PONG :alive");
    // The connection stays, and is used again.
    deliveries.send(message("chat", "two"));
    takes(&mut third, "two", pong);
    until("that, too", || status(&deliveries, "chat").delivered == 2);
    // While nothing waits, the server is told that we live.
    third.say("PING :still there?");
    assert_eq!(third.next(), "PONG :still there?");
    // Thrown out: it comes again with the next message, and not before.
    third.say(":op!u@h KICK #storage n1 :enough");
    deliveries.send(message("chat", "three"));
    let mut fourth = registered(&listener);
    takes(&mut fourth, "three", pong);
    until("and that", || status(&deliveries, "chat").delivered == 3);
}

#[test]
fn the_password_goes_by_sasl_over_tls_and_the_key_opens_the_channel() {
    let (home, listener) = (Home::new("irc-sasl"), Listener::new());
    let tls = Tls::new(&home);
    let password = "p".repeat(400);
    let settings = Irc {
        tls: true,
        ca_file: Some(tls.ca.clone()),
        nick: Some("Reactor".to_owned()),
        password_file: Some(secret(&home, "password", &password)),
        channel_key_file: Some(secret(&home, "key", "sesame")),
        ..irc(listener.port())
    };
    let deliveries = start(&home.path("state"), &[by_irc(settings.clone())]);
    deliveries.send(message("chat", "news"));
    let greet = |password: &str| {
        let mut lines = Lines::new(tls.accept(listener.accept()));
        lines.expect("CAP REQ :sasl", "");
        lines.expect("NICK Reactor", "");
        lines.expect("USER Reactor 0 * :Storage Reactor", ":s CAP * ACK :sasl");
        lines.expect("AUTHENTICATE PLAIN", "AUTHENTICATE +");
        let all = STANDARD.encode(format!("Reactor\0Reactor\0{password}"));
        for piece in all.as_bytes().chunks(400) {
            lines.expect(&format!("AUTHENTICATE {}", String::from_utf8_lossy(piece)), "");
        }
        lines
    };
    let mut lines = greet(&password);
    lines.say(":s 904 * :SASL authentication failed");
    drop(lines);
    let mut lines = greet(&password);
    lines.say(":s 903 * :welcome");
    lines.expect("CAP END", ":s 001 Reactor :Welcome");
    lines.expect("JOIN #storage sesame", ":s 475 Reactor #storage :Cannot join channel (+k)");
    drop(lines);
    until("it is told why", || status(&deliveries, "chat").trouble.is_some_and(|why| why.contains("475")));
    let why = status(&deliveries, "chat").trouble.unwrap();
    assert!(!why.contains("sesame") && !why.contains("ppp"), "{why}");
    // Without TLS no password goes out.
    let clear = Listener::new();
    drop(deliveries);
    let settings = Irc { server: format!("localhost:{}", clear.port()), tls: false, ..settings };
    let deliveries = start(&home.path("clear"), &[by_irc(settings)]);
    deliveries.send(message("chat", "news"));
    let mut socket = clear.accept();
    let _ = socket.write_all(b"\r\n");
    assert_eq!(Lines::new(socket).next(), "");
    until("that is told", || status(&deliveries, "chat").trouble.is_some_and(|why| why.contains("in the clear")));
}
