//! What keeps the traits of the contract to the drivers of this crate, so that a trait can gain a method.

/// A driver of this crate. No other crate can name the trait, so none can implement a trait of the contract:
///
/// ```compile_fail
/// struct Mine;
/// impl zaqar_sled::contract::Sealed for Mine {}
/// ```
#[allow(unnameable_types, reason = "no other crate may name it")]
pub trait Sealed {}
