//! Projective maps of the plane.
//!
//! Coordinates are in pixels with the origin at the image's upper left corner, so that pixel `i` covers
//! `i..i + 1` and has its center at `i + 0.5`.

/// A projective map: `[x', y', w'] = rows * [x, y, 1]`, the point being `(x' / w', y' / w')`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Map {
    /// The three rows.
    pub rows: [[f64; 3]; 3],
}

impl Map {
    /// The map that changes nothing.
    pub const IDENTITY: Map = Map {
        rows: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };

    /// Moves by `(x, y)`.
    pub fn translation(x: f64, y: f64) -> Map {
        Map {
            rows: [[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]],
        }
    }

    /// Scales about the origin.
    pub fn scaling(x: f64, y: f64) -> Map {
        Map {
            rows: [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]],
        }
    }

    /// Rotates about the origin, counter-clockwise as seen on the screen (`y` points down), as torchvision does.
    pub fn rotation(degrees: f64) -> Map {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Map {
            rows: [[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]],
        }
    }

    /// Shears: `x' = x + tan(x_degrees) y`, `y' = y + tan(y_degrees) x`.
    pub fn shearing(x_degrees: f64, y_degrees: f64) -> Map {
        let (x, y) = (x_degrees.to_radians().tan(), y_degrees.to_radians().tan());
        Map {
            rows: [[1.0, x, 0.0], [y, 1.0, 0.0], [0.0, 0.0, 1.0]],
        }
    }

    /// This map about the point `(x, y)` in place of the origin.
    pub fn about(&self, x: f64, y: f64) -> Map {
        Map::translation(-x, -y)
            .then(self)
            .then(&Map::translation(x, y))
    }

    /// The projective map that takes four points to four points; `None` where three of either lie on a line.
    pub fn quad(from: [[f64; 2]; 4], to: [[f64; 2]; 4]) -> Option<Map> {
        let mut system = [[0.0f64; 9]; 8];
        for (i, ([x, y], [u, v])) in from.into_iter().zip(to).enumerate() {
            system[2 * i] = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
            system[2 * i + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
        }
        for column in 0..8 {
            let pivot = (column..8)
                .max_by(|&a, &b| system[a][column].abs().total_cmp(&system[b][column].abs()))?;
            if system[pivot][column].abs() < 1e-10 {
                return None;
            }
            system.swap(column, pivot);
            let base = system[column];
            for (row, line) in system.iter_mut().enumerate() {
                if row != column {
                    let factor = line[column] / base[column];
                    line.iter_mut()
                        .zip(base)
                        .for_each(|(value, b)| *value -= factor * b);
                }
            }
        }
        let c: Vec<f64> = (0..8).map(|i| system[i][8] / system[i][i]).collect();
        let map = Map {
            rows: [[c[0], c[1], c[2]], [c[3], c[4], c[5]], [c[6], c[7], 1.0]],
        };
        map.inverse().map(|_| map)
    }

    /// This map first, `next` after it.
    pub fn then(&self, next: &Map) -> Map {
        let mut rows = [[0.0; 3]; 3];
        for (row, factors) in rows.iter_mut().zip(next.rows) {
            for (column, value) in row.iter_mut().enumerate() {
                *value = (0..3).map(|k| factors[k] * self.rows[k][column]).sum();
            }
        }
        Map { rows }
    }

    /// The map back; `None` where this one loses a dimension.
    pub fn inverse(&self) -> Option<Map> {
        let m = &self.rows;
        if self.is_aligned() {
            // Kept apart so that the inverse of whole-pixel maps is exact.
            let (x, y) = (m[0][0], m[1][1]);
            let usable = x != 0.0 && y != 0.0 && x.is_finite() && y.is_finite();
            return usable.then(|| Map {
                rows: [
                    [1.0 / x, 0.0, -m[0][2] / x],
                    [0.0, 1.0 / y, -m[1][2] / y],
                    [0.0, 0.0, 1.0],
                ],
            });
        }
        let minor = |r: usize, c: usize| {
            let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
            m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
        };
        let determinant: f64 = (0..3).map(|c| m[0][c] * minor(0, c)).sum();
        if !determinant.is_finite() || determinant.abs() < 1e-12 {
            return None;
        }
        let mut rows = [[0.0; 3]; 3];
        for (r, row) in rows.iter_mut().enumerate() {
            for (c, value) in row.iter_mut().enumerate() {
                *value = minor(c, r) / determinant;
            }
        }
        Some(Map { rows })
    }

    /// Where a point goes; `None` for a point on or beyond the horizon.
    pub fn apply(&self, x: f64, y: f64) -> Option<[f64; 2]> {
        let [u, v, w] = self.rows.map(|[a, b, c]| a * x + b * y + c);
        (w > 1e-9).then(|| [u / w, v / w])
    }

    /// True where lines that are parallel stay so.
    pub fn is_affine(&self) -> bool {
        self.rows[2] == [0.0, 0.0, 1.0]
    }

    /// True for scaling, mirroring and moving along the axes only.
    pub fn is_aligned(&self) -> bool {
        self.is_affine() && self.rows[0][1] == 0.0 && self.rows[1][0] == 0.0
    }

    /// True for mirroring and moving by whole pixels, which copies pixels and computes none.
    pub fn is_exact(&self) -> bool {
        self.is_aligned()
            && self.rows[0][0].abs() == 1.0
            && self.rows[1][1].abs() == 1.0
            && self.rows[0][2].fract() == 0.0
            && self.rows[1][2].fract() == 0.0
    }

    /// The hull of a mapped rectangle `[x1, y1, x2, y2]`; `None` where a corner has no image.
    pub fn hull(&self, [x1, y1, x2, y2]: [f64; 4]) -> Option<[f64; 4]> {
        let mut hull = [
            f64::INFINITY,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
        ];
        for (x, y) in [(x1, y1), (x2, y1), (x1, y2), (x2, y2)] {
            let [u, v] = self.apply(x, y)?;
            hull = [
                hull[0].min(u),
                hull[1].min(v),
                hull[2].max(u),
                hull[3].max(v),
            ];
        }
        Some(hull)
    }

    /// The hull of that part of a mapped rectangle `[x1, y1, x2, y2]` that lies in another one; `None` where there is
    /// none, or where a corner has no image.
    pub fn visible(&self, [x1, y1, x2, y2]: [f64; 4], frame: [f64; 4]) -> Option<[f64; 4]> {
        let mut points = Vec::with_capacity(8);
        for (x, y) in [(x1, y1), (x2, y1), (x2, y2), (x1, y2)] {
            points.push(self.apply(x, y)?);
        }
        // Sutherland and Hodgman: one side of the frame after the other.
        for (axis, limit, sign) in [
            (0, frame[0], 1.0),
            (1, frame[1], 1.0),
            (0, frame[2], -1.0),
            (1, frame[3], -1.0),
        ] {
            let inside = |p: &[f64; 2]| (p[axis] - limit) * sign >= 0.0;
            let mut kept = Vec::with_capacity(points.len() + 1);
            for (i, &to) in points.iter().enumerate() {
                let from = points[(i + points.len() - 1) % points.len()];
                if inside(&from) != inside(&to) {
                    let t = (limit - from[axis]) / (to[axis] - from[axis]);
                    let other = from[1 - axis] + t * (to[1 - axis] - from[1 - axis]);
                    kept.push(if axis == 0 {
                        [limit, other]
                    } else {
                        [other, limit]
                    });
                }
                if inside(&to) {
                    kept.push(to);
                }
            }
            points = kept;
        }
        let mut hull = [
            f64::INFINITY,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
        ];
        for [x, y] in points {
            hull = [
                hull[0].min(x),
                hull[1].min(y),
                hull[2].max(x),
                hull[3].max(y),
            ];
        }
        (hull[0] < hull[2] && hull[1] < hull[3]).then_some(hull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_returns_the_points() {
        let maps = [
            Map::rotation(33.0).about(10.0, 20.0),
            Map::shearing(10.0, -5.0).then(&Map::scaling(0.7, 1.9)),
            Map::quad(
                [[0., 0.], [9., 0.], [9., 7.], [0., 7.]],
                [[1., 0.5], [8., 1.], [8.5, 6.], [0.2, 6.5]],
            )
            .unwrap(),
        ];
        for map in maps {
            let back = map.inverse().unwrap();
            for (x, y) in [(0.0, 0.0), (8.5, 1.25), (3.0, 6.0)] {
                let [u, v] = map.apply(x, y).unwrap();
                let [s, t] = back.apply(u, v).unwrap();
                assert!(
                    (s - x).abs() < 1e-9 && (t - y).abs() < 1e-9,
                    "{map:?}: {x} {y} came back as {s} {t}"
                );
            }
        }
    }

    #[test]
    fn a_quad_takes_its_corners() {
        let from = [[0., 0.], [9., 0.], [9., 7.], [0., 7.]];
        let to = [[1., 0.5], [8., 1.], [8.5, 6.], [0.2, 6.5]];
        let map = Map::quad(from, to).unwrap();
        for (a, b) in from.into_iter().zip(to) {
            let got = map.apply(a[0], a[1]).unwrap();
            assert!((got[0] - b[0]).abs() < 1e-9 && (got[1] - b[1]).abs() < 1e-9);
        }
        assert_eq!(
            Map::quad(from, [[0., 0.], [1., 1.], [2., 2.], [3., 3.]]),
            None
        );
    }

    #[test]
    fn whole_pixel_maps_are_recognised() {
        let flip = Map::scaling(-1.0, 1.0).then(&Map::translation(9.0, 0.0));
        assert!(
            flip.is_exact() && flip.then(&flip) == Map::IDENTITY && flip.inverse() == Some(flip)
        );
        assert!(!Map::translation(0.5, 0.0).is_exact());
        assert!(!Map::rotation(90.0).is_aligned());
    }
}
