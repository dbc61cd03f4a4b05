//! The control plane: which pools and flavors there are, and which pool holds which queue.

mod catalogue;
mod driver;
mod flavors;
mod pools;
