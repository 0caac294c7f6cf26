//! How near generated images are to real ones, measured between their features: Frechet distance (FID), kernel
//! distance (KID), precision and recall.
//!
//! Features are rows of `dims` numbers, one row for each image, from any network; a number means something only
//! beside another one from the same network. Published FIDs come from one particular Inception network.
//!
//! ```
//! use firesight_metrics::generation::{FeatureStatistics, frechet_distance};
//!
//! let (mut real, mut fake) = (FeatureStatistics::new(2), FeatureStatistics::new(2));
//! real.add(&[0.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0])?;
//! fake.add(&[3.0, 0.0, 5.0, 0.0, 3.0, 2.0, 5.0, 2.0])?; // the same cloud, moved by 3
//! assert!((frechet_distance(&real, &fake)? - 9.0).abs() < 1e-9);
//! # Ok::<(), firesight_metrics::MetricError>(())
//! ```

mod frechet;
mod kernel;
mod neighbors;

use crate::MetricError;

pub use frechet::{FeatureStatistics, frechet_distance};
pub use kernel::kernel_distance;
pub use neighbors::{PrecisionRecall, precision_recall};

/// The rows of `features`, each `dims` long, as `f64`; an error where they do not divide or are not finite.
fn rows(features: &[f32], dims: usize) -> Result<Vec<Vec<f64>>, MetricError> {
    if dims == 0 || !features.len().is_multiple_of(dims) {
        let expected = features.len().next_multiple_of(dims.max(1));
        return Err(MetricError::Length {
            what: "features in whole rows",
            got: features.len(),
            expected,
        });
    }
    if let Some(position) = features.iter().position(|x| !x.is_finite()) {
        let value = features[position] as f64;
        return Err(MetricError::Value {
            what: "feature",
            value,
            position,
            allowed: "finite",
        });
    }
    Ok(features
        .chunks(dims)
        .map(|row| row.iter().map(|x| *x as f64).collect())
        .collect())
}

fn at_least(what: &'static str, got: usize, needed: usize) -> Result<(), MetricError> {
    if got >= needed {
        Ok(())
    } else {
        Err(MetricError::TooFew { what, got, needed })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{fixture, floats, near};

    fn features(v: &Value) -> Vec<f32> {
        floats(v).iter().map(|x| *x as f32).collect()
    }

    #[test]
    fn all_equal_scipy() {
        for case in fixture("generation")["cases"].as_array().unwrap() {
            let dims = case["dims"].as_u64().unwrap() as usize;
            let (real, generated) = (features(&case["real"]), features(&case["generated"]));
            let (mut a, mut b) = (FeatureStatistics::new(dims), FeatureStatistics::new(dims));
            let half = real.len() / dims / 2 * dims;
            a.add(&real[..half]).unwrap();
            let mut rest = FeatureStatistics::new(dims);
            rest.add(&real[half..]).unwrap();
            a.merge(&rest);
            b.add(&generated).unwrap();
            near(frechet_distance(&a, &b).unwrap(), &case["fid"], 1e-6);
            near(frechet_distance(&b, &a).unwrap(), &case["fid"], 1e-6);
            assert!(frechet_distance(&a, &a).unwrap().abs() < 1e-6);
            near(
                kernel_distance(&real, &generated, dims).unwrap(),
                &case["kid"],
                1e-9,
            );
            let found = precision_recall(&real, &generated, dims, 3).unwrap();
            near(found.precision, &case["precision"], 1e-12);
            near(found.recall, &case["recall"], 1e-12);
        }
    }

    #[test]
    fn too_few_and_broken_features_are_errors() {
        let mut one = FeatureStatistics::new(2);
        one.add(&[1.0, 2.0]).unwrap();
        assert!(matches!(
            frechet_distance(&one, &one),
            Err(MetricError::TooFew { got: 1, .. })
        ));
        assert!(matches!(one.add(&[1.0]), Err(MetricError::Length { .. })));
        assert!(matches!(
            one.add(&[1.0, f32::NAN]),
            Err(MetricError::Value { position: 1, .. })
        ));
        assert_eq!(one.count(), 1);
        assert!(matches!(
            kernel_distance(&[1.0], &[1.0, 2.0], 1),
            Err(MetricError::TooFew { .. })
        ));
        assert!(matches!(
            precision_recall(&[1.0; 3], &[1.0; 9], 1, 3),
            Err(MetricError::TooFew { .. })
        ));
        assert!(kernel_distance(&[], &[], 0).is_err());
    }
}
