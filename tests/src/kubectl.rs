//! A real kubectl against a frontend of the cluster; where the machine has none, the cases that need it say so.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::find_program;

/// One kubectl bound to one kubeconfig.
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    /// `None`, loudly, where there is no kubectl (the variable KUBECTL names one).
    pub fn find(case: &str) -> Option<PathBuf> {
        let program = find_program("KUBECTL", &["kubectl"]);
        if program.is_none() {
            crate::skipped(case, "no kubectl on this machine (set KUBECTL)");
        }
        program
    }

    /// `home` keeps kubectl's discovery cache apart from the user's.
    pub fn new(program: &Path, kubeconfig: &Path, home: PathBuf) -> Self {
        Self { program: program.to_owned(), kubeconfig: kubeconfig.to_owned(), home }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args).env("HOME", &self.home).stdin(Stdio::null());
        command
    }

    /// Standard output of a run that must succeed.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.finish(args, self.command(args))
    }

    /// The same with a manifest on standard input (`-f -`).
    pub fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        let file = self.home.join(format!("input-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&self.home)?;
        std::fs::write(&file, input)?;
        let mut command = self.command(args);
        command.stdin(std::fs::File::open(&file)?);
        let result = self.finish(args, command);
        std::fs::remove_file(&file)?;
        result
    }

    /// Standard error of a run that must fail.
    pub fn refused(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args).output()?;
        if output.status.success() {
            bail!("kubectl {args:?} succeeded:\n{}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn finish(&self, args: &[&str], mut command: Command) -> Result<String> {
        let output = command.output().with_context(|| format!("running kubectl {args:?}"))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {args:?}: {}\n{error}{}", output.status, String::from_utf8_lossy(&output.stdout));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
