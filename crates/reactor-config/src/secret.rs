//! Which values are secrets, and how they are kept out of everything that is printed.
//!
//! Secrets turn up as values of keys (`env = { DB_PASSWORD = "x" }`) and inside strings (`"ocf:heartbeat:iSCSI x password=y"`).
//! Where in doubt, too much is masked: a file with a syntax error has no keys that could be trusted, so there everything up to
//! the end of the line (or of the quoted text) goes.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A key with one of these in its name holds a secret.
const SECRET_WORDS: [&str; 8] = ["password", "passwd", "passphrase", "secret", "token", "key", "chap", "credential"];

/// What stands for a secret where its length must not show either.
pub(crate) const MASK: &str = "***";

/// Longest key that is looked for before a `=`.
const MAX_KEY: usize = 256;

/// Keys of exactly this name hold a secret: the address of a webhook is one, and so are most headers.
const SECRET_KEYS: [&str; 2] = ["url", "headers"];

/// Whether the value of a key with this name must not be printed. The name of a file with a secret in it is none.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if key.ends_with("-file") {
        return false;
    }
    let mut parts = key.split(|c: char| !(c.is_alphanumeric() || "_-".contains(c)));
    SECRET_WORDS.iter().any(|word| key.contains(word)) || parts.any(|part| SECRET_KEYS.contains(&part))
}

/// A text with the values of secret-like `key=value` words in it replaced by `***`.
pub fn mask_text(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for value in secret_values(text) {
        if value.start >= done {
            masked.push_str(&text[done..value.start]);
            masked.push_str(MASK);
            done = value.end;
        }
    }
    masked.push_str(&text[done..]);
    masked
}

/// Whether a configuration file has a secret in it. One with a syntax error may have.
pub fn has_secret(text: &str) -> bool {
    mask_toml(text) != text
}

/// The text of a configuration file with every secret replaced by asterisks, byte for byte: all places stay where they are.
pub(crate) fn mask_toml(text: &str) -> String {
    let (document, errors) = DeTable::parse_recoverable(text);
    let ranges = if errors.is_empty() {
        let mut walk = Walk { text, secret: Vec::new(), leaves: Vec::new() };
        walk.table(document.get_ref(), false);
        walk.comments();
        walk.secret
    } else {
        guess(text)
    };
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in &mut bytes[range] {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }
    // The ranges begin and end between characters, so whole characters were replaced.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Collects the secrets of a file without syntax errors.
struct Walk<'t> {
    text: &'t str,
    secret: Vec<Range<usize>>,
    leaves: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, secret: bool) {
        for (key, value) in table {
            self.value(value.get_ref(), value.span(), secret || is_secret(key.get_ref()));
        }
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, secret: bool) {
        match value {
            DeValue::Table(table) => self.table(table, secret),
            DeValue::Array(array) => {
                for item in array {
                    self.value(item.get_ref(), item.span(), secret);
                }
            }
            DeValue::String(decoded) => {
                self.string(decoded, span.clone(), secret);
                self.leaves.push(span);
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                if secret {
                    self.secret.push(span.clone());
                }
                self.leaves.push(span);
            }
        }
    }

    fn string(&mut self, decoded: &str, span: Range<usize>, secret: bool) {
        let raw = &self.text[span.clone()];
        let quoted = raw.len() >= 2 && raw.starts_with(['"', '\'']);
        let inside = if quoted { span.start + 1..span.end - 1 } else { span };
        let in_raw = secret_values(&self.text[inside.clone()]);
        // With escapes in a key (`pass\u0077ord=x`) the raw text does not show what the string says.
        if secret || in_raw.len() != secret_values(decoded).len() {
            self.secret.push(inside);
        } else {
            self.secret.extend(in_raw.into_iter().map(|value| inside.start + value.start..inside.start + value.end));
        }
    }

    /// What is left are comments: they hold old values often enough.
    fn comments(&mut self) {
        self.leaves.sort_by_key(|leaf| leaf.start);
        for (equals, _) in self.text.match_indices('=') {
            let next = self.leaves.partition_point(|leaf| leaf.end <= equals);
            let in_leaf = self.leaves.get(next).is_some_and(|leaf| leaf.contains(&equals));
            let its_value =
                |leaf: &Range<usize>| self.text[equals + 1..leaf.start].bytes().all(|b| b == b' ' || b == b'\t');
            if !in_leaf
                && key_before(self.text, equals).is_some_and(is_secret)
                && !self.leaves.get(next).is_some_and(its_value)
            {
                self.secret.push(equals + 1..end_of_line(self.text, equals));
            }
        }
    }
}

/// The values of secret-like `key=value` words of a text.
fn secret_values(text: &str) -> Vec<Range<usize>> {
    let mut values: Vec<Range<usize>> = Vec::new();
    for (equals, _) in text.match_indices('=') {
        if values.last().is_some_and(|value| value.contains(&equals))
            || !key_before(text, equals).is_some_and(is_secret)
        {
            continue;
        }
        let start = equals + 1 + blanks(&text[equals + 1..]);
        let rest = &text[start..];
        let len = rest.find(char::is_whitespace).unwrap_or(rest.len());
        // A word with quotes or escapes may go on behind a blank; where it ends is not worth a mistake.
        let len = if rest[..len].contains(['"', '\'', '\\']) { rest.len() } else { len };
        if len > 0 {
            values.push(start..start + len);
        }
    }
    values
}

/// Secrets of a file with syntax errors: nothing but the look of its lines can be relied on.
fn guess(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut done = 0;
    for (equals, _) in text.match_indices('=') {
        if equals < done || !key_before(text, equals).is_some_and(is_secret) {
            continue;
        }
        let start = equals + 1 + blanks(&text[equals + 1..]);
        let rest = &text[start..];
        let closer = ["\"\"\"", "'''", "\\\"", "\"", "'", "[", "{"].into_iter().find(|opener| rest.starts_with(opener));
        let closed = closer.and_then(|opener| {
            let closer = match opener {
                "[" => "]",
                "{" => "}",
                quote => quote,
            };
            rest[opener.len()..].find(closer).map(|at| start + opener.len() + at)
        });
        // Not closed at all: it could go on to the end of the file.
        let last = if closer.is_some() { closed.unwrap_or(text.len()) } else { start };
        done = end_of_line(text, last);
        ranges.push(start..done);
    }
    ranges.extend(secret_sections(text));
    ranges
}

/// What stands below headers like `[umh.secrets]`, up to the next header.
fn secret_sections(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut in_secret = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            in_secret = is_secret(line);
        } else if in_secret {
            ranges.push(start..start + line.len());
        }
        start += line.len();
    }
    ranges
}

/// The key in front of the `=` at `equals`.
fn key_before(text: &str, equals: usize) -> Option<&str> {
    let mut from = equals.saturating_sub(MAX_KEY);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text[from..equals].trim_end_matches([' ', '\t']);
    let last = before.chars().next_back()?;
    let key = if last == '"' || last == '\'' {
        let before = &before[..before.len() - 1];
        &before[before.rfind(last).map_or(0, |at| at + 1)..]
    } else {
        let in_key = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        before.rfind(|c: char| !in_key(c)).map_or(before, |at| {
            let len = before[at..].chars().next().map_or(0, char::len_utf8);
            &before[at + len..]
        })
    };
    (!key.is_empty()).then_some(key)
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

fn end_of_line(text: &str, from: usize) -> usize {
    text.as_bytes()[from..].iter().position(|&b| b == b'\n').map_or(text.len(), |len| from + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_like_names() {
        for key in ["password", "DB_PASSWORD", "incoming_password", "chap-user", "api.token", "ssh_key", "X_SECRET_Y"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["ip", "path", "name", "pass", "command"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn no_secret_survives() {
        for text in [
            "password = \"S3CRET\"\n",
            "'my password' = 'S3CRET' # was password=S3CRET\n",
            "# password = S3CRET\na = 1\n",
            "env = { A = 1, DB_PASSWORD = \"S3CRET\", B = 2 }\n",
            "[umh.secrets]\na = \"S3CRET\"\nb = [\"S3CRET\", { c = \"S3CRET\" }]\n",
            "start = [\"ocf:heartbeat:x i ip=1 password=S3CRET b=2\"]\n",
            "start = [\"ocf:heartbeat:x i password='S3CRET S3CRET' b=2\"]\n",
            "start = ['ocf:heartbeat:x i password=\"a S3CRET\" b=2']\n",
            "start = [\"ocf:heartbeat:x i password=\\\"a S3CRET\\\" b=2\"]\n",
            "start = [\"\"\"ocf:heartbeat:x i\npassword='a\nS3CRET'\"\"\"]\n",
            "start = [\"ocf:x:y i pass\\u0077ord=S3CRET\"]\n",
            "\"pass\\u0077ord\" = \"S3CRET\"\n",
            "password = \"\"\"\nS3CRET\nS3CRET\"\"\"\n",
            "token = 12 # token = 12\nkeys = [12]\n",
            // Broken files.
            "x = \npassword = \"S3CRET\"\n",
            "x = \npassword = \"\"\"S3CRET\nS3CRET\"\"\" # S3CRET\n",
            "x = \npassword = \"\"\"S3CRET\nS3CRET\n",
            "password = S3CRET S3CRET",
            "password = \"S3CRET\nS3CRET",
            "x = \n[umh.secrets]\nx = \"S3CRET\"\n",
            "x = \nkeys = [\n \"S3CRET\",\n \"S3CRET\" ]\n",
            "x = \nstart = [\"ocf:x:y i password='a\nS3CRET' b=1\"]\n",
        ] {
            let masked = mask_toml(text);
            assert!(!masked.contains("S3CRET") && !masked.contains("12"), "{text}\n{masked}");
            assert_eq!(masked.len(), text.len());
            assert_eq!(masked.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "env = { A = 1, DB_PASSWORD = \"äß\", B = 2 }\nstart = [\"ocf:x:y i password=abc ip=1\", \"b/c\"]\n";
        let masked =
            "env = { A = 1, DB_PASSWORD = \"****\", B = 2 }\nstart = [\"ocf:x:y i password=*** ip=1\", \"b/c\"]\n";
        assert_eq!(mask_toml(text), masked);
        assert_eq!(mask_text("curl -H token=abc --data x=1"), "curl -H token=*** --data x=1");
        assert_eq!(mask_text("password='a b' c"), "password=***");
        assert_eq!(mask_text("password= x"), "password= ***");
    }
}
