//! What the tests of this crate share: fixtures, devices, comparison.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;

/// The CPU backends that the tests run on.
pub fn devices() -> Vec<Device> {
    // The ndarray backend is deprecated in Burn 0.22, but it is the second independent implementation at hand.
    #[allow(deprecated)]
    let ndarray = Device::ndarray();
    vec![Device::flex(), ndarray]
}

/// The cases of `fixtures/<name>.json` whose `kind` is `kind`; there must be some.
pub fn cases(name: &str, kind: &str) -> Vec<Value> {
    let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let file: Value = serde_json::from_str(&text).expect(&path);
    let all = file["cases"].as_array().expect("a list of cases");
    let found: Vec<_> = all.iter().filter(|c| c["kind"] == kind).cloned().collect();
    assert!(!found.is_empty(), "{path} has no case of kind {kind}");
    found
}

fn number(v: &Value) -> f64 {
    match v {
        Value::String(s) if s == "nan" => f64::NAN,
        Value::String(s) if s == "inf" => f64::INFINITY,
        Value::String(s) if s == "-inf" => f64::NEG_INFINITY,
        v => v.as_f64().expect("a number"),
    }
}

/// The numbers of a stored tensor or of a plain list.
pub fn numbers(v: &Value) -> Vec<f32> {
    let list = v.as_array().or_else(|| v["data"].as_array());
    list.expect("a list")
        .iter()
        .map(|v| number(v) as f32)
        .collect()
}

/// The numbers of a stored tensor or of a plain list, as integers.
pub fn integers(v: &Value) -> Vec<i64> {
    let list = v.as_array().or_else(|| v["data"].as_array());
    list.expect("a list")
        .iter()
        .map(|v| v.as_i64().expect("an integer"))
        .collect()
}

/// The shape of a stored tensor.
pub fn shape<const D: usize>(v: &Value) -> [usize; D] {
    let dims: Vec<usize> = v["shape"]
        .as_array()
        .expect("a shape")
        .iter()
        .map(|d| d.as_u64().unwrap() as usize)
        .collect();
    dims.try_into().expect("a shape of that rank")
}

/// A stored float tensor.
pub fn float<const D: usize>(v: &Value, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(v), shape::<D>(v)), device)
}

/// A stored integer tensor.
pub fn int<const D: usize>(v: &Value, device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(integers(v), shape::<D>(v)), device)
}

/// The elements of a tensor as `f32`.
pub fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.try_into_vec_as().expect("floats")
}

/// Asserts `|a - b| <= 1e-6 + tolerance * |b|`, element by element; NaN equals NaN.
#[track_caller]
pub fn assert_near(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: element count");
    for (i, (a, b)) in got.iter().zip(want).enumerate() {
        let near =
            (a - b).abs() <= 1e-6 + tolerance * b.abs() || a == b || (a.is_nan() && b.is_nan());
        assert!(near, "{what}: element {i} is {a}, the reference has {b}");
    }
}

/// Boxes as slices.
pub fn stored_boxes(v: &Value) -> Vec<[f32; 4]> {
    numbers(v).as_chunks().0.to_vec()
}
