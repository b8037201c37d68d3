//! The file that events are written to, a line each.
//!
//! In: whole lines. Out: a file that is renamed with the time in its name when it is full, and old ones removed. A line
//! that cannot be written is counted and said in the log of the server.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};

/// When a file is full, and which old ones are kept. Zero: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub bytes_max: u64,
    pub backups_max: usize,
    pub age_max: Duration,
    pub compress: bool,
}

/// Where lines go.
pub struct LogFile {
    out: Out,
}

enum Out {
    Stdout,
    File { path: PathBuf, file: File, bytes: u64, rotation: Rotation },
}

impl LogFile {
    /// `-` is standard output.
    pub fn open(path: &Path, rotation: Rotation) -> std::io::Result<LogFile> {
        if path == Path::new("-") {
            return Ok(LogFile { out: Out::Stdout });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(LogFile { out: Out::File { path: path.to_owned(), file, bytes, rotation } })
    }

    /// Writes a line, whole, with its newline.
    pub fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        match &mut self.out {
            Out::Stdout => std::io::stdout().lock().write_all(line),
            Out::File { path, file, bytes, rotation } => {
                let full = rotation.bytes_max > 0 && *bytes + line.len() as u64 > rotation.bytes_max;
                if full && *bytes > 0 {
                    *file = rotate(path, *rotation)?;
                    *bytes = 0;
                }
                file.write_all(line)?;
                *bytes += line.len() as u64;
                Ok(())
            }
        }
    }
}

fn append_to(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Who reads the cluster's history must be allowed to.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// `audit.log` becomes `audit-2026-01-01T00-00-00.000.log`.
fn backup_name(path: &Path, now: jiff::Timestamp) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{}{extension}", now.strftime("%Y-%m-%dT%H-%M-%S.%3f")))
}

fn rotate(path: &Path, rotation: Rotation) -> std::io::Result<File> {
    let backup = backup_name(path, jiff::Timestamp::now());
    std::fs::rename(path, &backup)?;
    let file = append_to(path)?;
    if rotation.compress
        && let Err(error) = compress(&backup)
    {
        tracing::warn!(%error, path = %backup.display(), "cannot compress an old audit log");
    }
    if let Err(error) = remove_old(path, rotation) {
        tracing::warn!(%error, "cannot remove old audit logs");
    }
    Ok(file)
}

fn compress(path: &Path) -> std::io::Result<()> {
    let mut target = path.as_os_str().to_owned();
    target.push(".gz");
    let mut out = GzEncoder::new(append_to(Path::new(&target))?, Compression::default());
    std::io::copy(&mut File::open(path)?, &mut out)?;
    out.finish()?.sync_all()?;
    std::fs::remove_file(path)
}

/// Old files in the order of their names, which is that of their times.
fn backups(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = format!("{}-", path.file_stem().unwrap_or_default().to_string_lossy());
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|entry| entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .collect();
    found.sort_unstable();
    Ok(found)
}

fn remove_old(path: &Path, rotation: Rotation) -> std::io::Result<()> {
    let found = backups(path)?;
    let beyond = match rotation.backups_max {
        0 => 0,
        max => found.len().saturating_sub(max),
    };
    let oldest = SystemTime::now().checked_sub(rotation.age_max).filter(|_| !rotation.age_max.is_zero());
    for (at, backup) in found.iter().enumerate() {
        let is_old =
            || oldest.is_some_and(|oldest| backup.metadata().and_then(|m| m.modified()).is_ok_and(|m| m < oldest));
        if at < beyond || is_old() {
            std::fs::remove_file(backup)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let rotation = Rotation { bytes_max: 10, backups_max: 2, age_max: Duration::ZERO, compress: false };
        let mut log = LogFile::open(&path, rotation).unwrap();
        for n in 0..5 {
            log.write(format!("line {n}\n").as_bytes()).unwrap();
            // Names tell milliseconds apart.
            while backup_name(&path, jiff::Timestamp::now()).exists() {}
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 4\n");
        let kept: Vec<String> = backups(&path).unwrap().iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
        assert_eq!(kept, ["line 2\n", "line 3\n"]);
    }

    #[test]
    fn a_file_that_is_there_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("audit.log");
        let rotation = Rotation { bytes_max: 0, backups_max: 0, age_max: Duration::ZERO, compress: true };
        for line in ["a\n", "b\n"] {
            LogFile::open(&path, rotation).unwrap().write(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\n");
        let name = backup_name(Path::new("x/audit.log"), "2026-01-02T03:04:05.678Z".parse().unwrap());
        assert_eq!(name, Path::new("x/audit-2026-01-02T03-04-05.678.log"));
    }
}
