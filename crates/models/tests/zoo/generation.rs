//! The DCGAN against PyTorch's example: outputs in evaluation and in training mode, and gradients. References are made
//! by `scripts/export_dcgan_reference.py`.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use firesight_models::generation::dcgan::{DcganConfig, DcganDiscriminator, DcganGenerator};
use firesight_models::generation::{
    DiscriminatorArchitecture, Gan, GanConfig, GeneratorArchitecture, registry,
};
use firesight_models::verify::{NamedOutputs, compare};
use firesight_models::weights::{StateDict, TorchNames, parameter_count};
use firesight_models::{Family, InputSpec, formula};

use crate::reference::{Double, Reference};

macro_rules! suite {
    ($($file:ident { $name:ident })+) => {
        $(mod $name {
            #[test]
            fn has_its_published_parameters() {
                super::parameters_are_published(stringify!($name));
            }
        })+
    };
}

firesight_models::each_gan!(suite);

fn parameters_are_published(name: &str) {
    let mut entries = registry().into_iter();
    let entry = entries.find(|entry| entry.name == name).unwrap();
    let made = entry
        .config
        .init(entry.input, entry.classes, &Device::flex());
    let (generator, discriminator) = made.unwrap();
    let found = parameter_count(&generator) + parameter_count(&discriminator);
    assert_eq!(found, entry.parameters);
}

fn generator(device: &Device) -> DcganGenerator {
    let config = DcganConfig {
        latent: 10,
        generator_width: 4,
        ..DcganConfig::default()
    };
    config.generator(InputSpec::rgb(32), 0, device).unwrap()
}

fn discriminator(device: &Device) -> DcganDiscriminator {
    let config = DcganConfig {
        discriminator_width: 4,
        ..DcganConfig::default()
    };
    config.discriminator(InputSpec::rgb(64), 0, device).unwrap()
}

/// Both networks are recognised by their weights, alone and as data parallelism names them, and give the example's
/// outputs.
#[test]
fn dcgan_is_recognised_and_gives_the_examples_outputs() {
    let device = Device::flex();
    let refused = |name: &str, state: &StateDict| {
        let input = InputSpec::rgb(64);
        let network = GanConfig::for_weights(name, state, input, None, &device);
        network.unwrap_err().to_string()
    };
    let mut first = Reference::open("generation", "generator");
    let images = formula::images([2, 10, 1, 1]);
    first.tensors.insert("input".to_string(), images);
    let generator = generator(&device);
    for name in ["dcgan", "dcgan_generator"] {
        assert!(first.verify(name, &generator, &device).passed);
    }
    let state = formula::state(&generator, first.scale());
    let message = refused("dcgan_discriminator", &state);
    assert!(message.contains("those of a generator"), "{message}");

    let mut second = Reference::open("generation", "discriminator");
    let images = formula::images([2, 3, 64, 64]);
    second.tensors.insert("input".to_string(), images);
    assert!(
        second
            .verify("dcgan", &discriminator(&device), &device)
            .passed
    );
    assert!(refused("dcgan", &StateDict::new()).contains("main.0.weight"));
}

/// Compared in double precision, as the zoo's gradients are.
#[test]
fn dcgan_in_training_and_its_gradients_equal_pytorchs() {
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

impl Run for DcganGenerator {
    fn run(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward(input.flatten::<2>(1, 3), None)
    }
}

impl Run for DcganDiscriminator {
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
    let reference = Reference::open("generation", name);
    let equal = |what: &str, actual: TensorData| {
        let found = compare(what, &actual, &reference.tensors[what]).unwrap();
        assert_eq!(found.outside, 0, "{name}: {found:?}");
    };
    let single = reference.filled(make(&device));
    let outputs = single.named_outputs(Tensor::from_data(formula::images(input), &device));
    let found = outputs.into_iter().find(|(name, _)| name == output);
    equal("train.output", found.unwrap().1);

    // A network of its own: clones share running statistics.
    let double = reference.filled(make(&device)).map(&mut Double);
    let x = Tensor::from_data(formula::images(input), (&device, DType::F64));
    let y = double.run(x);
    let shape = y.dims();
    let pull = TensorData::new(formula::values("loss", &shape, 1.0), shape);
    let loss = (y * Tensor::<4>::from_data(pull, (&device, DType::F64))).sum();
    let gradients = loss.mul_scalar(reference.number("loss_scale")).backward();
    let mut look = Look(&gradients, Vec::new());
    double.visit(&mut look);
    for (what, gradient) in [
        ("train.grad.first", look.1.first()),
        ("train.grad.last", look.1.last()),
    ] {
        equal(what, gradient.unwrap().clone().convert_dtype(DType::F32));
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
