//! Every expression of the rules, the dashboards and the documents names metrics and labels that are there, and every
//! metric that users may rely on is shown or alerted on, or has a reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;
use teams_rooms_exporter::metrics::catalogue::{FAMILIES, Family, Kind, Stability};

use crate::book::{Block, Page, pages};

/// Metrics that no rule, dashboard or document needs, and why.
const UNUSED: &[(&str, &str)] = &[
    ("teams_rooms_api_deprecation_timestamp_seconds", "the sunset is what counts, and is alerted on"),
    ("teams_rooms_collector_last_attempt_timestamp_seconds", "for whoever looks into one collector"),
    (
        "teams_rooms_config_last_reload_success_timestamp_seconds",
        "whether the last reload worked is alerted on",
    ),
    ("teams_rooms_device_connection_last_change_timestamp_seconds", "the room's problem has its since-time"),
    ("teams_rooms_incidents_without_room", "for whoever sets up the webhooks"),
    ("teams_rooms_intake_last_received_timestamp_seconds", "silence of a portal may mean that all is well"),
    ("teams_rooms_intune_info", "joined by hand: systems are looked at in Intune"),
    ("teams_rooms_intune_storage_bytes", "free space alone tells of trouble"),
    ("teams_rooms_login_last_change_timestamp_seconds", "the room's problem has its since-time"),
    ("teams_rooms_token_expiry_timestamp_seconds", "tokens renew themselves"),
];

/// What Prometheus itself makes, and the labels that these have beyond those of the rules.
const OF_PROMETHEUS: [(&str, &[&str]); 4] = [
    ("up", &[]),
    ("ALERTS", &["alertname", "alertstate", "severity"]),
    ("scrape_duration_seconds", &[]),
    ("scrape_samples_scraped", &[]),
];

/// Labels that Prometheus sets, or a rule may.
const TARGET_LABELS: [&str; 3] = ["job", "instance", "pod"];

/// What Grafana puts in before it asks Prometheus.
const GRAFANA: [(&str, &str); 6] = [
    ("$__rate_interval", "5m"),
    ("$__interval", "5m"),
    ("$__range_s", "3600"),
    ("$__range", "1h"),
    ("${__to}", "0"),
    ("$unused", "7776000"), // a variable of our own
];

/// One expression and where it stands.
struct Query {
    place: String,
    text: String,
}

/// What an expression names.
#[derive(Default)]
struct Named {
    /// Each metric with the labels of its selectors.
    metrics: BTreeMap<String, BTreeSet<String>>,
    /// Labels of `by`, `on`, `group_left` and the like.
    groups: BTreeSet<String>,
}

#[test]
fn every_expression_names_what_is_there() {
    let recorded = recorded();
    let known: BTreeSet<&str> = FAMILIES.iter().flat_map(|family| family.labels.iter().copied()).collect();
    let queries = all();
    assert!(queries.len() > 100, "{} expressions were found", queries.len());
    let mut wrong = Vec::new();
    for Query { place, text } in &queries {
        let named = match named(text) {
            Ok(named) => named,
            Err(error) => {
                wrong.push(format!("{place}: {error}: {text}"));
                continue;
            }
        };
        for (metric, labels) in &named.metrics {
            match labels_of(metric, &recorded) {
                Some(allowed) => {
                    let strange = labels.iter().find(|label| !allowed.contains(label.as_str()));
                    wrong.extend(strange.map(|label| format!("{place}: {metric} has no label {label}")));
                }
                None => wrong.push(format!("{place}: there is no metric {metric}")),
            }
        }
        let is_made = |label: &str| text.contains(&format!("\"{label}\"")); // by label_replace
        let strange = named.groups.iter().find(|label| {
            let of_rules = ["le", "severity", "alertname", "alertstate", "fault", "behind", "seats"]
                .contains(&label.as_str());
            !(known.contains(label.as_str())
                || TARGET_LABELS.contains(&label.as_str())
                || of_rules
                || is_made(label))
        });
        wrong.extend(strange.map(|label| format!("{place}: nothing has a label {label}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_stable_metric_is_of_use() {
    let mut used = BTreeSet::new();
    for Query { text, .. } in all() {
        let named = named(&text).expect("the other test has the place");
        used.extend(named.metrics.keys().filter_map(|metric| family(metric)).map(|family| family.name));
    }
    let stable = FAMILIES
        .iter()
        .filter(|family| family.stability != Stability::Experimental)
        .map(|family| family.name);
    let own = stable.filter(|name| name.starts_with("teams_rooms_")); // process_* are those of every exporter
    let unused: BTreeSet<&str> = own.filter(|name| !used.contains(name)).collect();
    let listed: BTreeSet<&str> = UNUSED.iter().map(|(name, _)| *name).collect();
    assert_eq!(unused, listed, "left: in no rule, dashboard or document; right: those with a reason");
}

/// The dashboard that the preset `lean` promises to fill; the others may have empty panels.
const LEAN_DASHBOARD: &str = "fleet.json";

#[test]
fn the_lean_preset_has_all_that_alerts_and_the_fleet_dashboard_read() {
    let mut rules_by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open = Vec::new();
    for rule in files("alerts", ".rules.yml").iter().flat_map(|path| rules(path)) {
        match rule.get("record").and_then(Value::as_str) {
            Some(name) => rules_by_name.entry(name.to_owned()).or_default().push(rule.to_string()),
            None => open.push(rule.to_string()),
        }
    }
    open.push(read(&root().join("dashboards").join(LEAN_DASHBOARD)));
    let mut missing = BTreeSet::new();
    // Annotations ask questions, too: whatever looks like a name counts.
    while let Some(text) = open.pop() {
        for name in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')) {
            open.extend(rules_by_name.remove(name).unwrap_or_default());
            missing.extend(family(name).filter(|family| !family.is_lean()).map(|family| family.name));
        }
    }
    assert_eq!(missing, BTreeSet::new(), "read, but not marked `lean()` in the catalogue");
    let kept = |name: &str| Family::find(name).is_some_and(Family::is_lean);
    assert!(kept("teams_rooms_room_state") && kept("teams_rooms_up") && !kept("teams_rooms_peripheral_info"));
}

/// The labels that selectors of this metric may name; `None` where there is no such metric. `a|b` stands for any of them:
/// a label that only one has is empty on the other, and a filter for anything keeps both.
fn labels_of<'a>(metric: &str, recorded: &'a BTreeSet<String>) -> Option<BTreeSet<&'a str>> {
    if metric.contains('|') {
        let each = metric.split('|').map(|metric| labels_of(metric, recorded)).collect::<Option<Vec<_>>>()?;
        return Some(each.into_iter().flatten().collect());
    }
    let own: Vec<&str> = if let Some(family) = family(metric) {
        let le = (family.kind == Kind::Histogram).then_some("le");
        family.labels.iter().copied().chain(le).collect()
    } else if recorded.contains(metric) {
        let all = FAMILIES.iter().flat_map(|family| family.labels.iter().copied());
        all.chain(["fault", "alertname", "severity", "behind"]).collect()
    } else if let Some((_, labels)) = OF_PROMETHEUS.iter().find(|(name, _)| *name == metric) {
        let all = FAMILIES.iter().flat_map(|family| family.labels.iter().copied());
        all.chain(labels.iter().copied()).collect()
    } else {
        return None;
    };
    Some(own.into_iter().chain(TARGET_LABELS).collect())
}

/// The family of a sample, of a histogram too.
fn family(metric: &str) -> Option<&'static Family> {
    Family::find(metric).or_else(|| {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| metric.strip_suffix(suffix))?;
        Family::find(base).filter(|family| family.kind == Kind::Histogram)
    })
}

fn named(text: &str) -> Result<Named, String> {
    let text = GRAFANA.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    let expr = parser::parse(&text)?;
    let mut named = Named::default();
    let Ok(_) = walk_expr(&mut named, &expr);
    Ok(named)
}

impl ExprVisitor for Named {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        match expr {
            Expr::VectorSelector(selector) => self.select(selector.name.as_deref(), &selector.matchers),
            Expr::MatrixSelector(range) => self.select(range.vs.name.as_deref(), &range.vs.matchers),
            Expr::Aggregate(aggregate) => {
                let labels = aggregate.modifier.iter().flat_map(|modifier| &modifier.labels().labels);
                self.groups.extend(labels.cloned());
            }
            Expr::Binary(binary) => {
                let modifier = binary.modifier.iter();
                let matching = modifier.clone().filter_map(|modifier| modifier.matching.as_ref());
                self.groups.extend(matching.flat_map(|labels| labels.labels().labels.clone()));
                let card = modifier.filter_map(|modifier| modifier.card.labels());
                self.groups.extend(card.flat_map(|labels| labels.labels.clone()));
            }
            _ => {}
        }
        Ok(true)
    }
}

impl Named {
    fn select(&mut self, name: Option<&str>, matchers: &Matchers) {
        let by_name = || matchers.matchers.iter().find(|matcher| matcher.name == "__name__");
        let Some(name) = name.or_else(|| by_name().map(|matcher| matcher.value.as_str())) else { return };
        let labels = matchers.matchers.iter().map(|matcher| matcher.name.clone());
        let labels = labels.filter(|label| label != "__name__");
        self.metrics.entry(name.to_owned()).or_default().extend(labels);
    }
}

/// Everything that users are given to ask.
fn all() -> Vec<Query> {
    let mut queries = Vec::new();
    for path in files("alerts", ".rules.yml") {
        queries.extend(rules(&path).into_iter().map(|rule| {
            let name = rule.get("alert").or(rule.get("record")).and_then(Value::as_str).unwrap_or_default();
            Query {
                place: format!("{}: {name}", path.display()),
                text: text(rule.get("expr").expect("an expression")),
            }
        }));
    }
    for path in files("dashboards", ".json") {
        let dashboard: Value = serde_json::from_str(&read(&path)).expect("a dashboard is JSON");
        collect(&dashboard, &path.display().to_string(), &mut queries);
    }
    queries.extend(pages().iter().flat_map(of_page));
    queries
}

/// The expressions of a page: in blocks of their own, in rules, and between backticks.
fn of_page(page: &Page) -> Vec<Query> {
    let of_block = |block: Block| match &*block.language {
        "promql" => vec![block.text],
        "yaml" => rules_in(&block.text).iter().filter_map(|rule| rule.get("expr").map(text)).collect(),
        _ => Vec::new(),
    };
    let texts = page.blocks().into_iter().flat_map(of_block);
    let spans = page.spans().into_iter().filter(|span| is_expression(span));
    texts.chain(spans).map(|text| Query { place: page.path.clone(), text }).collect()
}

/// The rules in a block that is a list of them.
fn rules_in(yaml: &str) -> Vec<Value> {
    let parsed: Value = serde_saphyr::from_str(yaml).unwrap_or_default();
    parsed.as_array().cloned().unwrap_or_default()
}

/// A text between backticks that says more than a name, or a name with its labels.
fn is_expression(span: &str) -> bool {
    let names = ["teams_rooms_", "room:", "building:", "collector:", "teams_rooms:"];
    let operators = ["=\"", "=~\"", " == ", " > ", " < ", " unless ", "("];
    let is_other = span.starts_with("- ")
        || span.starts_with("curl ")
        || span.contains("label_values")
        || span.starts_with("amtool ");
    names.iter().any(|name| span.contains(name))
        && operators.iter().any(|operator| span.contains(operator))
        && !is_other
}

/// The expressions of a dashboard, wherever in it they stand: targets, annotations, variables.
fn collect(value: &Value, place: &str, queries: &mut Vec<Query>) {
    match value {
        Value::Object(object) => {
            let title = object.get("title").and_then(Value::as_str);
            // A variable may be a list of its own or a data source.
            let kind = object.get("type").and_then(Value::as_str);
            let is_prometheus = !matches!(kind, Some("custom" | "datasource" | "interval" | "textbox"));
            let place = title.map_or_else(|| place.to_owned(), |title| format!("{place}: {title}"));
            let is_query = |(key, value): &(&String, &Value)| {
                is_prometheus && ["expr", "query"].contains(&key.as_str()) && value.is_string()
            };
            for (_, found) in object.iter().filter(is_query) {
                let found = text(found);
                if let Some(text) = of_variable(&found) {
                    queries.push(Query { place: place.clone(), text });
                }
            }
            object.values().for_each(|value| collect(value, &place, queries));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, place, queries)),
        _ => {}
    }
}

/// The query in `label_values(..)` and `query_result(..)`; `None` where a variable asks for something else.
fn of_variable(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')) {
        let (selector, label) = inner.rsplit_once(',')?;
        return Some(format!("count by ({}) ({selector})", label.trim()));
    }
    let inner = text.strip_prefix("query_result(").and_then(|rest| rest.strip_suffix(')'));
    let text = inner.unwrap_or(text);
    (text != "prometheus" && !text.is_empty()).then(|| text.to_owned())
}

/// The names of all recording rules, and of those that a page shows.
fn recorded() -> BTreeSet<String> {
    let shown = pages().into_iter().flat_map(|page| page.blocks()).filter(|block| block.language == "yaml");
    let shown = shown.flat_map(|block| rules_in(&block.text));
    let rules = files("alerts", ".rules.yml").into_iter().flat_map(|path| rules(&path));
    rules.chain(shown).filter_map(|rule| Some(rule.get("record")?.as_str()?.to_owned())).collect()
}

fn rules(path: &Path) -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read(path)).expect("a rule file is YAML");
    let list = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).expect("a rule file has groups of rules").clone()
    };
    list(&file, "groups").iter().flat_map(|group| list(group, "rules")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    assert!(!files.is_empty(), "{folder} has no {ending}");
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a readable file")
}
