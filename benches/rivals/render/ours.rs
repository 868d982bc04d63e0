//! Our pipeline: labels written once per device, lines into one buffer, blocks of 48 KiB that are kept.

use teams_rooms_exporter::metrics::block::{Block, Deflater};
use teams_rooms_exporter::metrics::text::{Labels, Lines};

use super::Render;
use super::fleet::{Fleet, STATES, TENANT};

/// What a block of the exporter has at least.
const BLOCK_BYTES: usize = 48 * 1024;

pub(super) struct Ours {
    fleet: Fleet,
    lines: Lines,
    deflater: Deflater,
    blocks: Vec<Block>,
}

impl Ours {
    pub(super) fn new(fleet: Fleet) -> Self {
        let (lines, deflater) = (Lines::default(), Deflater::default());
        Self { fleet, lines, deflater, blocks: Vec::new() }
    }

    /// Hands over each piece of text when it has the size of a block.
    fn render(&mut self, mut block: impl FnMut(&Lines)) {
        let Self { fleet, lines, .. } = self;
        lines.clear();
        let labels = |device: &super::fleet::Device| {
            Labels::new(&[("tenant", TENANT), ("device_id", &device.id), ("room", &device.room)])
        };
        let labels: Vec<Labels> = fleet.devices.iter().map(labels).collect();
        let mut end = |lines: &mut Lines, size| {
            if lines.len() >= size {
                block(lines);
                lines.clear();
            }
        };
        for family in &fleet.singles {
            for (device, labels) in fleet.devices.iter().zip(&labels) {
                lines.sample(&family.name, labels, &[], family.value(device));
                end(lines, BLOCK_BYTES);
            }
        }
        for family in &fleet.states {
            for (device, labels) in fleet.devices.iter().zip(&labels) {
                let current = family.state(device);
                for state in STATES {
                    lines.sample(&family.name, labels, &[("state", state)], state == current);
                }
                end(lines, BLOCK_BYTES);
            }
        }
        end(lines, 1);
    }
}

impl Render for Ours {
    /// Text that is as it was is not kept a second time: one buffer is all it takes.
    fn text(&mut self) -> anyhow::Result<usize> {
        let mut size = 0;
        self.render(|lines| size += lines.len());
        Ok(size)
    }

    /// The blocks of the last generation go as those of the next one come, as families are replaced one after another.
    fn deflated(&mut self) -> anyhow::Result<usize> {
        let mut deflater = std::mem::take(&mut self.deflater);
        let (mut old, mut blocks) = (std::mem::take(&mut self.blocks).into_iter(), Vec::new());
        self.render(|lines| {
            drop(old.next());
            blocks.push(deflater.block(lines.as_bytes(), lines.series(), &[]));
        });
        (self.deflater, self.blocks) = (deflater, blocks);
        Ok(self.blocks.iter().map(|block| block.deflated.len()).sum())
    }
}
