//! What a run that is taken up again has of the run before: the ends of all calls of steps that succeeded there.
//! Its scheduler comes to the same calls, and finds them answered.

use std::collections::{BTreeMap, BTreeSet};

use sloth_workflow::Outcome;

use super::dispatch::CallKey;
use super::request::{self, Wanted};
use crate::master::Core;
use crate::store::master::{Call, Error};

impl Core {
    /// Gives the run what it has of the one before. Done once more, it changes nothing.
    pub(crate) async fn adopt(&self, wanted: &Wanted) -> Result<(), Error> {
        let Some(earlier) = &wanted.request.after else {
            return Ok(());
        };
        // One that is not kept any more, or cannot be read, has nothing to give: then everything runs again.
        let Ok(Ok(before)) = request::wanted(&self.store, earlier).await else {
            return Ok(());
        };
        let steps = self.store.steps(earlier).await?;
        let good: BTreeSet<(String, String)> = steps
            .into_iter()
            .filter(|step| step.outcome.is_some_and(Outcome::succeeded))
            .map(|step| (step.task.raw().to_owned(), step.target))
            .collect();
        let now: BTreeMap<&str, u32> = wanted
            .pipelines
            .iter()
            .zip(0..)
            .map(|(pipeline, index)| (pipeline.target.as_str(), index))
            .collect();
        let calls = self.store.ended_calls(earlier).await?;
        let calls = calls.into_iter().filter_map(|call| {
            let key = CallKey::read(&call.key)?;
            let pipeline = before.pipelines.get(key.pipeline as usize)?;
            let index = *now.get(pipeline.target.as_str())?;
            // What frames a workflow is done again.
            let task = pipeline.workflow.tasks.get(key.task?)?;
            let target = task.target.as_ref().unwrap_or(&pipeline.target);
            let succeeded = good.contains(&(task.name.raw().to_owned(), target.clone()));
            let key = CallKey {
                pipeline: index,
                ..key
            };
            succeeded.then(|| Call {
                key: key.to_string(),
                ..call
            })
        });
        let calls = calls.collect();
        self.store.adopt(&wanted.id, earlier, calls).await
    }
}
