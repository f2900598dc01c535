//! A game server that saves its world: regions, players, backups, a link to the newest
//! backup and the level file that says which save is complete. Each save rewrites some of
//! it and removes what is too old, so that a wrong restore shows.
//!
//! Save `n` writes region `n % 8` and player `n % 5` (each beside its place, then moved
//! there), makes `backups/n` with a hard link to the region, removes the backup before the
//! last three, moves `latest` and at last `level.dat` to `n`.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::rng::Rng;

const REGIONS: u64 = 8;
const PLAYERS: u64 = 5;
const BACKUPS: u64 = 3;

/// Makes a world that was never saved; leaves one that was.
///
/// # Errors
/// The first write that fails.
pub fn create(dir: &Path) -> io::Result<()> {
    for name in ["regions", "players", "backups", "spool"] {
        fs::create_dir_all(dir.join(name))?;
    }
    let key = dir.join("server.key");
    if !key.exists() {
        fs::write(&key, "secret\n")?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Saves the world as save `n`.
///
/// # Errors
/// The first write that fails.
pub fn save(dir: &Path, n: u64) -> io::Result<()> {
    let region = region_path(n);
    replace(dir, &region, &region_of(n))?;
    let player = format!("players/p-{}.json", n % PLAYERS);
    replace(dir, &player, player_of(n).as_bytes())?;
    let backup = dir.join(backup_path(n));
    fs::create_dir_all(&backup)?;
    let copy = backup.join("region.dat");
    if copy.exists() {
        fs::remove_file(&copy)?;
    }
    fs::hard_link(dir.join(&region), copy)?;
    if let Some(old) = n.checked_sub(BACKUPS).filter(|old| *old > 0) {
        let old = dir.join(backup_path(old));
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    let (new, latest) = (dir.join("latest.new"), dir.join("latest"));
    let _ = fs::remove_file(&new);
    symlink(backup_path(n), &new)?;
    fs::rename(new, latest)?;
    replace(dir, "level.dat", format!("{n}\n").as_bytes())
}

/// The last complete save; 0 for none.
///
/// # Errors
/// A level file that is none.
pub fn level(dir: &Path) -> Result<u64, String> {
    match fs::read_to_string(dir.join("level.dat")) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("level.dat says {text:?}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(format!("level.dat: {error}")),
    }
}

fn replace(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    fs::write(&new, content)?;
    fs::rename(new, dir.join(name))
}

fn region_path(n: u64) -> String {
    format!("regions/r-{}.dat", n % REGIONS)
}

fn backup_path(n: u64) -> String {
    format!("backups/{n:08}")
}

fn region_of(n: u64) -> Vec<u8> {
    let mut content = format!("{n}\n").into_bytes();
    content.extend(Rng::new(n).bytes(20_000));
    content
}

fn player_of(n: u64) -> String {
    format!("{{\"save\": {n}}}\n")
}

/// The save that a world holds: no file of it is older than that save left it, none was
/// removed before it, none is torn. What a later save made may stand there already.
///
/// # Errors
/// What shows that the directory is no world that ever was.
pub fn check(dir: &Path) -> Result<u64, String> {
    let n = level(dir)?;
    let mode = fs::metadata(dir.join("server.key")).map_err(|error| format!("key: {error}"))?;
    if mode.permissions().mode() & 0o777 != 0o600 {
        return Err("the key is open to others".into());
    }
    if !dir.join("spool").is_dir() {
        return Err("the empty directory is gone".into());
    }
    for last in n.saturating_sub(REGIONS - 1).max(1)..=n {
        check_region(dir, last)?;
    }
    for last in n.saturating_sub(PLAYERS - 1).max(1)..=n {
        let path = format!("players/p-{}.json", last % PLAYERS);
        let text = fs::read_to_string(dir.join(&path)).map_err(|e| format!("{path}: {e}"))?;
        let found = text
            .trim_start_matches("{\"save\": ")
            .trim_end_matches("}\n");
        let found: u64 = found.parse().map_err(|_| format!("{path} says {text:?}"))?;
        if found < last || found % PLAYERS != last % PLAYERS {
            return Err(format!("{path} is of save {found}, not {last}"));
        }
    }
    check_backups(dir, n)?;
    Ok(n)
}

fn check_region(dir: &Path, last: u64) -> Result<(), String> {
    let path = region_path(last);
    let content = fs::read(dir.join(&path)).map_err(|error| format!("{path}: {error}"))?;
    let line = content
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let found: Option<u64> = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.parse().ok());
    match found {
        Some(found) if content != region_of(found) => Err(format!("{path} is torn")),
        Some(found) if found >= last && found % REGIONS == last % REGIONS => Ok(()),
        found => Err(format!("{path} is of save {found:?}, not {last}")),
    }
}

fn check_backups(dir: &Path, n: u64) -> Result<(), String> {
    let mut newest = 0;
    for entry in fs::read_dir(dir.join("backups")).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let number: Option<u64> = name.to_str().and_then(|name| name.parse().ok());
        let number = number.ok_or_else(|| format!("a backup that never was: {name:?}"))?;
        if number + BACKUPS <= n {
            return Err(format!("backup {number} came back, after save {n}"));
        }
        newest = newest.max(number);
    }
    if newest < n {
        return Err(format!("the backup of save {n} is gone"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn world(saves: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        for n in 1..=saves {
            save(dir.path(), n).unwrap();
        }
        dir
    }

    #[test]
    fn every_save_is_a_world() {
        for saves in [0, 1, 3, 8, 20] {
            assert_eq!(check(world(saves).path()), Ok(saves));
        }
    }

    #[test]
    fn an_old_a_torn_and_a_resurrected_file_are_told() {
        let old = world(20);
        replace(old.path(), &region_path(20), &region_of(12)).unwrap();
        assert!(check(old.path()).unwrap_err().contains("of save Some(12)"));
        let torn = world(20);
        fs::write(torn.path().join(region_path(19)), "19\n").unwrap();
        assert!(check(torn.path()).unwrap_err().contains("torn"));
        let back = world(20);
        fs::create_dir(back.path().join(backup_path(17))).unwrap();
        assert!(check(back.path()).unwrap_err().contains("came back"));
        let gone = world(20);
        fs::remove_dir(gone.path().join("spool")).unwrap();
        assert!(check(gone.path()).is_err());
    }
}
