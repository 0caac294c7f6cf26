//! Random streams and the draws made from them.
//!
//! Every random decision of the data path comes from a ChaCha8 stream whose 256-bit key spells out what the
//! decision belongs to: the run's seed, the epoch, the position in the epoch's order (or the batch number) and
//! a domain. A stream is made where it is used, so neither the number of workers nor the order in which they
//! work can change a draw. The draws below are written out here instead of being taken from a distribution
//! crate, because a new version of such a crate may consume the stream differently and change every run.
//!
//! ```
//! use firesight_data::random::{Domain, stream, unit};
//!
//! let draw = |position| unit(&mut stream(42, 3, position, Domain::Sample));
//! assert_eq!(draw(17), draw(17)); // whoever asks, in whatever order
//! assert_ne!(draw(17), draw(18));
//! ```

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is used for; part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Domain {
    /// The order of an epoch; the position is 0.
    Order = 1,
    /// The augmentation of one sample; the position is that in the epoch's order.
    Sample = 2,
    /// Operations on a whole batch; the position is the batch number.
    Batch = 3,
    /// Everything that happens once, such as splitting a dataset.
    Once = 4,
    /// What other samples come into a sample; the position is that in the epoch's order.
    Combine = 5,
}

/// The stream of `(seed, epoch, position)` in `domain`.
pub fn stream(seed: u64, epoch: u64, position: u64, domain: Domain) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (part, value) in key
        .chunks_exact_mut(8)
        .zip([seed, epoch, position, domain as u64])
    {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The stream of a purpose and a number, for what is no part of an epoch: held-out samples, composed pictures.
#[cfg(feature = "datasets")]
pub(crate) fn keyed(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(number.to_le_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

/// A number in `[0, 1)` with 53 random bits.
pub fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A number in `[low, high)`; `low` where the two are equal.
pub fn uniform(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(rng)
}

/// A whole number in `0..bound`, every one equally likely; 0 where `bound` is 0 or 1.
///
/// Lemire, "Fast random integer generation in an interval", 2019.
pub fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    let bound = bound as u64;
    if bound <= 1 {
        return 0;
    }
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as usize;
        }
    }
}

/// A whole number from `low` to `high`, both included.
pub fn between(rng: &mut ChaCha8Rng, low: i64, high: i64) -> i64 {
    low + below(rng, (high - low).max(0) as usize + 1) as i64
}

/// True with the given probability.
pub fn coin(rng: &mut ChaCha8Rng, probability: f64) -> bool {
    unit(rng) < probability
}

/// A draw from the standard normal distribution (Box and Muller, 1958).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(rng)).cos()
}

/// A draw from the gamma distribution of the given shape and scale 1 (Marsaglia and Tsang, 2000).
fn gamma(rng: &mut ChaCha8Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = (1.0 - unit(rng)).powf(1.0 / shape);
        return gamma(rng, shape + 1.0) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v <= 0.0 {
            continue;
        }
        let u = 1.0 - unit(rng);
        if u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A draw from Beta(`alpha`, `alpha`), in `[0, 1]`.
pub fn beta(rng: &mut ChaCha8Rng, alpha: f64) -> f64 {
    let (a, b) = (gamma(rng, alpha), gamma(rng, alpha));
    if a + b > 0.0 { a / (a + b) } else { 0.5 }
}

/// Shuffles in place (Fisher and Yates).
pub fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_pinned() {
        let mut rng = stream(42, 3, 7, Domain::Sample);
        let again: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        let mut rng = stream(42, 3, 7, Domain::Sample);
        assert_eq!(again, (0..3).map(|_| rng.next_u64()).collect::<Vec<_>>());
        for other in [
            stream(43, 3, 7, Domain::Sample),
            stream(42, 4, 7, Domain::Sample),
            stream(42, 3, 8, Domain::Sample),
            stream(42, 3, 7, Domain::Batch),
        ] {
            let mut other = other;
            assert_ne!(again[0], other.next_u64());
        }
    }

    #[test]
    fn moments_of_the_draws() {
        let mut rng = stream(1, 0, 0, Domain::Once);
        let count = 20_000;
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / count as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64;
            (mean, variance)
        };
        let (mean, variance) = moments((0..count).map(|_| normal(&mut rng)).collect());
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "normal: {mean} {variance}"
        );
        for alpha in [0.2, 1.0, 3.0] {
            let (mean, variance) = moments((0..count).map(|_| beta(&mut rng, alpha)).collect());
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.015, "beta({alpha}): mean {mean}");
            assert!(
                (variance - expected).abs() < 0.01,
                "beta({alpha}): variance {variance}, expected {expected}"
            );
        }
        let mut counts = [0usize; 7];
        (0..count).for_each(|_| counts[below(&mut rng, 7)] += 1);
        assert!(
            counts
                .iter()
                .all(|&c| (c as f64 - count as f64 / 7.0).abs() < 250.0),
            "{counts:?}"
        );
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut rng = stream(1, 0, 0, Domain::Order);
        let mut items: Vec<usize> = (0..100).collect();
        shuffle(&mut rng, &mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
