//! Every classifier: published parameter count and parity with PyTorch in evaluation mode. The first of each family,
//! its smallest, also: shapes of the feature maps, parity in training mode, gradients, the mutation test, and
//! overfitting one batch. References are made by `scripts/export_reference.py`.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use firesight_models::classification::{Classifier, registry};
use firesight_models::family::Entry;
use firesight_models::verify::compare;
use firesight_models::weights::parameters;
use firesight_models::{Backbone, InputSpec, formula};

use crate::reference::{
    Double, Reference, check_mutations, check_parameters, seeded, without_dropout,
};

macro_rules! suite {
    ($($file:ident { $first:ident $($other:ident)* })+) => {
        $(mod $first {
            use super::Case;

            #[test]
            fn has_its_published_parameters() {
                super::parameters_are_published(stringify!($first));
            }

            #[test]
            fn gives_pytorchs_outputs() {
                Case::new(stringify!($first)).outputs();
            }

            #[test]
            fn feature_maps_have_the_channels_and_strides_they_claim() {
                Case::new(stringify!($first)).feature_maps();
            }

            #[test]
            fn training_mode_and_gradients_equal_pytorchs() {
                Case::new(stringify!($first)).training();
            }

            #[test]
            fn a_change_of_any_tensor_by_a_tenth_is_seen() {
                Case::new(stringify!($first)).mutations();
            }

            #[test]
            fn overfits_one_batch() {
                Case::new(stringify!($first)).overfits();
            }
        }

        $(mod $other {
            #[test]
            fn has_its_published_parameters() {
                super::parameters_are_published(stringify!($other));
            }

            #[test]
            fn gives_pytorchs_outputs() {
                super::Case::new(stringify!($other)).outputs();
            }
        })*)+
    };
}

firesight_models::each_classifier!(suite);

fn entry(name: &str) -> Entry<firesight_models::classification::ClassifierConfig> {
    let mut entries = registry().into_iter();
    entries.find(|entry| entry.name == name).unwrap()
}

fn parameters_are_published(name: &str) {
    let entry = entry(name);
    let model = entry
        .config
        .init(entry.input, entry.classes, &Device::flex());
    check_parameters(&model.unwrap(), entry.parameters);
}

/// A classifier and its reference.
struct Case {
    entry: Entry<firesight_models::classification::ClassifierConfig>,
    reference: Reference,
    input: InputSpec,
}

impl Case {
    fn new(name: &str) -> Self {
        let (entry, mut reference) = (entry(name), Reference::open("zoo", name));
        let side = reference.number("side") as usize;
        let input = InputSpec {
            channels: entry.input.channels,
            height: side,
            width: side,
        };
        let images = formula::images([2, input.channels, side, side]);
        reference.tensors.insert("input".to_string(), images);
        Self {
            entry,
            reference,
            input,
        }
    }

    /// The model with the formula's weights.
    fn model(&self, device: &Device) -> Classifier {
        let model = self
            .entry
            .config
            .init(self.input, self.reference.classes(), device);
        self.reference.filled(model.unwrap())
    }

    /// The four images of the reference in training mode.
    fn training_images(&self) -> TensorData {
        let side = self.reference.find("train_side");
        let side = side.map_or(self.input.height, |side| side as usize);
        formula::images([4, self.input.channels, side, side])
    }

    fn outputs(&self) {
        let device = Device::flex();
        let model = self.model(&device);
        let verdict = self.reference.verify(self.entry.name, &model, &device);
        assert!(verdict.passed, "{verdict:?}");
    }

    fn feature_maps(&self) {
        let device = Device::flex();
        let model = self.model(&device);
        let InputSpec {
            channels,
            height,
            width,
        } = self.input;
        let images = formula::images([1, channels, height, width]);
        let claimed = model.feature_channels();
        let maps = model.feature_maps(Tensor::from_data(images, &device));
        assert!(!claimed.is_empty() && claimed.len() == maps.len());
        for ((stride, channels), map) in claimed.into_iter().zip(&maps) {
            let [_, c, h, w] = map.tensor.dims();
            // Unpadded layers make a map smaller than the stride says, by four pixels at most: Inception v3's stem
            // turns 299 pixels into 71 at stride 4, where padding would give 75.
            let full = height.div_ceil(stride);
            assert!(
                map.stride == stride && c == channels && h == w && h <= full && h + 4 >= full,
                "stride {stride}, {channels} channels: {c}x{h}x{w}"
            );
        }
    }

    fn equal(&self, name: &str, actual: TensorData) {
        let found = compare(name, &actual, &self.reference.tensors[name]).unwrap();
        assert_eq!(found.outside, 0, "{found:?}");
    }

    fn training(&self) {
        let device = Device::flex().autodiff();
        let images = self.training_images();
        let single = without_dropout(self.model(&device));
        let logits = single
            .forward_train(Tensor::from_data(images.clone(), &device))
            .logits;
        self.equal("train.output", logits.into_data());

        let double = without_dropout(self.model(&device)).map(&mut Double);
        let output = double.forward_train(Tensor::from_data(images, (&device, DType::F64)));
        let shape = output.logits.dims();
        let pull = TensorData::new(formula::values("loss.weight", &shape, 1.0), shape);
        let pull = Tensor::<2>::from_data(pull, (&device, DType::F64));
        let mut loss = (output.logits * pull.clone()).sum();
        for (weight, logits) in output.aux {
            loss = loss + (logits * pull.clone()).sum().mul_scalar(weight);
        }
        let loss = loss.mul_scalar(self.reference.find("loss_scale").unwrap_or(1.0));
        let gradients = weight_gradients(&double, loss.backward());
        for (name, tensor) in [
            ("train.grad.first", gradients.first()),
            ("train.grad.last", gradients.last()),
        ] {
            let gradient = tensor.unwrap().1.clone().convert_dtype(DType::F32);
            self.equal(name, gradient);
        }
    }

    fn mutations(&self) {
        let device = Device::flex();
        let aux = |name: &str| name.starts_with("aux") || name.starts_with("AuxLogits");
        check_mutations(self.model(&device), &self.reference, &device, aux);
    }

    fn overfits(&self) {
        let device = Device::flex().autodiff();
        let model = seeded(7, &device, || {
            self.entry.config.init(self.input, 4, &device).unwrap()
        });
        let mut model = without_dropout(model);
        let x = Tensor::<4>::from_data(self.training_images(), &device);
        let target = Tensor::<2>::eye(4, &device);
        let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
        let mut losses = Vec::new();
        for _ in 0..200 {
            let logits = model.forward_train(x.clone()).logits;
            let scores = burn::tensor::activation::log_softmax(logits, 1);
            let loss = (scores * target.clone()).sum().neg().div_scalar(4.0);
            losses.push(loss.clone().into_scalar::<f32>());
            if losses.last().is_some_and(|loss| *loss < 0.1) {
                break;
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-4, model, gradients);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(
            last < 0.1 && first > 0.5,
            "the loss went from {first} to {last}"
        );
    }
}

/// Gradients of the weights of rank 2 and above, auxiliary heads left out, in PyTorch's layout.
fn weight_gradients(model: &Classifier, gradients: Gradients) -> Vec<(String, TensorData)> {
    struct Look<'a> {
        gradients: &'a Gradients,
        found: HashMap<ParamId, TensorData>,
    }
    impl ModuleVisitor for Look<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                let gradient = if D == 2 {
                    gradient.transpose()
                } else {
                    gradient
                };
                self.found.insert(param.id, gradient.into_data());
            }
        }
    }
    let mut look = Look {
        gradients: &gradients,
        found: HashMap::new(),
    };
    model.visit(&mut look);
    let infos = parameters(model)
        .into_iter()
        .filter(|info| !info.buffer && info.rank() >= 2);
    infos
        .filter(|info| !info.name.starts_with("aux") && !info.name.starts_with("AuxLogits"))
        .map(|info| (info.name, look.found.remove(&info.id).expect("a gradient")))
        .collect()
}
