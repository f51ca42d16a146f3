//! The side that takes files: `reactorctl receive`, called by ssh.
//!
//! Whoever calls it is root of another node, or has a key for this one command; what it sends is bytes all the same. Only files that this node knows
//! are taken, in folders that nobody else could have written; nothing is written before all of it has come and is what was offered, each file is
//! replaced as a whole, and what was there before is kept. Nothing is deleted.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::Path;

use reactor_trust::{Content, Folder, FolderError};
use rustix::fs::AtFlags;

use super::chain;
use super::groups::Groups;
use super::names::{Kind, Places};
use super::store::Store;
use super::stream::{self, Answer, MAX_FILE, Offer, Offered, State, StreamError, Verdict};
use super::ways;
use crate::snippets::{DISABLED, ENABLED};

/// A file that may be written here.
struct Target {
    folder: Folder,
    name: OsString,
    gid: u32,
}

/// What a file is here: a target if it is not as it should be.
type Looked = Result<(State, Target), String>;

/// Answers one caller. `places`: where files of a resource go here. `state`: the state folder.
///
/// # Errors
///
/// What is wrong with the stream; the caller was told, and nothing was written. What can't be written is an answer, and no error.
pub(crate) fn receive(
    places: impl FnOnce(&str) -> Places,
    state: &Path,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<(), StreamError> {
    let told = |error: StreamError, output: &mut dyn Write| {
        let answer = Answer { error: Some(chain(&error)), files: Vec::new() };
        // Whoever is told may be gone: that is no news.
        let mut output = output;
        let _ = stream::write_answer(&mut output, &answer);
        error
    };
    let offer = stream::read_offer(input).map_err(|error| told(error, output))?;
    let places = places(&offer.resource);
    let groups = Groups::here();
    let looked: Vec<Looked> = offer.files.iter().map(|file| look(&places, &groups, file)).collect();
    stream::write_answer(output, &Answer { error: None, files: looked.iter().map(verdict).collect() })?;
    let is_wanted = |at: usize| matches!(&looked[at], Ok((state, _)) if state.is_wanted());
    let contents = stream::read_contents(input, &offer, is_wanted).map_err(|error| told(error, output))?;
    if contents.is_empty() {
        return stream::write_answer(output, &Answer::default());
    }
    let files = write(&offer, &looked, &contents, state);
    stream::write_answer(output, &Answer { error: None, files })
}

fn verdict(looked: &Looked) -> Verdict {
    match looked {
        Ok((state, _)) => Verdict::of(*state),
        Err(why) => Verdict::because(State::Refused, why.clone()),
    }
}

/// What is here of a file, and whether it may be written.
fn look(places: &Places, groups: &Groups, file: &Offered) -> Looked {
    let kind = places.kind(&file.path)?;
    let gid = groups.number(&file.group).ok_or_else(|| format!("there is no group {} here", file.group))?;
    let path = Path::new(&file.path);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err("it has no folder".to_owned());
    };
    let opened = Folder::open(folder).map_err(|error| chain(&error))?;
    let folder = opened.ok_or_else(|| format!("there is no folder {}", folder.display()))?;
    ways::judge(folder.path())?;
    let target = Target { folder, name: name.to_owned(), gid };
    let before = target.read()?;
    if kind == Kind::Snippet && before.is_none() {
        target.is_switched_on()?;
    }
    let is_same = |before: &Content| {
        before.mode == file.mode && before.gid == gid && stream::checksum(&before.bytes) == file.sha256
    };
    let state = match &before {
        None => State::Missing,
        Some(before) if is_same(before) => State::Same,
        Some(_) => State::Differs,
    };
    Ok((state, target))
}

impl Target {
    fn read(&self) -> Result<Option<Content>, String> {
        self.folder.read(&self.name, MAX_FILE).map_err(|error| chain(&error))
    }

    /// A snippet that a person has disabled here stays so.
    fn is_switched_on(&self) -> Result<(), String> {
        let name = self.name.to_string_lossy();
        let disabled = format!("{}{DISABLED}", name.strip_suffix(ENABLED).unwrap_or(&name));
        match rustix::fs::statat(&self.folder, disabled.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Ok(_) => Err(format!("it is disabled here: {disabled}")),
            Err(error) => Err(format!("can't look at {disabled}: {error}")),
        }
    }

    /// Keeps what is here now, and replaces it. Gives where that is kept.
    fn replace(&self, file: &Offered, bytes: &[u8], store: &Store) -> Result<Option<String>, FolderError> {
        let before = self.folder.read(&self.name, MAX_FILE)?;
        let backup = before.map(|before| store.back_up(&file.path, &before)).transpose()?;
        let uid = rustix::process::geteuid().as_raw();
        let like = Content { bytes: Vec::new(), mode: file.mode, uid, gid: self.gid };
        self.folder.write_like(&self.name, bytes, &like)?;
        Ok(backup.map(|path| path.display().to_string()))
    }
}

/// Writes what has come. One that fails keeps no other from being written.
fn write(offer: &Offer, looked: &[Looked], contents: &[(usize, Vec<u8>)], state: &Path) -> Vec<Verdict> {
    let store = Store::open(state);
    let one = |(at, bytes): &(usize, Vec<u8>)| {
        let store = store.as_ref().map_err(|error| chain(error))?;
        let (_, target) = looked[*at].as_ref().map_err(Clone::clone)?;
        target.replace(&offer.files[*at], bytes, store).map_err(|error| chain(&error))
    };
    let verdict = |content| match one(content) {
        Ok(backup) => Verdict { backup, ..Verdict::of(State::Sent) },
        Err(why) => Verdict::because(State::Failed, why),
    };
    contents.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;
    use crate::testing::Scratch;

    struct Node {
        scratch: Scratch,
        places: Places,
    }

    impl Node {
        fn new(name: &str) -> Self {
            let scratch = Scratch::new(&format!("receive-{name}"));
            for folder in ["drbd.d", "snippets", "etc"] {
                let path = scratch.0.join(folder);
                fs::create_dir(&path).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            let path = |name: &str| scratch.0.join(name);
            let places = Places {
                res: path("drbd.d"),
                snippets: Some(path("snippets")),
                listed: vec![path("etc/foo.conf"), path("etc/link"), path("none/foo"), path("etc/large")],
            };
            Self { scratch, places }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.scratch.0.join(name)
        }

        fn put(&self, name: &str, text: &str) -> PathBuf {
            fs::write(self.path(name), text).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).unwrap();
            self.path(name)
        }

        fn offered(&self, name: &str, text: &str) -> Offered {
            Offered {
                path: self.path(name).display().to_string(),
                mode: 0o644,
                group: rustix::process::getegid().as_raw().to_string(),
                size: text.len() as u64,
                sha256: stream::checksum(text.as_bytes()),
            }
        }

        /// Says `stream`, and gives what was answered.
        fn hears(&self, stream: &[u8]) -> (Result<(), StreamError>, Vec<Answer>) {
            let mut output = Vec::new();
            let places = |_: &str| self.places.clone();
            let result = receive(places, &self.path("state"), &mut &*stream, &mut output);
            let answers = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            (result, answers.map(|line| serde_json::from_slice(line).unwrap()).collect())
        }

        fn stream(files: Vec<Offered>, sends: &[(usize, &str)]) -> Vec<u8> {
            let offer = Offer { version: stream::VERSION, resource: "r0".to_owned(), files };
            let mut stream = serde_json::to_vec(&offer).unwrap();
            stream.push(b'\n');
            stream::write_contents(&mut stream, sends.iter().map(|(at, text)| (*at, text.as_bytes()))).unwrap();
            stream
        }

        /// All files and folders below, with what is in them.
        fn all(&self) -> Vec<(PathBuf, String)> {
            let (mut out, mut folders) = (Vec::new(), vec![self.scratch.0.clone()]);
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path.clone());
                    }
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    out.push((path, text));
                }
            }
            out.sort();
            out
        }
    }

    fn states(answer: &Answer) -> Vec<&'static str> {
        answer.files.iter().map(|file| file.state.as_str()).collect()
    }

    #[test]
    fn what_differs_is_replaced_and_kept_and_what_is_missing_is_made() {
        let node = Node::new("good");
        node.put("drbd.d/r0.res", "old");
        node.put("etc/foo.conf", "same");
        let files = vec![
            node.offered("drbd.d/r0.res", "new"),
            node.offered("etc/foo.conf", "same"),
            Offered { mode: 0o600, ..node.offered("snippets/r0.toml", "# r0") },
        ];
        let (result, answers) = node.hears(&Node::stream(files.clone(), &[(0, "new"), (2, "# r0")]));
        result.unwrap();
        assert_eq!(states(&answers[0]), ["differs", "same", "missing"]);
        assert_eq!(states(&answers[1]), ["sent", "sent"]);
        assert_eq!(fs::read_to_string(node.path("drbd.d/r0.res")).unwrap(), "new");
        let backup = answers[1].files[0].backup.as_deref().unwrap();
        assert_eq!(fs::read_to_string(backup).unwrap(), "old");
        assert_eq!(answers[1].files[1].backup, None);
        let mode = fs::metadata(node.path("snippets/r0.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        // Again: nothing differs. Permissions are a part of it.
        let (_, answers) = node.hears(&Node::stream(files.clone(), &[]));
        assert_eq!(states(&answers[0]), ["same", "same", "same"]);
        fs::set_permissions(node.path("drbd.d/r0.res"), fs::Permissions::from_mode(0o600)).unwrap();
        let (_, answers) = node.hears(&Node::stream(files, &[]));
        assert_eq!(states(&answers[0]), ["differs", "same", "same"]);
    }

    #[test]
    fn what_this_node_does_not_know_or_trust_is_refused_and_keeps_no_other_from_coming() {
        let node = Node::new("refused");
        let secret = node.put("etc/secret", "old");
        symlink(&secret, node.path("etc/link")).unwrap();
        symlink(&secret, node.path("drbd.d/link.res")).unwrap();
        fs::create_dir(node.path("drbd.d/folder.res")).unwrap();
        fs::create_dir(node.path("writable")).unwrap();
        node.put("drbd.d/open.res", "old");
        fs::set_permissions(node.path("drbd.d/open.res"), fs::Permissions::from_mode(0o666)).unwrap();
        // The scratch folder is closed to others, and so would be trusted whatever is in it.
        fs::set_permissions(&node.scratch.0, fs::Permissions::from_mode(0o755)).unwrap();
        node.put("snippets/off.toml.disabled", "# off");
        fs::File::create(node.path("etc/large")).unwrap().set_len(MAX_FILE + 1).unwrap();
        let group = Offered { group: "no-such-group".to_owned(), ..node.offered("drbd.d/group.res", "new") };
        let table = [
            (node.offered("etc/secret", "new"), "nor does `sync` of this node list it"),
            (node.offered("etc/link", "new"), "is not a regular file"),
            (node.offered("drbd.d/link.res", "new"), "is not a regular file"),
            (node.offered("drbd.d/folder.res", "new"), "is not a regular file"),
            (node.offered("drbd.d/open.res", "new"), "can be written by others than its owner"),
            (node.offered("none/foo", "new"), "there is no folder"),
            (node.offered("snippets/off.toml", "new"), "it is disabled here: off.toml.disabled"),
            (node.offered("etc/large", "new"), "is larger than"),
            (group, "there is no group no-such-group here"),
        ];
        let before = node.all();
        let mut files: Vec<Offered> = table.iter().map(|(file, _)| file.clone()).collect();
        for (at, (file, _)) in table.iter().enumerate() {
            let (result, _) = node.hears(&Node::stream(vec![file.clone()], &[(0, "new")]));
            assert!(result.unwrap_err().to_string().contains("not wanted"), "{at}");
        }
        assert_eq!(node.all(), before);
        files.push(node.offered("drbd.d/r0.res", "new"));
        let (result, answers) = node.hears(&Node::stream(files, &[(table.len(), "new")]));
        result.unwrap();
        for ((_, why), verdict) in table.iter().zip(&answers[0].files) {
            let said = verdict.why.as_deref().unwrap_or_default();
            assert!(verdict.state == State::Refused && said.contains(why), "{why}: {verdict:?}");
        }
        assert_eq!(states(&answers[1]), ["sent"]);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "old");
    }

    #[test]
    fn a_folder_that_others_can_write_is_no_place_for_files() {
        let mut node = Node::new("folder");
        fs::set_permissions(&node.scratch.0, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(node.path("drbd.d"), fs::Permissions::from_mode(0o777)).unwrap();
        symlink(node.path("drbd.d"), node.path("linked")).unwrap();
        node.put("drbd.d/r0.res", "old");
        let (_, answers) = node.hears(&Node::stream(vec![node.offered("drbd.d/r0.res", "new")], &[]));
        assert!(answers[0].files[0].why.as_deref().unwrap().contains("can be written by others"), "{answers:?}");
        // Nor is a link to one.
        node.places.res = node.path("linked");
        let (_, answers) = node.hears(&Node::stream(vec![node.offered("linked/r0.res", "new")], &[]));
        assert!(answers[0].files[0].why.as_deref().unwrap().contains("is not a folder"), "{answers:?}");
    }

    #[test]
    fn a_stream_that_is_cut_or_wrong_writes_nothing() {
        let node = Node::new("cut");
        node.put("drbd.d/r0.res", "old");
        let before = node.all();
        let files = vec![node.offered("drbd.d/r0.res", "new"), node.offered("snippets/r0.toml", "# r0")];
        let whole = Node::stream(files.clone(), &[(0, "new"), (1, "# r0")]);
        for length in 0..whole.len() {
            assert!(node.hears(&whole[..length]).0.is_err(), "{length}");
        }
        let wrong = Node::stream(files.clone(), &[(0, "new"), (1, "# r1")]);
        let (result, answers) = node.hears(&wrong);
        assert!(result.unwrap_err().to_string().starts_with("the checksum of "));
        assert!(answers[1].error.as_deref().unwrap().starts_with("the checksum of "), "the other side is told");
        let mut hostile = files;
        hostile[1].path = node.path("snippets/../../x").display().to_string();
        let (result, answers) = node.hears(&Node::stream(hostile, &[(0, "new"), (1, "# r0")]));
        assert!(result.is_err() && answers[0].error.as_deref().unwrap().contains("it has a part `..`"));
        assert_eq!(node.all(), before);
    }

    /// A crash leaves the old file or the new one; what it leaves beside that is in nobody's way.
    #[test]
    fn what_a_crash_left_is_in_nobodys_way() {
        let node = Node::new("crash");
        node.put("drbd.d/r0.res", "old");
        node.put("drbd.d/r0.res.tmp", "ne");
        let (result, answers) = node.hears(&Node::stream(vec![node.offered("drbd.d/r0.res", "new")], &[(0, "new")]));
        result.unwrap();
        assert_eq!(states(&answers[1]), ["sent"]);
        assert_eq!(fs::read_to_string(node.path("drbd.d/r0.res")).unwrap(), "new");
        assert!(!node.path("drbd.d/r0.res.tmp").exists());
    }

    #[test]
    fn without_a_place_for_the_backup_nothing_is_replaced() {
        let node = Node::new("backup");
        node.put("drbd.d/r0.res", "old");
        node.put("state", "a file where a folder should be");
        let (result, answers) = node.hears(&Node::stream(vec![node.offered("drbd.d/r0.res", "new")], &[(0, "new")]));
        result.unwrap();
        assert_eq!(states(&answers[1]), ["failed"]);
        assert_eq!(fs::read_to_string(node.path("drbd.d/r0.res")).unwrap(), "old");
    }
}
