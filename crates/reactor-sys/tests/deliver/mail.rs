//! Mail, to a server of ours that says what it is told to say, and by a program.

use std::sync::mpsc::{Receiver as Inbox, channel};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reactor_core::settings::notify::{Mail, SmtpServer, SmtpTls};

use super::*;
use crate::server::{Lines, Listener, Tls};

fn server(port: u16, tls: SmtpTls) -> SmtpServer {
    SmtpServer { address: format!("localhost:{port}"), tls, user: None, password_file: None, ca_file: None }
}

fn mail(server: Option<SmtpServer>) -> Mail {
    Mail {
        to: vec!["ops@example.com".to_owned(), "Night Shift <night@example.com>".to_owned()],
        from: None,
        server,
        sendmail: "/nonexistent/sendmail".into(),
    }
}

fn by_mail(mail: Mail) -> NotifySettings {
    settings("mail", Receiver::Mail(mail))
}

/// What a server has been told.
#[derive(Debug, Default)]
struct Told {
    commands: Vec<String>,
    mail: String,
}

impl Told {
    fn header(&self, name: &str) -> String {
        let head = self.mail.split("\n\n").next().unwrap().replace("\n ", " ");
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.mail)).to_owned()
    }

    fn body(&self) -> String {
        // Quoted-printable, as far as these tests need it.
        let body = self.mail.split_once("\n\n").unwrap().1.replace("=\n", "");
        body.replace("=3D", "=").replace("=C3=A4", "\u{e4}")
    }
}

/// A mail server: `answers` are what it says to commands that begin with a word, once each, where that is not the usual.
struct Smtp {
    port: u16,
    told: Inbox<Told>,
}

impl Smtp {
    fn start(tls: Option<(Tls, SmtpTls)>, extensions: &str, answers: &[(&str, &str)]) -> Self {
        let (listener, (tx, told)) = (Listener::new(), channel());
        let port = listener.port();
        let extensions = extensions.to_owned();
        let mut answers: Vec<(String, String)> =
            answers.iter().map(|(word, answer)| ((*word).to_owned(), (*answer).to_owned())).collect();
        std::thread::spawn(move || {
            loop {
                let socket = listener.accept();
                let mut told = Told::default();
                serve(socket, tls.as_ref(), &extensions, &mut answers, &mut told);
                if tx.send(told).is_err() {
                    return;
                }
            }
        });
        Self { port, told }
    }

    fn next(&self) -> Told {
        self.told.recv_timeout(LONG).expect("a session")
    }

    /// The next session that has brought a mail.
    fn next_mail(&self) -> Told {
        std::iter::repeat_with(|| self.next()).find(|told| !told.mail.is_empty()).unwrap()
    }
}

fn serve(
    socket: std::net::TcpStream,
    tls: Option<&(Tls, SmtpTls)>,
    extensions: &str,
    answers: &mut Vec<(String, String)>,
    told: &mut Told,
) {
    let plain = socket.try_clone().unwrap();
    let mut lines = match tls {
        Some((tls, SmtpTls::Wrapped)) => Lines::new(tls.accept(socket)),
        _ => Lines::new(socket),
    };
    lines.say("220 mail.example ESMTP");
    loop {
        let line = lines.next();
        if line.is_empty() {
            return;
        }
        told.commands.push(line.clone());
        let word = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
        if let Some(at) = answers.iter().position(|(known, _)| line.starts_with(known.as_str())) {
            let (_, answer) = answers.remove(at);
            lines.say(&answer);
            continue;
        }
        match word.as_str() {
            "EHLO" => lines.say(&format!("250-mail.example\r\n{extensions}250 8BITMIME")),
            "STARTTLS" => {
                lines.say("220 go on");
                lines = Lines::new(tls.unwrap().0.accept(plain.try_clone().unwrap()));
            }
            "AUTH" => lines.say("235 welcome"),
            "DATA" => {
                lines.say("354 go on");
                let mut mail = String::new();
                loop {
                    let line = lines.next();
                    if line == "." {
                        break;
                    }
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push('\n');
                }
                told.mail = mail;
                lines.say("250 taken");
            }
            "QUIT" => return lines.say("221 bye"),
            _ => lines.say("250 fine"),
        }
    }
}

#[test]
fn a_mail_says_what_a_person_needs_and_its_headers_cannot_be_added_to() {
    let home = Home::new("mail");
    let smtp = Smtp::start(None, "", &[]);
    let deliveries = start(&home.0, &[by_mail(mail(Some(server(smtp.port, SmtpTls::None))))]);
    let mut message = message("mail", "r0 lost its peer\r\nBcc: everybody@example.com\r\n\r\n.\r\nb\u{e4}d");
    message.notices.push(notice("second"));
    message.left_out = 2;
    deliveries.send(message);
    let told = smtp.next();
    assert_eq!(
        told.commands,
        [
            "EHLO n1",
            "MAIL FROM:<storage-reactor@n1>",
            "RCPT TO:<ops@example.com>",
            "RCPT TO:<night@example.com>",
            "DATA",
            "QUIT"
        ]
    );
    let head = told.mail.split("\n\n").next().unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert_eq!(told.header("From"), "\"Storage Reactor\" <storage-reactor@n1>");
    assert_eq!(told.header("To"), "ops@example.com, \"Night Shift\" <night@example.com>");
    assert_eq!(told.header("Auto-Submitted"), "auto-generated");
    assert_eq!(told.header("Date"), "Sat, 28 Nov 2026 19:11:13 +0000");
    let id = told.header("Message-ID");
    assert!(id.len() == 32 + "<@n1>".len() && id.ends_with("@n1>"), "{id}");
    assert!(told.header("Subject").starts_with("n1: r0 lost its peer"), "{}", told.header("Subject"));
    let body = told.body();
    for line in [
        "n1 says:",
        "  when: 2026-11-28T19:11:13.898Z",
        "  because: the peer does not answer",
        "  resources: r0",
        "error: second",
        "2 more were left out, see the log of the node",
    ] {
        assert!(body.lines().any(|is| is == line), "{line} in\n{body}");
    }
    assert!(body.contains("error: r0 lost its peer  Bcc: everybody@example.com    .  b\u{e4}d"), "{body}");
}

#[test]
fn starttls_and_wrapped_tls_carry_the_password_and_nothing_else_does() {
    for (tls, name) in [(SmtpTls::StartTls, "starttls"), (SmtpTls::Wrapped, "wrapped")] {
        for (extensions, expected) in [
            (
                "250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n",
                vec![format!("AUTH PLAIN {}", STANDARD.encode("\0me\0geheim"))],
            ),
            (
                "250-STARTTLS\r\n250-AUTH LOGIN\r\n",
                vec!["AUTH LOGIN".to_owned(), STANDARD.encode("me"), STANDARD.encode("geheim")],
            ),
        ] {
            let home = Home::new(&format!("mail-{name}"));
            let of_server = Tls::new(&home);
            let ca_file = Some(of_server.ca.clone());
            let password = home.path("password");
            fs::write(&password, "geheim\n").unwrap();
            fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
            let answers: &[(&str, &str)] = if expected.len() == 3 {
                &[("AUTH LOGIN", "334 VXNlcg=="), (&expected[1], "334 UGFzcw=="), (&expected[2], "235 in")]
            } else {
                &[]
            };
            let smtp = Smtp::start(Some((of_server, tls)), extensions, answers);
            let user = Some("me".to_owned());
            let server = SmtpServer { user, password_file: Some(password), ca_file, ..server(smtp.port, tls) };
            let deliveries = start(&home.path("state"), &[by_mail(mail(Some(server)))]);
            deliveries.send(message("mail", "news"));
            let told = smtp.next_mail();
            let auth: Vec<&String> = told.commands.iter().filter(|line| expected.contains(line)).collect();
            assert_eq!(auth, expected.iter().collect::<Vec<_>>(), "{:?}", told.commands);
            let hellos = told.commands.iter().filter(|line| line.starts_with("EHLO")).count();
            assert_eq!(hellos, if tls == SmtpTls::StartTls { 2 } else { 1 });
        }
    }
}

#[test]
fn a_server_without_starttls_or_with_another_certificate_hears_nothing() {
    let home = Home::new("mail-strict");
    let smtp = Smtp::start(None, "", &[]);
    let deliveries = start(&home.path("state"), &[by_mail(mail(Some(server(smtp.port, SmtpTls::StartTls))))]);
    deliveries.send(message("mail", "news"));
    assert_eq!(smtp.next().commands, ["EHLO n1"]);
    until("that is told", || status(&deliveries, "mail").trouble.is_some_and(|why| why.contains("offers no STARTTLS")));
    let stranger = Home::new("mail-stranger");
    let smtp = Smtp::start(Some((Tls::new(&home), SmtpTls::StartTls)), "250-STARTTLS\r\n", &[]);
    let strict = SmtpServer { ca_file: Some(Tls::new(&stranger).ca), ..server(smtp.port, SmtpTls::StartTls) };
    deliveries.apply(&[by_mail(mail(Some(strict)))], Configured::Whole);
    assert_eq!(smtp.next().commands, ["EHLO n1", "STARTTLS"]);
    until("that is told, too", || status(&deliveries, "mail").trouble.is_some_and(|why| why.contains("certificate")));
    assert_eq!(status(&deliveries, "mail").waiting, 1);
}

#[test]
fn what_a_server_refuses_for_good_is_dropped_and_what_it_refuses_for_now_comes_again() {
    let home = Home::new("mail-codes");
    let answers = [
        ("EHLO", "554 not you"),
        ("MAIL", "451 later"),
        ("RCPT TO:<night", "550 no such person"),
        ("MAIL", "530 log in first"),
        ("DATA", "554 spam"),
    ];
    let smtp = Smtp::start(None, "", &answers);
    let deliveries = start(&home.0, &[by_mail(mail(Some(server(smtp.port, SmtpTls::None))))]);
    deliveries.send(message("mail", "first"));
    deliveries.send(message("mail", "second"));
    // Greeting refused; later; and who is not us: all of that is not about the mail.
    for _ in 0..3 {
        assert_eq!(smtp.next().mail, "");
    }
    // One of two addresses is refused: the other gets it. But DATA is refused, and that is the end of the first.
    let fourth = smtp.next();
    assert_eq!(fourth.commands.last().map(String::as_str), Some("DATA"), "{fourth:?}");
    assert_eq!(fourth.mail, "");
    let fifth = smtp.next();
    assert!(fifth.header("Subject").contains("second"), "{fifth:?}");
    until("it is counted", || status(&deliveries, "mail").delivered == 1);
    let done = status(&deliveries, "mail");
    assert_eq!((done.failed, done.dropped), (4, 1));
}

/// Writes what it is given, and its arguments, beside itself; ends with what is in the file `exit`.
fn sendmail(home: &Home) -> PathBuf {
    let path = home.path("sendmail");
    let script = "#!/bin/sh\nd=$(dirname \"$0\")\necho \"$@\" > \"$d/args\"\ncat > \"$d/mail.new\"\nmv \"$d/mail.new\" \"$d/mail\"\nexit $(cat \"$d/exit\")\n";
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn the_local_sendmail_takes_the_mail_without_a_shell_between() {
    let home = Home::new("sendmail");
    fs::write(home.path("exit"), "75").unwrap();
    let settings = Mail { sendmail: sendmail(&home), ..mail(None) };
    let deliveries = start(&home.path("state"), &[by_mail(settings)]);
    deliveries.send(message("mail", "news of $(id) `id`"));
    until("it fails for now", || status(&deliveries, "mail").failed > 0);
    fs::write(home.path("exit"), "0").unwrap();
    until("it is taken", || status(&deliveries, "mail").delivered == 1);
    let told = Told { commands: Vec::new(), mail: fs::read_to_string(home.path("mail")).unwrap() };
    assert_eq!(fs::read_to_string(home.path("args")).unwrap(), "-t -i\n");
    assert!(!told.mail.contains('\r'));
    assert_eq!(told.header("Subject"), "n1: news of $(id) `id`");
    assert_eq!(told.header("To"), "ops@example.com, \"Night Shift\" <night@example.com>");
    fs::write(home.path("exit"), "67").unwrap();
    deliveries.send(message("mail", "to nobody"));
    until("it is refused for good", || status(&deliveries, "mail").dropped == 1);
}

#[test]
fn a_password_file_that_others_can_read_is_not_used_and_its_content_is_not_told() {
    let home = Home::new("mail-secret");
    let of_server = Tls::new(&home);
    let ca_file = Some(of_server.ca.clone());
    let smtp = Smtp::start(Some((of_server, SmtpTls::Wrapped)), "250-AUTH PLAIN\r\n", &[]);
    let password = home.path("password");
    fs::write(&password, "geheim\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let user = Some("me".to_owned());
    let server =
        SmtpServer { user, password_file: Some(password.clone()), ca_file, ..server(smtp.port, SmtpTls::Wrapped) };
    let deliveries = start(&home.path("state"), &[by_mail(mail(Some(server)))]);
    deliveries.send(message("mail", "news"));
    assert_eq!(smtp.next().commands, ["EHLO n1"]);
    until("that is told", || status(&deliveries, "mail").trouble.is_some());
    let why = status(&deliveries, "mail").trouble.unwrap();
    assert!(why.contains("can be read by others") && !why.contains("geheim"), "{why}");
    // A new secret is taken without a reload.
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(smtp.next_mail().mail, "");
}
