//! A last look at what goes into a pack, record by record: for what must not be in it.

use crate::blob;
use crate::db::Space;
use crate::encode::decode_block;
use crate::model::Digest;

/// Whether a text holds what must not be handed on.
pub type Inspector<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Records that do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Contents, or parts of them.
    pub contents: u64,
    /// Blocks of events: names, and what was printed.
    pub events: u64,
    /// Names, attributes, processes and the session itself.
    pub others: u64,
}

impl Suspects {
    /// How many there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.contents + self.events + self.others
    }

    /// Looks at a record. What cannot be read cannot be read by others either.
    pub(super) fn record(
        &mut self,
        inspect: Inspector<'_>,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) {
        let (counter, found) = match space {
            Space::Event => {
                let plain = decode_block(value).map(|(_, plain)| plain);
                (&mut self.events, plain.is_ok_and(|plain| inspect(&plain)))
            }
            Space::Version => (&mut self.contents, inspect(value)),
            Space::Name => (&mut self.others, inspect(key)),
            _ => (&mut self.others, inspect(value)),
        };
        *counter += u64::from(found);
    }

    pub(super) fn blob(&mut self, inspect: Inspector<'_>, digest: &Digest, value: &[u8]) {
        let plain = blob::unpack(digest, value);
        self.contents += u64::from(plain.is_ok_and(|plain| inspect(&plain)));
    }
}
