//! Random changes of the tree as fast as they go: afterwards every directory must be
//! watched by the path it has then, and nothing else.

use super::*;

/// A small generator of pseudo-random numbers (xorshift64, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    /// One of a few paths, so that names collide all the time.
    fn path(&mut self, top: &Path) -> PathBuf {
        let tree = if self.roll(8) == 0 { "outside" } else { "tree" };
        let mut path = top.join(tree);
        for _ in 0..=self.roll(3) {
            path.push(["a", "b", "c"][self.roll(3)]);
        }
        path
    }
}

/// Changes that fail (no such directory, not empty, into itself) are part of it.
fn shake(dice: &mut Dice, top: &Path, changes: usize) {
    for _ in 0..changes {
        let (one, two) = (dice.path(top), dice.path(top));
        let _ = match dice.roll(8) {
            0..=2 => fs::create_dir_all(&one),
            3..=4 => fs::rename(&one, &two),
            5 => {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE).map_err(Into::into)
            }
            6 => fs::remove_dir(&one),
            _ => fs::remove_dir_all(&one),
        };
    }
}

/// More than the default for a soak: $TORTURE times as many.
fn seeds(few: u64) -> std::ops::RangeInclusive<u64> {
    let times = std::env::var("TORTURE").map_or(1, |times| times.parse().unwrap());
    1..=few * times
}

fn dirs(top: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    scan(top.to_owned(), &mut all);
    all.retain(|path| path.is_dir() && !path.starts_with(top.join("state")));
    all
}

fn check(rig: &mut Rig, seed: u64) {
    let facts = rig.settle();
    let lost = facts.iter().find(|fact| matches!(fact, Fact::Lost { .. }));
    assert_eq!(lost, None, "seed {seed}");
    let mut expected = BTreeSet::new();
    for dir in dirs(&rig.top.join("tree")) {
        expected.insert(dir.join("probe"));
    }
    for dir in dirs(&rig.top.join("outside")) {
        fs::write(dir.join("probe"), "x").unwrap();
    }
    for probe in &expected {
        fs::write(probe, "x").unwrap();
    }
    let mut told = BTreeSet::new();
    for fact in rig.settle() {
        match fact {
            Fact::Touched { path, .. } => told.insert(path),
            other => panic!("seed {seed}: {other:?}"),
        };
    }
    // A path that was true a moment ago may be told beside the one that is: on a loaded
    // machine one in some ten thousand. The pipeline cannot place it and looks everywhere.
    let missed: Vec<_> = expected.difference(&told).collect();
    assert!(missed.is_empty(), "seed {seed}: missed {missed:?}");
}

#[test]
fn every_directory_stays_watched_by_its_path() {
    for seed in seeds(40) {
        let mut rig = Rig::new();
        let mut dice = Dice::new(seed);
        for _ in 0..5 {
            shake(&mut dice, &rig.top, 200);
            check(&mut rig, seed);
        }
    }
}

#[test]
fn so_it_does_with_two_at_work() {
    for seed in seeds(20) {
        let mut rig = Rig::new();
        std::thread::scope(|scope| {
            for worker in 0..2_u64 {
                let top = &rig.top;
                scope.spawn(move || {
                    let mut dice = Dice::new(seed * 2 + worker);
                    shake(&mut dice, top, 500);
                });
            }
        });
        check(&mut rig, seed);
    }
}
