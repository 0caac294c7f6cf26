//! The course of the learning rate: schedules with PyTorch's definitions, and warm-up before them.
//!
//! A schedule gives a factor of the base rate for each optimizer step, in closed form, so that a
//! resumed run needs no history (the plateau schedule alone keeps some). Lengths are given in epochs
//! and hold fractions of them; a schedule's own clock starts when the warm-up ends, as with PyTorch's
//! `SequentialLR`.
//!
//! Each schedule is one file: its table of the recipe, its [`Course`]. Adding one is a file and a line of the list below.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problems::Problems;
use crate::settings::Goal;

/// The list of the schedules: from a line each follow the table of the recipe, its name, its checks and its course.
macro_rules! schedules {
    ($($(#[$about:meta])* $name:literal $variant:ident = $module:ident::$config:ident;)*) => {
        $(mod $module; pub use $module::$config;)*

        /// The course of the learning rate.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum ScheduleConfig {
            $($(#[$about])* #[serde(rename = $name)] $variant($config),)*
        }

        impl ScheduleConfig {
            /// The names in the recipe.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The name in the recipe.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            fn own(&self) -> &dyn Course {
                match self { $(Self::$variant(config) => config,)* }
            }
        }
    };
}

schedules! {
    /// The base rate throughout.
    "constant" Constant = constant::ConstantConfig;
    /// Multiplied by `factor` every so many epochs (`StepLR`).
    "step" Step = step::StepConfig;
    /// Multiplied by `factor` at each milestone (`MultiStepLR`).
    "multi-step" MultiStep = multi_step::MultiStepConfig;
    /// Multiplied by `factor` each epoch (`ExponentialLR`).
    "exponential" Exponential = exponential::ExponentialConfig;
    /// Half a cosine down to the floor (`CosineAnnealingLR`), or several (`CosineAnnealingWarmRestarts`).
    "cosine" Cosine = cosine::CosineConfig;
    /// `(1 - progress) ^ power` (`PolynomialLR`).
    "polynomial" Polynomial = polynomial::PolynomialConfig;
    /// Up to the base rate and down far below it within the run (`OneCycleLR`).
    "one-cycle" OneCycle = one_cycle::OneCycleConfig;
    /// Multiplied by `factor` when the validation score has stopped improving (`ReduceLROnPlateau`).
    "plateau" Plateau = plateau::PlateauConfig;
}

/// The course that a schedule's table says.
pub trait Course {
    /// The factor of the base rate at a place of the run.
    fn factor(&self, at: Place) -> f64;

    /// What is wrong with its settings.
    fn problems(&self, problems: &mut Problems);

    /// Whether the rate rises by itself in the beginning, so that there is no warm-up before it.
    fn rises(&self) -> bool {
        false
    }

    /// What it makes of a validation score; the new factor where that changes.
    fn observe(&self, state: &mut PlateauState, score: f64, goal: Goal) -> Option<f64> {
        let _ = (state, score, goal);
        None
    }
}

/// A place in a run, after its warm-up.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Optimizer steps since the warm-up.
    pub step: f64,
    /// Optimizer steps from the warm-up to the end.
    pub length: f64,
    /// The steps in epochs.
    pub epochs: f64,
    /// The factor that scores have brought about.
    pub plateau: f64,
}

/// The most epochs that a setting may name.
const EPOCHS: [f64; 2] = [0.0, 1e9];
/// The largest factor of a rate.
const FACTOR: f64 = 10.0;

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Constant(ConstantConfig {})
    }
}

impl ScheduleConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        self.own().problems(&mut problems);
        problems
    }

    /// Whether the rate rises by itself in the beginning, so that there is no warm-up before it.
    pub fn rises(&self) -> bool {
        self.own().rises()
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
        self.config.own().factor(Place {
            step: t,
            length,
            epochs,
            plateau: self.plateau.factor,
        })
    }

    /// Tells a plateau schedule of a validation score; gives the new factor where it changed.
    pub fn observe(&mut self, score: f64) -> Option<f64> {
        let state = &mut self.plateau;
        self.config.own().observe(state, score, self.goal)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> serde_json::Value {
        serde_json::from_str(include_str!("../../fixtures/schedules.json")).unwrap()
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
        assert_pinned("constant", S::Constant(ConstantConfig {}), None, 50);
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
