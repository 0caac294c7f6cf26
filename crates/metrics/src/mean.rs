//! The running mean of a loss or of any other number.

/// A weighted mean, summed in `f64` with compensation (Neumaier), so that a million small losses keep their digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    lost: f64,
    weight: f64,
}

impl Mean {
    /// No value yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value that stands for `weight` samples: a batch's mean loss with the batch's size.
    pub fn add(&mut self, value: f64, weight: f64) {
        let x = value * weight;
        let sum = self.sum + x;
        self.lost += match self.sum.abs() >= x.abs() {
            true => (self.sum - sum) + x,
            false => (x - sum) + self.sum,
        };
        self.sum = sum;
        self.weight += weight;
    }

    /// Adds what another accumulator has gathered.
    pub fn merge(&mut self, other: &Mean) {
        if other.weight > 0.0 {
            self.add((other.sum + other.lost) / other.weight, other.weight);
        }
    }

    /// The mean, `None` before the first value of positive weight. A NaN among the values makes it NaN.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| match self.sum.is_finite() {
            true => (self.sum + self.lost) / self.weight,
            // The compensation of an infinite sum is NaN.
            false => self.sum / self.weight,
        })
    }

    /// The sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_and_merges() {
        let (mut a, mut b) = (Mean::new(), Mean::new());
        assert_eq!(a.mean(), None);
        a.add(1.0, 3.0);
        b.add(5.0, 1.0);
        a.merge(&b);
        a.merge(&Mean::new());
        assert_eq!(a.mean(), Some(2.0));
        assert_eq!(a.weight(), 4.0);
        a.add(f64::NAN, 1.0);
        assert!(a.mean().unwrap().is_nan());
    }

    #[test]
    fn keeps_what_a_plain_sum_loses() {
        let mut mean = Mean::new();
        for x in [1e16, 1.0, -1e16, 1.0] {
            mean.add(x, 1.0);
        }
        assert_eq!(mean.mean(), Some(0.5));
    }

    #[test]
    fn an_infinite_loss_stays_infinite() {
        let mut mean = Mean::new();
        mean.add(f64::INFINITY, 1.0);
        mean.add(1.0, 1.0);
        assert_eq!(mean.mean(), Some(f64::INFINITY));
    }
}
