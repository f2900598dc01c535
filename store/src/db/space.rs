//! The keyspaces, and the checksum that ends a stored value.

/// A named table of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Space {
    Meta = 0,
    Session = 1,
    Event = 2,
    Name = 3,
    Node = 4,
    Version = 5,
    Blob = 6,
    Process = 7,
    Density = 8,
}

impl Space {
    /// Those whose keys begin with a session.
    pub(crate) const OF_SESSIONS: [Self; 7] = [
        Self::Session,
        Self::Event,
        Self::Name,
        Self::Node,
        Self::Version,
        Self::Process,
        Self::Density,
    ];

    /// Each with its name, in the order of the tags.
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::Meta, "meta"),
        (Self::Session, "session"),
        (Self::Event, "event"),
        (Self::Name, "name"),
        (Self::Node, "node"),
        (Self::Version, "version"),
        (Self::Blob, "blob"),
        (Self::Process, "process"),
        (Self::Density, "density"),
    ];
}

impl Space {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().map(|(space, _)| *space)
    }

    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Self::all().find(|space| *space as u8 == tag)
    }
}

const CHECK_LEN: usize = 4;

fn check(space: Space, key: &[u8], value: &[u8]) -> [u8; CHECK_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[space as u8]);
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d]
}

/// The stored form of a value.
pub(crate) fn sealed(space: Space, key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    if space != Space::Blob {
        let sum = check(space, key, &value);
        value.extend(sum);
    }
    value
}

/// The value in its stored form; none if it does not match its checksum.
pub(crate) fn unsealed<'a>(space: Space, key: &[u8], raw: &'a [u8]) -> Option<&'a [u8]> {
    if space == Space::Blob {
        return Some(raw);
    }
    let (value, sum) = raw.split_last_chunk::<CHECK_LEN>()?;
    (check(space, key, value) == *sum).then_some(value)
}
