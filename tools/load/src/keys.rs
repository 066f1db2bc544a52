//! Which key a request names: random numbers and their distributions.

/// SplitMix64: quick, and good enough to choose keys with.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `0..bound`, by multiplication: the bias is below 2^-32 for the bounds used here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Ranks by Zipf's law, after Gray et al., "Quickly generating billion-record synthetic databases", as YCSB draws them:
/// rank 0 is the most frequent, and rank `r` has a share proportional to `1 / (r + 1)^0.99`.
#[derive(Clone, Debug)]
pub struct Zipfian {
    count: u64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

/// YCSB's constant.
const THETA: f64 = 0.99;

impl Zipfian {
    /// Takes time proportional to `count`: 10 million take about half a second.
    pub fn new(count: u64) -> Zipfian {
        let zeta_of = |count: u64| (1..=count).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let zeta = zeta_of(count);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - zeta_of(2) / zeta);
        Zipfian { count, alpha: 1.0 / (1.0 - THETA), zeta, eta }
    }

    pub fn rank(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(THETA) {
            return 1.min(self.count - 1);
        }
        let rank = self.count as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.count - 1)
    }
}

/// How the keys of a loaded data set are chosen.
#[derive(Clone, Debug)]
pub enum Spread {
    Uniform(u64),
    /// Ranks are scattered over the keys, so that the frequent ones are not neighbours on disk.
    Zipfian(Zipfian),
}

impl Spread {
    pub fn key(&self, random: &mut Random) -> u64 {
        match self {
            Spread::Uniform(count) => random.below(*count),
            Spread::Zipfian(zipfian) => mix(zipfian.rank(random)) % zipfian.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_keys_are_in_range_and_even() {
        let mut random = Random::new(1);
        let mut seen = [0u32; 10];
        for _ in 0..100_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }

    #[test]
    fn zipfian_ranks_follow_the_law() {
        const COUNT: u64 = 1_000;
        const DRAWS: usize = 400_000;
        let zipfian = Zipfian::new(COUNT);
        let mut random = Random::new(2);
        let mut seen = vec![0f64; COUNT as usize];
        for _ in 0..DRAWS {
            seen[zipfian.rank(&mut random) as usize] += 1.0;
        }
        let share = |rank: usize| ((rank + 1) as f64).powf(-THETA) / zipfian.zeta * DRAWS as f64;
        // The method is exact for the first two ranks and approximate beyond.
        for (rank, tolerance) in [(0, 0.03), (1, 0.03), (9, 0.25), (99, 0.25)] {
            let ratio = seen[rank] / share(rank);
            assert!((ratio - 1.0).abs() < tolerance, "rank {rank}: {ratio}");
        }
        let hundred: f64 = seen[..100].iter().sum();
        let expected: f64 = (0..100).map(share).sum();
        assert!((hundred / expected - 1.0).abs() < 0.05, "{hundred} {expected}");
    }

    #[test]
    fn small_data_sets_have_small_keys() {
        for count in 1..5 {
            let spread = Spread::Zipfian(Zipfian::new(count));
            let mut random = Random::new(3);
            assert!((0..1_000).all(|_| spread.key(&mut random) < count), "{count}");
        }
    }
}
