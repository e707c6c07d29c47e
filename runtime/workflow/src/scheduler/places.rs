//! How many tasks may run at once.

use crate::Workflow;

/// The places of a workflow, and who holds them.
pub(super) struct Places<'a> {
    workflow: &'a Workflow,
    free: usize,
    /// For each number of a task how many copies of it run.
    running: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn of(workflow: &'a Workflow) -> Self {
        let numbers = workflow.tasks.iter().map(|task| task.number + 1).max();
        Self {
            workflow,
            free: workflow.max_parallel_tasks.max(1),
            running: vec![0; numbers.unwrap_or(0)],
        }
    }

    /// Copies of a task that runs already need no further place, only room within the limit.
    pub(super) fn has_one_for(&self, task: usize) -> bool {
        match self.running[self.workflow.tasks[task].number] {
            0 => self.free > 0,
            running => self.workflow.limit == 0 || running < self.workflow.limit,
        }
    }

    pub(super) fn take(&mut self, task: usize) {
        let task = &self.workflow.tasks[task];
        if self.running[task.number] == 0 && !task.detached {
            self.free -= 1;
        }
        self.running[task.number] += 1;
    }

    pub(super) fn give_back(&mut self, task: usize) {
        let task = &self.workflow.tasks[task];
        self.running[task.number] -= 1;
        if self.running[task.number] == 0 && !task.detached {
            self.free += 1;
        }
    }
}
