//! What the tests of this crate share: fixtures and comparison.

use serde_json::Value;

/// `fixtures/<name>.json`, made by `scripts/export_metrics_reference.py`.
pub fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    serde_json::from_str(&text).expect(&path)
}

/// A list of numbers.
pub fn floats(v: &Value) -> Vec<f64> {
    v.as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_f64().expect("a number"))
        .collect()
}

/// A list of integers.
pub fn integers(v: &Value) -> Vec<i64> {
    v.as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_i64().expect("an integer"))
        .collect()
}

/// Asserts `|got - want| <= tolerance`.
#[track_caller]
pub fn near(got: f64, want: &Value, tolerance: f64) {
    let want = want.as_f64().expect("a number");
    assert!(
        (got - want).abs() <= tolerance,
        "{got}, the reference has {want}"
    );
}
