//! The versioned-filesystem store of diffkeeper.
