use millrace_api::group::{MemberProtocol, Peer};
use proptest::prelude::*;

use super::super::wire::{Malformed, Reader, Writer};
use super::broker::Coordinator;
use super::sasl::Authenticated;
use super::*;

fn recorded(kind: &str, name: &str, version: i16) -> Vec<u8> {
    let wanted = format!("{kind} {name} {version} ");
    let line = include_str!("recorded.txt").lines().find_map(|line| line.strip_prefix(&wanted)).expect("recorded");
    (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex")).collect()
}

fn written<R: Request>(request: &R, version: i16) -> Vec<u8> {
    let mut out = Writer::default();
    request.write(version, &mut out);
    out.into_bytes()
}

fn answer<R: Request>(name: &str, version: i16) -> R::Answer {
    R::read(version, &mut Reader::new(&recorded("ans", name, version))).expect("an answer")
}

/// Each version that was recorded of a request.
fn same<R: Request>(request: &R, versions: &[i16]) {
    for version in versions {
        assert_eq!(written(request, *version), recorded("req", R::API.name, *version), "{} {version}", R::API.name);
    }
}

#[test]
fn requests_are_kafkas_byte_for_byte() {
    let protocols = [
        MemberProtocol { name: "sessioned".to_owned(), metadata: vec![1, 2, 3] },
        MemberProtocol { name: "default".to_owned(), metadata: Vec::new() },
    ];
    let assignments = [("m".to_owned(), vec![9]), ("n".to_owned(), Vec::new())];
    let (group, member, protocol_type, reason) = ("g", "m", "connect", "why");
    same(&ApiVersions, &[3]);
    same(&FindCoordinator { group }, &[3, 4, 6]);
    same(&Metadata, &[9, 10, 11, 12, 13]);
    let (session_timeout_ms, rebalance_timeout_ms) = (10_000, 60_000);
    same(
        &JoinGroup {
            group,
            session_timeout_ms,
            rebalance_timeout_ms,
            member,
            protocol_type,
            protocols: &protocols,
            reason,
        },
        &[6, 7, 8, 9],
    );
    let protocol = "sessioned";
    same(&SyncGroup { group, generation: 7, member, protocol_type, protocol, assignments: &assignments }, &[4, 5]);
    same(&Heartbeat { group, generation: 7, member }, &[4]);
    same(&LeaveGroup { group, member, reason }, &[4, 5]);
    same(&SaslHandshake { mechanism: "PLAIN" }, &[1]);
    same(&SaslAuthenticate { message: &[0, 1] }, &[1, 2]);
}

#[test]
fn kafkas_answers_are_read() {
    let versions = vec![(11, Range { first: 2, last: 9 }), (12, Range { first: 0, last: 4 })];
    assert_eq!(answer::<ApiVersions>("ApiVersions", 3), Ok(versions));
    let old = recorded("ans", "ApiVersions.old", 0);
    assert_eq!(ApiVersions::read(3, &mut Reader::new(&old)), Ok(Err(35)));

    let broker = |host: &str, port| Broker { host: host.to_owned(), port };
    for (version, code) in [(3, 0), (4, 15), (6, 15)] {
        let expected = Coordinator { code, broker: broker("h", 9092) };
        assert_eq!(answer::<FindCoordinator<'_>>("FindCoordinator", version), expected, "{version}");
    }
    for version in [9, 13] {
        assert_eq!(answer::<Metadata>("Metadata", version), [broker("a", 1), broker("b", 2)], "{version}");
    }

    let peer = |member: &str, metadata: &[u8]| Peer { member: member.to_owned(), metadata: metadata.to_owned() };
    for version in 6..=9 {
        let joined = answer::<JoinGroup<'_>>("JoinGroup", version);
        assert_eq!((joined.code, joined.generation), (0, 7));
        assert_eq!(joined.protocol_type.as_deref(), (version >= 7).then_some("connect"));
        assert_eq!((&*joined.protocol, &*joined.leader, &*joined.member), ("sessioned", "m", "m"));
        assert_eq!(joined.peers, [peer("m", &[1, 2, 3]), peer("n", &[])]);
        let required = answer::<JoinGroup<'_>>("JoinGroup.required", version);
        assert_eq!((required.code, &*required.member), (79, "c-1"));
    }
    for version in [4, 5] {
        let synced = answer::<SyncGroup<'_>>("SyncGroup", version);
        assert_eq!((synced.code, synced.assignment), (0, vec![9]));
        assert_eq!(synced.protocol_type.as_deref(), (version == 5).then_some("connect"));
        assert_eq!(synced.protocol.as_deref(), (version == 5).then_some("sessioned"));
        assert_eq!(answer::<LeaveGroup<'_>>("LeaveGroup", version), 25);
    }
    assert_eq!(answer::<Heartbeat<'_>>("Heartbeat", 4), 27);

    let (code, mechanisms) = answer::<SaslHandshake<'_>>("SaslHandshake", 1);
    assert_eq!((code, mechanisms), (33, vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()]));
    for version in [1, 2] {
        let expected = Authenticated { code: 58, error: Some("no".to_owned()), message: vec![2], lifetime_ms: 1_000 };
        assert_eq!(answer::<SaslAuthenticate<'_>>("SaslAuthenticate", version), expected);
    }
}

#[test]
fn versions_that_both_have() {
    let range = |first, last| Range { first, last };
    assert_eq!(range(6, 9).common(range(2, 9)), Some(9));
    assert_eq!(range(6, 9).common(range(0, 7)), Some(7));
    assert_eq!(range(6, 9).common(range(9, 12)), Some(9));
    assert_eq!(range(6, 9).common(range(0, 5)), None);
    assert_eq!(range(6, 9).common(range(10, 11)), None);
}

fn read_all(bytes: &[u8]) -> usize {
    fn read<R: Request>(bytes: &[u8]) -> usize {
        let Range { first, last } = R::API.versions;
        (first..=last).filter(|version| R::read(*version, &mut Reader::new(bytes)).is_ok()).count()
    }
    read::<ApiVersions>(bytes)
        + read::<FindCoordinator<'_>>(bytes)
        + read::<Metadata>(bytes)
        + read::<JoinGroup<'_>>(bytes)
        + read::<SyncGroup<'_>>(bytes)
        + read::<Heartbeat<'_>>(bytes)
        + read::<LeaveGroup<'_>>(bytes)
        + read::<SaslHandshake<'_>>(bytes)
        + read::<SaslAuthenticate<'_>>(bytes)
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>) {
        read_all(&bytes);
    }

    /// Answers of which a byte is changed or the end is missing reach deeper than noise does.
    #[test]
    fn damaged_answers_never_panic(which: prop::sample::Index, at: prop::sample::Index, byte: u8, cut: bool) {
        let answers: Vec<_> = include_str!("recorded.txt").lines().filter(|line| line.starts_with("ans ")).collect();
        let words: Vec<_> = which.get(&answers).split(' ').collect();
        let mut bytes = recorded(words[0], words[1], words[2].parse().expect("a version"));
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        read_all(&bytes);
    }

    #[test]
    fn an_answer_that_ends_early_is_refused(cut in 1_usize..30) {
        let mut bytes = recorded("ans", "JoinGroup", 9);
        bytes.truncate(bytes.len() - 1 - cut);
        let read = JoinGroup::read(9, &mut Reader::new(&bytes));
        prop_assert_eq!(read, Err(Malformed("it ends too early")));
    }
}
