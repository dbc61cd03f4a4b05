//! The data plane's controllers: each call validates, decides under the queue's lock, records an operation and answers.

mod claims;
mod driver;
mod messages;
mod queues;
