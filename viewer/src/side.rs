//! One side of a comparison: the content of a version, read piece by piece.

use diffkeeper_store::model::{MissingReason, Version, VersionRef};
use diffkeeper_store::{Content, ContentError, SessionReader};

/// A side.
pub(crate) struct Side<'r> {
    body: Body<'r>,
    len: u64,
}

enum Body<'r> {
    /// There is no version.
    None,
    Known(Box<Content<'r>>),
    Missing(MissingReason),
    Damaged(String),
}

impl<'r> Side<'r> {
    /// Opens the content of a version; what keeps it from being had is told later.
    pub(crate) fn open(
        reader: &'r SessionReader<'_>,
        version: Option<(VersionRef, &Version)>,
    ) -> Self {
        let Some((at, version)) = version else {
            let body = Body::None;
            return Self { body, len: 0 };
        };
        let body = match reader.content(at) {
            Ok(content) => Body::Known(Box::new(content)),
            Err(ContentError::Missing(reason)) => Body::Missing(reason),
            Err(error) => Body::Damaged(error.to_string()),
        };
        let len = match &body {
            Body::Known(_) => version.length,
            _ => 0,
        };
        Self { body, len }
    }

    /// Bytes that can be read.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is a version at all.
    pub(crate) const fn is_there(&self) -> bool {
        !matches!(self.body, Body::None)
    }

    /// Whether every byte can be had.
    pub(crate) const fn is_known(&self) -> bool {
        matches!(self.body, Body::None | Body::Known(_))
    }

    /// Some bytes, fewer only at the end.
    ///
    /// # Errors
    /// Damage.
    pub(crate) fn read(&mut self, start: u64, len: u64) -> Result<Vec<u8>, ContentError> {
        let Body::Known(content) = &mut self.body else {
            return Ok(Vec::new());
        };
        let len = len.min(self.len.saturating_sub(start));
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let n = content.read_at(start, &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Why the content cannot be shown, for people.
    pub(crate) fn complaint(&self) -> Option<String> {
        match &self.body {
            Body::Missing(reason) => Some(format!("was not recorded ({})", reason.word())),
            Body::Damaged(why) => Some(format!("cannot be rebuilt ({why})")),
            Body::None | Body::Known(_) => None,
        }
    }
}
