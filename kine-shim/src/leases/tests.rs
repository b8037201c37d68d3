//! What comes late for an earlier grant of an id, and what is left of leases that ended.

use std::sync::Arc;
use std::time::Duration;

use crate::log::Log;
use crate::log::memory::MemoryLog;
use crate::model::{Error, Grant, LeaseId, Op, Refusal};
use crate::shim::{Shim, ShimConfig};

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
    assert_eq!(log.mark_expiring(&[(older, 0)]).await, Ok(vec![true]));
    assert_eq!(shim.lease_keep_alive(7).await, Ok(60));
    assert_eq!(shim.write(Op::LeaseExpire(older)).await, Err(Error::Refused(Refusal::LeaseNotFound)));
    log.forget_leases(&[older]).await.unwrap();
    assert_eq!(log.lease_clocks(&[newer]).await.unwrap()[0].renewals, 1);
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
        clocks.iter().map(|clock| clock.age.is_some()).collect::<Vec<_>>()
    };
    tokio::time::timeout(Duration::from_secs(10), async {
        while rows().await != [false, true] {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("only the living one keeps its row");
}
