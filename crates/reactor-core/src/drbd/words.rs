//! Lines, and the `key:value` words of a line, split as fast as they can be read: this is the hot path of the daemon.
//!
//! DRBD prints the keys of an object always in the same order. So the parser asks for the key that it expects ([`Words::step`]), which
//! is one comparison, and nothing is searched for. What stands elsewhere than expected, and keys that nobody knows, are taken in
//! their turn ([`Words`] as an iterator), with the same outcome.
//!
//! Values are short, and their ends are looked for byte by byte: the processor foresees where the loop ends, as it did the last time,
//! and begins with the next word meanwhile. To compute the end from eight bytes at once takes fewer instructions and more time,
//! because nothing can begin before it is known. Only lines are long enough for whole vectors. And what takes a word is always
//! inlined: a call would put the place in the line into memory and wait for it, which costs a third of the time.

/// The first word and what follows the space after it.
#[inline]
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_at(text.bytes().position(|byte| byte == b' ').unwrap_or(text.len()));
    (word, rest.strip_prefix(' ').unwrap_or(rest))
}

/// The lines of a text, without their ends, as [`str::lines`] gives them.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = memchr::memchr(b'\n', rest.as_bytes()) else { return Some(std::mem::take(&mut rest)) };
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line.strip_suffix('\r').unwrap_or(line))
    })
}

/// So many digits always fit.
const MOST_DIGITS: usize = 19;

/// A decimal number; `None` if it is anything else.
#[inline]
pub(super) fn number(value: &str) -> Option<u64> {
    let bytes = value.as_bytes();
    if bytes.len() > MOST_DIGITS {
        // The slow way knows where the limit is.
        return value.parse().ok().filter(|_| bytes[0] != b'+');
    }
    if bytes.is_empty() {
        return None;
    }
    let mut sum = 0u64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum = sum * 10 + u64::from(digit);
    }
    Some(sum)
}

/// The number with which `bytes` begin and how many digits it has, if a space follows them.
#[inline(always)]
fn number_and_space(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut sum = 0u64;
    for (at, byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (*byte == b' ' && at > 0).then_some((sum, at));
        }
        if at == MOST_DIGITS {
            break;
        }
        sum = sum * 10 + u64::from(digit);
    }
    None
}

/// The words of a line that have not been taken. A word without a colon has an empty value.
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Takes a key, given with its colon, if it is what comes next. Its value comes next then.
    #[inline(always)]
    pub(super) fn step(&mut self, key_and_colon: &str) -> bool {
        let rest = self.rest.strip_prefix(key_and_colon);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a value.
    #[inline(always)]
    pub(super) fn value(&mut self) -> &'a str {
        let (value, rest) = split_word(self.rest);
        self.rest = rest;
        value
    }

    /// Takes a value as a number, or as the text that is none.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<u64, &'a str> {
        if let Some((number, length)) = number_and_space(self.rest.as_bytes()) {
            self.rest = &self.rest[length + 1..];
            return Ok(number);
        }
        let value = self.value();
        number(value).ok_or(value)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(' ');
        if self.rest.is_empty() {
            return None;
        }
        let word = self.value();
        Some(word.split_once(':').unwrap_or((word, "")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, written for people.
    fn plain(text: &str) -> Vec<(&str, &str)> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        words.map(|word| word.split_once(':').unwrap_or((word, ""))).collect()
    }

    /// Bytes as a broken source may print them, with many of those that mean something.
    fn any_text() -> impl Strategy<Value = String> {
        let byte = prop_oneof![
            3 => proptest::sample::select(&b"  ::\r\n\0/09\x80"[..]),
            3 => b'0'..=b'9',
            3 => b'a'..=b'e',
            1 => any::<u8>(),
        ];
        prop_oneof![
            proptest::collection::vec(byte, 0..80).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn words_are_those_of_a_plain_splitter(text in any_text()) {
            prop_assert_eq!(Words::new(&text).collect::<Vec<_>>(), plain(&text));
            let (word, rest) = split_word(&text);
            prop_assert_eq!((word, rest), text.split_once(' ').unwrap_or((&text, "")));
        }

        #[test]
        fn lines_are_those_of_the_standard_library(text in any_text()) {
            prop_assert_eq!(lines(&text).collect::<Vec<_>>(), text.lines().collect::<Vec<_>>());
        }

        #[test]
        fn an_expected_key_is_the_next_one_or_costs_nothing(text in any_text(), key in "[a-e]{0,2}:") {
            let mut words = Words::new(&text);
            let is_next = text.starts_with(&key);
            prop_assert_eq!(words.step(&key), is_next);
            if is_next {
                let value = words.value();
                prop_assert_eq!(value, text[key.len()..].split(' ').next().unwrap_or_default());
            }
            let left = if is_next { &plain(&text)[1..] } else { &plain(&text)[..] };
            prop_assert_eq!(words.collect::<Vec<_>>(), left);
        }

        #[test]
        fn numbers_are_those_of_the_standard_library(text in any_text(), digits in "[0-9]{0,21}", after in "[ -~]{0,9}") {
            for text in [text, format!("{digits}{after}"), format!("{digits} {after}")] {
                let word = text.split(' ').next().unwrap_or_default();
                // `parse` takes a sign, DRBD prints none.
                let plain = word.parse::<u64>().ok().filter(|_| !word.starts_with('+'));
                let mut words = Words::new(&text);
                prop_assert_eq!(words.number(), plain.ok_or(word));
                prop_assert_eq!(words.rest, text.get(word.len() + 1..).unwrap_or_default());
            }
        }
    }
}
