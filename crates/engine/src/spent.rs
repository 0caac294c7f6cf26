//! Where the time of a session goes.

use std::fmt;
use std::time::Instant;

/// Seconds of one session by what they were spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Waiting for the loader's next batch.
    pub data: f64,
    /// Forward and backward passes and the optimizer's update.
    pub steps: f64,
    /// Evaluations on the validation split.
    pub evaluation: f64,
    /// Writing checkpoints.
    pub saving: f64,
    /// All of it, from the first to the last event.
    pub total: f64,
}

impl Spent {
    /// Runs `work` and adds its seconds to one of the fields.
    pub(super) fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        *seconds += started.elapsed().as_secs_f64();
        result
    }

    /// What is left for the loop itself: bookkeeping, progress bars and files of metrics.
    ///
    /// ```
    /// use firesight_engine::Spent;
    ///
    /// let spent = Spent { data: 1.0, steps: 95.0, evaluation: 3.0, saving: 0.5, total: 100.0 };
    /// assert_eq!(spent.rest(), 0.5);
    /// ```
    pub fn rest(&self) -> f64 {
        (self.total - self.data - self.steps - self.evaluation - self.saving).max(0.0)
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |seconds: f64| 100.0 * seconds / self.total.max(f64::MIN_POSITIVE);
        write!(
            f,
            "training steps {:.1} %, waiting for images {:.1} %, validation {:.1} %, checkpoints {:.1} %, \
             the loop itself {:.1} %",
            share(self.steps),
            share(self.data),
            share(self.evaluation),
            share(self.saving),
            share(self.rest())
        )
    }
}
