//! One process that a test started: its log, its faults, its end.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Pid, getpid, getppid},
};
use tokio::time::Instant;

use crate::Error;

/// What to run.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// A short name for messages, such as `ingest-1`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables on top of this process's environment; `None` takes one away.
    pub env: Vec<(String, Option<OsString>)>,
    /// Where standard output and error go, appended.
    pub log: PathBuf,
}

impl ProcessSpec {
    /// A program with a name and a log, and no arguments yet.
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.into(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), Some(value.into())));
        self
    }
}

/// How a process that was asked to stop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By itself, in time.
    Exited(ExitStatus),
    /// It did not, and was killed.
    Killed,
}

/// A running (or dead) process. It is killed when this is dropped, and by the kernel
/// when the process that started it is gone.
#[derive(Debug)]
pub struct Process {
    spec: ProcessSpec,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Where this life's part of the log begins, in bytes.
    log_start: u64,
}

impl Process {
    /// Starts it. It leads a process group of its own, so that Ctrl-C in a terminal
    /// reaches only the process that started it, which stops things in order.
    ///
    /// # Errors
    /// [`Error::Io`] if the program is not there or the log cannot be written.
    pub fn start(spec: ProcessSpec) -> Result<Self, Error> {
        let running = Mutex::new(spawn(&spec)?);
        Ok(Self { spec, running })
    }

    /// Its short name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its process id (the last one, if it is dead).
    pub fn pid(&self) -> u32 {
        self.lock().child.id()
    }

    /// How it ended, or `None` while it runs (or is paused).
    pub fn exit_status(&self) -> Option<ExitStatus> {
        // An error means that somebody else reaped it, which nobody here does.
        self.lock().child.try_wait().ok().flatten()
    }

    /// Kills it (SIGKILL) and returns when it is gone. Does nothing if it is dead.
    pub fn kill(&self) {
        let mut running = self.lock();
        // Fails only if it has been reaped, which is what is wanted.
        let _ = running.child.kill();
        let _ = running.child.wait();
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends a signal; does nothing if it is dead.
    pub fn signal(&self, signal: Signal) {
        let mut running = self.lock();
        // Only a child that is not reaped yet surely still owns its process id.
        if let Ok(None) = running.child.try_wait() {
            let _ = nix::sys::signal::kill(pid_of(&running.child), signal);
        }
    }

    /// Asks it to stop (SIGTERM) and kills it if it has not done so within `limit`.
    pub async fn stop(&self, limit: Duration) -> Stopped {
        let deadline = Instant::now() + limit;
        self.signal(Signal::SIGTERM);
        loop {
            if let Some(status) = self.exit_status() {
                return Stopped::Exited(status);
            }
            if Instant::now() >= deadline {
                self.kill();
                return Stopped::Killed;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it again as it was started first, killing it if it still runs.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn restart(&self) -> Result<(), Error> {
        self.kill();
        let running = spawn(&self.spec)?;
        *self.lock() = running;
        Ok(())
    }

    /// The file that its output goes to.
    pub fn log_path(&self) -> &Path {
        &self.spec.log
    }

    /// What it has printed since it was last started.
    pub fn log(&self) -> String {
        let start = usize::try_from(self.lock().log_start).unwrap_or(usize::MAX);
        let bytes = fs::read(&self.spec.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    /// The last `lines` lines that it printed since it was last started.
    pub fn log_tail(&self, lines: usize) -> Vec<String> {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    }

    /// An error about this process, with the end of its log.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::Process {
            name: self.spec.name.clone(),
            why: why.into(),
            log: self.log_tail(20),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

fn spawn(spec: &ProcessSpec) -> Result<Running, Error> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&spec.log)
        .map_err(Error::io(format!("opening {}", spec.log.display())))?;
    let log_start = log.metadata().map_or(0, |meta| meta.len());
    let errors = log
        .try_clone()
        .map_err(Error::io(format!("opening {}", spec.log.display())))?;

    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0);
    for (key, value) in &spec.env {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let parent = getpid();
    // SAFETY: between fork and exec the closure makes two system calls that POSIX lists as
    // async-signal-safe or that are plain (prctl, getppid), allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the line above: then no signal will come.
            if getppid() == parent {
                Ok(())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        });
    }
    let child = spawn_on_lasting_thread(command).map_err(Error::io(format!(
        "starting {} ({})",
        spec.name,
        spec.program.display()
    )))?;
    Ok(Running { child, log_start })
}

type Reply = mpsc::SyncSender<io::Result<Child>>;

/// The kernel sends the parent-death signal when the *thread* that forked ends (prctl(2)),
/// and the test harness gives each test a thread of its own: so one that lasts does it.
static SPAWNER: LazyLock<Mutex<mpsc::Sender<(Command, Reply)>>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<(Command, Reply)>();
    std::thread::spawn(move || {
        for (mut command, reply) in jobs {
            // A caller that went away drops the child handle; the process itself is then
            // ended with this one.
            let _ = reply.send(command.spawn());
        }
    });
    Mutex::new(sender)
});

fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts processes has ended");
    let (reply, child) = mpsc::sync_channel(1);
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
