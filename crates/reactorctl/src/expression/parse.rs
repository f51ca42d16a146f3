//! Text to condition, and what is wrong with it, with a caret below the place.
//!
//! ```text
//! either := both ("or" both)*      both := one ("and" one)*
//! one    := "not" one | "(" either ")" | ["any" | "every"] FIELD [OP VALUE]
//! ```

use std::ops::Range;

use super::{Expression, Field, Kind, Op, Test, Value, Which};

/// Longest text.
const MAX_BYTES: usize = 4096;
/// Deepest nesting: the parser calls itself.
const MAX_DEPTH: usize = 64;
/// Longest number: what is longer is no count, and no size either.
const MAX_DIGITS: usize = 15;

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Mistake {
    /// Where, in bytes.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What could be meant.
    pub hint: Option<String>,
}

impl Mistake {
    fn new(at: Range<usize>, what: impl Into<String>, hint: Option<String>) -> Self {
        Self { at, what: what.into(), hint }
    }

    /// The place in characters; behind the last one if something is missing there.
    pub fn caret(&self, text: &str) -> Range<usize> {
        let before = text.get(..self.at.start).unwrap_or(text).chars().count();
        before..before + text.get(self.at.clone()).unwrap_or_default().chars().count().max(1)
    }

    /// The mistake with the text, and a caret under the place.
    pub fn render(&self, text: &str) -> String {
        // A text in quotes may hold anything, line feeds, too.
        let plain = |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
        let caret = self.caret(text);
        let line = format!("  {}", plain(text));
        let mut report = format!(
            "{}\n{}\n  {}{}",
            plain(&self.what),
            line.trim_end(),
            " ".repeat(caret.start),
            "^".repeat(caret.len())
        );
        if let Some(hint) = &self.hint {
            report += &format!("\n  {}", plain(hint));
        }
        report
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Op(Op),
    Open,
    Close,
}

/// Reads a condition.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn parse(text: &str) -> Result<Expression, Mistake> {
    if text.len() > MAX_BYTES {
        return Err(Mistake::new(0..0, format!("a condition has at most {MAX_BYTES} bytes"), None));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.len(), depth: 0 };
    let expression = parser.either()?;
    match parser.peek() {
        None => Ok(expression),
        Some((Token::Close, at)) => Err(Mistake::new(at.clone(), "no `(` stands before this", None)),
        Some((token, at)) => {
            let hint = match token {
                Token::Word(word) if word.eq_ignore_ascii_case("in") => "several values are `FIELD=A or FIELD=B`",
                _ => "conditions are joined by `and` and `or`",
            };
            Err(Mistake::new(at.clone(), "the condition was complete before this", Some(hint.to_owned())))
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | ':' | '/' | '@' | '+' | '%')
}

fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Mistake> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut then = |wanted: char| chars.next_if(|(_, c)| *c == wanted).is_some();
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => {
                // As in many languages; it can mean nothing else.
                then('=');
                Token::Op(Op::Equal)
            }
            '!' if then('=') => Token::Op(Op::NotEqual),
            '<' => Token::Op(if then('=') { Op::AtMost } else { Op::Less }),
            '>' => Token::Op(if then('=') { Op::AtLeast } else { Op::More }),
            '"' | '\'' => {
                let Some(word) = quoted(c, &mut chars) else {
                    let hint = Some(format!("it ends with {c}"));
                    return Err(Mistake::new(at..text.len(), "a quoted text does not end", hint));
                };
                Token::Quoted(word)
            }
            c if is_word(c) => {
                let mut word = String::from(c);
                while let Some((_, c)) = chars.next_if(|(_, c)| is_word(*c)) {
                    word.push(c);
                }
                Token::Word(word)
            }
            c => {
                let hint = match c {
                    '&' => Some("`and` joins two that both have to be so"),
                    '|' => Some("`or` joins two of which one has to be so"),
                    '!' => Some("`not` turns round what follows; `!=` compares"),
                    _ => None,
                };
                let what = format!("`{c}` has no meaning here");
                return Err(Mistake::new(at..at + c.len_utf8(), what, hint.map(str::to_owned)));
            }
        };
        let end = chars.peek().map_or(text.len(), |(at, _)| *at);
        tokens.push((token, at..end));
    }
    Ok(tokens)
}

/// Up to the quote that ends it; a backslash hides the next character.
fn quoted(quote: char, chars: &mut impl Iterator<Item = (usize, char)>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()?.1 {
            '\\' => text.push(chars.next()?.1),
            c if c == quote => return Some(text),
            c => text.push(c),
        }
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&(Token, Range<usize>)> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<(Token, Range<usize>)> {
        let token = self.tokens.get(self.next).cloned();
        self.next += usize::from(token.is_some());
        token
    }

    /// Takes this word, if it is the next.
    fn takes(&mut self, keyword: &str) -> bool {
        let is_next = matches!(self.peek(), Some((Token::Word(word), _)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_next);
        is_next
    }

    fn missing(&self, what: &str) -> Mistake {
        Mistake::new(self.end..self.end, format!("the condition ends where {what} is missing"), None)
    }

    fn either(&mut self) -> Result<Expression, Mistake> {
        let mut parts = vec![self.both()?];
        while self.takes("or") {
            parts.push(self.both()?);
        }
        Ok(joined(parts, Expression::Or, |part| match part {
            Expression::Or(parts) => Ok(parts),
            part => Err(part),
        }))
    }

    fn both(&mut self) -> Result<Expression, Mistake> {
        let mut parts = vec![self.one()?];
        while self.takes("and") {
            parts.push(self.one()?);
        }
        Ok(joined(parts, Expression::And, |part| match part {
            Expression::And(parts) => Ok(parts),
            part => Err(part),
        }))
    }

    fn one(&mut self) -> Result<Expression, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.peek().map_or(self.end..self.end, |(_, at)| at.clone());
            return Err(Mistake::new(at, format!("it is nested deeper than {MAX_DEPTH}"), None));
        }
        let one = self.one_within();
        self.depth -= 1;
        one
    }

    fn one_within(&mut self) -> Result<Expression, Mistake> {
        if self.takes("not") {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        let Some((Token::Open, opened)) = self.peek().cloned() else { return Ok(Expression::Test(self.test()?)) };
        self.next += 1;
        let inner = self.either()?;
        match self.take() {
            Some((Token::Close, _)) => Ok(inner),
            Some((_, at)) => Err(Mistake::new(at, "a `)` is missing before this", None)),
            None => Err(Mistake::new(opened, "this has no `)`", None)),
        }
    }

    fn test(&mut self) -> Result<Test, Mistake> {
        let which = match (self.takes("any"), self.takes("every")) {
            (true, false) => Which::Any,
            (false, _) => Which::Every,
            (true, true) => {
                let at = self.tokens[self.next - 1].1.clone();
                return Err(Mistake::new(at, "it is either `any` or `every`", None));
            }
        };
        let (field, at) = match self.take() {
            Some((Token::Word(name), at)) => (field(&name, &at)?, at),
            Some((_, at)) => return Err(Mistake::new(at, "the name of a field belongs here", None)),
            None => return Err(self.missing("the name of a field")),
        };
        let Some((Token::Op(op), op_at)) = self.peek().cloned() else {
            if let Kind::Flag = field.kind {
                return Ok(Test { which, field, op: Op::Equal, value: Value::Flag(true) });
            }
            let hint = Some("only what is `yes` or `no` can stand alone".to_owned());
            return Err(Mistake::new(at, format!("`{}` has to be compared with something", field.name), hint));
        };
        self.next += 1;
        if !matches!(op, Op::Equal | Op::NotEqual) && !matches!(field.kind, Kind::Number) {
            let what = format!("`{}` compares numbers, and `{}` is none", op.as_str(), field.name);
            return Err(Mistake::new(op_at, what, Some("`=` or `!=`".to_owned())));
        }
        let value = match self.take() {
            Some((Token::Word(word), at)) => value(field, &word, at)?,
            Some((Token::Quoted(text), at)) => quoted_value(field, text, at)?,
            Some((_, at)) => return Err(Mistake::new(at, "a value belongs here", None)),
            None => return Err(self.missing("a value")),
        };
        Ok(Test { which, field, op, value })
    }
}

/// One is itself; those of the same kind within are taken apart, so that each condition has one form.
fn joined(
    mut parts: Vec<Expression>,
    join: fn(Vec<Expression>) -> Expression,
    apart: fn(Expression) -> Result<Vec<Expression>, Expression>,
) -> Expression {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let flat = parts.into_iter().flat_map(|part| apart(part).unwrap_or_else(|part| vec![part]));
    join(flat.collect())
}

fn field(name: &str, at: &Range<usize>) -> Result<&'static Field, Mistake> {
    if let Some(field) = Field::find(name) {
        return Ok(field);
    }
    let lower = name.to_lowercase().replace('_', "-");
    let meant = reactor_config::nearest(&lower, Field::names());
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are: {}", Field::names().collect::<Vec<_>>().join(", ")),
    };
    Err(Mistake::new(at.clone(), format!("there is no field `{name}`"), Some(hint)))
}

fn value(field: &Field, word: &str, at: Range<usize>) -> Result<Value, Mistake> {
    match field.kind {
        Kind::Flag => match word.to_ascii_lowercase().as_str() {
            "yes" | "true" => Ok(Value::Flag(true)),
            "no" | "false" => Ok(Value::Flag(false)),
            _ => Err(Mistake::new(at, format!("`{}` is `yes` or `no`", field.name), None)),
        },
        Kind::Number => number(word)
            .map(Value::Number)
            .ok_or_else(|| Mistake::new(at, format!("`{}` is a number, and `{word}` is none", field.name), None)),
        Kind::Text => Ok(Value::Word(word.to_owned())),
        Kind::Words(_) => {
            let words = field.words();
            if let Some(known) = words.iter().find(|known| known.eq_ignore_ascii_case(word)) {
                return Ok(Value::Word((*known).to_owned()));
            }
            let hint = match reactor_config::nearest(word, words.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it is one of: {}; another one stands in quotes", words.join(", ")),
            };
            Err(Mistake::new(at, format!("`{}` is never `{word}`", field.name), Some(hint)))
        }
    }
}

fn quoted_value(field: &Field, text: String, at: Range<usize>) -> Result<Value, Mistake> {
    match field.kind {
        Kind::Text | Kind::Words(_) => Ok(Value::Word(text)),
        Kind::Flag | Kind::Number => value(field, &text, at),
    }
}

/// Digits, with a point between them if need be, and a minus before them.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = digits.len() <= MAX_DIGITS && is_number(whole) && is_number(part);
    // A zero has no sign.
    fits.then(|| text.parse::<f64>().ok()).flatten().map(|number| if number == 0.0 { 0.0 } else { number })
}
