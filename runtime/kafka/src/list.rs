//! Partitions and offsets, as librdkafka wants them.

use millrace_api::error::{Error, Result};
use millrace_api::log::TopicPartition;
use rdkafka::Offset;
use rdkafka::topic_partition_list::TopicPartitionList;

/// A list of partitions without offsets.
pub(crate) fn partitions<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(name(&partition.topic)?, partition.partition);
    }
    Ok(list)
}

/// A list of partitions with offsets; -2 is the beginning, -1 the end.
pub(crate) fn offsets<'a>(offsets: impl IntoIterator<Item = (&'a TopicPartition, i64)>) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(name(&partition.topic)?, partition.partition, self::offset(offset)?)
            .map_err(|_| out_of_range(partition, offset))?;
    }
    Ok(list)
}

/// The partitions of a list.
pub(crate) fn taken(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

/// A topic name that can be given to C, which ends names at a NUL.
pub(crate) fn name(topic: &str) -> Result<&str> {
    if topic.is_empty() || topic.contains('\0') {
        return Err(Error::config(
            "a topic name is empty or contains a NUL character; use letters, digits, '.', '_' and '-'",
        ));
    }
    Ok(topic)
}

fn offset(offset: i64) -> Result<Offset> {
    match offset {
        -2 => Ok(Offset::Beginning),
        -1 => Ok(Offset::End),
        0.. => Ok(Offset::Offset(offset)),
        _ => Err(Error::config(format!(
            "{offset} is no offset; use -2 for the beginning, -1 for the end, or 0 and above"
        ))),
    }
}

fn out_of_range(partition: &TopicPartition, offset: i64) -> Error {
    Error::config(format!("{offset} is no offset")).with("partition", partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_survive_the_way_and_nonsense_is_refused() {
        let given = [(TopicPartition::new("a", 0), 7), (TopicPartition::new("b", 3), -2)];
        let list = offsets(given.iter().map(|(partition, offset)| (partition, *offset))).unwrap();
        let back: Vec<_> = list.elements().iter().map(|e| (e.topic().to_owned(), e.partition(), e.offset())).collect();
        assert_eq!(back, [("a".into(), 0, Offset::Offset(7)), ("b".into(), 3, Offset::Beginning)]);
        assert!(offsets([(&TopicPartition::new("a", 0), -7)]).is_err());
        assert!(partitions([&TopicPartition::new("a\0b", 0)]).is_err());
    }
}
