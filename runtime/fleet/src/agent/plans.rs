//! Plans that the agent made lately. A plan follows from its bundle alone (the clock and the randomness that a file
//! sees while it is loaded are the bundle's), so that runs of one bundle need one between them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloth_policy::Limits;
use sloth_workflow::Plan;
use tokio::sync::Semaphore;

/// Most plans that are remembered.
const MOST: usize = 32;
/// Most bytes of what they were read from; one that takes more by itself is not remembered.
const MOST_BYTES: usize = 8 << 20;

/// What a plan was made of: the digest of the bundle, and the ceilings that it was loaded under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) bundle: String,
    pub(super) limits: Limits,
}

pub(super) struct Plans {
    /// The sandbox has room for one that plans.
    turn: Semaphore,
    recent: Mutex<Recent>,
}

/// The latest used come last.
#[derive(Default)]
struct Recent {
    plans: VecDeque<(Origin, Arc<Plan>)>,
    bytes: usize,
}

impl Plans {
    pub(super) fn none() -> Self {
        Self {
            turn: Semaphore::new(1),
            recent: Mutex::default(),
        }
    }

    /// The plan of an origin: the one that is remembered, else the one that is made now. What could not be made is
    /// tried again by the next who asks.
    pub(super) async fn of<E>(
        &self,
        origin: Origin,
        make: impl Future<Output = Result<Plan, E>>,
    ) -> Result<Arc<Plan>, E> {
        if let Some(plan) = self.recent().find(&origin) {
            return Ok(plan);
        }
        let _turn = self.turn.acquire().await;
        // Another run of the same bundle may have had its turn meanwhile.
        if let Some(plan) = self.recent().find(&origin) {
            return Ok(plan);
        }
        let plan = Arc::new(make.await?);
        self.recent().keep(origin, &plan);
        Ok(plan)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn find(&mut self, origin: &Origin) -> Option<Arc<Plan>> {
        let place = self.plans.iter().position(|(of, _)| of == origin)?;
        let found = self.plans.remove(place)?;
        let plan = Arc::clone(&found.1);
        self.plans.push_back(found);
        Some(plan)
    }

    fn keep(&mut self, origin: Origin, plan: &Arc<Plan>) {
        let size = plan.cbor().len();
        if size > MOST_BYTES {
            return;
        }
        self.plans.push_back((origin, Arc::clone(plan)));
        self.bytes += size;
        while self.plans.len() > MOST || self.bytes > MOST_BYTES {
            let Some((_, gone)) = self.plans.pop_front() else {
                break;
            };
            self.bytes -= gone.cbor().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use sloth_policy::Policy;
    use sloth_workflow::Value;

    use super::*;

    fn origin(bundle: &str) -> Origin {
        Origin {
            bundle: bundle.to_owned(),
            limits: Policy::nothing().limits().clone(),
        }
    }

    /// Asks for plans, and counts those that had to be made.
    struct Asker {
        plans: Plans,
        made: Cell<usize>,
    }

    impl Asker {
        async fn ask(&self, origin: Origin) {
            let make = async {
                self.made.set(self.made.get() + 1);
                plan()
            };
            self.plans.of(origin, make).await.unwrap();
        }
    }

    fn plan() -> Result<Plan, String> {
        let list = |values| Value::List(values);
        let plan = Value::Map([("workflows".to_owned(), list(Vec::new()))].into());
        Plan::from_value(&plan, "w.sloth").map_err(|error| error.to_string())
    }

    fn asker() -> Asker {
        Asker {
            plans: Plans::none(),
            made: Cell::new(0),
        }
    }

    #[tokio::test]
    async fn a_bundle_is_planned_once_and_again_under_other_ceilings() {
        let asker = asker();
        asker.ask(origin("a")).await;
        asker.ask(origin("a")).await;
        assert_eq!(asker.made.get(), 1);
        asker.ask(origin("b")).await;
        let mut other = origin("a");
        other.limits.concurrent_steps += 1;
        asker.ask(other).await;
        assert_eq!(asker.made.get(), 3);
    }

    #[tokio::test]
    async fn the_longest_unused_plan_goes_first() {
        let asker = asker();
        for bundle in 0..MOST {
            asker.ask(origin(&bundle.to_string())).await;
        }
        asker.ask(origin("0")).await;
        asker.ask(origin("one more")).await;
        assert_eq!(asker.made.get(), MOST + 1);
        asker.ask(origin("0")).await;
        assert_eq!(asker.made.get(), MOST + 1, "it was used lately");
        asker.ask(origin("1")).await;
        assert_eq!(asker.made.get(), MOST + 2, "it had to go");
    }

    #[tokio::test]
    async fn what_could_not_be_planned_is_tried_again() {
        let plans = Plans::none();
        let failed = plans.of(origin("a"), async { Err("no") }).await;
        assert_eq!(failed.err(), Some("no"));
        assert!(plans.of(origin("a"), async { plan() }).await.is_ok());
    }
}
