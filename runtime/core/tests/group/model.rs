//! A simulated group: members do what they are told, rebalances follow each other as the protocol wants it, and every step is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_core::group::{Assignment, ConnectorWork, Leader, Peer, Protocol, Round, Work, WorkerState};
use millrace_core::task::TaskId;

pub const DELAY: i32 = 300_000;

pub struct Member {
    pub id: String,
    pub url: String,
    pub runs: Option<BTreeSet<Arc<str>>>,
    pub held: Option<Assignment>,
    leader: Leader,
    completed: Option<i32>,
}

pub struct Group {
    pub now_ms: i64,
    pub members: Vec<Member>,
    pub work: Work,
    pub protocol: Protocol,
    /// Connectors and tasks that were stopped although they are configured and nobody else had them.
    pub moves: usize,
    pub rounds: usize,
    /// What members were last told to wait.
    pub delay_ms: i32,
    generation: i32,
    next: usize,
    delay: i32,
}

/// Who runs what: by unit (`c` or `c-0`), member ids.
pub type Owners = BTreeMap<String, Vec<String>>;

impl Group {
    pub fn new(delay: i32) -> Self {
        Self {
            now_ms: 1_000,
            members: Vec::new(),
            work: Work::default(),
            protocol: Protocol::Sessioned,
            moves: 0,
            rounds: 0,
            delay_ms: 0,
            generation: 0,
            next: 0,
            delay,
        }
    }

    /// A worker that runs nothing joins.
    pub fn join(&mut self, url: &str) -> String {
        self.next += 1;
        let id = format!("m{:03}", self.next);
        let leader = Leader::new(self.delay);
        self.members.push(Member {
            id: id.clone(),
            url: url.to_owned(),
            runs: None,
            held: None,
            leader,
            completed: None,
        });
        id
    }

    /// A worker is gone; its URL.
    pub fn crash(&mut self, at: usize) -> String {
        self.members.remove(at).url
    }

    pub fn connector(&mut self, name: &str, tasks: u32) -> &mut ConnectorWork {
        self.work.offset += 1;
        let work = self.work.connectors.entry(name.into()).or_default();
        work.tasks = tasks;
        work
    }

    pub fn remove(&mut self, name: &str) {
        self.work.offset += 1;
        self.work.connectors.remove(name);
    }

    pub fn owners(&self) -> Owners {
        let mut owners = Owners::new();
        for member in &self.members {
            for unit in member.held.iter().flat_map(units) {
                owners.entry(unit).or_default().push(member.id.clone());
            }
        }
        owners
    }

    pub fn configured(&self) -> BTreeSet<String> {
        let tasks = |(name, work): (&Arc<str>, &ConnectorWork)| {
            let name = name.to_string();
            (0..work.tasks).map(move |task| format!("{name}-{task}"))
        };
        let names = self.work.connectors.keys().map(ToString::to_string);
        names.chain(self.work.connectors.iter().flat_map(tasks)).collect()
    }

    /// Units of a member.
    pub fn held(&self, id: &str) -> BTreeSet<String> {
        self.members
            .iter()
            .filter(|member| member.id == id)
            .flat_map(|member| member.held.iter().flat_map(units))
            .collect()
    }

    /// One rebalance. Whether somebody has to join again at once. When it is not `synced`, the leader decides and nobody hears of it.
    pub fn round(&mut self, synced: bool) -> bool {
        if self.members.is_empty() {
            self.delay_ms = 0;
            return false;
        }
        self.rounds += 1;
        self.generation += 1;
        let peers = self.peers();
        let owners = self.owners();
        let leader = &mut self.members[0];
        let round = Round {
            generation: self.generation,
            completed: leader.completed,
            protocol: self.protocol,
            leader: &leader.id,
            peers: &peers,
            work: &self.work,
            now_ms: self.now_ms,
        };
        let decided = leader.leader.assign(&round);
        let left = leader.leader.delay_left(self.now_ms).unwrap_or(0);
        self.check(&decided, &owners);
        assert_eq!(
            decided.first().map(|(_, new)| u64::try_from(new.delay_ms).unwrap()),
            Some(left),
            "the leader and its followers agree"
        );
        if !synced {
            return true;
        }
        let mut again = false;
        for (member, (_, new)) in self.members.iter_mut().zip(decided) {
            again |= new.revokes();
            self.delay_ms = new.delay_ms;
            member.held = Some(new.after(member.held.as_ref()));
            member.completed = Some(self.generation);
        }
        again
    }

    fn peers(&self) -> Vec<Peer> {
        let state = |member: &Member| WorkerState {
            url: member.url.clone(),
            offset: self.work.offset,
            assignment: member.held.clone(),
        };
        let through_bytes = |member: &Member| WorkerState::decode(&state(member).encode(self.protocol)).unwrap();
        let peer = |member: &Member| Peer {
            member: member.id.clone(),
            state: through_bytes(member),
            runs: member.runs.clone(),
        };
        self.members.iter().map(peer).collect()
    }

    fn check(&mut self, decided: &[(String, Assignment)], owners: &Owners) {
        let configured = self.configured();
        let mut started = BTreeSet::new();
        for (member, new) in decided {
            for unit in units(new) {
                assert!(!owners.contains_key(&unit), "{unit} is started on {member} while {:?} runs it", owners[&unit]);
                assert!(configured.contains(&unit), "{unit} is started and does not exist");
                assert!(started.insert(unit.clone()), "{unit} is started twice");
            }
            let held = self.held(member);
            for unit in revoked(new) {
                assert!(held.contains(&unit), "{member} is to stop {unit}, which it does not run");
                if configured.contains(&unit) && owners[&unit].len() == 1 {
                    self.moves += 1;
                }
            }
        }
    }

    /// Rebalances until nobody has to join again; time passes only when `wait`ing for the leader's delays.
    pub fn settle(&mut self, wait: bool) {
        for _ in 0..12 {
            let again = self.round(true);
            if !again && (self.delay_ms == 0 || !wait) {
                return;
            }
            if !again {
                self.now_ms += i64::from(self.delay_ms);
            }
        }
        panic!("the group does not settle");
    }

    /// All work runs once, nothing else does, and every worker has as much of it as the others.
    pub fn assert_settled(&self) {
        let owners = self.owners();
        assert!(owners.values().all(|owners| owners.len() == 1), "two owners: {owners:?}");
        assert_eq!(
            owners.keys().cloned().collect::<BTreeSet<_>>(),
            self.configured(),
            "what runs is what is configured"
        );
        let connectors = self.members.iter().map(|member| member.held.as_ref().map_or(0, |held| held.connectors.len()));
        assert_even(&connectors.collect::<Vec<_>>(), "connectors");
        let tasks = self.members.iter().map(|member| member.held.as_ref().map_or(0, |held| held.tasks.len()));
        assert_even(&tasks.collect::<Vec<_>>(), "tasks");
    }
}

fn assert_even(counts: &[usize], of: &str) {
    let most = counts.iter().max().unwrap();
    let least = counts.iter().min().unwrap();
    assert!(most - least <= 1, "{of} are not even: {counts:?}");
}

fn names(connectors: &BTreeSet<Arc<str>>, tasks: &BTreeSet<TaskId>) -> Vec<String> {
    connectors.iter().map(ToString::to_string).chain(tasks.iter().map(ToString::to_string)).collect()
}

pub fn units(of: &Assignment) -> Vec<String> {
    names(&of.connectors, &of.tasks)
}

fn revoked(of: &Assignment) -> Vec<String> {
    names(&of.revoked_connectors, &of.revoked_tasks)
}
