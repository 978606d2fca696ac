//! Random histories, and what must hold in and after each.

use std::collections::BTreeMap;

use millrace_api::config::Props;

use super::world::{BYSTANDER, Run, World, made};
use super::{Protocol, Request, TargetState, TaskId, Wanted, props};

const NAMES: [&str; 3] = ["a", "b", "c-1"];

fn config(name: &str, tasks: usize, version: usize) -> Props {
    props(&[("name", name), ("connector.class", "Sim"), ("n", &tasks.to_string()), ("v", &version.to_string())])
}

fn put(name: &str, tasks: usize, version: usize) -> Request {
    Request::Put { name: name.to_owned(), config: config(name, tasks, version), target: None, replace: true }
}

fn request(world: &mut World) -> Request {
    let name = NAMES[world.rng.below(NAMES.len())].to_owned();
    let (tasks, version) = (1 + world.rng.below(4), world.rng.below(3));
    let targets = [TargetState::Started, TargetState::Paused, TargetState::Stopped];
    match world.rng.below(12) {
        0..5 => put(&name, tasks, version),
        5 => Request::Delete { name },
        6..9 => Request::Target { name, target: targets[world.rng.below(3)] },
        9 => Request::Restart { name, include_tasks: true, only_failed: world.rng.one_in(2) },
        10 => Request::Restart { name, include_tasks: false, only_failed: false },
        _ => Request::RestartTask { id: TaskId::new(name, 0) },
    }
}

/// Everything that can happen without new faults happens.
fn quiet(world: &mut World) {
    world.rough = false;
    for at in 0..world.workers.len() {
        if world.workers[at].is_none() {
            world.boot(at);
        }
    }
    world.expire(None);
    for _ in 0..200_000 {
        let living = world.living();
        let start = world.rng.below(living.len());
        let moved = (0..living.len()).any(|offset| world.progress(living[(start + offset) % living.len()]));
        if !moved && !world.wait() {
            return;
        }
    }
    panic!("it never comes to rest");
}

/// Exactly what should run does, once, with what was committed.
fn check_rest(world: &World) {
    assert!(world.open.is_empty(), "requests without an answer: {:?}", world.open);
    let config = world.workers[0].as_ref().unwrap().machine.config();
    let seen = |config: &crate::storage::config::ClusterConfig| {
        let connectors = config.connectors().map(|(name, state)| {
            (name.to_owned(), state.config.clone(), state.target, state.applied.clone(), state.tasks().to_vec())
        });
        (config.offset(), connectors.collect::<Vec<_>>())
    };
    for worker in world.workers.iter().flatten() {
        assert_eq!(seen(worker.machine.config()), seen(config), "everybody has read the same");
    }
    let mut tasks: BTreeMap<TaskId, Vec<(usize, Run)>> = BTreeMap::new();
    let mut connectors: BTreeMap<String, Vec<(usize, Run)>> = BTreeMap::new();
    for (at, worker) in world.workers.iter().enumerate() {
        let worker = worker.as_ref().unwrap();
        for (id, run) in &worker.tasks {
            tasks.entry(id.clone()).or_default().push((at, run.clone()));
        }
        for (name, run) in &worker.connectors {
            connectors.entry(name.clone()).or_default().push((at, run.clone()));
        }
    }
    for (name, state) in config.connectors() {
        let now = state.config.clone().unwrap();
        let running = connectors.remove(name).unwrap_or_default();
        let expected = usize::from(state.target == TargetState::Started);
        assert_eq!(running.len(), expected, "connector {name} with target {:?}", state.target);
        if state.target == TargetState::Started {
            assert_eq!(running[0].1.config, *now, "connector {name} runs with its configuration");
            let committed: Vec<_> = state.tasks().iter().map(|config| Props::clone(config)).collect();
            assert_eq!(committed, made(&now), "tasks of {name} are those of its configuration");
            assert_eq!(state.applied.as_ref(), Some(&now), "tasks of {name} were made from its configuration");
        }
        if state.target == TargetState::Stopped {
            assert!(state.tasks().is_empty(), "a stopped connector has no tasks");
        }
        for (task, own) in state.tasks().iter().enumerate() {
            let id = TaskId::new(name, i32::try_from(task).unwrap());
            let running = tasks.remove(&id).unwrap_or_default();
            assert_eq!(running.len(), 1, "{id} with target {:?}", state.target);
            let (at, run) = &running[0];
            assert_eq!((&run.config, Some(&run.connector)), (&**own, state.applied.as_deref()), "{id}");
            let paused = state.target == TargetState::Paused;
            assert_eq!(run.wanted, if paused { Wanted::Paused } else { Wanted::Running }, "{id}");
            for worker in world.workers.iter().flatten() {
                let seen = worker.machine.connector_status(name).unwrap();
                let (_, status) = seen.tasks.iter().find(|(number, _)| *number == id.task).expect("a state");
                let expected = if paused { super::State::Paused } else { super::State::Running };
                assert_eq!(
                    (status.state, status.worker_id.as_str()),
                    (expected, format!("w{at}:8083").as_str()),
                    "{id}"
                );
            }
        }
    }
    assert!(tasks.is_empty() && connectors.is_empty(), "nothing else runs: {tasks:?} {connectors:?}");
}

fn history(seed: u64, protocols: Vec<Protocol>, faults: bool) -> (usize, usize) {
    let mut world = World::new(seed, protocols);
    world.rough = faults;
    world.boot(0);
    world.ask(0, put(BYSTANDER, 3, 0));
    for _ in 0..400 {
        let count = world.workers.len();
        let at = world.rng.below(count);
        match world.rng.below(if faults { 60 } else { 48 }) {
            0..3 if world.living().contains(&at) => {
                let request = request(&mut world);
                world.ask(at, request);
            }
            3 if world.workers[at].is_none() => world.boot(at),
            4 => {
                world.wait();
            }
            48 if world.living().len() > 1 && at != 0 => world.crash(at),
            49 => world.expire(None),
            50 => world.expire(Some(at)),
            _ => {
                world.progress(at);
            }
        }
    }
    quiet(&mut world);
    check_rest(&world);
    // What lies still stays so, and goes on working.
    let at = world.rng.below(world.workers.len());
    world.ask(at, put("d", 2, 0));
    quiet(&mut world);
    check_rest(&world);
    (world.answered, world.elsewhere)
}

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("MILLRACE_MODEL_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(60);
    let first = std::env::var("MILLRACE_MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    first.map_or(1..count + 1, |first| first..first + 1)
}

fn histories(protocols: &[Protocol], faults: bool) {
    let mut total = (0, 0);
    for seed in seeds() {
        let run = std::panic::AssertUnwindSafe(|| history(seed, protocols.to_vec(), faults));
        match std::panic::catch_unwind(run) {
            Ok((answered, elsewhere)) => total = (total.0 + answered, total.1 + elsewhere),
            Err(panic) => {
                eprintln!("seed {seed} (MILLRACE_MODEL_SEED={seed} runs it alone), {protocols:?}, faults: {faults}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(total.1 < total.0, "most requests are carried out where they are made: {total:?}");
}

#[test]
fn alone() {
    histories(&[Protocol::Sessioned], false);
    histories(&[Protocol::Sessioned], true);
}

#[test]
fn cooperative_without_faults() {
    histories(&[Protocol::Sessioned; 3], false);
}

#[test]
fn cooperative_with_crashes_and_lost_sessions() {
    histories(&[Protocol::Sessioned; 3], true);
}

#[test]
fn eager() {
    histories(&[Protocol::Eager; 3], false);
    histories(&[Protocol::Eager; 3], true);
}
