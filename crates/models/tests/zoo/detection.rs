//! Every detector: parameter count, and against torchvision, where that has it, raw outputs, detections and losses with
//! the formula's weights. Every architecture: overfitting one batch. References are made by
//! `scripts/export_detection_reference.py` and `scripts/export_yolox_reference.py`.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use firesight_models::classification::ClassifierConfig;
use firesight_models::detection::{
    BatchTransform, Detector, DetectorConfig, FcosConfig, Objects, RetinaNetConfig, YoloxConfig,
    registry,
};
use firesight_models::verify::compare;
use firesight_models::weights::{self, StateDict, parameters};
use firesight_models::{InputSpec, formula};
use serde_json::json;

use crate::reference::{Reference, check_parameters, seeded};

macro_rules! suite {
    ($($file:ident { $($name:ident)+ })+) => {
        $($(mod $name {
            #[test]
            fn has_its_parameters_outputs_and_losses() {
                super::check(stringify!($name));
            }
        })+)+

        /// Tests of an architecture in a small form.
        mod architectures {
            $(mod $file {
                #[test]
                fn one_batch_is_learned_and_found_again() {
                    super::super::learns_one_batch(stringify!($file));
                }

                #[test]
                fn images_without_objects_train_to_finite_weights() {
                    super::super::stays_finite_without_objects(stringify!($file));
                }
            })+
        }
    };
}

firesight_models::each_detector!(suite);

const SIZE: [usize; 2] = [64, 96];

/// Models that are not published, so that there is nothing to compare outputs with.
const WITHOUT_REFERENCE: [&str; 3] = ["retinanet", "fcos", "yolox"];

fn input() -> InputSpec {
    InputSpec {
        channels: 3,
        height: SIZE[0],
        width: SIZE[1],
    }
}

/// Height and width of a reference's images.
fn size(reference: &Reference) -> [usize; 2] {
    let side = |key: &str, default| reference.find(key).map_or(default, |side| side as usize);
    [side("height", SIZE[0]), side("width", SIZE[1])]
}

/// A reference with its images, and the model with the formula's weights.
fn reference(name: &str, device: &Device) -> (Reference, Detector) {
    let mut reference = Reference::open("detection", name);
    let [height, width] = size(&reference);
    let images = formula::images([2, 3, height, width]);
    let [scale, shift] = [("scale", 1.0), ("shift", 0.0)]
        .map(|(key, default)| reference.find(key).unwrap_or(default) as f32);
    let images = images.iter::<f32>().map(|v| scale * v + shift).collect();
    let images = TensorData::new::<f32, _>(images, [2, 3, height, width]);
    reference.tensors.insert("input".to_string(), images);
    let config = with_l1(DetectorConfig::named(name).unwrap());
    let model = config.init(input(), reference.classes(), device).unwrap();
    let model = reference.filled(model);
    (reference, model)
}

/// A YOLOX' loss with all its parts.
fn with_l1(config: DetectorConfig) -> DetectorConfig {
    let name = config.name();
    match name.starts_with("yolox") {
        true => serde_json::from_value(json!({name: {"l1": true}})).unwrap(),
        false => config,
    }
}

fn numbers(tensors: &StateDict, name: &str) -> Vec<f32> {
    tensors[name].clone().try_to_vec::<f32>().unwrap()
}

/// `(case, objects of both images)`, the same as the script's.
fn cases() -> Vec<(&'static str, Vec<Objects>)> {
    let objects = |list: &[([f32; 4], usize)]| Objects {
        boxes: list.iter().map(|(b, _)| *b).collect(),
        classes: list.iter().map(|(_, class)| *class).collect(),
    };
    vec![
        (
            "both",
            vec![
                objects(&[
                    ([4.0, 6.0, 40.0, 44.0], 1),
                    ([50.0, 8.0, 90.0, 60.0], 3),
                    ([30.0, 30.0, 41.0, 39.0], 0),
                ]),
                objects(&[([10.0, 10.0, 80.0, 58.0], 4)]),
            ],
        ),
        (
            "one",
            vec![
                objects(&[]),
                objects(&[([2.0, 3.0, 30.0, 24.0], 2), ([0.0, 0.0, 96.0, 64.0], 0)]),
            ],
        ),
        ("none", vec![objects(&[]), objects(&[])]),
    ]
}

fn iou(a: &[f32], b: &[f32]) -> f32 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |b: &[f32]| (b[2] - b[0]) * (b[3] - b[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

fn check(name: &str) {
    let device = Device::flex();
    let mut entries = registry().into_iter();
    let entry = entries.find(|entry| entry.name == name).unwrap();
    let model = entry.config.init(input(), entry.classes, &device).unwrap();
    check_parameters(&model, entry.parameters);
    if WITHOUT_REFERENCE.contains(&name) {
        return;
    }
    let (reference, model) = reference(name, &device);
    let verdict = reference.verify(name, &model, &device);
    assert!(verdict.passed, "{:?}", verdict.outputs);
    let outputs = verdict.outputs.iter().map(|output| output.name.as_str());
    let (raw, detections): (Vec<_>, Vec<_>) = outputs.partition(|name| !name.contains('.'));
    let heads = if name.starts_with("retinanet") || name.starts_with("ssd") {
        2
    } else {
        3
    };
    assert_eq!(raw.len(), heads, "{raw:?}");
    assert_eq!(detections, ["detections.0", "detections.1"]);

    let tensors = &reference.tensors;
    let output = model.forward(Tensor::from_data(tensors["input"].clone(), &device));
    for (case, objects) in cases() {
        let loss = model.loss(&output, &objects, size(&reference));
        for (part, value) in loss.parts() {
            let expected = &tensors[&format!("loss.{case}.{part}")];
            let comparison = compare(part, &value.into_data(), expected).unwrap();
            assert_eq!(
                comparison.outside, 0,
                "{case}: {comparison:?}, {expected:?}"
            );
        }
        let parts = tensors.keys();
        let parts = parts.filter(|key| key.starts_with(&format!("loss.{case}.")));
        assert_eq!(parts.count(), loss.parts().len(), "{case}");
    }
    if tensors.keys().any(|key| key.starts_with("gradient.")) {
        check_gradients(name);
    }
}

/// The gradients of the loss of the first case; normalization stands still.
fn check_gradients(name: &str) {
    let device = Device::flex().autodiff();
    let (reference, model) = reference(name, &device);
    let tensors = &reference.tensors;
    let model = model.map(&mut StillNorms::default());
    let output = model.forward(Tensor::from_data(tensors["input"].clone(), &device));
    let (_, objects) = cases().remove(0);
    let loss = model.loss(&output, &objects, size(&reference));
    let mut gradients = loss.total().backward();
    let gradients = GradientsParams::from_module(&mut gradients, &model);
    let mut compared = 0;
    for info in parameters(&model) {
        let Some(expected) = tensors.get(&format!("gradient.{}", info.name)) else {
            continue;
        };
        let gradient = match info.rank() {
            1 => gradients.get::<1>(info.id).map(Tensor::into_data),
            _ => gradients.get::<4>(info.id).map(Tensor::into_data),
        };
        let comparison = compare(&info.name, &gradient.unwrap(), expected).unwrap();
        assert_eq!(comparison.outside, 0, "{comparison:?}");
        compared += 1;
    }
    let stored = tensors.keys().filter(|key| key.starts_with("gradient."));
    assert_eq!(compared, stored.count());
}

/// Batch normalization by the running statistics, in training as well.
#[derive(Default)]
struct StillNorms {
    containers: Vec<String>,
}

impl ModuleMapper for StillNorms {
    fn enter_module(&mut self, _: &str, container: &str) {
        self.containers.push(container.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.containers.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.containers.last().map(String::as_str) {
            Some("Struct:BatchNorm") => flag.with_value(false),
            _ => flag,
        }
    }
}

#[test]
fn yolox_has_its_published_parameters_and_keys() {
    let device = Device::flex();
    for (name, count, keys) in [
        ("yolox_nano", 912_159, 642),
        ("yolox_tiny", 5_055_855, 462),
        ("yolox_s", 8_968_255, 462),
        ("yolox_m", 25_326_495, 606),
        ("yolox_l", 54_208_895, 750),
        ("yolox_x", 99_071_455, 894),
    ] {
        let config = DetectorConfig::named(name).unwrap();
        let model = config.init(input(), 80, &device).unwrap();
        check_parameters(&model, count);
        let names = parameters(&model).into_iter().map(|info| info.name);
        let names: Vec<String> = names.collect();
        // PyTorch also counts the batches that each normalization has seen.
        let norms = names.iter().filter(|name| name.ends_with("running_mean"));
        assert_eq!(names.len() + norms.count(), keys, "{name}");
        assert_eq!(names[0], "backbone.backbone.stem.conv.conv.weight");
        assert_eq!(names[names.len() - 1], "head.stems.2.bn.running_var");
        for key in [
            "backbone.backbone.dark5.1.conv2.bn.weight",
            "backbone.C3_n4.m.0.conv1.conv.weight",
            "head.cls_preds.1.bias",
        ] {
            assert!(names.iter().any(|name| name == key), "{name}: {key}");
        }
    }
}

#[test]
fn the_transform_gives_torchvisions_sizes() {
    let tensors = Reference::open("detection", "retinanet_resnet50_fpn").tensors;
    let sizes = [
        [480, 640],
        [427, 640],
        [333, 1000],
        [1500, 900],
        [64, 64],
        [375, 500],
    ];
    let transform = BatchTransform::default();
    let got: Vec<f32> = sizes
        .iter()
        .flat_map(|size| transform.size(*size))
        .map(|v| v as f32)
        .collect();
    assert_eq!(got, numbers(&tensors, "resized"));
}

#[test]
fn keys_are_the_published_ones() {
    let device = Device::flex();
    let names = |name: &str| -> Vec<String> {
        let model = DetectorConfig::named(name)
            .unwrap()
            .init(input(), 5, &device)
            .unwrap();
        parameters(&model)
            .into_iter()
            .map(|info| info.name)
            .collect()
    };
    let retinanet = names("retinanet_resnet50_fpn");
    for key in [
        "backbone.body.layer1.0.downsample.1.running_mean",
        "backbone.fpn.inner_blocks.0.0.weight",
        "backbone.fpn.extra_blocks.p7.bias",
        "head.classification_head.conv.3.0.bias",
        "head.regression_head.bbox_reg.weight",
    ] {
        assert!(
            retinanet.iter().any(|name| name == key),
            "{key} of {retinanet:?}"
        );
    }
    assert!(!retinanet.iter().any(|name| name.contains(".fc.")));
    assert!(
        names("retinanet_resnet50_fpn_v2")
            .contains(&"head.regression_head.conv.2.1.weight".to_string())
    );
    assert!(
        names("fcos_resnet50_fpn").contains(&"head.classification_head.conv.10.weight".to_string())
    );
}

#[test]
fn files_from_before_the_blocks_were_sequences_load() {
    let device = Device::flex();
    let config = small("retinanet");
    let model = config.init(input(), 4, &device).unwrap();
    let state = formula::state(&model, 1.0);
    // Published keys: `conv.2.weight` for the second convolution of a tower, `inner_blocks.0.weight`.
    let old = state.iter().map(|(key, value)| {
        let mut parts: Vec<String> = key.split('.').map(str::to_string).collect();
        if let Some(at) = parts
            .iter()
            .position(|part| part == "inner_blocks" || part == "layer_blocks")
        {
            parts.remove(at + 2);
        }
        if parts[0] == "head" && parts[2] == "conv" {
            parts[3] = (2 * parts[3].parse::<usize>().unwrap()).to_string();
            parts.remove(4);
        }
        (parts.join("."), value.clone())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.safetensors");
    let old: Vec<(String, TensorData)> = old.collect();
    let views = old.iter().map(|(name, data)| {
        let view = safetensors::tensor::TensorView::new(
            safetensors::Dtype::F32,
            data.shape().to_vec(),
            data.as_bytes(),
        );
        (name.clone(), view.unwrap())
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let (model, report) = weights::load(model, &path, &weights::LoadOptions::default()).unwrap();
    assert_eq!((report.taken.len(), report.unused.len()), (state.len(), 0));
    assert_eq!(weights::state_dict(&model), state);
}

/// A detector that is small enough to be trained in a test, by the file of its architecture.
fn small(file: &str) -> DetectorConfig {
    let backbone = ClassifierConfig::named("resnet18").unwrap();
    match file {
        "fcos" => DetectorConfig::Fcos(FcosConfig {
            backbone,
            channels: 32,
            levels: 4,
            head_depth: 1,
            ..FcosConfig::default()
        }),
        "retinanet" => DetectorConfig::Retinanet(RetinaNetConfig {
            backbone,
            channels: 32,
            levels: 3,
            head_depth: 1,
            anchor_size: 16.0,
            ..RetinaNetConfig::default()
        }),
        "ssd" => DetectorConfig::named("ssdlite320_mobilenet_v3_large").unwrap(),
        "yolox" => DetectorConfig::Yolox(YoloxConfig {
            depth: 0.33,
            width: 0.25,
            l1: true,
            ..YoloxConfig::default()
        }),
        other => panic!("`{other}` needs a small form for its tests"),
    }
}

/// Steps of plain gradient descent on two images; returns the losses.
fn train(config: &DetectorConfig, objects: &[Objects], steps: usize) -> (Detector, Vec<f32>) {
    let device = Device::flex().autodiff();
    let mut model = seeded(3, &device, || config.init(input(), 4, &device).unwrap());
    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(burn::optim::momentum::MomentumConfig {
            momentum: 0.9,
            dampening: 0.0,
            nesterov: false,
        }))
        .init();
    let images = formula::images([2, 3, SIZE[0], SIZE[1]]);
    let mut losses = Vec::new();
    for _ in 0..steps {
        let output = model.forward(Tensor::from_data(images.clone(), &device));
        let loss = model.loss(&output, objects, SIZE).total();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
    (model, losses)
}

fn learns_one_batch(file: &str) {
    let (_, objects) = cases().remove(0);
    let objects: Vec<Objects> = objects
        .into_iter()
        .map(|mut o| {
            o.classes.iter_mut().for_each(|class| *class %= 4);
            o
        })
        .collect();
    // Which places of a YOLOX answer for an object changes while it learns.
    let steps = if file == "yolox" { 150 } else { 60 };
    let (model, losses) = train(&small(file), &objects, steps);
    let (first, last) = (losses[0], losses[steps - 1]);
    assert!(last.is_finite() && last < 0.35 * first, "{losses:?}");
    let model = model.train();
    // In training mode, whose batch statistics the model was fitted to.
    let device = Device::flex().autodiff();
    let images = formula::images([2, 3, SIZE[0], SIZE[1]]);
    let output = model.forward(Tensor::from_data(images, &device));
    let found = model
        .detections(&output, SIZE, model.postprocess())
        .unwrap();
    let best = found[1].first().expect("a detection");
    assert!(
        iou(&best.xyxy, &objects[1].boxes[0]) > 0.6 && best.class == objects[1].classes[0],
        "{best:?}"
    );
}

fn stays_finite_without_objects(file: &str) {
    let (model, losses) = train(&small(file), &[Objects::default(), Objects::default()], 3);
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    for (name, data) in weights::state_dict(&model) {
        let values = data.try_to_vec::<f32>().unwrap();
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
    }
}

#[test]
fn ssd_has_its_published_keys() {
    let device = Device::flex();
    for (name, keys, first, last) in [
        (
            "ssd300_vgg16",
            71,
            "backbone.scale_weight",
            "head.regression_head.module_list.5.bias",
        ),
        (
            "ssdlite320_mobilenet_v3_large",
            476,
            "backbone.features.0.0.0.weight",
            "head.regression_head.module_list.5.1.bias",
        ),
    ] {
        let config = DetectorConfig::named(name).unwrap();
        let names = parameters(&config.init(input(), 90, &device).unwrap());
        let names: Vec<String> = names.into_iter().map(|info| info.name).collect();
        let norms = names.iter().filter(|name| name.ends_with("running_mean"));
        assert_eq!(names.len() + norms.count(), keys, "{name}: {names:?}");
        assert_eq!(
            (names[0].as_str(), names[names.len() - 1].as_str()),
            (first, last)
        );
    }
}

#[test]
fn yolox_sees_bytes_of_blue_green_and_red() {
    let device = Device::flex();
    let make = |transform: bool| {
        let options = json!({"yolox_nano": {"transform-input": transform}});
        let config: DetectorConfig = serde_json::from_value(options).unwrap();
        let model = config.init(input(), 3, &device).unwrap();
        let state = formula::state(&model, 1.35);
        weights::load_state_dict(model, &state).unwrap()
    };
    let bytes: Vec<f32> = (0..3 * 32 * 32).map(|at| (at * 7 % 256) as f32).collect();
    let image =
        |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, [1, 3, 32, 32]), &device);
    let [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
    let normalized = |(at, byte): (usize, &f32)| (byte / 255.0 - mean[at / 1024]) / std[at / 1024];
    let normalized = bytes.iter().enumerate().map(normalized).collect();
    let reversed = bytes.chunks_exact(1024).rev().flatten().copied().collect();
    let got = make(true).forward(image(normalized)).cls_logits.into_data();
    let want = make(false).forward(image(reversed)).cls_logits.into_data();
    assert_eq!(compare("output", &got, &want).unwrap().outside, 0);
    let gray = InputSpec {
        channels: 1,
        ..input()
    };
    let options = json!({"yolox_nano": {"transform-input": true}});
    let config: DetectorConfig = serde_json::from_value(options).unwrap();
    let refused = config.init(gray, 3, &device).unwrap_err().to_string();
    assert!(refused.contains("needs RGB images"), "{refused}");
}

#[test]
fn options_out_of_range_are_named() {
    let device = Device::flex();
    let wrong = |change: &dyn Fn(&mut RetinaNetConfig)| {
        let mut config = RetinaNetConfig::default();
        change(&mut config);
        DetectorConfig::Retinanet(config)
            .init(input(), 4, &device)
            .unwrap_err()
            .to_string()
    };
    assert!(wrong(&|c| c.levels = 2).contains("`levels`: 2 is not from 3 to 5"));
    assert!(wrong(&|c| c.anchor_scales.clear()).contains("`anchor-scales`"));
    assert!(
        wrong(&|c| {
            c.head_norm = true;
            c.channels = 40
        })
        .contains("not a multiple of 32")
    );
    assert!(wrong(&|c| c.postprocess.iou_threshold = 1.5).contains("`postprocess.iou-threshold`"));
    let none = DetectorConfig::named("fcos")
        .unwrap()
        .init(input(), 0, &device)
        .unwrap_err();
    assert!(none.to_string().contains("class"));
}
