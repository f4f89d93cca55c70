//! Patterns with several stars, all matched side by side.
//!
//! Each place in a pattern is one bit. A byte moves all the bits at once, by a shift and a few masks,
//! so a path costs its length times a 64th of the patterns' length, whatever it and they are.

use super::step::{Sets, Step, Verdict};

/// An automaton of all patterns that were pushed.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    /// Whether [`Step::Deep`] and the like stop at a line feed.
    stops_at_line_feed: bool,
    steps: Vec<Step>,
    patterns: Vec<Pattern>,
    positions: usize,
    tables: Tables,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// Where its steps end. They begin where those of the one before end.
    end: u32,
    /// The position at which it has matched.
    last: u32,
    dirs_only: bool,
    verdict: Verdict,
}

/// One bit for each position; the masks have `words` words each.
#[derive(Clone, Debug, Default)]
struct Tables {
    words: usize,
    /// For each byte, the positions that it leads to from the position before.
    moves: Vec<u64>,
    /// The positions that any byte keeps, a slash, and a line feed.
    stays: [Vec<u64>; 3],
    skips: Vec<Skips>,
    first: Vec<u64>,
    /// The positions that mean a match: of a file, of a directory.
    matched: [Vec<u64>; 2],
}

const ANY: usize = 0;
const SLASH: usize = 1;
const LINE_FEED: usize = 2;

impl Automaton {
    pub(super) fn new(stops_at_line_feed: bool) -> Self {
        Automaton {
            stops_at_line_feed,
            steps: Vec::new(),
            patterns: Vec::new(),
            positions: 0,
            tables: Tables::default(),
        }
    }

    /// Adds a pattern, later than all before; [`prepare`](Self::prepare) has to follow.
    pub(super) fn push(&mut self, steps: &[Step], (dirs_only, verdict): (bool, Verdict)) {
        self.steps.extend_from_slice(steps);
        self.positions += 1 + steps.iter().copied().map(width).sum::<usize>();
        let end = self.steps.len() as u32;
        let last = (self.positions - 1) as u32;
        self.patterns.push(Pattern { end, last, dirs_only, verdict });
    }

    /// How many positions all patterns have.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    pub(super) fn prepare(&mut self, sets: &Sets) {
        let mut tables = Tables::new(self.positions.div_ceil(64));
        let (mut step, mut at) = (0, 0);
        for pattern in &self.patterns {
            mark(&mut tables.first, at);
            for &next in &self.steps[step..pattern.end as usize] {
                tables.lay(next, at, sets, self.stops_at_line_feed);
                at += width(next);
            }
            if !pattern.dirs_only {
                mark(&mut tables.matched[0], at);
            }
            mark(&mut tables.matched[1], at);
            step = pattern.end as usize;
            at += 1;
        }
        let mut skipped = 0;
        for (word, skips) in tables.first.iter_mut().zip(&tables.skips) {
            *word |= skipped;
            skipped = skips.follow(word);
        }
        self.tables = tables;
    }

    /// The last pattern that matches `subject`.
    pub(super) fn last(&self, subject: &[u8], is_dir: bool) -> Option<Verdict> {
        if self.patterns.is_empty() {
            return None;
        }
        let mut space = Space::default();
        let mut run = self.start(&mut space);
        for &byte in subject {
            if !run.step(byte) {
                return None;
            }
        }
        run.last(is_dir)
    }

    /// A run that has seen no byte yet.
    pub(super) fn start<'a>(&'a self, space: &'a mut Space) -> Run<'a> {
        let first = &self.tables.first;
        let state = match space.small.get_mut(..first.len()) {
            Some(state) => state,
            None => {
                space.large.resize(first.len(), 0);
                &mut space.large
            }
        };
        state.copy_from_slice(first);
        Run { automaton: self, state }
    }
}

/// Where a run keeps its state.
#[derive(Default)]
pub(super) struct Space {
    small: [u64; 8],
    large: Vec<u64>,
}

/// A path that is matched byte by byte.
pub(super) struct Run<'a> {
    automaton: &'a Automaton,
    state: &'a mut [u64],
}

impl Run<'_> {
    /// Moves on by one byte. Returns whether any pattern can still match.
    pub(super) fn step(&mut self, byte: u8) -> bool {
        let tables = &self.automaton.tables;
        let moves = &tables.moves[usize::from(byte) * tables.words..][..tables.words];
        let stays = match byte {
            b'/' => &tables.stays[SLASH],
            b'\n' => &tables.stays[LINE_FEED],
            _ => &tables.stays[ANY],
        };
        let (mut carry, mut skipped, mut any) = (0, 0, 0);
        let masks = moves.iter().zip(stays).zip(&tables.skips);
        for (word, ((moves, stays), skips)) in self.state.iter_mut().zip(masks) {
            let shifted = *word << 1 | carry;
            carry = *word >> 63;
            *word = shifted & moves | *word & stays | skipped;
            skipped = skips.follow(word);
            any |= *word;
        }
        any != 0
    }

    /// The last pattern that matches what the run has seen.
    pub(super) fn last(&self, is_dir: bool) -> Option<Verdict> {
        let matched = &self.automaton.tables.matched[usize::from(is_dir)];
        let pairs = self.state.iter().zip(matched).enumerate().rev();
        let mut reached = pairs.map(|(i, (word, matched))| (i, word & matched));
        let (i, word) = reached.find(|&(_, word)| word != 0)?;
        let position = i as u32 * 64 + 63 - word.leading_zeros();
        let patterns = &self.automaton.patterns;
        let found = patterns.binary_search_by_key(&position, |pattern| pattern.last);
        found.ok().map(|found| patterns[found].verdict)
    }
}

impl Tables {
    fn new(words: usize) -> Self {
        let mask = || vec![0; words];
        Tables {
            words,
            moves: vec![0; 256 * words],
            stays: [mask(), mask(), mask()],
            skips: vec![Skips::default(); words],
            first: mask(),
            matched: [mask(), mask()],
        }
    }

    /// Enters a step that begins at the position `at`.
    fn lay(&mut self, step: Step, at: usize, sets: &Sets, stops_at_line_feed: bool) {
        match step {
            Step::Byte(byte) => self.lead(byte, at + 1),
            Step::NotSlash | Step::Set(_) => (0..=u8::MAX)
                .filter(|&byte| step.fits(byte, sets))
                .for_each(|byte| self.lead(byte, at + 1)),
            Step::Star => {
                mark(&mut self.stays[ANY], at);
                mark(&mut self.stays[LINE_FEED], at);
            }
            Step::Deep => self.stay(at, stops_at_line_feed),
            Step::Dirs => {
                self.skip_from(at, 1);
                self.skip_from(at, 2);
                self.stay(at + 1, stops_at_line_feed);
                self.lead(b'/', at + 2);
            }
            Step::SomeDirs => {
                self.skip_from(at, 2);
                (0..=u8::MAX)
                    .filter(|&byte| byte != b'\n' || !stops_at_line_feed)
                    .for_each(|byte| self.lead(byte, at + 1));
                self.stay(at + 1, stops_at_line_feed);
                self.lead(b'/', at + 2);
            }
            Step::MaybeSlash => {
                self.skip_from(at, 1);
                self.lead(b'/', at + 1);
            }
            Step::Beneath => {
                self.skip_from(at, 2);
                self.lead(b'/', at + 1);
                self.stay(at + 1, stops_at_line_feed);
                self.skip_from(at + 1, 1);
            }
        }
    }

    fn lead(&mut self, byte: u8, to: usize) {
        mark(&mut self.moves[usize::from(byte) * self.words..], to);
    }

    fn stay(&mut self, at: usize, stops_at_line_feed: bool) {
        mark(&mut self.stays[ANY], at);
        mark(&mut self.stays[SLASH], at);
        if !stops_at_line_feed {
            mark(&mut self.stays[LINE_FEED], at);
        }
    }

    fn skip_from(&mut self, at: usize, by: usize) {
        let Skips { one, two } = &mut self.skips[at / 64];
        *(if by == 1 { one } else { two }) |= 1 << (at % 64);
    }
}

/// The positions of a word from which the next one is reached without a byte, and the one after that.
#[derive(Clone, Copy, Debug, Default)]
struct Skips {
    one: u64,
    two: u64,
}

impl Skips {
    /// Adds to `word` what is reached without a byte. Returns what is reached in the word above.
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

/// How many positions a step takes behind that at which it begins.
fn width(step: Step) -> usize {
    match step {
        Step::Star | Step::Deep => 0,
        Step::Byte(_) | Step::NotSlash | Step::Set(_) | Step::MaybeSlash => 1,
        Step::Dirs | Step::SomeDirs | Step::Beneath => 2,
    }
}

fn mark(mask: &mut [u64], position: usize) {
    mask[position / 64] |= 1 << (position % 64);
}
