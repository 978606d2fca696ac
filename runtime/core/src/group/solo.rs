//! A group of one member that elects itself at once: for standalone workers, and for workers whose log is the embedded one.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_api::Result;
use millrace_api::group::{GroupEvent, GroupMember, GroupOptions, Groups, MemberProtocol, Peer};
use tokio::sync::{Notify, oneshot};

const MEMBER: &str = "solo";

/// Opens groups of one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Solo;

#[async_trait]
impl Groups for Solo {
    async fn join(&self, _options: GroupOptions) -> Result<Box<dyn GroupMember>> {
        Ok(Box::new(SoloMember::default()))
    }
}

/// The only member. What it was asked in an event is awaited by the call of [`GroupMember::next`] that follows.
#[derive(Debug, Default)]
pub struct SoloMember {
    stage: Stage,
    generation: i32,
    rejoin: Arc<Notify>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Apart,
    Joining(oneshot::Receiver<Vec<MemberProtocol>>),
    Electing(String, oneshot::Receiver<Vec<(String, Vec<u8>)>>),
    Member,
}

#[async_trait]
impl GroupMember for SoloMember {
    async fn next(&mut self) -> Result<GroupEvent> {
        loop {
            match &mut self.stage {
                Stage::Apart => return Ok(self.joining()),
                Stage::Joining(reply) => match reply.await.ok().and_then(|offers| offers.into_iter().next()) {
                    Some(offer) => return Ok(self.elected(offer)),
                    None => self.stage = Stage::Apart,
                },
                Stage::Electing(protocol, reply) => {
                    let protocol = protocol.clone();
                    match reply.await {
                        Ok(assignments) => return Ok(self.joined(protocol, assignments)),
                        Err(_) => self.stage = Stage::Apart,
                    }
                }
                Stage::Member => {
                    self.rejoin.notified().await;
                    self.stage = Stage::Apart;
                }
            }
        }
    }

    fn rejoin(&self, reason: &str) {
        tracing::debug!(reason, "joining again");
        self.rejoin.notify_one();
    }

    async fn leave(self: Box<Self>) {}
}

impl SoloMember {
    fn joining(&mut self) -> GroupEvent {
        let (reply, answer) = oneshot::channel();
        self.stage = Stage::Joining(answer);
        GroupEvent::Joining { reply }
    }

    fn elected(&mut self, offer: MemberProtocol) -> GroupEvent {
        let (reply, answer) = oneshot::channel();
        self.generation = self.generation.wrapping_add(1).max(1);
        self.stage = Stage::Electing(offer.name.clone(), answer);
        GroupEvent::Elected {
            generation: self.generation,
            leader: MEMBER.to_owned(),
            protocol: offer.name,
            peers: vec![Peer { member: MEMBER.to_owned(), metadata: offer.metadata }],
            reply,
        }
    }

    fn joined(&mut self, protocol: String, assignments: Vec<(String, Vec<u8>)>) -> GroupEvent {
        self.stage = Stage::Member;
        let own = assignments.into_iter().find(|(member, _)| member == MEMBER);
        GroupEvent::Joined {
            generation: self.generation,
            member: MEMBER.to_owned(),
            leader: MEMBER.to_owned(),
            protocol,
            assignment: own.map(|(_, bytes)| bytes).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

    use std::time::Duration;

    use super::*;

    fn offers() -> Vec<MemberProtocol> {
        ["sessioned", "default"].map(|name| MemberProtocol { name: name.to_owned(), metadata: vec![7] }).to_vec()
    }

    /// One rebalance; the generation and what the member got.
    async fn round(member: &mut SoloMember, says: &[u8]) -> (i32, Vec<u8>) {
        let GroupEvent::Joining { reply } = member.next().await.unwrap() else { panic!("not joining") };
        reply.send(offers()).unwrap();
        let GroupEvent::Elected { leader, protocol, peers, reply, .. } = member.next().await.unwrap() else {
            panic!("not elected")
        };
        assert_eq!((protocol.as_str(), peers.len(), peers[0].metadata.as_slice()), ("sessioned", 1, [7].as_slice()));
        reply.send(vec![("other".to_owned(), vec![]), (leader, says.to_vec())]).unwrap();
        let GroupEvent::Joined { generation, assignment, .. } = member.next().await.unwrap() else {
            panic!("not joined")
        };
        (generation, assignment)
    }

    #[tokio::test]
    async fn it_elects_itself_and_again_when_asked() {
        let mut member = SoloMember::default();
        assert_eq!(round(&mut member, b"one").await, (1, b"one".to_vec()));
        let quiet = tokio::time::timeout(Duration::from_millis(20), member.next()).await;
        assert!(quiet.is_err(), "nothing happens unless asked for");
        member.rejoin("test");
        assert_eq!(round(&mut member, b"two").await, (2, b"two".to_vec()));
    }

    #[tokio::test]
    async fn a_question_that_is_dropped_is_asked_again() {
        let mut member = SoloMember::default();
        let GroupEvent::Joining { reply } = member.next().await.unwrap() else { panic!("not joining") };
        drop(reply);
        let GroupEvent::Joining { reply } = member.next().await.unwrap() else { panic!("not asked again") };
        reply.send(offers()).unwrap();
        let GroupEvent::Elected { reply, .. } = member.next().await.unwrap() else { panic!("not elected") };
        drop(reply);
        assert_eq!(round(&mut member, b"x").await.1, b"x");
    }

    #[tokio::test]
    async fn waiting_can_be_cancelled() {
        let mut member = SoloMember::default();
        let GroupEvent::Joining { reply } = member.next().await.unwrap() else { panic!("not joining") };
        assert!(tokio::time::timeout(Duration::from_millis(5), member.next()).await.is_err());
        reply.send(offers()).unwrap();
        assert!(matches!(member.next().await.unwrap(), GroupEvent::Elected { .. }));
    }
}
