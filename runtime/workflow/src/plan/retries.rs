//! How often, and after which ends, a task is tried again.

use std::time::Duration;

use crate::Outcome;

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    Constant,
    /// Doubled each time, up to the longest delay.
    Exponential,
}

/// Further attempts of a task. The default is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts after the first.
    pub count: u32,
    pub delay: Duration,
    pub backoff: Backoff,
    /// Exponential delays grow no longer than this.
    pub max_delay: Duration,
    /// Delays are shortened at random, so that tasks that failed together do not return together.
    pub jitter: bool,
    /// The ends after which another attempt is made.
    pub on: Vec<Outcome>,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            count: 0,
            delay: Duration::from_secs(1),
            backoff: Backoff::Exponential,
            max_delay: Duration::from_mins(1),
            jitter: true,
            on: vec![Outcome::Failed, Outcome::TimedOut],
        }
    }
}

impl Retries {
    /// Whether another attempt follows attempt number `attempt`, counted from 1, that ended so.
    pub fn follow(&self, attempt: u32, outcome: Outcome) -> bool {
        attempt <= self.count && self.on.contains(&outcome)
    }

    /// The delay after attempt number `attempt`, counted from 1. `random` is from 0 to 1, and is
    /// asked only when there is jitter.
    pub fn delay_after(&self, attempt: u32, random: impl Fn() -> f64) -> Duration {
        let delay = match self.backoff {
            Backoff::Constant => self.delay,
            Backoff::Exponential => self
                .delay
                .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
                .min(self.max_delay),
        };
        if !self.jitter {
            return delay;
        }
        // A random number that is none leaves the delay as it is.
        let factor = (0.5 + 0.5 * random()).clamp(0.5, 1.0);
        Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(retries: &Retries, random: f64) -> Vec<f64> {
        (1..=5)
            .map(|attempt| retries.delay_after(attempt, || random).as_secs_f64())
            .collect()
    }

    #[test]
    fn exponential_delays_double_up_to_the_longest_and_constant_ones_stay() {
        let mut retries = Retries {
            max_delay: Duration::from_secs(5),
            jitter: false,
            ..Retries::default()
        };
        assert_eq!(seconds(&retries, 0.0), [1.0, 2.0, 4.0, 5.0, 5.0]);
        retries.delay = Duration::from_secs(7);
        retries.backoff = Backoff::Constant;
        assert_eq!(seconds(&retries, 0.0), [7.0; 5]);
    }

    #[test]
    fn jitter_takes_away_up_to_half() {
        let retries = Retries::default();
        assert_eq!(seconds(&retries, 0.0), [0.5, 1.0, 2.0, 4.0, 8.0]);
        assert_eq!(seconds(&retries, 0.5), [0.75, 1.5, 3.0, 6.0, 12.0]);
    }

    #[test]
    fn neither_huge_numbers_nor_numbers_that_are_none_panic() {
        let retries = Retries {
            delay: Duration::MAX,
            max_delay: Duration::MAX,
            ..Retries::default()
        };
        for random in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -7.0, 0.999] {
            assert!(retries.delay_after(u32::MAX, || random) >= Duration::MAX / 2);
        }
    }

    #[test]
    fn only_what_is_named_is_tried_again_and_only_so_often() {
        let retries = Retries {
            count: 2,
            ..Retries::default()
        };
        assert!(retries.follow(2, Outcome::Failed) && retries.follow(1, Outcome::TimedOut));
        assert!(!retries.follow(3, Outcome::Failed));
        assert!(!retries.follow(1, Outcome::Denied) && !retries.follow(1, Outcome::Ok));
        assert!(!Retries::default().follow(1, Outcome::Failed));
    }
}
