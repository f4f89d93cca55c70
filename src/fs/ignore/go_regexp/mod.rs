//! Go's regular expressions, rewritten for the `regex` crate.
//!
//! Every character and class is written as its code points, so that no part of it can have another
//! meaning in the syntax of the crate. Only whether the expression matches is preserved: groups do not
//! capture. `(?` and lazy repetition are not handled. They cannot occur, since the rewriting of patterns
//! leaves a `?` only right after a backslash.

mod class;
mod error;
mod input;

use class::Class;
pub(super) use error::Untranslatable;
use input::{Input, MAX_REPEAT};

/// Rewrites an expression as Go's `regexp.Compile` reads it.
pub(super) fn translate(expression: &str) -> Result<String, Untranslatable> {
    let mut parser = Parser {
        input: Input(expression),
        open: Vec::new(),
        group: Group::default(),
        repeatable: true,
    };
    while let Some(next) = parser.input.0.chars().next() {
        parser.read(next)?;
    }
    if !parser.open.is_empty() {
        return Err(Untranslatable::Invalid);
    }
    Ok(parser.group.close().text)
}

/// The deepest nesting. Both engines have a limit of this kind.
const MAX_DEPTH: u32 = 100;

struct Parser<'a> {
    input: Input<'a>,
    /// The groups that contain the current group.
    open: Vec<Group>,
    group: Group,
    /// Whether a repetition may follow. It may not directly follow another one.
    repeatable: bool,
}

#[derive(Default)]
struct Group {
    branches: Vec<Piece>,
    branch: Vec<Piece>,
}

/// A translated part of the expression that a repetition can apply to.
struct Piece {
    text: String,
    depth: u32,
    /// The product of the nested repetition counts; 0 if there is none.
    repeat: u32,
}

impl Parser<'_> {
    fn read(&mut self, next: char) -> Result<(), Untranslatable> {
        let was_repeatable = std::mem::replace(&mut self.repeatable, true);
        if next == '\\' {
            return self.escape();
        }
        if next == '{' {
            return match self.input.counts()? {
                Some((min, max)) => self.repeat(was_repeatable, min, max),
                None => {
                    self.input.skip('{');
                    self.push(Class::one('{'.into()).to_regex());
                    Ok(())
                }
            };
        }
        self.input.skip(next);
        match next {
            '(' => self.open.push(std::mem::take(&mut self.group)),
            ')' => {
                let outer = self.open.pop().ok_or(Untranslatable::Invalid)?;
                let piece = std::mem::replace(&mut self.group, outer).close();
                self.group.branch.push(piece.nested()?);
            }
            '|' => self.group.end_branch(),
            '^' => self.push(r"\A".into()),
            '$' => self.push(r"\z".into()),
            '.' => self.push(Class::one('\n'.into()).negated().to_regex()),
            '*' => return self.repeat(was_repeatable, 0, None),
            '?' => return self.repeat(was_repeatable, 0, Some(1)),
            '+' => return self.repeat(was_repeatable, 1, None),
            '[' => {
                let class = class::parse(&mut self.input)?;
                self.push(class.to_regex());
            }
            _ => self.push(Class::one(next.into()).to_regex()),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Untranslatable> {
        let text = match self.input.0.as_bytes().get(1) {
            Some(b'A') => r"\A",
            Some(b'z') => r"\z",
            Some(b'b') => r"(?-u:\b)",
            Some(b'B') => r"(?-u:\B)",
            Some(b'Q') => return self.quotation(),
            _ => {
                let class = match class::perl(&mut self.input)? {
                    Some(class) => class,
                    None => Class::one(self.input.escaped()?),
                };
                self.push(class.to_regex());
                return Ok(());
            }
        };
        self.input.0 = &self.input.0[2..];
        self.push(text.into());
        Ok(())
    }

    fn quotation(&mut self) -> Result<(), Untranslatable> {
        let quoted = &self.input.0[2..];
        let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        for character in literal.chars() {
            self.push(Class::one(character.into()).to_regex());
        }
        self.input.0 = rest;
        Ok(())
    }

    fn repeat(&mut self, allowed: bool, min: u32, max: Option<u32>) -> Result<(), Untranslatable> {
        self.repeatable = false;
        let piece = self.group.branch.pop().filter(|_| allowed);
        let piece = piece.ok_or(Untranslatable::Invalid)?.repeated(min, max)?;
        self.group.branch.push(piece);
        Ok(())
    }

    fn push(&mut self, text: String) {
        self.group.branch.push(Piece { text, depth: 0, repeat: 0 });
    }
}

impl Group {
    fn end_branch(&mut self) {
        let branch = Piece::join(&self.branch, "");
        self.branches.push(branch);
        self.branch.clear();
    }

    fn close(mut self) -> Piece {
        self.end_branch();
        let mut piece = Piece::join(&self.branches, "|");
        piece.text = format!("(?:{})", piece.text);
        piece
    }
}

impl Piece {
    fn join(pieces: &[Self], separator: &str) -> Self {
        let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        Self {
            text: texts.join(separator),
            depth: pieces.iter().map(|piece| piece.depth).max().unwrap_or(0),
            repeat: pieces.iter().map(|piece| piece.repeat).max().unwrap_or(0),
        }
    }

    fn nested(mut self) -> Result<Self, Untranslatable> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Untranslatable::TooLarge);
        }
        Ok(self)
    }

    fn repeated(self, min: u32, max: Option<u32>) -> Result<Self, Untranslatable> {
        let mut piece = self.nested()?;
        piece.repeat = match max.unwrap_or(min) {
            0 if max == Some(0) => 0,
            0 | 1 if max.is_none() => piece.repeat,
            count => count.saturating_mul(piece.repeat.max(1)),
        };
        if piece.repeat > MAX_REPEAT {
            return Err(Untranslatable::Invalid);
        }
        let bounds = match max {
            Some(max) => format!("{{{min},{max}}}"),
            None => format!("{{{min},}}"),
        };
        piece.text = format!("(?:{}){bounds}", piece.text);
        Ok(piece)
    }
}
