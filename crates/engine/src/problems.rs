//! What is wrong with the settings of an optimizer or a schedule.

/// A setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key in its table; empty for the table as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// What is wrong with a table, key by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn add(&mut self, key: &str, message: impl Into<String>, help: Option<&str>) {
        self.0.push(Problem {
            key: key.to_owned(),
            message: message.into(),
            help: help.map(str::to_owned),
        });
    }

    /// A number from 0 to below 1.
    pub fn share(&mut self, key: &str, value: f64) {
        if !(0.0..1.0).contains(&value) {
            let message = format!("{value} is out of range");
            self.add(key, message, Some("give 0 or more, below 1"));
        }
    }

    /// A number above 0.
    pub fn above(&mut self, key: &str, value: f64, most: f64) {
        if !(value > 0.0 && value <= most) {
            let message = format!("{value} is not above 0 and at most {most}");
            self.add(key, message, None);
        }
    }

    /// A number between bounds, both included.
    pub fn within(&mut self, key: &str, value: f64, [least, most]: [f64; 2]) {
        if !(least..=most).contains(&value) {
            let message = format!("{value} is not from {least} to {most}");
            self.add(key, message, None);
        }
    }

    /// A whole number between bounds, both included.
    pub fn whole(
        &mut self,
        key: &str,
        value: usize,
        [least, most]: [usize; 2],
        help: Option<&str>,
    ) {
        if !(least..=most).contains(&value) {
            let message = format!("{value} is not from {least} to {most}");
            self.add(key, message, help);
        }
    }

    /// What keeps a division from one by 0.
    pub fn epsilon(&mut self, value: f64) {
        if !(1e-30..=10.0).contains(&value) {
            let message = format!("{value} is not above 0 and at most 10");
            let help = Some("it keeps a division from one by 0; 1e-8 is usual");
            self.add("epsilon", message, help);
        }
    }

    /// Two decays of running means.
    pub fn betas(&mut self, betas: [f64; 2]) {
        for (index, beta) in betas.into_iter().enumerate() {
            self.share(&format!("betas[{index}]"), beta);
        }
    }
}
