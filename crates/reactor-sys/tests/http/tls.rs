//! TLS, certificates of clients and passwords, read by curl.

use std::path::Path;
use std::process::{Command, Stdio};

use super::certificates::{Authority, Pair};
use super::*;

/// A year that tests do not see the end of, and one that has ended.
const LATER: i32 = 2090;
const PAST: i32 = 2020;

/// Cost 4, so that tests are quick: `alice` has the password `wonder:land`.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

struct Place {
    home: Home,
    /// Signs for the server and for clients.
    ca: Authority,
}

impl Place {
    fn new(name: &str) -> Self {
        let place = Self { home: Home::new(&format!("tls-{name}")), ca: Authority::new("the authority") };
        place.ca.write(&place.path("ca.crt"));
        place.ca.sign(&place.home.0, "server", &["localhost", "127.0.0.1"], LATER);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.0.join(name)
    }

    /// The web configuration file, whole at once.
    fn configure(&self, text: &str) {
        fs::write(self.path("web.yml.new"), text).unwrap();
        fs::set_permissions(self.path("web.yml.new"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(self.path("web.yml.new"), self.path("web.yml")).unwrap();
    }

    fn start(&self) -> MetricsServer {
        self.start_with(Limits::default())
    }

    fn start_with(&self, limits: Limits) -> MetricsServer {
        let (handle, requests) = scrape_channel();
        answer_all(requests, node(3), Arc::new(Mutex::new(healthy())));
        let settings = PrometheusSettings {
            address: ListenAddress::Tcp { ip: Some(LOCAL), port: 0 },
            web_config_file: Some(self.path("web.yml")),
            ..Default::default()
        };
        MetricsServer::start(&settings, limits, handle).unwrap()
    }

    /// A server with this configuration, and its port.
    fn serve(&self, text: &str) -> (MetricsServer, u16) {
        self.configure(text);
        let server = self.start();
        let state = wait(&server, ServerState::is_settled);
        let port = state.addresses().next().unwrap_or_else(|| panic!("{state:?}")).port();
        (server, port)
    }

    fn curl(&self, port: u16, arguments: &[&str]) -> Got {
        self.curl_at(&format!("https://localhost:{port}/metrics"), arguments)
    }

    fn curl_at(&self, url: &str, arguments: &[&str]) -> Got {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-w", "\n%{http_code}", "--max-time", "60", "--noproxy", "*", "--cacert"])
            .arg(self.path("ca.crt"));
        let output = curl.args(arguments).arg(url).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        Got { status: status.parse().unwrap(), body: body.to_owned(), error: String::from_utf8(output.stderr).unwrap() }
    }
}

/// What curl got; status 0 = no answer.
#[derive(Debug)]
struct Got {
    status: u16,
    body: String,
    error: String,
}

impl Got {
    fn is_all(&self) -> bool {
        self.status == 200 && self.body.contains("drbd_resource_maypromote{name=\"r2\"} 1\n")
    }
}

fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    if let Err(error) = &found {
        skip("curl", &error.to_string());
    }
    found.is_ok()
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

fn as_client(pair: &Pair) -> [String; 4] {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    ["--cert".to_owned(), text(&pair.cert), "--key".to_owned(), text(&pair.key)]
}

#[test]
fn metrics_are_read_over_tls_and_not_in_the_clear() {
    if !has_curl() {
        return;
    }
    let place = Place::new("plain");
    let (server, port) = place.serve(TLS);
    assert_eq!(server.problems(), [""; 0]);
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let got = place.curl(port, &[version]);
        assert!(got.is_all(), "{got:?}");
        assert!(got.body.contains("storage_reactor_http_web_config_ok 1\n"));
        assert!(got.body.contains("storage_reactor_http_certificate_expiry_timestamp_seconds 3818361600\n"), "{got:?}");
    }
    // Who does not know the authority does not go on.
    let stranger = Authority::new("another").write(&place.path("another.crt"));
    let got = place.curl(port, &["--cacert", stranger.to_str().unwrap()]);
    assert!(got.status == 0 && got.error.contains("certificate"), "{got:?}");
    until("it is counted", || server.health().handshakes_failed == 1);
    // Nor is anything said to who does not speak TLS, but what to do.
    let got = place.curl_at(&format!("http://localhost:{port}/metrics"), &[]);
    assert_eq!((got.status, got.body.as_str()), (400, "this port speaks HTTPS, use https://\n"));
    assert!(place.curl(port, &[]).is_all());
}

#[test]
fn versions_suites_and_headers_are_those_of_the_file() {
    if !has_curl() {
        return;
    }
    let place = Place::new("choices");
    let (_server, port) = place.serve(&format!(
        "{TLS}  min_version: TLS13\n  curve_preferences: [CurveP256, X25519]\nhttp_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n"
    ));
    assert_eq!(place.curl(port, &["--tls-max", "1.2"]).status, 0);
    let got = place.curl(port, &["-D", "-"]);
    assert!(got.is_all() && got.body.to_lowercase().contains("x-frame-options: deny"), "{got:?}");
    let (_server, port) = place
        .serve(&format!("{TLS}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"));
    assert!(place.curl(port, &[]).is_all());
    assert_eq!(place.curl(port, &["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]).status, 0);
}

#[test]
fn the_five_ways_to_ask_clients_for_certificates() {
    if !has_curl() {
        return;
    }
    let place = Place::new("clients");
    let home = &place.home.0;
    let others = Authority::new("somebody else");
    let clients = [
        None,
        Some(place.ca.sign(home, "good", &["prometheus.example.org"], LATER)),
        Some(others.sign(home, "wrong", &["prometheus.example.org"], LATER)),
        Some(place.ca.sign(home, "old", &["prometheus.example.org"], PAST)),
    ];
    for (auth, expected) in [
        ("NoClientCert", [true, true, true, true]),
        ("RequestClientCert", [true, true, true, true]),
        ("RequireAnyClientCert", [false, true, true, true]),
        ("VerifyClientCertIfGiven", [true, true, false, false]),
        ("RequireAndVerifyClientCert", [false, true, false, false]),
    ] {
        let ca = if auth.contains("Verify") { "  client_ca_file: ca.crt\n" } else { "" };
        let (server, port) = place.serve(&format!("{TLS}  client_auth_type: {auth}\n{ca}"));
        let come_in = clients.each_ref().map(|client| {
            let arguments = client.as_ref().map(as_client);
            let arguments: Vec<&str> = arguments.iter().flatten().map(String::as_str).collect();
            place.curl(port, &arguments).is_all()
        });
        assert_eq!(come_in, expected, "{auth}");
        let refused = expected.iter().filter(|come_in| !**come_in).count() as u64;
        until("they are counted", || server.health().handshakes_failed == refused);
    }
}

#[test]
fn only_allowed_names_of_clients_come_in() {
    if !has_curl() {
        return;
    }
    let place = Place::new("names");
    let (_server, port) = place.serve(&format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus.example.org, 10.0.0.7]\n"
    ));
    for (names, comes_in) in [
        (&["prometheus.example.org"][..], true),
        (&["x.example.org", "10.0.0.7"][..], true),
        (&["grafana.example.org"][..], false),
        (&["10.0.0.8"][..], false),
        (&[][..], false),
    ] {
        let client = as_client(&place.ca.sign(&place.home.0, "client", names, LATER));
        let client: Vec<&str> = client.iter().map(String::as_str).collect();
        assert_eq!(place.curl(port, &client).is_all(), comes_in, "{names:?}");
    }
}

#[test]
fn passwords_are_asked_for_and_the_right_one_is_computed_once() {
    if !has_curl() {
        return;
    }
    let place = Place::new("passwords");
    let users = format!("basic_auth_users:\n  alice: {}\n  bob: {}\n", hash("wonder:land"), hash("b"));
    let (server, port) = place.serve(&format!("{TLS}{users}"));
    let refused = |arguments: &[&str]| {
        let got = place.curl(port, arguments);
        assert_eq!((got.status, got.body.as_str()), (401, "a user and a password are needed\n"), "{arguments:?}");
    };
    refused(&[]);
    refused(&["-u", "alice:wrong"]);
    refused(&["-u", "carol:wonder:land"]);
    refused(&["-u", "bob:wonder:land"]);
    refused(&["-H", "Authorization: Bearer wonder:land"]);
    refused(&["-H", "Authorization: Basic !!!"]);
    let got = place.curl(port, &["-D", "-"]);
    assert!(got.body.to_lowercase().contains("www-authenticate: basic"), "{got:?}");
    assert_eq!(server.health().unauthorized, 7);
    for _ in 0..3 {
        assert!(place.curl(port, &["-u", "alice:wonder:land"]).is_all());
        assert!(place.curl(port, &["-u", "bob:b"]).is_all());
    }
    // Whoever was right once is not who comes with something else.
    refused(&["-u", "alice:b"]);
    let health = place.curl_at(&format!("https://localhost:{port}/healthz"), &[]);
    assert_eq!(health.status, 401);
    assert!(
        place.curl(port, &["-u", "alice:wonder:land"]).body.contains("storage_reactor_http_unauthorized_total 9\n")
    );
}

#[test]
fn a_renewed_certificate_and_another_password_are_taken_without_a_restart() {
    if !has_curl() {
        return;
    }
    let place = Place::new("renewal");
    let old = place.ca.sign(&place.home.0, "server", &["localhost"], PAST);
    let (server, port) = place.serve(TLS);
    let problems = server.problems();
    assert!(problems.len() == 1 && problems[0].contains("has expired on 2020-12-31"), "{problems:?}");
    let got = place.curl(port, &[]);
    assert!(got.status == 0 && got.error.contains("expired"), "{got:?}");
    // As it is if the clock of the node has lost its battery.
    place.ca.sign_for(&place.home.0, "server", &["localhost"], LATER - 1, LATER);
    until("it is said", || {
        place.curl(port, &[]);
        let problems = server.problems();
        problems.len() == 1
            && problems[0].contains("is good from 2089-01-01")
            && problems[0].contains("clock of this node")
    });
    place.ca.sign(&place.home.0, "server", &["localhost"], LATER);
    until("the new certificate is shown", || place.curl(port, &[]).is_all());
    assert_eq!(server.problems(), [""; 0]);
    // A key that does not fit: the last good one is used, and said to be.
    let good = fs::read(&old.key).unwrap();
    Authority::new("x").sign(&place.path(""), "other", &[], LATER);
    fs::rename(place.path("other.key"), place.path("server.key")).unwrap();
    until("it is noticed", || place.curl(port, &[]).is_all() && !server.problems().is_empty());
    let problems = server.problems();
    assert!(problems[0].contains("do not belong together") && problems[0].contains("last good"), "{problems:?}");
    assert!(place.curl(port, &[]).body.contains("storage_reactor_http_web_config_ok 0\n"));
    // Half a file, and then none.
    fs::write(place.path("server.key"), &good[..40]).unwrap();
    until("it is noticed", || place.curl(port, &[]).is_all() && server.problems()[0].contains("private key"));
    fs::remove_file(place.path("server.key")).unwrap();
    until("it is noticed", || place.curl(port, &[]).is_all() && server.problems()[0].contains("No such file"));
    fs::write(place.path("server.key"), good).unwrap();
    until("it is good again", || place.curl(port, &[]).is_all() && server.problems().is_empty());
    // A password on top, and another one; but what was closed is not opened.
    place.configure(&format!("{TLS}basic_auth_users: {{alice: {}}}\n", hash("one")));
    until("the password is asked for", || place.curl(port, &[]).status == 401);
    assert!(place.curl(port, &["-u", "alice:one"]).is_all());
    place.configure(&format!("{TLS}basic_auth_users: {{alice: {}}}\n", hash("two")));
    until("the new password is right", || place.curl(port, &["-u", "alice:two"]).is_all());
    assert_eq!(place.curl(port, &["-u", "alice:one"]).status, 401);
    let users = format!("basic_auth_users: {{alice: {}}}\n", hash("two"));
    for (open, why) in [("", "nothing in it"), ("{}\n", "any more"), (TLS, "any more"), (&users, "any more")] {
        place.configure(open);
        until("it is noticed", || {
            assert_eq!(place.curl(port, &[]).status, 401);
            server.problems().iter().any(|problem| problem.contains(why))
        });
        place.configure(&format!("{TLS}basic_auth_users: {{alice: {}}}\n", hash("two")));
        until("it is good again", || {
            assert_eq!(place.curl(port, &[]).status, 401);
            server.problems().is_empty()
        });
    }
}

/// A scraper keeps its connection for days: it has to come in again to see a renewed certificate, and to show another one of its own.
#[test]
fn who_stays_connected_is_sent_to_the_door_again_when_it_has_changed() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    let place = Place::new("stays");
    let (server, port) = place.serve("{}\n");
    let mut plain = connect(([127, 0, 0, 1], port).into());
    let reply = request(&mut plain, "GET", "/metrics").unwrap();
    assert!(reply.status == 200 && !reply.headers.to_lowercase().contains("connection: close"), "{reply:?}");
    // TLS is asked for now, also of who is there already.
    place.configure(TLS);
    let mut last = None;
    until("it is told", || {
        let reply = request(&mut plain, "GET", "/metrics").unwrap();
        last = (reply.status != 200).then_some(reply);
        last.is_some()
    });
    let last = last.unwrap();
    assert_eq!((last.status, last.body.as_str()), (400, "this port speaks HTTPS, use https://\n"));
    closed(&mut plain);

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(place.path("ca.crt")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let client = rustls::ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut client = rustls::StreamOwned::new(client, connect(([127, 0, 0, 1], port).into()));
    for _ in 0..3 {
        let reply = request(&mut client, "GET", "/metrics").unwrap();
        assert!(reply.status == 200 && !reply.headers.to_lowercase().contains("connection: close"), "{reply:?}");
    }
    place.ca.sign(&place.home.0, "server", &["localhost"], LATER);
    until("the connection ends with an answer", || {
        let reply = request(&mut client, "GET", "/metrics").unwrap();
        assert_eq!(reply.status, 200);
        reply.headers.to_lowercase().contains("connection: close")
    });
    closed(&mut client.sock);
    assert_eq!(server.problems(), [""; 0]);
}

/// A file that is being written ends anywhere, for example behind the key.
#[test]
fn what_is_asked_of_clients_is_not_taken_away_while_it_runs() {
    if !has_curl() {
        return;
    }
    let place = &Place::new("closed");
    let auth = |how: &str| format!("{TLS}  client_auth_type: {how}\n  client_ca_file: ca.crt\n");
    let all = format!("{}  client_allowed_sans: [prometheus.example.org]\n", auth("RequireAndVerifyClientCert"));
    let (server, port) = place.serve(&all);
    let sign = |name: &str, san: &str| {
        let pair = as_client(&place.ca.sign(&place.home.0, name, &[san], LATER));
        move |arguments: &[&str]| {
            let pair: Vec<&str> = pair.iter().map(String::as_str).collect();
            place.curl(port, &[&pair[..], arguments].concat())
        }
    };
    let (good, other) = (sign("good", "prometheus.example.org"), sign("other", "grafana.example.org"));
    assert!(good(&[]).is_all());
    for (open, why) in [
        (TLS.to_owned(), "does not ask for certificates of clients any more"),
        (auth("VerifyClientCertIfGiven"), "does not ask for certificates of clients any more"),
        (format!("{TLS}  client_auth_type: RequireAnyClientCert\n"), "good certificates of clients any more"),
        (auth("RequireAndVerifyClientCert"), "names of clients (client_allowed_sans) any more"),
    ] {
        place.configure(&open);
        until("it is noticed", || {
            assert_eq!((place.curl(port, &[]).status, other(&[]).status), (0, 0), "{open}");
            server.problems().iter().any(|problem| problem.contains(why))
        });
        assert!(good(&[]).is_all());
        place.configure(&all);
        until("it is good again", || good(&[]).is_all() && server.problems().is_empty());
    }
}

/// Whoever can write the certificate of the authority says who comes in.
#[test]
fn an_authority_that_others_can_write_is_not_believed() {
    let place = Place::new("writable");
    fs::set_permissions(place.path("ca.crt"), fs::Permissions::from_mode(0o666)).unwrap();
    place.configure(&format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"));
    let server = place.start();
    let problem = wait(&server, ServerState::is_settled).problem().unwrap();
    assert!(problem.contains("ca.crt can be written by others") && problem.contains("chmod go-w"), "{problem}");
    fs::set_permissions(place.path("ca.crt"), fs::Permissions::from_mode(0o644)).unwrap();
    wait(&server, |state| state.endpoints().next().is_some());
}

#[test]
fn an_authority_that_has_expired_is_said() {
    let place = Place::new("authority");
    Authority::until("an old one", PAST).write(&place.path("ca.crt"));
    place.configure(&format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"));
    let faults = reactor_sys::http::web::judge(&place.path("web.yml"));
    assert!(faults.iter().all(|fault| !fault.unusable), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.what.contains("ca.crt has expired on 2020-12-31")), "{faults:?}");
}

#[test]
fn without_a_good_file_nothing_is_served_until_there_is_one() {
    let place = Place::new("broken");
    let server = place.start();
    let state = wait(&server, ServerState::is_settled);
    assert_eq!(state.endpoints().count(), 0);
    assert!(state.problem().unwrap().contains("web.yml: No such file"), "{state:?}");
    place.configure("tls_server_config: {cert_file: server.crt}\n");
    let state = wait(&server, |state| state.problem().is_some_and(|problem| problem.contains("no private key")));
    assert_eq!(state.endpoints().count(), 0);
    place.configure(TLS);
    let state = wait(&server, |state| state.endpoints().next().is_some());
    assert_eq!(state.problem(), None);
    if has_curl() {
        assert!(place.curl(state.addresses().next().unwrap().port(), &[]).is_all());
    }
}

#[test]
fn whoever_never_ends_the_handshake_is_ended_and_keeps_nobody_waiting() {
    if !has_curl() {
        return;
    }
    let place = Place::new("silent");
    place.configure(TLS);
    let server = place.start_with(Limits { header: Duration::from_secs(2), ..Limits::default() });
    let address = wait(&server, ServerState::is_settled).addresses().next().unwrap();
    let mut silent: Vec<TcpStream> = (0..10).map(|_| connect(address)).collect();
    // The beginning of a handshake that says that much more follows.
    for socket in &mut silent {
        socket.write_all(&[0x16, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb]).unwrap();
    }
    // They count as connections from the first moment.
    until("they are seen", || server.health().connections > 0);
    until("somebody else is served", || place.curl(address.port(), &[]).is_all());
    silent.iter_mut().for_each(closed);
    until("they are counted", || server.health().handshakes_failed == 10);
    assert_eq!(server.health().timed_out, 10);
    // And they give way to whoever comes, as all do that never asked for anything.
    let _crowd: Vec<TcpStream> = (0..60).map(|_| connect(address)).collect();
    until("somebody else is served", || place.curl(address.port(), &[]).is_all());
    assert!(server.health().connections <= Limits::default().per_address as u64);
}

#[test]
fn so_many_requests_and_no_more() {
    if !has_curl() {
        return;
    }
    let place = Place::new("rate");
    let (_server, port) = place.serve(&format!("{TLS}rate_limit:\n  interval: 1h\n  burst: 3\n"));
    let statuses: Vec<u16> = (0..5).map(|_| place.curl(port, &[]).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

/// TLS and passwords are for unix sockets, too.
#[test]
fn a_unix_socket_may_ask_for_a_password() {
    if !has_curl() {
        return;
    }
    let place = Place::new("unix");
    place.configure(&format!("basic_auth_users: {{alice: {}}}\n", hash("one")));
    let path = place.path("metrics.sock");
    let (handle, requests) = scrape_channel();
    answer_all(requests, node(3), Arc::new(Mutex::new(healthy())));
    let (address, web_config_file) = (ListenAddress::Unix(path.clone()), Some(place.path("web.yml")));
    let settings = PrometheusSettings { address, web_config_file, ..Default::default() };
    let server = MetricsServer::start(&settings, Limits::default(), handle).unwrap();
    wait(&server, |state| state.endpoints().next().is_some());
    let socket = ["--unix-socket", path.to_str().unwrap()];
    assert_eq!(place.curl_at("http://localhost/metrics", &socket).status, 401);
    assert!(place.curl_at("http://localhost/metrics", &[&socket[..], &["-u", "alice:one"]].concat()).is_all());
}
