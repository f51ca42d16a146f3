//! How a wording is written down, and how a text is held against it.
//!
//! A template is the line as it is printed, with what changes in braces:
//!
//! ```text
//!   {class:I/O|critical medium} error, dev {dev:kernel}, sector {sector:num}{? op 0x{op:hex}:({op_name:word})}{:any}
//! ```
//!
//! | written | matches |
//! | --- | --- |
//! | `{name:kind}` | a field: see [`Kind`]. Fields that name a device become devices of the finding, too |
//! | `{name!:kind}` | the same, and it is the device that the line is about, where that is not the first one |
//! | `{:kind}` | the same, and nobody is told |
//! | `{name:a\|b\|c}` | one of these, the longest that stands there; `{name:=a}` if there is only one |
//! | `{?text}` | may be missing; it can have fields in it |
//! | two blanks | one or more blanks and line ends |
//! | `{{`, `}}` | a brace |
//!
//! The whole text has to match, without blanks and line ends at either end. A field of free text ends at the first place where what follows
//! stands, and at a later one if the rest does not match then. There is no expression engine behind it: a line costs a few comparisons, and a
//! catalogue of hundreds of wordings some ten kilobytes.

use thiserror::Error;

/// Fields that one wording can have.
pub(super) const MAX_FIELDS: usize = 16;

/// Ends of free text that are tried before a line counts as one of another wording. Lines of the kernel need a handful.
const MAX_TRIES: u32 = 2_000;

/// Bytes of a needle. More would tell little more, and cost memory and time.
const TELLING: usize = 12;

/// What a field can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Decimal digits.
    Num,
    /// The same, with a sign perhaps.
    Int,
    /// Decimal digits with a point perhaps: a share in percent.
    Decimal,
    /// Hexadecimal digits, without `0x`.
    Hex,
    /// A UUID.
    Uuid,
    /// Anything without blanks.
    Word,
    /// Anything.
    Text,
    /// Anything, or nothing.
    Any,
    /// What another module prints before its line: nothing, or something with a blank at its end.
    Module,
    /// One of the words that the template lists.
    OneOf,
    /// A block device as the kernel calls it, or `?`.
    Kernel,
    /// A journal as jbd2 calls it: `sda1-8`, or `sdb1` where it is a device of its own.
    Journal,
    /// `8:48`.
    Number,
    /// `6:0:0:0`.
    Scsi,
    /// The number of a SCSI host.
    ScsiHost,
    /// `ata1`, `ata1.00`.
    Ata,
    /// `nvme0`.
    Nvme,
    /// `0000:05:00.0`.
    Pci,
    /// A name of the device mapper's.
    Dm,
    /// A path.
    Path,
    /// The number of an iSCSI session.
    Session,
    /// `7:0-4`.
    Rport,
    /// `r0`, `r0/0`.
    Drbd,
    /// `r0/0`.
    DrbdVolume,
    /// DRBD's changes of states: `disk( UpToDate -> Failed ) quorum( yes -> no`.
    Changes,
    /// An identifier: of a physical volume, of a pool's device.
    Id,
    /// A server, a portal, a pool.
    Remote,
}

impl Kind {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "num" => Self::Num,
            "int" => Self::Int,
            "decimal" => Self::Decimal,
            "hex" => Self::Hex,
            "uuid" => Self::Uuid,
            "word" => Self::Word,
            "text" => Self::Text,
            "any" => Self::Any,
            "module" => Self::Module,
            "kernel" => Self::Kernel,
            "journal" => Self::Journal,
            "number" => Self::Number,
            "scsi" => Self::Scsi,
            "scsihost" => Self::ScsiHost,
            "ata" => Self::Ata,
            "nvme" => Self::Nvme,
            "pci" => Self::Pci,
            "dm" => Self::Dm,
            "path" => Self::Path,
            "session" => Self::Session,
            "rport" => Self::Rport,
            "drbd" => Self::Drbd,
            "volume" => Self::DrbdVolume,
            "changes" => Self::Changes,
            "id" => Self::Id,
            "remote" => Self::Remote,
            _ => return None,
        })
    }

    /// Whether it names a device.
    pub fn is_device(self) -> bool {
        match self {
            Self::Num
            | Self::Int
            | Self::Decimal
            | Self::Hex
            | Self::Uuid
            | Self::Word
            | Self::Text
            | Self::Any
            | Self::Module
            | Self::Changes
            | Self::OneOf => false,
            Self::Kernel
            | Self::Journal
            | Self::Number
            | Self::Scsi
            | Self::ScsiHost
            | Self::Ata
            | Self::Nvme
            | Self::Pci
            | Self::Dm
            | Self::Path
            | Self::Session
            | Self::Rport
            | Self::Drbd
            | Self::DrbdVolume
            | Self::Id
            | Self::Remote => true,
        }
    }

    /// What every value of it begins with.
    fn head(self) -> Option<&'static str> {
        match self {
            Self::Ata => Some("ata"),
            Self::Nvme => Some("nvme"),
            _ => None,
        }
    }

    /// Whether it ends where what follows stands, and not where its characters end.
    fn is_free(self) -> bool {
        matches!(
            self,
            Self::Word
                | Self::Text
                | Self::Any
                | Self::Module
                | Self::Dm
                | Self::Path
                | Self::Drbd
                | Self::DrbdVolume
                | Self::Changes
                | Self::Id
                | Self::Remote
        )
    }

    /// Whether this can be a byte of it. Those of names are what the kernel allows, not what is usual.
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Num | Self::ScsiHost | Self::Session => byte.is_ascii_digit(),
            Self::Int => byte.is_ascii_digit() || byte == b'-',
            Self::Decimal => byte.is_ascii_digit() || byte == b'.',
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Uuid => byte.is_ascii_hexdigit() || byte == b'-',
            Self::Number | Self::Scsi => byte.is_ascii_digit() || byte == b':',
            Self::Rport => byte.is_ascii_digit() || matches!(byte, b':' | b'-'),
            Self::Ata => byte.is_ascii_alphanumeric() || byte == b'.',
            Self::Nvme => byte.is_ascii_alphanumeric(),
            Self::Pci => byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'),
            Self::Kernel => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'!' | b'-' | b'?'),
            Self::Journal => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'!' | b'-'),
            Self::Text | Self::Any | Self::Module | Self::Changes | Self::OneOf => true,
            Self::Word | Self::Dm | Self::Path | Self::Drbd | Self::DrbdVolume | Self::Id | Self::Remote => {
                !is_blank(byte)
            }
        }
    }

    /// How many of these bytes can be of it.
    fn extent(self, rest: &[u8]) -> usize {
        let run = match self {
            // Where the text is free to its end, nothing has to be looked at.
            Self::Text | Self::Any | Self::Module | Self::Changes => return rest.len(),
            kind => rest.iter().position(|byte| !kind.has(*byte)).unwrap_or(rest.len()),
        };
        // What stands between the parts of these does not stand at their end: that is the sentence's.
        match self {
            Self::Number | Self::Scsi | Self::Pci | Self::Rport | Self::Decimal => {
                rest[..run].iter().rposition(|byte| !matches!(byte, b':' | b'.')).map_or(0, |last| last + 1)
            }
            _ => run,
        }
    }

    /// Whether a run of such bytes is one. Bytes that no such thing has are kept out by [`Kind::has`].
    fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Number => value.iter().filter(|byte| **byte == b':').count() == 1 && !value.ends_with(b":"),
            Self::Scsi => value.iter().filter(|byte| **byte == b':').count() == 3,
            Self::Ata => value.strip_prefix(b"ata").and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit),
            Self::Nvme => value.strip_prefix(b"nvme").and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit),
            Self::Path => value.starts_with(b"/"),
            Self::DrbdVolume => value.contains(&b'/'),
            Self::Changes => {
                value.iter().position(|byte| *byte == b' ').is_some_and(|end| value[..end].ends_with(b"("))
            }
            Self::Module => value.last().is_none_or(|byte| *byte == b' '),
            Self::Num
            | Self::Int
            | Self::Decimal
            | Self::Hex
            | Self::Uuid
            | Self::Word
            | Self::Text
            | Self::Any
            | Self::OneOf
            | Self::Kernel
            | Self::Journal
            | Self::ScsiHost
            | Self::Pci
            | Self::Dm
            | Self::Session
            | Self::Rport
            | Self::Drbd
            | Self::Id
            | Self::Remote => true,
        }
    }

    /// The fewest bytes of it.
    fn at_least(self) -> usize {
        usize::from(!matches!(self, Self::Any | Self::Module))
    }
}

/// What counts as a blank at the ends of a message and between its words.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0)
}

/// Why a template is none. The built-in ones are proved right by a test.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadTemplate {
    /// A brace without its other.
    #[error("a brace has no other one")]
    Unbalanced,
    /// A field of a kind that there is not.
    #[error("there is no kind of field {0:?}")]
    NoSuchKind(String),
    /// Free text with free text behind it: nobody knows where one ends.
    #[error("nothing says where the field {0:?} ends")]
    Endless(String),
    /// More than sixteen of them.
    #[error("too many fields")]
    TooManyFields,
    /// Nothing in it that is always there.
    #[error("nothing in it is always there")]
    NoText,
    /// The kernel and its tools print ASCII.
    #[error("it is not ASCII")]
    NotAscii,
}

/// A field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it can be.
    pub kind: Kind,
    /// Whether the line is about this device, though another one stands before it.
    pub subject: bool,
}

#[derive(Debug)]
enum Op {
    Literal(String),
    Blanks,
    /// What follows up to `after` may be missing.
    Optional {
        after: usize,
    },
    Field {
        slot: Option<usize>,
        kind: Kind,
    },
    OneOf {
        slot: Option<usize>,
        words: Vec<&'static str>,
    },
    End,
}

/// A wording, ready to be held against texts.
#[derive(Debug)]
pub struct Template {
    ops: Vec<Op>,
    fields: Vec<Field>,
}

/// Where each field stands in the text: start and end.
pub(super) type Slots = [Option<(u16, u16)>; MAX_FIELDS];

impl Template {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(template: &'static str) -> Result<Self, BadTemplate> {
        if !template.is_ascii() {
            return Err(BadTemplate::NotAscii);
        }
        let mut reader = Reader { rest: template, ops: Vec::new(), fields: Vec::new(), literal: String::new() };
        reader.sequence(0)?;
        reader.ops.push(Op::End);
        let template = Self { ops: reader.ops, fields: reader.fields };
        template.check_ends()?;
        if template.needles().iter().any(String::is_empty) {
            return Err(BadTemplate::NoText);
        }
        Ok(template)
    }

    /// Its fields, in their order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Pieces of which every text of this wording has one: the longest that there is. Where that is too short to tell much, and the template
    /// lists words, these with what is around them.
    pub fn needles(&self) -> Vec<String> {
        let mut best = vec![self.literals().max_by_key(|literal| literal.len()).unwrap_or_default().to_owned()];
        let shortest = |needles: &[String]| needles.iter().map(String::len).min().unwrap_or_default();
        let always: Vec<_> = self.always().collect();
        let literal = |wanted: Option<usize>| match always.iter().find(|(at, _)| Some(*at) == wanted) {
            Some((_, Op::Literal(literal))) => literal.as_str(),
            _ => "",
        };
        for (at, op) in &always {
            let Op::OneOf { words, .. } = op else { continue };
            let (before, behind) = (literal(at.checked_sub(1)), literal(Some(at + 1)));
            let listed: Vec<_> = words.iter().map(|word| format!("{before}{word}{behind}")).collect();
            if shortest(&best) < TELLING && shortest(&listed) > shortest(&best) {
                best = listed;
            }
        }
        for needle in &mut best {
            // The end of it: many begin alike, `device-mapper: `.
            needle.drain(..needle.len().saturating_sub(TELLING));
        }
        best.sort();
        best.dedup();
        best
    }

    /// With what texts of this wording begin, one of these. `None`: with anything.
    pub fn heads(&self) -> Option<Vec<String>> {
        let mut heads = Vec::new();
        self.begin(0, String::new(), &mut heads)?;
        Some(heads)
    }

    /// Of texts that begin with anything, what shows that they can be of this wording. Wordings of one module share it where they can.
    pub fn signs(&self) -> Vec<String> {
        match (self.ops.first(), self.ops.get(1)) {
            (Some(Op::Field { kind: Kind::Module, .. }), Some(Op::Literal(module))) => {
                vec![module.get(..TELLING).unwrap_or(module).to_owned()]
            }
            _ => self.needles(),
        }
    }

    /// Adds what stands from `pc` on, behind what stood before it.
    fn begin(&self, pc: usize, before: String, heads: &mut Vec<String>) -> Option<()> {
        if before.len() >= TELLING {
            heads.push(before);
            return Some(());
        }
        match self.ops.get(pc)? {
            Op::Literal(literal) => self.begin(pc + 1, before + literal, heads),
            Op::OneOf { words, .. } => {
                words.iter().try_for_each(|word| self.begin(pc + 1, format!("{before}{word}"), heads))
            }
            Op::Optional { after } => {
                self.begin(pc + 1, before.clone(), heads)?;
                self.begin(*after, before, heads)
            }
            Op::Field { kind, .. } if before.is_empty() => {
                heads.push(kind.head()?.to_owned());
                Some(())
            }
            Op::Field { .. } | Op::Blanks | Op::End => {
                heads.push(before);
                Some(())
            }
        }
    }

    /// What is not optional, and where it stands.
    fn always(&self) -> impl Iterator<Item = (usize, &Op)> {
        let mut optional_until = 0;
        self.ops.iter().enumerate().filter(move |(at, op)| {
            if let Op::Optional { after } = op {
                optional_until = optional_until.max(*after);
            }
            *at >= optional_until
        })
    }

    /// All pieces that every text of this wording has in it, in their order.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.always().filter_map(|(_, op)| match op {
            Op::Literal(literal) => Some(literal.as_str()),
            Op::Blanks | Op::Optional { .. } | Op::Field { .. } | Op::OneOf { .. } | Op::End => None,
        })
    }

    /// Holds a text against it, which has no blanks at its ends and is shorter than 64 KiB.
    pub(super) fn matches(&self, text: &str) -> Option<Slots> {
        let mut run = Run { ops: &self.ops, text: text.as_bytes(), slots: [None; MAX_FIELDS], tries: MAX_TRIES };
        (text.len() <= usize::from(u16::MAX) && run.go(0, 0)).then_some(run.slots)
    }

    fn check_ends(&self) -> Result<(), BadTemplate> {
        for (at, op) in self.ops.iter().enumerate() {
            let Op::Field { slot, kind } = op else { continue };
            let endless = |next: &Op| matches!(next, Op::Field { kind, .. } if kind.is_free());
            if kind.is_free() && self.ops.get(at + 1).is_some_and(endless) {
                let name = slot.and_then(|slot| self.fields.get(slot)).map_or("", |field| field.name);
                return Err(BadTemplate::Endless(name.to_owned()));
            }
        }
        Ok(())
    }
}

struct Reader {
    rest: &'static str,
    ops: Vec<Op>,
    fields: Vec<Field>,
    literal: String,
}

impl Reader {
    /// Up to the end, or to the brace that ends an optional part.
    fn sequence(&mut self, depth: u32) -> Result<(), BadTemplate> {
        loop {
            // Two closing braces of optional parts in each other are no brace of the text.
            let brace = self.rest.strip_prefix("}}").filter(|_| depth < 2);
            if let Some(rest) = self.rest.strip_prefix("{{").or(brace) {
                self.literal.push_str(&self.rest[..1]);
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix("  ") {
                self.flush();
                self.ops.push(Op::Blanks);
                self.rest = rest.trim_start_matches(' ');
            } else if let Some(rest) = self.rest.strip_prefix("{?") {
                self.flush();
                let opened = self.ops.len();
                self.ops.push(Op::Optional { after: 0 });
                self.rest = rest;
                self.sequence(depth + 1)?;
                self.ops[opened] = Op::Optional { after: self.ops.len() };
            } else if let Some(rest) = self.rest.strip_prefix('{') {
                self.flush();
                let (inside, rest) = rest.split_once('}').ok_or(BadTemplate::Unbalanced)?;
                self.field(inside)?;
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix('}') {
                self.flush();
                self.rest = rest;
                return if depth > 0 { Ok(()) } else { Err(BadTemplate::Unbalanced) };
            } else if self.rest.is_empty() {
                self.flush();
                return if depth == 0 { Ok(()) } else { Err(BadTemplate::Unbalanced) };
            } else {
                self.literal.push_str(&self.rest[..1]);
                self.rest = &self.rest[1..];
            }
        }
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.ops.push(Op::Literal(std::mem::take(&mut self.literal)));
        }
    }

    fn field(&mut self, inside: &'static str) -> Result<(), BadTemplate> {
        let no_kind = || BadTemplate::NoSuchKind(inside.to_owned());
        let (name, kind) = inside.split_once(':').ok_or_else(no_kind)?;
        let known = Kind::from_word(kind);
        let kind_or_words = match known {
            Some(kind) => kind,
            None if kind.contains('|') || kind.starts_with('=') => Kind::OneOf,
            None => return Err(no_kind()),
        };
        let slot = self.slot(name, kind_or_words)?;
        self.ops.push(match kind_or_words {
            Kind::OneOf => {
                let mut words: Vec<&str> = kind.trim_start_matches('=').split('|').collect();
                words.sort_by_key(|word| std::cmp::Reverse(word.len()));
                Op::OneOf { slot, words }
            }
            kind => Op::Field { slot, kind },
        });
        Ok(())
    }

    fn slot(&mut self, name: &'static str, kind: Kind) -> Result<Option<usize>, BadTemplate> {
        if name.is_empty() {
            return Ok(None);
        }
        let slot = self.fields.len();
        if slot == MAX_FIELDS {
            return Err(BadTemplate::TooManyFields);
        }
        let subject = name.ends_with('!');
        self.fields.push(Field { name: name.trim_end_matches('!'), kind, subject });
        Ok(Some(slot))
    }
}

struct Run<'t> {
    ops: &'t [Op],
    text: &'t [u8],
    slots: Slots,
    tries: u32,
}

impl Run<'_> {
    /// Whether the rest of the template matches the rest of the text.
    fn go(&mut self, mut pc: usize, mut at: usize) -> bool {
        let (ops, text) = (self.ops, self.text);
        loop {
            let rest = &text[at..];
            match &ops[pc] {
                Op::End => return rest.is_empty(),
                Op::Literal(literal) if rest.starts_with(literal.as_bytes()) => at += literal.len(),
                Op::Literal(_) => return false,
                Op::Blanks => match rest.iter().take_while(|byte| is_blank(**byte)).count() {
                    0 => return false,
                    blanks => at += blanks,
                },
                Op::OneOf { slot, words } => {
                    let Some(word) = words.iter().find(|word| rest.starts_with(word.as_bytes())) else { return false };
                    self.set(*slot, at, at + word.len());
                    at += word.len();
                }
                Op::Optional { after } => {
                    let slots = self.slots;
                    if self.go(pc + 1, at) {
                        return true;
                    }
                    self.slots = slots;
                    pc = *after;
                    continue;
                }
                Op::Field { slot, kind } => {
                    // Where the text is free to its end, nothing has to be looked at.
                    let limit = kind.extent(rest);
                    if kind.is_free() {
                        return self.free(pc, *slot, *kind, at, at + limit);
                    }
                    if limit < kind.at_least() || !kind.accepts(&rest[..limit]) {
                        return false;
                    }
                    self.set(*slot, at, at + limit);
                    at += limit;
                }
            }
            pc += 1;
        }
    }

    /// A field of free text from `start`, which ends at `limit` at the latest: the first end with which the rest matches.
    fn free(&mut self, pc: usize, slot: Option<usize>, kind: Kind, start: usize, limit: usize) -> bool {
        let mut end = start + kind.at_least();
        while end <= limit {
            let next = match &self.ops[pc + 1] {
                Op::Literal(literal) => find(&self.text[end..], literal.as_bytes()).map(|found| end + found),
                Op::End => Some(self.text.len()),
                Op::Blanks | Op::Optional { .. } | Op::Field { .. } | Op::OneOf { .. } => Some(end),
            };
            let Some(next) = next.filter(|next| *next <= limit) else { return false };
            let Some(left) = self.tries.checked_sub(1) else { return false };
            self.tries = left;
            if kind.accepts(&self.text[start..next]) {
                self.set(slot, start, next);
                if self.go(pc + 1, next) {
                    return true;
                }
            }
            end = next + 1;
        }
        false
    }

    fn set(&mut self, slot: Option<usize>, start: usize, end: usize) {
        let as_u16 = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = Some((as_u16(start), as_u16(end)));
        }
    }
}

/// Texts are short: looking for the first byte is quicker than preparing a search.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    memchr::memchr_iter(first, text).find(|at| text[*at..].starts_with(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(template: &'static str, text: &str) -> Option<Vec<(&'static str, String)>> {
        let template = Template::new(template).unwrap();
        let slots = template.matches(text)?;
        let names = template.fields().iter().zip(slots);
        Some(
            names
                .filter_map(|(field, slot)| {
                    slot.map(|(start, end)| (field.name, text[usize::from(start)..usize::from(end)].to_owned()))
                })
                .collect(),
        )
    }

    fn check(template: &'static str, text: &str, expect: &[(&'static str, &str)]) {
        let expect: Vec<_> = expect.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(fields(template, text), Some(expect), "{template}");
    }

    #[test]
    fn fields_stand_where_the_template_has_them() {
        check("sector {sector:num} of {dev:kernel}.", "sector 12 of sda1.", &[("sector", "12"), ("dev", "sda1")]);
        check("{map:number}: path {path!:number}", "253:3: path 8:48", &[("map", "253:3"), ("path", "8:48")]);
    }

    #[test]
    fn an_optional_part_may_be_missing_and_tells_nothing_then() {
        let template = "sd {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} Sense Key : {key:text} [{form:word}]";
        check(
            template,
            "sd 0:0:0:0: [sda] tag#7 Sense Key : Medium Error [current]",
            &[("scsi", "0:0:0:0"), ("disk", "sda"), ("tag", "7"), ("key", "Medium Error"), ("form", "current")],
        );
        check(
            template,
            "sd 0:0:0:0: Sense Key : 0x3 [deferred]",
            &[("scsi", "0:0:0:0"), ("key", "0x3"), ("form", "deferred")],
        );
        assert_eq!(fields("a{? b {n:num} c}{:any}", "a b 1 d"), Some(Vec::new()), "what was tried is forgotten");
    }

    #[test]
    fn free_text_ends_where_the_rest_matches_not_only_where_it_might() {
        check("{text:text}: {n:num}", "a: b: 7", &[("text", "a: b"), ("n", "7")]);
        check("x {text:text}{? ({n:num})}", "x y (z) (7)", &[("text", "y (z)"), ("n", "7")]);
        assert_eq!(fields("{text:word}: x", "a b: x"), None, "a word has no blanks");
    }

    #[test]
    fn the_longest_of_several_words_is_taken() {
        check("{what:re|read|read ahead} it", "read ahead it", &[("what", "read ahead")]);
        check("{what:=read} it", "read it", &[("what", "read")]);
        assert_eq!(fields("{what:a|b} it", "c it"), None);
    }

    #[test]
    fn two_blanks_are_any_blanks_and_line_ends() {
        check("a.  b {n:num}", "a.\n      b 1", &[("n", "1")]);
        check("a.  b {n:num}", "a. b 1", &[("n", "1")]);
        assert_eq!(fields("a.  b", "a.b"), None);
    }

    #[test]
    fn braces_are_written_twice() {
        check("status: {{ {bits:text} }}", "status: { DRDY ERR }", &[("bits", "DRDY ERR")]);
    }

    #[test]
    fn one_of_the_needles_is_always_there() {
        let template = Template::new("ab {? a very long optional part }cde {n:num}").unwrap();
        assert_eq!(template.needles(), ["cde "]);
        assert_eq!(template.literals().collect::<Vec<_>>(), ["ab ", "cde "]);
        let template = Template::new("{n:num}{?, }{what:disabled|out of date}").unwrap();
        assert_eq!(template.needles(), ["disabled", "out of date"]);
        let template = Template::new("{n:num}: {what:disabled|out of date} {?x}{:any}").unwrap();
        assert_eq!(template.needles(), [": disabled ", "out of date "]);
    }

    #[test]
    fn heads_are_what_a_text_can_begin_with() {
        let heads = |template| Template::new(template).unwrap().heads();
        let some = |heads: &[&str]| Some(heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>());
        assert_eq!(heads("{driver:sd|scsi} {scsi:scsi}: x"), some(&["scsi ", "sd "]));
        assert_eq!(heads("{?a }b {n:num}"), some(&["a b ", "b "]));
        assert_eq!(heads("{port:ata}: x"), some(&["ata"]));
        assert_eq!(heads("{dev:kernel}: x"), None);
        assert_eq!(heads("{?a }{dev:kernel} disabled"), None);
    }

    #[test]
    fn a_bad_template_says_why() {
        for (template, why) in [
            ("a {b", BadTemplate::Unbalanced),
            ("a } b", BadTemplate::Unbalanced),
            ("a {? b", BadTemplate::Unbalanced),
            ("a {b:what}", BadTemplate::NoSuchKind("b:what".to_owned())),
            ("a {b}", BadTemplate::NoSuchKind("b".to_owned())),
            ("x {a:text}{b:word}", BadTemplate::Endless("a".to_owned())),
            ("{a:text}", BadTemplate::NoText),
            ("\u{e4} {a:text}", BadTemplate::NotAscii),
        ] {
            assert_eq!(Template::new(template).map(|_| ()), Err(why), "{template}");
        }
    }

    #[test]
    fn a_text_made_to_be_slow_is_given_up() {
        let template = Template::new("{a:text}:{b:text}:{c:text}:{d:text}!").unwrap();
        assert!(template.matches(&":".repeat(8_000)).is_none());
    }
}
