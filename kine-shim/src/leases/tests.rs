//! What comes late for an earlier grant of an id, and what is left of leases that ended.

use std::{sync::Arc, time::Duration};

use crate::{
    log::{Log, memory::MemoryLog},
    model::{Error, Grant, LeaseId, Op, Refusal},
    settings::ShimConfig,
    shim::Shim,
};

async fn shim() -> (Arc<MemoryLog>, Shim) {
    let log = Arc::new(MemoryLog::new());
    let shim = Shim::start(log.clone(), ShimConfig::default()).await.unwrap();
    (log, shim)
}

async fn grant(shim: &Shim, id: LeaseId) -> Grant {
    shim.write(Op::LeaseGrant { id, ttl: 60 }).await.unwrap();
    shim.snapshot().lease(id).unwrap().grant()
}

#[tokio::test(start_paused = true)]
async fn a_lease_granted_anew_is_untouched_by_what_is_late_for_its_predecessor() {
    let (log, shim) = shim().await;
    let older = grant(&shim, 7).await;
    shim.write(Op::LeaseRevoke { id: 7 }).await.unwrap();
    let newer = grant(&shim, 7).await;
    assert_eq!(log.mark_expiring(Default::default(), &[(older, 0)]).await, Ok(vec![true]));
    assert_eq!(shim.lease_keep_alive(7).await, Ok(60));
    assert_eq!(shim.write(Op::LeaseExpire(older)).await, Err(Error::Refused(Refusal::LeaseNotFound)));
    log.forget_leases(&[older]).await.unwrap();
    assert_eq!(log.lease_clocks(&[newer]).await.unwrap().clocks[0].renewals, 1);
    assert_eq!(shim.lease_time_to_live(7, false).await.unwrap().unwrap().granted, 60);
}

#[tokio::test(start_paused = true)]
async fn the_renewals_of_a_lease_that_ended_are_forgotten() {
    let (log, shim) = shim().await;
    let [revoked, living] = [grant(&shim, 7).await, grant(&shim, 8).await];
    for id in [7, 8] {
        assert_eq!(shim.lease_keep_alive(id).await, Ok(60));
    }
    shim.write(Op::LeaseRevoke { id: 7 }).await.unwrap();
    let rows = async || {
        let clocks = log.lease_clocks(&[revoked, living]).await.unwrap();
        clocks.clocks.iter().map(|clock| clock.age.is_some()).collect::<Vec<_>>()
    };
    tokio::time::timeout(Duration::from_secs(10), async {
        while rows().await != [false, true] {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("only the living one keeps its row");
}

/// More leases end at once than can be listed: their rows are found all the same.
#[tokio::test(start_paused = true)]
async fn however_many_leases_end_at_once_none_leaves_a_row() {
    let (log, shim) = shim().await;
    let living = grant(&shim, 8).await;
    let gone: Vec<Grant> = (0..70_000).map(|n| Grant { id: 1_000 + n, at: living.at }).collect();
    log.renew(&gone).await.unwrap();
    shim.lease_keep_alive(8).await.unwrap();
    for lease in &gone {
        shim.ended_lease(*lease);
    }
    let rows = async || {
        let clocks = log.lease_clocks(&[&gone[..], &[living]].concat()).await.unwrap().clocks;
        clocks.iter().filter(|clock| clock.age.is_some()).count()
    };
    tokio::time::timeout(Duration::from_secs(10), async {
        while rows().await != 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("only the living one keeps its row");
}
