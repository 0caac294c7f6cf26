//! What moves numbers and computes none.

use burn_ir::{BaseOperationIr as Base, ScalarIr, SelectOpIr, SliceOpIr, TensorIr};

use super::{Lowering, kind, tail};
use crate::graph::{Attribute, Data, Dim, Id, Kind, fixed, ints};

impl Lowering<'_> {
    pub(super) fn base(&mut self, operation: &Base) -> Option<()> {
        match operation {
            Base::Reshape(it) => self.reshape(&it.input, &it.out),
            Base::Expand(it) => self.expand(&it.input, &it.out),
            Base::Permute(it) => self.permute(&it.input, &it.axes, &it.out),
            Base::SwapDims(it) => {
                let mut axes: Vec<usize> = (0..it.input.shape.len()).collect();
                axes.swap(it.dim1, it.dim2);
                self.permute(&it.input, &axes, &it.out)
            }
            Base::Slice(it) => self.slice(it),
            Base::Select(it) => self.select(it),
            Base::Cat(it) => {
                let inputs: Vec<Id> = it.tensors.iter().map(|tensor| self.read(tensor)).collect();
                let axis = Attribute::Int(it.dim as i64);
                self.make(&it.out, "Concat", inputs, vec![("axis", axis)])
            }
            Base::RepeatDim(it) => {
                let x = self.read(&it.tensor);
                let repeats = (0..it.tensor.shape.len()).map(|axis| match axis == it.dim {
                    true => it.times as i64,
                    false => 1,
                });
                let repeats = self.graph.int_list(repeats);
                self.make(&it.out, "Tile", [x, repeats], Vec::new())
            }
            Base::Equal(it) => {
                let inputs = [self.read(&it.lhs), self.read(&it.rhs)];
                self.make(&it.out, "Equal", inputs, Vec::new())
            }
            Base::EqualElem(it) => {
                let x = self.read(&it.lhs);
                let scalar = self.scalar_like(&it.lhs, it.rhs)?;
                self.make(&it.out, "Equal", [x, scalar], Vec::new())
            }
            Base::MaskFill(it) => {
                let inputs = [
                    self.read(&it.mask),
                    self.scalar_like(&it.tensor, it.value)?,
                    self.read(&it.tensor),
                ];
                self.make(&it.out, "Where", inputs, Vec::new())
            }
            Base::MaskWhere(it) => {
                let inputs = [&it.mask, &it.value, &it.tensor].map(|tensor| self.read(tensor));
                self.make(&it.out, "Where", inputs, Vec::new())
            }
            Base::Gather(it) => {
                let inputs = [self.read(&it.tensor), self.read(&it.indices)];
                let axis = Attribute::Int(it.dim as i64);
                self.make(&it.out, "GatherElements", inputs, vec![("axis", axis)])
            }
            Base::Cast(it) => self.cast(&it.input, &it.out),
            Base::Zeros(it) => self.filled(&it.out, ScalarIr::Int(0)),
            Base::Ones(it) => self.filled(&it.out, ScalarIr::Int(1)),
            _ => None,
        }
    }

    fn reshape(&mut self, input: &TensorIr, out: &TensorIr) -> Option<()> {
        let x = self.read(input);
        let (from, to) = (self.shape(input), self.shape(out));
        if from == to {
            return self.stands_for(out, x);
        }
        // Flattening of the feature maps of each sample has a name of its own.
        if let ([first, ..], [same, Dim::Fixed(_)]) = (&from[..], &to[..])
            && first == same
            && tail(&from, 1).is_some()
        {
            return self.make(out, "Flatten", [x], vec![("axis", Attribute::Int(1))]);
        }
        let free = to.iter().filter(|dim| dim.fixed().is_none()).count();
        if free > 1 {
            return None;
        }
        let to = to
            .iter()
            .map(|dim| dim.fixed().map_or(-1, |size| size as i64));
        let to = self.graph.int_list(to);
        self.make(out, "Reshape", [x, to], Vec::new())
    }

    /// Repeats along axes of one element. A side that follows from the samples is read from an input when the file runs.
    fn expand(&mut self, input: &TensorIr, out: &TensorIr) -> Option<()> {
        let x = self.read(input);
        let to = self.shape(out);
        let from = self.shape(input);
        let missing = to.len() - from.len();
        let side = |axis: usize| match (axis.checked_sub(missing).map(|own| from[own]), to[axis]) {
            (Some(own), side) if own == side => Dim::Fixed(1),
            (_, side) => side,
        };
        let sides: Vec<Dim> = (0..to.len()).map(side).collect();
        let shape = self.shape_tensor(&sides)?;
        self.make(out, "Expand", [x, shape], Vec::new())
    }

    /// A shape as a tensor.
    fn shape_tensor(&mut self, sides: &[Dim]) -> Option<Id> {
        if let Some(sides) = fixed(sides) {
            return Some(
                self.graph
                    .int_list(sides.into_iter().map(|side| side as i64)),
            );
        }
        let input = *self.graph.inputs.first()?;
        let range = vec![("start", Attribute::Int(0)), ("end", Attribute::Int(1))];
        let one = vec![Dim::Fixed(1)];
        let samples = self
            .graph
            .add("Shape", [input], range, one.clone(), Kind::Int);
        let mut parts = Vec::new();
        for side in sides {
            parts.push(match side {
                Dim::Fixed(side) => self.graph.int_list([*side as i64]),
                Dim::Samples(1) => samples,
                Dim::Samples(times) => {
                    let times = self.graph.int_list([*times as i64]);
                    self.graph
                        .add("Mul", [samples, times], Vec::new(), one.clone(), Kind::Int)
                }
                Dim::Unknown => return None,
            });
        }
        let along = vec![("axis", Attribute::Int(0))];
        let shape = vec![Dim::Fixed(sides.len())];
        Some(self.graph.add("Concat", parts, along, shape, Kind::Int))
    }

    fn permute(&mut self, input: &TensorIr, axes: &[usize], out: &TensorIr) -> Option<()> {
        let x = self.read(input);
        self.make(
            out,
            "Transpose",
            [x],
            vec![("perm", ints(axes.iter().copied()))],
        )
    }

    fn slice(&mut self, it: &SliceOpIr) -> Option<()> {
        let x = self.read(&it.tensor);
        let shape = self.shape(&it.tensor);
        let (mut starts, mut ends, mut axes) = (Vec::new(), Vec::new(), Vec::new());
        for (axis, range) in it.ranges.iter().enumerate() {
            let recorded = it.tensor.shape[axis] as isize;
            let end = range.end.unwrap_or(recorded);
            if range.step != 1 || range.start < 0 || end < 0 {
                return None;
            }
            if (range.start, end) == (0, recorded) {
                continue;
            }
            // A part of the samples is not the same part for another number of them.
            shape[axis].fixed()?;
            starts.push(range.start as i64);
            ends.push(end as i64);
            axes.push(axis as i64);
        }
        if axes.is_empty() {
            return self.stands_for(&it.out, x);
        }
        let [starts, ends, axes] = [starts, ends, axes].map(|list| self.graph.int_list(list));
        self.make(&it.out, "Slice", [x, starts, ends, axes], Vec::new())
    }

    fn select(&mut self, it: &SelectOpIr) -> Option<()> {
        let inputs = [self.read(&it.tensor), self.read(&it.indices)];
        let axis = Attribute::Int(it.dim as i64);
        self.make(&it.out, "Gather", inputs, vec![("axis", axis)])
    }

    pub(super) fn cast(&mut self, input: &TensorIr, out: &TensorIr) -> Option<()> {
        let x = self.read(input);
        let to = kind(out.dtype)?;
        if self.graph[x].kind == to {
            return self.stands_for(out, x);
        }
        let code = Attribute::Int(i64::from(crate::write::code(to)));
        self.make(out, "Cast", [x], vec![("to", code)])
    }

    /// A tensor of one number.
    pub(super) fn filled(&mut self, out: &TensorIr, value: ScalarIr) -> Option<()> {
        let sides = self.shape(out);
        let ones = vec![1; sides.len()];
        let data = match kind(out.dtype)? {
            Kind::Float => Data::Float(vec![value.elem()]),
            Kind::Int => Data::Int(vec![value.elem()]),
            Kind::Bool | Kind::Byte => return None,
        };
        let one = self.graph.constant(None, &ones, data);
        let shape = self.shape_tensor(&sides)?;
        self.make(out, "Expand", [one, shape], Vec::new())
    }
}
