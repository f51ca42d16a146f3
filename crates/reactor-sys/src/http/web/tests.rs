//! What a web configuration file may say, and that nothing secret is ever said of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::guests::Home;
use super::tls::ends;
use super::users::Line;
use super::*;

const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

fn read(text: &str) -> Result<WebFile, Fault> {
    parse(text, Path::new("/etc/web"))
}

fn refused(text: &str) -> String {
    match read(text) {
        Err(fault) => fault.to_string(),
        Ok(file) => panic!("it was taken: {file:?}"),
    }
}

fn warned(text: &str) -> String {
    read(text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn tls(more: &str) -> String {
    format!("tls_server_config:\n  cert_file: a.crt\n  key_file: /k/a.key\n{more}")
}

#[test]
fn all_that_there_is() {
    let text = tls(&format!(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\n    PEM\n  client_allowed_sans:\n  - a\n  \
         min_version: TLS12\n  max_version: TLS13\n  cipher_suites:\n  - TLS_AES_128_GCM_SHA256\n  \
         - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  prefer_server_cipher_suites: false\n  curve_preferences: [CurveP256]\n\
         http_server_config:\n  http2: true\n  headers:\n    X-Content-Type-Options: nosniff\n    Content-Security-Policy: \"\"\n\
         basic_auth_users:\n  alice: {HASH}\n  7: {HASH}\nrate_limit:\n  interval: 1m0.5s\n  burst: 20\n"
    ));
    let file = read(&text).unwrap();
    let tls = file.tls.as_ref().unwrap();
    // Relative paths begin at the folder of the file.
    assert!(matches!((&tls.cert, &tls.key), (Pem::File(cert), Pem::File(key))
        if cert == Path::new("/etc/web/a.crt") && key == Path::new("/k/a.key")));
    assert!(matches!(&tls.client_ca, Some(Pem::Inline(Hidden(pem))) if pem == "PEM\n"));
    assert_eq!((tls.client_auth, tls.versions, tls.prefer_ours), (ClientAuth::RequireAndVerify, Versions::Both, false));
    assert_eq!(tls.suites, [rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]);
    assert_eq!(tls.curves, [rustls::NamedGroup::secp256r1]);
    assert_eq!(file.headers, [("X-Content-Type-Options", "nosniff".to_owned())]);
    assert_eq!(file.users.keys().collect::<Vec<_>>(), ["7", "alice"]);
    assert_eq!(file.rate, Some(Rate { interval: Duration::from_millis(60_500), burst: 20 }));
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    let shown = format!("{file:?}");
    assert!(!shown.contains("$2y$") && !shown.contains("PEM"), "{shown}");
}

#[test]
fn what_is_missing_or_does_not_go_together() {
    for (text, why) in [
        (tls("").replace("  key_file: /k/a.key\n", ""), "has no private key"),
        (tls("").replace("  cert_file: a.crt\n", ""), "has no certificate"),
        (tls("  cert: x\n"), "both cert and cert_file"),
        (tls("  client_ca_file: ca\n"), "does not ask for certificates"),
        (tls("  client_auth_type: RequireAndVerifyClientCert\n"), "nothing to verify them with"),
        (tls("  client_auth_type: VerifyClientCertIfGiven\n"), "nothing to verify them with"),
        (tls("  client_allowed_sans: [a]\n"), "may come without a certificate"),
        (tls("  client_auth_type: RequireSome\n"), "can't be `RequireSome`"),
        (tls("  min_version: TLS11\n"), "is TLS11, which is not safe"),
        (tls("  max_version: TLS10\n"), "is TLS10, which is not safe"),
        (tls("  min_version: TLS13\n  max_version: TLS12\n"), "no version is left"),
        (tls("  cipher_suites: [X]\n"), "there is no cipher suite `X`"),
        (
            tls("  max_version: TLS12\n  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"),
            "none that this server speaks",
        ),
        (tls("  curve_preferences: [CurveP521]\n"), "no curve that this server has"),
        (tls("  curve_preferences: [Curve]\n"), "there is no curve `Curve`"),
        (tls("  certfile: x\n"), "line 4: unknown field `certfile`"),
        (
            "tls_config: {}".to_owned(),
            "line 1: unknown field `tls_config`, expected one of tls_server_config, http_server_config, basic_auth_users, rate_limit (",
        ),
        ("http_server_config: {headers: {Server: x}}".to_owned(), "the header `Server` can't be set"),
        ("http_server_config: {headers: {X-Frame-Options: never}}".to_owned(), "write deny or sameorigin"),
        ("basic_auth_users: {alice: secret}".to_owned(), "the user `alice` has in basic_auth_users is not a hash"),
        (format!("basic_auth_users: {{alice: {}}}", HASH.replace("$10$", "$15$")), "has the cost 15, at most 14"),
        (format!("basic_auth_users: {{alice: {HASH}, alice: {HASH}}}"), "duplicate"),
        (format!("basic_auth_users: {{'a:b': {HASH}}}"), "begins with `a` has a : in it"),
        (String::new(), "there is nothing in it"),
        ("# later\n".to_owned(), "there is nothing in it"),
        ("tls_server_config:\n".to_owned(), "there would be no TLS"),
        ("tls_server_config: {min_version: TLS12}".to_owned(), "there would be no TLS"),
        (tls("basic_auth_users:\n"), "has no users"),
        (tls("basic_auth_users: {}\n"), "has no users"),
        (tls(&format!("---\nbasic_auth_users: {{alice: {HASH}}}\n")), "not valid YAML"),
        ("rate_limit: {interval: 1s}".to_owned(), "burst is 0"),
        ("rate_limit: {interval: 1 fortnight, burst: 1}".to_owned(), "is no duration"),
        ("basic_auth_users: [secret]".to_owned(), "another kind"),
        ("{".to_owned(), "not valid YAML"),
    ] {
        let said = refused(&text);
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn what_is_less_safe_than_it_looks_is_said() {
    for (text, why) in [
        ("{}".to_owned(), "neither TLS nor a password"),
        ("http_server_config: {http2: false}".to_owned(), "neither TLS nor a password"),
        (format!("basic_auth_users: {{alice: {HASH}}}"), "without TLS"),
        (tls("  client_auth_type: RequireAnyClientCert\n"), "anybody can make one"),
        (tls("  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"), "is left out"),
        (tls("  curve_preferences: [CurveP521, X25519]\n"), "the curve CurveP521 is left out"),
    ] {
        let said = warned(&text);
        assert!(said.contains(why), "{text}: {said}");
    }
    assert_eq!(warned(&tls("")), "");
}

/// Whatever is wrong with the file: its values are in no message.
#[test]
fn no_value_is_ever_said() {
    const SECRET: &str = "hunter2hunter2";
    for text in [
        format!("basic_auth_users: {{alice: {SECRET}}}"),
        format!("basic_auth_users: {SECRET}"),
        format!("basic_auth_users: {{alice:{SECRET}}}"),
        format!("basic_auth_users: {{'alice:{SECRET}': x}}"),
        format!("basic_auth_users:\n  alice:{SECRET}\n"),
        format!("basic_auth_users: [{SECRET}]"),
        format!("basic_auth_users: {{alice: [{SECRET}]}}"),
        format!("basic_auth_users:\n  alice: \"{SECRET}\n"),
        format!("basic_auth_users:\n  alice: '{SECRET}\n x: ["),
        format!("tls_server_config: {{key: [{SECRET}]}}"),
        format!("tls_server_config: {{cert_file: a, key_file: b, prefer_server_cipher_suites: {SECRET}}}"),
        format!("rate_limit: {{burst: {SECRET}}}"),
        format!("rate_limit: {{interval: {SECRET}, burst: 1}}"),
        format!("tls_server_config:\n  key: |\n   {SECRET}\n  {SECRET}\n"),
        SECRET.to_owned(),
        format!("- {SECRET}"),
        format!("basic_auth_users: {{alice: *{SECRET}}}"),
        format!("basic_auth_users: {{alice: !{SECRET} x}}"),
    ] {
        let said = refused(&text);
        assert!(!said.contains("hunter2"), "{text}: {said}");
    }
}

/// Aliases of aliases unfold to more than there is memory.
#[test]
fn a_small_file_does_not_become_a_large_one() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "));
    }
    refused(&text);
    refused(&format!("basic_auth_users: {}", "[".repeat(100_000)));
}

#[test]
fn a_certificate_that_ends_is_said_in_time() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let day = Duration::from_secs(86_400);
    let said = |begin, end| ends("x.crt", begin, end, now).map(|fault| fault.what).unwrap_or_default();
    assert_eq!(said(now - day, now + 15 * day), "");
    assert_eq!(said(now - day, now + 13 * day), "the certificate in x.crt expires on 2023-11-27T22:13:20.000Z");
    assert_eq!(
        said(now - day, now),
        "the certificate in x.crt has expired on 2023-11-14T22:13:20.000Z: clients refuse it"
    );
    assert!(said(now + day, now + 100 * day).contains("is good from 2023-11-15"));
}

fn header(text: &str) -> HeaderValue {
    use base64::Engine as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(text);
    HeaderValue::from_str(&format!("basic {coded}")).unwrap()
}

/// A user that there is not takes a hash, as a wrong password does: else names could be found out by the clock.
#[tokio::test]
async fn an_unknown_user_costs_a_hash_and_a_known_one_only_once() {
    let hash = bcrypt::hash("right", 4).unwrap();
    let users = Users::new([("alice".to_owned(), Hidden(hash))].into());
    let hashes = || users.computed.load(Ordering::Relaxed);
    for (credentials, verdict, computed) in [
        ("carol:right", Verdict::Refused, 1),
        ("alice:wrong", Verdict::Refused, 2),
        ("alice:right", Verdict::Allowed, 3),
        ("alice:right", Verdict::Allowed, 3),
        ("alice:wrong", Verdict::Refused, 4),
        ("alice:right", Verdict::Allowed, 4),
        ("alic:eright", Verdict::Refused, 5),
    ] {
        assert_eq!(users.judge(Some(&header(credentials)), Home::User(0)).await, verdict, "{credentials}");
        assert_eq!(hashes(), computed, "{credentials}");
    }
    assert_eq!(users.judge(None, Home::User(0)).await, Verdict::Refused);
    assert_eq!(hashes(), 5);
}

/// If all who are not there took the cost of one user, the users with another cost could be found out by the clock.
#[test]
fn users_that_there_are_not_cost_what_those_cost_that_there_are() {
    let hashes = [("alice", "$2y$04$"), ("bob", "$2y$05$"), ("carol", "$2y$06$")];
    let users = Users::new(hashes.map(|(user, hash)| (user.to_owned(), Hidden(hash.to_owned()))).into());
    let costs = |name: &str| users.hash_for(name).unwrap().0.clone();
    assert_eq!(hashes.map(|(user, _)| costs(user)), hashes.map(|(_, hash)| hash.to_owned()));
    let names: Vec<String> = (0..300).map(|number| format!("nobody-{number}")).collect();
    let seen: Vec<String> = names.iter().map(|name| costs(name)).collect();
    assert_eq!(seen, names.iter().map(|name| costs(name)).collect::<Vec<_>>(), "a name has always the same one");
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

/// Who asks and hangs up at once, again and again, has one hash computed at a time, as others have.
#[test]
fn a_hash_for_somebody_who_has_gone_is_waited_for() {
    // The only thread for hashes is busy until we say so.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (free, busy) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || busy.recv());
    let users = Users::new([("alice".to_owned(), Hidden(bcrypt::hash("right", 4).unwrap()))].into());
    let wrong = header("alice:wrong");
    runtime.block_on(async {
        for number in 0..10 {
            let mut judged = Box::pin(users.judge(Some(&wrong), Home::User(number)));
            let mut pending = |cx: &mut std::task::Context<'_>| judged.as_mut().poll(cx).is_pending();
            assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(pending(cx))).await);
        }
        assert_eq!(users.computed.load(Ordering::Relaxed), 1);
        drop(free);
        assert_eq!(users.judge(Some(&header("alice:right")), Home::User(7)).await, Verdict::Allowed);
    });
}

#[tokio::test]
async fn who_guesses_passwords_keeps_others_waiting_for_one_hash() {
    let (line, turns) = (Arc::new(Line::new()), Arc::new(Mutex::new(Vec::new())));
    let waits = |home| {
        let (line, turns) = (Arc::clone(&line), Arc::clone(&turns));
        tokio::spawn(async move {
            let _turn = line.turn(Home::User(home)).await.unwrap();
            turns.lock().unwrap().push(home);
            tokio::task::yield_now().await;
        })
    };
    let all: Vec<_> = [1; 20].into_iter().chain([2, 3, 2]).map(waits).collect();
    for one in all {
        one.await.unwrap();
    }
    let turns = turns.lock().unwrap();
    assert_eq!(turns.len(), 23);
    let first = |home| turns.iter().position(|turn| *turn == home).unwrap();
    assert!(first(2) <= 2 && first(3) <= 2, "{turns:?}");
}

/// Else nobody would know that a renewed certificate is not taken.
#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_keeps_nobody_waiting_and_is_said() {
    let folder = crate::testing::open_to_all().join(format!("reactor-web-hangs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("web.yml");
    std::fs::write(&path, format!("basic_auth_users: {{alice: {HASH}}}")).unwrap();
    let keeper = Keeper::first(path.clone(), |_| {}).await;
    // The place in which the files are looked at is taken, as if an earlier look had not come back.
    let (comes_back, hangs) = std::sync::mpsc::channel::<()>();
    let subject = path.clone();
    let long = Duration::from_secs(1_000_000);
    let hang = tokio::spawn(async move { crate::thread::run(&subject, 1, long, move || hangs.recv()).await });
    tokio::task::yield_now().await;
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let asking = Arc::clone(&keeper);
        let answer = tokio::spawn(async move { asking.now().await });
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!answer.await.unwrap().users.is_empty());
    }
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(10)).await;
        tokio::task::yield_now().await;
    }
    let problems = keeper.problems();
    assert!(!keeper.is_present() && problems.len() == 1, "{problems:?}");
    assert!(problems[0].contains("did not answer for 10 s") && problems[0].contains("the last good"), "{problems:?}");
    drop(comes_back);
    hang.await.unwrap();
    while !keeper.is_present() {
        tokio::time::advance(Duration::from_secs(1)).await;
        keeper.now().await;
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_let_through_and_then_one_for_each_interval() {
    let rate = Rate { interval: Duration::from_secs(1), burst: 3 };
    let bucket = Some(Bucket { rate, full: Mutex::default() });
    let web = Web {
        tls: None,
        client_auth: ClientAuth::None,
        names_clients: false,
        good: None,
        headers: Vec::new(),
        users: Users::new([].into()),
        rate: bucket,
    };
    let through = || (0..10).filter(|_| web.has_room()).count();
    assert_eq!(through(), 3);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(through(), 2);
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(through(), 3);
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[\\PC\n \\t]{0,200}") {
        let _ = parse(&text, Path::new("/"));
    }

    #[test]
    fn durations(text in "[0-9.nusmh\u{b5}]{0,12}") {
        let _ = names::duration(&text);
    }
}
