//! Host and agent with a socket as their line; the commands run on this machine.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::wire::{FromNode, Stream, VERSION, encode};
use super::{AgentClient, AgentError, Command, guest};

/// Long enough for the slowest machine.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

fn pair() -> (UnixStream, StdStream) {
    let (host, node) = StdStream::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    (UnixStream::from_std(host).unwrap(), node)
}

/// Starts an agent on the line; it ends with the line.
fn start(node: &StdStream, boot: &str) {
    let (reader, writer, boot) = (node.try_clone().unwrap(), node.try_clone().unwrap(), boot.to_owned());
    std::thread::spawn(move || guest::serve(reader, writer, boot));
}

async fn ready() -> AgentClient {
    let (host, node) = pair();
    start(&node, "boot-1");
    let client = AgentClient::new(host);
    client.ready(0, LONG).await.unwrap();
    client
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lab-agent-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_command_answers_with_its_code_and_both_outputs() {
    let client = ready().await;
    let output = client.exec("printf 'a\\0b'; echo no >&2; exit 3", LONG).await.unwrap();
    assert_eq!((output.code, output.signal), (3, None));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"a\0b".as_slice(), b"no\n".as_slice()));
    client.ping(LONG).await.unwrap();
}

#[tokio::test]
async fn a_signal_is_told_from_an_exit_code() {
    let output = ready().await.exec("kill -TERM $$", LONG).await.unwrap();
    assert_eq!((output.code, output.signal), (143, Some(15)));
}

#[tokio::test]
async fn commands_run_at_the_same_time() {
    let client = ready().await;
    let fifo = folder("together").join("fifo");
    let path = fifo.display();
    client.exec(&format!("mkfifo {path}"), LONG).await.unwrap();
    // Each needs the other one to get on.
    let read = format!("cat {path}");
    let write = format!("echo met > {path}");
    let (read, write) = tokio::join!(client.exec(&read, LONG), client.exec(&write, LONG));
    assert_eq!((read.unwrap().stdout.as_slice(), write.unwrap().code), (b"met\n".as_slice(), 0));
    std::fs::remove_dir_all(fifo.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn many_commands_do_not_mix_up_their_answers() {
    let client = ready().await;
    let one = |number: u32| {
        let client = &client;
        async move { client.exec(&format!("echo {number}"), LONG).await.unwrap().stdout }
    };
    let outputs = tokio::join!(one(1), one(2), one(3), one(4), one(5), one(6));
    let expected = |number: u32| format!("{number}\n").into_bytes();
    assert_eq!(outputs, (expected(1), expected(2), expected(3), expected(4), expected(5), expected(6)));
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_and_what_it_said_is_told() {
    let client = ready().await;
    let file = folder("timeout").join("pid");
    // The output comes before the time runs out, however slow the machine is: only then the command is long.
    let command = format!("echo $$ > {}; echo early; sleep 600 & wait", file.display());
    let error = client.exec(&command, Duration::from_secs(5)).await.unwrap_err();
    let AgentError::Timeout { so_far, .. } = &error else { panic!("{error}") };
    assert_eq!(so_far.stdout, b"early\n");
    assert!(error.to_string().contains("early"), "{error}");
    let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let gone = format!("while kill -0 -- -{pid} 2>/dev/null; do sleep 0.02; done");
    assert_eq!(client.exec(&gone, LONG).await.unwrap().code, 0);
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_in_the_node() {
    let client = ready().await;
    let file = folder("dropped").join("pid");
    let command = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", file.display());
    let call = client.exec(&command, LONG);
    let begun = format!("until test -s {}; do sleep 0.02; done", file.display());
    tokio::select! {
        _ = call => panic!("it sleeps"),
        begun = client.exec(&begun, LONG) => assert_eq!(begun.unwrap().code, 0),
    }
    let gone = format!("while kill -0 -- -$(cat {}) 2>/dev/null; do sleep 0.02; done", file.display());
    assert_eq!(client.exec(&gone, LONG).await.unwrap().code, 0);
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_process_that_stays_behind_does_not_hold_up_the_answer() {
    let client = ready().await;
    let output = client.exec("sleep 600 & echo $!", LONG).await.unwrap();
    let pid = String::from_utf8(output.stdout).unwrap();
    assert_eq!(client.exec(&format!("kill {pid}"), LONG).await.unwrap().code, 0);
    // Not even one that writes for ever.
    let output = client.exec("yes & echo $! >&2", LONG).await.unwrap();
    let pid = String::from_utf8(output.stderr).unwrap();
    client.exec(&format!("kill {pid}"), LONG).await.unwrap();
}

#[tokio::test]
async fn too_much_output_is_bounded_and_counted() {
    let client = ready().await;
    let command = Command { command: "head -c 300000 /dev/zero; echo all >&2", input: None, most: 100_000 };
    let mut shown = 0;
    let output = client
        .run(&command, LONG, |stream, data| {
            if stream == Stream::Stdout {
                shown += data.len();
            }
        })
        .await;
    let output = output.unwrap();
    assert_eq!((output.stdout.len(), output.lost_stdout, shown), (100_000, 200_000, 100_000));
    assert_eq!((output.stderr.as_slice(), output.lost_stderr), (b"all\n".as_slice(), 0));
}

#[tokio::test]
async fn input_of_any_size_reaches_the_command() {
    let client = ready().await;
    let input: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let command = Command { command: "cat", input: Some(&input), most: u64::MAX };
    assert_eq!(client.run(&command, LONG, |_, _| ()).await.unwrap().stdout, input);
    // One that does not read it ends all the same.
    let command = Command { command: "exit 4", input: Some(&input), most: u64::MAX };
    assert_eq!(client.run(&command, LONG, |_, _| ()).await.unwrap().code, 4);
    let command = Command { command: "cat", input: Some(b""), most: u64::MAX };
    assert_eq!(client.run(&command, LONG, |_, _| ()).await.unwrap().stdout, b"");
}

#[tokio::test]
async fn files_come_back_as_they_were_with_their_permissions() {
    let client = ready().await;
    let folder = folder("files");
    let path = |name: &str| folder.join(name);
    for (name, size) in [("empty", 0_usize), ("small", 5), ("large", 700_001)] {
        let content: Vec<u8> = (0..size).map(|number| (number * 7 % 256) as u8).collect();
        std::fs::write(path(name), &content).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o751)).unwrap();
        let there = path(&format!("{name}.there"));
        client.push(&path(name), there.to_str().unwrap(), LONG).await.unwrap();
        client.pull(there.to_str().unwrap(), &path("back"), LONG).await.unwrap();
        assert_eq!(std::fs::read(path("back")).unwrap(), content);
        assert_eq!(std::fs::metadata(path("back")).unwrap().permissions().mode() & 0o7777, 0o751);
    }
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 7, "{left:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_is_said_with_its_name() {
    let client = ready().await;
    let error = client.pull("/no/such/file", &std::env::temp_dir().join("lab-never"), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent cannot do it: /no/such/file: No such file or directory (os error 2)");
    let error = client.push("/proc/self/status".as_ref(), "/no/such/file", LONG).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/file: No such file"), "{error}");
    let error = client.push("/no/such/file".as_ref(), "/tmp/x", LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot use /no/such/file");
}

#[tokio::test]
async fn nothing_is_asked_before_the_node_is_there_and_a_silent_line_times_out() {
    let (host, node) = pair();
    let client = AgentClient::new(host);
    assert!(matches!(client.exec("true", LONG).await, Err(AgentError::NotReady)));
    assert!(matches!(client.ready(0, SHORT).await, Err(AgentError::Timeout { .. })));
    drop(node);
    assert!(matches!(client.ready(0, LONG).await, Err(AgentError::Gone)));
    assert!(matches!(client.exec("true", LONG).await, Err(AgentError::Gone)));
}

#[tokio::test]
async fn what_was_asked_before_a_reboot_is_said_to_be_lost_and_boots_are_counted() {
    let (host, node) = pair();
    let client = AgentClient::new(host);
    let mut line = UnixStream::from_std({
        node.set_nonblocking(true).unwrap();
        node
    })
    .unwrap();
    let greet = |boot: &str| encode(&FromNode::Ready { version: VERSION, boot_id: boot.to_owned() });
    line.write_all(b"Linux version 6.1\r\nno line end").await.unwrap();
    line.write_all(&greet("one")).await.unwrap();
    client.ready(0, LONG).await.unwrap();
    let asked = client.exec("true", LONG);
    tokio::pin!(asked);
    // It waits: nobody answers here.
    assert!(tokio::time::timeout(SHORT, &mut asked).await.is_err());
    line.write_all(&greet("two")).await.unwrap();
    assert!(matches!(asked.await, Err(AgentError::Restarted)));
    client.ready(1, LONG).await.unwrap();
    // The agent alone has started anew: no boot.
    line.write_all(&greet("two")).await.unwrap();
    line.write_all(&encode(&FromNode::Pong { id: 99 })).await.unwrap();
    assert_eq!((client.boots(), client.boot_id().as_str()), (2, "two"));
}

#[tokio::test]
async fn an_agent_of_another_version_is_not_asked() {
    let (host, node) = pair();
    let client = AgentClient::new(host);
    std::io::Write::write_all(&mut &node, &encode(&FromNode::Ready { version: 77, boot_id: "x".into() })).unwrap();
    assert!(matches!(client.ready(0, LONG).await, Err(AgentError::Version { found: 77 })));
    assert!(matches!(client.exec("true", LONG).await, Err(AgentError::Version { found: 77 })));
}

#[tokio::test]
async fn a_hung_node_costs_a_call_its_time_and_no_more() {
    let (host, node) = pair();
    let client = AgentClient::new(host);
    std::io::Write::write_all(&mut &node, &encode(&FromNode::Ready { version: VERSION, boot_id: "x".into() })).unwrap();
    client.ready(0, LONG).await.unwrap();
    // More than a socket holds: the line itself is stuck.
    let input = vec![0; 4 << 20];
    let command = Command { command: "cat", input: Some(&input), most: u64::MAX };
    assert!(matches!(client.run(&command, SHORT, |_, _| ()).await, Err(AgentError::Timeout { .. })));
    assert!(matches!(client.ping(SHORT).await, Err(AgentError::Timeout { .. })));
}
