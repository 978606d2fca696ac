//! Who gets which partitions: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use millrace_api::log::TopicPartition;

/// A member as far as sharing is concerned.
pub(crate) struct Claim<'a> {
    /// What it subscribes to.
    pub(crate) wanted: &'a BTreeSet<TopicPartition>,
    /// What it has.
    pub(crate) owned: &'a BTreeSet<TopicPartition>,
}

/// Shares partitions among members: each to one that wants it, evenly, moving as few as possible. The first members get one more
/// when it does not come out even.
pub(crate) fn assign(members: &[Claim<'_>]) -> Vec<BTreeSet<TopicPartition>> {
    let mut shares = vec![BTreeSet::new(); members.len()];
    let mut all: BTreeMap<&TopicPartition, Option<usize>> = BTreeMap::new();
    for (member, claim) in members.iter().enumerate() {
        for partition in claim.wanted {
            let holder = all.entry(partition).or_default();
            if holder.is_none() && claim.owned.contains(partition) {
                *holder = Some(member);
            }
        }
    }
    for (partition, holder) in &all {
        if let Some(share) = holder.and_then(|member| shares.get_mut(member)) {
            share.insert((*partition).clone());
        }
    }
    for (partition, _) in all.iter().filter(|(_, holder)| holder.is_none()) {
        let least = least_loaded(members, &shares, partition);
        if let Some(share) = least.and_then(|member| shares.get_mut(member)) {
            share.insert((*partition).clone());
        }
    }
    while let Some((partition, from, to)) = unfair(members, &shares) {
        if let Some(share) = shares.get_mut(from) {
            share.remove(&partition);
        }
        if let Some(share) = shares.get_mut(to) {
            share.insert(partition);
        }
    }
    shares
}

fn least_loaded(
    members: &[Claim<'_>],
    shares: &[BTreeSet<TopicPartition>],
    partition: &TopicPartition,
) -> Option<usize> {
    let able = members.iter().zip(shares).enumerate().filter(|(_, (claim, _))| claim.wanted.contains(partition));
    able.min_by_key(|(_, (_, share))| share.len()).map(|(member, _)| member)
}

/// A partition whose move makes the shares more even. Each move lowers the sum of squares, so this ends.
fn unfair(members: &[Claim<'_>], shares: &[BTreeSet<TopicPartition>]) -> Option<(TopicPartition, usize, usize)> {
    let mut loaded: Vec<usize> = (0..shares.len()).collect();
    let load = |member: usize| shares.get(member).map_or(0, BTreeSet::len);
    loaded.sort_by_key(|member| std::cmp::Reverse(load(*member)));
    loaded.into_iter().find_map(|from| {
        shares.get(from)?.iter().rev().find_map(|partition| {
            let to = least_loaded(members, shares, partition)?;
            (load(from) > load(to) + 1).then(|| (partition.clone(), from, to))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(topic: &str, numbers: impl IntoIterator<Item = i32>) -> BTreeSet<TopicPartition> {
        numbers.into_iter().map(|number| TopicPartition::new(topic, number)).collect()
    }

    fn shares(
        wanted: &[BTreeSet<TopicPartition>],
        owned: &[BTreeSet<TopicPartition>],
    ) -> Vec<BTreeSet<TopicPartition>> {
        assign(&wanted.iter().zip(owned).map(|(wanted, owned)| Claim { wanted, owned }).collect::<Vec<_>>())
    }

    #[test]
    fn a_newcomer_gets_half_and_the_rest_stays() {
        let all = partitions("t", 0..4);
        let shared = shares(&[all.clone(), all.clone()], &[all.clone(), BTreeSet::new()]);
        assert_eq!(shared, [partitions("t", 0..2), partitions("t", 2..4)]);
    }

    #[test]
    fn different_subscriptions_are_respected() {
        let (a, b) = (partitions("a", 0..4), partitions("b", 0..2));
        let both = a.union(&b).cloned().collect();
        let shared = shares(&[a, both], &[BTreeSet::new(), BTreeSet::new()]);
        assert_eq!((shared[0].len(), shared[1].len()), (3, 3));
        assert!(b.is_subset(&shared[1]));
    }

    proptest! {
        #[test]
        fn every_partition_once_evenly_and_sticky(owners in proptest::collection::vec(0_usize..6, 0..40), members in 1_usize..6) {
            let all = partitions("t", 0..i32::try_from(owners.len()).unwrap());
            let mut owned = vec![BTreeSet::new(); members];
            for (partition, owner) in all.iter().zip(&owners) {
                if let Some(share) = owned.get_mut(*owner) {
                    share.insert(partition.clone());
                }
            }
            let shared = shares(&vec![all.clone(); members], &owned);
            let sizes: Vec<_> = shared.iter().map(BTreeSet::len).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), all.len());
            prop_assert_eq!(shared.iter().flatten().collect::<BTreeSet<_>>().len(), all.len());
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            let quota = all.len().div_ceil(members);
            for (share, had) in shared.iter().zip(&owned) {
                let kept = share.intersection(had).count();
                prop_assert!(kept + 1 >= had.len().min(quota), "nobody loses what is within its share");
            }
        }
    }
}
