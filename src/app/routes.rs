//! What the server's answers are made from: the tenants as they are now.

use std::sync::Arc;

use bytes::Bytes;

use super::App;
use super::tenant::Tenant;
use crate::config::Web;
use crate::metrics::catalogue::FAMILIES;
use crate::metrics::{View, exporter};
use crate::model::report;
use crate::otlp::metrics::Exposed;
use crate::serve;
use crate::serve::api::Rooms;
use crate::serve::page;
use crate::serve::routes::AskReload;
use crate::worker;

pub(super) fn web(app: &Arc<App>, web: &Web, reload: Option<AskReload>) -> serve::routes::Routes {
    let [tailed, awaited, listed, shown, read, counted] = std::array::from_fn(|_| app.clone());
    let (page_cache, rooms_cache) = (page::Cache::default(), page::Cache::default());
    let prefix = web.external_url.as_ref().map_or("", |url| url.path().trim_end_matches('/')).to_owned();
    let links = page::Links { prefix, telemetry_path: web.telemetry_path.clone() };
    serve::routes::Routes {
        exposition: app.exposition.clone(),
        tail: Box::new(move |asked| {
            exporter::lines(&tailed.stats, &about(&tailed), asked, &*tailed.current().exposed)
        }),
        ready: Box::new(move || awaited.current().tenants.iter().try_for_each(|tenant| tenant.ready())),
        rooms: Box::new(move || {
            rooms_cache.get(|before: Option<Arc<Rooms>>| {
                worker::run(|| {
                    let now = listed.clock.now();
                    let of =
                        |tenant: &Arc<Tenant>| report::rooms(&tenant.name, &tenant.store.snapshot(), now);
                    let reports = listed.current().tenants.iter().flat_map(of).collect();
                    Arc::new(Rooms::new(reports, before.as_deref()))
                })
            })
        }),
        page: Box::new(move || {
            page_cache.get(|_: Option<Bytes>| {
                worker::run(|| {
                    let current = shown.current();
                    let tenants: Vec<_> = current
                        .tenants
                        .iter()
                        .map(|tenant| (&*tenant.name, tenant.store.snapshot()))
                        .collect();
                    page::html(&tenants, shown.clock.now(), &links).into()
                })
            })
        }),
        on_read: Box::new(move |name| {
            let now = read.clock.now();
            let is_read = |tenant: &&Arc<Tenant>| name.is_none_or(|name| name == &*tenant.name);
            for tenant in read.current().tenants.iter().filter(is_read) {
                tenant.readers.read(now);
            }
        }),
        on_response: Box::new(move |handler, code| counted.stats.http_request(handler, code)),
        reload,
        external_url: web.external_url.clone(),
        is_https: web.protection.encrypts,
        telemetry_path: web.telemetry_path.clone(),
    }
}

/// What is pushed by OTLP: the families of every tenant and the exporter's own, as a scrape has them.
pub(super) fn pushed(app: &Arc<App>) -> Exposed {
    let (shown, read) = (app.clone(), app.clone());
    Exposed {
        observe: Box::new(move |points| {
            let current = shown.current();
            for tenant in &current.tenants {
                let snapshot = tenant.store.snapshot();
                let view = View::new(&tenant.name, &snapshot, shown.clock.now());
                for family in FAMILIES.iter().filter(|family| (current.exposed)(family)) {
                    view.observe(family, points);
                }
            }
            exporter::observe(&shown.stats, &about(&shown), &*current.exposed, points);
        }),
        on_read: Box::new(move || {
            let now = read.clock.now();
            read.current().tenants.iter().for_each(|tenant| tenant.readers.read(now));
        }),
    }
}

fn about(app: &App) -> exporter::About {
    exporter::About { exposition: app.exposition.stats(), shard: app.shard }
}

pub(super) fn intake(app: &Arc<App>) -> serve::intake::Intake {
    let [admitted, taken, counted] = std::array::from_fn(|_| app.clone());
    serve::intake::Intake {
        admit: Box::new(move |push| admitted.current().intake.admit(push)),
        receive: Box::new(move |push| taken.current().intake.receive(push)),
        on_response: Box::new(move |handler, code| counted.stats.http_request(handler, code)),
    }
}
