//! What holds of every graph.

use std::time::Duration;

use proptest::prelude::*;
use sloth_workflow::plan::{Backoff, Retries};
use sloth_workflow::{Condition, Event, Outcome, Part, Step, Subject, Task};

use crate::world::{Call, Ran, Reply, World, answers, depending, ends, seconds, texts};

/// A task, and how it will behave.
#[derive(Clone, Debug)]
struct Node {
    on: Vec<usize>,
    if_failed: Vec<usize>,
    detached: bool,
    retries: Retries,
    /// Of one attempt after the other; the last is repeated.
    outcomes: Vec<Outcome>,
    takes: u64,
    run_if: Option<bool>,
    abort_if: Option<bool>,
    hooked: bool,
}

#[derive(Clone, Debug)]
struct Case {
    nodes: Vec<Node>,
    parallel: usize,
    go_on: bool,
    jitter: f64,
}

/// Only towards earlier tasks, so that no circle arises.
fn earlier(index: usize, most: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::btree_set(0..index.max(1), 0..=most.min(index))
        .prop_map(|set| set.into_iter().collect())
}

fn retries() -> impl Strategy<Value = Retries> {
    (
        0_u32..4,
        0_u64..3000,
        any::<bool>(),
        0_u64..5000,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(count, delay, constant, max_delay, jitter, denied)| {
            let mut retries = Retries {
                count,
                delay: Duration::from_millis(delay),
                max_delay: Duration::from_millis(max_delay),
                jitter,
                ..Retries::default()
            };
            if constant {
                retries.backoff = Backoff::Constant;
            }
            if denied {
                retries.on = vec![Outcome::Denied];
            }
            retries
        })
}

fn node(index: usize) -> impl Strategy<Value = Node> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Ok), 2 => Just(Outcome::Changed), 3 => Just(Outcome::Failed),
        1 => Just(Outcome::Denied), 1 => Just(Outcome::TimedOut),
    ];
    (
        earlier(index, 2),
        prop_oneof![2 => Just(Vec::new()), 1 => earlier(index, 2)],
        any::<bool>(),
        retries(),
        prop::collection::vec(outcome, 1..4),
        0_u64..4,
        prop::option::weighted(0.3, prop::bool::weighted(0.7)),
        prop::option::weighted(0.3, prop::bool::weighted(0.3)),
        any::<bool>(),
    )
        .prop_map(
            |(on, if_failed, detached, retries, outcomes, takes, run_if, abort_if, hooked)| Node {
                on,
                if_failed,
                detached,
                retries,
                outcomes,
                takes,
                run_if,
                abort_if,
                hooked,
            },
        )
}

fn case() -> impl Strategy<Value = Case> {
    (1_usize..10, 1_usize..4, any::<bool>(), 0.0..1.0).prop_flat_map(
        |(count, parallel, go_on, jitter)| {
            let nodes: Vec<_> = (0..count).map(node).collect();
            nodes.prop_map(move |nodes| Case {
                nodes,
                parallel,
                go_on,
                jitter,
            })
        },
    )
}

impl Node {
    fn task(&self, index: usize) -> Task {
        let names = |tasks: &[usize]| -> Vec<String> {
            tasks.iter().map(|task| format!("t{task}")).collect()
        };
        let on = names(&self.on);
        let on: Vec<&str> = on.iter().map(String::as_str).collect();
        let from = names(&self.if_failed);
        let from: Vec<&str> = from.iter().map(String::as_str).collect();
        let hooks = [
            Part::PreHook,
            Part::PostHook,
            Part::OnSuccess,
            Part::OnFailure,
        ];
        Task {
            next_if_fail: texts(&from),
            detached: self.detached,
            retries: self.retries.clone(),
            run_if: self.run_if.map(|_| Condition::Function),
            abort_if: self.abort_if.map(|_| Condition::Function),
            hooks: hooks.into_iter().filter(|_| self.hooked).collect(),
            ..depending(&format!("t{index}"), &on)
        }
    }

    fn outcome(&self, attempt: u32) -> Outcome {
        let last = self.outcomes.len() - 1;
        self.outcomes[last.min(attempt as usize - 1)]
    }

    fn reply(&self, step: &Step) -> Reply {
        match step.part {
            Part::RunIf => answers(self.run_if.unwrap()),
            Part::AbortIf => answers(self.abort_if.unwrap()),
            Part::Command => Reply {
                takes: seconds(self.takes),
                ..ends(self.outcome(step.attempt))
            },
            _ => ends(Outcome::Ok),
        }
    }

    /// How it ends when it runs.
    fn last_outcome(&self) -> Outcome {
        let mut attempt = 1;
        while attempt <= self.retries.count && self.retries.on.contains(&self.outcome(attempt)) {
            attempt += 1;
        }
        self.outcome(attempt)
    }

    /// The delay after an attempt, computed another way than the scheduler does.
    fn delay(&self, attempt: u32, jitter: f64) -> f64 {
        let mut delay = self.retries.delay.as_secs_f64();
        if self.retries.backoff == Backoff::Exponential {
            delay =
                (delay * f64::from(attempt - 1).exp2()).min(self.retries.max_delay.as_secs_f64());
        }
        if self.retries.jitter {
            delay *= 0.5 + jitter / 2.0;
        }
        delay
    }
}

impl Case {
    fn world(&self) -> World<'_> {
        let tasks = self.nodes.iter().enumerate();
        let tasks = tasks.map(|(index, node)| node.task(index)).collect();
        let mut world = World::of(tasks, |step| match step.subject {
            Subject::Task(task) => self.nodes[task].reply(step),
            Subject::Workflow => ends(Outcome::Ok),
        });
        world.jitter = self.jitter;
        world.workflow.continue_on_failure = self.go_on;
        world.parallel(self.parallel)
    }

    /// How each task ends when tasks run one after the other.
    fn expected(&self) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        let mut spared: Vec<bool> = Vec::new();
        let mut halted = false;
        for node in &self.nodes {
            spared.push(!node.if_failed.is_empty() || node.on.iter().any(|on| spared[*on]));
            let called = node.if_failed.iter().any(|on| {
                matches!(
                    outcomes[*on],
                    Outcome::Failed | Outcome::Denied | Outcome::TimedOut
                )
            });
            let runs = (!halted || spared.last() == Some(&true))
                && node.on.iter().all(|on| outcomes[*on].succeeded())
                && (node.if_failed.is_empty() || called)
                && node.run_if != Some(false);
            let aborts = runs && node.abort_if == Some(true);
            let outcome = match (runs, aborts) {
                (false, _) => Outcome::Skipped,
                (true, true) => Outcome::Failed,
                (true, false) => node.last_outcome(),
            };
            outcomes.push(outcome);
            halted |= aborts || runs && !outcome.succeeded() && !self.go_on;
        }
        outcomes
    }
}

fn calls_of(ran: &Ran, task: usize) -> impl Iterator<Item = &Call> {
    ran.calls
        .iter()
        .filter(move |call| call.task() == Some(task))
}

/// What holds of every run, however it ended.
fn holds(case: &Case, ran: &Ran) -> Result<(), TestCaseError> {
    let outcomes = &ran.summary.outcomes;
    prop_assert_eq!(ran.finished().len(), case.nodes.len());
    prop_assert!(outcomes.iter().all(Option::is_some));
    for (index, node) in case.nodes.iter().enumerate() {
        for call in calls_of(ran, index) {
            for on in node.on.iter().chain(&node.if_failed) {
                prop_assert!(calls_of(ran, *on).all(|before| before.to <= call.from));
            }
            prop_assert!(node.on.iter().all(|on| outcomes[*on].unwrap().succeeded()));
            let failed = |on: &usize| outcomes[*on].unwrap().is_failure();
            prop_assert!(node.if_failed.is_empty() || node.if_failed.iter().any(failed));
            prop_assert!(call.step.attempt <= 1 + node.retries.count);
        }
        delays_hold(case, ran, index)?;
    }
    let placed = |call: &&Call| {
        call.step.part == Part::Command
            && call.task().is_some_and(|task| !case.nodes[task].detached)
    };
    for moment in ran.calls.iter().map(|call| call.from) {
        let during = |call: &&Call| call.from <= moment && moment < call.to;
        let at_once = ran.calls.iter().filter(placed).filter(during).count();
        prop_assert!(at_once <= case.parallel);
    }
    Ok(())
}

/// Between two attempts lies the delay that was announced, which is the one declared.
fn delays_hold(case: &Case, ran: &Ran, task: usize) -> Result<(), TestCaseError> {
    let name = format!("t{task}");
    for event in &ran.events {
        let Event::StepRetrying {
            task: of,
            attempt,
            delay,
            ..
        } = event
        else {
            continue;
        };
        if of.raw() != name {
            continue;
        }
        let declared = case.nodes[task].delay(*attempt, case.jitter);
        prop_assert!((delay.as_secs_f64() - declared).abs() < 1e-6);
        let attempt_of =
            |number: u32| calls_of(ran, task).filter(move |call| call.step.attempt == number);
        let ended = attempt_of(*attempt).map(|call| call.to).max().unwrap();
        if let Some(next) = attempt_of(attempt + 1).map(|call| call.from).min() {
            prop_assert_eq!(next, ended + *delay);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_run_keeps_the_order_the_places_and_the_delays(case in case()) {
        holds(&case, &case.world().hooks(&[Part::OnStart, Part::OnComplete]).run())?;
    }

    #[test]
    fn one_after_the_other_every_task_ends_as_expected(mut case in case()) {
        case.parallel = 1;
        for node in &mut case.nodes {
            node.detached = false;
        }
        let ran = case.world().run();
        let outcomes: Vec<_> = ran.summary.outcomes.iter().map(|o| o.unwrap()).collect();
        prop_assert_eq!(outcomes, case.expected());
        // One after the other, the run takes as long as its calls and delays together.
        let calls: Duration = ran.calls.iter().map(|call| call.to.saturating_sub(call.from)).sum();
        let delays: Duration = ran.events.iter().map(|event| match event {
            Event::StepRetrying { delay, .. } => *delay,
            _ => Duration::ZERO,
        }).sum();
        prop_assert_eq!(ran.took, calls + delays);
    }

    #[test]
    fn side_by_side_every_task_ends_as_one_after_the_other(mut case in case()) {
        case.go_on = true;
        for node in &mut case.nodes {
            node.abort_if = node.abort_if.map(|_| false);
        }
        let ran = case.world().run();
        let outcomes: Vec<_> = ran.summary.outcomes.iter().map(|o| o.unwrap()).collect();
        prop_assert_eq!(outcomes, case.expected());
    }

    #[test]
    fn after_a_cancel_nothing_starts_and_all_ends(case in case(), at in 0_u64..20) {
        // A moment at which nothing else happens.
        let at = seconds(at) + Duration::from_nanos(333_333);
        let ran = case.world().hooks(&[Part::OnComplete]).cancelled_at(at).run();
        holds(&case, &ran)?;
        prop_assert!(ran.calls.iter().all(|call| call.from < at));
        prop_assert!(ran.took <= at);
        let complete = ran.calls.iter().any(|call| call.step.part == Part::OnComplete);
        prop_assert!(complete || ran.took == at);
    }

    #[test]
    fn after_the_workflows_time_nothing_starts_but_what_undoes_and_all_ends(case in case(), at in 1_u64..20) {
        let mut world = case.world();
        world.workflow.timeout = Some(seconds(at));
        let ran = world.run();
        holds(&case, &ran)?;
        let closing = [Part::OnSuccess, Part::OnFailure, Part::OnTimeout];
        for call in ran.calls.iter().filter(|call| call.from >= seconds(at)) {
            let rescues = call.task().is_some_and(|task| !case.nodes[task].if_failed.is_empty());
            prop_assert!(rescues || closing.contains(&call.step.part), "{:?}", call);
        }
        prop_assert_eq!(ran.summary.counts.cancelled, 0);
    }
}
