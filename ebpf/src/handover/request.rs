//! What the loader is asked for, as bytes. All of it is checked; what the kernel knows better
//! (who asks) and what comes as descriptors (the roots) is not in it.

use crate::loader::{CaptureError, Config, InodeId, Tier};

/// Begins a request: another version of the program speaks another language.
const MAGIC: &[u8] = concat!("diffkeeper ", env!("CARGO_PKG_VERSION"), "\0").as_bytes();
/// Most places below the roots that can be left out.
const EXCLUDED: usize = 64;
/// Largest ring: its memory is the kernel's, and not charged to who asks.
const RING: u32 = 256 << 20;

/// The bytes for a configuration.
pub(super) fn encode(config: &Config) -> Result<Vec<u8>, CaptureError> {
    if config.foreign {
        return Err(refused(
            "only trees that are all on ext4 can be listened to that way",
        ));
    }
    if config.btf.is_some() {
        return Err(refused(
            "the loader takes no types of the kernel but the kernel's own",
        ));
    }
    if config.excluded.len() > EXCLUDED || config.ring_bytes > RING {
        return Err(refused(
            "the loader takes no ring above 256 MiB, and leaves out 64 places",
        ));
    }
    let flags = [config.reads, config.hold_back];
    let outputs = [config.stdout, config.stderr].map(|at| at.unwrap_or(NONE));
    let mut bytes = MAGIC.to_vec();
    bytes.push(u8::from(config.tier == Tier::Fentry));
    bytes.extend(flags.map(u8::from));
    bytes.extend(config.ring_bytes.to_ne_bytes());
    for at in outputs.iter().chain(&config.excluded) {
        bytes.extend(at.dev.to_ne_bytes());
        bytes.extend(at.ino.to_ne_bytes());
    }
    Ok(bytes)
}

/// The configuration of the bytes: without roots, and without who asks.
pub(super) fn decode(bytes: &[u8]) -> Result<Config, CaptureError> {
    let asked = parse(bytes).ok_or_else(|| refused("the request is none of this version"))?;
    if asked.ring_bytes > RING {
        return Err(refused("the ring is too large"));
    }
    Ok(asked)
}

fn parse(bytes: &[u8]) -> Option<Config> {
    let bytes = bytes.strip_prefix(MAGIC)?;
    let (&[fentry, reads, hold_back], bytes) = bytes.split_first_chunk()?;
    if [fentry, reads, hold_back].iter().any(|flag| *flag > 1) {
        return None;
    }
    let (ring, bytes) = bytes.split_first_chunk()?;
    let (inodes, rest) = bytes.as_chunks::<16>();
    let mut inodes = inodes.iter().map(inode);
    let (stdout, stderr) = (inodes.next()?, inodes.next()?);
    let excluded: Vec<InodeId> = inodes.collect();
    if !rest.is_empty() || excluded.len() > EXCLUDED {
        return None;
    }
    Some(Config {
        tier: if fentry == 1 {
            Tier::Fentry
        } else {
            Tier::Tracepoint
        },
        excluded,
        ring_bytes: u32::from_ne_bytes(*ring),
        reads: reads == 1,
        hold_back: hold_back == 1,
        stdout: Some(stdout).filter(|at| *at != NONE),
        stderr: Some(stderr).filter(|at| *at != NONE),
        ..Config::default()
    })
}

const NONE: InodeId = InodeId { dev: 0, ino: 0 };

fn inode(bytes: &[u8; 16]) -> InodeId {
    let (words, _) = bytes.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_ne_bytes(*word));
    let mut next = || words.next().unwrap_or_default();
    InodeId {
        dev: next(),
        ino: next(),
    }
}

pub(super) fn refused(why: &str) -> CaptureError {
    CaptureError::Loader(why.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{EXCLUDED, MAGIC, RING, decode, encode};
    use crate::loader::{Config, InodeId, Tier};
    use proptest::prelude::*;

    fn some() -> Config {
        Config {
            tier: Tier::Fentry,
            excluded: vec![InodeId { dev: 1, ino: 2 }, InodeId { dev: 3, ino: 4 }],
            ring_bytes: 1 << 20,
            reads: true,
            hold_back: true,
            stderr: Some(InodeId { dev: 5, ino: 6 }),
            ..Config::default()
        }
    }

    #[test]
    fn a_request_arrives_as_it_was_sent() {
        let config = decode(&encode(&some()).unwrap()).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", some()));
    }

    #[test]
    fn who_asks_is_not_said_in_the_request() {
        let mut config = some();
        (config.owner, config.recorder) = (Some(0), 1);
        config.roots = vec![InodeId { dev: 1, ino: 2 }];
        let config = decode(&encode(&config).unwrap()).unwrap();
        assert_eq!((config.owner, config.recorder), (None, 0));
        assert!(config.roots.is_empty());
    }

    #[test]
    fn what_the_loader_does_not_do_is_refused() {
        let mut ring = encode(&some()).unwrap();
        let at = MAGIC.len() + 3;
        ring[at..at + 4].copy_from_slice(&(RING * 2).to_ne_bytes());
        assert!(decode(&ring).is_err());
        let mut config = some();
        config.excluded = vec![InodeId { dev: 1, ino: 2 }; EXCLUDED + 1];
        assert!(encode(&config).is_err());
        for change in [
            |config: &mut Config| config.foreign = true,
            |config: &mut Config| config.btf = Some("types".into()),
            |config: &mut Config| config.ring_bytes = RING * 2,
        ] {
            let mut config = some();
            change(&mut config);
            assert!(encode(&config).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0..200usize) {
            let _ = decode(&[MAGIC, &bytes].concat());
            let whole = encode(&some()).unwrap();
            let cut = cut.min(whole.len());
            // One place less is a request as well.
            let left_out = [0, 16, 32].map(|less| whole.len() - less);
            prop_assert_eq!(decode(&whole[..cut]).is_ok(), left_out.contains(&cut));
        }
    }
}
