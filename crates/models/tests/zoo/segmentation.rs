//! Every segmenter: parameter count and parity with torchvision, where that has it. Every architecture: the output's size
//! at odd sizes and overfitting one batch. References are made by `scripts/export_segmentation_reference.py`.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use firesight_models::classification::ClassifierConfig;
use firesight_models::segmentation::deeplabv3::DeepLabV3Config;
use firesight_models::segmentation::fcn::FcnConfig;
use firesight_models::segmentation::fcn_skip::FcnSkipConfig;
use firesight_models::segmentation::lraspp::LrasppConfig;
use firesight_models::segmentation::unet::UnetConfig;
use firesight_models::segmentation::{Segmenter, SegmenterConfig, registry};
use firesight_models::verify::compare;
use firesight_models::{InputSpec, formula};
use firesight_ops::loss::{CrossEntropyOptions, cross_entropy_pixels};

use crate::reference::{
    Double, Reference, check_mutations, check_parameters, seeded, without_dropout,
};

macro_rules! suite {
    (fcn_vgg { $($vgg:ident)+ } $($file:ident { $($name:ident)+ })+) => {
        $(mod $vgg {
            #[test]
            fn has_its_parameters_and_outputs() {
                super::check(stringify!($vgg));
            }
        })+

        $($(mod $name {
            #[test]
            fn has_its_parameters_and_outputs() {
                super::check(stringify!($name));
            }
        })+)+

        /// Tests of an architecture in a small form; FCN on VGG-16 has none, its test of sizes stands beside it.
        mod architectures {
            $(mod $file {
                use super::super::{gives_logits_at_odd_sizes, learns_one_batch, small};

                #[test]
                fn logits_have_the_images_size_at_odd_sizes() {
                    small(stringify!($file)).iter().for_each(gives_logits_at_odd_sizes);
                }

                #[test]
                fn one_batch_is_learned() {
                    small(stringify!($file)).iter().for_each(learns_one_batch);
                }
            })+
        }
    };
}

firesight_models::each_segmenter!(suite);

/// Models that torchvision lacks, so that there is nothing to compare outputs with.
const WITHOUT_REFERENCE: [&str; 8] = [
    "fcn32s",
    "fcn16s",
    "fcn8s",
    "fcn_skip",
    "fcn",
    "deeplabv3",
    "lraspp",
    "unet",
];

fn check(name: &str) {
    let device = Device::flex();
    let mut entries = registry().into_iter();
    let entry = entries.find(|entry| entry.name == name).unwrap();
    let model = entry
        .config
        .init(entry.input, entry.classes, &device)
        .unwrap();
    check_parameters(&model, entry.parameters);
    if !WITHOUT_REFERENCE.contains(&name) {
        let (reference, model) = reference(name, 1, &device);
        let verdict = reference.verify(name, &model, &device);
        assert!(verdict.passed, "{verdict:?}");
        let aux = !name.starts_with("lraspp");
        assert_eq!(verdict.outputs.len(), 1 + usize::from(aux));
    }
}

/// A reference with its images, and the model with the formula's weights.
fn reference(name: &str, images: usize, device: &Device) -> (Reference, Segmenter) {
    let mut reference = Reference::open("segmentation", name);
    let [height, width] = ["height", "width"].map(|key| reference.number(key) as usize);
    let images = formula::images([images, 3, height, width]);
    reference.tensors.insert("input".to_string(), images);
    let input = InputSpec {
        channels: 3,
        height,
        width,
    };
    let config = SegmenterConfig::named(name).unwrap();
    let model = config.init(input, reference.classes(), device).unwrap();
    let model = reference.filled(model);
    (reference, model)
}

/// Small members of an architecture, for what needs no published size.
fn small(file: &str) -> Vec<SegmenterConfig> {
    let resnet20 = || ClassifierConfig::Resnet20(Default::default());
    let cnn = |channels: &[usize]| {
        ClassifierConfig::Cnn(firesight_models::classification::cnn::CnnConfig {
            channels: channels.to_vec(),
            ..Default::default()
        })
    };
    match file {
        "unet" => vec![SegmenterConfig::Unet(UnetConfig {
            channels: vec![8, 16, 24],
            ..Default::default()
        })],
        "fcn_skip" => [cnn(&[8, 16, 24]), resnet20()]
            .map(|backbone| {
                SegmenterConfig::FcnSkip(FcnSkipConfig {
                    backbone,
                    ..Default::default()
                })
            })
            .into(),
        "fcn" => vec![SegmenterConfig::Fcn(FcnConfig {
            backbone: resnet20(),
            aux: true,
            ..Default::default()
        })],
        "deeplabv3" => vec![SegmenterConfig::Deeplabv3(DeepLabV3Config {
            backbone: resnet20(),
            channels: 16,
            rates: [1, 2, 4],
            ..Default::default()
        })],
        "lraspp" => vec![SegmenterConfig::Lraspp(LrasppConfig {
            backbone: resnet20(),
            channels: 16,
        })],
        other => panic!("`{other}` needs a small form for its tests"),
    }
}

fn gives_logits_at_odd_sizes(config: &SegmenterConfig) {
    let device = Device::flex();
    let minimum = config.minimum();
    let model = seeded(5, &device, || {
        config.init(InputSpec::rgb(64), 4, &device).unwrap()
    });
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

fn learns_one_batch(config: &SegmenterConfig) {
    let device = Device::flex().autodiff();
    let model = seeded(3, &device, || {
        config.init(InputSpec::rgb(24), 3, &device).unwrap()
    });
    let mut model = without_dropout(model);
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

/// A model with an auxiliary head.
#[test]
fn fcn_resnet50_in_training_equals_torchvisions() {
    equals_in_training("fcn_resnet50");
}

/// A model without one.
#[test]
fn lraspp_mobilenet_v3_large_in_training_equals_torchvisions() {
    equals_in_training("lraspp_mobilenet_v3_large");
}

fn equals_in_training(name: &str) {
    let device = Device::flex().autodiff();
    let (reference, model) = reference(name, 2, &device);
    let model = without_dropout(model).map(&mut Double);
    let x = Tensor::from_data(reference.tensors["input"].clone(), (&device, DType::F64));
    let output = model.forward_train(x);
    let mut pairs = vec![("train.out", output.logits)];
    pairs.extend(output.aux.map(|aux| ("train.aux", aux)));
    for (key, tensor) in pairs {
        let output = tensor.into_data().convert_dtype(DType::F32);
        let found = compare(key, &output, &reference.tensors[key]).unwrap();
        assert_eq!(found.outside, 0, "{found:?}");
    }
}

#[test]
fn fcn_resnet50_with_any_tensor_changed_by_a_tenth_is_seen() {
    let device = Device::flex();
    let (reference, model) = reference("fcn_resnet50", 1, &device);
    check_mutations(model, &reference, &device, |_| false);
}

#[test]
fn a_wrong_option_names_its_key() {
    let device = Device::flex();
    let config = SegmenterConfig::FcnSkip(FcnSkipConfig {
        backbone: ClassifierConfig::Resnet20(Default::default()),
        skips: 3,
        ..Default::default()
    });
    let message = config
        .init(InputSpec::rgb(64), 2, &device)
        .unwrap_err()
        .to_string();
    assert!(message.contains("`skips`: 3 skips"), "{message}");
    let config = SegmenterConfig::Fcn(FcnConfig {
        backbone: ClassifierConfig::Densenet121(Default::default()),
        ..Default::default()
    });
    let message = config
        .init(InputSpec::rgb(64), 2, &device)
        .unwrap_err()
        .to_string();
    assert!(message.contains("parted from its head"), "{message}");
    let config = SegmenterConfig::Unet(UnetConfig {
        channels: vec![8],
        ..Default::default()
    });
    assert!(config.init(InputSpec::rgb(64), 2, &device).is_err());
}
