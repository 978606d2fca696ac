//! Random interleavings of records, batches, commits, crashes and faults, against the model.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::faults::{ALL, Fault};
use crate::member::{Member, Team};
use crate::model::{Input, hourly};
use crate::windows::{END, finish, records};
use crate::world::{HOUR, World};

#[derive(Debug, Clone)]
enum Op {
    /// Records for a partition: steps of time in minutes, and groups.
    Produce(i32, Vec<(i64, u8)>),
    /// A member handles an event.
    Step(usize),
    /// A member commits.
    Commit(usize),
    /// A member commits, and it goes wrong.
    Fail(usize, Fault),
    /// A member ends without a word, and starts again.
    Crash(usize),
    /// A member stops in an orderly way, and starts again.
    Restart(usize),
    /// All end, and with `true` the tables are lost.
    Blackout(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let member = 0..2_usize;
    let records = prop::collection::vec((-150..100_i64, 0..3_u8), 1..12);
    prop_oneof![
        6 => (0..3, records).prop_map(|(partition, records)| Op::Produce(partition, records)),
        8 => member.clone().prop_map(Op::Step),
        4 => member.clone().prop_map(Op::Commit),
        3 => (member.clone(), prop::sample::select(ALL.to_vec())).prop_map(|(at, fault)| Op::Fail(at, fault)),
        1 => member.clone().prop_map(Op::Crash),
        1 => member.prop_map(Op::Restart),
        1 => any::<bool>().prop_map(Op::Blackout),
    ]
}

struct Run {
    world: World,
    team: Team,
    inputs: Vec<Vec<Input>>,
    /// Latest time in each partition, in minutes.
    clocks: [i64; 3],
}

impl Run {
    async fn start() -> Self {
        let world = World::new(3, &[("group.by", "group")]).await;
        let team = Team::start(&world, 2).await;
        Self { world, team, inputs: vec![Vec::new(); 3], clocks: [1_000; 3] }
    }

    async fn apply(&mut self, op: Op) {
        match op {
            Op::Produce(partition, steps) => self.produce(partition, steps).await,
            Op::Step(at) => {
                if self.team.members[at].step().await.is_err() {
                    self.team.restart(&self.world, at).await;
                }
            }
            Op::Commit(at) => self.commit(at).await,
            Op::Fail(at, fault) => {
                self.world.faults.arm(fault);
                self.commit(at).await;
                self.world.faults.disarm();
            }
            Op::Crash(at) => self.team.restart(&self.world, at).await,
            Op::Restart(at) => {
                let member = self.team.members.remove(at);
                let number = member.number;
                member.stop().await;
                self.team.members.insert(at, Member::start(&self.world, number).await);
            }
            Op::Blackout(_) => {}
        }
    }

    async fn commit(&mut self, at: usize) {
        match self.team.members[at].commit().await {
            Err(error) if !error.is_retriable() => self.team.restart(&self.world, at).await,
            _ => {}
        }
    }

    async fn produce(&mut self, partition: i32, steps: Vec<(i64, u8)>) {
        let index = usize::try_from(partition).expect("a partition");
        let inputs: Vec<Input> = steps
            .into_iter()
            .map(|(step, group)| {
                let at = (self.clocks[index] + step).max(0);
                self.clocks[index] = self.clocks[index].max(at);
                (at * 60_000, format!("g{group}"))
            })
            .collect();
        self.world.produce(partition, &records(&inputs)).await;
        self.inputs[index].extend(inputs);
    }

    async fn blackout(self, forget: bool) -> Self {
        drop(self.team);
        let world = self.world.reopen(forget);
        let team = Team::start(&world, 2).await;
        Self { world, team, ..self }
    }

    async fn finish(mut self) -> Result<(), TestCaseError> {
        finish(&self.world).await;
        self.team.settle(&self.world).await;
        let model = hourly(&self.inputs, HOUR, END);
        prop_assert_eq!(self.world.finals().await, model.finals);
        let mut late: Vec<_> = self.world.read("late").await.into_iter().map(|(at, _)| at).collect();
        late.sort_unstable();
        prop_assert_eq!(late, model.late);
        Ok(())
    }
}

#[test]
fn any_interleaving_gives_what_the_model_gives() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    let mut runner = TestRunner::new(ProptestConfig { max_shrink_iters: 60, ..ProptestConfig::with_cases(cases) });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = runner.run(&prop::collection::vec(op(), 10..60), |ops| {
        runtime.block_on(async {
            let mut run = Run::start().await;
            for op in ops {
                match op {
                    Op::Blackout(forget) => run = run.blackout(forget).await,
                    op => run.apply(op).await,
                }
            }
            run.finish().await
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
