//! The same with kubectl, in both protocols that it speaks.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use tests::kubectl::Kubectl;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::world::{World, echo_server};

struct Cli {
    kubectl: Kubectl,
    /// What kubectl speaks.
    websockets: &'static str,
}

impl Cli {
    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.kubectl.command(args);
        command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", self.websockets);
        command.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", self.websockets);
        command
    }

    fn run(&self, args: &[&str], input: Option<&PathBuf>) -> Result<(Option<i32>, String, String)> {
        let mut command = self.command(args);
        if let Some(input) = input {
            command.stdin(std::fs::File::open(input)?);
        }
        let output = command.output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status.code(), text(output.stdout), text(output.stderr)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_in_both_protocols() -> Result<()> {
    let Some(program) = Kubectl::find("kubectl_in_both_protocols") else { return Ok(()) };
    let world = World::start().await?;
    let port = echo_server().await?;
    let file = world.cluster.path("input");
    std::fs::write(&file, "from a file\n")?;
    for websockets in ["true", "false"] {
        let home = world.cluster.path(&format!("home-{websockets}"));
        let kubectl = Kubectl::new(&program, &world.cluster.frontends[0].kubeconfig, home);
        let cli = Cli { kubectl, websockets };
        let (code, stdout, stderr) =
            cli.run(&["exec", "one", "--", "sh", "-c", "echo out; echo err >&2; exit 3"], None)?;
        ensure!(code == Some(3) && stdout == "out\n" && stderr.starts_with("err\n"), "{code:?} {stdout} {stderr}");
        let (code, stdout, stderr) = cli.run(&["exec", "-i", "two", "-c", "b", "--", "cat"], Some(&file))?;
        ensure!(code == Some(0) && stdout == "from a file\n", "{code:?} {stdout} {stderr}");
        let (code, stdout, stderr) = cli.run(&["exec", "one", "--", "/no/such/program"], None)?;
        ensure!(
            code == Some(1) && stderr.contains("error executing command in container"),
            "{code:?} {stdout} {stderr}"
        );
        let (code, stdout, stderr) = cli.run(&["logs", "one", "--tail=1"], None)?;
        ensure!(code == Some(0) && stdout.ends_with("one main line 5\n"), "{stdout} {stderr}");
        let (_, _, stderr) = cli.run(&["logs", "one", "-c", "nix"], None)?;
        ensure!(stderr.contains("container nix is not valid for pod one"), "{stderr}");
        port_forward(&cli, port).await?;
    }
    Ok(())
}

async fn port_forward(cli: &Cli, port: u16) -> Result<()> {
    let mut child = tokio::process::Command::from(cli.command(&["port-forward", "pod/one", &format!(":{port}")]))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    let line = lines.next_line().await?.context("kubectl says nothing")?;
    let local = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).context("no port")?.to_owned();
    for word in ["first", "second"] {
        let mut connection = tokio::net::TcpStream::connect(format!("127.0.0.1:{local}")).await?;
        connection.write_all(word.as_bytes()).await?;
        let mut echoed = vec![0; word.len()];
        connection.read_exact(&mut echoed).await?;
        ensure!(echoed == word.as_bytes(), "{word} comes back as {echoed:?}");
    }
    Ok(())
}
