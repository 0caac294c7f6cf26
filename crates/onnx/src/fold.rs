//! What an operator gives for constants, so that a file holds the result and not the way to it.

use crate::graph::{Data, Graph, Node, fixed};

/// The result of an operator whose inputs are all constants, and the name that it keeps; none where it has to run.
///
/// A constant that only changes its shape keeps its name.
pub(crate) fn evaluate(graph: &Graph, node: &Node) -> Option<(Data, Option<String>)> {
    let first = node.input(0)?;
    let shape = fixed(&graph[node.outputs[0]].shape)?;
    if matches!(node.op, "Reshape" | "Flatten") {
        let value = &graph[first];
        return Some((value.data.as_deref()?.clone(), value.name.clone()));
    }
    let inputs: Option<Vec<(Vec<usize>, &[f32])>> = (node.inputs.iter().flatten())
        .filter(|id| graph[**id].data.is_none() || graph.float_data(**id).is_some())
        .map(|id| Some((fixed(&graph[*id].shape)?, graph.float_data(*id)?)))
        .collect();
    let inputs = inputs?;
    let (from, x) = inputs.first()?;
    let values = match node.op {
        "Sqrt" => x.iter().map(|x| x.sqrt()).collect(),
        "Transpose" => transpose(x, from, node.ints("perm")),
        "Expand" => broadcast(x, from, &shape),
        "ReduceSum" | "ReduceMean" => {
            let sums = reduce(x, from, graph.int_data(node.input(1)?)?);
            let count = (x.len() / sums.len().max(1)) as f32;
            match node.op {
                "ReduceSum" => sums,
                _ => sums.into_iter().map(|sum| sum / count).collect(),
            }
        }
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => {
            let (other, y) = inputs.get(1)?;
            let (x, y) = (broadcast(x, from, &shape), broadcast(y, other, &shape));
            let of = |x: f32, y: f32| match node.op {
                "Add" => x + y,
                "Sub" => x - y,
                "Mul" => x * y,
                "Div" => x / y,
                _ => x.powf(y),
            };
            x.into_iter().zip(y).map(|(x, y)| of(x, y)).collect()
        }
        "MatMul" => {
            let (other, y) = inputs.get(1)?;
            let ([rows, inner], [_, columns]) = (from[..].as_array()?, other[..].as_array()?);
            matmul(x, y, [*rows, *inner, *columns])
        }
        _ => return None,
    };
    Some((Data::Float(values), None))
}

/// The numbers of a tensor with its axes in another order.
pub(crate) fn transpose(x: &[f32], shape: &[usize], order: &[i64]) -> Vec<f32> {
    let steps = strides(shape);
    let to: Vec<usize> = order.iter().map(|axis| shape[*axis as usize]).collect();
    let steps: Vec<usize> = order.iter().map(|axis| steps[*axis as usize]).collect();
    walk(&to, &steps).map(|at| x[at]).collect()
}

fn broadcast(x: &[f32], from: &[usize], to: &[usize]) -> Vec<f32> {
    let missing = to.len() - from.len();
    let own = strides(from);
    let step = |axis: usize| match axis.checked_sub(missing) {
        Some(own_axis) if from[own_axis] > 1 => own[own_axis],
        _ => 0,
    };
    let steps: Vec<usize> = (0..to.len()).map(step).collect();
    walk(to, &steps).map(|at| x[at]).collect()
}

/// Sums over axes, in double precision.
fn reduce(x: &[f32], shape: &[usize], axes: &[i64]) -> Vec<f32> {
    let kept: Vec<usize> = (0..shape.len())
        .map(|axis| {
            if axes.contains(&(axis as i64)) {
                1
            } else {
                shape[axis]
            }
        })
        .collect();
    let own = strides(&kept);
    let steps: Vec<usize> = (0..shape.len())
        .map(|axis| if kept[axis] > 1 { own[axis] } else { 0 })
        .collect();
    let mut sums = vec![0.0f64; kept.iter().product()];
    for (x, at) in x.iter().zip(walk(shape, &steps)) {
        sums[at] += f64::from(*x);
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

fn matmul(x: &[f32], y: &[f32], [rows, inner, columns]: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * columns);
    for row in x.chunks_exact(inner) {
        for column in 0..columns {
            let terms = row.iter().enumerate();
            let sum: f64 = terms
                .map(|(k, x)| f64::from(*x) * f64::from(y[k * columns + column]))
                .sum();
            out.push(sum as f32);
        }
    }
    out
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The places in memory of all elements of a shape, in order.
fn walk(shape: &[usize], steps: &[usize]) -> impl Iterator<Item = usize> {
    let rows = strides(shape);
    (0..shape.iter().product()).map(move |index: usize| {
        let axes = shape.iter().zip(&rows).zip(steps);
        axes.map(|((side, row), step)| index / row % side * step)
            .sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_exchanged_summed_and_repeated() {
        let x: Vec<f32> = (0..6).map(|x| x as f32).collect();
        assert_eq!(
            transpose(&x, &[2, 3], &[1, 0]),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        assert_eq!(
            transpose(&x, &[1, 2, 3], &[2, 0, 1]),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        assert_eq!(reduce(&x, &[2, 3], &[1]), [3.0, 12.0]);
        assert_eq!(reduce(&x, &[2, 3], &[0, 1]), [15.0]);
        assert_eq!(
            broadcast(&[1.0, 2.0], &[2, 1], &[2, 2]),
            [1.0, 1.0, 2.0, 2.0]
        );
        assert_eq!(broadcast(&[1.0, 2.0], &[2], &[2, 2]), [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(matmul(&x, &x, [2, 3, 2]), [10.0, 13.0, 28.0, 40.0]);
    }
}
