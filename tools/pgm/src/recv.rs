// SPDX-License-Identifier: GPL-2.0

//! `pgm recv`

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context, Result};

use crate::cli::Recv;
use crate::report::{Summary, Tally};
use crate::socket::PgmSocket;
use crate::sys;
use crate::units;
use crate::zmq;

/// Larger than any message of ordinary size; what does not fit comes with the next call.
pub const BUFFER: usize = 256 << 10;

/// Receives one transfer.
pub fn run(args: &Recv) -> Result<()> {
    if args.zmq {
        return zmq::subscribe(args);
    }
    // The listener keeps the group joined: it must live as long as the session.
    let listener = PgmSocket::listener(&args.place.get())?;
    let mut output = Output::open(args.output.as_deref())?;
    let Some((session, source)) = listener.accept(args.wait)? else {
        output.discard();
        bail!("no sender began within {:?}", args.wait.unwrap_or_default());
    };
    session.set_timeout(args.timeout)?;

    let mut tally = Tally::new(None);
    let result = transfer(args, &session, &mut output, &mut tally);
    conclude(args, &session, source, result, output, tally)
}

/// Finishes the output and sums up.
pub fn conclude(
    args: &Recv,
    socket: &PgmSocket,
    source: Option<SocketAddr>,
    result: Result<()>,
    mut output: Output,
    tally: Tally,
) -> Result<()> {
    let result = match result {
        Ok(()) => output.complete(),
        Err(error) => Err(output.failed(error)),
    };
    let stats = socket.receiver_stats().ok();
    let totals = tally.finish();

    if result.is_ok() {
        let repaired = stats.map_or(0, |stats| stats.repaired);
        eprintln!(
            "pgm: received {}, {} repaired",
            totals.sentence(),
            units::count(repaired, "packet")
        );
    }
    if args.json {
        Summary {
            role: "recv",
            ok: result.is_ok(),
            error: result.as_ref().err().map(|error| format!("{error:#}")),
            group: args.place.endpoint.group.to_string(),
            port: args.place.endpoint.port,
            tsi: socket.tsi(),
            source: source.map(|source| source.to_string()),
            totals: &totals,
            stats,
        }
        .print(to_stdout(args.output.as_deref()))
        .context("cannot print the summary")?;
    }
    result
}

fn transfer(
    args: &Recv,
    session: &PgmSocket,
    output: &mut Output,
    tally: &mut Tally,
) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut first = !args.late;
    loop {
        let message = session
            .receive(&mut buffer)
            .map_err(|error| explain(session, args, error))?;
        if message.end {
            return Ok(());
        }
        if first && !message.first {
            bail!(
                "the transfer had already begun, its start is missing \
                 (start receivers before the sender, or take the rest with --late)"
            );
        }
        first = false;
        let data = buffer.get(..message.len).unwrap_or_default();
        output.write(data)?;
        tally.add(data);
    }
}

/// A sentence for what ended a transfer too early.
pub fn explain(session: &PgmSocket, args: &Recv, error: io::Error) -> anyhow::Error {
    let lost = session.loss().map(|loss| {
        anyhow!(
            "{} lost for good, from sequence number {} on: the sender could not repair in time \
             (give it a lower --rate or a longer --window)",
            units::count(u64::from(loss.count), "packet"),
            loss.first
        )
    });
    match error.raw_os_error() {
        Some(libc::ECONNRESET | libc::ENOBUFS) => {
            lost.unwrap_or_else(|| anyhow!("the sender broke the transfer off"))
        }
        Some(libc::ETIMEDOUT) => anyhow!("the sender has fallen silent"),
        Some(libc::EAGAIN) => anyhow!(
            "nothing new arrived for {:?}",
            args.timeout.unwrap_or_default()
        ),
        Some(libc::ENETDOWN) => anyhow!("the network interface is gone"),
        _ => anyhow!(error).context("cannot receive"),
    }
}

fn to_stdout(output: Option<&Path>) -> bool {
    output.is_none_or(|path| path.as_os_str() == "-")
}

/// Where the data go. A regular file carries a provisional name until it is complete.
pub enum Output {
    Stdout(io::Stdout),
    Device(BufWriter<File>),
    File {
        file: BufWriter<File>,
        part: PathBuf,
        name: PathBuf,
    },
}

impl Output {
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|_| !to_stdout(path)) else {
            return Ok(Self::Stdout(io::stdout()));
        };
        let context = || format!("cannot write '{}'", path.display());
        // A device or a pipe must be written to, not replaced.
        if fs::metadata(path).is_ok_and(|existing| !existing.is_file()) {
            let file = OpenOptions::new()
                .write(true)
                .open(path)
                .with_context(context)?;
            return Ok(Self::Device(BufWriter::with_capacity(BUFFER, file)));
        }
        let mut part = OsString::from(path);
        part.push(".part");
        let part = PathBuf::from(part);
        let file = create_alone(&part).with_context(context)?;
        Ok(Self::File {
            file: BufWriter::with_capacity(BUFFER, file),
            part,
            name: path.to_owned(),
        })
    }

    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        match self {
            // Not held back: another program may wait for every message.
            Self::Stdout(out) => out.write_all(data).and_then(|()| out.flush()),
            Self::Device(file) | Self::File { file, .. } => file.write_all(data),
        }
        .context("cannot write the output")
    }

    fn complete(&mut self) -> Result<()> {
        match self {
            Self::Stdout(out) => out.flush().context("cannot write the output"),
            Self::Device(file) => file.flush().context("cannot write the output"),
            Self::File { file, part, name } => file
                .flush()
                .and_then(|()| file.get_ref().sync_all())
                .and_then(|()| fs::rename(part, &name))
                .with_context(|| format!("cannot write '{}'", name.display())),
        }
    }

    /// Keeps what arrived, and says where.
    fn failed(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self {
            Self::File { file, part, .. } => match file.flush() {
                Ok(()) => anyhow!("{error:#}; what arrived is in '{}'", part.display()),
                Err(_) => error,
            },
            _ => error,
        }
    }

    /// Nothing arrived at all.
    fn discard(&mut self) {
        if let Self::File { part, .. } = self {
            // It is empty: leaving it behind would do no harm.
            let _ = fs::remove_file(part);
        }
    }
}

/// An empty file that no other receiver writes to at the same time: two transfers in one file would be
/// none, and either would call it complete. The lock lasts as long as the file is open.
fn create_alone(part: &Path) -> Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            // Whoever may write to the directory must not choose what is overwritten.
            .custom_flags(libc::O_NOFOLLOW)
            .open(part)
            .with_context(|| format!("cannot open '{}'", part.display()))?;
        match sys::lock_file(file.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                bail!("another receiver is writing '{}'", part.display());
            }
            // Not every file system has locks.
            _ => {}
        }
        // Before it was locked, another receiver may have completed this very file.
        let here = file.metadata()?;
        match fs::symlink_metadata(part) {
            Ok(there) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => {
                file.set_len(0)?;
                return Ok(file);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pgm-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn file_appears_only_when_complete() {
        let directory = directory("complete");
        let name = directory.join("out");
        let mut output = Output::open(Some(&name)).unwrap();
        output.write(b"data").unwrap();
        assert!(!name.exists());
        output.complete().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"data");
        assert!(!directory.join("out.part").exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn failed_transfer_keeps_the_old_file() {
        let directory = directory("failed");
        let name = directory.join("out");
        fs::write(&name, b"old").unwrap();
        let mut output = Output::open(Some(&name)).unwrap();
        output.write(b"ne").unwrap();
        let error = output.failed(anyhow!("broken off"));
        assert!(error.to_string().contains("out.part"), "{error}");
        assert_eq!(fs::read(&name).unwrap(), b"old");
        assert_eq!(fs::read(directory.join("out.part")).unwrap(), b"ne");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn two_transfers_do_not_share_a_file() {
        let directory = directory("shared");
        let name = directory.join("out");
        let mut first = Output::open(Some(&name)).unwrap();
        first.write(b"first").unwrap();
        assert!(matches!(&first, Output::File { .. }));
        let refused = Output::open(Some(&name))
            .err()
            .map(|error| format!("{error:#}"));
        assert!(refused.is_some_and(|error| error.contains("another receiver")));
        first.complete().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"first");
        // What is complete is let alone, even while its receiver has it open.
        let mut second = Output::open(Some(&name)).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"first");
        drop(first);
        // What is left of a transfer that failed is overwritten.
        second.write(b"left over").unwrap();
        drop(second);
        let mut third = Output::open(Some(&name)).unwrap();
        third.write(b"third").unwrap();
        third.complete().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"third");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_part_is_not_followed() {
        let directory = directory("link");
        let victim = directory.join("victim");
        fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, directory.join("out.part")).unwrap();
        assert!(Output::open(Some(&directory.join("out"))).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn devices_are_written_not_replaced() {
        let mut output = Output::open(Some(Path::new("/dev/null"))).unwrap();
        assert!(matches!(output, Output::Device(_)));
        output.write(b"data").unwrap();
        output.complete().unwrap();
        assert!(!Path::new("/dev/null.part").exists());
        assert!(Output::open(Some(Path::new("/no/such/directory/file"))).is_err());
    }
}
