//! Matching by backtracking, in the order in which Java tries.

use super::class::{line_terminator, word};
use super::{Assert, Greed, Groups, Node, Pattern, TooSlow};

/// Steps after which a match is given up; real patterns on topic names take a few hundred.
const MAX_STEPS: u32 = 2_000_000;

/// The match that starts at `start`; with `whole` it must end at the end of the text.
pub(super) fn at(pattern: &Pattern, text: &[char], start: usize, whole: bool) -> Result<Option<Groups>, TooSlow> {
    let mut run = Run { text, groups: vec![None; pattern.groups + 1], steps: 0 };
    let mut end = None;
    let matched = run.node(&pattern.root, start, &mut |run, at| {
        let ends = !whole || at == run.text.len();
        if ends {
            end = Some(at);
        }
        ends
    });
    if run.steps > MAX_STEPS {
        return Err(TooSlow);
    }
    let Some(end) = end.filter(|_| matched) else { return Ok(None) };
    if let Some(all) = run.groups.first_mut() {
        *all = Some((start, end));
    }
    Ok(Some(run.groups))
}

struct Run<'t> {
    text: &'t [char],
    groups: Groups,
    steps: u32,
}

/// What comes after a node; it tells whether the rest matched.
type Next<'n, 't> = &'n mut dyn FnMut(&mut Run<'t>, usize) -> bool;

impl<'t> Run<'t> {
    fn node(&mut self, node: &Node, at: usize, next: Next<'_, 't>) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return false;
        }
        match node {
            Node::Empty => next(self, at),
            Node::Char { c, fold } => match self.text.get(at) {
                Some(found) if found == c || (*fold && found.eq_ignore_ascii_case(c)) => next(self, at + 1),
                _ => false,
            },
            Node::Set { set, fold } => match self.text.get(at) {
                Some(found) if set.has(*found, *fold) => next(self, at + 1),
                _ => false,
            },
            Node::Concat(nodes) => self.concat(nodes, at, next),
            Node::Alternate(nodes) => nodes.iter().any(|node| self.node(node, at, next)),
            Node::Group(node, group) => self.group(node, *group, at, next),
            Node::Atomic(node) => match self.end_of(node, at) {
                Some(end) => next(self, end),
                None => false,
            },
            Node::Repeat { node, min, max, greed: Greed::Possessive } => {
                let mut end = at;
                let matched = self.repeat((node, *min, *max, Greed::Greedy), 0, at, &mut |_, at| {
                    end = at;
                    true
                });
                matched && next(self, end)
            }
            Node::Repeat { node, min, max, greed } => self.repeat((node, *min, *max, *greed), 0, at, next),
            Node::Look { node, behind, negate } => {
                let before = self.groups.clone();
                let found = if *behind {
                    (0..=at).rev().any(|start| self.node(node, start, &mut |_, end| end == at))
                } else {
                    self.end_of(node, at).is_some()
                };
                if *negate || !found {
                    self.groups = before;
                }
                found != *negate && next(self, at)
            }
            Node::Back { group, fold } => self.back(*group, *fold, at, next),
            Node::Assert(assert) => self.holds(*assert, at) && next(self, at),
        }
    }

    fn concat(&mut self, nodes: &[Node], at: usize, next: Next<'_, 't>) -> bool {
        match nodes {
            [] => next(self, at),
            [last] => self.node(last, at, next),
            [first, rest @ ..] => self.node(first, at, &mut |run, at| run.concat(rest, at, next)),
        }
    }

    fn group(&mut self, node: &Node, group: usize, at: usize, next: Next<'_, 't>) -> bool {
        self.node(node, at, &mut |run, end| {
            let before = run.groups.get_mut(group).and_then(|slot| slot.replace((at, end)));
            if next(run, end) {
                return true;
            }
            if let Some(slot) = run.groups.get_mut(group) {
                *slot = before;
            }
            false
        })
    }

    /// Where a node ends that is not entered again.
    fn end_of(&mut self, node: &Node, at: usize) -> Option<usize> {
        let mut end = at;
        let matched = self.node(node, at, &mut |_, at| {
            end = at;
            true
        });
        matched.then_some(end)
    }

    fn repeat(&mut self, what: (&Node, u32, u32, Greed), count: u32, at: usize, next: Next<'_, 't>) -> bool {
        let (node, min, max, greed) = what;
        if count >= min && greed == Greed::Reluctant && next(self, at) {
            return true;
        }
        let more = count < max
            // After an empty round another one would be empty too.
            && self.node(node, at, &mut |run, end| {
                if end == at { next(run, end) } else { run.repeat(what, count + 1, end, next) }
            });
        more || (count >= min && greed == Greed::Greedy && next(self, at))
    }

    fn back(&mut self, group: usize, fold: bool, at: usize, next: Next<'_, 't>) -> bool {
        let Some(Some((from, to))) = self.groups.get(group).copied() else { return false };
        let (Some(wanted), Some(found)) = (self.text.get(from..to), self.text.get(at..at + (to - from))) else {
            return false;
        };
        let same = wanted.iter().zip(found).all(|(a, b)| a == b || (fold && a.eq_ignore_ascii_case(b)));
        same && next(self, at + (to - from))
    }

    fn holds(&self, assert: Assert, at: usize) -> bool {
        let is = |at: Option<usize>, test: fn(char) -> bool| {
            at.and_then(|at| self.text.get(at)).is_some_and(|found| test(*found))
        };
        let (before, after) = (at.checked_sub(1), Some(at));
        match assert {
            Assert::Begin => at == 0,
            Assert::LineBegin => at == 0 || (is(before, line_terminator) && at < self.text.len()),
            Assert::VeryEnd => at == self.text.len(),
            Assert::End => {
                let rest = self.text.get(at..).unwrap_or_default();
                matches!(rest, [] | ['\r', '\n']) || matches!(rest, [last] if line_terminator(*last))
            }
            Assert::LineEnd => at == self.text.len() || is(after, line_terminator),
            Assert::Word => is(before, word) != is(after, word),
            Assert::NotWord => is(before, word) == is(after, word),
        }
    }
}
