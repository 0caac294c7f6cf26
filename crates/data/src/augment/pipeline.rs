//! The list of augmentations at work: draw a plan, carry it out.

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;

use super::{Augment, Augmentation};
use crate::error::DataError;
use crate::geometry::{Canvas, Geometry, Map};
use crate::sample::{Picture, Sample};
use crate::target::BoxLabel;

/// An operation on the values of a picture, its parameters drawn; size and channels stay.
pub trait PixelOperation: Debug + Send + Sync {
    /// Changes the picture in place.
    fn apply(&self, picture: &mut Picture);

    /// What a picture lacks for it, if it does.
    fn lacks(&self, picture: &Picture) -> Option<String> {
        let _ = picture;
        None
    }
}

/// One step of a plan.
#[derive(Debug)]
pub enum Transform {
    /// Moves pixels, mask and boxes.
    Geometry(Geometry),
    /// Changes values of the image only.
    Pixels(Box<dyn PixelOperation>),
}

/// What is to be done to one sample: the parameters that the augmentations drew for it.
#[derive(Debug)]
pub struct Plan {
    transforms: Vec<Transform>,
    size: [usize; 2],
    map: Map,
    boxes: Vec<Tracked>,
}

/// A box that loses more than this share of its area to cuts is dropped: what is left of it tells too little.
pub const MINIMUM_VISIBLE: f64 = 0.2;

/// A box of the sample on its way through the plan.
#[derive(Clone, Copy, Debug)]
struct Tracked {
    /// What is visible of it, in pixels of the image so far; `None` once nothing is.
    xyxy: Option<[f64; 4]>,
    /// The share of its area that no cut took.
    share: f64,
}

impl Tracked {
    fn kept(&self) -> Option<[f64; 4]> {
        self.xyxy.filter(|_| self.share >= MINIMUM_VISIBLE)
    }
}

impl Plan {
    /// An empty plan for an image of `[width, height]`.
    pub fn new(size: [usize; 2]) -> Plan {
        Plan {
            transforms: Vec::new(),
            size,
            map: Map::IDENTITY,
            boxes: Vec::new(),
        }
    }

    /// An empty plan for a sample, which follows its boxes.
    pub fn for_sample(sample: &Sample) -> Plan {
        let track = |label: &BoxLabel| Tracked {
            xyxy: Some(label.xyxy.map(f64::from)),
            share: 1.0,
        };
        Plan {
            boxes: sample.target.objects().iter().map(track).collect(),
            ..Plan::new(sample.image.size())
        }
    }

    /// The boxes `x1 y1 x2 y2` after everything planned so far, those that will be dropped left out.
    pub fn boxes(&self) -> impl Iterator<Item = [f64; 4]> {
        self.boxes.iter().filter_map(Tracked::kept)
    }

    /// Keeps only the boxes that pass.
    pub fn retain_boxes(&mut self, mut passes: impl FnMut([f64; 4]) -> bool) {
        for tracked in &mut self.boxes {
            tracked.xyxy = tracked.xyxy.filter(|xyxy| passes(*xyxy));
        }
    }

    /// `[width, height]` after everything planned so far.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Where everything planned so far takes a point of the original image. Cuts and borders move the origin alone.
    pub fn map(&self) -> Map {
        self.map
    }

    /// The steps in order.
    pub fn transforms(&self) -> &[Transform] {
        &self.transforms
    }

    /// Adds a geometric operation.
    pub fn geometry(&mut self, operation: Geometry) {
        let map = operation.map(self.size);
        self.size = operation.size_after(self.size);
        self.map = self.map.then(&map);
        let frame = [0.0, 0.0, self.size[0] as f64, self.size[1] as f64];
        for tracked in &mut self.boxes {
            let Some(before) = tracked.xyxy else { continue };
            let area = |b: [f64; 4]| (b[2] - b[0]).max(0.0) * (b[3] - b[1]).max(0.0);
            let (whole, visible) = (map.hull(before), map.visible(before, frame));
            if let (Some(whole), Some(visible)) = (whole, visible)
                && area(whole) > 0.0
            {
                tracked.share *= (area(visible) / area(whole)).min(1.0);
            }
            tracked.xyxy = visible;
        }
        self.transforms.push(Transform::Geometry(operation));
    }

    /// Adds an operation on values.
    pub fn pixels(&mut self, operation: impl PixelOperation + 'static) {
        self.transforms.push(Transform::Pixels(Box::new(operation)));
    }

    /// Carries the plan out. The same plan gives the same result.
    ///
    /// # Errors
    /// A sample whose buffers do not fit its sizes, or whose mask has another size than its image; an operation on colors
    /// and an image that has none.
    pub fn apply(&self, mut sample: Sample) -> Result<Sample, DataError> {
        check(&sample, "the sample", ANY_CLASSES)?;
        if let Some(boxes) = &mut sample.target.boxes
            && boxes.len() == self.boxes.len()
        {
            let mut kept = self.boxes.iter().map(|tracked| tracked.kept().is_some());
            boxes.retain(|_| kept.next().unwrap_or(true));
        }
        let mut canvas = Canvas::new(sample);
        for transform in &self.transforms {
            match transform {
                Transform::Geometry(operation) => canvas.push(operation),
                Transform::Pixels(operation) => {
                    let picture = canvas.image_mut();
                    if let Some(reason) = operation.lacks(picture) {
                        return Err(DataError::setting("augment", reason));
                    }
                    operation.apply(picture);
                }
            }
        }
        Ok(canvas.finish())
    }
}

/// The augmentations of a recipe, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipeline {
    augmentations: Vec<Augment>,
}

impl Pipeline {
    /// The given augmentations, one after the other.
    pub fn new(augmentations: Vec<Augment>) -> Pipeline {
        Pipeline { augmentations }
    }

    /// These augmentations, and others behind them.
    #[must_use]
    pub fn then(mut self, more: &[Augment]) -> Pipeline {
        self.augmentations.extend_from_slice(more);
        self
    }

    /// Draws what is to be done to an image of `[width, height]`.
    pub fn draw(&self, size: [usize; 2], rng: &mut ChaCha8Rng) -> Plan {
        self.extend(Plan::new(size), rng)
    }

    fn extend(&self, mut plan: Plan, rng: &mut ChaCha8Rng) -> Plan {
        self.augmentations
            .iter()
            .for_each(|augmentation| augmentation.draw(rng, &mut plan));
        plan
    }

    /// Draws for a sample and applies.
    ///
    /// # Errors
    /// As [`Plan::apply`].
    pub fn apply(&self, sample: Sample, rng: &mut ChaCha8Rng) -> Result<Sample, DataError> {
        if self.augmentations.is_empty() {
            check(&sample, "the sample", ANY_CLASSES)?;
            return Ok(sample);
        }
        self.extend(Plan::for_sample(&sample), rng).apply(sample)
    }

    /// What is wrong with the settings: key (`0.rotate.degrees`, the position in the list first) and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let of = |(i, augmentation): (usize, &Augment)| {
            augmentation
                .problems()
                .into_iter()
                .map(move |(key, problem)| (format!("{i}.{key}"), problem))
        };
        self.augmentations.iter().enumerate().flat_map(of).collect()
    }
}

/// Where the classes of a dataset are not known.
const ANY_CLASSES: [usize; 2] = [usize::MAX; 2];

/// Refuses samples that contradict themselves or the number of classes, so that nothing behind this reads past a buffer.
pub(crate) fn check(
    sample: &Sample,
    origin: &str,
    [classes, mask_classes]: [usize; 2],
) -> Result<(), DataError> {
    let refuse = |problem: String| Err(DataError::unreadable(origin, problem));
    if let Some(problem) = sample.image.fault() {
        return refuse(problem);
    }
    let size = sample.image.size();
    let fault = (sample.target).fault(Some(size), classes, mask_classes);
    fault.map_or(Ok(()), refuse)
}
