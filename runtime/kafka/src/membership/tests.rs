//! Members against a broker that answers as a test wants, for what real ones do only when something breaks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millrace_api::error::ErrorKind;
use millrace_api::group::{GroupEvent, MemberProtocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::wire::{Reader, Writer};
use super::*;

const METADATA: i16 = 3;
const FIND: i16 = 10;
const JOIN: i16 = 11;
const HEARTBEAT: i16 = 12;
const LEAVE: i16 = 13;
const SYNC: i16 = 14;
const VERSIONS: i16 = 18;

/// What the broker does with a request instead of answering that all is well.
#[derive(Debug, Clone)]
enum Act {
    Code(i16),
    Silence,
    Close,
    Bytes(Vec<u8>),
}

/// What happens to the requests of some kind, in their order; later ones are answered well.
type Plan = Arc<Mutex<Vec<(i16, VecDeque<Act>)>>>;

/// A request as it came: its kind, and for those of members, the member id.
type Seen = Arc<Mutex<Vec<(i16, String)>>>;

struct Broker {
    address: String,
    plan: Plan,
    seen: Seen,
}

impl Broker {
    async fn start() -> Self {
        Self::with_versions(&[
            (METADATA, 9, 13),
            (FIND, 0, 6),
            (JOIN, 2, 9),
            (HEARTBEAT, 0, 4),
            (LEAVE, 0, 5),
            (SYNC, 0, 5),
        ])
        .await
    }

    async fn with_versions(versions: &'static [(i16, i16, i16)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (plan, seen) = (Plan::default(), Seen::default());
        let shared = (Arc::clone(&plan), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (plan, seen) = shared.clone();
                tokio::spawn(serve(stream, port, versions, plan, seen));
            }
        });
        Self { address: format!("127.0.0.1:{port}"), plan, seen }
    }

    fn will(&self, kind: i16, acts: impl IntoIterator<Item = Act>) {
        self.plan.lock().unwrap().push((kind, acts.into_iter().collect()));
    }

    /// Member ids in requests of a kind.
    fn ids(&self, kind: i16) -> Vec<String> {
        self.seen.lock().unwrap().iter().filter(|(seen, _)| *seen == kind).map(|(_, id)| id.clone()).collect()
    }

    fn count(&self, kind: i16) -> usize {
        self.ids(kind).len()
    }

    async fn join(&self) -> Holder {
        Holder::new(&self.address, options()).await
    }
}

async fn serve(mut stream: TcpStream, port: u16, versions: &[(i16, i16, i16)], plan: Plan, seen: Seen) {
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await.expect("a request");
        let mut reader = Reader::new(&request);
        let (kind, version, id) = (reader.i16().unwrap(), reader.i16().unwrap(), reader.i32().unwrap());
        reader.old_string().unwrap();
        reader.tags().unwrap();
        let member = member_of(kind, &mut reader);
        seen.lock().unwrap().push((kind, member.clone()));
        let act = planned(&plan, kind);
        let mut out = Writer::default();
        out.i32(id);
        if kind != VERSIONS {
            out.tags();
        }
        let code = match act {
            None => 0,
            Some(Act::Code(code)) => code,
            Some(Act::Silence) => {
                sleep(Duration::from_mins(5)).await;
                return;
            }
            Some(Act::Close) => return,
            Some(Act::Bytes(bytes)) => {
                let _ = stream.write_all(&bytes).await;
                continue;
            }
        };
        answer(kind, version, code, port, versions, &member, &mut out);
        let body = out.into_bytes();
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend(body);
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn planned(plan: &Plan, kind: i16) -> Option<Act> {
    let mut plan = plan.lock().unwrap();
    plan.iter_mut().filter(|(planned, _)| *planned == kind).find_map(|(_, acts)| acts.pop_front())
}

fn member_of(kind: i16, reader: &mut Reader<'_>) -> String {
    match kind {
        JOIN => {
            reader.string().unwrap();
            (reader.i32().unwrap(), reader.i32().unwrap());
            reader.string().unwrap()
        }
        SYNC | HEARTBEAT => {
            reader.string().unwrap();
            reader.i32().unwrap();
            reader.string().unwrap()
        }
        LEAVE => {
            reader.string().unwrap();
            reader.list(|reader| reader.string()).unwrap_or_default().pop().unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn answer(kind: i16, version: i16, code: i16, port: u16, versions: &[(i16, i16, i16)], member: &str, out: &mut Writer) {
    match kind {
        VERSIONS => {
            out.i16(code);
            out.list(versions, |out, (kind, first, last)| {
                out.i16(*kind);
                out.i16(*first);
                out.i16(*last);
                out.tags();
            });
            out.i32(0);
        }
        METADATA => {
            out.i32(0);
            out.list(&[port], broker);
        }
        FIND if version < 4 => {
            out.i32(0);
            out.i16(code);
            out.nullable_string(None);
            broker(out, &port);
        }
        FIND => {
            out.i32(0);
            out.list(&[port], |out, port| {
                out.string("g");
                out.i32(1);
                out.string("127.0.0.1");
                out.i32(i32::from(*port));
                out.i16(code);
                out.nullable_string(None);
                out.tags();
            });
        }
        JOIN => {
            // The first join gets an id, as with real brokers.
            let given = if member.is_empty() { "m-1" } else { member };
            let code = if member.is_empty() && code == 0 { 79 } else { code };
            out.i32(0);
            out.i16(code);
            out.i32(if code == 0 { 1 } else { -1 });
            if version >= 7 {
                out.nullable_string(Some("connect"));
            }
            out.string("p");
            out.string(given);
            if version >= 9 {
                out.bool(false);
            }
            out.string(given);
            out.list(&[given], |out, member| {
                out.string(member);
                out.nullable_string(None);
                out.bytes(b"state");
                out.tags();
            });
        }
        SYNC => {
            out.i32(0);
            out.i16(code);
            if version >= 5 {
                out.nullable_string(Some("connect"));
                out.nullable_string(Some("p"));
            }
            out.bytes(b"work");
        }
        HEARTBEAT => {
            out.i32(0);
            out.i16(code);
        }
        LEAVE => {
            out.i32(0);
            out.i16(code);
            out.list(&[member], |out, member| {
                out.string(member);
                out.nullable_string(None);
                out.i16(0);
                out.tags();
            });
        }
        other => panic!("request {other}"),
    }
    out.tags();
}

fn broker(out: &mut Writer, port: &u16) {
    out.i32(1);
    out.string("127.0.0.1");
    out.i32(i32::from(*port));
    out.nullable_string(None);
    out.tags();
}

fn options() -> GroupOptions {
    GroupOptions {
        group: "g".to_owned(),
        protocol_type: "connect".to_owned(),
        client_id: "c".to_owned(),
        session_timeout_ms: 900,
        rebalance_timeout_ms: 2_000,
        heartbeat_interval_ms: 50,
        client: Props::new(),
    }
}

/// Holds a member and answers its questions.
struct Holder {
    member: Box<dyn GroupMember>,
}

impl Holder {
    async fn new(bootstrap: &str, options: GroupOptions) -> Self {
        let groups = KafkaGroups::new(bootstrap, Props::new()).expect("groups");
        Self { member: groups.join(options).await.expect("a member") }
    }

    async fn event(&mut self) -> Result<GroupEvent> {
        timeout(Duration::from_secs(20), self.member.next()).await.expect("an event in time")
    }

    /// The name of the next event, which is answered.
    async fn next(&mut self) -> &'static str {
        match self.event().await.expect("an event") {
            GroupEvent::Joining { reply } => {
                reply.send(vec![MemberProtocol { name: "p".to_owned(), metadata: b"state".to_vec() }]).expect("asked");
                "joining"
            }
            GroupEvent::Elected { peers, reply, .. } => {
                reply.send(peers.into_iter().map(|peer| (peer.member, peer.metadata)).collect()).expect("asked");
                "elected"
            }
            GroupEvent::Joined { .. } => "joined",
            GroupEvent::Lost { .. } => "lost",
            GroupEvent::Unreachable { .. } => "unreachable",
        }
    }

    async fn sees(&mut self, expected: &[&str]) {
        for (at, wanted) in expected.iter().enumerate() {
            assert_eq!(self.next().await, *wanted, "event {at} of {expected:?}");
        }
    }

    async fn quiet(&mut self, millis: u64) {
        if let Ok(event) = timeout(Duration::from_millis(millis), self.member.next()).await {
            panic!("{event:?}");
        }
    }

    async fn ends(&mut self) -> Error {
        loop {
            match self.event().await {
                Ok(GroupEvent::Joining { reply }) => {
                    let _ = reply.send(vec![MemberProtocol { name: "p".to_owned(), metadata: Vec::new() }]);
                }
                Ok(GroupEvent::Lost { .. } | GroupEvent::Unreachable { .. }) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => return error,
            }
        }
    }
}

const IN: [&str; 3] = ["joining", "elected", "joined"];

#[tokio::test]
async fn a_coordinator_that_moves_or_hangs_up_is_found_again_and_nobody_is_told() {
    let broker = Broker::start().await;
    let options = GroupOptions { session_timeout_ms: 10_000, ..options() };
    let mut holder = Holder::new(&broker.address, options).await;
    holder.sees(&IN).await;
    let found = broker.count(FIND);
    broker.will(
        HEARTBEAT,
        [Act::Code(16), Act::Code(15), Act::Close, Act::Bytes(vec![0xff; 64]), Act::Bytes(vec![0; 12])],
    );
    holder.quiet(4_000).await;
    assert!(broker.count(FIND) >= found + 5, "{}", broker.count(FIND));
    assert_eq!(broker.count(JOIN), 2, "the first for an id, the second with it");
    holder.member.leave().await;
    assert_eq!(broker.ids(LEAVE), ["m-1"]);
}

#[tokio::test]
async fn silence_for_the_session_timeout_is_told_once_and_ends_with_a_join() {
    let broker = Broker::start().await;
    let mut holder = broker.join().await;
    holder.sees(&IN).await;
    broker.will(HEARTBEAT, vec![Act::Silence; 4]);
    let began = Instant::now();
    holder.sees(&["unreachable"]).await;
    let waited = began.elapsed();
    assert!(waited > Duration::from_millis(700) && waited < Duration::from_millis(2_000), "{waited:?}");
    holder.sees(&IN).await;
    holder.quiet(300).await;
    assert_eq!(broker.ids(JOIN).last().map(String::as_str), Some("m-1"), "it is the same member");
}

#[tokio::test]
async fn who_is_unknown_is_lost_and_comes_back() {
    let broker = Broker::start().await;
    let mut holder = broker.join().await;
    holder.sees(&IN).await;
    broker.will(HEARTBEAT, [Act::Code(22)]);
    holder.sees(&["lost"]).await;
    holder.sees(&IN).await;
    assert_eq!(broker.ids(JOIN), ["", "m-1", "m-1"], "an old generation does not cost the id");
    broker.will(HEARTBEAT, [Act::Code(25)]);
    holder.sees(&["lost"]).await;
    holder.sees(&IN).await;
    assert_eq!(broker.ids(JOIN), ["", "m-1", "m-1", "", "m-1"]);
    // While it joins, and has not been told to work.
    broker.will(HEARTBEAT, [Act::Code(27)]);
    broker.will(JOIN, [Act::Code(25)]);
    holder.sees(&["joining", "lost"]).await;
    holder.sees(&IN).await;
}

#[tokio::test]
async fn a_rebalance_is_joined_and_what_passes_is_waited_out() {
    let broker = Broker::start().await;
    broker.will(FIND, [Act::Code(15), Act::Code(14)]);
    broker.will(JOIN, [Act::Code(14), Act::Code(16), Act::Code(27), Act::Close, Act::Code(-1)]);
    broker.will(SYNC, [Act::Code(27), Act::Code(16), Act::Close]);
    let mut holder = broker.join().await;
    holder.sees(&["joining"; 6]).await;
    holder.sees(&["elected", "joining", "elected", "joining", "elected", "joining", "elected", "joined"]).await;
    broker.will(HEARTBEAT, [Act::Code(27)]);
    holder.sees(&IN).await;
    holder.member.rejoin("a test wants it");
    holder.sees(&IN).await;
    holder.quiet(200).await;
}

#[tokio::test]
async fn dropped_questions_are_asked_again() {
    let broker = Broker::start().await;
    let mut holder = broker.join().await;
    assert!(matches!(holder.event().await, Ok(GroupEvent::Joining { .. })));
    holder.sees(&["joining"]).await;
    assert!(matches!(holder.event().await, Ok(GroupEvent::Elected { .. })));
    holder.sees(&IN).await;
}

/// A rebalance that is wished for after the answer was given might bring news that the answer did not have.
#[tokio::test]
async fn a_wish_in_the_middle_of_a_join_is_granted_after_it() {
    let broker = Broker::start().await;
    let mut holder = broker.join().await;
    holder.sees(&["joining"]).await;
    holder.member.rejoin("news");
    holder.sees(&["elected", "joined"]).await;
    holder.sees(&IN).await;
    holder.quiet(200).await;
}

/// Heartbeats go on while the holder thinks, whether it is asked for its protocols or for everybody's work.
#[tokio::test]
async fn thinking_does_not_stop_heartbeats() {
    let broker = Broker::start().await;
    let mut holder = broker.join().await;
    holder.sees(&["joining"]).await;
    let Ok(GroupEvent::Elected { reply, .. }) = holder.event().await else { panic!("not elected") };
    sleep(Duration::from_millis(400)).await;
    assert!(broker.count(HEARTBEAT) >= 4, "{}", broker.count(HEARTBEAT));
    reply.send(Vec::new()).expect("asked");
    holder.sees(&["joined"]).await;
    broker.will(HEARTBEAT, vec![Act::Code(27); 5]);
    let Ok(GroupEvent::Joining { .. }) = holder.event().await else { panic!("not joining") };
}

#[tokio::test]
async fn what_no_attempt_can_change_ends_the_member_which_can_still_leave() {
    for (kind, code, expected, word) in [
        (FIND, 30, ErrorKind::External, "READ"),
        (JOIN, 30, ErrorKind::External, "READ"),
        (JOIN, 23, ErrorKind::Config, "group.id"),
        (JOIN, 26, ErrorKind::Config, "session.timeout.ms"),
        (JOIN, 81, ErrorKind::External, "group.max.size"),
        (VERSIONS, 35, ErrorKind::External, "2.4"),
    ] {
        let broker = Broker::start().await;
        broker.will(kind, vec![Act::Code(code); 9]);
        let mut holder = broker.join().await;
        let error = holder.ends().await;
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        timeout(Duration::from_secs(6), holder.member.leave()).await.expect("leaving is bounded");
    }
}

#[tokio::test]
async fn brokers_of_version_2_4_are_understood() {
    let versions = &[(METADATA, 0, 9), (FIND, 0, 3), (JOIN, 0, 6), (HEARTBEAT, 0, 4), (LEAVE, 0, 4), (SYNC, 0, 4)];
    let broker = Broker::with_versions(versions).await;
    let mut holder = broker.join().await;
    holder.sees(&IN).await;
    holder.member.leave().await;
    assert_eq!(broker.ids(LEAVE), ["m-1"]);
}

#[tokio::test]
async fn one_broker_of_the_list_that_answers_is_enough() {
    let broker = Broker::start().await;
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let mut holder = Holder::new(&format!("{dead},{}", broker.address), options()).await;
    holder.sees(&IN).await;
}

#[tokio::test]
async fn a_member_that_is_dropped_says_nothing_more() {
    let broker = Broker::start().await;
    let mut holder = broker.join().await;
    holder.sees(&IN).await;
    drop(holder);
    sleep(Duration::from_millis(100)).await;
    let beats = broker.count(HEARTBEAT);
    sleep(Duration::from_millis(300)).await;
    assert_eq!((broker.count(HEARTBEAT), broker.count(LEAVE)), (beats, 0));
}

#[tokio::test]
async fn a_holder_that_is_stuck_gives_its_place_up() {
    let broker = Broker::start().await;
    let options = GroupOptions { rebalance_timeout_ms: 400, ..options() };
    let mut holder = Holder::new(&broker.address, options).await;
    holder.sees(&["joining", "elected"]).await;
    // It does not look at what it was assigned.
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(broker.ids(LEAVE), ["m-1"]);
    holder.sees(&["joined", "lost"]).await;
    holder.sees(&IN).await;
    holder.quiet(800).await;
}

/// Answers of any length and content cost a connection at most.
#[tokio::test]
async fn nonsense_is_survived() {
    let broker = Broker::start().await;
    let lengths: [&[u8]; 4] = [&[0x7f, 0xff, 0xff, 0xff], &[0, 0, 0, 0], &[0, 0, 0, 3, 1, 2, 3], b"HTTP/1.1 400 Bad"];
    for kind in [VERSIONS, METADATA, FIND, JOIN, SYNC, HEARTBEAT] {
        broker.will(kind, lengths.map(|bytes| Act::Bytes(bytes.to_vec())));
    }
    let options = GroupOptions {
        client: [("request.timeout.ms".to_owned(), "300".to_owned())].into_iter().collect(),
        rebalance_timeout_ms: 1,
        ..options()
    };
    let mut holder = Holder::new(&broker.address, options).await;
    loop {
        if holder.next().await == "joined" {
            break;
        }
    }
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_by_name() {
    let groups = KafkaGroups::new("127.0.0.1:1", Props::new()).expect("groups");
    for (key, wrong) in [
        ("group.id", GroupOptions { group: String::new(), ..options() }),
        ("session.timeout.ms", GroupOptions { session_timeout_ms: 0, ..options() }),
        ("rebalance.timeout.ms", GroupOptions { rebalance_timeout_ms: -1, ..options() }),
        ("heartbeat.interval.ms", GroupOptions { heartbeat_interval_ms: 900, ..options() }),
    ] {
        let Err(error) = groups.join(wrong).await else { panic!("{key} was accepted") };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(key), "{error}");
    }
}
