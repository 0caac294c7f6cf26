//! Arithmetic, activations and reductions.

use burn_ir::{
    ActivationOperationIr as Activation, BinaryOpIr, FloatOperationIr as Float,
    NumericOperationIr as Numeric, ReduceDimOpIr, ScalarIr, ScalarOpIr, TensorIr, UnaryOpIr,
};

use super::{Lowering, kind, number};
use crate::graph::{Attribute, Data, Kind};

impl Lowering<'_> {
    pub(super) fn activation(&mut self, operation: &Activation) -> Option<()> {
        let axis = |axis: usize| vec![("axis", Attribute::Int(axis as i64))];
        match operation {
            Activation::Relu(it) => self.unary("Relu", it),
            Activation::Sigmoid(it) => self.unary("Sigmoid", it),
            Activation::Gelu(it) => self.unary("Gelu", it),
            Activation::LeakyRelu(it) => {
                let x = self.read(&it.lhs);
                let slope = Attribute::Float(number(it.rhs));
                self.make(&it.out, "LeakyRelu", [x], vec![("alpha", slope)])
            }
            Activation::HardSigmoid(it) => {
                let x = self.read(&it.tensor);
                let [alpha, beta] = [it.alpha, it.beta].map(|v| Attribute::Float(number(v)));
                let attributes = vec![("alpha", alpha), ("beta", beta)];
                self.make(&it.out, "HardSigmoid", [x], attributes)
            }
            Activation::Softmax(it) => {
                let x = self.read(&it.input);
                self.make(&it.out, "Softmax", [x], axis(it.axis))
            }
            Activation::LogSoftmax(it) => {
                let x = self.read(&it.input);
                self.make(&it.out, "LogSoftmax", [x], axis(it.axis))
            }
            _ => None,
        }
    }

    pub(super) fn numeric(&mut self, operation: &Numeric) -> Option<()> {
        match operation {
            Numeric::Add(it) => self.binary("Add", it),
            Numeric::Sub(it) => self.binary("Sub", it),
            Numeric::Mul(it) => self.binary("Mul", it),
            Numeric::Div(it) => self.binary("Div", it),
            Numeric::AddScalar(it) => self.with_scalar("Add", it),
            Numeric::SubScalar(it) => self.with_scalar("Sub", it),
            Numeric::MulScalar(it) => self.with_scalar("Mul", it),
            Numeric::DivScalar(it) => self.with_scalar("Div", it),
            Numeric::PowiScalar(it) => self.with_scalar("Pow", it),
            Numeric::Greater(it) => self.binary("Greater", it),
            Numeric::GreaterElem(it) => self.with_scalar("Greater", it),
            Numeric::Lower(it) => self.binary("Less", it),
            Numeric::LowerElem(it) => self.with_scalar("Less", it),
            Numeric::Abs(it) => self.unary("Abs", it),
            Numeric::Neg(it) => self.unary("Neg", it),
            Numeric::Clamp(it) => self.clip(&it.tensor, Some(it.min), Some(it.max), &it.out),
            Numeric::ClampMin(it) => self.clip(&it.lhs, Some(it.rhs), None, &it.out),
            Numeric::ClampMax(it) => self.clip(&it.lhs, None, Some(it.rhs), &it.out),
            Numeric::MeanDim(it) => self.over_axis("ReduceMean", it),
            Numeric::SumDim(it) => self.over_axis("ReduceSum", it),
            Numeric::MaxDim(it) => self.over_axis("ReduceMax", it),
            Numeric::Sum(it) => {
                let (x, rank) = (self.read(&it.input), it.input.shape.len());
                let axes = self.graph.int_list(0..rank as i64);
                let keep = vec![("keepdims", Attribute::Int(0))];
                let sum = self
                    .graph
                    .add("ReduceSum", [x, axes], keep, Vec::new(), Kind::Float);
                let shape = self.graph.int_list([1]);
                self.make(&it.out, "Reshape", [sum, shape], Vec::new())
            }
            Numeric::ArgMax(it) => {
                let x = self.read(&it.input);
                let attributes = vec![
                    ("axis", Attribute::Int(it.axis as i64)),
                    ("keepdims", Attribute::Int(1)),
                ];
                self.make(&it.out, "ArgMax", [x], attributes)
            }
            Numeric::Full(it) => self.filled(&it.out, it.value),
            _ => None,
        }
    }

    pub(super) fn float(&mut self, operation: &Float) -> Option<()> {
        match operation {
            Float::Exp(it) => self.unary("Exp", it),
            Float::Log(it) => self.unary("Log", it),
            Float::Sqrt(it) => self.unary("Sqrt", it),
            Float::Tanh(it) => self.unary("Tanh", it),
            Float::Erf(it) => self.unary("Erf", it),
            Float::Recip(it) => self.unary("Reciprocal", it),
            Float::Floor(it) => self.unary("Floor", it),
            Float::PowfScalar(it) => self.with_scalar("Pow", it),
            Float::IntoInt(it) => self.cast(&it.input, &it.out),
            Float::Matmul(it) => {
                let inputs = [self.read(&it.lhs), self.read(&it.rhs)];
                self.make(&it.out, "MatMul", inputs, Vec::new())
            }
            _ => None,
        }
    }

    fn unary(&mut self, op: &'static str, it: &UnaryOpIr) -> Option<()> {
        let x = self.read(&it.input);
        self.make(&it.out, op, [x], Vec::new())
    }

    fn binary(&mut self, op: &'static str, it: &BinaryOpIr) -> Option<()> {
        let inputs = [self.read(&it.lhs), self.read(&it.rhs)];
        self.make(&it.out, op, inputs, Vec::new())
    }

    fn with_scalar(&mut self, op: &'static str, it: &ScalarOpIr) -> Option<()> {
        let x = self.read(&it.lhs);
        let scalar = self.scalar_like(&it.lhs, it.rhs)?;
        self.make(&it.out, op, [x, scalar], Vec::new())
    }

    /// A constant of no axes with the element type of a tensor.
    pub(super) fn scalar_like(
        &mut self,
        like: &TensorIr,
        value: ScalarIr,
    ) -> Option<crate::graph::Id> {
        let data = match kind(like.dtype)? {
            Kind::Float => Data::Float(vec![number(value)]),
            Kind::Int => Data::Int(vec![value.elem()]),
            Kind::Bool | Kind::Byte => return None,
        };
        Some(self.graph.constant(None, &[], data))
    }

    /// The bounds of `Clip` are both written, since one runtime takes a missing one for the largest finite number.
    fn clip(
        &mut self,
        x: &TensorIr,
        min: Option<ScalarIr>,
        max: Option<ScalarIr>,
        out: &TensorIr,
    ) -> Option<()> {
        let from = self.read(x);
        let mut made = from;
        match (min, max) {
            (Some(min), Some(max)) => {
                let [min, max] = [self.scalar_like(x, min)?, self.scalar_like(x, max)?];
                return self.make(out, "Clip", [from, min, max], Vec::new());
            }
            (bound, other) => {
                for (op, bound) in [("Max", bound), ("Min", other)] {
                    let Some(bound) = bound else { continue };
                    let bound = self.scalar_like(x, bound)?;
                    made = self.graph.add(
                        op,
                        [made, bound],
                        Vec::new(),
                        self.shape(out),
                        kind(out.dtype)?,
                    );
                }
            }
        }
        self.stands_for(out, made)
    }

    fn over_axis(&mut self, op: &'static str, it: &ReduceDimOpIr) -> Option<()> {
        let x = self.read(&it.input);
        let axes = self.graph.int_list([it.axis as i64]);
        self.make(
            &it.out,
            op,
            [x, axes],
            vec![("keepdims", Attribute::Int(1))],
        )
    }
}
