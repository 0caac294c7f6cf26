//! Whether a model's outputs equal a reference: what `trainer verify` and the parity suite run.
//!
//! A reference file holds the tensor `input` and, under the names that [`NamedOutputs`] of the model
//! gives, the outputs expected for it. Values pass within `ATOL + RTOL * |expected|`.
//!
//! ```
//! use burn::tensor::TensorData;
//! use firesight_models::verify::compare;
//!
//! let expected = TensorData::from([1.0f32, 2.0]);
//! let near = TensorData::from([1.0005f32, 2.0]);
//! assert_eq!(compare("output", &near, &expected)?.outside, 0);
//! let far = TensorData::from([1.01f32, 2.0]);
//! assert_eq!(compare("output", &far, &expected)?.outside, 1);
//! # Ok::<(), firesight_models::verify::VerifyError>(())
//! ```

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use crate::weights::StateDict;

/// Relative tolerance.
pub const RTOL: f64 = 1e-3;
/// Absolute tolerance.
pub const ATOL: f64 = 1e-4;

/// A model whose outputs have names in a reference file.
pub trait NamedOutputs {
    /// Runs the model. A classifier gives `output`; a segmenter `out` and `aux`; a detector the raw
    /// outputs of its heads.
    ///
    /// # Shapes
    /// - `input`: `[N, C, H, W]`, normalised
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)>;

    /// Compares results that are no tensor of a fixed shape, the detections of a detector, with those of a
    /// reference that holds them.
    ///
    /// # Errors
    /// [`VerifyError`] for a reference that cannot be compared with.
    fn compare_results(
        &self,
        input: Tensor<4>,
        reference: &StateDict,
    ) -> Result<Vec<OutputComparison>, VerifyError> {
        let _ = (input, reference);
        Ok(Vec::new())
    }
}

/// How far one output is from the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputComparison {
    /// The output's name.
    pub name: String,
    /// Values compared.
    #[serde(rename = "values")]
    pub count: usize,
    /// The largest difference; infinite where a value is not a number.
    #[serde(rename = "max_absolute_error")]
    pub max_absolute: f64,
    /// The largest difference divided by the expected value, over expected values above [`ATOL`].
    #[serde(rename = "max_relative_error")]
    pub max_relative: f64,
    /// Values outside of the tolerance.
    pub outside: usize,
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether every output is within the tolerance.
    pub passed: bool,
    /// One entry per output of the reference.
    pub outputs: Vec<OutputComparison>,
}

/// Why a reference cannot be compared with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// There is no input, or it is no batch of images.
    #[error("the reference needs a tensor `input` of shape [N, C, H, W], it has {found}")]
    Input {
        /// What was found.
        found: String,
    },
    /// None of the model's outputs is in the reference.
    #[error("the reference holds none of the model's outputs ({})", names.join(", "))]
    NoOutput {
        /// The outputs that the model has.
        names: Vec<String>,
    },
    /// An output of another shape.
    #[error("`{name}`: the model gives shape {actual:?}, the reference has {expected:?}")]
    Shape {
        /// The output's name.
        name: String,
        /// The model's shape.
        actual: Vec<usize>,
        /// The reference's shape.
        expected: Vec<usize>,
    },
    /// Outputs that cannot be judged at all.
    #[error("the model's outputs: {message}")]
    Outputs {
        /// What is wrong with them.
        message: String,
    },
    /// A tensor that holds no floating-point numbers.
    #[error("`{name}` of the reference does not hold floating-point numbers")]
    Type {
        /// The tensor's name.
        name: String,
    },
}

/// Runs a model on a reference's input and compares every output that the reference holds.
///
/// # Errors
/// [`VerifyError`] when reference and model have nothing to compare.
pub fn verify(
    model: &impl NamedOutputs,
    reference: &StateDict,
    device: &Device,
) -> Result<Verdict, VerifyError> {
    let input = reference
        .get("input")
        .filter(|data| data.shape().len() == 4 && data.dtype().is_float())
        .ok_or_else(|| VerifyError::Input {
            found: match reference.get("input") {
                Some(data) => format!("{:?} of {:?}", data.dtype(), data.shape().as_slice()),
                None => "none".to_string(),
            },
        })?;
    let input = Tensor::from_data(input.clone(), device);
    let actual = model.named_outputs(input.clone());
    let mut outputs = Vec::new();
    for (name, data) in &actual {
        if let Some(expected) = reference.get(name) {
            outputs.push(compare(name, &fitted(data, expected), expected)?);
        }
    }
    if outputs.is_empty() {
        return Err(VerifyError::NoOutput {
            names: actual.into_iter().map(|(name, _)| name).collect(),
        });
    }
    outputs.extend(model.compare_results(input, reference)?);
    Ok(Verdict {
        passed: outputs.iter().all(|output| output.outside == 0),
        outputs,
    })
}

/// The data in the reference's shape where the two differ by sides of length 1 alone: PyTorch's DCGAN example gives
/// one score an image as `[N]`, its tutorial as `[N, 1, 1, 1]`.
fn fitted(data: &TensorData, expected: &TensorData) -> TensorData {
    let long = |data: &TensorData| -> Vec<usize> {
        data.shape().iter().copied().filter(|n| *n != 1).collect()
    };
    if long(data) != long(expected) {
        return data.clone();
    }
    let (bytes, _, dtype) = data.clone().into_parts();
    TensorData::from_bytes(bytes, expected.shape().clone(), dtype)
}

/// Compares two tensors value by value.
///
/// # Errors
/// [`VerifyError::Shape`] or [`VerifyError::Type`].
pub fn compare(
    name: &str,
    actual: &TensorData,
    expected: &TensorData,
) -> Result<OutputComparison, VerifyError> {
    if actual.shape() != expected.shape() {
        return Err(VerifyError::Shape {
            name: name.to_string(),
            actual: actual.shape().to_vec(),
            expected: expected.shape().to_vec(),
        });
    }
    let numbers = |data: &TensorData| {
        let wrong = || VerifyError::Type {
            name: name.to_string(),
        };
        if !data.dtype().is_float() {
            return Err(wrong());
        }
        data.clone()
            .convert::<f64>()
            .try_to_vec::<f64>()
            .map_err(|_| wrong())
    };
    let (mut absolute, mut relative, mut outside) = (0.0f64, 0.0f64, 0);
    let (actual, expected) = (numbers(actual)?, numbers(expected)?);
    for (&got, &want) in actual.iter().zip(&expected) {
        // Equal infinities differ by "not a number"; they, too, count as a fault of the reference.
        let difference = (got - want).abs();
        let difference = if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        };
        absolute = absolute.max(difference);
        if want.abs() > ATOL {
            relative = relative.max(difference / want.abs());
        }
        outside += usize::from(difference > ATOL + RTOL * want.abs() || difference.is_infinite());
    }
    Ok(OutputComparison {
        name: name.to_string(),
        count: expected.len(),
        max_absolute: absolute,
        max_relative: relative,
        outside,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_measured_and_judged() {
        let expected = TensorData::new(vec![1.0f32, -100.0, 0.0], [3]);
        let near = TensorData::new(vec![1.001f32, -100.05, 0.00005], [3]);
        let result = compare("output", &near, &expected).unwrap();
        assert_eq!(result.outside, 0);
        assert!(
            (result.max_absolute - 0.05).abs() < 1e-4 && (result.max_relative - 0.001).abs() < 1e-5
        );
        let far = TensorData::new(vec![1.002f32, -100.05, 0.0002], [3]);
        assert_eq!(compare("output", &far, &expected).unwrap().outside, 2);
    }

    #[test]
    fn sides_of_length_one_are_no_difference() {
        let scores = TensorData::new(vec![1.0f32, 2.0], [2, 1, 1, 1]);
        let flat = TensorData::new(vec![1.0f32, 2.0], [2]);
        assert_eq!(fitted(&scores, &flat), flat);
        let other = TensorData::new(vec![1.0f32, 2.0, 3.0], [3]);
        assert_eq!(fitted(&scores, &other), scores);
    }

    #[test]
    fn what_is_no_number_never_passes() {
        let expected = TensorData::new(vec![f32::NAN, f32::INFINITY, 1.0], [3]);
        assert_eq!(compare("output", &expected, &expected).unwrap().outside, 2);
        let actual = TensorData::new(vec![1.0f32, 1.0, f32::NAN], [3]);
        assert_eq!(compare("output", &actual, &expected).unwrap().outside, 3);
        let short = TensorData::new(vec![1.0f32], [1]);
        assert!(matches!(
            compare("output", &short, &expected),
            Err(VerifyError::Shape { .. })
        ));
    }
}
