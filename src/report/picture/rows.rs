//! Which lanes share a row: a key that is gone leaves its place to one that comes.

/// What a lane takes of a row, in units of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    pub(super) begin: f64,
    pub(super) end: f64,
}

/// Neighbours in a row stand so far apart.
const GAP: f64 = 6.0;

/// The row of each extent, and how many rows there are. Each takes the first row that is free, in the order in which they
/// begin: the least number of rows, since intervals are packed so.
pub(super) fn pack(extents: &[Extent]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..extents.len()).collect();
    order.sort_by(|a, b| extents[*a].begin.total_cmp(&extents[*b].begin).then(a.cmp(b)));
    let mut ends: Vec<f64> = Vec::new();
    let mut rows = vec![0; extents.len()];
    for index in order {
        let Extent { begin, end } = extents[index];
        let free = ends.iter().position(|taken| *taken + GAP <= begin);
        let row = free.unwrap_or(ends.len());
        match ends.get_mut(row) {
            Some(taken) => *taken = end,
            None => ends.push(end),
        }
        rows[index] = row;
    }
    (rows, ends.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_rotations_takes_as_many_rows_as_keys_live_at_once() {
        // Each key is a backup for 100 units, served for 100, and gone 5 later.
        let keys: Vec<Extent> = (0..30_i16)
            .map(|n| f64::from(n) * 100.0)
            .map(|begin| Extent { begin, end: begin + 205.0 })
            .collect();
        let (rows, count) = pack(&keys);
        assert_eq!((count, &rows[..6]), (3, &[0, 1, 2, 0, 1, 2][..]));
    }

    #[test]
    fn lanes_that_touch_do_not_share_a_row() {
        let touching = [Extent { begin: 50.0, end: 90.0 }, Extent { begin: 0.0, end: 50.0 }];
        assert_eq!(pack(&touching), (vec![1, 0], 2));
        assert_eq!(pack(&[]), (vec![], 0));
    }
}
