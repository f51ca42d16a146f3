//! Which snippet an argument names.

use std::path::{Component, Path, PathBuf};

/// How the file of an enabled snippet ends.
pub(crate) const ENABLED: &str = ".toml";
/// How the file of a disabled snippet ends.
pub(crate) const DISABLED: &str = ".toml.disabled";

/// An argument that can't name a snippet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is no name of a snippet: it must lie in {}", argument.display(), folder.display())]
pub struct NotASnippet {
    argument: PathBuf,
    folder: PathBuf,
}

/// The name of the snippet that `argument` means: a path of a file in `folder`, or only the file's name; in both cases the endings may be
/// left out.
pub(crate) fn name_of(argument: &Path, folder: &Path) -> Result<String, NotASnippet> {
    let wrong = || NotASnippet { argument: argument.to_owned(), folder: folder.to_owned() };
    let file = if argument.is_absolute() { argument.strip_prefix(folder).map_err(|_| wrong())? } else { argument };
    let mut parts = file.components();
    let (Some(Component::Normal(file)), None) = (parts.next(), parts.next()) else { return Err(wrong()) };
    // A trailing slash, and what is no text, too.
    let text = argument.to_str().filter(|text| !text.ends_with('/')).and_then(|_| file.to_str()).ok_or_else(wrong)?;
    let name = text.strip_suffix(".disabled").unwrap_or(text);
    let name = name.strip_suffix(ENABLED).unwrap_or(name);
    // A hidden file is one that an editor left behind, or what we are writing just now.
    if name.is_empty() || name.starts_with('.') || name.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(argument: &str) -> Option<String> {
        name_of(Path::new(argument), Path::new("/etc/drbd-reactor.d")).ok()
    }

    #[test]
    fn endings_may_be_left_out() {
        for argument in [
            "r0",
            "r0.toml",
            "r0.toml.disabled",
            "r0.disabled",
            "/etc/drbd-reactor.d/r0",
            "/etc/drbd-reactor.d//r0.toml",
        ] {
            assert_eq!(name(argument).as_deref(), Some("r0"), "{argument}");
        }
        assert_eq!(name("r0.toml.toml").as_deref(), Some("r0.toml"));
        assert_eq!(name("my r0.old").as_deref(), Some("my r0.old"));
    }

    #[test]
    fn nothing_outside_of_the_folder_has_a_name() {
        for argument in [
            "",
            ".",
            "..",
            "../r0",
            "./r0",
            "a/b",
            "r0/",
            "/",
            "/etc/passwd",
            "/etc/drbd-reactor.d",
            "/etc/drbd-reactor.d/",
            "/etc/drbd-reactor.d/../x",
            "/etc/drbd-reactor.d/a/b",
            "/etc/drbd-reactor.dr0",
            ".toml",
            ".disabled",
            ".hidden",
            "a\nb",
            "a\u{1b}b",
        ] {
            assert_eq!(name(argument), None, "{argument:?}");
        }
    }
}
