//! The exposition: the rendered blocks of every family and tenant, and the responses stitched from them.
//!
//! Collected data is rendered and compressed when it changes (see [`segment`](super::segment)). A scrape walks over
//! what is there; only its tail, the exporter's own series, is made on the spot.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use bytes::Bytes;

use super::block::{Block, Deflater, store};
use super::catalogue::{Family, Kind};
use super::segment::{Part, Segment, Sums};
use super::text::{Format, Lines};

/// One family: a segment per tenant.
#[derive(Clone, Debug)]
struct Row {
    segments: Vec<Arc<Segment>>,
    /// Over all tenants.
    sums: Sums,
}

impl Row {
    fn new(segments: Vec<Arc<Segment>>) -> Self {
        let mut row = Self { segments, sums: Sums::default() };
        row.sum_up();
        row
    }

    fn sum_up(&mut self) {
        self.sums = Sums::over(self.segments.iter().map(|segment| segment.sums_of(None)));
    }
}

/// Everything that is exposed at one moment.
#[derive(Clone, Debug)]
struct Picture {
    tenants: Arc<[String]>,
    rows: Vec<Arc<Row>>,
    wholes: [Arc<Whole>; 2],
}

/// What scrapes of everything in one format have in common, once one has asked for it.
#[derive(Debug, Default)]
struct Whole {
    /// With the headers.
    sums: OnceLock<Sums>,
    asked: AtomicBool,
    packed: OnceLock<Bytes>,
}

/// A picture that is larger than this when compressed, of some 20,000 devices, is not held a second time.
const MAX_PACKED: u64 = 32 << 20;

/// So many pictures are in one piece at once; clients that take their time hold old ones.
const MAX_PIECES: usize = 3;

/// A piece, and a token of those that are there.
struct Piece {
    bytes: Vec<u8>,
    _token: Arc<()>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Whole {
    /// All compressed blocks in one piece, from the second scrape of a picture on: to send it takes half the time that some
    /// hundred pieces take, which is as long as putting it together. `pieces` is what the tokens of all are copies of.
    fn packed<'b>(
        &self,
        sums: Sums,
        pieces: &Arc<()>,
        blocks: impl Iterator<Item = &'b Block>,
    ) -> Option<Bytes> {
        if let Some(packed) = self.packed.get() {
            return Some(packed.clone());
        }
        let is_first = !self.asked.swap(true, Ordering::Relaxed);
        if is_first || sums.deflated > MAX_PACKED || Arc::strong_count(pieces) > MAX_PIECES {
            return None;
        }
        let pack = || {
            let mut bytes = Vec::with_capacity(usize::try_from(sums.deflated).unwrap_or_default());
            blocks.for_each(|block| bytes.extend_from_slice(&block.deflated));
            Bytes::from_owner(Piece { bytes, _token: Arc::clone(pieces) })
        };
        Some(self.packed.get_or_init(pack).clone())
    }
}

impl Picture {
    fn new(tenants: Vec<String>, rows: Vec<Arc<Row>>) -> Self {
        Self { tenants: tenants.into(), rows, wholes: Default::default() }
    }

    fn tenant(&self, name: &str) -> Option<usize> {
        self.tenants.iter().position(|tenant| tenant == name)
    }

    fn whole(&self, format: Format) -> &Whole {
        let [text, open_metrics] = &self.wholes;
        match format {
            Format::Text => text,
            Format::OpenMetrics => open_metrics,
        }
    }
}

/// The header of one family in both formats.
#[derive(Debug)]
struct Header {
    text: Block,
    open_metrics: Block,
}

impl Header {
    fn new(family: &Family, deflater: &mut Deflater) -> Self {
        let mut block = |format| {
            let mut lines = Lines::default();
            lines.header(family, format);
            deflater.block(lines.as_bytes(), 0, &[])
        };
        Self { text: block(Format::Text), open_metrics: block(Format::OpenMetrics) }
    }

    fn of(&self, format: Format) -> &Block {
        match format {
            Format::Text => &self.text,
            Format::OpenMetrics => &self.open_metrics,
        }
    }
}

/// The families named by `name[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(HashSet<&'static str>);

impl Names {
    /// `family` is a full name as the catalogue has it.
    pub fn contains(&self, family: &str) -> bool {
        self.0.contains(family)
    }
}

/// What a scrape asks for.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Nothing = all.
    pub tenant: Option<&'a str>,
    /// Nothing = all.
    pub names: Option<&'a Names>,
    /// Nothing = all.
    pub part: Option<Part>,
    pub format: Format,
    pub gzip: bool,
}

/// A selection that cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no tenant {0:?}")]
    UnknownTenant(String),
    #[error("there is no metric {0:?}")]
    UnknownName(String),
}

/// The body of a response; `length` is that of all chunks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub length: u64,
    pub chunks: Vec<Bytes>,
}

impl Body {
    pub fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len() as u64;
        self.chunks.push(chunk);
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let mut body = Self::default();
        body.push(bytes);
        body
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// How much is held, and how much work it took since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub series: u64,
    /// Of sample lines, without headers and tail.
    pub plain_bytes: u64,
    pub deflated_bytes: u64,
    /// Blocks that were rendered and compressed, ever.
    pub rendered: u64,
}

/// The rendered picture of all tenants. Families are swapped one at a time, so that a refresh never holds two
/// pictures of a fleet; a scrape may mix families of neighbouring moments.
#[derive(Debug)]
pub struct Exposition {
    catalogue: &'static [Family],
    headers: Vec<Header>,
    /// Sample and family names to the position in the catalogue.
    positions: HashMap<String, usize>,
    picture: RwLock<Arc<Picture>>,
    pieces: Arc<()>,
    rendered: AtomicU64,
}

impl Exposition {
    pub fn new(catalogue: &'static [Family], tenants: Vec<String>) -> Self {
        let mut deflater = Deflater::default();
        let segments = vec![Arc::default(); tenants.len()];
        let row = Arc::new(Row::new(segments));
        Self {
            catalogue,
            headers: catalogue.iter().map(|family| Header::new(family, &mut deflater)).collect(),
            positions: positions(catalogue),
            picture: RwLock::new(Arc::new(Picture::new(tenants, vec![row; catalogue.len()]))),
            pieces: Arc::default(),
            rendered: AtomicU64::new(0),
        }
    }

    /// The position of a family in the catalogue.
    pub fn family(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// What a slot holds; nothing for a slot that does not exist (any more).
    pub fn segment(&self, family: usize, tenant: &str) -> Option<Arc<Segment>> {
        let picture = self.picture();
        let tenant = picture.tenant(tenant)?;
        picture.rows.get(family)?.segments.get(tenant).cloned()
    }

    /// Swaps the series of one family and tenant. Tenants go by name, not by position: a collector that outlives
    /// the removal of its tenant then writes to nowhere instead of into its neighbour.
    pub fn replace(&self, family: usize, tenant: &str, segment: Segment) {
        self.rendered.fetch_add(segment.written(), Ordering::Relaxed);
        let mut segment = Arc::new(segment);
        {
            let mut picture = self.picture.write().unwrap_or_else(PoisonError::into_inner);
            let Some(tenant) = picture.tenant(tenant) else { return };
            // Copies the picture's pointers only if a scrape is just now collecting its blocks.
            let picture = Arc::make_mut(&mut picture);
            let Some(row) = picture.rows.get_mut(family).map(Arc::make_mut) else { return };
            let Some(slot) = row.segments.get_mut(tenant) else { return };
            std::mem::swap(slot, &mut segment);
            row.sum_up();
            picture.wholes = Default::default();
        }
        // The old generation is freed here, outside the lock.
        drop(segment);
    }

    /// Changes the list of tenants; those that stay keep their series.
    pub fn set_tenants(&self, tenants: Vec<String>) {
        let mut picture = self.picture.write().unwrap_or_else(PoisonError::into_inner);
        let kept: Vec<_> = tenants.iter().map(|name| picture.tenant(name)).collect();
        let carry = |row: &Arc<Row>| {
            let segment =
                |old: &Option<usize>| old.and_then(|old| row.segments.get(old)).cloned().unwrap_or_default();
            Arc::new(Row::new(kept.iter().map(segment).collect()))
        };
        let rows = picture.rows.iter().map(carry).collect();
        *picture = Arc::new(Picture::new(tenants, rows));
    }

    /// Empties the families that are exposed no more.
    pub fn retain(&self, exposed: &dyn Fn(&Family) -> bool) {
        let mut picture = self.picture.write().unwrap_or_else(PoisonError::into_inner);
        let mut rows = picture.rows.clone();
        for (row, _) in rows.iter_mut().zip(self.catalogue).filter(|(_, family)| !exposed(family)) {
            *row = Arc::new(Row::new(vec![Arc::default(); picture.tenants.len()]));
        }
        *picture = Arc::new(Picture::new(picture.tenants.to_vec(), rows));
    }

    pub fn tenants(&self) -> Arc<[String]> {
        Arc::clone(&self.picture().tenants)
    }

    pub fn has_tenant(&self, name: &str) -> bool {
        self.picture().tenant(name).is_some()
    }

    /// Resolves names of families, with or without what their samples append (`_total`, `_bucket`, ...).
    pub fn names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Names, Error> {
        let find = |name: &str| {
            let family = self.positions.get(name).and_then(|&position| self.catalogue.get(position));
            family.map(|family| family.name).ok_or_else(|| Error::UnknownName(name.to_owned()))
        };
        names.into_iter().map(find).collect::<Result<_, _>>().map(Names)
    }

    /// The body of a scrape: the selected families with `tail` behind them. `tail` is whole lines in the
    /// selected format, without the end marker.
    pub fn select(&self, selection: &Selection<'_>, tail: &[u8]) -> Result<Body, Error> {
        let picture = self.picture();
        let tenant = match selection.tenant {
            Some(name) => Some(picture.tenant(name).ok_or_else(|| Error::UnknownTenant(name.to_owned()))?),
            None => None,
        };
        let end = match selection.format {
            Format::Text => "",
            Format::OpenMetrics => "# EOF\n",
        };
        let tail = [tail, end.as_bytes()].concat();

        let families: Vec<_> = self.chosen(&picture, tenant, selection).collect();
        let blocks = || families.iter().flat_map(Chosen::blocks);
        let mut body = Body::default();
        if !selection.gzip {
            blocks().for_each(|block| body.push(block.plain.clone()));
            body.push(tail.into());
            return Ok(body);
        }
        body.push(Bytes::from_static(GZIP_HEADER));
        let is_all = tenant.is_none() && selection.names.is_none() && selection.part.is_none();
        let whole = is_all.then(|| picture.whole(selection.format));
        let sum_up = || Sums::over(families.iter().map(Chosen::sums));
        let sums = whole.map_or_else(sum_up, |whole| *whole.sums.get_or_init(sum_up));
        match whole.and_then(|whole| whole.packed(sums, &self.pieces, blocks())) {
            Some(packed) => body.push(packed),
            None => blocks().for_each(|block| body.push(block.deflated.clone())),
        }
        body.push(gzip_end(&tail, sums.then(Sums::of_plain(&tail))));
        Ok(body)
    }

    /// What a scrape asks for, family by family.
    fn chosen<'p>(
        &'p self,
        picture: &'p Picture,
        tenant: Option<usize>,
        selection: &Selection<'p>,
    ) -> impl Iterator<Item = Chosen<'p>> {
        let Selection { names, part, format, .. } = *selection;
        let families = self.catalogue.iter().zip(&self.headers).zip(&picture.rows);
        let named =
            families.filter(move |((family, _), _)| names.is_none_or(|names| names.contains(family.name)));
        let chosen = named.filter_map(move |((_, header), row)| {
            let header = header.of(format);
            Some(match tenant {
                None => Chosen::new(header, &row.segments, part, Some(row.sums)),
                Some(tenant) => {
                    Chosen::new(header, std::slice::from_ref(row.segments.get(tenant)?), part, None)
                }
            })
        });
        chosen.filter(|chosen| chosen.blocks().nth(1).is_some())
    }

    pub fn stats(&self) -> Stats {
        let stats = Stats { rendered: self.rendered.load(Ordering::Relaxed), ..Stats::default() };
        self.picture().rows.iter().fold(stats, |stats, row| Stats {
            series: stats.series + row.sums.series,
            plain_bytes: stats.plain_bytes + row.sums.plain,
            deflated_bytes: stats.deflated_bytes + row.sums.deflated,
            ..stats
        })
    }

    fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.picture.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The series of one family that a scrape asks for.
struct Chosen<'p> {
    header: &'p Block,
    segments: &'p [Arc<Segment>],
    part: Option<Part>,
    /// The series of the part in buckets that it shares with other parts.
    shares: Vec<Block>,
    /// Of all tenants, without the header.
    all: Option<Sums>,
}

impl<'p> Chosen<'p> {
    fn new(header: &'p Block, segments: &'p [Arc<Segment>], part: Option<Part>, all: Option<Sums>) -> Self {
        let share = |part| segments.iter().filter_map(move |segment| segment.share_of(part));
        Self { header, segments, part, shares: part.into_iter().flat_map(share).collect(), all }
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        let blocks = self.segments.iter().flat_map(|segment| segment.blocks_of(self.part));
        std::iter::once(self.header).chain(blocks.map(AsRef::as_ref)).chain(&self.shares)
    }

    fn sums(&self) -> Sums {
        let all = self.all.filter(|_| self.part.is_none());
        let whole = || self.segments.iter().map(|segment| segment.sums_of(self.part));
        let sum_up = || Sums::over(whole().chain(self.shares.iter().map(Sums::from)));
        Sums::from(self.header).then(all.unwrap_or_else(sum_up))
    }
}

/// Every name that a family answers to: its own, its samples', and the one OpenMetrics gives it.
fn positions(catalogue: &[Family]) -> HashMap<String, usize> {
    let mut positions = HashMap::new();
    for (position, family) in catalogue.iter().enumerate() {
        match family.kind {
            Kind::Gauge => {}
            Kind::Counter => {
                let short = family.name.strip_suffix("_total").unwrap_or(family.name);
                positions.entry(short.to_owned()).or_insert(position);
            }
            Kind::Histogram => {
                for suffix in ["_bucket", "_sum", "_count"] {
                    positions.entry(format!("{}{suffix}", family.name)).or_insert(position);
                }
            }
        }
    }
    // Last, so that a full name wins over another family's short one.
    positions
        .extend(catalogue.iter().enumerate().map(|(position, family)| (family.name.to_owned(), position)));
    positions
}

/// Deflate, no name, no time, unknown system. A response is one member: browsers and some clients stop reading
/// after the first.
const GZIP_HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A final block of deflate that holds nothing: fixed codes, end of block, padding.
const FINAL_BLOCK: [u8; 2] = [3, 0];

/// The end of a gzip member: `tail` in stored blocks, the final block, checksum and length of everything.
fn gzip_end(tail: &[u8], sums: Sums) -> Bytes {
    let mut end = Vec::new();
    store(tail, &mut end);
    end.extend(FINAL_BLOCK);
    end.extend(sums.crc.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "gzip keeps the length modulo 2^32")]
    end.extend((sums.plain as u32).to_le_bytes());
    end.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::{GzDecoder, MultiGzDecoder};
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::segment::example;
    use crate::metrics::text::Labels;

    const fn family(name: &'static str, kind: Kind) -> Family {
        Family::example(name, kind, &["tenant", "device_id"], "Help.")
    }

    static CATALOGUE: [Family; 4] = [
        family("t_state", Kind::Gauge),
        family("t_changes_total", Kind::Counter),
        family("t_took_seconds", Kind::Histogram),
        family("t_changes", Kind::Gauge),
    ];

    fn exposition() -> Exposition {
        Exposition::new(&CATALOGUE, vec!["contoso".to_owned(), "fabrikam".to_owned()])
    }

    fn fill(exposition: &Exposition, family: usize, tenant: &str, values: impl IntoIterator<Item = u64>) {
        let previous = exposition.segment(family, tenant).unwrap_or_default();
        let facts: Vec<_> = (0..).zip(values).collect();
        let segment = example::cut(&previous, &facts, |(device, value), lines| {
            let labels = Labels::new(&[("tenant", tenant), ("device_id", &format!("device-{device}"))]);
            lines.sample(CATALOGUE[family].name, &labels, &[], value);
        });
        exposition.replace(family, tenant, segment);
    }

    const ALL: Selection<'_> =
        Selection { tenant: None, names: None, part: None, format: Format::Text, gzip: false };

    fn body(exposition: &Exposition, selection: &Selection<'_>, tail: &[u8]) -> Vec<u8> {
        let response = exposition.select(selection, tail).unwrap();
        let body = response.chunks.concat();
        assert_eq!(response.length, body.len() as u64);
        body
    }

    fn text(exposition: &Exposition, selection: &Selection<'_>) -> String {
        String::from_utf8(body(exposition, selection, b"")).unwrap()
    }

    #[test]
    fn a_family_has_one_header_and_none_without_series() {
        let exposition = exposition();
        assert_eq!(text(&exposition, &ALL), "");
        fill(&exposition, 0, "fabrikam", [2]);
        fill(&exposition, 0, "contoso", [1]);
        fill(&exposition, 1, "contoso", [7]);
        let expected = "# HELP t_state Help.\n# TYPE t_state gauge\n\
                        t_state{tenant=\"contoso\",device_id=\"device-0\"} 1\n\
                        t_state{tenant=\"fabrikam\",device_id=\"device-0\"} 2\n\
                        # HELP t_changes_total Help.\n# TYPE t_changes_total counter\n\
                        t_changes_total{tenant=\"contoso\",device_id=\"device-0\"} 7\n";
        assert_eq!(text(&exposition, &ALL), expected);
        fill(&exposition, 0, "contoso", []);
        fill(&exposition, 0, "fabrikam", []);
        assert!(!text(&exposition, &ALL).contains("t_state"));
    }

    #[test]
    fn a_tenant_is_selected_alone() {
        let exposition = exposition();
        fill(&exposition, 0, "contoso", [1]);
        fill(&exposition, 1, "fabrikam", [7]);
        let alone = text(&exposition, &Selection { tenant: Some("fabrikam"), ..ALL });
        assert!(alone.contains("fabrikam") && !alone.contains("contoso") && !alone.contains("t_state"));
        let unknown = exposition.select(&Selection { tenant: Some("Contoso"), ..ALL }, b"");
        assert_eq!(unknown, Err(Error::UnknownTenant("Contoso".to_owned())));
    }

    #[test]
    fn names_are_those_of_families_and_of_samples() {
        let exposition = exposition();
        fill(&exposition, 0, "contoso", [1]);
        fill(&exposition, 1, "contoso", [7]);
        let names = exposition.names(["t_changes_total", "t_took_seconds_bucket"]).unwrap();
        assert!(names.contains("t_changes_total") && names.contains("t_took_seconds"));
        let chosen = text(&exposition, &Selection { names: Some(&names), ..ALL });
        assert!(chosen.contains("t_changes_total{") && !chosen.contains("t_state"));
        assert!(exposition.names(["t_changes"]).unwrap().contains("t_changes"), "a full name wins");
        assert_eq!(exposition.names(["t_state", "nope"]), Err(Error::UnknownName("nope".to_owned())));
    }

    #[test]
    fn open_metrics_ends_with_its_marker() {
        let exposition = exposition();
        fill(&exposition, 1, "contoso", [7]);
        let open = Selection { format: Format::OpenMetrics, ..ALL };
        let body = String::from_utf8(body(&exposition, &open, b"tail 1\n")).unwrap();
        assert!(body.starts_with("# HELP t_changes Help.\n# TYPE t_changes counter\nt_changes_total{"));
        assert!(body.ends_with("tail 1\n# EOF\n"));
    }

    #[test]
    fn tenants_that_stay_keep_their_series() {
        let exposition = exposition();
        fill(&exposition, 0, "contoso", [1]);
        fill(&exposition, 0, "fabrikam", [2]);
        exposition.set_tenants(vec!["new".to_owned(), "fabrikam".to_owned()]);
        fill(&exposition, 0, "contoso", [9]);
        fill(&exposition, 0, "new", [3]);
        let all = text(&exposition, &ALL);
        assert!(!all.contains("contoso") && all.contains("fabrikam"));
        assert!(all.find("new") < all.find("fabrikam"));
        assert_eq!(exposition.stats().series, 2);
        assert_eq!(exposition.tenants().len(), 2);
    }

    #[test]
    fn a_scrape_renders_and_compresses_nothing() {
        let exposition = exposition();
        fill(&exposition, 0, "contoso", 0..5000);
        let before = exposition.stats();
        assert!(before.rendered > 1 && before.series == 5000);
        body(&exposition, &Selection { gzip: true, ..ALL }, b"tail 1\n");
        assert_eq!(exposition.stats(), before);
        fill(&exposition, 0, "contoso", 0..5000);
        assert_eq!(exposition.stats(), before, "the same text is not written again");
    }

    #[test]
    fn every_series_is_in_exactly_one_part() {
        let exposition = exposition();
        fill(&exposition, 0, "contoso", 0..5000);
        fill(&exposition, 1, "contoso", 0..5000);
        fill(&exposition, 0, "fabrikam", [7]);
        let lines = |selection: &Selection<'_>| -> Vec<String> {
            let text = text(&exposition, selection);
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        let mut all = lines(&ALL);
        all.sort();
        for count in [1, 2, 8, 64] {
            let parts: Vec<_> = (0..count).map(|index| Part::new(index, count)).collect();
            let mut found: Vec<_> =
                parts.iter().flat_map(|part| lines(&Selection { part: *part, ..ALL })).collect();
            found.sort();
            assert_eq!(found, all, "{count}");
            for part in parts {
                let of_room =
                    lines(&Selection { part, ..ALL }).into_iter().filter(|line| line.contains("contoso"));
                let rooms = |family: &str| -> Vec<String> {
                    let names = exposition.names([family]).unwrap();
                    let chosen =
                        lines(&Selection { part, names: Some(&names), tenant: Some("contoso"), ..ALL });
                    chosen.iter().map(|line| line.replace(family, "")).collect()
                };
                assert_eq!(
                    rooms("t_state"),
                    rooms("t_changes_total"),
                    "a room is in one part with all of its series"
                );
                assert!(of_room.count() > 5000 / count, "parts are alike");
                check_gzip(&exposition, &Selection { part, ..ALL }, b"tail 1\n");
            }
        }
    }

    #[test]
    fn pieces_that_slow_clients_hold_are_few() {
        let exposition = exposition();
        let gzip = Selection { gzip: true, ..ALL };
        let pieces = || Arc::strong_count(&exposition.pieces) - 1;
        let mut held = Vec::new();
        for picture in 0..2 * MAX_PIECES as u64 {
            fill(&exposition, 0, "contoso", [picture]);
            held.extend((0..2).map(|_| exposition.select(&gzip, b"").unwrap()));
            assert!(pieces() <= MAX_PIECES);
        }
        assert_eq!(pieces(), MAX_PIECES);
        held.clear();
        fill(&exposition, 0, "contoso", [99]);
        assert_eq!(pieces(), 0);
    }

    #[test]
    fn a_response_outlives_the_next_generation() {
        let exposition = exposition();
        fill(&exposition, 0, "contoso", 0..3000);
        let old = exposition.select(&ALL, b"").unwrap();
        fill(&exposition, 0, "contoso", [1]);
        assert_eq!(old.chunks.concat().len() as u64, old.length);
    }

    #[track_caller]
    fn check_gzip(exposition: &Exposition, selection: &Selection<'_>, tail: &[u8]) {
        let plain = body(exposition, &Selection { gzip: false, ..*selection }, tail);
        let packed = body(exposition, &Selection { gzip: true, ..*selection }, tail);
        let again = body(exposition, &Selection { gzip: true, ..*selection }, tail);
        assert!(packed == again, "in one piece it is the same");
        let (mut one, mut all) = (Vec::new(), Vec::new());
        GzDecoder::new(packed.as_slice()).read_to_end(&mut one).unwrap();
        MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut all).unwrap();
        assert!(one == plain && all == plain);
    }

    #[test]
    fn tails_longer_than_a_stored_block_are_split() {
        let exposition = exposition();
        for length in [0, 1, 65_529, 65_535, 65_536, 3 * 65_535] {
            let tail = vec![b'x'; length];
            check_gzip(&exposition, &ALL, &tail);
            check_gzip(&exposition, &Selection { format: Format::OpenMetrics, ..ALL }, &tail);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn gzip_inflates_to_the_plain_response(
            fills in prop::collection::vec((0_usize..2, any::<bool>(), 0_u64..4000, any::<u64>()), 0..6),
            tail in 0_usize..200_000,
            one_tenant in any::<bool>(),
            open in any::<bool>(),
        ) {
            let exposition = exposition();
            for (family, first, devices, seed) in fills {
                let mut random = fastrand::Rng::with_seed(seed);
                let tenant = if first { "contoso" } else { "fabrikam" };
                fill(&exposition, family, tenant, (0..devices).map(|_| random.u64(..) >> random.u32(0..64)));
            }
            let selection = Selection {
                tenant: one_tenant.then_some("contoso"),
                format: if open { Format::OpenMetrics } else { Format::Text },
                ..ALL
            };
            check_gzip(&exposition, &selection, &vec![b'y'; tail]);
        }
    }
}
