//! The changes themselves: one function a change, drawn by weight.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, XattrFlags, lremovexattr, lsetxattr, renameat_with};

use super::model::{Kind, Model};
use super::names::name;
use crate::rng::Rng;
use crate::tree::set_mtime;

/// Above this many names, a change that makes one deletes one instead.
const NAMES_MAX: usize = 400;
/// Longest random content in bytes.
const LEN_MAX: u64 = 200_000;
/// The name of every extended attribute set here.
const XATTR: &str = "user.diffkeeper.demo";
/// The owner can always write: another mode would change what follows for root and for others.
const FILE_MODES: [u32; 6] = [0o600, 0o640, 0o644, 0o666, 0o755, 0o4711];
const DIR_MODES: [u32; 4] = [0o700, 0o750, 0o755, 0o1777];

/// The generator and what it has made so far.
#[derive(Debug)]
pub(super) struct Changes {
    rng: Rng,
    model: Model,
}

type Change = fn(&mut Changes) -> io::Result<()>;

/// Each change with its weight.
const CHANGES: [(u64, Change); 20] = [
    (14, Changes::create),
    (6, Changes::make_dirs),
    (3, Changes::make_symlink),
    (3, Changes::make_link),
    (10, Changes::append),
    (10, Changes::overwrite),
    (5, Changes::rewrite),
    (5, Changes::truncate),
    (3, Changes::write_past_the_end),
    (7, Changes::replace),
    (7, Changes::rename),
    (3, Changes::rename_over),
    (3, Changes::rename_dir),
    (2, Changes::exchange),
    (6, Changes::unlink),
    (1, Changes::remove_tree),
    (4, Changes::chmod),
    (4, Changes::utimes),
    (3, Changes::set_xattr),
    (1, Changes::remove_xattr),
];

impl Changes {
    pub(super) fn new(rng: Rng, model: Model) -> Self {
        Self { rng, model }
    }

    /// Makes one change; one that finds nothing to work on creates a file.
    pub(super) fn one(&mut self) -> io::Result<()> {
        let total = CHANGES.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.rng.below(total);
        for (weight, change) in CHANGES {
            if drawn < weight {
                return change(self);
            }
            drawn -= weight;
        }
        Ok(())
    }

    /// A path where nothing stands, unless the tree is full: then something is deleted instead.
    fn vacant(&mut self) -> io::Result<Option<PathBuf>> {
        if self.model.len() >= NAMES_MAX {
            self.remove_tree()?;
            return Ok(None);
        }
        let path = self.model.pick_dir(&mut self.rng).join(name(&mut self.rng));
        Ok(match self.model.kind(&path) {
            None => Some(path),
            Some(_) => None,
        })
    }

    /// A file to work on; when there is none, one is created and the change is done with that.
    fn file(&mut self) -> io::Result<Option<PathBuf>> {
        let file = self.model.pick(&mut self.rng, Kind::File);
        if file.is_none() {
            self.create()?;
        }
        Ok(file)
    }

    fn content(&mut self) -> Vec<u8> {
        let len = self.rng.len(LEN_MAX);
        if self.rng.one_in(3) {
            return self.rng.bytes(len);
        }
        let line = format!("line {} of a log\n", self.rng.below(1000));
        line.bytes().cycle().take(len).collect()
    }

    fn create(&mut self) -> io::Result<()> {
        if let Some(path) = self.vacant()? {
            fs::write(&path, self.content())?;
            self.model.add(path, Kind::File);
        }
        Ok(())
    }

    fn make_dirs(&mut self) -> io::Result<()> {
        let Some(mut path) = self.vacant()? else {
            return Ok(());
        };
        for _ in 0..=self.rng.below(4) {
            fs::create_dir(&path)?;
            self.model.add(path.clone(), Kind::Dir);
            path.push(name(&mut self.rng));
        }
        if self.rng.one_in(2) {
            fs::write(&path, self.content())?;
            self.model.add(path, Kind::File);
        }
        Ok(())
    }

    fn make_symlink(&mut self) -> io::Result<()> {
        let Some(path) = self.vacant()? else {
            return Ok(());
        };
        let target = match self.model.pick_any(&mut self.rng) {
            Some(known) if !self.rng.one_in(3) => known
                .file_name()
                .map_or_else(|| PathBuf::from("."), PathBuf::from),
            _ => Path::new("../nowhere").join(name(&mut self.rng)),
        };
        symlink(target, &path)?;
        self.model.add(path, Kind::Symlink);
        Ok(())
    }

    fn make_link(&mut self) -> io::Result<()> {
        let (Some(file), Some(path)) = (self.file()?, self.vacant()?) else {
            return Ok(());
        };
        fs::hard_link(file, &path)?;
        self.model.add(path, Kind::File);
        Ok(())
    }

    fn append(&mut self) -> io::Result<()> {
        let Some(path) = self.file()? else {
            return Ok(());
        };
        let mut file = OpenOptions::new().append(true).open(path)?;
        for _ in 0..=self.rng.below(4) {
            file.write_all(&self.content())?;
        }
        Ok(())
    }

    fn overwrite(&mut self) -> io::Result<()> {
        let Some(path) = self.file()? else {
            return Ok(());
        };
        let file = OpenOptions::new().write(true).open(path)?;
        let size = file.metadata()?.len();
        for _ in 0..=self.rng.below(4) {
            let at = self.rng.below(size + 1);
            let len = self.rng.len(size.max(16));
            file.write_all_at(&self.rng.bytes(len), at)?;
        }
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        match self.file()? {
            Some(path) => fs::write(path, self.content()),
            None => Ok(()),
        }
    }

    fn truncate(&mut self) -> io::Result<()> {
        let Some(path) = self.file()? else {
            return Ok(());
        };
        let file = OpenOptions::new().write(true).open(path)?;
        let size = file.metadata()?.len();
        file.set_len(self.rng.below(size + size / 4 + 2))
    }

    fn write_past_the_end(&mut self) -> io::Result<()> {
        let Some(path) = self.file()? else {
            return Ok(());
        };
        let file = OpenOptions::new().write(true).open(path)?;
        let size = file.metadata()?.len();
        if size > 4 * LEN_MAX {
            return file.set_len(0);
        }
        let len = self.rng.len(1000);
        file.write_all_at(&self.rng.bytes(len), size + self.rng.below(20_000))
    }

    /// As editors save: another name, then a rename over the old one.
    fn replace(&mut self) -> io::Result<()> {
        let Some(path) = self.file()? else {
            return Ok(());
        };
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        fs::write(&temporary, self.content())?;
        fs::rename(&temporary, path)
    }

    fn rename(&mut self) -> io::Result<()> {
        let (Some(from), Some(to)) = (self.file()?, self.vacant()?) else {
            return Ok(());
        };
        self.rename_to(&from, &to)
    }

    fn rename_over(&mut self) -> io::Result<()> {
        let (Some(from), Some(to)) = (self.file()?, self.file()?) else {
            return Ok(());
        };
        self.rename_to(&from, &to)
    }

    fn rename_dir(&mut self) -> io::Result<()> {
        let from = self.model.pick(&mut self.rng, Kind::Dir);
        let (Some(from), Some(to)) = (from, self.vacant()?) else {
            return Ok(());
        };
        if to.starts_with(&from) {
            return Ok(());
        }
        self.rename_to(&from, &to)
    }

    fn rename_to(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if from == to {
            return Ok(());
        }
        fs::rename(from, to)?;
        self.model.rename(from, to);
        Ok(())
    }

    fn exchange(&mut self) -> io::Result<()> {
        let (a, b) = (
            self.model.pick_any(&mut self.rng),
            self.model.pick_any(&mut self.rng),
        );
        let (Some(a), Some(b)) = (a, b) else {
            return Ok(());
        };
        if a.starts_with(&b) || b.starts_with(&a) {
            return Ok(());
        }
        renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE)?;
        self.model.exchange(&a, &b);
        Ok(())
    }

    fn unlink(&mut self) -> io::Result<()> {
        let kind = match self.rng.one_in(4) {
            true => Kind::Symlink,
            false => Kind::File,
        };
        if let Some(path) = self.model.pick(&mut self.rng, kind) {
            fs::remove_file(&path)?;
            self.model.remove(&path);
        }
        Ok(())
    }

    fn remove_tree(&mut self) -> io::Result<()> {
        if let Some(path) = self.model.pick(&mut self.rng, Kind::Dir) {
            fs::remove_dir_all(&path)?;
            self.model.remove(&path);
        }
        Ok(())
    }

    fn chmod(&mut self) -> io::Result<()> {
        let (kind, modes): (_, &[u32]) = match self.rng.one_in(4) {
            true => (Kind::Dir, &DIR_MODES),
            false => (Kind::File, &FILE_MODES),
        };
        let mode = self.rng.pick(modes).copied();
        if let (Some(path), Some(mode)) = (self.model.pick(&mut self.rng, kind), mode) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    fn utimes(&mut self) -> io::Result<()> {
        let mtime_ns = i128::from(self.rng.below(1_900_000_000_000_000_000));
        match self.model.pick_any(&mut self.rng) {
            Some(path) => set_mtime(&path, mtime_ns),
            None => Ok(()),
        }
    }

    fn set_xattr(&mut self) -> io::Result<()> {
        let len = self.rng.len(200);
        let value = self.rng.bytes(len);
        match self.file()? {
            Some(path) => supported(lsetxattr(&path, XATTR, &value, XattrFlags::empty())),
            None => Ok(()),
        }
    }

    fn remove_xattr(&mut self) -> io::Result<()> {
        match self.file()? {
            Some(path) => supported(lremovexattr(&path, XATTR)),
            None => Ok(()),
        }
    }
}

/// A filesystem without attributes, or a file without this one, is no failure.
fn supported(result: rustix::io::Result<()>) -> io::Result<()> {
    use rustix::io::Errno;
    match result {
        Err(Errno::NOTSUP | Errno::NODATA | Errno::NOSPC) => Ok(()),
        other => Ok(other?),
    }
}
