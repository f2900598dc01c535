//! Records built by hand, records cut short, arbitrary bytes, and the numbers of wire.h.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
use super::decode::{
    CUT, HAS_INODE, HAS_PARENT, HAS_REPLACED, HAS_TO, HEAD, ORDERED, PAYLOAD, WHOLE,
};
use super::{Attr, Entry, Inode, Reason, Stream, What, WireError, decode, kernel_dev, st_dev};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use std::collections::BTreeMap;

const HEADER: &str = include_str!("../../bpf/wire.h");

/// The enumerators and plain numbers of the C header.
fn header() -> BTreeMap<&'static str, u32> {
    let assigned = HEADER.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(" = ")?;
        Some((name, rest.split(',').next()?))
    });
    let defined = HEADER.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
        Some((name, value))
    });
    let sizes = HEADER.lines().filter_map(|line| {
        let (name, size) = line.strip_prefix("DK_SIZE(")?.split_once(", ")?;
        Some((name, size.trim_end_matches(");")))
    });
    assigned
        .chain(defined)
        .chain(sizes)
        .filter_map(|(name, value)| Some((name, value.trim().parse().ok()?)))
        .collect()
}

fn slot(kind: u32, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut slot = Vec::new();
    slot.extend((u32::try_from(HEAD + body.len()).unwrap()).to_ne_bytes());
    slot.extend(u16::try_from(kind).unwrap().to_ne_bytes());
    slot.extend(flags.to_ne_bytes());
    for word in [7_u64, 3, 99] {
        slot.extend(word.to_ne_bytes());
    }
    slot.extend(41_u32.to_ne_bytes());
    slot.extend(42_u32.to_ne_bytes());
    slot.extend(body);
    slot
}

fn inode(ino: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [ino, 11, 12, 13, 14] {
        bytes.extend(word.to_ne_bytes());
    }
    for word in [8_u32 << 20 | 0x101, 0, 5, 0o100_644, 1000, 100, 2, 0xef53] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

fn read_inode(ino: u64) -> Inode {
    Inode {
        dev: 0x10_0801,
        ino,
        birth_ns: 11,
        generation: 5,
        mode: 0o100_644,
        uid: 1000,
        gid: 100,
        nlink: 2,
        size: 12,
        mtime: 13,
        ctime: 14,
        rdev: 0,
        magic: 0xef53,
    }
}

fn write_body(len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut body = inode(9);
    body.extend(4096_u64.to_ne_bytes());
    body.extend(len.to_ne_bytes());
    body.extend(0_u32.to_ne_bytes());
    body.extend(bytes);
    body
}

#[test]
fn a_write_carries_its_bytes() {
    let mut bytes = slot(
        header()["DK_WRITE"],
        ORDERED | PAYLOAD,
        &write_body(3, b"abc"),
    );
    bytes.extend([0xee; 200]);
    let record = decode(&bytes).unwrap();
    assert!(record.ordered && !record.whole);
    assert_eq!((record.time, record.call), (7, 3));
    let task = record.task;
    assert_eq!((task.pid, task.tid, task.start), (41, 42, 99));
    let expected = What::Write {
        inode: read_inode(9),
        offset: 4096,
        len: 3,
        bytes: Some(b"abc"),
    };
    assert_eq!(record.what, expected);
}

#[test]
fn a_write_without_payload_has_none() {
    let bytes = slot(header()["DK_WRITE"], WHOLE, &write_body(70_000, b""));
    let record = decode(&bytes).unwrap();
    assert!(!record.ordered && record.whole);
    assert!(matches!(
        record.what,
        What::Write {
            len: 70_000,
            bytes: None,
            ..
        }
    ));
}

#[test]
fn lengths_are_not_believed() {
    let kind = header()["DK_WRITE"];
    let long = slot(kind, PAYLOAD, &write_body(65_537, &[0; 65_537]));
    let unknown = WireError::Unknown {
        field: "length",
        value: 65_537,
    };
    assert_eq!(decode(&long), Err(unknown));
    let short = slot(kind, PAYLOAD, &write_body(4, b"abc"));
    let missing = WireError::Short { wanted: 4, left: 3 };
    assert_eq!(decode(&short), Err(missing));
    let more = slot(kind, PAYLOAD, &write_body(2, b"abc"));
    assert_eq!(decode(&more), Err(WireError::Long { kind: 1, left: 1 }));
    let mut beyond = slot(kind, PAYLOAD, &write_body(3, b"abc"));
    beyond[0] += 1;
    assert!(matches!(decode(&beyond), Err(WireError::Short { .. })));
    beyond[0] = 39;
    assert!(matches!(decode(&beyond), Err(WireError::Short { .. })));
}

#[test]
fn every_record_cut_short_is_an_error() {
    for kind in 1..header()["DK_KINDS"] {
        for len in 0..HEAD {
            let whole = slot(kind, 0, &[0; 400]);
            assert!(decode(&whole[..len]).is_err(), "kind {kind}, {len} bytes");
        }
        for len in 0..8 {
            assert!(decode(&slot(kind, 0, &vec![0; len])).is_err());
        }
    }
    for kind in [0, header()["DK_KINDS"], 65_535] {
        let value = kind;
        let field = "kind";
        let unknown = WireError::Unknown { field, value };
        assert_eq!(decode(&slot(kind, 0, &[0; 400])), Err(unknown));
    }
}

#[test]
fn names_follow_their_bodies() {
    let mut body = inode(9);
    body.extend(inode(2));
    body.extend((HAS_INODE | HAS_PARENT).to_ne_bytes());
    body.extend(2_u16.to_ne_bytes());
    body.extend(3_u16.to_ne_bytes());
    body.extend(b"lnkto".map(|byte| byte).iter().take(5));
    let bytes = slot(header()["DK_SYMLINK"], ORDERED, &body);
    let entry = Entry {
        inode: Some(read_inode(9)),
        parent: Some(read_inode(2)),
        name: b"ln",
    };
    let target = b"kto";
    let expected = What::Symlink { entry, target };
    assert_eq!(decode(&bytes).unwrap().what, expected);
    assert!(decode(&slot(header()["DK_MKDIR"], ORDERED, &body)).is_err());
}

#[test]
fn a_rename_tells_what_it_knows() {
    let mut body: Vec<u8> = [1, 2, 3, 4].into_iter().flat_map(inode).collect();
    for word in [HAS_INODE | HAS_TO, 2] {
        body.extend(word.to_ne_bytes());
    }
    for half in [1_u16, 2, 0, 0] {
        body.extend(half.to_ne_bytes());
    }
    body.extend(b"abb");
    let bytes = slot(header()["DK_RENAME"], 0, &body);
    let What::Rename(rename) = decode(&bytes).unwrap().what else {
        panic!("not a rename");
    };
    assert_eq!(rename.inode, Some(read_inode(1)));
    assert_eq!((rename.from_parent, rename.replaced), (None, None));
    assert_eq!(rename.to_parent, Some(read_inode(3)));
    assert_eq!((rename.from_name, rename.to_name), (&b"a"[..], &b"bb"[..]));
    assert_eq!(rename.flags, 2);
}

#[test]
fn devices_are_encoded_as_stat_has_them() {
    for (kernel, stat) in [
        (8 << 20 | 1, 0x801),
        (254 << 20, 0xfe00),
        (0x10_0101, 0x10_0101),
    ] {
        assert_eq!(st_dev(kernel), stat);
        assert_eq!(kernel_dev(stat), Some(kernel));
    }
    assert_eq!(kernel_dev(u64::MAX), None);
}

#[test]
fn the_header_has_the_same_numbers() {
    let header = header();
    let expected = [
        ("DK_ORDERED", ORDERED.into()),
        ("DK_PAYLOAD", PAYLOAD.into()),
        ("DK_WHOLE", WHOLE.into()),
        ("DK_HAS_INODE", HAS_INODE),
        ("DK_HAS_PARENT", HAS_PARENT),
        ("DK_HAS_TO", HAS_TO),
        ("DK_HAS_REPLACED", HAS_REPLACED),
        ("DK_CUT", CUT),
        ("DK_BYTES_MAX", 65_536),
        ("dk_head", 40),
    ];
    for (name, value) in expected {
        assert_eq!(header.get(name), Some(&value), "{name}");
    }
}

/// Every kind is decoded from as many zero bytes as its struct takes, and comes out as the
/// variant of that name; numbers where zero stands for nothing are refused.
#[test]
fn every_kind_has_the_size_of_its_struct() {
    let header = header();
    let kinds = HEADER.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(" = ")?;
        let (_, body) = rest.split_once("/* struct ")?;
        let body = body.split([' ', ',', ':']).next()?;
        Some((name, body))
    });
    let mut seen = 0;
    for (name, body) in kinds {
        seen += 1;
        let size = usize::try_from(header[body]).unwrap();
        let refused = ["DK_DIRTY", "DK_ATTR", "DK_AT", "DK_OUTPUT"].contains(&name);
        match decode(&slot(header[name], 0, &vec![0; size])) {
            Ok(record) => {
                let variant = format!("{:?}", record.what).to_uppercase();
                let kind = name.trim_start_matches("DK_").replace('_', "");
                assert!(variant.starts_with(&kind), "{name} is {variant}");
            }
            Err(WireError::Unknown { .. }) => assert!(refused, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
        assert!(decode(&slot(header[name], 0, &vec![0; size - 1])).is_err());
        assert!(decode(&slot(header[name], 0, &vec![0; size + 1])).is_err());
    }
    assert_eq!(seen + 1, header["DK_KINDS"]);
}

#[test]
fn enumerators_mean_what_their_names_say() {
    let header = header();
    for (name, reason) in [
        ("DK_MMAP", Reason::Mmap),
        ("DK_DIRECT", Reason::Direct),
        ("DK_CLONE", Reason::Clone),
        ("DK_NO_PAYLOAD", Reason::NoPayload),
        ("DK_RING_FULL", Reason::RingFull),
        ("DK_FOREIGN", Reason::Foreign),
        ("DK_UNDONE", Reason::Undone),
    ] {
        let mut body = inode(9);
        body.extend([0; 16]);
        body.extend(u64::from(header[name]).to_le_bytes());
        let bytes = slot(header["DK_DIRTY"], 0, &body);
        assert!(
            matches!(decode(&bytes).unwrap().what, What::Dirty { reason: r, .. } if r == reason)
        );
    }
    for (name, attr) in [
        ("DK_CHMOD", Attr::Chmod),
        ("DK_CHOWN", Attr::Chown),
        ("DK_UTIMES", Attr::Utimes),
        ("DK_FLAGS", Attr::Flags),
    ] {
        let mut body = inode(9);
        body.extend(u64::from(header[name]).to_le_bytes());
        let bytes = slot(header["DK_ATTR"], 0, &body);
        let inode = read_inode(9);
        assert_eq!(decode(&bytes).unwrap().what, What::Attr { inode, attr });
    }
}

#[test]
fn output_is_told_by_stream() {
    let mut body = Vec::new();
    body.extend(2_u32.to_ne_bytes());
    body.extend(2_u32.to_ne_bytes());
    body.extend(b"hi");
    let bytes = slot(header()["DK_OUTPUT"], PAYLOAD, &body);
    let (stream, bytes_) = (Stream::Stderr, &b"hi"[..]);
    let expected = What::Output {
        stream,
        bytes: bytes_,
    };
    assert_eq!(decode(&bytes).unwrap().what, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode(&bytes);
    }

    /// Arbitrary bodies below a head that is believed get further than arbitrary heads.
    #[test]
    fn arbitrary_bodies_never_panic(
        kind in 0_u32..26,
        flags in 0_u16..8,
        body in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let slot = slot(kind, flags, &body);
        let _ = decode(&slot);
    }
}
