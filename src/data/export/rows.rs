//! The lines of pools, flavors, mappings and subscriptions.
//!
//! Rows are copied in portions while the registry is locked, and written after that.

use std::collections::BTreeSet;

use super::body::BodyForm;
use super::line::{BookmarkLine, FlavorLine, Line, MappingLine, PoolLine, QuotaLine, SubscriptionLine, raw};
use super::source::{Export, Scope};
use super::writer::LineWriter;
use crate::data::backend::{Access, Answer, Backend};
use crate::model::SubscriptionId;
use crate::model::error::Result;
use crate::state::{BookmarkRow, FlavorRow, PoolRow, QuotaRow, SubscriptionRow};
use crate::storage::keys;

/// Up to so many of the rows behind a key, copied from the tables of the control store.
fn portions<B: Backend, R>(
    export: &Export<'_, B>,
    copy: impl Fn(&crate::state::Registry, Option<&[u8]>) -> Vec<(Vec<u8>, R)>,
    mut write: impl FnMut(&[u8], R) -> Result<()>,
) -> Result<()> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        (export.goes_on)()?;
        let rows = copy(&export.backend.control_store().registry.read(), after.as_deref());
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(last.clone());
        rows.into_iter().try_for_each(|(key, row)| write(&key, row))?;
    }
}

/// Copies of the first rows, by number and by their largest part.
fn bounded<'r, R: Clone + 'r>(
    rows: impl Iterator<Item = (&'r [u8], &'r R)>,
    bytes: impl Fn(&R) -> usize,
) -> Vec<(Vec<u8>, R)> {
    let mut sum = 0_usize;
    let within = rows.take(ROWS_AT_ONCE).take_while(|(_, row)| {
        let is_within = sum < BYTES_AT_ONCE;
        sum = sum.saturating_add(bytes(row));
        is_within
    });
    within.map(|(key, row)| (key.to_vec(), row.clone())).collect()
}

/// Writes the pools; returns their names.
pub(super) fn write_pools<B: Backend>(
    export: &Export<'_, B>,
    output: &mut LineWriter<'_>,
) -> Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    portions(
        export,
        |registry, after| bounded(registry.pools.range(b"", after), |row| row.options.len()),
        |key, row: PoolRow| {
            names.insert(key.to_vec());
            output.write(&Line::Pool(PoolLine {
                name: String::from_utf8_lossy(key),
                uri: row.uri.into(),
                weight: row.weight,
                group: row.group.map(Into::into),
                options: raw(&row.options)?,
            }))
        },
    )?;
    Ok(names)
}

pub(super) fn write_flavors<B: Backend>(export: &Export<'_, B>, output: &mut LineWriter<'_>) -> Result<()> {
    portions(
        export,
        |registry, after| bounded(registry.flavors.range(b"", after), |row| row.capabilities.len()),
        |key, row: FlavorRow| {
            let Some((project, name)) = keys::parse_named(key) else { return Ok(()) };
            output.write(&Line::Flavor(FlavorLine {
                project: project.name().map(Into::into),
                name: name.into(),
                group: row.pool_group.into(),
                capabilities: raw(&row.capabilities)?,
            }))
        },
    )
}

/// Writes the mappings; returns the keys of the queues whose pools keep nothing.
pub(super) fn write_mappings<B: Backend>(
    export: &Export<'_, B>,
    output: &mut LineWriter<'_>,
) -> Result<BTreeSet<Vec<u8>>> {
    let mut lost = BTreeSet::new();
    portions(
        export,
        |registry, after| {
            let rows = registry.catalogue.range(b"", after).take(ROWS_AT_ONCE);
            let is_lost = |key: &[u8]| (export.is_left_out)(registry, key);
            rows.map(|(key, mapping)| (key.to_vec(), (mapping.pool.clone(), is_lost(key)))).collect()
        },
        |key, (pool, is_lost)| {
            if is_lost {
                lost.insert(key.to_vec());
            }
            let Some((project, queue)) = keys::parse_queue(key) else { return Ok(()) };
            output.write(&Line::Mapping(MappingLine {
                project: project.name().map(Into::into),
                queue: queue.as_str().into(),
                topic: queue.is_topic(),
                pool: pool.as_str().into(),
            }))
        },
    )?;
    Ok(lost)
}

pub(super) fn write_bookmarks<B: Backend>(export: &Export<'_, B>, output: &mut LineWriter<'_>) -> Result<()> {
    portions(
        export,
        |registry, after| bounded(registry.bookmarks.range(b"", after), |row| row.value.len()),
        |key, row: BookmarkRow| {
            let Some((project, name)) = keys::parse_named(key) else { return Ok(()) };
            output.write(&Line::Bookmark(BookmarkLine {
                project: project.name().map(Into::into),
                name: name.into(),
                version: format!("{:016x}", row.version).into(),
                changed: row.changed,
                value: BodyForm::of(&row.value),
            }))
        },
    )
}

pub(super) fn write_quotas<B: Backend>(export: &Export<'_, B>, output: &mut LineWriter<'_>) -> Result<()> {
    portions(
        export,
        |registry, after| bounded(registry.quotas.range(b"", after), |_| 0),
        |key, QuotaRow { queues, messages, bytes }| {
            let Some(project) = keys::parse_quota(key) else { return Ok(()) };
            let project = project.name().map(Into::into);
            let line = QuotaLine { project, max_queues: queues, max_messages: messages, max_bytes: bytes };
            output.write(&Line::Quota(line))
        },
    )
}

/// Writes the subscriptions of all names, those without a queue too.
pub(super) fn write_subscriptions<B: Backend>(
    export: &Export<'_, B>,
    scope: &Scope,
    output: &mut LineWriter<'_>,
) -> Result<()> {
    let mut after: Option<Vec<u8>> = None;
    while let Some(key) = export.backend.next_subscribed(after.as_deref())? {
        if !scope.is_lost(export, &key) && !scope.is_new(export, &key)? {
            write_subscriptions_of(export, &key, output)?;
        }
        after = Some(key);
    }
    Ok(())
}

fn write_subscriptions_of<B: Backend>(export: &Export<'_, B>, key: &[u8], output: &mut LineWriter<'_>) -> Result<()> {
    let Some((project, queue)) = keys::parse_queue(key) else { return Ok(()) };
    let mut after: Option<[u8; 16]> = None;
    loop {
        (export.goes_on)()?;
        let rows = export.backend.with_subscriptions(&project, &queue, Access::Read, |store, _| {
            let (registry, _) = store.read_registry();
            let rows = registry.subscriptions.portion(key, after.as_ref(), ROWS_AT_ONCE, BYTES_AT_ONCE);
            Ok(Answer::at_once(rows))
        })?;
        let rows = rows.unwrap_or_default();
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(*last);
        for (id, row) in rows {
            let SubscriptionRow { subscriber, ttl, created, expires, options, confirmed } = row;
            output.write(&Line::Subscription(SubscriptionLine {
                project: project.name().map(Into::into),
                queue: queue.as_str().into(),
                topic: queue.is_topic(),
                id: SubscriptionId::from_bytes(id),
                subscriber: subscriber.into(),
                ttl,
                created,
                expires,
                confirmed,
                options: raw(&options)?,
            }))?;
        }
    }
}

/// Rows that are copied while the registry is locked.
const ROWS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 1 << 20;
