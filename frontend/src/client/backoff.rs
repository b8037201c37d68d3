//! How long to wait between attempts that fail.

use std::{ops::RangeInclusive, time::Duration};

/// A waiting time that grows with every failure. A part of it is left to chance, so that those who failed together do
/// not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    step: Duration,
    factor: f64,
    max: Duration,
    /// What is made of a step: a share of it, drawn from this range.
    share: RangeInclusive<f64>,
}

impl Backoff {
    /// Doubles up to `max`; between half and all of the step.
    pub fn doubling(first: Duration, max: Duration) -> Backoff {
        Backoff { step: first, factor: 2.0, max, share: 0.5..=1.0 }
    }

    /// As Kubernetes' clients of webhooks wait: 1, 1.5, 2.25 … of the first pause, and up to a fifth more.
    pub fn of_hooks(first: Duration) -> Backoff {
        Backoff { step: first, factor: 1.5, max: Duration::MAX, share: 1.0..=1.2 }
    }

    /// The next waiting time.
    pub fn pause(&mut self) -> Duration {
        let step = self.step;
        self.step = Duration::try_from_secs_f64(step.as_secs_f64() * self.factor).unwrap_or(self.max).min(self.max);
        step.mul_f64(rand::random_range(self.share.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_grows_and_stays_within_its_bounds() {
        let ms = Duration::from_millis;
        let mut doubling = Backoff::doubling(ms(100), ms(350));
        for step in [100, 200, 350, 350] {
            let wait = doubling.pause();
            assert!((ms(step) / 2..=ms(step)).contains(&wait), "{wait:?} of {step}");
        }
        let mut of_hooks = Backoff::of_hooks(ms(400));
        for step in [400, 600, 900] {
            let wait = of_hooks.pause();
            assert!((ms(step)..=ms(step * 12 / 10)).contains(&wait), "{wait:?} of {step}");
        }
    }
}
