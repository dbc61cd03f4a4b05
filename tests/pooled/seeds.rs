//! With a fixed seed, a pool's store that was opened twice in one run assigned the same claim ids twice.

use std::collections::BTreeSet;

use zaqar_sled::PoolUpdate;

use crate::support::{Harness, Queue};

fn claims_of(queue: &Queue<'_>) -> Vec<zaqar_sled::ClaimId> {
    queue.post(5);
    (0..5).map(|_| queue.take(1).id()).collect()
}

#[test]
fn a_seeded_store_that_is_opened_again_gives_out_other_ids() {
    let h = Harness::live().with(|config| config.seed(7));
    h.pool("one", 1);
    let orders = h.create("orders");
    let mut claims = claims_of(&orders);
    for uri in ["sled:/elsewhere", "sled:/one"] {
        h.change_pool("one", &PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
    }
    claims.extend(claims_of(&orders));
    assert_eq!(claims.iter().collect::<BTreeSet<_>>().len(), 10, "{claims:?}");
}
