//! One suite over every segmenter of the registry: published parameter counts, parity with torchvision in
//! evaluation and training mode, the output's size at odd sizes, the mutation test, and overfitting one batch.
//! References are made by `scripts/export_segmentation_reference.py`.

use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use firesight_models::classification::ClassifierConfig;
use firesight_models::formula;
use firesight_models::layers::without_dropout;
use firesight_models::segmentation::deeplabv3::DeepLabV3Config;
use firesight_models::segmentation::fcn::FcnConfig;
use firesight_models::segmentation::fcn_skip::FcnSkipConfig;
use firesight_models::segmentation::lraspp::LrasppConfig;
use firesight_models::segmentation::unet::UnetConfig;
use firesight_models::segmentation::{Segmenter, SegmenterConfig, registry};
use firesight_models::verify::{self, NamedOutputs};
use firesight_models::weights::{self, StateDict, load_state_dict, parameter_count, parameters};
use firesight_ops::loss::{CrossEntropyOptions, cross_entropy_pixels};

/// The models that torchvision has.
const REFERENCES: [&str; 6] = [
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
];

/// A reference file.
struct Reference {
    tensors: StateDict,
    gain: f64,
    classes: usize,
    size: [usize; 2],
}

impl Reference {
    fn open(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/segmentation/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let about = header.metadata().clone().unwrap();
        let number = |key: &str| about[key].parse::<f64>().unwrap();
        Self {
            tensors: weights::read(&path).unwrap(),
            gain: number("gain"),
            classes: number("classes") as usize,
            size: [number("height") as usize, number("width") as usize],
        }
    }

    fn images(&self, count: usize) -> TensorData {
        formula::images([count, 3, self.size[0], self.size[1]])
    }

    /// The model with the formula's weights.
    fn model(&self, name: &str, device: &Device) -> Segmenter {
        let config = SegmenterConfig::named(name).unwrap();
        let model = config.init(3, self.classes, device).unwrap();
        let state = formula::state(&model, self.gain);
        load_state_dict(model, &state).unwrap()
    }
}

/// Small members of every architecture, for what needs no published size.
fn small() -> Vec<SegmenterConfig> {
    let resnet20 = || ClassifierConfig::Resnet20(Default::default());
    let cnn = |channels: &[usize]| {
        ClassifierConfig::Cnn(firesight_models::classification::cnn::CnnConfig {
            channels: channels.to_vec(),
            ..Default::default()
        })
    };
    vec![
        SegmenterConfig::Unet(UnetConfig {
            channels: vec![8, 16, 24],
            ..Default::default()
        }),
        SegmenterConfig::FcnSkip(FcnSkipConfig {
            backbone: cnn(&[8, 16, 24]),
            ..Default::default()
        }),
        SegmenterConfig::FcnSkip(FcnSkipConfig {
            backbone: resnet20(),
            ..Default::default()
        }),
        SegmenterConfig::Fcn(FcnConfig {
            backbone: resnet20(),
            aux: true,
            ..Default::default()
        }),
        SegmenterConfig::Deeplabv3(DeepLabV3Config {
            backbone: resnet20(),
            channels: 16,
            rates: [1, 2, 4],
            ..Default::default()
        }),
        SegmenterConfig::Lraspp(LrasppConfig {
            backbone: resnet20(),
            channels: 16,
        }),
    ]
}

#[test]
fn every_model_has_its_published_parameter_count_and_unique_keys() {
    let device = Device::flex();
    for entry in registry() {
        let model = entry.config.init(3, 21, &device).unwrap();
        assert_eq!(entry.config.name(), entry.name);
        if let Some(published) = entry.parameters {
            assert_eq!(parameter_count(&model), published, "{}", entry.name);
        }
        let mut names: Vec<String> = parameters(&model).into_iter().map(|i| i.name).collect();
        let total = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), total, "{}", entry.name);
    }
}

#[test]
fn every_published_model_gives_torchvisions_outputs() {
    let device = Device::flex();
    for name in REFERENCES {
        let reference = Reference::open(name);
        let model = reference.model(name, &device);
        let mut tensors = reference.tensors.clone();
        tensors.insert("input".to_string(), reference.images(1));
        let verdict = verify::verify(&model, &tensors, &device).unwrap();
        assert!(verdict.passed, "{name}: {verdict:?}");
        let aux = !name.starts_with("lraspp");
        assert_eq!(verdict.outputs.len(), 1 + usize::from(aux), "{name}");
    }
}

/// Takes parameters and running statistics to double precision: in single precision batch statistics of few pixels
/// round by more than the tolerance, in PyTorch as well.
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

#[test]
fn training_mode_equals_torchvisions() {
    let device = Device::flex().autodiff();
    for name in ["fcn_resnet50", "lraspp_mobilenet_v3_large"] {
        let reference = Reference::open(name);
        let model = without_dropout(reference.model(name, &device)).map(&mut Double);
        let x = Tensor::from_data(reference.images(2), (&device, DType::F64));
        let output = model.forward_train(x);
        let mut pairs = vec![("train.out", output.logits)];
        pairs.extend(output.aux.map(|aux| ("train.aux", aux)));
        for (key, tensor) in pairs {
            let output = tensor.into_data().convert_dtype(DType::F32);
            let found = verify::compare(key, &output, &reference.tensors[key]);
            let found = found.unwrap();
            assert_eq!(found.outside, 0, "{name}: {found:?}");
        }
    }
}

#[test]
fn a_change_of_any_tensor_by_a_tenth_is_seen() {
    let device = Device::flex();
    let name = "fcn_resnet50";
    let reference = Reference::open(name);
    let mut model = reference.model(name, &device);
    let state = weights::state_dict(&model);
    let x = Tensor::<4>::from_data(reference.images(1), &device);
    let some = weights::LoadOptions {
        allow_missing: true,
        ..Default::default()
    };
    for (key, original) in &state {
        let values = original.try_to_vec::<f32>().unwrap();
        let changed: Vec<f32> = values.iter().map(|v| v * 1.1).collect();
        let changed = TensorData::new(changed, original.shape().clone());
        let put = |model, data| {
            let only = StateDict::from([(key.clone(), data)]);
            weights::apply(model, &only, &some).unwrap().0
        };
        model = put(model, changed);
        let mut outputs = model.named_outputs(x.clone()).into_iter();
        let seen = outputs.any(|(name, output)| {
            let expected = &reference.tensors[&name];
            verify::compare(&name, &output, expected).unwrap().outside > 0
        });
        assert!(seen, "a change of `{key}` is not seen");
        model = put(model, original.clone());
    }
}

#[test]
fn logits_have_the_images_size_at_odd_sizes() {
    let device = Device::flex();
    for config in small() {
        let minimum = config.minimum();
        let model = config.init(3, 4, &device).unwrap();
        for [h, w] in [
            [minimum, minimum],
            [minimum, 37],
            [41, minimum + 2],
            [33, 50],
        ] {
            let x = Tensor::from_data(formula::images([2, 3, h, w]), &device);
            let output = model.forward_train(x.clone());
            assert_eq!(output.logits.dims(), [2, 4, h, w], "{config:?}");
            if let Some(aux) = output.aux {
                assert_eq!(aux.dims(), [2, 4, h, w], "{config:?}");
            }
            assert_eq!(model.forward(x).dims(), [2, 4, h, w], "{config:?}");
        }
    }
}

#[test]
fn every_architecture_learns_one_batch() {
    let device = Device::flex().autodiff();
    for config in small() {
        device.seed(3);
        let mut model = without_dropout(config.init(3, 3, &device).unwrap());
        let x = Tensor::<4>::from_data(formula::images([2, 3, 24, 24]), &device);
        // Blocks of 8 pixels, as the images have them.
        let target = |i: usize| ((i / 8 % 3 + i / 192 % 3 + i / 576) % 3) as i64;
        let target: Vec<i64> = (0..2 * 24 * 24).map(target).collect();
        let target = Tensor::<3, Int>::from_data(TensorData::new(target, [2, 24, 24]), &device);
        let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
        let mut losses = Vec::new();
        for _ in 0..150 {
            let output = model.forward_train(x.clone());
            let options = CrossEntropyOptions::default();
            let loss = cross_entropy_pixels(output.logits, target.clone(), &options);
            losses.push(loss.clone().into_scalar::<f32>());
            if losses.last().is_some_and(|loss| *loss < 0.3) {
                break;
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.3 && first > 0.5, "{config:?}: {first} to {last}");
    }
}

#[test]
fn a_wrong_option_names_its_key() {
    let device = Device::flex();
    let config = SegmenterConfig::FcnSkip(FcnSkipConfig {
        backbone: ClassifierConfig::Resnet20(Default::default()),
        skips: 3,
        ..Default::default()
    });
    let message = config.init(3, 2, &device).unwrap_err().to_string();
    assert!(message.contains("`skips`: 3 skips"), "{message}");
    let config = SegmenterConfig::Fcn(FcnConfig {
        backbone: ClassifierConfig::Densenet121(Default::default()),
        ..Default::default()
    });
    let message = config.init(3, 2, &device).unwrap_err().to_string();
    assert!(message.contains("parted from its head"), "{message}");
    let config = SegmenterConfig::Unet(UnetConfig {
        channels: vec![8],
        ..Default::default()
    });
    assert!(config.init(3, 2, &device).is_err());
}
