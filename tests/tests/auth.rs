//! Users on two shims of one PostgreSQL, as clients come: etcd-client with a name and a password, and with a
//! certificate alone.

use anyhow::{Context, Result, ensure};
use etcd_client::{Channel, Client, ConnectOptions, Error, GetOptions, Permission};
use tests::{
    cluster::{Cluster, Spec},
    postgres,
};
use tonic::Code;

async fn client(cluster: &Cluster, shim: usize, user: Option<(&str, &str)>) -> Result<Client> {
    let options = user.map(|(name, password)| ConnectOptions::new().with_user(name, password));
    Ok(Client::from_channel(Channel::Tonic(cluster.channel(shim).await?), options).await?)
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> Result<Code> {
    match answer {
        Err(Error::GRpcStatus(status)) => Ok(status.code()),
        answer => anyhow::bail!("not refused: {answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_one_shim_are_users_of_the_other() -> Result<()> {
    let Some(postgres) = postgres::shared("users_of_one_shim_are_users_of_the_other") else { return Ok(()) };
    let endpoint = Some(postgres.database().await?);
    let cluster = Cluster::start(Spec { endpoint, shims: 2, frontends: 0 }).await?;
    let mut admin = client(&cluster, 0, None).await?;
    for name in ["root", "alice"] {
        admin.user_add(name, format!("{name}'s password"), None).await?;
    }
    admin.role_add("reader").await?;
    admin.role_grant_permission("reader", Permission::read("seen/").with_prefix()).await?;
    admin.user_grant_role("root", "root").await?;
    admin.user_grant_role("alice", "reader").await?;
    admin.auth_enable().await?;
    // The certificate of these connections names a user that there is not.
    ensure!(code(admin.put("seen/1", "x", None).await)? == Code::PermissionDenied);

    let mut root = client(&cluster, 1, Some(("root", "root's password"))).await?;
    root.put("seen/1", "x", None).await?;
    for shim in [0, 1] {
        let mut alice = client(&cluster, shim, Some(("alice", "alice's password"))).await?;
        let seen = alice.get("seen/", Some(GetOptions::new().with_prefix())).await?;
        ensure!(seen.kvs().len() == 1, "{seen:?}");
        ensure!(code(alice.get("hidden", None).await)? == Code::PermissionDenied);
        ensure!(code(alice.put("seen/1", "y", None).await)? == Code::PermissionDenied);
        ensure!(code(alice.user_list().await)? == Code::PermissionDenied);
        let refused = client(&cluster, shim, Some(("alice", "a guess"))).await.err().context("a guess is right")?;
        ensure!(refused.to_string().contains("authentication failed"), "{refused:#}");
    }
    // Now it names one.
    root.user_add("frontend", "", Some(etcd_client::UserAddOptions::new().with_no_pwd())).await?;
    root.user_grant_role("frontend", "reader").await?;
    ensure!(client(&cluster, 0, None).await?.get("seen/1", None).await?.count() == 1);
    // What a user loses on one shim is lost on the other.
    let mut alice = client(&cluster, 0, Some(("alice", "alice's password"))).await?;
    root.user_revoke_role("alice", "reader").await?;
    ensure!(code(alice.get("seen/1", None).await)? == Code::PermissionDenied);
    root.user_delete("alice").await?;
    ensure!(code(alice.get("seen/1", None).await)? == Code::Unauthenticated);
    root.auth_disable().await?;
    client(&cluster, 0, None).await?.put("seen/1", "anybody's", None).await?;
    Ok(())
}
