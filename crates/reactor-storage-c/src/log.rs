//! The events of a log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::{DeviceMap, Summary};
use reactor_storage::event::{Event, Severity};
use reactor_storage::formats::{DETECT_BYTES, Reader, detect};
use reactor_storage::pipeline::{Phase, Pipeline};

use crate::error::Failure;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// Which events are wanted: all that were given must hold.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// At least as bad.
    pub(crate) severity: Option<Severity>,
    /// One of these types.
    pub(crate) types: Vec<String>,
    /// One of these parts of storage.
    pub(crate) subsystems: Vec<String>,
    /// One of these devices, by id or name, or what is above or below one.
    pub(crate) devices: Vec<String>,
}

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    reader: Option<Reader>,
    catalogue: Arc<Catalogue>,
    map: Arc<DeviceMap>,
    pipeline: Pipeline,
    pub(crate) filter: Filter,
    ready: VecDeque<Event>,
    /// The time of the last line: one without a time is of the same.
    now_us: u64,
    at_end: bool,
}

impl Log {
    /// Nothing is read yet.
    pub(crate) fn new(file: File, map: Arc<DeviceMap>) -> Self {
        Self {
            file,
            reader: None,
            catalogue: Arc::new(Catalogue::built_in()),
            map,
            pipeline: Pipeline::new(),
            filter: Filter::default(),
            ready: VecDeque::new(),
            now_us: 0,
            at_end: false,
        }
    }

    /// The next event that is wanted; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                if self.filter.wants(&event) {
                    return Ok(Some(event));
                }
            }
            if self.at_end {
                return Ok(None);
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), Failure> {
        let wanted = if self.reader.is_some() { PIECE } else { DETECT_BYTES };
        let bytes = self.piece(wanted)?;
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None if bytes.is_empty() => {
                self.at_end = true;
                return Ok(());
            }
            None => Reader::new(detect(&bytes).ok_or(Failure::NoLog)?),
        };
        let (catalogue, map) = (Arc::clone(&self.catalogue), Arc::clone(&self.map));
        let (pipeline, now_us) = (&mut self.pipeline, &mut self.now_us);
        let each = |record: reactor_storage::record::Record<'_>| {
            *now_us = record.at.wall_us.or(record.at.boot_us).unwrap_or(*now_us);
            if let Some(finding) = catalogue.classify(&record) {
                pipeline.take(&record, &finding, &map, *now_us);
            }
        };
        if bytes.is_empty() {
            reader.end(each);
            pipeline.finish(&map);
            self.at_end = true;
        } else {
            reader.push(&bytes, each);
        }
        self.reader = Some(reader);
        let ended = self.pipeline.told().into_iter().filter(|told| told.phase == Phase::Ended);
        self.ready.extend(ended.map(|told| told.event));
        Ok(())
    }

    /// The next bytes, of the beginning so many that its form can be seen; none at the end.
    fn piece(&mut self, wanted: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; wanted];
        let mut filled = 0;
        while filled < wanted {
            match self.file.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    if self.reader.is_some() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Failure::Read { source }),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl Filter {
    fn wants(&self, event: &Event) -> bool {
        let among = |wanted: &[String], word: &str| {
            wanted.is_empty() || wanted.iter().any(|one| one.eq_ignore_ascii_case(word))
        };
        self.severity.is_none_or(|least| event.severity >= least)
            && among(&self.types, &event.kind)
            && among(&self.subsystems, event.subsystem.as_str())
            && (self.devices.is_empty() || event.devices().any(|device| self.is_about(device)))
    }

    fn is_about(&self, device: &Summary) -> bool {
        let is = |word: &str| self.devices.iter().any(|wanted| wanted == word);
        let related = || device.above.iter().chain(&device.below).any(|related| is(&related.id) || is(&related.name));
        is(&device.id) || is(&device.name) || device.names.iter().any(|name| is(name)) || related()
    }
}
