//! Latent vectors drawn on the host, so that a seed means the same images on every backend.

use burn::tensor::{Device, Int, Tensor, TensorData};
use firesight_data::random::{Domain, normal, stream};
use firesight_models::generation::Generator;

/// Images generated in one forward pass.
const BATCH: usize = 128;

/// `count` standard normal vectors, one behind the other; `set` tells several draws of one seed apart. With a
/// `truncation` each number is drawn anew until it is no further than that from 0.
pub fn draw(seed: u64, set: u64, count: usize, latent: usize, truncation: Option<f64>) -> Vec<f32> {
    // Training draws of `Domain::Once` have position 0; latent vectors keep away from them.
    let mut rng = stream(seed, set, 1, Domain::Once);
    let limit = truncation.unwrap_or(f64::INFINITY);
    let mut one = || loop {
        let z = normal(&mut rng);
        if z.abs() <= limit {
            return z as f32;
        }
    };
    (0..count * latent).map(|_| one()).collect()
}

/// `steps` vectors from `a` to `b`, both included, on the great arc between them: those on the straight line would be
/// shorter than any that the generator has seen (White 2016, arXiv:1609.04468).
pub fn between(a: &[f32], b: &[f32], steps: usize) -> Vec<f32> {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        let products = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12);
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let mut vectors = Vec::with_capacity(steps * a.len());
    for step in 0..steps {
        let t = step as f64 / (steps.max(2) - 1) as f64;
        let (from, to) = match angle.sin().abs() < 1e-6 {
            true => (1.0 - t, t),
            false => (
                ((1.0 - t) * angle).sin() / angle.sin(),
                (t * angle).sin() / angle.sin(),
            ),
        };
        let mixed = a.iter().zip(b);
        vectors.extend(mixed.map(|(a, b)| (from * f64::from(*a) + to * f64::from(*b)) as f32));
    }
    vectors
}

/// Images of latent vectors `[N, latent]`, given row by row; the classes are told in turn where the generator is
/// conditional.
///
/// # Shapes
/// - output: `[N, C, H, W]`, from -1 to 1, on `device`
pub fn generate(
    generator: &Generator,
    z: &[f32],
    conditions: &[usize],
    device: &Device,
) -> Tensor<4> {
    let latent = generator.latent();
    let mut first = 0;
    let parts = z.chunks(BATCH * latent).map(|part| {
        let count = part.len() / latent;
        let classes = (generator.classes() > 0 && !conditions.is_empty()).then(|| {
            let classes = (first..first + count).map(|i| conditions[i % conditions.len()] as i32);
            let classes: Vec<i32> = classes.collect();
            Tensor::<1, Int>::from_data(TensorData::new(classes, [count]), device)
        });
        first += count;
        let z = Tensor::<2>::from_data(TensorData::new(part.to_vec(), [count, latent]), device);
        generator.forward(z, classes)
    });
    Tensor::cat(parts.collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_vectors_and_truncation_bounds_them() {
        let z = draw(7, 0, 200, 5, None);
        assert_eq!(z[..10], draw(7, 0, 2, 5, None)[..]);
        assert_ne!(z[..10], draw(8, 0, 2, 5, None)[..]);
        assert_ne!(z[..10], draw(7, 1, 2, 5, None)[..]);
        assert!(z.iter().any(|z| z.abs() > 2.0));
        assert!(draw(7, 0, 200, 5, Some(0.5)).iter().all(|z| z.abs() <= 0.5));
    }

    #[test]
    fn the_arc_keeps_ends_and_lengths() {
        let path = between(&[3.0, 0.0], &[0.0, 3.0], 3);
        let expected = [3.0, 0.0, 4.5f32.sqrt(), 4.5f32.sqrt(), 0.0, 3.0];
        for (got, want) in path.iter().zip(expected) {
            assert!((got - want).abs() < 1e-6, "{path:?}");
        }
        // Equal ends have no arc between them.
        assert_eq!(between(&[1.0], &[1.0], 2), [1.0, 1.0]);
    }
}
