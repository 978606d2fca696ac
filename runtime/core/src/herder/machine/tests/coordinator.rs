//! Kafka's group coordinator, as far as members can tell.

use std::collections::{BTreeMap, BTreeSet};

use millrace_api::group::{MemberProtocol, Peer};

use super::{Event, Rng};

/// What the coordinator has told a worker, in order; delivered when the simulation says so.
pub(super) type Told = Event;

#[derive(Default)]
enum Stage {
    #[default]
    Stable,
    /// Everybody joins.
    Preparing(BTreeMap<String, Vec<MemberProtocol>>),
    /// The leader decides.
    Deciding { leader: String, protocol: String },
}

#[derive(Default)]
pub(super) struct Coordinator {
    members: BTreeSet<String>,
    pub(super) generation: i32,
    stage: Stage,
}

impl Coordinator {
    pub(super) fn knows(&self, member: &str) -> bool {
        self.members.contains(member)
    }

    /// A member comes or asks for a rebalance: everybody is asked to join.
    pub(super) fn rebalance(&mut self, member: &str, out: &mut Vec<(String, Told)>) {
        self.members.insert(member.to_owned());
        self.prepare(out);
    }

    fn prepare(&mut self, out: &mut Vec<(String, Told)>) {
        if let Stage::Preparing(_) = self.stage {
            // Those who have not answered have been asked already, except a new one.
        }
        self.stage = Stage::Preparing(BTreeMap::new());
        out.extend(self.members.iter().map(|member| (member.clone(), Event::Joining)));
    }

    /// The session of a member ends.
    pub(super) fn expire(&mut self, member: &str, out: &mut Vec<(String, Told)>) {
        if self.members.remove(member) && !self.members.is_empty() {
            self.prepare(out);
        }
    }

    pub(super) fn answered(
        &mut self,
        member: &str,
        protocols: Vec<MemberProtocol>,
        rng: &mut Rng,
        out: &mut Vec<(String, Told)>,
    ) {
        let Stage::Preparing(answers) = &mut self.stage else { return };
        if !self.members.contains(member) {
            return;
        }
        answers.insert(member.to_owned(), protocols);
        if answers.len() < self.members.len() {
            return;
        }
        let names = |protocols: &Vec<MemberProtocol>| protocols.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        let first = names(answers.values().next().unwrap());
        let protocol = first.into_iter().find(|name| answers.values().all(|p| names(p).contains(name))).unwrap();
        let leader = answers.keys().nth(rng.below(answers.len())).unwrap().clone();
        let peers = answers
            .iter()
            .map(|(member, protocols)| Peer {
                member: member.clone(),
                metadata: protocols.iter().find(|p| p.name == protocol).unwrap().metadata.clone(),
            })
            .collect();
        self.generation += 1;
        let told =
            Event::Elected { generation: self.generation, leader: leader.clone(), protocol: protocol.clone(), peers };
        self.stage = Stage::Deciding { leader: leader.clone(), protocol };
        out.push((leader, told));
    }

    pub(super) fn decided(&mut self, member: &str, assignments: &[(String, Vec<u8>)], out: &mut Vec<(String, Told)>) {
        let Stage::Deciding { leader, protocol } = &self.stage else { return };
        if leader != member {
            return;
        }
        for to in &self.members {
            let assignment = assignments.iter().find(|(name, _)| name == to).map(|(_, bytes)| bytes.clone());
            let told = Event::Joined {
                generation: self.generation,
                member: to.clone(),
                leader: leader.clone(),
                protocol: protocol.clone(),
                assignment: assignment.unwrap_or_default(),
            };
            out.push((to.clone(), told));
        }
        self.stage = Stage::Stable;
    }
}

impl Coordinator {
    /// The sessions of all but these end.
    pub(super) fn expire_others(&mut self, living: &[String], out: &mut Vec<(String, Told)>) {
        let before = self.members.len();
        self.members.retain(|member| living.contains(member));
        if self.members.len() < before && !self.members.is_empty() {
            self.prepare(out);
        }
    }
}
