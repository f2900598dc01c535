//! One side of a change: its content, as far as memory allows.

use diffkeeper_store::model::{Kind, MissingReason, VersionRef};
use diffkeeper_store::{Content, ContentError, Entry, SessionReader};

use crate::error::CliError;

/// Longer files are compared piece by piece and never shown as text, bytes.
const TEXT_MAX: u64 = 16 << 20;

/// A side.
pub(super) struct Side<'a> {
    pub(super) entry: Option<&'a Entry>,
    pub(super) body: Body<'a>,
}

/// Its content.
pub(super) enum Body<'a> {
    /// There is none: the entry is absent, or of a type without content.
    None,
    /// In memory.
    Whole(Vec<u8>),
    /// Too long for that.
    Long(Box<Content<'a>>),
    /// Nobody recorded it.
    Missing(MissingReason),
    /// It cannot be rebuilt.
    Damaged(String),
}

impl<'a> Side<'a> {
    /// A side whose content is not loaded.
    pub(super) const fn new(entry: Option<&'a Entry>) -> Self {
        Self {
            entry,
            body: Body::None,
        }
    }

    /// Loads the content; what keeps it from being had becomes the body.
    pub(super) fn load(&mut self, reader: &'a SessionReader<'_>) {
        let Some(entry) = self.entry else { return };
        self.body = match entry.state.node.kind {
            Kind::Symlink => Body::Whole(entry.state.node.target.clone()),
            Kind::File => match entry.content() {
                Some(at) => open(reader, at).unwrap_or_else(|error| match error {
                    ContentError::Missing(reason) => Body::Missing(reason),
                    error => Body::Damaged(error.to_string()),
                }),
                None => Body::Missing(MissingReason::Vanished),
            },
            _ => Body::None,
        };
    }

    /// The bytes, if they can be shown as lines; nothing where nothing is.
    pub(super) fn text(&self) -> Option<&[u8]> {
        match &self.body {
            Body::None => Some(b""),
            Body::Whole(bytes) if !bytes.contains(&0) => Some(bytes),
            _ => None,
        }
    }

    /// Whether every byte can be had.
    pub(super) const fn is_known(&self) -> bool {
        matches!(self.body, Body::None | Body::Whole(_) | Body::Long(_))
    }

    /// Length, bytes; 0 where nothing is.
    pub(super) fn len(&self) -> u64 {
        let version = self.entry.and_then(|entry| entry.state.version.as_ref());
        match &self.body {
            Body::None => 0,
            Body::Whole(bytes) => bytes.len() as u64,
            Body::Long(content) => content.len(),
            Body::Missing(_) | Body::Damaged(_) => version.map_or(0, |(_, v)| v.length),
        }
    }

    /// Fills `buf` from `offset` on; returns the bytes written, fewer only at the end.
    ///
    /// # Errors
    /// Damage.
    pub(super) fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, CliError> {
        match &mut self.body {
            Body::Whole(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                let n = rest.len().min(buf.len());
                if let (Some(from), Some(to)) = (rest.get(..n), buf.get_mut(..n)) {
                    to.copy_from_slice(from);
                }
                Ok(n)
            }
            Body::Long(content) => Ok(content.read_at(offset, buf)?),
            Body::None | Body::Missing(_) | Body::Damaged(_) => Ok(0),
        }
    }

    /// Why the content cannot be shown, for people.
    pub(super) fn complaint(&self) -> Option<String> {
        match &self.body {
            Body::Missing(reason) => Some(format!("was not recorded ({})", reason.word())),
            Body::Damaged(why) => Some(format!("cannot be rebuilt ({why})")),
            Body::None | Body::Whole(_) | Body::Long(_) => None,
        }
    }
}

fn open<'a>(reader: &'a SessionReader<'_>, at: VersionRef) -> Result<Body<'a>, ContentError> {
    let mut content = reader.content(at)?;
    Ok(match content.to_vec(TEXT_MAX)? {
        Some(bytes) => Body::Whole(bytes),
        None => Body::Long(Box::new(content)),
    })
}
