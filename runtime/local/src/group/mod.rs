//! Groups: who is in them and which partitions each member has.
//!
//! A member learns of changes in [`Coordinator::poll`], which its consumer calls at the start of every `next`. A partition moves in
//! three steps: its owner is told that it is revoked; the owner's following `poll` lets it go; the new owner's `poll` takes it. An
//! owner that does not come back within its `max.poll.interval.ms` while somebody waits loses everything.

mod assign;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fancy_regex::Regex;
use millrace_api::log::TopicPartition;
use millrace_api::{Error, Result};
use tokio::sync::Notify;

use crate::check::lock;
use crate::error::member_fenced;
use crate::topic::{Registry, Topic};
use assign::{Claim, assign};

/// What a member subscribes to.
pub(crate) enum Interest {
    /// These topics.
    Topics(BTreeSet<String>),
    /// Topics whose whole name matches.
    Pattern(Box<Regex>),
}

impl Interest {
    /// Compiles a pattern.
    pub(crate) fn pattern(pattern: &str) -> Result<Self> {
        let regex = Regex::new(&format!("^(?:{pattern})$"));
        regex.map(|regex| Self::Pattern(Box::new(regex))).map_err(|error| {
            Error::config(format!(
                "Invalid value {pattern} for configuration topics.regex: it is no regular expression"
            ))
            .because(error)
        })
    }

    fn includes(&self, topic: &str) -> bool {
        match self {
            Self::Topics(topics) => topics.contains(topic),
            // A pattern that backtracks without end matches nothing.
            Self::Pattern(regex) => regex.is_match(topic).unwrap_or(false),
        }
    }
}

/// Identifies a member towards the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberId {
    /// Group.
    pub(crate) group: String,
    /// Number; `None` for a consumer that reads assigned partitions without being a member.
    pub(crate) number: Option<u64>,
}

/// What a member has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These were taken away already.
    Lost(Vec<TopicPartition>),
    /// Finish these; the next poll lets them go.
    Revoked(Vec<TopicPartition>),
    /// These are its own from now on.
    Assigned(Vec<TopicPartition>),
    /// Nothing; poll again at the latest then.
    Idle(Option<Instant>),
}

/// All groups.
pub(crate) struct Coordinator {
    registry: Arc<Registry>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    groups: BTreeMap<String, Group>,
    next: u64,
}

#[derive(Default)]
struct Group {
    members: BTreeMap<u64, Member>,
}

struct Member {
    interest: Interest,
    max_poll: Duration,
    wake: Arc<Notify>,
    /// All partitions its subscription covers.
    wanted: BTreeSet<TopicPartition>,
    /// What it should have.
    target: BTreeSet<TopicPartition>,
    /// What it has.
    owned: BTreeSet<TopicPartition>,
    /// What it was told to finish; still its own.
    leaving: BTreeSet<TopicPartition>,
    /// What was taken from it and not reported yet.
    lost: BTreeSet<TopicPartition>,
    /// Since when it has something that it should give up.
    asked: Option<Instant>,
    /// It was away for too long; it takes part again after its next poll.
    away: bool,
}

impl Coordinator {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, inner: Mutex::default() }
    }

    /// Adds a member. `wake` is notified whenever it should poll.
    pub(crate) fn join(&self, group: &str, interest: Interest, max_poll: Duration, wake: Arc<Notify>) -> MemberId {
        let topics = self.registry.all();
        let mut inner = lock(&self.inner);
        inner.next += 1;
        let number = inner.next;
        let empty = BTreeSet::new;
        let member = Member {
            interest,
            max_poll,
            wake,
            wanted: empty(),
            target: empty(),
            owned: empty(),
            leaving: empty(),
            lost: empty(),
            asked: None,
            away: false,
        };
        let members = inner.groups.entry(group.to_owned()).or_default();
        members.members.insert(number, member);
        members.refresh(&topics);
        MemberId { group: group.to_owned(), number: Some(number) }
    }

    /// Removes a member; the others share what it had.
    pub(crate) fn leave(&self, id: &MemberId) {
        let Some(number) = id.number else { return };
        let mut inner = lock(&self.inner);
        let Some(group) = inner.groups.get_mut(&id.group) else { return };
        group.members.remove(&number);
        if group.members.is_empty() {
            inner.groups.remove(&id.group);
        } else {
            group.balance();
        }
    }

    /// What a member has to do now.
    pub(crate) fn poll(&self, id: &MemberId) -> Step {
        let mut inner = lock(&self.inner);
        let group = inner.groups.get_mut(&id.group);
        let (Some(group), Some(number)) = (group, id.number) else { return Step::Idle(None) };
        group.poll(number, Instant::now())
    }

    /// Topics came or went.
    pub(crate) fn topics_changed(&self) {
        let topics = self.registry.all();
        lock(&self.inner).groups.values_mut().for_each(|group| group.refresh(&topics));
    }

    /// Whether a member may still commit positions in these partitions. Called by the writer's thread, so that a commit is either
    /// before or after a change of hands.
    ///
    /// # Errors
    /// `Fenced` when they are not its own.
    pub(crate) fn check<'a>(
        &self,
        id: &MemberId,
        mut partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<()> {
        let inner = lock(&self.inner);
        let group = inner.groups.get(&id.group);
        let allowed = match (id.number, group) {
            (None, None) => true,
            (Some(number), Some(group)) => group
                .members
                .get(&number)
                .is_some_and(|member| !member.away && partitions.all(|partition| member.owned.contains(partition))),
            _ => false,
        };
        if allowed { Ok(()) } else { Err(member_fenced(&id.group)) }
    }

    /// Whether a group has members.
    pub(crate) fn is_live(&self, group: &str) -> bool {
        lock(&self.inner).groups.contains_key(group)
    }
}

impl Group {
    /// Works out anew what the subscriptions cover.
    fn refresh(&mut self, topics: &[Arc<Topic>]) {
        for member in self.members.values_mut() {
            let covered = topics.iter().filter(|topic| member.interest.includes(&topic.name));
            member.wanted =
                covered.flat_map(|topic| topic.partitions.iter().map(|partition| partition.name())).collect();
            // The topic is gone, and its positions with it: there is nothing left to commit.
            let gone: Vec<_> = member.owned.difference(&member.wanted).cloned().collect();
            for partition in gone {
                member.owned.remove(&partition);
                member.leaving.remove(&partition);
                member.lost.insert(partition);
            }
        }
        self.balance();
    }

    /// Shares the partitions anew and wakes those whom it concerns.
    fn balance(&mut self) {
        let present: Vec<u64> =
            self.members.iter().filter(|(_, member)| !member.away).map(|(number, _)| *number).collect();
        let claims: Vec<_> = present.iter().filter_map(|number| self.members.get(number)).map(Claim::of).collect();
        let shares = assign(&claims);
        for (number, share) in present.iter().zip(shares) {
            let Some(member) = self.members.get_mut(number) else { continue };
            member.target = share;
            if member.owned.is_subset(&member.target) {
                member.asked = None;
            } else {
                member.asked.get_or_insert_with(Instant::now);
            }
            if member.owned != member.target || !member.lost.is_empty() {
                member.wake.notify_one();
            }
        }
    }

    fn poll(&mut self, number: u64, now: Instant) -> Step {
        let Some(member) = self.members.get_mut(&number) else { return Step::Idle(None) };
        if member.is_settled() {
            return Step::Idle(None);
        }
        if !member.leaving.is_empty() {
            let left = std::mem::take(&mut member.leaving);
            member.owned.retain(|partition| !left.contains(partition));
            member.asked = None;
            self.balance();
        }
        if let Some(step) = self.returned(number) {
            return step;
        }
        let waits_until = self.evict(number, now);
        let taken: BTreeSet<_> = self
            .members
            .iter()
            .filter(|(other, _)| **other != number)
            .flat_map(|(_, other)| other.owned.iter().cloned())
            .collect();
        let Some(member) = self.members.get_mut(&number) else { return Step::Idle(None) };
        let revoked: Vec<_> = member.owned.difference(&member.target).cloned().collect();
        if !revoked.is_empty() {
            member.leaving = revoked.iter().cloned().collect();
            return Step::Revoked(revoked);
        }
        let free: Vec<_> =
            member.target.difference(&member.owned).filter(|partition| !taken.contains(*partition)).cloned().collect();
        if free.is_empty() {
            return Step::Idle(waits_until);
        }
        member.owned.extend(free.iter().cloned());
        Step::Assigned(free)
    }

    /// Reports to a member what it lost, and takes it back if it was away.
    fn returned(&mut self, number: u64) -> Option<Step> {
        let member = self.members.get_mut(&number)?;
        let lost = std::mem::take(&mut member.lost);
        if member.away {
            member.away = false;
            self.balance();
        }
        (!lost.is_empty()).then(|| Step::Lost(lost.into_iter().collect()))
    }

    /// Takes everything from members that keep what this one should have, when they have been asked for too long. Returns when
    /// the next of them has.
    fn evict(&mut self, number: u64, now: Instant) -> Option<Instant> {
        let target = self.members.get(&number)?.target.clone();
        let mut next = None::<Instant>;
        let mut evicted = false;
        for (_, other) in self.members.iter_mut().filter(|(other, _)| **other != number) {
            let Some(asked) = other.asked.filter(|_| !other.owned.is_disjoint(&target)) else { continue };
            let deadline = asked + other.max_poll;
            if now < deadline {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
                continue;
            }
            tracing::warn!(
                member = number,
                "a member of a group did not come back within max.poll.interval.ms; its partitions go to others"
            );
            other.lost.append(&mut other.owned);
            other.leaving.clear();
            (other.asked, other.away) = (None, true);
            evicted = true;
        }
        if evicted {
            self.balance();
        }
        next
    }
}

impl Member {
    /// Whether there is nothing to do. Asked before every batch of records, so it must be cheap.
    fn is_settled(&self) -> bool {
        !self.away && self.leaving.is_empty() && self.lost.is_empty() && self.owned == self.target
    }
}

impl<'a> Claim<'a> {
    fn of(member: &'a Member) -> Self {
        Self { wanted: &member.wanted, owned: &member.owned }
    }
}
