//! Who may steer, and what is told of it.

use super::*;

/// A machine with a group of operators: anna is in it, the process of a second user runs with it, and of a third nobody says anything.
fn with_operators(name: &str) -> (crate::people::tests::Machine, Roles) {
    let machine = crate::people::tests::Machine::new(name, "exec sleep 1000", "exec sleep 1000");
    let roles = Roles::of(machine.1.clone());
    (machine, roles)
}

const ANNA: Peer = peer(1000, 1000);
const BY_GROUP: Peer = peer(7777, 50);

impl Bench {
    /// Makes a call and says how it ended: the error's name, or `done`. Whatever reaches the loop is done.
    async fn outcome(&mut self, client: &mut TestClient, verb: &str, parameters: &str) -> String {
        client.send(verb, &format!(",\"parameters\":{parameters}")).await;
        let answer = tokio::select! {
            answer = client.reply() => answer,
            request = self.requests.recv() => {
                // What else comes is dropped: the loop stops.
                if let ControlRequest::Hold(asked) = request.expect("the server lives") {
                    let text = format!("held by {}", asked.peer.who());
                    asked.reply.send(Ok(verbs::Outcome { changed: true, text })).unwrap();
                }
                client.reply().await
            }
        };
        let answer = answer.expect("an answer");
        match answer["error"].as_str() {
            Some(error) => error.rsplit('.').next().unwrap_or_default().to_owned(),
            None => "done".to_owned(),
        }
    }
}

#[tokio::test]
async fn operators_may_steer_and_no_more_and_only_while_they_are_operators() {
    let (_machine, roles) = with_operators("operators");
    let mut bench = Bench::with(Limits::default(), roles);
    let hold = r#"{"resource":"r0"}"#;
    let mut clients = [bench.connect(ANNA), bench.connect(BY_GROUP)];
    for client in &mut clients {
        assert_eq!(bench.outcome(client, "Hold", hold).await, "PermissionDenied", "no group is set");
    }
    bench.shared.roles.name(Some("operators"));
    assert_eq!(bench.shared.roles.look_up("operators").await, Ok(50));
    for client in &mut clients {
        assert_eq!(bench.outcome(client, "Hold", hold).await, "done");
        for (verb, parameters) in [
            ("Reload", "{}"),
            ("Leftovers", r#"{"remove":true}"#),
            ("Helper", r#"{"helper":"h","object":"r0","env":{},"timeout_ms":1}"#),
        ] {
            assert_eq!(bench.outcome(client, verb, parameters).await, "PermissionDenied", "{verb}");
        }
    }
    // On connections that are open, too.
    bench.shared.roles.name(Some("operators-2"));
    assert_eq!(bench.outcome(&mut clients[0], "Hold", hold).await, "PermissionDenied", "not looked up yet");
    assert_eq!(bench.shared.roles.look_up("operators-2").await, Ok(51));
    assert_eq!(bench.outcome(&mut clients[0], "Hold", hold).await, "done");
    bench.shared.roles.name(None);
    assert_eq!(bench.outcome(&mut clients[0], "Hold", hold).await, "PermissionDenied");
}

/// The directory hangs: that costs who asks, a while, and it is no yes.
#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_makes_nobody_an_operator_and_keeps_nobody_waiting_for_ever() {
    let (_machine, roles) = with_operators("hangs");
    let mut bench = Bench::with(Limits::default(), roles);
    bench.shared.roles.name(Some("operators"));
    bench.shared.roles.look_up("operators").await.unwrap();
    let mut client = bench.connect(peer(4321, 4321));
    client.send("Hold", r#","parameters":{"resource":"r0"}"#).await;
    let reply = client.reply().await.unwrap();
    let reason = reply["parameters"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("uid 4321 may not do that: it is for root, and for members of the group operators"),
        "{reason}"
    );
    assert!(reason.contains("can't be found out"), "{reason}");
    // A group that was known stays known.
    let roles = &bench.shared.roles;
    roles.name(Some("far"));
    assert!(roles.look_up("far").await.is_err());
    assert!(roles.check_operator(&ANNA).await.is_err());
    assert!(bench.requests.try_recv().is_err());
}

#[tokio::test]
async fn readers_cannot_lock_out_an_operator() {
    let (_machine, roles) = with_operators("places");
    let mut bench = Bench::with(Limits { readers: 1, operators: 1, ..Limits::default() }, roles);
    bench.shared.roles.name(Some("operators"));
    bench.shared.roles.look_up("operators").await.unwrap();
    let mut reader = bench.connect(OTHER_USER);
    reader.send("Status", "").await;
    let _unanswered = bench.next_request().await;
    // The place is taken, and so is the readers' turn.
    let mut operator = bench.connect(ANNA);
    assert_eq!(bench.outcome(&mut operator, "Hold", r#"{"resource":"r0"}"#).await, "done");
    assert_eq!(bench.connect(BY_GROUP).error().await, "io.storagereactor.Control.Unavailable");
}

#[tokio::test]
async fn every_changing_call_is_told_with_who_asked_and_what_became_of_it() {
    let (_machine, roles) = with_operators("audit");
    let mut bench = Bench::with(Limits::default(), roles);
    bench.shared.roles.name(Some("operators"));
    bench.shared.roles.look_up("operators").await.unwrap();
    let mut anna = bench.connect(ANNA);
    let hold = r#"{"resource":"r0","why":"new cables"}"#;
    bench.outcome(&mut anna, "Status", "{}").await;
    bench.outcome(&mut anna, "Hold", hold).await;
    bench.outcome(&mut anna, "Release", r#"{"resource":"r0"}"#).await;
    bench.outcome(&mut anna, "Reload", "{}").await;
    bench.outcome(&mut anna, "Helper", r#"{"helper":"h","object":"r0","env":{},"timeout_ms":1}"#).await;
    let mut own = bench.own();
    // A helper that is let through is DRBD's business, and what is no call is nobody's.
    bench.outcome(&mut own, "Helper", r#"{"helper":"h","object":"r0","env":{},"timeout_ms":1}"#).await;
    bench.outcome(&mut own, "Hold", "{}").await;
    let mut told = Vec::new();
    while let Ok(audited) = bench.audits.try_recv() {
        let (user, what) = (audited.peer.user.clone().unwrap_or_default(), audited.outcome.clone());
        told.push(format!(
            "{user} {} {} {} {} {}: {}",
            audited.peer.uid,
            audited.verb,
            audited.resource.unwrap_or_default(),
            audited.parameters,
            what.as_str(),
            what.text()
        ));
    }
    expect_test::expect![[r#"
        anna 1000 Hold r0 {"resource":"r0","why":"new cables"} done: held by anna
        anna 1000 Release r0 {"resource":"r0"} unknown: daemon is stopping
        anna 1000 Reload  {} denied: anna may not do that: it is for root
        anna 1000 Helper  {"env":{},"helper":"h","object":"r0","timeout_ms":1} denied: anna may not do that: it is for root"#]]
    .assert_eq(&told.join("\n"));
}

/// Its answer reaches nobody, and it was done all the same.
#[tokio::test]
async fn a_call_of_a_client_that_has_gone_is_told_too() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.own();
    client.send("Hold", r#","parameters":{"resource":"r0"}"#).await;
    let ControlRequest::Hold(asked) = bench.next_request().await else { panic!("not a hold") };
    drop(client.stream);
    asked.reply.send(Ok(verbs::Outcome { changed: false, text: "was held".to_owned() })).unwrap();
    let audited = timeout(LONG, bench.audits.recv()).await.unwrap().unwrap();
    assert_eq!(audited.outcome, CallOutcome::Unchanged { text: "was held".to_owned() });
}
