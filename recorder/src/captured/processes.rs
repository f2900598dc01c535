//! Processes: who stands behind a task number. The command and what descends from it are
//! recorded with their beginnings and ends, others once they touch a file.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use diffkeeper_ebpf::wire::{Exec, Record, Stream as Printed, Task, What};
use diffkeeper_store::StoreError;
use diffkeeper_store::model::{ExitStatus, Op, Process, ProcessId, Stream, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::pipeline::COMMAND;
use crate::recording::Recording;

/// Those that are alive, as far as they are known.
#[derive(Default)]
pub(super) struct Processes {
    alive: HashMap<u32, Known>,
    /// What the command has become by executing further programs.
    command: Option<ProcessId>,
    last: u32,
    /// What CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC by, ns.
    ahead: Option<u64>,
}

struct Known {
    id: ProcessId,
    /// Tells apart processes that had the same number one after the other.
    start: u64,
    process: Process,
    /// It descends from the command.
    kin: bool,
    /// Something was told of it since it last executed a program.
    acted: bool,
    /// What it was before it executed another program.
    former: Vec<(ProcessId, Process)>,
}

impl Known {
    const fn new(id: ProcessId, start: u64, process: Process, kin: bool) -> Self {
        Self {
            id,
            start,
            process,
            kin,
            acted: false,
            former: Vec::new(),
        }
    }
}

impl Recording<'_> {
    /// The command's process, before its first record.
    pub(crate) fn know_command(&mut self, process: &Process) {
        let known = Known::new(COMMAND, 0, process.clone(), true);
        self.captured.processes.last = COMMAND.0;
        self.captured.processes.alive.insert(process.pid, known);
    }

    /// Takes what a process did with itself; gives whether the record was such.
    pub(super) fn of_process(&mut self, record: &Record<'_>) -> Result<bool, StoreError> {
        match record.what {
            What::Fork { child } => self.forked(&record.task, &child),
            What::Exec(exec) => self.executed(record, &exec)?,
            What::Exit { status } => self.exited(record, status)?,
            What::Output { stream, bytes } => self.printed(record, stream, bytes)?,
            What::CallEnd { .. } => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The process of a task.
    pub(super) fn process_of(&mut self, task: &Task) -> ProcessId {
        if let Some(known) = self.captured.processes.alive.get_mut(&task.pid) {
            if known.start == 0 {
                known.start = task.start;
            }
            if known.start == task.start {
                known.acted = true;
                return known.id;
            }
        }
        let process = self.found(task);
        self.enter(task, process, false)
    }

    /// What the command is by now.
    pub(crate) fn command_now(&self) -> ProcessId {
        self.captured.processes.command.unwrap_or(COMMAND)
    }

    fn enter(&mut self, task: &Task, process: Process, kin: bool) -> ProcessId {
        let processes = &mut self.captured.processes;
        processes.last = processes.last.max(COMMAND.0) + 1;
        let id = ProcessId(processes.last);
        self.process(id, &process);
        let known = Known::new(id, task.start, process, kin);
        self.captured.processes.alive.insert(task.pid, known);
        id
    }

    /// A process that was there already, as `/proc` has it.
    fn found(&mut self, task: &Task) -> Process {
        let of = |what: &str| format!("/proc/{}/{what}", task.pid);
        let bytes = |what: &str| fs::read(of(what)).unwrap_or_default();
        let link = |what: &str| {
            let target = fs::read_link(of(what));
            target.map_or_else(|_| Vec::new(), |path| path.into_os_string().into_vec())
        };
        Process {
            pid: task.pid,
            start: self.started(task),
            parent: None,
            comm: bytes("comm").trim_ascii_end().to_vec(),
            exe: link("exe"),
            argv: arguments_of(task.pid),
            cwd: link("cwd"),
            uid: uid(&bytes("status")),
            exit: None,
        }
    }

    fn started(&mut self, task: &Task) -> Timestamp {
        let ahead = *self.captured.processes.ahead.get_or_insert_with(|| {
            let boot = clock_gettime(ClockId::Boottime);
            let sec = u64::try_from(boot.tv_sec).unwrap_or(0);
            let boot = sec * 1_000_000_000 + u64::try_from(boot.tv_nsec).unwrap_or(0);
            boot.saturating_sub(crate::observation::monotonic())
        });
        self.timestamp(task.start.saturating_sub(ahead))
    }

    fn forked(&mut self, parent: &Task, child: &Task) {
        if parent.pid == child.pid {
            return;
        }
        let Some(known) = self.captured.processes.alive.get(&parent.pid) else {
            return;
        };
        if !known.kin {
            return;
        }
        let process = Process {
            pid: child.pid,
            parent: Some(known.id),
            exit: None,
            ..known.process.clone()
        };
        let start = self.started(child);
        self.enter(child, Process { start, ..process }, true);
    }

    /// Another program: the same process with facts of its own, below what it was before if
    /// that has done anything.
    fn executed(&mut self, record: &Record<'_>, exec: &Exec<'_>) -> Result<(), StoreError> {
        let cwd = exec
            .cwd
            .and_then(|inode| self.tree.path(self.known(&inode)?));
        let time = self.timestamp(record.time);
        let processes = &mut self.captured.processes;
        let Some(known) = processes.alive.get_mut(&record.task.pid) else {
            return Ok(());
        };
        let first = known.start == 0 && known.id == COMMAND;
        known.start = record.task.start;
        if std::mem::replace(&mut known.acted, true) {
            processes.last += 1;
            let next = Process {
                parent: Some(known.id),
                start: time,
                ..known.process.clone()
            };
            let former = std::mem::replace(&mut known.process, next);
            known.former.push((known.id, former));
            if known.id == processes.command.unwrap_or(COMMAND) {
                processes.command = Some(ProcessId(processes.last));
            }
            known.id = ProcessId(processes.last);
        }
        let process = &mut known.process;
        process.comm = exec.comm.to_vec();
        process.exe = exe_of(record.task.pid).unwrap_or_else(|| exec.filename.to_vec());
        process.argv = match exec.argv {
            // Of another user's process the kernel programs do not tell them, but anybody may
            // ask.
            [] => arguments_of(record.task.pid),
            told => arguments(told),
        };
        process.uid = exec.uid;
        if let Some(cwd) = cwd {
            process.cwd = cwd.into_os_string().into_vec();
        }
        let (id, process) = (known.id, process.clone());
        self.process(id, &process);
        if first {
            // The pipeline has told of the command itself.
            return Ok(());
        }
        self.emit_of(id, time, Op::Exec).map(drop)
    }

    fn exited(&mut self, record: &Record<'_>, status: u32) -> Result<(), StoreError> {
        let Some(mut known) = self.captured.processes.alive.remove(&record.task.pid) else {
            return Ok(());
        };
        let status = match status & 0x7f {
            0 => ExitStatus::Code(i32::try_from(status >> 8 & 0xff).unwrap_or(0)),
            signal => ExitStatus::Signal(i32::try_from(signal).unwrap_or(0)),
        };
        known.former.push((known.id, known.process));
        for (id, process) in &mut known.former {
            process.exit = Some(status);
            self.process(*id, process);
        }
        if known.id == self.command_now() {
            // Whoever waits for it tells its end.
            return Ok(());
        }
        let time = self.timestamp(record.time);
        self.emit_of(known.id, time, Op::Exit(status)).map(drop)
    }

    fn printed(
        &mut self,
        record: &Record<'_>,
        stream: Printed,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let known = self.captured.processes.alive.get_mut(&record.task.pid);
        let Some(known) = known.filter(|known| known.kin) else {
            return Ok(());
        };
        known.acted = true;
        let id = known.id;
        let stream = match stream {
            Printed::Stdout => Stream::Stdout,
            Printed::Stderr => Stream::Stderr,
        };
        let time = self.timestamp(record.time);
        self.print((id, time), stream, bytes.to_vec())
    }
}

/// The program, unless the process has gone on to another one by now, which is told next.
fn exe_of(pid: u32) -> Option<Vec<u8>> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    path.file_name()
        .is_some()
        .then(|| path.into_os_string().into_vec())
}

/// The arguments of a process as it has them now; none of one that is gone.
fn arguments_of(pid: u32) -> Vec<Vec<u8>> {
    arguments(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
}

/// Arguments that each end with a NUL.
fn arguments(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    let arguments = bytes.split(|byte| *byte == 0);
    arguments.map(<[u8]>::to_vec).collect()
}

/// The effective user of `/proc/PID/status`.
fn uid(status: &[u8]) -> u32 {
    let line = String::from_utf8_lossy(status);
    let line = line.lines().find_map(|line| line.strip_prefix("Uid:"));
    let field = line.and_then(|line| line.split_whitespace().nth(1));
    field.and_then(|field| field.parse().ok()).unwrap_or(0)
}
