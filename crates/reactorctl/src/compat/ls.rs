//! `ls`: what the snippets configure, one line for each plugin.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Act;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::{SnippetError, Snippets, Wanted, content, list};
use crate::style::harmless;

/// List the plugins of the snippets
#[derive(Clone, Debug, Args)]
pub struct LsArgs {
    /// Also those that are disabled
    #[arg(long)]
    pub disabled: bool,

    /// Only these snippets
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Act for LsArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        // Who names a snippet wants to see it.
        let wanted = if self.disabled || !self.files.is_empty() { Wanted::Either } else { Wanted::Enabled };
        let (selected, mut exit) = snippets.select_and_tell(&self.files, wanted, io)?;
        let mut all = Vec::new();
        for snippet in selected {
            let content = content::read(&snippet, snippets.mode);
            if self.json {
                exit = exit.or(content.error.as_ref().map_or(Exit::Ok, SnippetError::exit));
                all.push(json!({
                    "name": snippet.name,
                    "path": snippet.path.display().to_string(),
                    "enabled": snippet.is_enabled,
                    "plugins": list::values(&content.plugins),
                    "error": content.error.map(|error| error.to_string()),
                }));
                continue;
            }
            writeln!(io.out, "{}:", harmless(&snippet.path.display().to_string()))?;
            for line in list::lines(&content.plugins, snippet.is_enabled) {
                writeln!(io.out, "{}", harmless(&line))?;
            }
            if let Some(error) = content.error {
                exit = exit.or(error.exit());
                io.fail(&error.into())?;
            }
        }
        if self.json {
            writeln!(io.out, "{}", json!({ "snippets": all }))?;
        }
        Ok(exit)
    }

    fn only_reads(&self) -> bool {
        true
    }
}
