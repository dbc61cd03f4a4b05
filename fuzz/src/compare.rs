//! The comparison of two answers.

use std::fmt::Debug;
use std::mem::discriminant;

use zaqar_sled::Result;

/// Compares answers that can be compared as they are.
pub(crate) fn same<T: PartialEq + Debug>(ours: Result<T>, model: Result<T>) {
    if let Some((ours, model)) = both(ours, model) {
        assert_eq!(ours, model);
    }
}

/// Both answers, or neither, if they are errors of one kind.
pub(crate) fn both<T: Debug>(ours: Result<T>, model: Result<T>) -> Option<(T, T)> {
    match (ours, model) {
        (Ok(ours), Ok(model)) => Some((ours, model)),
        (Err(ours), Err(model)) => {
            assert_eq!(discriminant(&ours), discriminant(&model), "{ours:?} and {model:?}");
            None
        }
        (ours, model) => panic!("the engine says {ours:?}, the model {model:?}"),
    }
}
