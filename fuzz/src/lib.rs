//! The parts of the fuzz targets.

pub mod batching;
mod bookmarking;
mod compare;
mod controllers;
pub mod damage;
pub mod forge;
pub mod image;
mod limiting;
mod moves;
pub mod operation;
pub mod registration;
pub mod registry;
pub mod subject;
pub mod survey;
pub mod world;
