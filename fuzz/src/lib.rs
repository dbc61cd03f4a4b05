//! What the fuzz targets are made of.

pub mod damage;
pub mod forge;
pub mod image;
pub mod operation;
pub mod registration;
pub mod registry;
pub mod survey;
pub mod world;
