//! The numbers of one step of each optimizer.

/// Those of Adam and AdamW.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdamStep {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
    /// Added to the gradient, times the parameter.
    pub penalty: f64,
    /// The parameter's factor.
    pub keep: f64,
    /// Learning rate over the mean's bias correction.
    pub size: f64,
    /// One over the root of the squares' bias correction.
    pub correction: f64,
}

/// Those of SGD.
#[cfg(feature = "flex")]
#[derive(Clone, Copy)]
pub(super) struct SgdStep {
    pub rate: f32,
    pub momentum: f32,
    /// Of the gradient in the velocity.
    pub share: f32,
    pub decay: f32,
    pub nesterov: bool,
}
