//! The processes that were held back, and how they are continued: by the recorder after
//! every drain, or by whoever outlives it.

use crate::loader::CaptureError;
use aya::maps::{HashMap, Map, MapData};
use rustix::process::{Pid, Signal, kill_process};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Thread groups that the kernel programs have stopped.
pub struct Stopped {
    map: HashMap<MapData, u32, u32>,
    fd: OwnedFd,
}

impl Stopped {
    /// From a duplicate of the descriptor of another one, perhaps in another process: a
    /// watchdog that outlives the recorder.
    ///
    /// # Errors
    /// When the descriptor is of no such map.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, CaptureError> {
        let data = MapData::from_fd(fd.try_clone()?)?;
        let map = HashMap::try_from(Map::from_map_data(data)?)?;
        Ok(Self { map, fd })
    }

    /// The same ones, for another thread.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn another(&self) -> Result<Self, CaptureError> {
        Self::from_fd(self.fd.try_clone()?)
    }

    /// Those that are held back now.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn pids(&self) -> Result<Vec<u32>, CaptureError> {
        Ok(self.map.keys().collect::<Result<_, _>>()?)
    }

    /// Continues them and returns how many. Those whose signal may still be under way are
    /// left to the next call, except when `last`: when no program is attached any more.
    ///
    /// # Errors
    /// When the map cannot be read or changed.
    pub fn resume(&mut self, last: bool) -> Result<usize, CaptureError> {
        let stopped: Vec<(u32, u32)> = self.map.iter().collect::<Result<_, _>>()?;
        let mut resumed = 0;
        for (tgid, sent) in stopped {
            if sent == 0 && !last {
                continue;
            }
            self.map.remove(&tgid)?;
            let pid = i32::try_from(tgid).ok().and_then(Pid::from_raw);
            resumed += usize::from(pid.is_some_and(|pid| kill_process(pid, Signal::CONT).is_ok()));
        }
        Ok(resumed)
    }
}

/// The map, for a watchdog.
impl AsFd for Stopped {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
