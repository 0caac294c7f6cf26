//! One suite over every classifier of the registry: published parameter count, parity with PyTorch in
//! evaluation mode, shapes of the feature maps, and for every family with a training reference also
//! parity in training mode, gradients, the mutation test and overfitting one batch.
//!
//! There is no list of models here: what is registered is tested, and a model without a reference
//! fails. References are made by `scripts/export_reference.py`.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use firesight_models::classification::{Classifier, Entry, InputSpec, registry};
use firesight_models::layers::without_dropout;
use firesight_models::verify::{self, Comparison};
use firesight_models::weights::{self, StateDict, load_state_dict, parameter_count, parameters};
use firesight_models::{Backbone, formula};

/// A reference file.
struct Reference {
    tensors: StateDict,
    scale: formula::Scale,
    side: usize,
    train_side: usize,
    classes: usize,
    loss_scale: f64,
}

impl Reference {
    fn open(name: &str) -> Result<Self, String> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/zoo/{name}.safetensors"));
        let bytes = std::fs::read(&path).map_err(|error| {
            format!(
                "{name}: {}: {error}; run scripts/export_reference.py {name}",
                path.display()
            )
        })?;
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let about = header.metadata().clone().unwrap();
        let number = |key: &str| about.get(key).map(|text| text.parse::<f64>().unwrap());
        let side = number("side").unwrap() as usize;
        Ok(Self {
            tensors: weights::read(&path).unwrap(),
            scale: formula::Scale {
                gain: number("gain").unwrap(),
                bias: number("bias").unwrap_or(formula::Scale::BIAS),
            },
            side,
            train_side: number("train_side").map_or(side, |side| side as usize),
            classes: number("classes").unwrap() as usize,
            loss_scale: number("loss_scale").unwrap_or(1.0),
        })
    }

    fn input(&self, entry: &Entry) -> InputSpec {
        let (height, width) = (self.side, self.side);
        InputSpec {
            channels: entry.input.channels,
            height,
            width,
        }
    }

    fn images(&self, entry: &Entry, count: usize) -> TensorData {
        formula::images([count, entry.input.channels, self.side, self.side])
    }

    /// The four images of the reference in training mode.
    fn training_images(&self, entry: &Entry) -> TensorData {
        formula::images([4, entry.input.channels, self.train_side, self.train_side])
    }

    /// The model with the formula's weights.
    fn model(&self, entry: &Entry, device: &Device) -> Classifier {
        let model = entry
            .config
            .init(self.input(entry), self.classes, device)
            .unwrap();
        let state = formula::state(&model, self.scale);
        load_state_dict(model, &state).unwrap()
    }

    fn compare(&self, name: &str, actual: TensorData) -> Comparison {
        verify::compare(name, &actual, &self.tensors[name]).unwrap()
    }
}

/// The models with a reference for training, one per family.
fn with_training() -> Vec<(Entry, Reference)> {
    let opened = registry().into_iter().filter_map(|entry| {
        let reference = Reference::open(entry.name).ok()?;
        reference
            .tensors
            .contains_key("train.output")
            .then_some((entry, reference))
    });
    opened.collect()
}

/// Fails with all complaints at once, so that one run tells the state of the whole zoo.
fn report(complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

fn complain(complaints: &mut Vec<String>, model: &str, comparison: Comparison) {
    if comparison.outside > 0 {
        complaints.push(format!("{model}: {comparison:?}"));
    }
}

#[test]
fn every_model_has_its_published_parameter_count_and_unique_keys() {
    let device = Device::flex();
    let mut complaints = Vec::new();
    for entry in registry() {
        let model = entry
            .config
            .init(entry.input, entry.classes, &device)
            .unwrap();
        let count = parameter_count(&model);
        if count != entry.parameters {
            complaints.push(format!(
                "{}: {count} parameters, published {}",
                entry.name, entry.parameters
            ));
        }
        let mut names: Vec<String> = parameters(&model)
            .into_iter()
            .map(|info| info.name)
            .collect();
        let total = names.len();
        names.sort();
        names.dedup();
        if names.len() != total {
            complaints.push(format!(
                "{}: {} keys for {total} tensors",
                entry.name,
                names.len()
            ));
        }
    }
    report(complaints);
}

#[test]
fn every_model_gives_pytorchs_outputs() {
    let device = Device::flex();
    let mut complaints = Vec::new();
    for entry in registry() {
        let reference = match Reference::open(entry.name) {
            Ok(reference) => reference,
            Err(missing) => {
                complaints.push(missing);
                continue;
            }
        };
        let model = reference.model(&entry, &device);
        let x = Tensor::from_data(reference.images(&entry, 2), &device);
        let output = model.forward(x).into_data();
        complain(
            &mut complaints,
            entry.name,
            reference.compare("output", output),
        );
    }
    report(complaints);
}

#[test]
fn every_family_has_a_reference_for_training() {
    let tested: Vec<&str> = with_training()
        .iter()
        .map(|(entry, _)| entry.family)
        .collect();
    let mut untested: Vec<&str> = registry().iter().map(|entry| entry.family).collect();
    untested.retain(|family| !tested.contains(family));
    untested.dedup();
    assert!(untested.is_empty(), "no reference of {untested:?}");
}

#[test]
fn feature_maps_have_the_channels_and_strides_they_claim() {
    let device = Device::flex();
    let mut complaints = Vec::new();
    for (entry, reference) in with_training() {
        let model = reference.model(&entry, &device);
        let x = Tensor::from_data(reference.images(&entry, 1), &device);
        let claimed = model.feature_channels();
        let maps = model.feature_maps(x);
        if claimed.is_empty() || claimed.len() != maps.len() {
            complaints.push(format!(
                "{}: {} of {} maps",
                entry.name,
                maps.len(),
                claimed.len()
            ));
        }
        for ((stride, channels), map) in claimed.into_iter().zip(&maps) {
            let [_, c, h, w] = map.tensor.dims();
            // Unpadded layers make a map smaller than the stride says, by four pixels at most: Inception v3's stem
            // turns 299 pixels into 71 at stride 4, where padding would give 75.
            let full = reference.side.div_ceil(stride);
            if map.stride != stride || c != channels || h != w || h > full || h + 4 < full {
                complaints.push(format!(
                    "{}: stride {stride}, {channels} channels: {c}x{h}x{w}",
                    entry.name
                ));
            }
        }
    }
    report(complaints);
}

/// Gradients are compared in double precision: in single precision rounding decides on which side of
/// their kink some rectifiers are, and one of them moves the first layer's gradient by more than the
/// tolerance, in PyTorch as well.
#[test]
fn training_mode_and_gradients_equal_pytorchs() {
    let device = Device::flex().autodiff();
    let mut complaints = Vec::new();
    for (entry, reference) in with_training() {
        let images = reference.training_images(&entry);
        let single = without_dropout(reference.model(&entry, &device));
        let logits = single
            .forward_train(Tensor::from_data(images.clone(), &device))
            .logits;
        let comparison = reference.compare("train.output", logits.into_data());
        complain(&mut complaints, entry.name, comparison);

        let double = without_dropout(reference.model(&entry, &device)).map(&mut Double);
        let output = double.forward_train(Tensor::from_data(images, (&device, DType::F64)));
        let shape = output.logits.dims();
        let pull = TensorData::new(formula::values("loss.weight", &shape, 1.0), shape);
        let pull = Tensor::<2>::from_data(pull, (&device, DType::F64));
        let mut loss = (output.logits * pull.clone()).sum();
        for (weight, logits) in output.aux {
            loss = loss + (logits * pull.clone()).sum().mul_scalar(weight);
        }
        let gradients = weight_gradients(&double, loss.mul_scalar(reference.loss_scale).backward());
        for (name, tensor) in [
            ("train.grad.first", gradients.first()),
            ("train.grad.last", gradients.last()),
        ] {
            let gradient = tensor.unwrap().1.clone().convert_dtype(DType::F32);
            complain(
                &mut complaints,
                entry.name,
                reference.compare(name, gradient),
            );
        }
    }
    report(complaints);
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

#[test]
fn a_change_of_any_tensor_by_a_tenth_is_seen() {
    let device = Device::flex();
    let mut complaints = Vec::new();
    for (entry, reference) in with_training() {
        let mut model = reference.model(&entry, &device);
        let state = weights::state_dict(&model);
        let x = Tensor::<4>::from_data(reference.images(&entry, 2), &device);
        for (name, original) in &state {
            if name.starts_with("aux") || name.starts_with("AuxLogits") {
                continue; // Heads that act in training only.
            }
            let changed: Vec<f32> = original
                .try_to_vec::<f32>()
                .unwrap()
                .iter()
                .map(|v| v * 1.1)
                .collect();
            let changed = TensorData::new(changed, original.shape().clone());
            let only = StateDict::from([(name.clone(), changed)]);
            let back = StateDict::from([(name.clone(), original.clone())]);
            let some = weights::LoadOptions {
                allow_missing: true,
                ..Default::default()
            };
            model = weights::apply(model, &only, &some).unwrap().0;
            let output = model.forward(x.clone()).into_data();
            if reference.compare("output", output).outside == 0 {
                complaints.push(format!("{}: a change of `{name}` is not seen", entry.name));
            }
            model = weights::apply(model, &back, &some).unwrap().0;
        }
        let output = model.forward(x).into_data();
        complain(
            &mut complaints,
            entry.name,
            reference.compare("output", output),
        );
    }
    report(complaints);
}

#[test]
fn the_smallest_variant_of_each_family_overfits_one_batch() {
    let device = Device::flex().autodiff();
    let mut complaints = Vec::new();
    for (entry, reference) in with_training() {
        device.seed(7);
        let model = entry
            .config
            .init(reference.input(&entry), 4, &device)
            .unwrap();
        let mut model = without_dropout(model);
        let x = Tensor::<4>::from_data(reference.training_images(&entry), &device);
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
        if !(last < 0.1 && first > 0.5) {
            complaints.push(format!(
                "{}: the loss went from {first} to {last}",
                entry.name
            ));
        }
    }
    report(complaints);
}
