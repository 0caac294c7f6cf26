//! Convolution, normalization, pooling and the other layers that Burn records as one operation.

use burn_ir::{
    AvgPool2dOpIr, BatchNormOpIr, InterpolateModeIr, InterpolateOpIr, LayerNormOpIr, MaxPool2dOpIr,
    ModuleOperationIr as Module, TensorIr,
};

use super::{Lowering, kind, number, tail};
use crate::graph::{Attribute, Attributes, Dim, Id, ints};
use crate::resize;

impl Lowering<'_> {
    pub(super) fn module(&mut self, operation: &Module) -> Option<()> {
        match operation {
            Module::Conv2d(it) => {
                let [rows, columns] = it.options.padding;
                let mut attributes = vec![
                    ("kernel_shape", ints(it.weight.shape[2..].iter().copied())),
                    ("strides", ints(it.options.stride)),
                    ("dilations", ints(it.options.dilation)),
                    ("pads", ints([rows.0, columns.0, rows.1, columns.1])),
                ];
                attributes.push(("group", Attribute::Int(it.options.groups as i64)));
                self.convolution(
                    "Conv",
                    &it.x,
                    &it.weight,
                    it.bias.as_ref(),
                    attributes,
                    &it.out,
                )
            }
            Module::ConvTranspose2d(it) => {
                let [rows, columns] = it.options.padding;
                let mut attributes = vec![
                    ("kernel_shape", ints(it.weight.shape[2..].iter().copied())),
                    ("strides", ints(it.options.stride)),
                    ("dilations", ints(it.options.dilation)),
                    ("pads", ints([rows, columns, rows, columns])),
                    ("output_padding", ints(it.options.padding_out)),
                ];
                attributes.push(("group", Attribute::Int(it.options.groups as i64)));
                let op = "ConvTranspose";
                self.convolution(op, &it.x, &it.weight, it.bias.as_ref(), attributes, &it.out)
            }
            Module::Linear(it) => {
                let inputs = [self.read(&it.x), self.read(&it.weight)];
                let shape = self.shape(&it.out);
                match &it.bias {
                    None => self.make(&it.out, "MatMul", inputs, Vec::new()),
                    Some(bias) => {
                        let made = self.graph.add(
                            "MatMul",
                            inputs,
                            Vec::new(),
                            shape,
                            kind(it.out.dtype)?,
                        );
                        let bias = self.read(bias);
                        self.make(&it.out, "Add", [made, bias], Vec::new())
                    }
                }
            }
            Module::BatchNorm(it) => self.batch_norm(it),
            Module::LayerNorm(it) => self.layer_norm(it),
            Module::MaxPool2d(it) => self.max_pool(it),
            Module::AvgPool2d(it) => self.avg_pool(it),
            Module::AdaptiveAvgPool2d(it) => self.adaptive_pool(&it.x, it.output_size, &it.out),
            Module::Interpolate(it) => self.interpolate(it),
            _ => None,
        }
    }

    fn convolution(
        &mut self,
        op: &'static str,
        x: &TensorIr,
        weight: &TensorIr,
        bias: Option<&TensorIr>,
        attributes: Attributes,
        out: &TensorIr,
    ) -> Option<()> {
        let tensors = [x, weight].into_iter().chain(bias);
        let inputs: Vec<Id> = tensors.map(|tensor| self.read(tensor)).collect();
        self.make(out, op, inputs, attributes)
    }

    fn batch_norm(&mut self, it: &BatchNormOpIr) -> Option<()> {
        let inputs = [&it.x, &it.gamma, &it.beta, &it.mean, &it.variance];
        let inputs = inputs.map(|tensor| self.read(tensor));
        let epsilon = Attribute::Float(number(it.epsilon));
        self.make(
            &it.out,
            "BatchNormalization",
            inputs,
            vec![("epsilon", epsilon)],
        )
    }

    fn layer_norm(&mut self, it: &LayerNormOpIr) -> Option<()> {
        let tensors = [&it.input, &it.gamma].into_iter().chain(&it.beta);
        let inputs: Vec<Id> = tensors.map(|tensor| self.read(tensor)).collect();
        let attributes = vec![
            ("axis", Attribute::Int(-1)),
            ("epsilon", Attribute::Float(number(it.epsilon))),
        ];
        self.make(&it.out, "LayerNormalization", inputs, attributes)
    }

    /// A window that hangs over the end, as rounding up allows it, becomes padding at the end: that reads the same and
    /// means the same to every runtime.
    fn max_pool(&mut self, it: &MaxPool2dOpIr) -> Option<()> {
        let x = self.read(&it.x);
        let pads = self.pads(
            &it.x,
            &it.out,
            it.kernel_size,
            it.stride,
            it.padding,
            it.dilation,
        )?;
        let attributes = vec![
            ("kernel_shape", ints(it.kernel_size)),
            ("strides", ints(it.stride)),
            ("dilations", ints(it.dilation)),
            ("pads", pads),
        ];
        self.make(&it.out, "MaxPool", [x], attributes)
    }

    fn avg_pool(&mut self, it: &AvgPool2dOpIr) -> Option<()> {
        let x = self.read(&it.x);
        let pads = self.pads(
            &it.x,
            &it.out,
            it.kernel_size,
            it.stride,
            it.padding,
            [1, 1],
        )?;
        let [rows, columns] = it.padding;
        let hangs_over = pads != ints([rows, columns, rows, columns]);
        if hangs_over && it.count_include_pad {
            return None;
        }
        let attributes = vec![
            ("kernel_shape", ints(it.kernel_size)),
            ("strides", ints(it.stride)),
            ("pads", pads),
            (
                "count_include_pad",
                Attribute::Int(it.count_include_pad.into()),
            ),
        ];
        self.make(&it.out, "AveragePool", [x], attributes)
    }

    /// Padding above, left, below and right with which windows that are not rounded up give the recorded size.
    fn pads(
        &self,
        x: &TensorIr,
        out: &TensorIr,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
    ) -> Option<Attribute> {
        let (from, to) = (tail(&self.shape(x), 2)?, tail(&self.shape(out), 2)?);
        let end = |axis: usize| {
            let reach = (to[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1;
            padding[axis].max(reach.saturating_sub(from[axis] + padding[axis]))
        };
        Some(ints([padding[0], padding[1], end(0), end(1)]))
    }

    fn adaptive_pool(&mut self, input: &TensorIr, to: [usize; 2], out: &TensorIr) -> Option<()> {
        let x = self.read(input);
        if to == [1, 1] {
            return self.make(out, "GlobalAveragePool", [x], Vec::new());
        }
        let from = tail(&self.shape(input), 2)?;
        if from == to {
            return self.stands_for(out, x);
        }
        if (0..2).all(|axis| from[axis].is_multiple_of(to[axis])) {
            let kernel = ints([from[0] / to[0], from[1] / to[1]]);
            let attributes = vec![
                ("kernel_shape", kernel.clone()),
                ("strides", kernel),
                ("pads", ints([0; 4])),
            ];
            return self.make(out, "AveragePool", [x], attributes);
        }
        // Windows of different sizes: ONNX has no operator, a product with the shares of each window is one.
        let down = self
            .graph
            .floats(&[to[0], from[0]], resize::shares(from[0], to[0]));
        let across = resize::shares(from[1], to[1]);
        let across = crate::fold::transpose(&across, &[to[1], from[1]], &[1, 0]);
        let across = self.graph.floats(&[from[1], to[1]], across);
        let mut shape = self.shape(input);
        shape[2] = Dim::Fixed(to[0]);
        let rows = self
            .graph
            .add("MatMul", [down, x], Vec::new(), shape, kind(out.dtype)?);
        self.make(out, "MatMul", [rows, across], Vec::new())
    }

    fn interpolate(&mut self, it: &InterpolateOpIr) -> Option<()> {
        let mode = match (&it.options.mode, it.options.align_corners) {
            (InterpolateModeIr::Bilinear, true) => resize::Mode::LinearAligned,
            (InterpolateModeIr::Bilinear, false) => resize::Mode::Linear,
            _ => return None,
        };
        let x = self.read(&it.x);
        let from = tail(&self.shape(&it.x), 2)?;
        let made = resize::node(&mut self.graph, x, [from[0], from[1]], it.output_size, mode);
        self.stands_for(&it.out, made)
    }
}
