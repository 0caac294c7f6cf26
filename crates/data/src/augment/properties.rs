//! What holds for every geometric augmentation, tried on random images, rectangles and draws.

use super::*;
use crate::geometry::Filter;
use crate::random::{Domain, below, stream};
use crate::sample::{Image, Picture, Sample, Value};
use crate::target::{BoxLabel, Mask, Target};

/// Every geometric augmentation, alone and in rows as recipes have them.
fn pipelines() -> Vec<Vec<Augment>> {
    use Augment as A;
    let flip = || A::HorizontalFlip(HorizontalFlip::default());
    let rotate = || {
        A::Rotate(Rotate {
            degrees: 40.0,
            ..Rotate::default()
        })
    };
    let crop = || {
        A::RandomResizedCrop(RandomResizedCrop {
            width: 48,
            height: 40,
            area: [0.3, 1.0],
            ..Default::default()
        })
    };
    vec![
        vec![flip()],
        vec![A::VerticalFlip(VerticalFlip::default())],
        vec![A::Transpose(Transpose::default())],
        vec![rotate()],
        vec![A::Translate(Translate {
            fraction: 0.3,
            ..Translate::default()
        })],
        vec![A::Scale(Scale {
            factor: [0.4, 2.0],
            ..Scale::default()
        })],
        vec![A::Shear(Shear {
            x_degrees: 20.0,
            y_degrees: 15.0,
            ..Shear::default()
        })],
        vec![A::Perspective(Perspective {
            probability: 1.0,
            ..Perspective::default()
        })],
        vec![A::CenterCrop(CenterCrop {
            width: 40,
            height: 60,
            ..CenterCrop::default()
        })],
        vec![A::PadAndCrop(PadAndCrop {
            padding: 12,
            ..PadAndCrop::default()
        })],
        vec![A::RandomCrop(RandomCrop {
            width: 33,
            height: 60,
            ..RandomCrop::default()
        })],
        vec![crop()],
        vec![A::Resize(Resize {
            width: 90,
            height: 31,
        })],
        vec![A::ResizeShortest(ResizeShortest {
            size: 30,
            longest: Some(44),
            ..ResizeShortest::default()
        })],
        vec![A::ResizeShortest(ResizeShortest {
            size: 90,
            filter: Filter::Bicubic,
            ..ResizeShortest::default()
        })],
        vec![A::Letterbox(Letterbox {
            width: 64,
            height: 64,
            ..Letterbox::default()
        })],
        vec![A::Letterbox(Letterbox {
            width: 70,
            height: 50,
            placement: Placement::UpperLeft,
            ..Letterbox::default()
        })],
        vec![crop(), flip(), rotate()],
        vec![crop(), A::Transpose(Transpose::default()), flip()],
        vec![
            rotate(),
            A::Scale(Scale::default()),
            A::Translate(Translate::default()),
            crop(),
        ],
        vec![
            A::Letterbox(Letterbox {
                width: 64,
                height: 64,
                ..Letterbox::default()
            }),
            rotate(),
            flip(),
        ],
    ]
}

struct Case {
    sample: Sample,
    rectangle: [usize; 4],
}

fn case(rng: &mut ChaCha8Rng) -> Case {
    let (width, height) = (40 + below(rng, 40), 40 + below(rng, 40));
    let mut side = |length: usize| {
        let low = below(rng, length - 10);
        (low, low + 8 + below(rng, length - low - 8))
    };
    let ((x1, x2), (y1, y2)) = (side(width), side(height));
    let inside = |i: usize| (x1..x2).contains(&(i % width)) && (y1..y2).contains(&(i / width));
    let pixels = (0..width * height)
        .map(|i| if inside(i) { 255 } else { 0 })
        .collect();
    let mask = Mask {
        width,
        height,
        classes: (0..width * height).map(|i| u8::from(inside(i))).collect(),
    };
    let xyxy = [x1, y1, x2, y2].map(|v| v as f32);
    let boxes = vec![BoxLabel {
        xyxy,
        class: 7,
        difficult: true,
        mask: Some(mask.clone()),
        ..BoxLabel::default()
    }];
    let image = Image {
        width,
        height,
        channels: 1,
        pixels,
    };
    let sample = Sample {
        image: image.into(),
        target: Target {
            boxes: Some(boxes),
            mask: Some(mask),
            classes: None,
        },
    };
    Case {
        sample,
        rectangle: [x1, y1, x2, y2],
    }
}

/// The smallest rectangle around the pixels that pass, as `[x1, y1, x2, y2]`.
fn hull(width: usize, passes: impl Iterator<Item = bool>) -> Option<[f64; 4]> {
    passes
        .enumerate()
        .filter(|(_, passes)| *passes)
        .fold(None, |hull: Option<[f64; 4]>, (i, _)| {
            let (x, y) = ((i % width) as f64, (i / width) as f64);
            let [x1, y1, x2, y2] = hull.unwrap_or([x, y, x, y]);
            Some([x1.min(x), y1.min(y), x2.max(x + 1.0), y2.max(y + 1.0)])
        })
}

/// Runs a check on many draws of every pipeline.
fn try_all(mut check: impl FnMut(&str, &Case, &Plan, Sample)) {
    for (number, augmentations) in pipelines().into_iter().enumerate() {
        let name = format!("{augmentations:?}");
        let pipeline = Pipeline::new(augmentations);
        assert_eq!(pipeline.problems(), []);
        for draw in 0..40 {
            let mut rng = stream(11, number as u64, draw, Domain::Sample);
            let case = case(&mut rng);
            let plan = pipeline.draw(case.sample.image.size(), &mut rng);
            let result = plan.apply(case.sample.clone()).unwrap();
            check(&name, &case, &plan, result);
        }
    }
}

#[test]
fn the_box_is_the_hull_of_the_warped_mask() {
    let (mut compared, mut lost) = (0, 0);
    try_all(|name, case, _, result| {
        let boxes = result.target.boxes.as_ref().unwrap();
        let mask = result.target.mask.as_ref().unwrap();
        let Some(expected) = hull(mask.width, mask.classes.iter().map(|&c| c == 1)) else {
            lost += 1;
            assert!(
                boxes.is_empty()
                    || boxes[0].xyxy[2] - boxes[0].xyxy[0] < 2.0
                    || boxes[0].xyxy[3] - boxes[0].xyxy[1] < 2.0
            );
            return;
        };
        let Some(found) = boxes.first() else {
            let thin = expected[2] - expected[0] <= 2.0 || expected[3] - expected[1] <= 2.0;
            return assert!(
                thin,
                "{name}: the box of {:?} is gone, its mask fills {expected:?}",
                case.rectangle
            );
        };
        assert!(found.class == 7 && found.difficult);
        let apart = |side: usize| (f64::from(found.xyxy[side]) - expected[side]).abs();
        let worst = (0..4).map(apart).fold(0.0, f64::max);
        // The acute corner that the image's border leaves of a turned rectangle can be many pixels long
        // and less than half a pixel high: no pixel of the mask has its center in there. Such a box must
        // hold the mask; that most boxes are as tight as a pixel is counted below.
        let turned = ["Rotate", "Shear", "Persp"]
            .iter()
            .any(|turn| name.contains(turn));
        let inwards =
            |side: usize, sign: f64| sign * (f64::from(found.xyxy[side]) - expected[side]);
        let holds = [(0, 1.0), (1, 1.0), (2, -1.0), (3, -1.0)]
            .iter()
            .all(|&(side, sign)| inwards(side, sign) <= 1.0);
        assert!(
            if turned { holds } else { worst <= 1.0 },
            "{name}: box {:?}, mask {expected:?}",
            found.xyxy
        );
        compared += usize::from(worst <= 1.0);
    });
    assert!(
        compared > 600 && lost < 40,
        "{compared} within a pixel, {lost} lost"
    );
}

#[test]
fn image_and_mask_move_together() {
    try_all(|name, _, plan, result| {
        let mask = result.target.mask.as_ref().unwrap();
        // Where the image is clearly inside or outside, the mask says the same.
        let clear = result
            .image
            .bytes()
            .unwrap()
            .pixels
            .iter()
            .zip(&mask.classes)
            .filter(|(_, c)| **c != Mask::IGNORE);
        let wrong = clear
            .filter(|(v, c)| (**v > 250 && **c != 1) || (**v < 5 && **c != 0))
            .count();
        assert!(
            wrong <= plan.size()[0] / 8,
            "{name}: image and mask differ in {wrong} pixels"
        );
    });
}

#[test]
fn the_mask_of_an_object_moves_as_that_of_the_classes_does() {
    let mut moved = 0;
    try_all(|name, _, _, result| {
        let mask = result.target.mask.as_ref().unwrap();
        let classes = |outside| {
            move |&class: &u8| {
                if class == Mask::IGNORE {
                    outside
                } else {
                    class
                }
            }
        };
        for object in result.target.objects() {
            let own = object.mask.as_ref().unwrap();
            assert_eq!([own.width, own.height], [mask.width, mask.height], "{name}");
            assert!(
                own.classes
                    .iter()
                    .copied()
                    .eq(mask.classes.iter().map(classes(0))),
                "{name}"
            );
            moved += 1;
        }
    });
    assert!(moved > 600, "{moved}");
}

#[test]
fn nothing_leaves_the_image() {
    try_all(|name, _, plan, result| {
        let ([width, height], channels) = (result.image.size(), result.image.channels());
        assert_eq!(
            ([width, height], result.image.values()),
            (plan.size(), width * height * channels),
            "{name}"
        );
        let boxes = result.target.boxes.as_ref().unwrap();
        let mask = result.target.mask.as_ref().unwrap();
        assert_eq!(
            (mask.width, mask.height, mask.classes.len()),
            (width, height, width * height),
            "{name}"
        );
        for [x1, y1, x2, y2] in boxes.iter().map(|b| b.xyxy) {
            assert!(
                0.0 <= x1 && x1 < x2 && x2 <= width as f32,
                "{name}: {x1} {x2} of {width}"
            );
            assert!(
                0.0 <= y1 && y1 < y2 && y2 <= height as f32,
                "{name}: {y1} {y2} of {height}"
            );
        }
    });
}

#[test]
fn the_same_draw_gives_the_same_result() {
    try_all(|name, case, plan, result| {
        assert_eq!(plan.apply(case.sample.clone()).unwrap(), result, "{name}")
    });
}

#[test]
fn the_inverse_map_returns_the_points() {
    try_all(|name, _, plan, _| {
        for transform in plan.transforms() {
            let Transform::Geometry(_) = transform else {
                panic!("{name} is geometric")
            };
        }
        let (map, size) = (plan.map(), plan.size());
        let back = map
            .inverse()
            .unwrap_or_else(|| panic!("{name}: {map:?} has no inverse"));
        for (x, y) in [(0.0, 0.0), (17.25, 30.5), (size[0] as f64, size[1] as f64)] {
            let Some([u, v]) = map.apply(x, y) else {
                continue;
            };
            let [s, t] = back.apply(u, v).unwrap();
            assert!(
                (s - x).abs() < 1e-6 && (t - y).abs() < 1e-6,
                "{name}: {x} {y} came back as {s} {t}"
            );
        }
    });
}

#[test]
fn recipes_read_and_problems_are_named() {
    let text = r#"[{"rotate": {"degrees": 10}}, {"translate": {"fraction": 0.1}}, {"horizontal-flip": {}},
        {"random-erasing": {"value": "random"}}, {"auto-augment": {"policy": "cifar10"}}]"#;
    let list: Vec<Augment> = serde_json::from_str(text).unwrap();
    assert_eq!(
        list[2],
        Augment::HorizontalFlip(HorizontalFlip { probability: 0.5 })
    );
    assert!(serde_json::from_str::<Augment>(r#"{"rotate": {"degree": 10}}"#).is_err());
    let wrong = Pipeline::new(vec![
        Augment::Resize(Resize {
            width: 0,
            height: 4,
        }),
        Augment::Scale(Scale {
            factor: [1.2, 0.8],
            ..Scale::default()
        }),
    ]);
    let keys: Vec<String> = wrong.problems().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["0.resize.width", "1.scale.factor"]);
}

#[test]
fn wrong_settings_do_not_panic_when_drawn() {
    let wrong = Pipeline::new(vec![
        Augment::Resize(Resize {
            width: 0,
            height: 0,
        }),
        Augment::Scale(Scale {
            factor: [0.0, 0.0],
            ..Scale::default()
        }),
        Augment::RandomCrop(RandomCrop {
            width: 0,
            height: 3,
            fill: [0; 3],
        }),
        Augment::RandomResizedCrop(RandomResizedCrop {
            width: 0,
            height: 1,
            area: [2.0, -1.0],
            aspect: [0.0, -3.0],
        }),
        Augment::Perspective(Perspective {
            distortion: 9.0,
            probability: 1.0,
            fill: [0; 3],
        }),
        Augment::Letterbox(Letterbox {
            width: 0,
            height: 0,
            ..Letterbox::default()
        }),
    ]);
    let mut rng = stream(3, 0, 0, Domain::Sample);
    let case = case(&mut rng);
    wrong.apply(case.sample, &mut rng).unwrap();
}

#[test]
fn every_augmentation_goes_by_its_name_and_does_the_same_again() {
    let mut refused = std::collections::BTreeSet::new();
    for augment in Augment::all() {
        let name = augment.name();
        let read = |text: String| serde_json::from_str::<Augment>(&text);
        assert_eq!(read(format!(r#"{{"{name}": {{}}}}"#)).unwrap(), augment);
        let error = read(format!(r#"{{"{name}": {{"no-such-key": 1}}}}"#)).unwrap_err();
        assert!(
            error.to_string().contains("unknown field"),
            "{name}: {error}"
        );
        assert_eq!(augment.problems(), [], "{name}");
        let pipeline = Pipeline::new(vec![augment]);
        for (channels, floats) in [(1, false), (3, false), (5, false), (3, true), (5, true)] {
            let pixels = (0..40 * 30 * channels).map(|at| (at * 7 % 251) as u8);
            let image = Image {
                width: 40,
                height: 30,
                channels,
                pixels: pixels.collect(),
            };
            let image = match floats {
                true => Picture::Floats(Image {
                    width: 40,
                    height: 30,
                    channels,
                    pixels: image.pixels.into_iter().map(f32::of_byte).collect(),
                }),
                false => image.into(),
            };
            let sample = Sample {
                image,
                target: Target::default(),
            };
            let once = |seed| {
                let mut rng = stream(seed, 0, 0, Domain::Sample);
                pipeline.apply(sample.clone(), &mut rng)
            };
            for seed in 0..40 {
                // What is about colors says so where there are none, and what is about bits where there are none.
                match once(seed) {
                    Ok(result) => {
                        assert_eq!(result, once(seed).unwrap(), "{name}");
                        assert_eq!(result.image.channels(), channels, "{name}");
                        assert_eq!(result.image.kind(), sample.image.kind(), "{name}");
                    }
                    Err(error) => {
                        let error = error.to_string();
                        let of_colors = channels == 5 && COLORED.contains(&&*name);
                        let of_bits = floats && OF_BITS.contains(&&*name);
                        match error.contains("needs pictures of 8 bits") {
                            true => assert!(of_bits, "{name}: {error}"),
                            false => {
                                assert!(of_colors, "{name}: {error}");
                                assert!(error.contains("has 5 channels"), "{error}");
                            }
                        }
                        refused.insert(name.clone());
                    }
                }
            }
        }
    }
    let known: std::collections::BTreeSet<_> = COLORED.into_iter().chain(OF_BITS).collect();
    assert!(refused.iter().eq(known), "{refused:?}");
}

/// What needs 8 bits.
const OF_BITS: [&str; 5] = [
    "auto-augment",
    "equalize",
    "posterize",
    "rand-augment",
    "trivial-augment-wide",
];

/// What needs gray or RGB, in order.
const COLORED: [&str; 5] = [
    "auto-augment",
    "color-jitter",
    "grayscale",
    "rand-augment",
    "trivial-augment-wide",
];
