//! Content moves between stores in portions of bounded size, however much there is.

use zaqar_sled::{Metadata, NewMessage, Subscriber, Subscriptions};

use crate::dead_letters::{ONCE, apart, bury};
use crate::support::{Harness, Queue, seconds, shop};

const MIB: usize = 1 << 20;

/// Claims the queue's 16 messages once, and then moves them to the outbox, in as many claims as necessary.
fn send_off(h: &Harness, orders: &Queue<'_>) {
    let (mut claims, mut taken) = (Vec::new(), 0);
    while taken < 16 {
        let claim = orders.take(100);
        taken += claim.messages().len();
        claims.push(claim.id());
    }
    claims.iter().for_each(|claim| orders.release(*claim).unwrap());
    while h.pending().1 < 16 {
        bury(orders);
    }
}

#[test]
fn large_subscriptions_move_a_few_at_a_time() {
    let h = Harness::live();
    h.two_pools();
    let orders = h.create("orders");
    let options = Metadata::new().with("note", "x".repeat(900 << 10)).unwrap();
    for number in 0..12 {
        let hook = Subscriber::new(format!("https://example.com/{number}")).unwrap();
        Subscriptions::create(&h.driver(), &shop(), &orders.name, &hook, seconds(3600), &options).unwrap().unwrap();
    }
    orders.move_to("two").unwrap();
    assert!(h.longest_segment("/two") < 2 * MIB, "{} bytes in one operation", h.longest_segment("/two"));
    assert_eq!(crate::subscriptions::names(&h, &orders).len(), 12);
    h.check();
}

#[test]
fn large_dead_letters_are_delivered_a_few_at_a_time() {
    let h = Harness::live();
    let (orders, dead) = apart(&h, ONCE);
    let messages: Vec<NewMessage> =
        (0..16).map(|_| NewMessage::new(vec![b'x'; 600 << 10]).ttl(seconds(3600))).collect();
    for messages in messages.chunks(4) {
        orders.send(messages).unwrap();
    }
    send_off(&h, &orders);
    // It delivers, and keeps the journal as it is.
    h.driver().health().unwrap();
    assert_eq!((h.pending().1, dead.counts().2), (0, 16));
    assert!(h.longest_segment("/two") < 5 * MIB, "{} bytes in one operation", h.longest_segment("/two"));
    h.check();
}

#[test]
fn large_dead_letters_go_elsewhere_a_few_at_a_time_and_in_order() {
    let h = Harness::live();
    let (orders, dead) = apart(&h, ONCE);
    for number in 0..16_u8 {
        orders.send(&[NewMessage::new(vec![b'a' + number; 600 << 10]).ttl(seconds(3600))]).unwrap();
    }
    send_off(&h, &orders);
    h.pool("three", 0);
    // Assigned to pool `two` when they left.
    dead.route("three");
    let before = h.longest_segment("/one");
    h.driver().health().unwrap();
    assert_eq!((h.pending().1, dead.counts().2), (0, 16));
    let assigned = h.longest_segment("/one");
    assert!(assigned <= before.max(6 * MIB), "{assigned} bytes in one operation");
    let order: Vec<u8> = (0..16).map(|_| dead.pop(1).unwrap()[0].body().as_bytes()[0]).collect();
    assert_eq!(order, (b'a'..b'a' + 16).collect::<Vec<_>>());
    h.check();
}
