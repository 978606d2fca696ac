//! What librdkafka's errors mean to Millrace.

use std::io;

use millrace_api::error::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode as Code};

use crate::ffi::Failure;

/// The kind of a code.
pub(crate) fn kind(code: Code) -> ErrorKind {
    match code {
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::TransactionCoordinatorFenced
        | Code::FencedInstanceId
        | Code::FencedMemberEpoch
        | Code::StaleMemberEpoch
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::AssignmentLost => ErrorKind::Fenced,
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::WaitingForCoordinator
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::BrokerNotAvailable
        | Code::LeaderNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NotLeaderForPartition
        | Code::NotController
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::UnknownTopicId
        | Code::NetworkException
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::RebalanceInProgress
        | Code::ConcurrentTransactions
        | Code::UnstableOffsetCommit
        | Code::OffsetNotAvailable
        | Code::KafkaStorageError
        | Code::ThrottlingQuotaExceeded
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::QueueFull
        | Code::Retry => ErrorKind::Retriable,
        Code::OperationTimedOut | Code::RequestTimedOut | Code::MessageTimedOut | Code::TimedOutQueue => {
            ErrorKind::Timeout
        }
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidDifferentRecord
        | Code::UnknownPartition => ErrorKind::Data,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::GroupIdNotFound | Code::UnknownGroup => {
            ErrorKind::NotFound
        }
        Code::InvalidTopic
        | Code::InvalidConfig
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InvalidTransactionTimeout
        | Code::InconsistentGroupProtocol
        | Code::PolicyViolation
        | Code::InvalidArgument => ErrorKind::Config,
        Code::NonEmptyGroup | Code::GroupSubscribedToTopic | Code::TopicAlreadyExists => ErrorKind::Conflict,
        Code::PurgeQueue | Code::PurgeInflight | Code::BrokerDestroy => ErrorKind::Cancelled,
        _ => ErrorKind::External,
    }
}

/// An error of a call; `what` completes "Kafka failed to …".
pub(crate) fn of_code(code: Code, what: &str) -> Error {
    Error::new(kind(code), format!("Kafka failed to {what}: {code}"))
}

/// As [`of_code`], in librdkafka's own words.
pub(crate) fn of_failure(failure: &Failure, what: &str) -> Error {
    Error::new(kind(failure.code), format!("Kafka failed to {what}: {}", failure.text))
}

/// As [`of_code`], of an error from the safe wrapper.
pub(crate) fn of_kafka(error: &KafkaError, what: &str) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => {
            Error::config(format!("Invalid value for configuration {key}: {reason}"))
        }
        KafkaError::ClientCreation(reason) => Error::config(format!("Kafka failed to {what}: {reason}")),
        KafkaError::MessageConsumptionFatal(code) if kind(*code) != ErrorKind::Fenced => {
            Error::external(format!("Kafka failed to {what} for good: {code}"))
        }
        error => match error.rdkafka_error_code() {
            Some(code) => of_code(code, what),
            None => Error::external(format!("Kafka failed to {what}: {error}")),
        },
    }
}

/// An error of a transaction. Fenced wins. What ends the transaction is retriable only when another transaction may do better, and
/// never for a commit, whose callers repeat just that.
pub(crate) fn of_transaction(error: &RDKafkaError, what: &str, is_commit: bool) -> Error {
    let code = error.code();
    let kind = match kind(code) {
        ErrorKind::Fenced => ErrorKind::Fenced,
        _ if error.is_fatal() => ErrorKind::External,
        ErrorKind::Retriable | ErrorKind::Timeout if error.txn_requires_abort() && !is_commit => ErrorKind::Retriable,
        _ if error.txn_requires_abort() => ErrorKind::External,
        ErrorKind::Timeout => ErrorKind::Timeout,
        _ if error.is_retriable() => ErrorKind::Retriable,
        _ => ErrorKind::External,
    };
    let note = if error.txn_requires_abort() { "; the transaction must be aborted" } else { "" };
    Error::new(kind, format!("Kafka failed to {what}: {}{note}", error.string()))
}

/// The operating system has no thread to give.
pub(crate) fn thread(error: io::Error) -> Error {
    Error::external("the operating system refused to start a thread for a Kafka client").because(error)
}

/// A call that did not come back in time.
pub(crate) fn unanswered(what: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("Kafka did not answer a request to {what} in time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_was_replaced_is_fenced_and_a_lost_connection_is_retriable() {
        for code in [Code::IllegalGeneration, Code::UnknownMemberId, Code::FencedInstanceId, Code::ProducerFenced] {
            assert_eq!(kind(code), ErrorKind::Fenced, "{code:?}");
        }
        for code in [Code::BrokerTransportFailure, Code::NotCoordinator, Code::RebalanceInProgress] {
            assert_eq!(kind(code), ErrorKind::Retriable, "{code:?}");
        }
        assert_eq!(kind(Code::MessageSizeTooLarge), ErrorKind::Data);
        assert_eq!(kind(Code::TopicAuthorizationFailed), ErrorKind::External);
    }
}
