//! Which member can run which connector, as far as the leader has learned it: in a group with Java workers, both have connectors that
//! the other has not. Who is not known is taken to have everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Machine;
use crate::group::Work;
use crate::plugins::answers_to;

struct Known {
    url: String,
    classes: BTreeSet<String>,
}

/// What is known of the members.
#[derive(Default)]
pub(super) struct Runs {
    known: BTreeMap<String, Known>,
    /// Members that took part in the last decision and were not known.
    unknown: BTreeSet<String>,
    /// The last decision would have been another one.
    news: bool,
}

impl Runs {
    pub(super) fn is_news(&self) -> bool {
        self.news
    }
}

impl Machine {
    /// A decision is made for these members with what is known now.
    pub(super) fn begin_decision<'a>(&mut self, members: impl Iterator<Item = &'a str>, leader: &str) {
        let members: BTreeSet<String> = members.filter(|member| *member != leader).map(str::to_owned).collect();
        self.runs.known.retain(|member, _| members.contains(member));
        self.runs.unknown = members.into_iter().filter(|member| !self.runs.known.contains_key(member)).collect();
        self.runs.news = false;
    }

    pub(super) fn learned(&mut self, member: &str, url: String, classes: Option<BTreeSet<String>>) {
        let Some(classes) = classes else { return };
        let late = self.runs.unknown.remove(member);
        self.runs.known.insert(member.to_owned(), Known { url, classes });
        let work = self.work();
        let all = work.connectors.values().filter_map(|connector| connector.class.as_ref());
        let lacks =
            self.runs_of(member, "", &work).is_some_and(|runs| all.into_iter().any(|class| !runs.contains(class)));
        self.runs.news |= late && lacks;
    }

    /// The classes of the work there is that a member can run, as configurations call them; `None` when it is not known. The leader
    /// is this worker.
    pub(super) fn runs_of(&self, member: &str, leader: &str, work: &Work) -> Option<BTreeSet<Arc<str>>> {
        let wanted = work.connectors.values().filter_map(|connector| connector.class.clone());
        let here = |class: &Arc<str>| self.catalogue.describe(class).is_some();
        if member == leader {
            return Some(wanted.filter(here).collect());
        }
        let known = &self.runs.known.get(member)?.classes;
        if *known == self.catalogue.classes() {
            // The same program, which also has names that are not listed.
            return Some(wanted.filter(here).collect());
        }
        Some(wanted.filter(|class| lists(known, class)).collect())
    }

    /// The URLs of other members that have a class, as far as this worker has led and knows them.
    #[must_use]
    pub fn others_with(&self, class: &str) -> Vec<String> {
        let known = self.runs.known.values().filter(|known| lists(&known.classes, class));
        known.map(|known| known.url.trim_end_matches('/').to_owned()).collect()
    }
}

fn lists(classes: &BTreeSet<String>, class: &str) -> bool {
    classes.iter().any(|known| answers_to(known, &[], "Connector", class))
}
