//! A member's life: join, sync, heartbeats, and again. Requests are made as Kafka Connect's `WorkerCoordinator` makes them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::error::Result;
use millrace_api::group::{GroupEvent, GroupOptions, MemberProtocol};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::codes::{INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED, NONE, REBALANCE_IN_PROGRESS, Setback, refusal};
use super::connection::Fault;
use super::link::{Link, chance};
use super::member::Wishes;
use super::messages::{Heartbeat, JoinGroup, Joined, LeaveGroup, Request, SyncGroup};
use super::pulse::Pulse;
use super::settings::Settings;

/// More than the rebalance timeout until a join is given up, as in Kafka.
const JOIN_LAPSE: Duration = Duration::from_secs(5);

/// How long leaving may take in all. A group that cannot be told notices after the session timeout.
pub(super) const LEAVING: Duration = Duration::from_secs(5);

/// Reasons are cut to this many characters, as Kafka does.
const LONGEST_REASON: usize = 255;

/// No generation.
const OUTSIDE: i32 = -1;

/// A member at work.
pub(super) struct Task {
    options: GroupOptions,
    settings: Settings,
    link: Link,
    pulse: Pulse,
    wishes: Arc<Wishes>,
    /// Empty until the coordinator has given one.
    member: String,
    generation: i32,
    /// Why it joins, for the coordinator's log.
    reason: String,
    /// Setbacks since the last success.
    setbacks: u32,
    next_heartbeat: Instant,
}

impl Task {
    pub(super) fn new(
        options: GroupOptions,
        settings: Settings,
        events: mpsc::UnboundedSender<Result<GroupEvent>>,
        wishes: Arc<Wishes>,
    ) -> Self {
        let session = Duration::from_millis(u64::try_from(options.session_timeout_ms).unwrap_or(0));
        Self {
            link: Link::new(settings.clone(), &options.group),
            pulse: Pulse::new(events, Arc::clone(&wishes), session),
            options,
            settings,
            wishes,
            member: String::new(),
            generation: OUTSIDE,
            reason: String::new(),
            setbacks: 0,
            next_heartbeat: Instant::now(),
        }
    }

    /// Lives until the holder wants to leave, and leaves. Ends at once when nobody holds the member any more.
    pub(super) async fn run(mut self) {
        let wishes = Arc::clone(&self.wishes);
        let leaves = tokio::select! {
            () = wishes.leave.notified() => true,
            () = self.live() => false,
        };
        if leaves {
            self.leave("the worker is stopping").await;
        }
    }

    async fn live(&mut self) {
        loop {
            let setback = match self.turn().await {
                Ok(never) => match never {},
                Err(setback) => setback,
            };
            match setback {
                Setback::Rejoin(why) => self.reason = why,
                Setback::Later(why) => {
                    tracing::info!(group = self.options.group, why, "joining the group again");
                    self.wait_as_after(&why).await;
                }
                Setback::Moved(why) => {
                    self.link.forget(&why);
                    self.wait_as_after(&why).await;
                }
                Setback::Lost { reason, id_too } => self.lose(reason, id_too).await,
                Setback::Fatal(error) => {
                    self.pulse.end(error);
                    // It can still leave.
                    std::future::pending::<()>().await;
                }
                Setback::Gone => return,
            }
        }
    }

    /// From joining to the end of membership in one generation.
    async fn turn(&mut self) -> Result<Infallible, Setback> {
        let protocols = self.offered().await?;
        let joined = self.join(&protocols).await?;
        let assignments = self.assigned(&joined).await?;
        let assignment = self.sync(&joined, &assignments).await?;
        tracing::info!(
            group = self.options.group,
            generation = joined.generation,
            member = joined.member,
            "in the group"
        );
        (self.reason, self.setbacks) = (String::new(), 0);
        self.pulse.begin_work();
        self.pulse.emit(GroupEvent::Joined {
            generation: joined.generation,
            member: joined.member,
            leader: joined.leader,
            protocol: joined.protocol,
            assignment,
        })?;
        self.stay().await
    }

    /// Asks the holder for its protocols, once there is a coordinator to tell.
    async fn offered(&mut self) -> Result<Vec<MemberProtocol>, Setback> {
        loop {
            self.pulse.watch(self.link.ready()).await?.map_err(Setback::Fatal)?;
            // Whoever wishes for a rebalance from now on may have told less in its answer, and gets another.
            self.wishes.granted();
            let (reply, answer) = oneshot::channel();
            self.pulse.emit(GroupEvent::Joining { reply })?;
            match self.beating_until(answer).await? {
                Some(protocols) if !protocols.is_empty() => return Ok(protocols),
                _ => self.wait().await,
            }
        }
    }

    async fn join(&mut self, protocols: &[MemberProtocol]) -> Result<Joined, Setback> {
        let name = JoinGroup::API.name;
        let patience = self.settings.request_timeout.max(self.rebalance_timeout() + JOIN_LAPSE);
        loop {
            self.pulse.watch(self.link.ready()).await?.map_err(Setback::Fatal)?;
            let reason: String = self.reason.chars().take(LONGEST_REASON).collect();
            let request = JoinGroup {
                group: &self.options.group,
                session_timeout_ms: self.options.session_timeout_ms,
                rebalance_timeout_ms: self.options.rebalance_timeout_ms,
                member: &self.member,
                protocol_type: &self.options.protocol_type,
                protocols,
                reason: &reason,
            };
            // A coordinator that keeps a member waiting for the others counts it as alive.
            let joined = self.link.coordinator()?.call(&request, patience).await?;
            match joined.code {
                NONE => {
                    self.heard(Instant::now());
                    self.member.clone_from(&joined.member);
                    self.generation = joined.generation;
                    let foreign = joined.protocol_type.as_ref().is_some_and(|kind| *kind != self.options.protocol_type);
                    if foreign || !protocols.iter().any(|protocol| protocol.name == joined.protocol) {
                        return Err(self.fatal(INCONSISTENT_GROUP_PROTOCOL, name));
                    }
                    return Ok(joined);
                }
                // The first join of a member only gets it an id (KIP-394).
                MEMBER_ID_REQUIRED if self.member != joined.member => {
                    self.reason = format!("need to re-join with the given member-id: {}", joined.member);
                    self.member = joined.member;
                }
                REBALANCE_IN_PROGRESS => {
                    return Err(Setback::Later("the coordinator could not finish a rebalance".to_owned()));
                }
                code => return Err(Setback::of(code, name, &self.options.group)),
            }
        }
    }

    /// What the leader's holder says each member gets; nothing of others.
    async fn assigned(&mut self, joined: &Joined) -> Result<Vec<(String, Vec<u8>)>, Setback> {
        if joined.leader != joined.member {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.pulse.emit(GroupEvent::Elected {
            generation: joined.generation,
            leader: joined.member.clone(),
            protocol: joined.protocol.clone(),
            peers: joined.peers.clone(),
            reply,
        })?;
        match self.beating_until(answer).await? {
            Some(assignments) => Ok(assignments),
            None => Err(Setback::Later("the leader has not said what each member gets".to_owned())),
        }
    }

    async fn sync(&mut self, joined: &Joined, assignments: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Setback> {
        let name = SyncGroup::API.name;
        let request = SyncGroup {
            group: &self.options.group,
            generation: joined.generation,
            member: &joined.member,
            protocol_type: &self.options.protocol_type,
            protocol: &joined.protocol,
            assignments,
        };
        let synced = self.link.coordinator()?.call(&request, self.settings.request_timeout).await?;
        if synced.code != NONE {
            return Err(Setback::of(synced.code, name, &self.options.group));
        }
        self.heard(Instant::now());
        let other = |theirs: Option<String>, ours: &str| theirs.is_some_and(|theirs| theirs != ours);
        if other(synced.protocol_type, &self.options.protocol_type) || other(synced.protocol, &joined.protocol) {
            return Err(self.fatal(INCONSISTENT_GROUP_PROTOCOL, name));
        }
        Ok(synced.assignment)
    }

    /// Heartbeats until the group or the holder wants a rebalance.
    async fn stay(&mut self) -> Result<Infallible, Setback> {
        let wishes = Arc::clone(&self.wishes);
        loop {
            if let Some(reason) = wishes.rejoin() {
                return Err(Setback::Rejoin(reason));
            }
            // A holder that is stuck must not keep its work from others. As with Kafka's poll timeout.
            if wishes.behind() > self.rebalance_timeout() {
                self.leave("the worker has not listened to its group for the rebalance timeout").await;
                let reason = "this worker did not take an event for the rebalance timeout and left".to_owned();
                return Err(Setback::Lost { reason, id_too: true });
            }
            tokio::select! {
                biased;
                () = wishes.changed.notified() => {}
                () = self.pulse.gone() => return Err(Setback::Gone),
                () = sleep_until(self.next_heartbeat) => self.beat().await?,
            }
        }
    }

    /// Waits for the holder's answer, with heartbeats if it is a member. That the group is rebalancing is no news then. `None` when
    /// the holder drops the question.
    async fn beating_until<T>(&mut self, mut answer: oneshot::Receiver<T>) -> Result<Option<T>, Setback> {
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => return Ok(answered.ok()),
                () = self.pulse.gone() => return Err(Setback::Gone),
                () = sleep_until(self.next_heartbeat), if self.generation != OUTSIDE => match self.beat().await {
                    Ok(()) | Err(Setback::Rejoin(_)) => {}
                    Err(setback) => return Err(setback),
                },
            }
        }
    }

    /// Says that the member lives, to whoever is the coordinator, for as long as it takes.
    async fn beat(&mut self) -> Result<(), Setback> {
        loop {
            self.pulse.watch(self.link.ready()).await?.map_err(Setback::Fatal)?;
            let sent = Instant::now();
            let request = Heartbeat { group: &self.options.group, generation: self.generation, member: &self.member };
            let patience = self.settings.request_timeout.min(self.pulse.session() / 2);
            let coordinator = self.link.coordinator()?;
            let setback = match self.pulse.watch(coordinator.call(&request, patience)).await? {
                Ok(code @ (NONE | REBALANCE_IN_PROGRESS)) => {
                    self.heard(sent);
                    if self.pulse.is_back() {
                        return Err(Setback::Rejoin(
                            "the coordinator was unreachable for the session timeout".to_owned(),
                        ));
                    }
                    if code == NONE {
                        return Ok(());
                    }
                    Setback::of(code, Heartbeat::API.name, &self.options.group)
                }
                Ok(code) => Setback::of(code, Heartbeat::API.name, &self.options.group),
                Err(fault) => fault.into(),
            };
            match setback {
                Setback::Moved(why) => self.link.forget(&why),
                Setback::Later(why) => tracing::debug!(group = self.options.group, why, "heartbeat again"),
                other => return Err(other),
            }
            self.wait().await;
        }
    }

    /// The coordinator has just heard from the member; more exactly, not before `since`.
    fn heard(&mut self, since: Instant) {
        self.setbacks = 0;
        self.pulse.heard(since);
        self.next_heartbeat = since + Duration::from_millis(self.options.heartbeat_interval_ms);
    }

    /// The member is in the group no more.
    async fn lose(&mut self, reason: String, id_too: bool) {
        let was_member = self.generation != OUTSIDE;
        self.generation = OUTSIDE;
        if id_too {
            self.member.clear();
        }
        self.reason.clone_from(&reason);
        if !was_member {
            self.wait_as_after(&reason).await;
            return;
        }
        tracing::warn!(group = self.options.group, reason, "out of the group; joining it anew");
        self.pulse.end_work();
        // When nobody listens, the next question finds out.
        let _ = self.pulse.emit(GroupEvent::Lost { reason });
    }

    async fn wait_as_after(&mut self, why: &str) {
        why.clone_into(&mut self.reason);
        self.wait().await;
    }

    async fn wait(&mut self) {
        let wait = self.settings.retry.after(self.setbacks, chance());
        self.setbacks = self.setbacks.saturating_add(1);
        // Whoever is gone is noticed by whoever emits next.
        let _ = self.pulse.watch(sleep(wait)).await;
    }

    /// Tells the coordinator, on a connection of its own when the present one has an unanswered request.
    async fn leave(&mut self, reason: &str) {
        if self.member.is_empty() {
            return;
        }
        let request = LeaveGroup { group: &self.options.group, member: &self.member, reason };
        let told = async {
            self.link.ready().await.map_err(Fault::Fatal)?;
            self.link.coordinator()?.call(&request, LEAVING).await
        };
        match timeout(LEAVING, told).await.unwrap_or_else(|_| Err(Fault::Lost("no answer in time".to_owned()))) {
            Ok(NONE) => tracing::info!(group = self.options.group, member = self.member, "left the group"),
            Ok(code) => tracing::info!(group = self.options.group, code, "had left the group before"),
            Err(fault) => {
                tracing::warn!(group = self.options.group, ?fault, "the group was not told that this worker leaves");
            }
        }
    }

    fn rebalance_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.options.rebalance_timeout_ms).unwrap_or(0))
    }

    fn fatal(&self, code: i16, request: &str) -> Setback {
        Setback::Fatal(refusal(code, request, &self.options.group))
    }
}

impl From<Fault> for Setback {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost(why) => Self::Moved(why),
            Fault::Fatal(error) => Self::Fatal(error),
        }
    }
}
