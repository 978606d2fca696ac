//! The exact sum of floats.

/// A sum kept as floats that do not overlap, smallest first, whose sum is exactly that of all floats that were added (J. R.
/// Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997). Being exact it does not depend on the order of additions.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExactSum {
    parts: Vec<f64>,
    /// Sum of infinities and NaNs, which swallow all else.
    special: f64,
}

impl ExactSum {
    pub(crate) fn of_parts(parts: impl IntoIterator<Item = f64>, special: f64) -> Self {
        let mut sum = Self { parts: Vec::new(), special };
        parts.into_iter().for_each(|part| sum.add(part));
        sum
    }

    /// The parts, for the state's bytes.
    pub(crate) fn parts(&self) -> &[f64] {
        &self.parts
    }

    /// Sum of infinities and NaNs; 0 when there were none.
    pub(crate) fn special(&self) -> f64 {
        self.special
    }

    pub(crate) fn add(&mut self, number: f64) {
        if !number.is_finite() {
            self.special += number;
            return;
        }
        let mut carried = number;
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let Some(part) = self.parts.get(index).copied() else { break };
            let (large, small) = if carried.abs() < part.abs() { (part, carried) } else { (carried, part) };
            let high = large + small;
            let low = small - (high - large);
            if low != 0.0 {
                if let Some(slot) = self.parts.get_mut(kept) {
                    *slot = low;
                }
                kept += 1;
            }
            carried = high;
        }
        self.parts.truncate(kept);
        if carried.is_finite() {
            self.parts.push(carried);
        } else {
            // Past the largest float.
            self.special += carried;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.special += other.special;
        other.parts.iter().for_each(|part| self.add(*part));
    }

    /// The float nearest to the exact sum; of two equally near the even one.
    pub(crate) fn value(&self) -> f64 {
        if self.special != 0.0 {
            return self.special;
        }
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut high) = parts.next() else { return 0.0 };
        let mut low = 0.0;
        for part in parts.by_ref() {
            let sum = high + part;
            low = part - (sum - high);
            high = sum;
            if low != 0.0 {
                break;
            }
        }
        // What is left decides when the rest lies exactly half way.
        if let Some(next) = parts.next()
            && ((low < 0.0 && next < 0.0) || (low > 0.0 && next > 0.0))
        {
            let doubled = low * 2.0;
            let rounded = high + doubled;
            if same(doubled, rounded - high) {
                high = rounded;
            }
        }
        high
    }
}

/// Equality of floats that are exact.
fn same(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_eq()
}
