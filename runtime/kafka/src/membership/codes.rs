//! What the codes in a coordinator's answers mean to a member. As in Kafka's own `AbstractCoordinator`, except that a passing fault
//! of a broker never ends a member.

use millrace_api::error::{Error, ErrorKind};

pub(super) const NONE: i16 = 0;
pub(super) const MEMBER_ID_REQUIRED: i16 = 79;
pub(super) const REBALANCE_IN_PROGRESS: i16 = 27;
pub(super) const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
pub(super) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;

/// Why a member cannot go on as it is.
#[derive(Debug)]
pub(super) enum Setback {
    /// It must join again, which costs it nothing.
    Rejoin(String),
    /// The same again, a little later.
    Later(String),
    /// Another broker must be asked, a little later.
    Moved(String),
    /// The coordinator does not know it, or not its generation; then its id may still be good.
    Lost { reason: String, id_too: bool },
    /// No further attempt can help.
    Fatal(Error),
    /// Nobody holds the member any more.
    Gone,
}

impl Setback {
    /// What a code means in the answer to `request` about `group`.
    pub(super) fn of(code: i16, request: &str, group: &str) -> Self {
        let said = format!("{} in the answer to {request}", name(code));
        match code {
            -1 | 7 | 13 | 14 | 56 | 89 => Self::Later(said),
            15 | 16 => Self::Moved(said),
            22 => Self::Lost { reason: said, id_too: false },
            25 => Self::Lost { reason: said, id_too: true },
            REBALANCE_IN_PROGRESS => Self::Rejoin("group is already rebalancing".to_owned()),
            _ => Self::Fatal(refusal(code, request, group)),
        }
    }
}

/// A code that no further attempt can change, with its cause and what to do.
pub(super) fn refusal(code: i16, request: &str, group: &str) -> Error {
    let (kind, text) = match code {
        INCONSISTENT_GROUP_PROTOCOL => (
            ErrorKind::Config,
            "Invalid value for configuration group.id: the group's members speak other protocols; use a name that no consumer \
             group has, and a connect.protocol that all workers know",
        ),
        24 => (ErrorKind::Config, "Invalid value for configuration group.id: Kafka refuses the name; use another"),
        26 => (
            ErrorKind::Config,
            "Invalid value for configuration session.timeout.ms: the brokers do not allow it; use one from \
             group.min.session.timeout.ms to group.max.session.timeout.ms of theirs",
        ),
        30 => (
            ErrorKind::External,
            "the worker may not be a member of its group; allow its principal READ on the group that group.id names",
        ),
        81 => (
            ErrorKind::External,
            "the group has as many members as the brokers allow; raise group.max.size there, or stop other workers",
        ),
        82 => (ErrorKind::Conflict, "another member has the same group.instance.id; give each worker its own"),
        _ => {
            let text = format!("Kafka refused {request} with {}; see the log of the group's coordinator", name(code));
            return Error::external(text).with("group", group);
        }
    };
    Error::new(kind, text).with("group", group).with("code", name(code))
}

/// Kafka's name of a code.
pub(super) fn name(code: i16) -> String {
    let name = match code {
        -1 => "UNKNOWN_SERVER_ERROR",
        7 => "REQUEST_TIMED_OUT",
        13 => "NETWORK_EXCEPTION",
        14 => "COORDINATOR_LOAD_IN_PROGRESS",
        15 => "COORDINATOR_NOT_AVAILABLE",
        16 => "NOT_COORDINATOR",
        22 => "ILLEGAL_GENERATION",
        23 => "INCONSISTENT_GROUP_PROTOCOL",
        24 => "INVALID_GROUP_ID",
        25 => "UNKNOWN_MEMBER_ID",
        26 => "INVALID_SESSION_TIMEOUT",
        27 => "REBALANCE_IN_PROGRESS",
        29 => "TOPIC_AUTHORIZATION_FAILED",
        30 => "GROUP_AUTHORIZATION_FAILED",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        33 => "UNSUPPORTED_SASL_MECHANISM",
        34 => "ILLEGAL_SASL_STATE",
        35 => "UNSUPPORTED_VERSION",
        42 => "INVALID_REQUEST",
        56 => "KAFKA_STORAGE_ERROR",
        58 => "SASL_AUTHENTICATION_FAILED",
        79 => "MEMBER_ID_REQUIRED",
        81 => "GROUP_MAX_SIZE_REACHED",
        82 => "FENCED_INSTANCE_ID",
        89 => "THROTTLING_QUOTA_EXCEEDED",
        _ => return format!("error {code}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_of_the_setbacks() {
        for (code, expected) in [
            (14, "Later"),
            (15, "Moved"),
            (16, "Moved"),
            (22, "Lost"),
            (25, "Lost"),
            (27, "Rejoin"),
            (23, "Fatal"),
            (26, "Fatal"),
            (30, "Fatal"),
            (81, "Fatal"),
            (12345, "Fatal"),
        ] {
            let setback = format!("{:?}", Setback::of(code, "JoinGroup", "g"));
            assert!(setback.starts_with(expected), "{code}: {setback}");
        }
        assert!(matches!(Setback::of(22, "Heartbeat", "g"), Setback::Lost { id_too: false, .. }));
        assert!(matches!(Setback::of(25, "Heartbeat", "g"), Setback::Lost { id_too: true, .. }));
    }

    #[test]
    fn what_cannot_be_mended_says_what_to_do() {
        let error = refusal(26, "JoinGroup", "my-group");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("session.timeout.ms"), "{error}");
        assert!(error.to_string().contains("my-group"), "{error}");
        assert_eq!(refusal(30, "Heartbeat", "g").kind(), ErrorKind::External);
    }
}
