//! Owns the choice of form: whether a version is stored as a keyframe or as a patch, and which.
//!
//! Inline: `ranges` unless it passes 5 % of the file, then `prefix`; a patch that is not well below
//! the compressed full content, or that would overstretch its chain, gives way to a keyframe.
//! Once `ranges` passes its test, `prefix` is not tried as well, even where it would win on badly
//! compressible literals: that costs ten times the CPU on the common case to save a part of 5 %.
//! Background: `bsdiff`, where it is known to win.

use crate::compress::{self, LEVEL_DENSE, LEVEL_INLINE};
use crate::patch::bsdiff::{self, BSDIFF_MAX_RECORDER};
use crate::patch::prefix::{self, PREFIX_MAX};
use crate::patch::{PatchCodec, RangesEncoder};

/// Cost that a chain may reach: 1024 steps of ranges, 64 of prefix or 8 of bsdiff, or any mixture
/// that takes as long to apply.
const MAX_CHAIN_COST: u32 = 1024;
/// Patches may sum to this multiple of their keyframe. 2 gives the shorter chains, but then twenty
/// versions with a tenth changed in each sum to just over it, and pay for a second keyframe: on
/// such files 3 stores a seventh less and reads at most a third more.
const MAX_CHAIN_BYTES: u64 = 3;
/// Ranges may take one part in this many of the file.
const RANGES_PART: usize = 20;
/// Below this many bytes, ranges are taken whatever part of the file they are.
const RANGES_FLOOR: usize = 256;
/// Prefix patches above one part in this many of the file are worth a try of bsdiff.
const BSDIFF_PART: u64 = 50;

/// The patches that stand between a version and the keyframe under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// What applying them costs, in steps of ranges; see [`Chain::cost_of`].
    pub cost: u32,
    /// Their stored bytes.
    pub patch_bytes: u64,
    /// Stored bytes of the keyframe.
    pub keyframe_stored_bytes: u64,
}

/// How busy the recorder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// There is time for a good ratio.
    Calm,
    /// The queue of versions is at least half full.
    Busy,
}

/// The form chosen for a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The content is that of the old version: metadata only.
    Unchanged,
    /// The full content.
    Keyframe,
    /// A change of the old version.
    Patch {
        /// How the payload is written.
        codec: PatchCodec,
        /// The payload, plain: to be framed by [`stored`].
        payload: Vec<u8>,
    },
}

/// A chosen form and what is known about the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The form.
    pub form: Form,
    /// Offset and length in bytes from the first to the last differing byte, against the old
    /// version. `None` if there is none: no old version, no change, or a tail cut off.
    pub changed: Option<(u64, u64)>,
}

impl Chain {
    /// The chain of a new keyframe.
    #[must_use]
    pub const fn keyframe(stored_bytes: u64) -> Self {
        Self {
            cost: 0,
            patch_bytes: 0,
            keyframe_stored_bytes: stored_bytes,
        }
    }

    /// Cost of one step; a captured extent costs as much as ranges.
    #[must_use]
    pub const fn cost_of(codec: PatchCodec) -> u32 {
        match codec {
            PatchCodec::Ranges => 1,
            PatchCodec::Prefix => MAX_CHAIN_COST / 64,
            PatchCodec::Bsdiff => MAX_CHAIN_COST / 8,
        }
    }

    /// The chain with one more patch of `stored_bytes`.
    #[must_use]
    pub const fn with(self, codec: PatchCodec, stored_bytes: u64) -> Self {
        Self {
            cost: self.cost.saturating_add(Self::cost_of(codec)),
            patch_bytes: self.patch_bytes.saturating_add(stored_bytes),
            ..self
        }
    }

    /// Whether the chain is short enough, in cost and in bytes, to be built on.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        self.cost <= MAX_CHAIN_COST
            && self.patch_bytes <= self.keyframe_stored_bytes.saturating_mul(MAX_CHAIN_BYTES)
    }
}

/// Chooses the form of `new`, whose predecessor `old` stands at the end of `chain`.
#[must_use]
pub fn choose(old: Option<&[u8]>, new: &[u8], chain: Chain, load: Load) -> Encoded {
    let Some(old) = old else {
        return Encoded {
            form: Form::Keyframe,
            changed: None,
        };
    };
    let mut encoder = RangesEncoder::new(ranges_limit(old.len(), new.len()));
    encoder.window(0, old, new);
    let changed = encoder.changed_span();
    if changed.is_none() && old.len() == new.len() {
        return Encoded {
            form: Form::Unchanged,
            changed,
        };
    }
    let patch = encoder
        .finish(new.len() as u64)
        .map(|payload| (PatchCodec::Ranges, payload))
        .or_else(|| prefix_patch(old, new, chain, load));
    let form = match patch {
        Some((codec, payload)) if pays(codec, &payload, new, chain) => {
            Form::Patch { codec, payload }
        }
        _ => Form::Keyframe,
    };
    Encoded { form, changed }
}

/// Bytes that ranges may take, headers included, in a file whose versions have these lengths.
///
/// Where prefix cannot follow, the only rival is the keyframe, and ranges need only beat that.
#[must_use]
pub fn ranges_limit(old_len: usize, new_len: usize) -> usize {
    if old_len.max(new_len) > PREFIX_MAX {
        new_len / 10 * 7
    } else {
        (new_len / RANGES_PART).max(RANGES_FLOOR)
    }
}

/// Whether a patch is well enough below the full content: under 70 % of it, both as stored.
#[must_use]
pub const fn beats_keyframe(patch_stored: u64, full_stored: u64) -> bool {
    patch_stored.saturating_mul(10) < full_stored.saturating_mul(7)
}

/// Whether bsdiff is worth its CPU, in the background, for a version that stands as a patch of
/// `standing_stored` bytes: executables, and what prefix left large. Up to 4 MiB.
#[must_use]
pub fn bsdiff_may_win(old: &[u8], new: &[u8], standing: PatchCodec, standing_stored: u64) -> bool {
    if old.len().max(new.len()) > BSDIFF_MAX_RECORDER {
        return false;
    }
    match standing {
        PatchCodec::Bsdiff => false,
        PatchCodec::Prefix if standing_stored.saturating_mul(BSDIFF_PART) > new.len() as u64 => {
            true
        }
        PatchCodec::Prefix | PatchCodec::Ranges => is_executable(new),
    }
}

/// A bsdiff payload that replaces a standing patch, if it takes at most 70 % of its stored bytes
/// and leaves the chain sound. `chain` ends at `old`.
#[must_use]
pub fn refine(
    old: &[u8],
    new: &[u8],
    standing: PatchCodec,
    standing_stored: u64,
    chain: Chain,
) -> Option<Vec<u8>> {
    if !chain.with(PatchCodec::Bsdiff, 0).is_sound()
        || !bsdiff_may_win(old, new, standing, standing_stored)
    {
        return None;
    }
    let payload = bsdiff::encode(old, new)?;
    let stored = stored_bound(&payload);
    let smaller = stored.saturating_mul(10) <= standing_stored.saturating_mul(7);
    (smaller && chain.with(PatchCodec::Bsdiff, stored).is_sound()).then_some(payload)
}

/// The value that holds a payload: zstd for ranges, raw for the codecs that compress themselves.
#[must_use]
pub fn stored(codec: PatchCodec, payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    match codec {
        PatchCodec::Ranges => compress::encode(payload, LEVEL_INLINE, &mut value),
        PatchCodec::Prefix | PatchCodec::Bsdiff => compress::encode_raw(payload, &mut value),
    }
    value
}

fn prefix_patch(old: &[u8], new: &[u8], chain: Chain, load: Load) -> Option<(PatchCodec, Vec<u8>)> {
    if !chain.with(PatchCodec::Prefix, 0).is_sound() {
        return None;
    }
    let level = match load {
        Load::Calm => LEVEL_DENSE,
        Load::Busy => LEVEL_INLINE,
    };
    Some((PatchCodec::Prefix, prefix::encode(old, new, level)?))
}

/// Whether a patch leaves its chain sound and beats a keyframe.
pub(crate) fn pays(codec: PatchCodec, payload: &[u8], new: &[u8], chain: Chain) -> bool {
    // Compressing the full content for comparison costs as much as most patches, so it is not done
    // where the patch is below half of what it may be by the best guess: that the content
    // compresses as the keyframe did. A wrong guess keeps a patch that a keyframe could replace at
    // about the same price, since no codec writes much more than the content itself compresses to.
    let bound = stored_bound(payload);
    let guess = chain.keyframe_stored_bytes.min(new.len() as u64);
    if chain.with(codec, bound).is_sound() && beats_keyframe(bound.saturating_mul(2), guess) {
        return true;
    }
    let exact = match codec {
        PatchCodec::Ranges => compress::encoded_len(payload, LEVEL_INLINE) as u64,
        PatchCodec::Prefix | PatchCodec::Bsdiff => bound,
    };
    chain.with(codec, exact).is_sound()
        && beats_keyframe(exact, compress::encoded_len(new, LEVEL_INLINE) as u64)
}

/// Most that a payload takes when stored: all of it, and the form byte.
fn stored_bound(payload: &[u8]) -> u64 {
    payload.len() as u64 + 1
}

/// ELF or PE, by magic number: code whose addresses shift at every build.
fn is_executable(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"MZ")
}
