//! Patterns with one star at most: what is before it and what is behind it have a fixed length, so
//! there is one place where each can fit.

use super::step::{Sets, Step, Verdict};

/// Such patterns, in the order of the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    steps: Vec<Step>,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// Where its head begins in the steps; the tail follows, without the star.
    start: u32,
    head: u16,
    tail: u16,
    slashes: u16,
    middle: Middle,
    dirs_only: bool,
    verdict: Verdict,
}

/// What may be between head and tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    Nothing,
    WithinName,
    Anything,
}

impl Ends {
    /// Whether a pattern of these steps can be kept here.
    pub(super) fn can_hold(steps: &[Step]) -> bool {
        let mut others = steps.iter().filter(|step| !step.is_one_byte());
        matches!(others.next(), None | Some(Step::Star | Step::Deep)) && others.next().is_none()
    }

    /// Adds a pattern that can be kept here. It has at most as many steps as a path has bytes.
    pub(super) fn push(&mut self, steps: &[Step], (dirs_only, verdict): (bool, Verdict)) {
        let star = steps.iter().position(|step| !step.is_one_byte());
        let (middle, head, tail) = match star {
            None => (Middle::Nothing, steps, &[][..]),
            Some(at) if steps[at] == Step::Star => {
                (Middle::WithinName, &steps[..at], &steps[at + 1..])
            }
            Some(at) => (Middle::Anything, &steps[..at], &steps[at + 1..]),
        };
        self.patterns.push(Pattern {
            start: self.steps.len() as u32,
            head: head.len() as u16,
            tail: tail.len() as u16,
            slashes: steps.iter().filter(|&&step| step == Step::Byte(b'/')).count() as u16,
            middle,
            dirs_only,
            verdict,
        });
        self.steps.extend_from_slice(head);
        self.steps.extend_from_slice(tail);
    }

    /// The last pattern that matches `subject`, which has so many slashes. Those before `found` are
    /// not looked at.
    pub(super) fn last(
        &self,
        subject: &[u8],
        slashes: usize,
        is_dir: bool,
        sets: &Sets,
        found: Option<Verdict>,
    ) -> Option<Verdict> {
        let later = self.patterns.iter().rev().take_while(|p| Some(p.verdict) > found);
        let mut later = later.filter(|pattern| is_dir || !pattern.dirs_only);
        let last = later.find(|pattern| self.matches(pattern, subject, slashes, sets));
        last.map(|pattern| pattern.verdict).or(found)
    }

    fn matches(&self, pattern: &Pattern, subject: &[u8], slashes: usize, sets: &Sets) -> bool {
        let (head, tail) = (usize::from(pattern.head), usize::from(pattern.tail));
        let Some(middle) = subject.len().checked_sub(head + tail) else {
            return false;
        };
        let may_be = match pattern.middle {
            Middle::Nothing => middle == 0,
            // No slash is left for the middle.
            Middle::WithinName => usize::from(pattern.slashes) == slashes,
            Middle::Anything => true,
        };
        if !may_be {
            return false;
        }
        let (head, tail) = self.steps[pattern.start as usize..][..head + tail].split_at(head);
        let fit = |(step, byte): (&Step, &u8)| step.fits(*byte, sets);
        tail.iter().rev().zip(subject.iter().rev()).all(fit) && head.iter().zip(subject).all(fit)
    }
}
