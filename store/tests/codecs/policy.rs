//! The choice of form: each branch of the rule, the bounds of chains, and what it all saves.

use diffkeeper_store::compress::{LEVEL_INLINE, encoded_len};
use diffkeeper_store::patch::{PatchCodec, apply};
use diffkeeper_store::policy::{
    Chain, Form, Load, beats_keyframe, bsdiff_may_win, choose, ranges_limit, refine, stored,
};

use crate::data::{noise, text};

const MB: usize = 1 << 20;

fn chain_of(full: &[u8]) -> Chain {
    Chain::keyframe(encoded_len(full, LEVEL_INLINE) as u64)
}

fn codec_of(old: &[u8], new: &[u8], chain: Chain) -> Option<PatchCodec> {
    match choose(Some(old), new, chain, Load::Calm).form {
        Form::Patch { codec, payload } => {
            assert!(apply(codec, old, &payload, new.len()).unwrap() == new);
            Some(codec)
        }
        Form::Keyframe => None,
        Form::Unchanged => panic!("the versions differ"),
    }
}

#[test]
fn a_first_version_is_a_keyframe_and_the_same_content_is_nothing() {
    let content = text(100);
    let first = choose(None, &content, Chain::keyframe(0), Load::Calm);
    assert_eq!((first.form, first.changed), (Form::Keyframe, None));
    let same = choose(Some(&content), &content, chain_of(&content), Load::Calm);
    assert_eq!((same.form, same.changed), (Form::Unchanged, None));
}

#[test]
fn ranges_up_to_five_percent_then_prefix_then_a_keyframe() {
    let old = noise(1, MB);
    let changed = |len: usize| [&noise(2, len), &old[len..]].concat();
    let chain = chain_of(&old);
    assert_eq!(
        codec_of(&old, &changed(MB / 20 - 10), chain),
        Some(PatchCodec::Ranges)
    );
    assert_eq!(
        codec_of(&old, &changed(MB / 20 + 10), chain),
        Some(PatchCodec::Prefix)
    );
    assert_eq!(
        codec_of(&old, &changed(MB * 6 / 10), chain),
        Some(PatchCodec::Prefix)
    );
    assert_eq!(codec_of(&old, &changed(MB * 8 / 10), chain), None);
}

#[test]
fn an_insertion_goes_to_prefix_and_an_append_to_ranges() {
    let old = text(3000);
    let inserted = [b"one line more\n", &old[..]].concat();
    assert_eq!(
        codec_of(&old, &inserted, chain_of(&old)),
        Some(PatchCodec::Prefix)
    );
    let appended = [&old[..], b"one line more\n"].concat();
    assert_eq!(
        codec_of(&old, &appended, chain_of(&old)),
        Some(PatchCodec::Ranges)
    );
}

#[test]
fn the_change_is_told_whatever_the_form() {
    let old = noise(3, MB);
    for len in [10, MB / 10, MB * 9 / 10] {
        let mut new = old.clone();
        new[100..100 + len].iter_mut().for_each(|byte| *byte ^= 1);
        let encoded = choose(Some(&old), &new, chain_of(&old), Load::Busy);
        assert_eq!(encoded.changed, Some((100, len as u64)));
    }
    let cut = choose(Some(&old), &old[..100], chain_of(&old), Load::Calm);
    assert_eq!(cut.changed, None);
    assert_ne!(cut.form, Form::Unchanged);
}

#[test]
fn a_patch_must_stay_under_seventy_percent_of_the_compressed_content() {
    assert!(beats_keyframe(69, 100) && !beats_keyframe(70, 100));
    // A tenth of the file is noise, the rest compresses to nothing: it is that tenth that counts.
    let file = |fresh: usize| {
        let noise = [noise(9, fresh), noise(4, 100_000)[fresh..].to_vec()];
        [noise.concat(), vec![0; 900_000]].concat()
    };
    let old = file(0);
    assert_eq!(
        codec_of(&old, &file(65_000), chain_of(&old)),
        Some(PatchCodec::Prefix)
    );
    assert_eq!(codec_of(&old, &file(75_000), chain_of(&old)), None);
}

#[test]
fn chains_end_by_depth_for_each_codec() {
    for (codec, steps) in [
        (PatchCodec::Ranges, 1024),
        (PatchCodec::Prefix, 64),
        (PatchCodec::Bsdiff, 8),
    ] {
        let full = (0..steps).fold(Chain::keyframe(1), |chain, _| chain.with(codec, 0));
        assert!(full.is_sound(), "{codec:?}");
        assert!(!full.with(codec, 0).is_sound(), "{codec:?}");
    }
    let old = text(1000);
    let new = [&old[..], b"."].concat();
    let worn = Chain {
        cost: 1024,
        ..chain_of(&old)
    };
    assert_eq!(codec_of(&old, &new, worn), None);
}

#[test]
fn chains_end_by_their_bytes() {
    let old = noise(5, MB);
    let mut new = old.clone();
    new[..1000].fill(0);
    let chain = chain_of(&old);
    let room = chain.keyframe_stored_bytes * 3;
    let near = Chain {
        patch_bytes: room - 2000,
        ..chain
    };
    assert_eq!(codec_of(&old, &new, near), Some(PatchCodec::Ranges));
    assert_eq!(
        codec_of(
            &old,
            &new,
            Chain {
                patch_bytes: room,
                ..chain
            }
        ),
        None
    );
}

#[test]
fn limits_of_ranges_follow_the_size_of_the_file() {
    assert_eq!(ranges_limit(100, 100), 256);
    assert_eq!(ranges_limit(MB, MB), MB / 20);
    // Above what prefix takes, ranges have only the keyframe to beat.
    assert_eq!(ranges_limit(100, 100 * MB), 70 * MB);
    let old = noise(6, 9 * MB);
    let new = [&noise(7, 3 * MB), &old[3 * MB..]].concat();
    assert_eq!(
        codec_of(&old, &new, chain_of(&old)),
        Some(PatchCodec::Ranges)
    );
}

/// The figure to hold: the bytes of a megabyte in 21 versions, a tenth changed in blocks each time.
#[test]
fn twenty_versions_with_a_tenth_changed_stand_on_one_keyframe() {
    const BLOCK: usize = 4096;
    let mut old = noise(8, 1_000_000);
    let mut chain = chain_of(&old);
    let mut total = chain.keyframe_stored_bytes;
    for version in 1..=20u64 {
        let mut new = old.clone();
        let blocks = new.chunks_mut(BLOCK).zip(version * 1000..);
        for (block, seed) in blocks.skip(version as usize % 10).step_by(10) {
            block.copy_from_slice(&noise(seed, block.len()));
        }
        let Form::Patch { codec, payload } = choose(Some(&old), &new, chain, Load::Calm).form
        else {
            panic!("version {version} is not a patch");
        };
        assert!(apply(codec, &old, &payload, new.len()).unwrap() == new);
        let value = stored(codec, &payload).len() as u64;
        total += value;
        chain = chain.with(codec, value);
        old = new;
    }
    let saved = 1.0 - total as f64 / 21e6;
    println!("saved {:.2} %", saved * 100.0);
    assert!((0.853..0.861).contains(&saved), "{saved}");
}

/// Two builds of a program, as far as codecs see: each address in it has moved by a constant.
fn builds() -> (Vec<u8>, Vec<u8>) {
    let build = |shift: u32| {
        let mut image = b"\x7fELF".to_vec();
        for n in 0..20_000u64 {
            image.extend(&noise(n, 8)[..5]);
            image.extend((n as u32 * 64 + shift).to_le_bytes());
        }
        image
    };
    (build(0), build(0x1234))
}

#[test]
fn bsdiff_replaces_a_prefix_patch_of_moved_addresses() {
    let (old, new) = builds();
    let chain = chain_of(&old);
    let Form::Patch { codec, payload } = choose(Some(&old), &new, chain, Load::Calm).form else {
        panic!("not a patch");
    };
    let standing = stored(codec, &payload).len() as u64;
    let better = refine(&old, &new, codec, standing, chain).unwrap();
    assert!(better.len() as u64 * 10 < standing * 7);
    assert!(apply(PatchCodec::Bsdiff, &old, &better, new.len()).unwrap() == new);
    assert_eq!(refine(&old, &new, codec, better.len() as u64, chain), None);
    let worn = Chain {
        cost: 1024 - 127,
        ..chain
    };
    assert_eq!(refine(&old, &new, codec, standing, worn), None);
}

#[test]
fn bsdiff_is_tried_where_it_may_win() {
    let (plain, elf) = (vec![1; 10_000], [b"\x7fELF", &[1; 9996][..]].concat());
    let may = |new: &[u8], codec, stored| bsdiff_may_win(&plain, new, codec, stored);
    assert!(may(&elf, PatchCodec::Ranges, 10) && may(&elf, PatchCodec::Prefix, 10));
    assert!(may(b"MZ", PatchCodec::Ranges, 10));
    assert!(!may(&plain, PatchCodec::Prefix, 200) && may(&plain, PatchCodec::Prefix, 201));
    assert!(!may(&plain, PatchCodec::Ranges, 5000));
    assert!(!may(&elf, PatchCodec::Bsdiff, 5000));
    assert!(!may(&vec![1; 4 * MB + 1], PatchCodec::Prefix, 5_000_000));
}
