//! The course of the learning rate: schedules with PyTorch's definitions, and warm-up before them.
//!
//! A schedule gives a factor of the base rate for each optimizer step, in closed form, so that a
//! resumed run needs no history (the plateau schedule alone keeps some). Lengths are given in epochs
//! and hold fractions of them; a schedule's own clock starts when the warm-up ends, as with PyTorch's
//! `SequentialLR`.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Goal;

/// The course of the learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The base rate throughout.
    Constant {},
    /// Multiplied by `factor` every so many epochs (`StepLR`).
    Step(StepConfig),
    /// Multiplied by `factor` at each milestone (`MultiStepLR`).
    MultiStep(MultiStepConfig),
    /// Multiplied by `factor` each epoch (`ExponentialLR`).
    Exponential(ExponentialConfig),
    /// Half a cosine down to the floor (`CosineAnnealingLR`), or several (`CosineAnnealingWarmRestarts`).
    Cosine(CosineConfig),
    /// `(1 - progress) ^ power` (`PolynomialLR`).
    Polynomial(PolynomialConfig),
    /// Up to the base rate and down far below it within the run (`OneCycleLR`).
    OneCycle(OneCycleConfig),
    /// Multiplied by `factor` when the validation score has stopped improving (`ReduceLROnPlateau`).
    Plateau(PlateauConfig),
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Constant {}
    }
}

/// Multiplied by `factor` every so many epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepConfig {
    /// Epochs between two changes.
    pub every_epochs: f64,
    /// What the rate is multiplied by.
    #[serde(default = "tenth")]
    pub factor: f64,
}

/// Multiplied by `factor` at each milestone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MultiStepConfig {
    /// The epochs at which the rate changes, rising.
    pub milestones: Vec<f64>,
    /// What the rate is multiplied by.
    #[serde(default = "tenth")]
    pub factor: f64,
}

/// Multiplied by `factor` each epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExponentialConfig {
    /// What the rate is multiplied by each epoch.
    pub factor: f64,
}

fn tenth() -> f64 {
    0.1
}

/// Half a cosine down to the floor, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CosineConfig {
    /// The lowest rate, as a share of the base rate.
    pub floor: f64,
    /// Epochs until the rate starts anew from the base; without it one cosine spans the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_epochs: Option<f64>,
    /// What each cycle is longer by than the one before it.
    pub restart_factor: u32,
}

impl Default for CosineConfig {
    fn default() -> Self {
        Self {
            floor: 0.0,
            restart_epochs: None,
            restart_factor: 1,
        }
    }
}

/// `(1 - progress) ^ power`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PolynomialConfig {
    /// The exponent; 1 is a straight line.
    pub power: f64,
}

impl Default for PolynomialConfig {
    fn default() -> Self {
        Self { power: 1.0 }
    }
}

/// Up to the base rate and down far below it within the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OneCycleConfig {
    /// The share of the run in which the rate rises.
    pub rise: f64,
    /// The first rate is the base rate divided by this.
    pub start_divisor: f64,
    /// The last rate is the first rate divided by this.
    pub end_divisor: f64,
}

impl Default for OneCycleConfig {
    fn default() -> Self {
        Self {
            rise: 0.3,
            start_divisor: 25.0,
            end_divisor: 1e4,
        }
    }
}

/// Multiplied by `factor` when the validation score has stopped improving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PlateauConfig {
    /// What the rate is multiplied by.
    pub factor: f64,
    /// Evaluations without improvement that are borne; the rate falls at the next one.
    pub patience: u64,
    /// The share of the best score that a new one must be better by (PyTorch's `threshold_mode = "rel"`). The best score
    /// stays where it is until it is beaten by that. 0 or more.
    pub threshold: f64,
    /// Evaluations after a change in which none is counted as bad.
    pub cooldown: u64,
    /// The lowest rate, as a share of the base rate.
    pub floor: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            floor: 0.0,
        }
    }
}

/// A rise of the learning rate before the schedule begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Warmup {
    /// Its length in epochs.
    pub epochs: f64,
    /// Its length in optimizer steps; counts instead of `epochs` if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The first step's share of the base rate.
    pub start_factor: f64,
}

impl Default for Warmup {
    fn default() -> Self {
        Self {
            epochs: 1.0,
            steps: None,
            start_factor: 0.01,
        }
    }
}

/// What the plateau schedule remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    factor: f64,
    best: Option<f64>,
    bad: u64,
    cooldown: u64,
}

/// A schedule for a run of known length.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    start_factor: f64,
    warmup_steps: u64,
    total_steps: u64,
    steps_per_epoch: f64,
    goal: Goal,
    plateau: PlateauState,
}

impl Schedule {
    /// A schedule for `total_steps` optimizer steps; `goal` is that of the score which a plateau
    /// schedule watches.
    pub fn new(
        config: ScheduleConfig,
        warmup: Option<&Warmup>,
        total_steps: u64,
        steps_per_epoch: u64,
        goal: Goal,
    ) -> Self {
        let steps_per_epoch = steps_per_epoch as f64;
        let warmup_steps = warmup.map_or(0, |warmup| {
            warmup
                .steps
                .unwrap_or((warmup.epochs * steps_per_epoch).round() as u64)
        });
        Self {
            config,
            start_factor: warmup.map_or(1.0, |warmup| warmup.start_factor),
            warmup_steps,
            total_steps,
            steps_per_epoch,
            goal,
            plateau: PlateauState {
                factor: 1.0,
                best: None,
                bad: 0,
                cooldown: 0,
            },
        }
    }

    /// The factor of the base rate for the optimizer step of the given number, from 0.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            let progress = step as f64 / self.warmup_steps as f64;
            return self.start_factor + (1.0 - self.start_factor) * progress;
        }
        let t = (step - self.warmup_steps) as f64;
        let length = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let epochs = t / self.steps_per_epoch;
        match &self.config {
            ScheduleConfig::Constant {} => 1.0,
            ScheduleConfig::Step(c) => c.factor.powf((epochs / c.every_epochs).floor()),
            ScheduleConfig::MultiStep(c) => {
                let passed = c.milestones.iter().filter(|m| epochs >= **m).count();
                c.factor.powi(passed as i32)
            }
            ScheduleConfig::Exponential(c) => c.factor.powf(epochs.floor()),
            ScheduleConfig::Cosine(c) => {
                let progress = match c.restart_epochs {
                    None => (t / length).min(1.0),
                    Some(first) => cycle_progress(epochs, first, c.restart_factor),
                };
                c.floor + (1.0 - c.floor) * (1.0 + (PI * progress).cos()) / 2.0
            }
            ScheduleConfig::Polynomial(c) => (1.0 - (t / length).min(1.0)).powf(c.power),
            ScheduleConfig::OneCycle(c) => one_cycle(c, t, length),
            ScheduleConfig::Plateau(_) => self.plateau.factor,
        }
    }

    /// Tells a plateau schedule of a validation score; gives the new factor where it changed.
    pub fn observe(&mut self, score: f64) -> Option<f64> {
        let ScheduleConfig::Plateau(config) = &self.config else {
            return None;
        };
        let state = &mut self.plateau;
        let better = match (state.best, self.goal) {
            (None, _) => score.is_finite(),
            (Some(best), Goal::Max) => score > best * (1.0 + config.threshold),
            (Some(best), Goal::Min) => score < best * (1.0 - config.threshold),
        };
        if better {
            state.best = Some(score);
            state.bad = 0;
        } else {
            state.bad += 1;
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad = 0;
        }
        if state.bad <= config.patience {
            return None;
        }
        state.cooldown = config.cooldown;
        state.bad = 0;
        let lower = (state.factor * config.factor).max(config.floor);
        let changed = lower < state.factor;
        state.factor = lower;
        changed.then_some(lower)
    }

    /// What a checkpoint keeps of the schedule.
    pub fn state(&self) -> PlateauState {
        self.plateau.clone()
    }

    /// Puts back what [`Schedule::state`] gave.
    pub fn load_state(&mut self, state: PlateauState) {
        self.plateau = state;
    }
}

/// The progress within the present cycle, 0 to below 1.
fn cycle_progress(epochs: f64, first: f64, factor: u32) -> f64 {
    let mut length = first;
    let mut start = 0.0;
    while epochs >= start + length && length > 0.0 {
        start += length;
        length *= f64::from(factor.max(1));
    }
    (epochs - start) / length
}

/// PyTorch's `OneCycleLR` with cosine annealing, relative to the peak.
fn one_cycle(config: &OneCycleConfig, t: f64, length: f64) -> f64 {
    let first = 1.0 / config.start_divisor;
    let last = first / config.end_divisor;
    let peak = config.rise * length - 1.0;
    let anneal = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * (1.0 + (PI * share.clamp(0.0, 1.0)).cos())
    };
    if t <= peak {
        anneal(first, 1.0, t / peak)
    } else {
        anneal(1.0, last, (t - peak) / (length - 1.0 - peak))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> serde_json::Value {
        serde_json::from_str(include_str!("../fixtures/schedules.json")).unwrap()
    }

    fn floats(value: &serde_json::Value) -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect()
    }

    /// An epoch of one step, so that PyTorch's schedules, which count calls, say the same.
    fn assert_pinned(name: &str, config: ScheduleConfig, warmup: Option<Warmup>, total: u64) {
        let schedule = Schedule::new(config, warmup.as_ref(), total, 1, Goal::Max);
        for (step, expected) in floats(&fixture()[name]).into_iter().enumerate() {
            let factor = schedule.factor(step as u64);
            assert!(
                (factor - expected).abs() < 1e-9,
                "{name}, step {step}: {factor} {expected}"
            );
        }
    }

    #[test]
    fn the_first_fifty_values_are_pytorchs() {
        use ScheduleConfig as S;
        assert_pinned("constant", S::Constant {}, None, 50);
        assert_pinned(
            "step",
            S::Step(StepConfig {
                every_epochs: 7.0,
                factor: 0.5,
            }),
            None,
            50,
        );
        let milestones = vec![10.0, 25.0, 40.0];
        let multi_step = MultiStepConfig {
            milestones,
            factor: 0.1,
        };
        assert_pinned("multi_step", S::MultiStep(multi_step), None, 50);
        assert_pinned(
            "exponential",
            S::Exponential(ExponentialConfig { factor: 0.95 }),
            None,
            50,
        );
        let cosine = CosineConfig {
            floor: 0.01,
            ..CosineConfig::default()
        };
        assert_pinned("cosine", S::Cosine(cosine), None, 50);
        let restarts = CosineConfig {
            floor: 0.05,
            restart_epochs: Some(6.0),
            restart_factor: 2,
        };
        assert_pinned("cosine_restarts", S::Cosine(restarts), None, 50);
        assert_pinned(
            "polynomial",
            S::Polynomial(PolynomialConfig { power: 0.9 }),
            None,
            50,
        );
        // PyTorch's one-cycle reaches its last rate in the step after the last but one.
        assert_pinned(
            "one_cycle",
            S::OneCycle(OneCycleConfig::default()),
            None,
            51,
        );
        let warmup = Warmup {
            steps: Some(10),
            start_factor: 0.1,
            ..Warmup::default()
        };
        assert_pinned(
            "warmup_cosine",
            S::Cosine(CosineConfig::default()),
            Some(warmup),
            50,
        );
    }

    /// Each score is better by half of the threshold: every other one counts, as in PyTorch, whose reference stays. A
    /// score that is no number counts as bad, also as the first one.
    #[test]
    fn a_plateau_is_left_by_small_steps() {
        let config = PlateauConfig {
            factor: 0.5,
            patience: 1,
            threshold: 0.1,
            ..PlateauConfig::default()
        };
        let changes = |scores: &[f64], goal| -> Vec<Option<f64>> {
            let config = ScheduleConfig::Plateau(config.clone());
            let mut schedule = Schedule::new(config, None, 50, 1, goal);
            scores
                .iter()
                .map(|score| schedule.observe(*score))
                .collect()
        };
        let falling = [1.0, 0.95, 0.89, 0.84, 0.80];
        assert_eq!(changes(&falling, Goal::Min), [None; 5]);
        let flat = [1.0, 0.95, 0.91];
        assert_eq!(changes(&flat, Goal::Min), [None, None, Some(0.5)]);
        let broken = [f64::NAN, f64::NAN, 0.5, 0.6];
        assert_eq!(changes(&broken, Goal::Max), [None, Some(0.5), None, None]);
    }

    #[test]
    fn the_plateau_schedule_is_pytorchs() {
        let config = PlateauConfig {
            factor: 0.5,
            patience: 3,
            cooldown: 2,
            floor: 0.1,
            ..PlateauConfig::default()
        };
        let config = ScheduleConfig::Plateau(config);
        let mut schedule = Schedule::new(config, None, 50, 1, Goal::Max);
        let fixture = fixture();
        let scores = floats(&fixture["plateau_scores"]);
        for (step, expected) in floats(&fixture["plateau"]).into_iter().enumerate() {
            let factor = schedule.factor(step as u64);
            assert!(
                (factor - expected).abs() < 1e-9,
                "step {step}: {factor} {expected}"
            );
            schedule.observe(scores[step]);
            // What a checkpoint keeps is enough to go on from.
            let state = schedule.state();
            schedule.load_state(state);
        }
    }
}
