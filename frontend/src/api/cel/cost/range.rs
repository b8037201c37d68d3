//! Numbers of which only a least and a greatest are known: costs and sizes.

/// A least and a greatest number, of costs or of sizes. Sums and products stay at the greatest number there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostRange {
    pub min: u64,
    pub max: u64,
}

impl CostRange {
    pub(super) const ZERO: CostRange = CostRange::fixed(0);
    pub(super) const UNKNOWN: CostRange = CostRange { min: 0, max: u64::MAX };
    /// Unites with anything to that.
    pub(super) const NOTHING: CostRange = CostRange { min: u64::MAX, max: 0 };

    pub(super) const fn fixed(number: u64) -> CostRange {
        CostRange { min: number, max: number }
    }

    pub(super) fn plus(self, other: CostRange) -> CostRange {
        CostRange { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(super) fn times(self, other: CostRange) -> CostRange {
        CostRange { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Rounded up.
    pub(super) fn scaled(self, factor: f64) -> CostRange {
        CostRange { min: scale(self.min, factor), max: scale(self.max, factor) }
    }

    pub(super) fn union(self, other: CostRange) -> CostRange {
        CostRange { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

pub(super) fn scale(number: u64, factor: f64) -> u64 {
    const END: f64 = 18_446_744_073_709_551_616.0;
    let number = number as f64;
    if number > 0.0 && factor > 0.0 && number > END / factor {
        return u64::MAX;
    }
    let product = (number * factor).ceil();
    if product >= END { u64::MAX } else { product as u64 }
}
