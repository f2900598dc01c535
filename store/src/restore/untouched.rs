//! The short way: a directory that nobody touched since a restore of the same instant left
//! it whole. It is listed and nothing is read, neither of it nor of the trace.
//!
//! A name that came, went or moved has moved the change time of its directory, anything
//! else that of the node itself; so if every node has its stamp, all is as it was left.

use std::path::Path;

use rustix::io::Errno;

use super::existing;
use super::found::{look, look_at};
use super::remove::names;
use super::stamps::{self, Stamps};
use crate::export::dirs::Walk;
use crate::model::{Kind, Seq};
use crate::reader::SessionReader;

/// Whether `to` is still as a restore of `session` at `seq` left it: how many names it
/// holds then, itself included.
#[must_use]
pub fn untouched(session: &SessionReader<'_>, seq: Seq, to: &Path) -> Option<u64> {
    let stamps = Stamps::load(&stamps::path(session.store.state_dir()?));
    let whole = stamps.whole()?;
    if (whole.session, whole.seq) != (session.id(), seq) {
        return None;
    }
    let top = existing(to.components().as_path()).ok()??;
    let mut walk = Walk::new(&top);
    let found = count(&mut walk, &stamps).ok()??;
    (found == whole.names).then_some(found)
}

/// How many names there are; `None` once one is not as it was left.
fn count(walk: &mut Walk<'_>, stamps: &Stamps) -> Result<Option<u64>, Errno> {
    let mut dirs = vec![Vec::new()];
    let mut found = 1;
    while let Some(path) = dirs.pop() {
        let dir = walk.open(&path)?;
        if !stamps.know(&look_at(dir)?) {
            return Ok(None);
        }
        for name in names(dir)? {
            let Some(node) = look(dir, &name)? else {
                return Ok(None);
            };
            found += 1;
            if node.kind == Some(Kind::Dir) {
                dirs.push(match path.as_slice() {
                    [] => name,
                    above => [above, b"/", &name].concat(),
                });
            } else if !stamps.know(&node) {
                return Ok(None);
            }
        }
    }
    Ok(Some(found))
}
