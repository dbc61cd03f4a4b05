//! zaqar-sled: an embedded storage engine for message queues.
#![forbid(unsafe_code)]
