//! `edit`: a snippet in an editor, which is opened again until the text is good.

use std::path::PathBuf;

use clap::Args;
use reactor_core::settings::{Mode, PluginKind};

use super::{Act, Reach};
use crate::cli::Place;
use crate::editor::Editor;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::draft::{self, Rules};
use crate::snippets::templates::Type;
use crate::snippets::{Snippet, SnippetError, Snippets, apply, content, folder};

/// Edit a snippet, or make a new one; the daemon gets it only when it has no errors
#[derive(Clone, Debug, Args)]
pub struct EditArgs {
    /// What a new snippet is [default: promoter], and the one plugin that it has
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub kind: Option<Type>,

    /// Also take several plugins in one file, and a mount that nothing stands on
    #[arg(short, long)]
    pub force: bool,

    /// The one that is disabled; a new one stays disabled
    #[arg(long)]
    pub disabled: bool,

    /// The snippet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

impl Act for EditArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        edit(self, Existing::Edited, place, io)
    }

    fn reach(&self) -> Reach {
        Reach::ThisNode
    }
}

/// What becomes of a file that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Existing {
    Edited,
    Refused,
}

pub(crate) fn edit(args: &EditArgs, existing: Existing, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
    let snippets = Snippets::of(place)?;
    let (snippet, pair) = snippets.named(&args.file, !args.disabled)?;
    let (is_there, other_is) =
        if args.disabled { (pair.disabled, pair.enabled) } else { (pair.enabled, pair.disabled) };
    if is_there && existing == Existing::Refused {
        return Err(SnippetError::Exists { path: snippet.path, remedy: "edit it, or take another name" }.into());
    }
    if !is_there && other_is {
        let other = snippets.snippet(&snippet.name, args.disabled);
        let remedy = if args.disabled { "edit it without --disabled" } else { "edit it with --disabled, or enable it" };
        return Err(SnippetError::Exists { path: other.path, remedy }.into());
    }
    let before = if is_there { content::text(&snippet.path)? } else { String::new() };
    let kind = args.kind.map(Type::kind).or_else(|| only_kind(&snippet, &before, snippets.mode));
    let rules = Rules { mode: snippets.mode, kind: kind.unwrap_or(PluginKind::Promoter), is_forced: args.force };
    let shown = if is_there { before.clone() } else { args.kind.unwrap_or(Type::Promoter).template(&snippet.name) };
    let mut editor = Editor::new(&format!("{}.toml", snippet.name))?;
    let Some(text) = session(&snippet, &before, shown, rules, &mut editor, io)? else { return Ok(Exit::Aborted) };
    if let Err(error) = put(&snippets, &snippet, is_there.then_some(&before), &text) {
        io.say(&format!("your text is in {}", editor.keep().display()))?;
        return Err(error.into());
    }
    io.say(&format!("'{}' is written", snippet.path.display()))?;
    if args.disabled {
        return Ok(Exit::Ok);
    }
    Ok(apply::apply(place, &snippets, &[snippet], io)?.exit())
}

/// Writes the text, unless the file has become another one while the editor was open.
fn put(snippets: &Snippets, snippet: &Snippet, before: Option<&String>, text: &str) -> Result<(), SnippetError> {
    let is_same = match before {
        Some(before) => content::text(&snippet.path)? == *before,
        None => !snippet.path.exists(),
    };
    if !is_same {
        let remedy = "somebody else has changed it meanwhile, and it stays as it is now";
        return Err(SnippetError::Exists { path: snippet.path.clone(), remedy });
    }
    folder::write(snippets, snippet, text)
}

/// What a file is, if it has one plugin: nobody has to say it again.
fn only_kind(snippet: &Snippet, text: &str, mode: Mode) -> Option<PluginKind> {
    match reactor_config::parse_snippet(&snippet.path, text, mode).0.as_slice() {
        [entry] => Some(entry.settings.kind()),
        _ => None,
    }
}

/// Opens the editor until the text is good. `None` = the person gave up, and it was said why.
fn session(
    snippet: &Snippet,
    before: &str,
    mut shown: String,
    rules: Rules,
    editor: &mut Editor,
    io: &mut Io<'_>,
) -> Result<Option<String>, Failure> {
    let mut last: Option<(String, String)> = None;
    loop {
        io.out.flush()?;
        let text = draft::without_notes(&editor.edit(&shown)?);
        if let Some((_, objections)) = last.filter(|(last, _)| *last == text) {
            let kept = editor.keep();
            io.fail(&SnippetError::Findings { path: snippet.path.clone(), report: objections }.into())?;
            io.say(&format!("nothing was changed; the text is in {}", kept.display()))?;
            return Ok(None);
        }
        if draft::is_empty(&text) {
            io.say("nothing was changed: the text is empty")?;
            return Ok(None);
        }
        if text == before {
            io.say("nothing was changed: the text is as it was")?;
            return Ok(None);
        }
        let Some(objections) = draft::objections(&snippet.path, &text, rules) else { return Ok(Some(text)) };
        let notes = format!(
            "{objections}\n\nLines like this one are left out. An unchanged text ends it, and nothing is written."
        );
        shown = draft::with_notes(&notes, &text);
        last = Some((text, objections));
    }
}
