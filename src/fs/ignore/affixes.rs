//! Patterns with one star at most. The parts before and after the star have a fixed length, so they are
//! compared with the start and the end of a path.

use super::{
    rule::{Rule, Verdict},
    token::{Sets, Token},
};

/// Such patterns, in the order of the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Affixes {
    tokens: Vec<Token>,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// Start of its tokens: those of the prefix, then those of the suffix, without the star.
    start: u32,
    prefix_len: u16,
    suffix_len: u16,
    slashes: u16,
    middle: Middle,
    rule: Rule,
}

/// The bytes that may be between prefix and suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    Nothing,
    WithinName,
    Anything,
}

impl Affixes {
    /// Returns whether a pattern of these tokens can be kept here.
    pub(super) fn can_hold(tokens: &[Token]) -> bool {
        let mut others = tokens.iter().filter(|token| !token.is_one_byte());
        matches!(others.next(), None | Some(Token::Star | Token::Deep)) && others.next().is_none()
    }

    /// Adds a pattern that can be kept here. It must not have more tokens than a path has bytes.
    pub(super) fn push(&mut self, tokens: &[Token], rule: Rule) {
        let star = tokens.iter().position(|token| !token.is_one_byte());
        let (middle, prefix, suffix) = match star {
            None => (Middle::Nothing, tokens, &[][..]),
            Some(at) if tokens[at] == Token::Star => {
                (Middle::WithinName, &tokens[..at], &tokens[at + 1..])
            }
            Some(at) => (Middle::Anything, &tokens[..at], &tokens[at + 1..]),
        };
        self.patterns.push(Pattern {
            start: self.tokens.len() as u32,
            prefix_len: prefix.len() as u16,
            suffix_len: suffix.len() as u16,
            slashes: tokens.iter().filter(|&&token| token == Token::Byte(b'/')).count() as u16,
            middle,
            rule,
        });
        self.tokens.extend_from_slice(prefix);
        self.tokens.extend_from_slice(suffix);
    }

    /// Returns the later one of `found` and the last pattern that matches `subject`. `slashes` is the number
    /// of slashes in `subject`.
    pub(super) fn last(
        &self,
        subject: &[u8],
        slashes: usize,
        is_dir: bool,
        sets: &Sets,
        found: Option<Verdict>,
    ) -> Option<Verdict> {
        let later = self.patterns.iter().rev().take_while(|p| Some(p.rule.verdict) > found);
        let mut later = later.filter(|pattern| is_dir || !pattern.rule.dirs_only);
        let last = later.find(|pattern| self.matches(pattern, subject, slashes, sets));
        last.map(|pattern| pattern.rule.verdict).or(found)
    }

    fn matches(&self, pattern: &Pattern, subject: &[u8], slashes: usize, sets: &Sets) -> bool {
        let prefix_len = usize::from(pattern.prefix_len);
        let len = prefix_len + usize::from(pattern.suffix_len);
        let Some(middle_len) = subject.len().checked_sub(len) else {
            return false;
        };
        let is_middle_allowed = match pattern.middle {
            Middle::Nothing => middle_len == 0,
            // All slashes are in the prefix and the suffix.
            Middle::WithinName => usize::from(pattern.slashes) == slashes,
            Middle::Anything => true,
        };
        if !is_middle_allowed {
            return false;
        }
        let (prefix, suffix) = self.tokens[pattern.start as usize..][..len].split_at(prefix_len);
        let matches = |(token, byte): (&Token, &u8)| token.matches(*byte, sets);
        suffix.iter().rev().zip(subject.iter().rev()).all(matches)
            && prefix.iter().zip(subject).all(matches)
    }
}
