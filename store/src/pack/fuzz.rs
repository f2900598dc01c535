//! Packs that a fuzzer made up: reading one comes to an end, and its records to an order.

use std::io::Write;
use std::os::fd::AsRawFd;

use super::block::{FILE_HEAD, MAGIC, New, encode, encode_end, put_entry, put_record};
use super::create::ALL;
use super::read::PackFile;
use super::write::Writer;
use crate::db::{Db, Space, sealed};
use crate::encode::Take;
use crate::statedir;

/// Most records that are read: more are never in an input, and only a loop would give them.
const MOST: usize = 1 << 16;

/// The bytes of a file after a 0, else blocks to make one of: see [`assembled`].
///
/// # Panics
/// If a range of records has no order or no end.
pub(crate) fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let assembled = (*kind != 0).then(|| assembled(rest));
    let Some(file) = in_memory(assembled.as_deref().unwrap_or(rest)) else {
        return;
    };
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    if let Ok(pack) = PackFile::open(path.as_ref()) {
        read(&Db::Pages(Box::new(pack)));
    }
}

fn read(db: &Db) {
    for space in Space::all() {
        let forward = db.raw_range(space, ALL).take(MOST).flatten();
        let forward: Vec<Vec<u8>> = forward.map(|(key, _)| key).collect();
        let backward = db.raw_range(space, ALL).rev().take(MOST).flatten();
        let backward: Vec<Vec<u8>> = backward.map(|(key, _)| key).collect();
        assert!(forward.len() < MOST && backward.len() < MOST, "no end");
        assert!(forward.is_sorted_by(|a, b| a < b), "no order");
        assert!(backward.is_sorted_by(|a, b| a > b), "no order");
        for key in forward {
            let _ = db.get(space, &key);
            let _ = db.floor(space, key.get(..1).unwrap_or_default(), key.clone());
        }
    }
}

/// A file without a name.
fn in_memory(bytes: &[u8]) -> Option<std::fs::File> {
    let file = rustix::fs::memfd_create("pack", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = std::fs::File::from(file.ok()?);
    file.write_all(bytes).ok()?;
    Some(file)
}

fn head() -> Vec<u8> {
    let mut head = format!("{MAGIC}\n{}", statedir::format_lines()).into_bytes();
    head.resize(FILE_HEAD, b'\n');
    head
}

/// A pack whose every sum is right, so that what is behind them is reached: blocks of a level, a
/// length (two bytes) and a plain payload. The last one is the root.
fn assembled(mut bytes: &[u8]) -> Vec<u8> {
    let (mut file, mut root, mut number, mut block) = (head(), 0, 0, Vec::new());
    while let Some(([level, a, b], rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([*a, *b])).min(rest.len());
        let (plain, rest) = rest.split_at(len);
        let new = New {
            level: level & 0x7f,
            root: level & 0x80 != 0,
            number,
            first: Take::new(plain, "key").bytes().unwrap_or_default(),
            dense: false,
        };
        encode(&new, plain, &mut block);
        root = file.len() as u64;
        number += u64::from(new.level == 0);
        file.extend(&block);
        bytes = rest;
    }
    file.extend(encode_end(root));
    file
}

/// Inputs of either kind from which others are made.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let records: Vec<(Space, Vec<u8>, Vec<u8>)> = [Space::Event, Space::Version]
        .into_iter()
        .flat_map(|space| (0..40_u8).map(move |n| (space, vec![n, 7], vec![n; 30])))
        .collect();
    vec![whole(&records).unwrap_or_default(), blocks(&records)]
}

fn whole(records: &[(Space, Vec<u8>, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut writer = Writer::begin(vec![0]).ok()?;
    for (space, key, value) in records {
        let raw = sealed(*space, key, value.clone());
        writer.add(*space, key, &raw).ok()?;
    }
    Some(writer.finish().ok()?.0)
}

/// Two blocks of records below one of the index.
fn blocks(records: &[(Space, Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut index) = (vec![1], Vec::new());
    for half in records.chunks(records.len() / 2) {
        let mut plain = Vec::new();
        for (space, key, value) in half {
            let full = [&[*space as u8], key.as_slice()].concat();
            if plain.is_empty() {
                let at = assembled(out.get(1..).unwrap_or_default()).len() - encode_end(0).len();
                put_entry(&mut index, &full, at as u64);
            }
            put_record(&mut plain, &full, &sealed(*space, key, value.clone()));
        }
        add(&mut out, 0, &plain);
    }
    add(&mut out, 0x81, &index);
    out
}

fn add(out: &mut Vec<u8>, level: u8, plain: &[u8]) {
    out.push(level);
    out.extend((plain.len() as u16).to_le_bytes());
    out.extend(plain);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_assembled_is_a_sound_pack() {
        for seed in seeds() {
            let file = match seed.split_first() {
                Some((0, rest)) => rest.to_vec(),
                Some((_, rest)) => assembled(rest),
                None => Vec::new(),
            };
            let file = in_memory(&file).expect("a file");
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let pack = PackFile::open(path.as_ref()).expect("a pack");
            let db = Db::Pages(Box::new(pack));
            for space in [Space::Event, Space::Version] {
                let found = db.raw_range(space, ALL).map(Result::unwrap).count();
                assert_eq!(found, 40);
            }
            assert_eq!(db.pages().and_then(crate::db::Pages::damage), None);
        }
    }
}
