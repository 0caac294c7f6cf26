//! What is linear after a convolution, in its weight and bias.

use crate::graph::{Data, Graph, Id, Links, Node, fixed};

/// `conv(x) * scale + shift`, one number of each for a channel of the output.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

/// A product or quotient of a convolution and one number, or one of each channel.
pub(super) fn fold_factor(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    let (x, other) = operands(graph, node, &["Mul", "Div"])?;
    let invert = node.op == "Div";
    if invert && node.input(0) != Some(x) {
        return None;
    }
    let convolution = graph.sole_maker(links, x)?;
    let factors = per_channel(graph, other, channels(graph, x)?)?;
    let scale = factors
        .into_iter()
        .map(|f| if invert { 1.0 / f } else { f })
        .collect();
    let shift = vec![0.0; channels(graph, x)?];
    fold(graph, convolution, Affine { scale, shift })
}

/// A sum of a convolution and one number of each channel.
pub(super) fn fold_summand(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let (x, other) = operands(graph, &graph.nodes[at], &["Add"])?;
    let convolution = graph.sole_maker(links, x)?;
    let count = channels(graph, x)?;
    let shift = per_channel(graph, other, count)?;
    let scale = vec![1.0; count];
    fold(graph, convolution, Affine { scale, shift })
}

/// A normalization by running statistics.
pub(super) fn fold_norm(graph: &mut Graph, links: &Links, at: usize) -> Option<Id> {
    let node = &graph.nodes[at];
    if node.op != "BatchNormalization" {
        return None;
    }
    let convolution = graph.sole_maker(links, node.input(0)?)?;
    let affine = norm(graph, node)?;
    fold(graph, convolution, affine)
}

fn norm(graph: &Graph, node: &Node) -> Option<Affine> {
    let epsilon = match node.attribute("epsilon")? {
        crate::graph::Attribute::Float(epsilon) => f64::from(*epsilon),
        _ => return None,
    };
    let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|i| graph.float_data(node.input(i)?));
    let channels = gamma?.iter().zip(beta?).zip(mean?).zip(variance?);
    let (scale, shift) = channels
        .map(|(((gamma, beta), mean), variance)| {
            let scale = f64::from(*gamma) / (f64::from(*variance) + epsilon).sqrt();
            (scale, f64::from(*beta) - f64::from(*mean) * scale)
        })
        .unzip();
    Some(Affine { scale, shift })
}

/// The computed and the constant operand of an operator of two.
fn operands(graph: &Graph, node: &Node, ops: &[&str]) -> Option<(Id, Id)> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    let is_constant = |id: Id| graph[id].data.is_some();
    match (ops.contains(&node.op), is_constant(a), is_constant(b)) {
        (true, false, true) => Some((a, b)),
        (true, true, false) => Some((b, a)),
        _ => None,
    }
}

fn channels(graph: &Graph, x: Id) -> Option<usize> {
    graph[x].shape.get(1)?.fixed()
}

/// A number for each channel of `[N, C, H, W]`, from a constant that has one, or one of each channel.
fn per_channel(graph: &Graph, constant: Id, channels: usize) -> Option<Vec<f64>> {
    let shape = fixed(&graph[constant].shape)?;
    let values = graph.float_data(constant)?;
    match values {
        [one] => Some(vec![f64::from(*one); channels]),
        _ if matches!(shape[..], [1, c, 1, 1] | [c, 1, 1] if c == channels) => {
            Some(values.iter().copied().map(f64::from).collect())
        }
        _ => None,
    }
}

/// The convolution at a place with weight and bias changed.
fn fold(graph: &mut Graph, at: usize, affine: Affine) -> Option<Id> {
    let node = graph.nodes[at].clone();
    let transposed = match node.op {
        "Conv" => false,
        "ConvTranspose" => true,
        _ => return None,
    };
    let (x, weight) = (node.input(0)?, node.input(1)?);
    let sides = fixed(&graph[weight].shape)?;
    let groups = node.int("group")? as usize;
    let values = graph.float_data(weight)?;
    let inner: usize = sides[2..].iter().product();
    // `[out, in / groups, kernel]`, or `[in, out / groups, kernel]` of a transposed one.
    let channel = |index: usize| match transposed {
        false => index / (inner * sides[1]),
        true => {
            let (from, to) = (index / inner / sides[1], index / inner % sides[1]);
            from / (sides[0] / groups) * sides[1] + to
        }
    };
    let scaled =
        |(index, value): (usize, &f32)| (f64::from(*value) * affine.scale[channel(index)]) as f32;
    let scaled: Vec<f32> = values.iter().enumerate().map(scaled).collect();
    let old = match node.input(2) {
        Some(bias) => graph
            .float_data(bias)?
            .iter()
            .copied()
            .map(f64::from)
            .collect(),
        None => vec![0.0; affine.scale.len()],
    };
    let terms = old.iter().zip(&affine.scale).zip(&affine.shift);
    let bias: Vec<f32> = terms
        .map(|((old, scale), shift)| (old * scale + shift) as f32)
        .collect();
    let name = graph[weight].name.clone();
    // A factor alone gives no bias to a layer that has none.
    let no_bias = node.input(2).is_none() && affine.shift.iter().all(|shift| *shift == 0.0);
    let bias_name = name.as_ref().map(|key| match key.rsplit_once('.') {
        Some((layer, _)) => format!("{layer}.bias"),
        None => "bias".to_owned(),
    });
    let weight = graph.constant(name, &sides, Data::Float(scaled));
    let mut inputs = vec![Some(x), Some(weight)];
    if !no_bias {
        let count = bias.len();
        inputs.push(Some(graph.constant(bias_name, &[count], Data::Float(bias))));
    }
    let output = node.outputs[0];
    let (shape, kind) = (graph[output].shape.clone(), graph[output].kind);
    graph.layer = node.layer.clone();
    Some(graph.add_with(node.op, inputs, node.attributes, shape, kind))
}
