//! Contents: a read that is of one moment, or says that it is not.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use diffkeeper_store::model::{Kind, NodeIdent, UnixTime};
use rustix::fs::{Mode, OFlags, fstatfs, open};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::Stat;
use super::stat::stat_file;

/// How often a file that changes under the read is read again; the pauses double from
/// [`PAUSE`].
const ATTEMPTS: u32 = 5;
/// First pause between two attempts.
const PAUSE: Duration = Duration::from_micros(500);

/// The outcome of a read.
#[derive(Debug)]
pub enum Read {
    /// The buffer holds the content as it was at one moment.
    Stable {
        /// The file at that moment.
        stat: Stat,
        /// A change in the same tick of the filesystem's clock would not have been
        /// noticed: look again after a while.
        racy: bool,
    },
    /// Longer than the limit: to be streamed from the open file.
    Large(Large),
    /// It kept changing; the buffer holds nothing of use.
    Torn,
    /// Nothing has that name.
    Gone,
    /// Another file has that name.
    Replaced,
    /// It could not be read.
    Unreadable(io::Error),
}

/// An open file too long for the buffer.
#[derive(Debug)]
pub struct Large {
    /// The file, at its start.
    pub file: File,
    /// What it was when it was opened.
    pub stat: Stat,
    racy: bool,
}

impl Large {
    /// After the file has been read: whether it is still what it was when it was opened,
    /// and if so whether that is certain (`racy` as in [`Read::Stable`]). `None` if it
    /// changed, so that what was read is torn.
    ///
    /// # Errors
    /// Whatever statx(2) reports.
    pub fn recheck(&self) -> io::Result<Option<bool>> {
        let after = stat_file(&self.file)?;
        Ok(self.stat.unchanged(&after).then_some(self.racy))
    }
}

/// Reads the regular file at `path` into `buf`, which is cleared first, if it is at most
/// `limit` bytes long. The file must be the one that `expected` names. Does not update
/// the access time where that is permitted and does not block on a FIFO.
///
/// Stores through a shared mapping change neither size nor times until the kernel
/// writes the page back: they are not noticed here.
pub fn read_stable(path: &Path, expected: &NodeIdent, limit: usize, buf: &mut Vec<u8>) -> Read {
    let mut file = match open_quietly(path) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Read::Gone,
        // A symbolic link or a socket stands there now.
        Err(Errno::LOOP | Errno::NXIO) => return Read::Replaced,
        Err(error) => return Read::Unreadable(error.into()),
    };
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
        }
        match read_once(&mut file, expected, limit, buf) {
            Ok(Once::Done { stat, racy }) => return Read::Stable { stat, racy },
            Ok(Once::Large { stat, racy }) => return Read::Large(Large { file, stat, racy }),
            Ok(Once::Replaced) => return Read::Replaced,
            Ok(Once::Changed) => {}
            Err(error) => return Read::Unreadable(error),
        }
    }
    Read::Torn
}

enum Once {
    Done { stat: Stat, racy: bool },
    Large { stat: Stat, racy: bool },
    Changed,
    Replaced,
}

fn read_once(
    file: &mut File,
    expected: &NodeIdent,
    limit: usize,
    buf: &mut Vec<u8>,
) -> io::Result<Once> {
    let tick = coarse_now();
    let before = stat_file(file)?;
    if before.ident != *expected || before.kind != Kind::File {
        return Ok(Once::Replaced);
    }
    let racy = may_hide_changes(&before, tick, file);
    if before.size > limit as u64 {
        return Ok(Once::Large { stat: before, racy });
    }
    buf.clear();
    io::Seek::rewind(file)?;
    // One byte more than there should be tells growth from the end.
    let bound = before.size.saturating_add(1);
    let len = file.by_ref().take(bound).read_to_end(buf)? as u64;
    if is_fresh(&before, tick) && !reads_again(file, buf)? {
        return Ok(Once::Changed);
    }
    let after = stat_file(file)?;
    if len == before.size && before.unchanged(&after) {
        Ok(Once::Done { stat: after, racy })
    } else {
        Ok(Once::Changed)
    }
}

/// Opens without blocking, without following a link, and without leaving an access time
/// (which only the owner and the privileged may ask for).
fn open_quietly(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let quiet = open(path, flags | OFlags::NOATIME, Mode::empty());
    let opened = match quiet {
        Err(Errno::PERM) => open(path, flags, Mode::empty()),
        opened => opened,
    };
    opened.map(File::from)
}

/// Whether a write that set this ctime may still be under way: the kernel sets the times
/// first and copies the bytes then, so that a stat before and after cannot tell.
fn is_fresh(stat: &Stat, tick: UnixTime) -> bool {
    const WRITE_TAKES: i128 = 10_000_000;
    stat.ctime.as_nanos().saturating_add(WRITE_TAKES) >= tick.as_nanos()
}

/// Reads once more and compares: bytes of a write under way would differ by now.
fn reads_again(file: &mut File, buf: &[u8]) -> io::Result<bool> {
    io::Seek::rewind(file)?;
    let mut piece = [0; 16 * 1024];
    for expected in buf.chunks(piece.len()) {
        let Some(piece) = piece.get_mut(..expected.len()) else {
            return Ok(false);
        };
        match file.read_exact(piece) {
            Ok(()) if piece == expected => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether a change after `tick`, the coarse clock before the stat, could leave ctime as
/// it is. Filesystems stamp changes with the coarse clock, so a ctime below the tick
/// cannot recur; one that is not may be given to the next change as well. Filesystems
/// that show whole seconds only may also keep whole (or even) seconds only.
fn may_hide_changes(stat: &Stat, tick: UnixTime, file: &File) -> bool {
    let whole_seconds = stat.ctime.nsec == 0 && stat.mtime.nsec == 0;
    if whole_seconds {
        return tick.sec.saturating_sub(stat.ctime.sec) <= 2;
    }
    stat.ctime >= tick && !multigrain(file)
}

/// Since Linux 6.13 these filesystems give every change after a stat a new ctime.
fn multigrain(file: &File) -> bool {
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const TMPFS: u64 = 0x0102_1994;
    static KERNEL: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let name = rustix::system::uname();
        release(name.release().to_bytes()).is_some_and(|release| release >= (6, 13))
    });
    let known = |magic: u64| [EXT4, XFS, BTRFS, TMPFS].contains(&magic);
    *KERNEL && fstatfs(file).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(known))
}

/// Major and minor number of a kernel release such as `6.18.44-generic`.
fn release(text: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = text
        .split(|byte| !byte.is_ascii_digit())
        .map(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn coarse_now() -> UnixTime {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    UnixTime {
        sec: now.tv_sec,
        nsec: u32::try_from(now.tv_nsec).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
