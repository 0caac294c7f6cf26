//! The DCGAN against PyTorch's example: outputs in evaluation and in training mode, and gradients. References are made
//! by `scripts/export_dcgan_reference.py`.

use std::path::PathBuf;

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use firesight_models::classification::InputSpec;
use firesight_models::formula;
use firesight_models::generation::dcgan::{DcganConfig, DcganNetwork, Discriminator, Generator};
use firesight_models::verify::{NamedOutputs, compare, verify};
use firesight_models::weights::{self, StateDict, TorchNames, load_state_dict};

struct Reference {
    tensors: StateDict,
    gain: f64,
    loss_scale: f64,
}

fn reference(name: &str) -> Reference {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/fixtures/generation/{name}.safetensors"));
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let about = header.metadata().clone().unwrap();
    let number = |key: &str| about[key].parse::<f64>().unwrap();
    Reference {
        tensors: weights::read(&path).unwrap(),
        gain: number("gain"),
        loss_scale: number("loss_scale"),
    }
}

fn generator(device: &Device) -> Generator {
    let config = DcganConfig {
        latent: 10,
        generator_width: 4,
        ..DcganConfig::default()
    };
    config.generator(InputSpec::rgb(32), 0, device).unwrap()
}

fn discriminator(device: &Device) -> Discriminator {
    let config = DcganConfig {
        discriminator_width: 4,
        ..DcganConfig::default()
    };
    config.discriminator(InputSpec::rgb(64), 0, device).unwrap()
}

fn filled<M: TorchNames>(model: M, gain: f64) -> M {
    let state = formula::state(&model, gain);
    load_state_dict(model, &state).unwrap()
}

/// Both networks are recognised by their weights, and give the example's outputs.
#[test]
fn verify_passes_for_both_networks_of_pytorchs_example() {
    let device = Device::flex();
    for (name, input) in [
        ("generator", [2, 10, 1, 1]),
        ("discriminator", [2, 3, 64, 64]),
    ] {
        let mut reference = reference(name);
        reference
            .tensors
            .insert("input".to_string(), formula::images(input));
        let verdict = match name {
            "generator" => {
                let state = formula::state(&generator(&device), reference.gain);
                let DcganNetwork::Generator(model) =
                    DcganNetwork::fitting(&state, &device).unwrap()
                else {
                    panic!("taken for a discriminator");
                };
                let model = load_state_dict(model, &state).unwrap();
                verify(&model, &reference.tensors, &device)
            }
            _ => {
                let state = formula::state(&discriminator(&device), reference.gain);
                let DcganNetwork::Discriminator(model) =
                    DcganNetwork::fitting(&state, &device).unwrap()
                else {
                    panic!("taken for a generator");
                };
                let model = load_state_dict(model, &state).unwrap();
                verify(&model, &reference.tensors, &device)
            }
        }
        .unwrap();
        assert!(verdict.passed, "{name}: {verdict:?}");
    }
    assert!(DcganNetwork::fitting(&StateDict::new(), &device).is_err());
}

/// Compared in double precision, as the zoo's gradients are.
#[test]
fn training_mode_and_gradients_equal_pytorchs() {
    check("generator", generator, [4, 10, 1, 1], "output");
    check("discriminator", discriminator, [4, 3, 64, 64], "logits");
    let config = DcganConfig {
        discriminator_width: 4,
        spectral_norm: true,
        ..DcganConfig::default()
    };
    let image = InputSpec {
        channels: 2,
        height: 32,
        width: 32,
    };
    let make = |device: &Device| config.discriminator(image, 0, device).unwrap();
    check("spectral", make, [4, 2, 32, 32], "logits");
}

trait Run: TorchNames {
    fn run(&self, input: Tensor<4>) -> Tensor<4>;
}

impl Run for Generator {
    fn run(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward(input.flatten::<2>(1, 3), None)
    }
}

impl Run for Discriminator {
    fn run(&self, input: Tensor<4>) -> Tensor<4> {
        let count = input.dims()[0];
        self.forward(input, None).reshape([count, 1, 1, 1])
    }
}

fn check<M: Run + NamedOutputs>(
    name: &str,
    make: impl Fn(&Device) -> M,
    input: [usize; 4],
    output: &str,
) {
    let device = Device::flex().autodiff();
    let reference = reference(name);
    let equal = |what: &str, actual: TensorData| {
        let found = compare(what, &actual, &reference.tensors[what]).unwrap();
        assert_eq!(found.outside, 0, "{name}: {found:?}");
    };
    let single = filled(make(&device), reference.gain);
    let outputs = single.named_outputs(Tensor::from_data(formula::images(input), &device));
    let found = outputs.into_iter().find(|(name, _)| name == output);
    equal("train.output", found.unwrap().1);

    // A network of its own: clones share running statistics.
    let double = filled(make(&device), reference.gain).map(&mut Double);
    let x = Tensor::from_data(formula::images(input), (&device, DType::F64));
    let y = double.run(x);
    let shape = y.dims();
    let pull = TensorData::new(formula::values("loss", &shape, 1.0), shape);
    let loss = (y * Tensor::<4>::from_data(pull, (&device, DType::F64))).sum();
    let gradients = loss.mul_scalar(reference.loss_scale).backward();
    let mut look = Look(&gradients, Vec::new());
    double.visit(&mut look);
    for (what, gradient) in [
        ("train.grad.first", look.1.first()),
        ("train.grad.last", look.1.last()),
    ] {
        equal(what, gradient.unwrap().clone().convert_dtype(DType::F32));
    }
}

/// Takes parameters and running statistics to double precision.
struct Double;

impl ModuleMapper for Double {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trains = param.is_require_grad();
        param.map(|tensor| {
            let device = tensor.device();
            let data = tensor.into_data().convert_dtype(DType::F64);
            Tensor::from_data(data, (&device, DType::F64)).set_require_grad(trains)
        })
    }
}

/// The gradients of the convolutions' weights, in order.
struct Look<'a>(&'a Gradients, Vec<TensorData>);

impl ModuleVisitor for Look<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let (4, Some(gradient)) = (D, param.val().grad(self.0)) {
            self.1.push(gradient.into_data());
        }
    }
}
