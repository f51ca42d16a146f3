//! Keeps secrets out of the journal, also when the agent prints them.

use crate::settings::PARAMETER;

/// What the name of a parameter with a secret has in it.
const MARKS: [&str; 6] = ["password", "passwd", "secret", "token", "key", "chap"];

/// Shorter values are not looked for: `on` in every other line is no secret.
const SHORTEST: usize = 3;

/// The values that must not be seen.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    values: Vec<String>,
}

impl Secrets {
    /// From an environment.
    pub(crate) fn new(environment: impl Iterator<Item = (String, String)>) -> Self {
        let secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            MARKS.iter().any(|mark| name.contains(mark))
        };
        let parameters = environment.filter(|(name, value)| {
            name.strip_prefix(PARAMETER).is_some_and(secret) && value.chars().count() >= SHORTEST
        });
        let mut values: Vec<String> = parameters.map(|(_, value)| value).collect();
        // One may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// The text without them.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), "***");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_secret_is_hidden() {
        let pairs = [
            ("OCF_RESKEY_password", "s3cret"),
            ("OCF_RESKEY_incoming_PASSWORD", "s3cret-2"),
            ("OCF_RESKEY_api_token", "ab"),
            ("OCF_RESKEY_ip", "192.0.2.1"),
            ("HOME_KEY", "/root"),
        ];
        let secrets = Secrets::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        assert_eq!(secrets.hide("ab s3cret s3cret-2 192.0.2.1 /root"), "ab *** *** 192.0.2.1 /root");
    }
}
