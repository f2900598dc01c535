//! The fuzz targets on stable Rust: what a fuzzer found once (`tests/fuzz/corpus/TARGET/`), sound
//! inputs, and inputs made from these at random.
//!
//! `DIFFKEEPER_TEST_FUZZ` (2000) is the number of inputs of each target, of operations a hundredth;
//! `DIFFKEEPER_TEST_SEED` (0) moves them. `tests/fuzz/README.md` says how to fuzz for longer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(missing_docs, reason = "tests")]

mod operations;

use std::path::Path;

use diffkeeper_store::fuzz;

fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn mutated(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.below(seeds.len())].clone();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len());
        match rng.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), rng.next() as u8),
            2 => bytes.extend(rng.next().to_le_bytes()),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            4 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            _ if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
            _ => {}
        }
    }
    bytes
}

/// What a fuzzer found once.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fuzz/corpus")
        .join(target);
    let files = std::fs::read_dir(dir).into_iter().flatten();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

fn run(target: &str, call: fn(&[u8])) {
    let mut inputs = fuzz::seeds(target);
    inputs.extend(corpus(target));
    inputs.iter().for_each(|input| call(input));
    let mut rng = Rng(knob("DIFFKEEPER_TEST_SEED", 0));
    for _ in 0..knob("DIFFKEEPER_TEST_FUZZ", 2000) {
        let input = mutated(&mut rng, &inputs);
        if std::panic::catch_unwind(|| call(&input)).is_err() {
            panic!("{target} fails on {input:?}");
        }
    }
}

#[test]
fn blocks() {
    run("block", fuzz::block);
}

#[test]
fn versions() {
    run("version", fuzz::version);
}

#[test]
fn records() {
    run("record", fuzz::record);
}

#[test]
fn patches() {
    run("patch", fuzz::patch);
}

#[test]
fn packs() {
    run("pack", fuzz::pack);
}

#[test]
fn operations_against_a_model() {
    corpus("operations")
        .iter()
        .for_each(|input| operations::run(input));
    let mut rng = Rng(knob("DIFFKEEPER_TEST_SEED", 0) + 1);
    for _ in 0..knob("DIFFKEEPER_TEST_FUZZ", 2000).div_ceil(500) {
        let input: Vec<u8> = (0..400).map(|_| rng.next() as u8).collect();
        operations::run(&input);
    }
}
