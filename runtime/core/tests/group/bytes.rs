//! Bytes that Kafka Connect wrote are read as it reads them, and written as it writes them; its eager leader's decisions, too.
//! `oracle/record` recorded them.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use millrace_core::group::{Assignment, ConnectorWork, Leader, Peer, Protocol, Round, Work, WorkerState};
use proptest::prelude::*;

const RECORDED: &str = include_str!("oracle/bytes.tsv");

#[test]
fn bytes_are_kafka_connects() {
    let mut seen = [0; 3];
    for line in RECORDED.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, protocol, how, hex, expected] = columns[..] else { panic!("{line}") };
        let (bytes, protocol) = (bytes(hex), Protocol::from_name(protocol).unwrap());
        let (read, written) = match kind {
            "state" => (WorkerState::decode(&bytes).map(|state| state_text(&state)), rewrite_state(&bytes, protocol)),
            _ => (
                Assignment::decode(&bytes).map(|read| text(&read)),
                Assignment::decode(&bytes).map(|read| read.encode(protocol)),
            ),
        };
        assert_eq!(read.unwrap_or_else(|_| "error".to_owned()), expected, "{line}");
        match how {
            "sorted" => {
                assert_eq!(hexed(&written.unwrap()), hex, "{line}");
                seen[0] += 1;
            }
            "any" => {
                assert_eq!(written.unwrap().len(), bytes.len(), "only the order may differ: {line}");
                seen[1] += 1;
            }
            _ => seen[2] += 1,
        }
    }
    assert!(seen.iter().all(|count| *count > 30), "{seen:?}");
}

fn rewrite_state(bytes: &[u8], protocol: Protocol) -> millrace_api::Result<Vec<u8>> {
    Ok(WorkerState::decode(bytes)?.encode(protocol))
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn list<T: Display>(some: &BTreeSet<T>) -> String {
    let mut texts: Vec<String> = some.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.join(",")
}

/// As `Bytes.java` prints it.
fn text(of: &Assignment) -> String {
    [
        of.version.to_string(),
        of.error.to_string(),
        of.leader.clone(),
        of.leader_url.clone(),
        of.offset.to_string(),
        list(&of.connectors),
        list(&of.tasks),
        list(&of.revoked_connectors),
        list(&of.revoked_tasks),
        of.delay_ms.to_string(),
    ]
    .join("|")
}

fn state_text(of: &WorkerState) -> String {
    let held = of.assignment.as_ref().map_or("none".to_owned(), text);
    format!("{}|{}|{held}", of.url, of.offset)
}

/// `a=1,b=2`.
fn pairs(text: &str) -> Vec<(&str, u32)> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, number)| (name, number.parse().unwrap()))
        .collect()
}

#[test]
fn eager_decisions_are_kafka_connects() {
    let mut mismatches = 0;
    for line in include_str!("oracle/eager.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [members, read, work, expected] = columns[..] else { panic!("{line}") };
        let peer = |(member, offset): (&str, u32)| Peer {
            member: member.to_owned(),
            state: WorkerState { url: format!("http://{member}/"), offset: offset.into(), assignment: None },
            runs: None,
        };
        let peers: Vec<Peer> = pairs(members).into_iter().map(peer).collect();
        let connector = |tasks| ConnectorWork { tasks, ..ConnectorWork::default() };
        let connectors = pairs(work).into_iter().map(|(name, tasks)| (name.into(), connector(tasks))).collect();
        let work = Work { offset: read.parse().unwrap(), connectors };
        let round = Round {
            generation: 1,
            completed: None,
            protocol: Protocol::Eager,
            leader: &peers[0].member,
            peers: &peers,
            work: &work,
            now_ms: 0,
        };
        let decided = Leader::new(0).assign(&round);
        let told: Vec<String> = decided.iter().map(|(_, told)| hexed(&told.encode(Protocol::Eager))).collect();
        assert_eq!(told.join(","), expected, "{line}");
        mismatches += usize::from(decided[0].1.failed());
    }
    assert!(mismatches > 0);
}

#[test]
fn what_a_worker_offers_is_what_kafka_connects_workers_offer() {
    let state = WorkerState { url: "http://a:1/".to_owned(), offset: 7, assignment: None };
    let names =
        |protocol: Protocol| -> Vec<String> { protocol.offers(&state).into_iter().map(|offer| offer.name).collect() };
    assert_eq!(names(Protocol::from_config("SESSIONED").unwrap()), ["sessioned", "compatible", "default"]);
    assert_eq!(names(Protocol::from_config("compatible").unwrap()), ["compatible", "default"]);
    assert_eq!(names(Protocol::from_config("eager").unwrap()), ["default"]);
    assert_eq!(Protocol::from_config("default"), None, "a name in the group is no setting");
    let versions: Vec<u8> = Protocol::Sessioned.offers(&state).iter().map(|offer| offer.metadata[1]).collect();
    assert_eq!(versions, [2, 1, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a member sends: it is read or refused, and what was read is written so that it is read again.
    #[test]
    fn anything_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), line in any::<usize>()) {
        let _ = (Assignment::decode(&bytes), WorkerState::decode(&bytes));
        // Something well-formed with a byte changed gets further.
        let lines: Vec<&str> = RECORDED.lines().collect();
        let change = bytes.pop().unwrap_or(0xff);
        let mut bytes = self::bytes(lines[line % lines.len()].split('\t').nth(3).unwrap());
        let length = bytes.len().max(1);
        bytes.iter_mut().skip(at % length).take(1).for_each(|byte| *byte = change);
        if let Ok(read) = Assignment::decode(&bytes) {
            let again = Assignment::decode(&read.encode(Protocol::Sessioned)).unwrap();
            prop_assert_eq!(Assignment { version: 2, ..read }, again);
        }
        let _ = WorkerState::decode(&bytes);
    }
}
