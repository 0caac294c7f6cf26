use super::*;
use crate::datasets::scenes::ScenesConfig;
use crate::loader::{Loader, LoaderConfig};
use crate::normalize::Normalize;
use crate::random::{Domain, beta, stream};
use crate::sample::Image;
use crate::target::{BoxLabel, Mask, Target};
use std::sync::Arc;

fn rng(seed: u64) -> ChaCha8Rng {
    stream(seed, 0, 0, Domain::Combine)
}

/// A gray picture of one value, with an object of that class where the mask is set.
fn picture(width: usize, value: u8, set: &[u8]) -> Sample {
    let height = set.len() / width;
    let mask = |classes| Mask {
        width,
        height,
        classes,
    };
    let at = |axis: fn(usize, usize) -> usize| {
        let set = (0..set.len()).filter(|&at| set[at] == 1);
        let all: Vec<usize> = set.map(|at| axis(at, width)).collect();
        [all.iter().min().copied(), all.iter().max().copied()].map(|edge| edge.unwrap() as f32)
    };
    let ([x1, x2], [y1, y2]) = (at(|at, w| at % w), at(|at, w| at / w));
    let object = BoxLabel {
        xyxy: [x1, y1, x2 + 1.0, y2 + 1.0],
        class: value.into(),
        mask: Some(mask(set.to_vec())),
        ..BoxLabel::default()
    };
    Sample {
        image: Image {
            width,
            height,
            channels: 1,
            pixels: vec![value; set.len()],
        }
        .into(),
        target: Target {
            classes: None,
            boxes: Some(vec![object]),
            mask: Some(mask(set.iter().map(|set| set * value).collect())),
        },
    }
}

fn boxes(sample: &Sample) -> Vec<(usize, [f32; 4])> {
    let objects = sample.target.objects().iter();
    objects.map(|object| (object.class, object.xyxy)).collect()
}

#[test]
fn four_pictures_meet_at_the_point() {
    let mosaic = |scale: f64| Mosaic {
        width: 4,
        height: 4,
        center: [0.5; 2],
        scale: [scale; 2],
        fill: [9; 3],
        ..Mosaic::default()
    };
    // Whole pictures of half the size; then the inner quarters of pictures as large as the frame.
    for scale in [0.5, 1.0] {
        let four: Vec<Sample> = (1..=4).map(|value| picture(4, value, &[1; 16])).collect();
        let [first, rest @ ..] = &four[..] else {
            unreachable!()
        };
        let combined = mosaic(scale)
            .combine(first.clone(), rest.to_vec(), &mut rng(1))
            .unwrap();
        let expected = [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4];
        assert_eq!(combined.image.bytes().unwrap().pixels, expected);
        assert_eq!(combined.target.mask.as_ref().unwrap().classes, expected);
        let expected = [
            (1, [0.0, 0.0, 2.0, 2.0]),
            (2, [2.0, 0.0, 4.0, 2.0]),
            (3, [0.0, 2.0, 2.0, 4.0]),
            (4, [2.0, 2.0, 4.0, 4.0]),
        ];
        assert_eq!(boxes(&combined), expected);
        let own = combined.target.objects()[3].mask.as_ref().unwrap();
        assert_eq!(
            own.classes,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1]
        );
    }
    // Pictures of a quarter leave a border, which is filled and does not count.
    let one = picture(4, 1, &[1; 16]);
    let small = mosaic(0.25)
        .combine(one.clone(), vec![one; 3], &mut rng(1))
        .unwrap();
    assert_eq!(
        small.image.bytes().unwrap().pixels[..8],
        [9, 9, 9, 9, 9, 1, 1, 9]
    );
    assert_eq!(
        small.target.mask.unwrap().classes[..8],
        [255, 255, 255, 255, 255, 1, 1, 255]
    );
}

#[test]
fn pasted_objects_cover_what_is_below() {
    let paste = CopyPaste {
        probability: 1.0,
        share: 1.0,
        scale: [1.0; 2],
    };
    let below = picture(4, 1, &[1, 1, 0, 0]);
    let above = picture(4, 2, &[0, 1, 1, 0]);
    let combined = paste
        .combine(below.clone(), vec![above], &mut rng(1))
        .unwrap();
    assert_eq!(combined.image.bytes().unwrap().pixels, [1, 2, 2, 1]);
    assert_eq!(combined.target.mask.as_ref().unwrap().classes, [1, 2, 2, 0]);
    let expected = [(1, [0.0, 0.0, 1.0, 1.0]), (2, [1.0, 0.0, 3.0, 1.0])];
    assert_eq!(boxes(&combined), expected);
    let own = combined.target.objects()[0].mask.as_ref().unwrap();
    assert_eq!(own.classes, [1, 0, 0, 0]);
    // Nothing of it is seen: it goes.
    let above = picture(4, 2, &[1, 1, 1, 0]);
    let combined = paste
        .combine(below.clone(), vec![above], &mut rng(1))
        .unwrap();
    assert_eq!(boxes(&combined), [(2, [0.0, 0.0, 3.0, 1.0])]);
    // Without masks there is nothing to cut out.
    let mut bare = below.clone();
    bare.target.boxes.as_mut().unwrap()[0].mask = None;
    let error = paste.combine(below, vec![bare], &mut rng(1)).unwrap_err();
    assert!(error.to_string().contains("instance-masks"), "{error}");
}

#[test]
fn mixed_pictures_have_the_objects_of_both() {
    let mixup = MixupBoxes {
        probability: 1.0,
        alpha: 1.0,
        ..MixupBoxes::default()
    };
    for seed in 0..4 {
        let (one, other) = (
            picture(4, 200, &[1, 0, 0, 0]),
            picture(4, 100, &[0, 0, 1, 1]),
        );
        let combined = mixup.combine(one, vec![other], &mut rng(seed)).unwrap();
        let share = beta(&mut rng(seed), 1.0);
        let value = (200.0 * share + 100.0 * (1.0 - share)).round() as u8;
        assert_eq!(combined.image.bytes().unwrap().pixels, [value; 4]);
        assert_eq!(
            boxes(&combined),
            [(200, [0.0, 0.0, 1.0, 1.0]), (100, [2.0, 0.0, 4.0, 1.0])]
        );
        let classes = match share < 0.5 {
            true => [0, 0, 100, 100],
            false => [200, 0, 0, 0],
        };
        assert_eq!(combined.target.mask.unwrap().classes, classes);
    }
}

#[test]
fn every_way_goes_by_its_name_and_keeps_targets_true() {
    let config = ScenesConfig {
        train: 40,
        instance_masks: true,
        ..ScenesConfig::default()
    };
    let scenes = config.open(".".as_ref()).unwrap().train;
    for way in Combine::all() {
        let text = format!(r#"{{"{}": {{}}}}"#, way.name());
        assert_eq!(serde_json::from_str::<Combine>(&text).unwrap(), way);
        assert_eq!(way.problems(), []);
        let mut changed = 0;
        for index in 0..20 {
            let sample = scenes.read(index).unwrap();
            let combined = combine(
                std::slice::from_ref(&way),
                sample.clone(),
                &*scenes,
                &mut rng(index as u64),
            );
            let combined = combined.unwrap();
            let size = combined.image.size();
            assert_eq!(combined.target.fault(Some(size), 10, 11), None);
            changed += usize::from(combined != sample);
        }
        assert!(changed > 3, "{}: {changed}", way.name());
    }
    let all = Combine::all();
    let labelled = Sample {
        target: Target::of_class(0),
        ..picture(4, 1, &[1; 4])
    };
    let refused = combine(&all, labelled, &*scenes, &mut rng(1)).unwrap_err();
    assert!(refused.to_string().contains("combine.mosaic"), "{refused}");
}

#[test]
fn workers_change_nothing() {
    let config = ScenesConfig {
        train: 12,
        ..ScenesConfig::default()
    };
    let scenes = config.open(".".as_ref()).unwrap().train;
    let mosaic = Combine::Mosaic(Mosaic {
        width: 64,
        height: 64,
        ..Mosaic::default()
    });
    let batches = |combine: Vec<Combine>, workers| {
        let config = LoaderConfig {
            batch_size: 4,
            seed: 7,
            workers,
            combine,
            ..LoaderConfig::default()
        };
        let loader = Loader::new(scenes.clone(), Arc::default(), Normalize::default(), config);
        let batches: Result<Vec<_>, _> = loader.unwrap().epoch(1, 0).collect();
        batches.unwrap()
    };
    let alone = batches(vec![mosaic.clone()], 0);
    assert_eq!(alone[0].shape, [4, 3, 64, 64]);
    assert_eq!(alone, batches(vec![mosaic], 3));
}
