//! The optimizers against PyTorch's own steps (`scripts/optimizer_fixtures.py`), on Flex in place, on
//! Flex with shared buffers, and with tensor operators alone.
#![cfg(feature = "optim")]

use burn::optim::Optimizer;
use burn::tensor::{Device, Tensor, TensorData};
use firesight_kernels::optim::{Adam, AdamW, Sgd};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect()
}

fn run<O: Optimizer>(optimizer: O, case: &Value, fixture: &Value, device: &Device, shared: bool) {
    let tensor = |values: Vec<f32>| {
        let len = values.len();
        Tensor::<1>::from_data(TensorData::new(values, [len]), device)
    };
    let rate = case["options"]["lr"].as_f64().unwrap();
    let mut parameter = tensor(numbers(&fixture["start"]));
    let mut state = None;
    let mut held = Vec::new();
    for (gradient, expected) in fixture["gradients"]
        .as_array()
        .unwrap()
        .iter()
        .zip(case["after"].as_array().unwrap())
    {
        let before = parameter.clone().into_data();
        if shared {
            held.push((parameter.clone(), before, state.clone()));
        }
        (parameter, state) = optimizer.step(rate, parameter, tensor(numbers(gradient)), state);
        let actual: Vec<f32> = parameter.clone().into_data().try_into_vec_as().unwrap();
        for (actual, expected) in actual.iter().zip(numbers(expected)) {
            let bound = 2e-6 * expected.abs().max(1.0);
            assert!(
                (actual - expected).abs() <= bound,
                "{actual} for {expected}: {case}"
            );
        }
    }
    for (tensor, before, _) in held {
        assert_eq!(
            tensor.into_data(),
            before,
            "a tensor that someone else holds was written"
        );
    }
}

fn all(device: &Device) {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/optimizers.json")).unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let options = &case["options"];
        let number = |name: &str, default: f64| options[name].as_f64().unwrap_or(default);
        let beta = |i: usize, default: f64| options["betas"][i].as_f64().unwrap_or(default);
        for shared in [false, true] {
            match case["optimizer"].as_str().unwrap() {
                "sgd" => {
                    let sgd = Sgd {
                        momentum: number("momentum", Sgd::default().momentum),
                        dampening: number("dampening", Sgd::default().dampening),
                        nesterov: options["nesterov"].as_bool().unwrap_or(false),
                        weight_decay: number("weight_decay", Sgd::default().weight_decay),
                    };
                    run(sgd, case, &fixture, device, shared);
                }
                "adam" => {
                    let default = Adam::default();
                    let adam = Adam {
                        beta_1: beta(0, default.beta_1),
                        beta_2: beta(1, default.beta_2),
                        epsilon: number("eps", default.epsilon),
                        weight_decay: number("weight_decay", default.weight_decay),
                    };
                    run(adam, case, &fixture, device, shared);
                }
                "adamw" => {
                    let default = AdamW::default();
                    let adamw = AdamW {
                        beta_1: beta(0, default.beta_1),
                        beta_2: beta(1, default.beta_2),
                        epsilon: number("eps", default.epsilon),
                        weight_decay: number("weight_decay", default.weight_decay),
                    };
                    run(adamw, case, &fixture, device, shared);
                }
                other => panic!("unknown optimizer {other}"),
            }
        }
    }
}

#[test]
fn pytorch_values_on_flex() {
    all(&Device::flex());
}

#[test]
#[allow(deprecated)]
fn pytorch_values_with_tensor_operators() {
    all(&Device::ndarray());
}

/// A module optimizer of Burn's takes them, and its record restores the state.
#[test]
fn resumes_from_a_record() {
    use burn::module::Module;
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::{GradientsParams, ModuleOptimizer};

    let device = Device::flex().autodiff();
    device.seed(1);
    let optimizers: [fn() -> ModuleOptimizer; 3] = [
        || {
            ModuleOptimizer::from(Sgd {
                momentum: 0.9,
                ..Sgd::default()
            })
        },
        || ModuleOptimizer::from(Adam::default()),
        || ModuleOptimizer::from(AdamW::default()),
    ];
    let x = Tensor::<2>::random([3, 5], burn::tensor::Distribution::Default, &device);
    let step = |optimizer: &mut ModuleOptimizer, layer: Linear| {
        let gradients = layer.forward(x.clone()).square().sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &layer);
        optimizer.step(0.1, layer, gradients)
    };
    for make in optimizers {
        let mut optimizer = make();
        let layer = LinearConfig::new(5, 4).init(&device);
        let layer = step(&mut optimizer, layer);
        let record = optimizer.to_record();
        let copy = layer.clone().fork(&device);
        let expected = step(&mut optimizer, layer).weight.val().into_data();
        let mut restored = make().load_record(record);
        assert_eq!(step(&mut restored, copy).weight.val().into_data(), expected);
    }
}
