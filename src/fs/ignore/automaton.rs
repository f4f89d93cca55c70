//! Patterns with several stars, all matched at the same time by one nondeterministic automaton.
//!
//! Each position in a pattern is one bit. A shift and a few masks move all bits for one byte of a path.
//! So the work for any path and any patterns is the length of the path times a 64th of the patterns'
//! length.

use super::rule::{Rule, Verdict};
use super::token::{Sets, Token};

/// An automaton of a list of patterns.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    /// Whether tokens that match any bytes, such as [`Token::Deep`], stop at a line feed.
    stops_at_line_feed: bool,
    tokens: Vec<Token>,
    patterns: Vec<Pattern>,
    positions: usize,
    tables: Tables,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// End of its tokens. They start at the end of the previous pattern's tokens.
    end: u32,
    /// The position that means a match.
    accepting: u32,
    rule: Rule,
}

/// Masks of `words` words, with one bit for each position.
#[derive(Clone, Debug, Default)]
struct Tables {
    words: usize,
    /// For each byte, the positions that it leads to from the previous position.
    transitions: Vec<u64>,
    /// The positions that stay active: for a slash, for a line feed, for any other byte.
    loops: [Vec<u64>; 3],
    skips: Vec<Skips>,
    start: Vec<u64>,
    /// The positions that mean a match: of a file, of a directory.
    accepting: [Vec<u64>; 2],
}

const SLASH: usize = 0;
const LINE_FEED: usize = 1;
const OTHER: usize = 2;

impl Automaton {
    pub(super) fn new(stops_at_line_feed: bool) -> Self {
        Automaton {
            stops_at_line_feed,
            tokens: Vec::new(),
            patterns: Vec::new(),
            positions: 0,
            tables: Tables::default(),
        }
    }

    /// Adds a pattern, which must be later than all others. Call [`prepare`](Self::prepare) before the
    /// next match.
    pub(super) fn push(&mut self, tokens: &[Token], rule: Rule) {
        self.tokens.extend_from_slice(tokens);
        self.positions += 1 + tokens.iter().copied().map(width).sum::<usize>();
        let end = self.tokens.len() as u32;
        let accepting = (self.positions - 1) as u32;
        self.patterns.push(Pattern { end, accepting, rule });
    }

    /// Returns the number of positions of all patterns.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// Builds the tables from the patterns.
    pub(super) fn prepare(&mut self, sets: &Sets) {
        let mut tables = Tables::new(self.positions.div_ceil(64));
        let (mut token, mut at) = (0, 0);
        for pattern in &self.patterns {
            set_bit(&mut tables.start, at);
            for &next in &self.tokens[token..pattern.end as usize] {
                tables.add_token(next, at, sets, self.stops_at_line_feed);
                at += width(next);
            }
            if !pattern.rule.dirs_only {
                set_bit(&mut tables.accepting[0], at);
            }
            set_bit(&mut tables.accepting[1], at);
            token = pattern.end as usize;
            at += 1;
        }
        let mut skipped = 0;
        for (word, skips) in tables.start.iter_mut().zip(&tables.skips) {
            *word |= skipped;
            skipped = skips.follow(word);
        }
        self.tables = tables;
    }

    /// Returns the last pattern that matches `subject`.
    pub(super) fn last(&self, subject: &[u8], is_dir: bool) -> Option<Verdict> {
        if self.patterns.is_empty() {
            return None;
        }
        let mut buffer = StateBuffer::default();
        let mut run = self.start(&mut buffer);
        for &byte in subject {
            if !run.advance(byte) {
                return None;
            }
        }
        run.last(is_dir)
    }

    /// Starts a run.
    pub(super) fn start<'a>(&'a self, buffer: &'a mut StateBuffer) -> Run<'a> {
        let start = &self.tables.start;
        let state = match buffer.small.get_mut(..start.len()) {
            Some(state) => state,
            None => {
                buffer.large.resize(start.len(), 0);
                &mut buffer.large
            }
        };
        state.copy_from_slice(start);
        Run { automaton: self, state }
    }
}

/// Memory for the state of a run. A small state needs no allocation.
#[derive(Default)]
pub(super) struct StateBuffer {
    small: [u64; 8],
    large: Vec<u64>,
}

/// A match in progress, byte by byte.
pub(super) struct Run<'a> {
    automaton: &'a Automaton,
    state: &'a mut [u64],
}

impl Run<'_> {
    /// Reads one byte. Returns whether any pattern can still match.
    pub(super) fn advance(&mut self, byte: u8) -> bool {
        let tables = &self.automaton.tables;
        let transitions = &tables.transitions[usize::from(byte) * tables.words..][..tables.words];
        let loops = match byte {
            b'/' => &tables.loops[SLASH],
            b'\n' => &tables.loops[LINE_FEED],
            _ => &tables.loops[OTHER],
        };
        let (mut carry, mut skipped, mut any) = (0, 0, 0);
        let masks = transitions.iter().zip(loops).zip(&tables.skips);
        for (word, ((transitions, loops), skips)) in self.state.iter_mut().zip(masks) {
            let shifted = *word << 1 | carry;
            carry = *word >> 63;
            *word = shifted & transitions | *word & loops | skipped;
            skipped = skips.follow(word);
            any |= *word;
        }
        any != 0
    }

    /// Returns the last pattern that matches the bytes that were read.
    pub(super) fn last(&self, is_dir: bool) -> Option<Verdict> {
        let accepting = &self.automaton.tables.accepting[usize::from(is_dir)];
        let pairs = self.state.iter().zip(accepting).enumerate().rev();
        let mut accepted = pairs.map(|(i, (word, accepting))| (i, word & accepting));
        let (i, word) = accepted.find(|&(_, word)| word != 0)?;
        let position = i as u32 * 64 + 63 - word.leading_zeros();
        let patterns = &self.automaton.patterns;
        let found = patterns.binary_search_by_key(&position, |pattern| pattern.accepting);
        found.ok().map(|found| patterns[found].rule.verdict)
    }
}

impl Tables {
    fn new(words: usize) -> Self {
        let mask = || vec![0; words];
        Tables {
            words,
            transitions: vec![0; 256 * words],
            loops: [mask(), mask(), mask()],
            skips: vec![Skips::default(); words],
            start: mask(),
            accepting: [mask(), mask()],
        }
    }

    /// Adds a token that starts at the position `at`.
    fn add_token(&mut self, token: Token, at: usize, sets: &Sets, stops_at_line_feed: bool) {
        match token {
            Token::Byte(byte) => self.add_transition(byte, at + 1),
            Token::NotSlash | Token::Set(_) => (0..=u8::MAX)
                .filter(|&byte| token.matches(byte, sets))
                .for_each(|byte| self.add_transition(byte, at + 1)),
            Token::Star => {
                set_bit(&mut self.loops[OTHER], at);
                set_bit(&mut self.loops[LINE_FEED], at);
            }
            Token::Deep => self.add_loop(at, stops_at_line_feed),
            Token::Dirs => {
                self.add_skip(at, 1);
                self.add_skip(at, 2);
                self.add_loop(at + 1, stops_at_line_feed);
                self.add_transition(b'/', at + 2);
            }
            Token::SomeDirs => {
                self.add_skip(at, 2);
                (0..=u8::MAX)
                    .filter(|&byte| byte != b'\n' || !stops_at_line_feed)
                    .for_each(|byte| self.add_transition(byte, at + 1));
                self.add_loop(at + 1, stops_at_line_feed);
                self.add_transition(b'/', at + 2);
            }
            Token::MaybeSlash => {
                self.add_skip(at, 1);
                self.add_transition(b'/', at + 1);
            }
            Token::Beneath => {
                self.add_skip(at, 2);
                self.add_transition(b'/', at + 1);
                self.add_loop(at + 1, stops_at_line_feed);
                self.add_skip(at + 1, 1);
            }
        }
    }

    /// Lets `byte` lead to the position `to`.
    fn add_transition(&mut self, byte: u8, to: usize) {
        set_bit(&mut self.transitions[usize::from(byte) * self.words..], to);
    }

    /// Lets any byte keep the position `at`, except a line feed if `stops_at_line_feed`.
    fn add_loop(&mut self, at: usize, stops_at_line_feed: bool) {
        set_bit(&mut self.loops[OTHER], at);
        set_bit(&mut self.loops[SLASH], at);
        if !stops_at_line_feed {
            set_bit(&mut self.loops[LINE_FEED], at);
        }
    }

    /// Lets the position `at` lead `by` positions on without a byte: 1 or 2.
    fn add_skip(&mut self, at: usize, by: usize) {
        let Skips { one, two } = &mut self.skips[at / 64];
        *(if by == 1 { one } else { two }) |= 1 << (at % 64);
    }
}

/// The positions of a word from which the next position, or the second next, is reached without a byte.
#[derive(Clone, Copy, Debug, Default)]
struct Skips {
    one: u64,
    two: u64,
}

impl Skips {
    /// Adds to `word` the positions that are reached without a byte. Returns those that are reached in the
    /// next word.
    fn follow(self, word: &mut u64) -> u64 {
        while *word & (self.one | self.two) != 0 {
            let more = *word | (*word & self.one) << 1 | (*word & self.two) << 2;
            if more == *word {
                return (*word & self.one) >> 63 | (*word & self.two) >> 62;
            }
            *word = more;
        }
        0
    }
}

/// Returns the number of positions that a token takes after the one at which it starts.
fn width(token: Token) -> usize {
    match token {
        Token::Star | Token::Deep => 0,
        Token::Byte(_) | Token::NotSlash | Token::Set(_) | Token::MaybeSlash => 1,
        Token::Dirs | Token::SomeDirs | Token::Beneath => 2,
    }
}

fn set_bit(mask: &mut [u64], position: usize) {
    mask[position / 64] |= 1 << (position % 64);
}
