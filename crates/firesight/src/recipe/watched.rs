//! Which metric a recipe watches.

use firesight_engine::{Best, Goal, Watched};
use firesight_report::metric::{Better, Metric, Metrics};

/// The metric that names the best checkpoint, of those that the task can give.
pub fn best_metric(best: &Best, metrics: &Metrics) -> Metric {
    match (&best.metric, metrics.0.first()) {
        (Some(key), _) => metrics.of(key),
        (None, Some(main)) => main.clone(),
        (None, None) => metrics.of("loss"),
    }
}

/// What the loop watches: that metric, good in the way that the recipe says, else as is usual.
pub fn watched(best: &Best, metrics: &Metrics) -> Watched {
    let metric = best_metric(best, metrics);
    let goal = best.goal.unwrap_or(match metric.better {
        Some(Better::Lower) => Goal::Min,
        Some(Better::Higher) | None => Goal::Max,
    });
    Watched {
        metric: metric.key,
        goal,
        needs: metric.needs,
    }
}
