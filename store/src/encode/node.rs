//! Records of the `name` and `node` keyspaces.

use super::{Malformed, Put, Take};
use crate::model::{FileId, Kind, Node, NodeIdent, Place, Xattr};

/// A name's child, or its absence from here on.
pub(crate) fn encode_name(child: Option<FileId>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4);
    out.var(child.map_or(0, |file| file.0));
    out
}

pub(crate) fn decode_name(bytes: &[u8]) -> Result<Option<FileId>, Malformed> {
    let mut take = Take::new(bytes, "name record");
    let child = take.var()?;
    take.end()?;
    Ok((child != 0).then_some(FileId(child)))
}

pub(crate) fn encode_node(node: &Node) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.u8(node.kind.tag());
    out.var(u64::from(node.mode));
    out.var(u64::from(node.uid));
    out.var(u64::from(node.gid));
    out.time(node.mtime);
    out.var(node.rdev);
    out.var(node.ident.dev);
    out.var(node.ident.ino);
    out.var(node.ident.generation);
    out.bytes(&node.target);
    out.var(node.xattrs.len() as u64);
    for xattr in &node.xattrs {
        out.bytes(&xattr.name);
        out.bytes(&xattr.value);
    }
    out.var(node.links.len() as u64);
    for link in &node.links {
        put_place(&mut out, link);
    }
    out
}

pub(crate) fn decode_node(bytes: &[u8]) -> Result<Node, Malformed> {
    let mut take = Take::new(bytes, "node record");
    let node = Node {
        kind: take.tagged(Kind::from_tag)?,
        mode: take.num()?,
        uid: take.num()?,
        gid: take.num()?,
        mtime: take.time()?,
        rdev: take.var()?,
        ident: NodeIdent {
            dev: take.var()?,
            ino: take.var()?,
            generation: take.var()?,
        },
        target: take.vec()?,
        xattrs: take.list(|take| {
            Ok(Xattr {
                name: take.vec()?,
                value: take.vec()?,
            })
        })?,
        links: take.list(take_place)?,
    };
    take.end()?;
    Ok(node)
}

pub(super) fn put_place(out: &mut Vec<u8>, place: &Place) {
    out.var(place.parent.0);
    out.bytes(&place.name);
}

/// A name that could leave its directory (`..`, a slash) is refused here, once for all
/// readers.
pub(super) fn take_place(take: &mut Take<'_>) -> Result<Place, Malformed> {
    let place = Place {
        parent: FileId(take.var()?),
        name: take.vec()?,
    };
    if is_name(&place.name) {
        Ok(place)
    } else {
        Err(take.bad())
    }
}

/// Whether bytes can be the name of a directory entry.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= 4096
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}
