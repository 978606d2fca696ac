//! Topics, offsets and groups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::config::Props;
use millrace_api::error::{Error, ErrorKind, Result};
use millrace_api::log::{CONTROL_TIMEOUT, Offsets, TopicInfo, TopicPartition, TopicSpec};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;

use crate::allow::Role;
use crate::client::{self, ClientProps, Serving};
use crate::ffi::{self, Failure};
use crate::refusals::Refusals;
use crate::{error, list};

/// How often a new or deleted topic is looked for until all brokers agree.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How long a broker that lags behind the others is waited for.
const PROPAGATION: Duration = Duration::from_secs(5);

/// How long offsets of a group are waited for that a transaction is about to commit.
const PENDING_OFFSETS: Duration = Duration::from_secs(5);

/// A client for administrative requests, each of which runs on a thread of its own.
pub(crate) struct Admin {
    native: Arc<BaseProducer<Quiet>>,
    _serving: Serving,
}

/// Nothing is ever produced with this client.
#[derive(Default)]
struct Quiet {
    /// What brokers refuse.
    refusals: Refusals,
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.refusals.note(&error, reason);
        client::log_error(&error, reason);
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}

impl Admin {
    /// Opens the client. Connecting happens later.
    pub(crate) fn open(bootstrap: &str, worker: &ClientProps) -> Result<Self> {
        let defaults = [("client.id", "millrace-admin".to_owned())];
        // Asking for a topic must not create it.
        let fixed = [("allow.auto.create.topics", "false".to_owned())];
        let config = client::configure(Role::Admin, bootstrap, worker, &Props::new(), &defaults, &fixed)?;
        let native: BaseProducer<Quiet> = config
            .native
            .create_with_context(Quiet::default())
            .map_err(|error| error::of_kafka(&error, "open an admin client"))?;
        let native = Arc::new(native);
        let serving = client::serve("kafka-admin", &native, |native: &BaseProducer<Quiet>, wait| native.poll(wait))?;
        Ok(Self { native, _serving: serving })
    }

    pub(crate) async fn cluster_id(&self) -> Result<String> {
        self.blocking(|client| {
            client.fetch_cluster_id(CONTROL_TIMEOUT).ok_or_else(|| {
                Error::retriable("Kafka is out of reach, so its cluster id is not known; check bootstrap.servers")
            })
        })
        .await
    }

    pub(crate) async fn create_topic(&self, spec: &TopicSpec) -> Result<bool> {
        list::name(&spec.name)?;
        let spec = spec.clone();
        self.blocking(move |client| match ffi::admin::create_topic(client, &spec, CONTROL_TIMEOUT) {
            Ok(()) => {
                wait_for(client, &spec.name, |partitions| partitions.is_some_and(|count| count > 0));
                Ok(true)
            }
            Err(failure) if failure.code == Code::TopicAlreadyExists => Ok(false),
            Err(failure) => Err(error::of_failure(&failure, "create a topic").with("topic", &spec.name)),
        })
        .await
    }

    pub(crate) async fn delete_topic(&self, name: &str) -> Result<()> {
        let name = list::name(name)?.to_owned();
        self.blocking(move |client| {
            ffi::admin::delete_topic(client, &name, CONTROL_TIMEOUT)
                .map_err(|failure| error::of_failure(&failure, "delete a topic").with("topic", &name))?;
            wait_for(client, &name, |partitions| partitions.is_none());
            Ok(())
        })
        .await
    }

    pub(crate) async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.blocking(|client| {
            let metadata = metadata(client, None)?;
            let mut topics: Vec<_> = metadata
                .topics()
                .iter()
                .filter(|topic| topic.error().is_none_or(|error| !is_missing(error)))
                .map(|topic| TopicInfo {
                    name: topic.name().to_owned(),
                    partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
                    internal: topic.name().starts_with("__"),
                })
                .collect();
            topics.sort_by(|left, right| left.name.cmp(&right.name));
            Ok(topics)
        })
        .await
    }

    pub(crate) async fn topic_config(&self, name: &str) -> Result<Props> {
        let name = list::name(name)?.to_owned();
        self.blocking(move |client| {
            // A broker that has not heard of a new topic yet says that there is none, as one does for a topic that does not exist.
            let Some(_) = partitions(client, &name)? else {
                return Err(Error::new(ErrorKind::NotFound, "the topic does not exist").with("topic", &name));
            };
            let unheard = |failure: &Error| matches!(failure.kind(), ErrorKind::Retriable | ErrorKind::NotFound);
            let settings = retry(PROPAGATION, unheard, || {
                ffi::admin::topic_config(client, &name, CONTROL_TIMEOUT)
                    .map_err(|failure| error::of_failure(&failure, "describe a topic").with("topic", &name))
            })?;
            Ok(settings.into_iter().collect())
        })
        .await
    }

    pub(crate) async fn offsets(&self, topic: &str, read_committed: bool) -> Result<Vec<(i64, i64)>> {
        let topic = list::name(topic)?.to_owned();
        self.blocking(move |client| {
            // A leader that is changing, or has not heard of its new partition yet, will know soon.
            let settling = |failure: &Error| matches!(failure.kind(), ErrorKind::Retriable | ErrorKind::NotFound);
            retry(CONTROL_TIMEOUT, settling, || {
                let Some(count) = partitions(client, &topic)? else { return Ok(None) };
                let partitions = (0..count).map(|partition| TopicPartition::new(topic.as_str(), partition));
                let partitions: Vec<_> = partitions.collect();
                let first = offsets_at(client, &partitions, -2, false)?;
                let next = offsets_at(client, &partitions, -1, read_committed)?;
                Ok(Some(first.into_iter().zip(next).collect()))
            })?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the topic does not exist").with("topic", &topic))
        })
        .await
    }

    pub(crate) async fn group_offsets(&self, group: &str) -> Result<Offsets> {
        let group = group.to_owned();
        self.blocking(move |client| {
            let list = |stable| match ffi::admin::list_group_offsets(client, &group, stable, CONTROL_TIMEOUT) {
                Ok(offsets) => Ok(offsets),
                Err(failure) if failure.code == Code::GroupIdNotFound => Ok(Offsets::new()),
                Err(failure) => Err(error::of_failure(&failure, "list a group's offsets").with("group", &group)),
            };
            // Offsets that a transaction has committed appear a moment after the commit was answered. An open transaction is not
            // waited for beyond that.
            let pending = |failure: &Error| failure.kind() == ErrorKind::Retriable;
            retry(PENDING_OFFSETS, pending, || list(true)).or_else(|_| list(false))
        })
        .await
    }

    pub(crate) async fn set_group_offsets(&self, group: &str, offsets: &[(TopicPartition, Option<i64>)]) -> Result<()> {
        let set = list::offsets(offsets.iter().filter_map(|(partition, offset)| Some((partition, (*offset)?))))?;
        let removed = offsets.iter().filter(|(_, offset)| offset.is_none());
        let removed = list::partitions(removed.map(|(partition, _)| partition))?;
        let group = group.to_owned();
        self.blocking(move |client| {
            if set.count() > 0 {
                let done = ffi::admin::alter_group_offsets(client, &group, &set, CONTROL_TIMEOUT);
                group_result(done, &group, "set a group's offsets")?;
            }
            if removed.count() > 0 {
                let done = ffi::admin::delete_group_offsets(client, &group, &removed, CONTROL_TIMEOUT);
                group_result(done, &group, "remove a group's offsets")?;
            }
            Ok(())
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Client<Quiet>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let native = Arc::clone(&self.native);
        // Some make several requests, each with its own deadline.
        let refusals = &self.native.context().refusals;
        let answer = refusals.or(client::call(CONTROL_TIMEOUT * 4, move || call(native.client()))).await??;
        let answer = answer.unwrap_or_else(|| Err(error::unanswered("manage topics and groups")));
        if answer.is_ok() {
            refusals.clear();
        }
        answer
    }
}

fn metadata(client: &Client<Quiet>, topic: Option<&str>) -> Result<Metadata> {
    client.fetch_metadata(topic, CONTROL_TIMEOUT).map_err(|failure| error::of_kafka(&failure, "list topics"))
}

/// Partitions of a topic, `None` when it does not exist.
fn partitions(client: &Client<Quiet>, topic: &str) -> Result<Option<i32>> {
    let metadata = metadata(client, Some(topic))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error() {
        Some(failure) if is_missing(failure) => Ok(None),
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => Ok(Some(0)),
        Some(failure) => Err(error::of_code(Code::from(failure), "look up a topic").with("topic", topic)),
        None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
    }
}

fn is_missing(failure: RDKafkaRespErr) -> bool {
    matches!(
        failure,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
    )
}

/// Waits until the brokers' answer is `right`. They agree on topics with a delay; whoever created one wants to use it.
fn wait_for(client: &Client<Quiet>, topic: &str, right: impl Fn(Option<i32>) -> bool) {
    let deadline = Instant::now() + CONTROL_TIMEOUT;
    while Instant::now() < deadline {
        if partitions(client, topic).is_ok_and(&right) {
            return;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Calls until the error is not one to wait out, for at most `patience`.
fn retry<T>(patience: Duration, waits: impl Fn(&Error) -> bool, mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match call() {
            Err(failure) if waits(&failure) && Instant::now() < deadline => std::thread::sleep(LOOK_AGAIN),
            result => return result,
        }
    }
}

/// Offsets of all of `partitions`: -2 asks for the first, -1 for the next.
fn offsets_at(
    client: &Client<Quiet>,
    partitions: &[TopicPartition],
    at: i64,
    read_committed: bool,
) -> Result<Vec<i64>> {
    let what = "list offsets";
    let asked = list::offsets(partitions.iter().map(|partition| (partition, at)))?;
    let found = ffi::admin::list_offsets(client, &asked, read_committed, CONTROL_TIMEOUT)
        .map_err(|failure| error::of_failure(&failure, what))?;
    partitions
        .iter()
        .map(|partition| match found.iter().find(|(found, _)| found == partition) {
            Some((_, Ok(offset))) => Ok(*offset),
            Some((_, Err(code))) => Err(error::of_code(*code, what).with("partition", partition)),
            None => Err(Error::external("Kafka did not list the offsets of a partition").with("partition", partition)),
        })
        .collect()
}

fn group_result(done: Result<ffi::admin::PartitionErrors, Failure>, group: &str, what: &str) -> Result<()> {
    let errors = match done {
        Ok(errors) => errors,
        Err(failure) if failure.code == Code::GroupIdNotFound => return Ok(()),
        Err(failure) => return Err(of_group(failure.code, error::of_failure(&failure, what), group)),
    };
    match errors.into_iter().next() {
        Some((partition, code)) => Err(of_group(code, error::of_code(code, what).with("partition", partition), group)),
        None => Ok(()),
    }
}

/// A group with members refuses offsets from outside, as from a member that it does not know.
fn of_group(code: Code, error: Error, group: &str) -> Error {
    if matches!(
        code,
        Code::UnknownMemberId | Code::NonEmptyGroup | Code::GroupSubscribedToTopic | Code::RebalanceInProgress
    ) {
        return Error::new(
            ErrorKind::Conflict,
            "the group has members, so its offsets cannot be changed; stop them first",
        )
        .with("group", group);
    }
    error.with("group", group)
}
