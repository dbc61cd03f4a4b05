//! The kinds of subject, and how each is opened.

#[path = "../../tests/support/subject.rs"]
mod shared;

use arbitrary::Arbitrary;
use zaqar_sled::{Config, RecoveryReport, ReferenceModel, Result};

use crate::image::STORE;

pub(crate) use shared::Subject;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Kind {
    Engine,
    Pooled,
}

impl Kind {
    pub(crate) fn open(self, config: Config) -> Result<Subject> {
        match self {
            Self::Engine => config.open(STORE).map(Subject::Engine),
            Self::Pooled => config.open_pooled(STORE).map(Subject::Pooled),
        }
    }

    /// The model of it.
    pub(crate) fn of(self, model: ReferenceModel) -> ReferenceModel {
        match self {
            Self::Engine => model,
            Self::Pooled => model.pooled(),
        }
    }
}

impl Subject {
    pub(crate) fn recovery(&self) -> &RecoveryReport {
        match self {
            Self::Engine(engine) => engine.recovery(),
            Self::Pooled(driver) => driver.recovery(),
        }
    }
}
