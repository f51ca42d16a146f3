//! Those who ask for facts about the node.

use super::*;

/// A survey starts programs. One that hangs kept all readers from the status.
#[tokio::test]
async fn a_survey_that_hangs_keeps_nobody_but_the_next_survey_waiting() {
    let mut bench = Bench::new(Limits::default());
    let machine = crate::people::tests::Machine::new("survey", "echo '[{\"resource\":\"r0\"}]'", "exec sleep 1000");
    let places = |drbdsetup: &Path| crate::survey::Places {
        drbdadm: "/none".into(),
        drbdsetup: drbdsetup.to_owned(),
        snippets: None,
        drbd: Vec::new(),
        units: Vec::new(),
        usermode_helper: "/none".into(),
        printk_index: None,
    };
    let answer = |request: ControlRequest, drbdsetup: &Path| {
        let ControlRequest::Survey(Asked { reply, .. }) = request else { panic!("not a survey: {request:?}") };
        reply.send(("n1".to_owned(), places(drbdsetup))).unwrap();
    };
    let mut clients = [bench.connect(OTHER_USER), bench.connect(OTHER_USER), bench.own()];
    clients[0].send("Survey", "").await;
    answer(bench.next_request().await, &machine.1.getent);
    let facts = clients[0].reply().await.unwrap()["parameters"]["facts"].take();
    assert_eq!((&facts["node"], &facts["resources"][0]["name"]), (&json!("n1"), &json!("r0")));

    clients[0].send("Survey", "").await;
    answer(bench.next_request().await, &machine.1.id);
    clients[1].send("Survey", "").await;
    let mut other = bench.connect(OTHER_USER);
    other.send("Status", "").await;
    assert!(matches!(bench.next_request().await, ControlRequest::Status(_)), "one survey at a time");
    assert_eq!(other.error().await, "io.storagereactor.Control.Unavailable");
    clients[2].send("Survey", "").await;
    answer(bench.next_request().await, &machine.1.getent);
    assert_eq!(clients[2].reply().await.unwrap()["parameters"]["facts"]["node"], "n1");
}
