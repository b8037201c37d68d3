//! The faults, one row each: what happens to the shims, to the database and to the network between them, and how it
//! ends. Nothing here knows of clients.

use std::time::Duration;

use anyhow::Result;
use rand::{RngExt, rngs::StdRng};

use super::proxy::{Proxy, Rule};
use crate::{
    postgres::Postgres,
    process::{Process, signal},
};

/// What faults happen to.
pub(super) struct World<'a> {
    pub(super) postgres: &'a mut Postgres,
    /// Its name.
    pub(super) database: String,
    pub(super) shims: Vec<Process>,
    /// One before each shim.
    pub(super) proxies: Vec<Proxy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    KillShim,
    HoldShim,
    CrashDatabase,
    HoldDatabase,
    /// Between a shim, or all, and the database.
    Network(Rule, Whose),
    /// The answers to what was asked are lost, then the connections.
    LoseAnswers,
    EndSessions,
    /// `ALTER DATABASE ... SET`, for new sessions.
    Setting(&'static str),
    Everything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    One,
    All,
}

pub const MENU: &[Fault] = &[
    Fault::KillShim,
    Fault::KillShim,
    Fault::HoldShim,
    Fault::CrashDatabase,
    Fault::HoldDatabase,
    Fault::Network(Rule::Cut, Whose::One),
    Fault::Network(Rule::Cut, Whose::All),
    Fault::Network(Rule::Hold, Whose::One),
    Fault::Network(Rule::HoldAnswers, Whose::One),
    Fault::Network(Rule::Delay(Duration::from_millis(40)), Whose::One),
    Fault::Network(Rule::Delay(Duration::from_millis(15)), Whose::All),
    Fault::LoseAnswers,
    Fault::EndSessions,
    Fault::EndSessions,
    Fault::Setting("statement_timeout = '3ms'"),
    Fault::Setting("default_transaction_read_only = on"),
    Fault::Everything,
];

impl Fault {
    /// Happens, lasts, ends.
    pub(super) async fn happen(self, world: &mut World<'_>, rng: &mut StdRng) -> Result<()> {
        let lasts = Duration::from_millis(rng.random_range(50..2500));
        let victim = rng.random_range(0..world.shims.len());
        match self {
            Self::KillShim => {
                world.shims[victim].kill()?;
                tokio::time::sleep(lasts).await;
                world.shims[victim].restart()
            }
            Self::HoldShim => {
                world.shims[victim].hold()?;
                tokio::time::sleep(lasts * 2).await;
                world.shims[victim].release()
            }
            Self::CrashDatabase => {
                world.postgres.crash()?;
                tokio::time::sleep(lasts).await;
                world.postgres.start_again()
            }
            Self::HoldDatabase => {
                let processes = world.postgres.processes()?;
                signal("-STOP", &processes)?;
                tokio::time::sleep(lasts).await;
                signal("-CONT", &processes)
            }
            Self::Network(rule, whose) => {
                let set = |rule| match whose {
                    Whose::One => world.proxies[victim].set(rule),
                    Whose::All => world.proxies.iter().for_each(|proxy| proxy.set(rule)),
                };
                set(rule);
                tokio::time::sleep(lasts).await;
                set(Rule::Pass);
                Ok(())
            }
            Self::LoseAnswers => {
                world.proxies[victim].set(Rule::HoldAnswers);
                tokio::time::sleep(lasts / 4).await;
                world.proxies[victim].set(Rule::Cut);
                tokio::time::sleep(lasts / 4).await;
                world.proxies[victim].set(Rule::Pass);
                Ok(())
            }
            Self::EndSessions => world.end_sessions().await,
            Self::Setting(setting) => {
                let name = setting.split_once(' ').map_or(setting, |(name, _)| name);
                let alter = format!("ALTER DATABASE {}", world.database);
                world.postgres.execute("postgres", &format!("{alter} SET {setting}")).await?;
                world.end_sessions().await?;
                tokio::time::sleep(lasts).await;
                world.postgres.execute("postgres", &format!("{alter} RESET {name}")).await?;
                world.end_sessions().await
            }
            Self::Everything => {
                world.postgres.crash()?;
                world.shims.iter_mut().try_for_each(Process::kill)?;
                tokio::time::sleep(lasts / 2).await;
                world.shims.iter_mut().try_for_each(Process::restart)?;
                tokio::time::sleep(lasts / 2).await;
                world.postgres.start_again()
            }
        }
    }
}

impl World<'_> {
    async fn end_sessions(&self) -> Result<()> {
        let of = format!("datname = '{}'", self.database);
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {of}");
        self.postgres.execute("postgres", &end).await
    }
}
