//! A measurement: calls of the store beside bare ones.

use std::path::Path;

use zaqar_sled::Engine;

use super::bare::Bare;
use super::figures::Figures;
use super::measurement::Measurement;
use super::queue_load::QueueLoad;
use super::slices::Slices;
use crate::failure::Failure;

/// Measures in the store and, beside that, with a file in the folder.
pub(crate) fn compare(
    measurement: &Measurement,
    engine: &Engine,
    folder: &Path,
    body: &[u8],
    slices: &Slices,
) -> Result<Figures, Failure> {
    let load = QueueLoad::new(engine, measurement, body)?;
    let writes = measurement.writes(body.len());
    let made = if measurement.is_synced() {
        Bare::synced(folder, writes, slices.stop())
    } else {
        Bare::growing(folder, writes)
    };
    let bare = made.map_err(|source| Failure::Path { path: folder.to_owned(), source })?;
    let [of_store, of_bare] = slices.alternate([(measurement.threads, &load), (1, &bare)])?;
    load.remove()?;
    // Unwritten data of this measurement would slow the syncs of the next one.
    engine.checkpoint()?;
    Ok(Figures::of(measurement, &of_store, &of_bare))
}
