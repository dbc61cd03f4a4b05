//! Posts to a topic beside calls that give it another subscribed queue: a message that is posted after such a call has
//! returned comes to the queue.

use std::time::Duration;

use zaqar_sled::{ClientId, Engine, Metadata, NewMessage, Project, Queue, QueueSettings, Topic};

use crate::program::{LONG, World, check, claim_one, spawn};

/// A world with a topic and two queues, of which the topic has the first as a subscribed queue.
fn world_with(subscribed: &[&str]) -> (World, Topic) {
    let world = World::plain();
    let news = world.engine.topic(Project::none(), "news").unwrap();
    news.create(QueueSettings::new().subscribed(subscribed)).unwrap();
    (world, news)
}

fn later(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "later").unwrap()
}

fn publish(news: &Topic) {
    let message = NewMessage::new("a").ttl(LONG).delay(Duration::ZERO);
    news.post(ClientId::from_bytes([1; 16]), &[message]).unwrap();
}

/// Posts to the topic beside `change`, which makes the queue `later` one that gets the messages from then on.
fn post_beside(world: &World, news: &Topic, change: impl FnOnce(&Queue) + Send + 'static) {
    const POSTS: u64 = 2;
    let poster = {
        let news = news.clone();
        spawn(move || (0..POSTS).for_each(|_| publish(&news)))
    };
    let changer = {
        let (news, later) = (news.clone(), later(&world.engine));
        spawn(move || {
            change(&later);
            news.stats().unwrap().total()
        })
    };
    let before = changer.join().unwrap();
    poster.join().unwrap();
    let came = later(&world.engine).stats().unwrap().total();
    assert!(before + came >= POSTS, "{before} were there before, {came} have come");
    assert_eq!(world.jobs.stats().unwrap().total(), POSTS);
    assert_eq!(news.stats().unwrap().total(), POSTS);
    world.engine.close().unwrap();
}

#[test]
fn a_subscribed_queue_that_is_made_beside_posts_misses_nothing() {
    check("topics, a queue is made", || {
        let (world, news) = world_with(&["jobs", "later"]);
        post_beside(&world, &news, |later| assert!(later.create(Metadata::new()).unwrap()));
    });
}

#[test]
fn a_queue_that_is_subscribed_beside_posts_misses_nothing() {
    check("topics, a queue is subscribed", || {
        let (world, news) = world_with(&["jobs"]);
        later(&world.engine).create(Metadata::new()).unwrap();
        let topic = news.clone();
        post_beside(&world, &news, move |later| assert!(topic.subscribe(later).unwrap()));
    });
}

#[test]
fn a_post_to_a_topic_wakes_a_waiter_of_its_subscribed_queue() {
    check("topics, a waiter", || {
        let (world, news) = world_with(&["jobs"]);
        let waiter = {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        };
        publish(&news);
        drop(waiter.join().unwrap());
        world.engine.close().unwrap();
    });
}
